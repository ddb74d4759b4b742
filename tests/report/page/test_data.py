"""The balance of the classes and the audit, on faces with known faults."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.data.face_dataset import UNLABELLED, FaceDataset
from minicnn.report.page.data import data_of

pytestmark = pytest.mark.host

pytest.importorskip("PIL")

NAMES = ("Angry", "Happy")


@pytest.fixture
def faces(rng):
    """Return eight faces: 5 repeats 0 in another split, 3 is 2 under another name, 4 is blank."""
    images = rng.integers(0, 256, (8, 6, 6, 1), np.uint8)
    images[5], images[3], images[4] = images[0], images[2], 7
    labels = np.array([0, 1, 0, 1, 1, 0, 1, UNLABELLED])
    usage = np.array(["train"] * 5 + ["public_test"] * 3)
    return FaceDataset(images, labels, np.arange(8).astype(str), usage, NAMES)


def test_each_split_has_its_classes_counted(faces):
    found = data_of(faces)
    train, test = found["splits"]
    assert (train["name"], train["count"], train["classes"]) == ("train", 5, [2, 3])
    assert (test["count"], test["classes"], test["unlabelled"]) == (3, [1, 1], 1)


def test_faults_are_counted_and_shown(faces):
    found = data_of(faces)
    assert found["audit"].duplicates == 2
    assert (found["pictures"], found["involved"]) == (2, 4)
    leaks = [(each["split"], each["other"], each["count"]) for each in found["leaks"]]
    assert leaks == [("public_test", "train", 1)]
    (conflict,) = found["conflicts"]
    assert (conflict["id"], conflict["label"]) == ("2", "Angry and Happy")
    (blank,) = found["blanks"]
    assert (blank["id"], blank["split"], blank["label"]) == ("4", "train", "Happy")
    assert [face["id"] for face in found["classes"]] == ["0", "1"]


def test_a_blank_picture_is_no_example_of_a_class_or_of_a_conflict(faces):
    faces.images[0] = faces.images[1] = 0
    found = data_of(faces)
    assert [face["id"] for face in found["classes"]] == ["2", "3"]
    assert [face["id"] for face in found["conflicts"]] == ["2"]
    assert len(found["audit"].conflicting_groups) == 2


def test_faces_without_labels_are_counted_alone(faces):
    bare = FaceDataset(faces.images, None, faces.ids, faces.usage, NAMES)
    found = data_of(bare)
    assert [split["unlabelled"] for split in found["splits"]] == [5, 3]
    assert found["classes"] == []
