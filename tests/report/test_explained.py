"""Explanations written and read again."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from minicnn.errors import DataError
from minicnn.report.explained import Explanations

pytestmark = pytest.mark.host


@pytest.fixture
def found(rng):
    scores = rng.random((3, 5))
    arrays = {
        "faces": rng.integers(0, 256, (2, 4, 4, 1), np.uint8),
        "map/B": rng.random((2, 4, 4), np.float32),
        "map/A": rng.random((4, 4, 2), np.float32).transpose(2, 0, 1),  # not contiguous
        "map/Z": np.zeros((2, 4, 4)),
        "curve/fractions": np.linspace(0, 1, 5),
        "curve/deletion/A": scores,
        "curve/insertion/A": scores[::-1],
    }
    return Explanations({"methods": {"B": {}, "A": {}}, "faces": 3}, arrays)


def test_they_read_back_to_the_bit(found, tmp_path):
    found.save(tmp_path)
    read = Explanations.load(tmp_path)
    assert read.content == found.content
    assert read.arrays.keys() == found.arrays.keys()
    for name, array in found.arrays.items():
        np.testing.assert_array_equal(read.arrays[name], array)
        assert read.arrays[name].dtype == array.dtype


def test_methods_come_in_the_order_of_the_content(found, tmp_path):
    # Neither that of the arrays, nor that of the file, which is by name; others come last.
    reverse = Explanations(found.content, dict(reversed(found.arrays.items())))
    reverse.save(tmp_path)
    for each in (found, reverse, Explanations.load(tmp_path)):
        assert list(each.under("map")) == ["B", "A", "Z"]
    assert found.under("nothing") == {}


def test_curves_have_their_areas(found):
    ((name, (deletion, insertion)),) = found.curves().items()
    scores = found.arrays["curve/deletion/A"]
    areas = [sum((a + b) / 8 for a, b in pairwise(row)) for row in scores]
    assert name == "A"
    np.testing.assert_allclose(deletion.areas, areas)
    np.testing.assert_array_equal(insertion.scores, scores[::-1])
    assert Explanations({"methods": {}}, {}).curves() == {}


@pytest.mark.parametrize("name", ["explanations.json", "explanations.safetensors"])
def test_what_is_missing_or_damaged_is_named(found, tmp_path, name):
    found.save(tmp_path)
    for text in ("", "[]"):
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match=r"damaged.*; explain the run anew"):
            Explanations.load(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=f"{name}: cannot be read"):
        Explanations.load(tmp_path)
