"""Which training picture an image is compared with, and what is said without labels or images."""

import numpy as np
import pytest

from minicnn.commands.seen_pictures import Group, seen_pictures
from minicnn.data.face_dataset import FaceDataset

pytestmark = pytest.mark.host

PICTURES = np.random.default_rng(0).integers(0, 100, (4, 24, 24, 1), np.uint8)


def faces(images, labels, split):
    names = np.array([str(n) for n in range(len(images))])
    labels = None if labels is None else np.array(labels, np.int64)
    return FaceDataset(np.asarray(images), labels, names, np.full(len(images), split))


def saying(labels):
    return np.eye(7, dtype=np.float32)[labels]


def test_an_equal_image_comes_before_one_that_is_only_lit_otherwise():
    train = faces([PICTURES[0] * 2, PICTURES[0]], [3, 5], "train")
    found = seen_pictures(faces(PICTURES[:1], [5], "test"), train, saying([5]))
    assert found.identical == Group(1, 1.0, 1.0, 0.0)


def test_of_equal_training_images_the_first_gives_the_label():
    train = faces([PICTURES[1], PICTURES[0], PICTURES[0]], [1, 2, 4], "train")
    found = seen_pictures(faces(PICTURES[:1], [4], "test"), train, saying([4]))
    assert found.identical.same_label == 0
    assert found.identical.accuracy == 1


def test_training_images_without_labels_have_no_share_of_equal_ones():
    train = faces([PICTURES[0], PICTURES[1] * 2], None, "train")
    found = seen_pictures(faces(PICTURES[:3], [1, 1, 1], "test"), train, saying([1, 2, 1]))
    assert found.identical == Group(1, None, 1.0, 0.0)
    assert found.near_duplicates == Group(1, None, 0.0, 0.0)
    assert found.others == Group(1, None, 1.0, 0.0)


def test_a_group_without_images_shows_dashes():
    train = faces(PICTURES[2:], [0, 0], "train")
    found = seen_pictures(faces(PICTURES[:2], [1, 1], "test"), train, saying([1, 2]))
    assert found.identical == Group(0, None, None, None)
    lines = [line.split("  ") for line in str(found).splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert cells[2] == ["in train, every pixel", "0", "-", "-", "-"]
    assert cells[4] == ["not found in train", "2", "-", "0.5000", "0.3536"]
