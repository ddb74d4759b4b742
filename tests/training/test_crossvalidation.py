"""Cross-validation: every sample predicted once by a model that did not see it."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.errors import CheckpointError, ShapeError
from minicnn.training.crossvalidation import cross_validate, fold_folder

pytestmark = pytest.mark.host

LABELS = np.arange(30) % 3


class Train:
    """Predicts the true class, except for samples whose index is a multiple of five."""

    def __init__(self, fail_in=None):
        self.calls, self.fail_in = [], fail_in

    def __call__(self, fold, training, validation, folder):
        assert folder.is_dir()
        self.calls.append(fold)
        if fold == self.fail_in:
            raise KeyboardInterrupt
        assert sorted([*training, *validation]) == list(range(30))
        predicted = np.where(validation % 5 == 0, (LABELS[validation] + 1) % 3, LABELS[validation])
        return np.eye(3, dtype=np.float32)[predicted] * 0.9 + np.float32(0.1 / 3)


def validate(train, folder, *, folds=3, seed=0, settings=None):
    return cross_validate(
        LABELS,
        folds=folds,
        rng=np.random.default_rng(seed),
        train=train,
        directory=folder,
        settings=settings,
    )


def test_the_confusion_is_over_the_validation_samples_of_all_folds(tmp_path):
    train = Train()
    found = validate(train, tmp_path)
    assert train.calls == [1, 2, 3]
    assert found.scores.confusion.tolist() == [[8, 2, 0], [0, 8, 2], [2, 0, 8]]
    assert found.scores.accuracy == 0.8
    assert sum(scores.count for scores in found.fold_scores) == 30
    assert [(found.fold == fold).sum() for fold in (1, 2, 3)] == [10, 10, 10]
    np.testing.assert_array_equal(
        found.probabilities.argmax(axis=1) != LABELS, np.arange(30) % 5 == 0
    )


def test_finished_folds_are_not_trained_again(tmp_path):
    first = Train(fail_in=2)
    with pytest.raises(KeyboardInterrupt):
        validate(first, tmp_path)
    second = Train()
    found = validate(second, tmp_path)
    assert second.calls == [2, 3]
    np.testing.assert_array_equal(
        found.probabilities, validate(Train(), tmp_path / "anew").probabilities
    )


def test_folds_of_other_settings_are_trained_again(tmp_path):
    validate(Train(), tmp_path, settings={"epochs": 1})
    train = Train()
    validate(train, tmp_path, settings={"epochs": 1})
    assert train.calls == []
    validate(train, tmp_path, settings={"epochs": 2})
    assert train.calls == [1, 2, 3]


def test_results_of_another_division_are_refused(tmp_path):
    validate(Train(), tmp_path)
    with pytest.raises(CheckpointError, match="another division into folds"):
        validate(Train(), tmp_path, seed=1)


def test_a_wrong_number_of_predictions_is_refused(tmp_path):
    with pytest.raises(ShapeError, match=r"10 validation samples.*\(3, 3\)"):
        validate(lambda *arguments: np.eye(3), tmp_path)


def test_folders_sort_by_fold():
    assert fold_folder("runs", 3, 9).name == "fold-3"
    assert fold_folder("runs", 3, 20).name == "fold-03"
