"""Pictures in data URIs, decoded again by Pillow."""

from __future__ import annotations

import base64
import builtins
import io

import numpy as np
import pytest

from minicnn.errors import OptionError
from minicnn.report.page.pictures import face_uri, map_uri, require_pillow

pytestmark = pytest.mark.host

image = pytest.importorskip("PIL.Image")


def decoded(uri):
    head, data = uri.split(",")
    assert head == "data:image/png;base64"
    return np.asarray(image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


def test_a_face_comes_back_pixel_by_pixel(rng):
    face = rng.integers(0, 256, (48, 40, 1), np.uint8)
    np.testing.assert_array_equal(decoded(face_uri(face)), np.repeat(face, 3, axis=2))
    colored = rng.integers(0, 256, (5, 6, 3), np.uint8)
    np.testing.assert_array_equal(decoded(face_uri(colored)), colored)


def test_a_map_goes_from_dark_to_light():
    values = np.linspace(0, 1, 256).reshape(16, 16)
    lightness = decoded(map_uri(values, ends=(0, 1))).mean(axis=2).reshape(-1)
    assert lightness[0] < 5
    assert lightness[-1] > 200
    assert (np.diff(lightness) >= -1).all()


def test_a_map_with_a_sign_is_blue_below_and_red_above():
    negative, zero, positive = decoded(map_uri(np.array([[-2.0, 0.0, 2.0]]), signed=True))[0]
    assert negative[2] > negative[0] + 50
    assert positive[0] > positive[2] + 50
    assert zero.min() > 230


def test_numbers_beyond_the_ends_get_the_last_colours():
    inside, beyond = (decoded(map_uri(np.array([[0.0, x]]), ends=(0, 1))) for x in (1.0, 9.0))
    np.testing.assert_array_equal(inside, beyond)


def test_maps_of_one_number_can_be_drawn():
    for signed in (False, True):
        assert decoded(map_uri(np.zeros((3, 3)), signed=signed)).std(axis=(0, 1)).max() == 0


def test_without_pillow_the_remedy_is_told(monkeypatch):
    def refuse(name, *arguments, original=builtins.__import__):
        if name == "PIL":
            raise ImportError(name)
        return original(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(OptionError, match=r'pip install "minicnn\[fer\]"'):
        require_pillow()
