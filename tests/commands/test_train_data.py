"""The splits of a run put together again, and the augmentation that its options describe."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from minicnn.commands.train_data import DATA_OPTIONS, Faces, load_faces, make_augmentation
from minicnn.commands.train_options import AUGMENTATIONS, Options
from minicnn.data.augment import Augmentation
from minicnn.data.augmentation_schedule import AugmentationSchedule
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


def test_faces_hang_on_the_options_of_the_data_alone():
    read, names = set(), {field.name for field in fields(Options)}

    class Watched(Options):
        def __getattribute__(self, name):
            read.add(name)
            return super().__getattribute__(name)

    load_faces(Watched(limit=7))
    assert {"data", "limit", "seed"} <= read & names <= set(DATA_OPTIONS)


def test_every_augmentation_can_be_chosen():
    assert AUGMENTATIONS["medium"] == Augmentation(
        rotation=15, width_shift=0.1, height_shift=0.1, zoom=0.15, horizontal_flip=True
    )
    for name, augmentation in AUGMENTATIONS.items():
        assert make_augmentation(Options(augment=name), 48) == augmentation


def test_mixing_and_erasing_come_on_top_of_any_augmentation():
    options = {"mixup": 0.2, "cutmix": 1.0, "erasing": 0.25}
    added = {"mixup": 0.2, "cutmix": 1.0, "random_erasing": 0.25}
    assert make_augmentation(Options(augment="none", **options), 48) == Augmentation(**added)
    found = make_augmentation(Options(augment="strong", **options), 48)
    assert found.to_dict() == {**Augmentation.system_a().to_dict(), **added}


@pytest.mark.parametrize("augment", ["strong", "flip", "none"])
def test_in_the_plain_tail_there_are_flips_at_most(augment):
    found = make_augmentation(Options(augment=augment, cutmix=1.0, epochs=9, plain_tail=2), 48)
    assert isinstance(found, AugmentationSchedule)
    first = make_augmentation(Options(augment=augment, cutmix=1.0), 48)
    last = None if augment == "none" else Augmentation(horizontal_flip=True)
    assert [found.at(epoch) for epoch in range(9)] == [first] * 7 + [last] * 2


@pytest.mark.parametrize("augment", ["mild", "none"])
def test_images_grow_in_equal_shares_of_the_epochs_to_their_own_size(augment):
    def sizes(**options):
        found = make_augmentation(Options(augment=augment, epochs=9, **options), 48)
        at = [found.at(epoch) for epoch in range(9)]
        assert all(each is None or each == replace(named, size=each.size) for each in at)
        return [None if each is None else each.size for each in at]

    named = AUGMENTATIONS[augment] or Augmentation()
    assert sizes(grow_from=32) == [32] * 3 + [40] * 3 + [None] * 3
    assert sizes(grow_from=41) == [41] * 4 + [None] * 5


@pytest.mark.parametrize("size", [48, 50])
def test_images_that_are_not_smaller_do_not_grow(size):
    assert make_augmentation(Options(grow_from=size), 48) == AUGMENTATIONS["flip"]


def test_the_plain_tail_comes_before_any_growth():
    found = make_augmentation(Options(epochs=9, grow_from=32, plain_tail=5, erasing=0.5), 48)
    at = [found.at(epoch) for epoch in range(9)]
    assert [each.size for each in at] == [32] * 3 + [40] + [None] * 5
    assert [each.random_erasing for each in at] == [0.5] * 4 + [0] * 5
