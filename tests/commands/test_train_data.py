"""The splits of a run put together again, under names that tell them apart."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.commands.train_data import Faces
from minicnn.data.face_dataset import UNLABELLED, FaceDataset

pytestmark = pytest.mark.host


def part(level, count, usage, labelled=True):
    return FaceDataset(
        np.full((count, 4, 4, 1), level, np.uint8),
        np.arange(count) if labelled else None,
        np.arange(count).astype(str),
        np.full(count, usage),
        sha256="abc",
    )


@pytest.mark.parametrize(
    ("origin", "name"),
    [("public_test", "public_test"), ("validation", "validation"), ("train", "validation")],
)
def test_each_split_keeps_its_name_and_what_was_cut_off_gets_one(origin, name):
    others = {"test": part(3, 2, "test", labelled=False)}
    faces = Faces(part(1, 4, "train"), part(2, 3, origin), others, validation_source=origin)
    found = faces.together()
    assert found.splits == {"train": 4, name: 3, "test": 2}
    assert found.images[:, 0, 0, 0].tolist() == [1] * 4 + [2] * 3 + [3] * 2
    assert found.labels.tolist() == [0, 1, 2, 3, 0, 1, 2, UNLABELLED, UNLABELLED]
    assert found.sha256 == "abc"


def test_before_the_division_into_folds_there_is_no_validation():
    faces = Faces(part(1, 4, "train"), None, validation_source="folds")
    assert faces.together().splits == {"train": 4}
