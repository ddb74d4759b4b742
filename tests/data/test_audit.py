"""The audit against planted faults, and against the known figures of the real data."""

import json
import os

import numpy as np
import pytest

from minicnn.data.auditing import audit, drop_duplicates
from minicnn.data.face_dataset import FaceDataset
from minicnn.data.fer2013 import load

pytestmark = pytest.mark.host


def faces(pictures, usage, labels=None):
    """Make a data set from numbers: equal numbers are equal pictures, negative ones are blank."""
    images = np.stack(
        [
            np.full((48, 48, 1), -number, np.uint8)
            if number < 0
            else np.random.default_rng(number).integers(0, 256, (48, 48, 1), np.uint8)
            for number in pictures
        ]
    )
    return FaceDataset(
        images,
        None if labels is None else np.array(labels, np.int64),
        np.array([str(i) for i in range(len(images))]),
        np.array(usage),
    )


@pytest.fixture
def faulty():
    return faces(
        [1, 1, 2, 3, 1, 4, 2, -7, 5, 5],
        ["train"] * 6 + ["public_test"] * 2 + ["private_test"] * 2,
        [0, 0, 1, 2, 3, 4, 1, 5, 6, 6],
    )


def test_duplicates_are_grouped_by_picture(faulty):
    found = audit(faulty)
    assert sorted(found.duplicate_groups) == [(0, 1, 4), (2, 6), (8, 9)]
    assert found.duplicates == 4


def test_duplicates_are_counted_within_and_across_splits(faulty):
    found = audit(faulty)
    assert found.within == {"train": 2, "public_test": 0, "private_test": 1}
    assert found.across["public_test"] == {"train": 1, "private_test": 0}
    assert found.across["train"] == {"public_test": 1, "private_test": 0}


def test_across_counts_images_of_the_first_split():
    found = audit(faces([1, 1, 1, 2], ["train", "train", "test", "test"]))
    assert found.across == {"train": {"test": 2}, "test": {"train": 1}}


def test_groups_with_different_labels_are_conflicts(faulty):
    assert audit(faulty).conflicting_groups == ((0, 1, 4),)


def test_a_missing_label_is_no_conflict():
    assert audit(faces([1, 1], ["train", "test"], [3, -1])).conflicting_groups == ()


def test_blank_images_are_found_also_with_a_trace_of_noise():
    dataset = faces([-1, 1, -2, -3], ["train"] * 4)
    dataset.images[2, 5, 5] += 8
    dataset.images[3, 5, 5] += 9
    assert audit(dataset).blank == (0, 2)


def test_classes_are_counted_for_each_split(faulty):
    counts = audit(faulty).class_counts
    assert list(counts["train"].values()) == [2, 1, 1, 1, 1, 0, 0]
    assert counts["private_test"]["Neutral"] == 2


def test_images_without_labels_are_counted_as_such():
    assert audit(faces([1, 2], ["test"] * 2)).class_counts == {"test": {"unlabelled": 2}}
    mixed = audit(faces([1, 2, 3], ["train", "test", "test"], [4, -1, -1])).class_counts
    assert mixed["test"] == {"unlabelled": 2}
    assert mixed["train"]["Sad"] == 1


def test_mean_and_standard_deviation_equal_those_of_numpy(faulty):
    found = audit(faulty)
    assert found.mean == pytest.approx(faulty.images.mean(dtype=np.float64), rel=1e-12)
    assert found.standard_deviation == pytest.approx(faulty.images.std(dtype=np.float64), rel=1e-12)


def test_audit_is_readable_and_fits_json(faulty):
    found = audit(faulty)
    assert json.loads(json.dumps(found.to_dict()))["within"]["train"] == 2
    text = str(found)
    assert "exact duplicates: 4 (7 images show 3 pictures)" in text
    assert "of public_test, also in train: 1" in text
    assert "blank images: 1" in text


def test_audit_of_no_images_is_all_zeros():
    found = audit(faces([1], ["train"]).subset([]))
    assert (found.images, found.duplicates, found.blank) == (0, 0, ())


def test_dropping_keeps_evaluation_splits_whole_and_one_of_each_picture(faulty):
    kept, dropped = drop_duplicates(faulty)
    assert kept.ids.tolist() == ["0", "3", "5", "6", "7", "8", "9"]
    assert dropped.to_dict() == {
        "blank": 0,
        "in_evaluation": 1,
        "repeated": 2,
        "kept": 3,
        "total": 3,
    }
    assert "dropped 3 training images (1 also in an evaluation split, 2 repeated" in str(dropped)


def test_dropping_removes_blank_training_images_only():
    dataset = faces([-1, 1, -1, -2], ["train", "train", "train", "test"])
    kept, dropped = drop_duplicates(dataset)
    assert kept.ids.tolist() == ["1", "3"]
    assert (dropped.blank, dropped.repeated) == (2, 0)


def test_blank_images_can_be_kept_as_pictures_like_others():
    kept, dropped = drop_duplicates(faces([-1, 1, -1], ["train"] * 3), blanks=False)
    assert kept.ids.tolist() == ["0", "1"]
    assert (dropped.blank, dropped.repeated) == (0, 1)


def test_data_without_a_training_split_stays_as_it_is():
    kept, dropped = drop_duplicates(faces([1, 1], ["test"] * 2))
    assert len(kept) == 2
    assert dropped.total == 0


def test_data_without_faults_stays_as_it_is():
    dataset = faces([1, 2, 3], ["train", "train", "test"], [0, 1, 2])
    kept, dropped = drop_duplicates(dataset)
    assert np.array_equal(kept.images, dataset.images)
    assert dropped.total == 0


@pytest.mark.real_faces
def test_known_faults_of_the_real_data_are_found(tmp_path_factory):
    dataset = load(os.environ["MINICNN_FER2013"], cache=tmp_path_factory.getbasetemp())
    found = audit(dataset)
    counts = {split: list(classes.values()) for split, classes in found.class_counts.items()}
    assert counts["train"] == [3995, 436, 4097, 7215, 4830, 3171, 4965]
    assert counts["public_test"] == [467, 56, 496, 895, 653, 415, 607]
    assert found.mean == pytest.approx(129.4, abs=0.05)
    assert found.standard_deviation == pytest.approx(65.1, abs=0.1)
    assert found.across["public_test"]["train"] == 280
    assert len(found.blank) == 13
    # Counted once more with sort and uniq on the text of the csv.
    assert found.duplicates == 32298 - 30766
    assert len(found.duplicate_groups) == 1273
    assert sum(map(len, found.duplicate_groups)) > 1800

    kept, dropped = drop_duplicates(dataset)
    assert kept.splits["public_test"] == 3589
    assert kept.splits["train"] == dropped.kept == 28709 - dropped.total
    again = audit(kept)
    assert (again.within["train"], again.across["train"]["public_test"]) == (0, 0)
