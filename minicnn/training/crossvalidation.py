"""Stratified k-fold cross-validation, one folder a fold, which goes on where it was broken off."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.data.splits import stratified_kfold
from minicnn.errors import CheckpointError, ShapeError
from minicnn.training.checkpoint import read_checkpoint, write_checkpoint
from minicnn.training.evaluation import scores_of
from minicnn.training.metrics import Scores

__all__ = ["CrossValidation", "cross_validate", "fold_folder"]

RESULT = "out_of_fold.safetensors"

TrainFold = Callable[[int, np.ndarray, np.ndarray, Path], np.ndarray]


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """What a cross-validation gave.

    Attributes
    ----------
    probabilities : float array of shape (N, K)
        Of each sample, from the model that did not see it in training.
    fold : int64 array of shape (N,)
        The fold, from 1, in whose validation part each sample was.
    scores : Scores
        Of all samples together.
    fold_scores : tuple of Scores
        Of each fold's validation part.
    """

    probabilities: np.ndarray
    fold: np.ndarray
    scores: Scores
    fold_scores: tuple[Scores, ...]


def fold_folder(directory: str | os.PathLike[str], fold: int, folds: int) -> Path:
    """Return the folder of a fold: ``fold-03`` of ten or more, ``fold-3`` of fewer."""
    return Path(directory) / f"fold-{fold:0{len(str(folds))}d}"


def cross_validate(
    labels: np.ndarray,
    *,
    folds: int,
    rng: np.random.Generator,
    train: TrainFold,
    directory: str | os.PathLike[str],
    settings: Mapping[str, Any] | None = None,
) -> CrossValidation:
    """Train once a fold on the other folds, and predict each sample by the model that never saw it.

    Parameters
    ----------
    labels : integer array of shape (N,)
    folds : int
        2 or more. Each has the same share of every class.
    rng : numpy.random.Generator
        Draws which samples go into which fold.
    train : callable
        (fold from 1, training rows, validation rows, folder) to the probabilities of the validation
        rows, (n, K). The folder exists.
    directory : str or os.PathLike
        Gets a folder for each fold. One whose result lies there already is not trained again.
    settings : mapping of str to number, text or None, optional
        Stored with each result: one that was reached with other settings (fewer epochs) does not
        count, and the fold is trained.

    Returns
    -------
    CrossValidation

    Raises
    ------
    CheckpointError
        A folder holds the result of another division into folds.
    ShapeError
        `train` returned something else than a row for each validation sample.
    """
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for fold, (training, validation) in enumerate(stratified_kfold(labels, folds, rng), 1):
        folder = fold_folder(directory, fold, folds)
        folder.mkdir(parents=True, exist_ok=True)
        probabilities = _read(folder / RESULT, validation, dict(settings or {}))
        if probabilities is None:
            probabilities = np.asarray(train(fold, training, validation, folder))
            if probabilities.ndim != 2 or len(probabilities) != len(validation):
                raise ShapeError(
                    f"cross_validate: fold {fold} has {len(validation)} validation samples, "
                    f"training it gave probabilities of shape {probabilities.shape}"
                )
            state = {
                "rows": validation,
                "probabilities": probabilities,
                "settings": dict(settings or {}),
            }
            write_checkpoint(folder / RESULT, state)
        found.append((validation, probabilities))
    return _combined(labels, found)


def _read(path: Path, validation: np.ndarray, settings: dict[str, Any]) -> np.ndarray | None:
    """Return a fold's result, if there is one of these settings."""
    if not path.exists():
        return None
    state = read_checkpoint(path)
    if not np.array_equal(state["rows"], validation):
        raise CheckpointError(
            f"{path}: the result of another division into folds; use another folder, or the same "
            "data, seed and number of folds"
        )
    return state["probabilities"] if state["settings"] == settings else None


def _combined(labels: np.ndarray, found: list[tuple[np.ndarray, np.ndarray]]) -> CrossValidation:
    classes = found[0][1].shape[1]
    probabilities = np.zeros((len(labels), classes), found[0][1].dtype)
    fold = np.zeros(len(labels), np.int64)
    for number, (rows, part) in enumerate(found, 1):
        probabilities[rows] = part
        fold[rows] = number
    return CrossValidation(
        probabilities,
        fold,
        scores_of(probabilities, labels),
        tuple(scores_of(part, labels[rows]) for rows, part in found),
    )
