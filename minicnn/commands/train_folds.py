"""A cross-validated training run: one run a fold, and what all folds give together."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from minicnn import zoo
from minicnn.commands.run_folder import RunFolder
from minicnn.commands.train_data import Faces
from minicnn.commands.train_options import Options
from minicnn.commands.train_run import (
    TEST_SPLITS,
    predicted,
    train_faces,
    write_figures,
    write_outputs,
)
from minicnn.data.predictions import write_predictions
from minicnn.files import write_json
from minicnn.random import Streams
from minicnn.training.crossvalidation import CrossValidation, cross_validate, fold_folder
from minicnn.training.history import FOLD_COLUMNS, History, mean_history, write_rows

__all__ = ["run_folds"]


def run_folds(
    faces: Faces,
    folder: RunFolder,
    options: Options,
    *,
    resume: bool,
    quiet: bool,
    begun: Callable[[], None],
) -> tuple[CrossValidation, str]:
    """Train a network on each of K divisions of the training images, and write all files.

    Every fold has a folder of its own with the files of a run. In the folder of the whole there are
    the same: the confusion matrix of all folds' validation images together, the mean history, the
    histories of all folds, and the weights of the fold with the best validation accuracy. The other
    parameters are those of :func:`train_faces`.

    Returns
    -------
    CrossValidation
    str
        The split whose predictions were written: of a test split, from the folds' mean
        probabilities; else of all images, each from the fold that did not train on it.
    """
    folds = options.folds or 0

    def train_fold(fold: int, training: np.ndarray, validation: np.ndarray, path: Path) -> Any:
        if not quiet:
            print(f"fold {fold} of {folds}: {len(training):,} images, {len(validation):,} to "
                  "validate on", flush=True)  # fmt: skip
        own = RunFolder(path)
        own.make()
        own.tidy()
        part = replace(faces.divided(fold, training, validation), others={}, dropped=None)
        result = train_faces(
            part,
            own,
            options,
            seed=fold_seed(options.seed, fold),
            resume=resume,
            quiet=quiet,
            begun=begun,
        )
        write_outputs(part, own, options, result)
        return result.probabilities["validation"]

    found = cross_validate(
        faces.train.require_labels(),
        folds=folds,
        rng=Streams(options.seed)["folds"],
        train=train_fold,
        directory=folder.path,
        settings={"epochs": options.epochs, "patience": options.patience},
    )
    runs = [RunFolder(fold_folder(folder.path, fold, folds)) for fold in range(1, folds + 1)]
    return found, _write_files(faces, folder, options, found, runs)


def fold_seed(seed: int, fold: int) -> int:
    """Return the seed of a fold, so that no two folds begin with the same weights."""
    return int(np.random.SeedSequence([seed, fold]).generate_state(1)[0])


def _write_files(
    faces: Faces,
    folder: RunFolder,
    options: Options,
    found: CrossValidation,
    runs: list[RunFolder],
) -> str:
    """Write what all folds give together; return the split whose predictions were written."""
    split = next((name for name in TEST_SPLITS if name in faces.others), "validation")
    part, probabilities = faces.train, found.probabilities
    if split in faces.others:
        part = faces.others[split]
        by_run = [predicted(zoo.load(run.weights), part, options) for run in runs]
        probabilities = np.mean(by_run, axis=0)
    write_predictions(folder.predictions, part.ids, probabilities.argmax(axis=1))
    histories = [History.read_csv(run.history) for run in runs]
    rows = [{"fold": i, **row} for i, each in enumerate(histories, 1) for row in each]
    write_rows(folder.history, FOLD_COLUMNS, rows)
    best = int(np.argmax([scores.accuracy for scores in found.fold_scores]))
    temporary = folder.weights.with_name(f".{folder.weights.name}.copy.tmp")
    shutil.copyfile(runs[best].weights, temporary)
    temporary.replace(folder.weights)
    names = faces.train.class_names
    what = f"validation of all {len(runs)} folds"
    write_figures(folder, options, mean_history(histories), found.scores, names, what=what)
    content = {
        "model": options.model,
        "epochs": options.epochs,
        "data": faces.source,
        "validation_source": f"{len(runs)} folds",
        "weights_of_fold": best + 1,
        "splits": {"validation": found.scores.to_dict(names)},
        "folds": [scores.to_dict(names) for scores in found.fold_scores],
    }
    write_json(folder.metrics, content)
    return split
