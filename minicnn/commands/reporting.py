"""Gather what the page of a run or of an experiment shows, and write it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.commands.explained_run import explanations_of
from minicnn.commands.explaining import quick_settings
from minicnn.commands.models import refuse_other_faces
from minicnn.commands.run_folder import RunFolder
from minicnn.commands.train_data import Faces
from minicnn.commands.train_options import Options, command
from minicnn.commands.train_run import predicted
from minicnn.commands.trained_run import (
    Part,
    shown_faces,
    shown_part,
    stored_faces,
    stored_options,
)
from minicnn.data.face_dataset import FaceDataset
from minicnn.errors import DataError, MinicnnError
from minicnn.explain.inputs import BATCH_SIZE
from minicnn.files import hash_of
from minicnn.report.explained import Explanations
from minicnn.report.figures import require_matplotlib
from minicnn.report.page import (
    Evaluated,
    build_experiment_report,
    build_report,
    require_jinja,
    require_pillow,
)
from minicnn.training.checkpoint import read_checkpoint
from minicnn.training.crossvalidation import RESULT, fold_folder
from minicnn.zoo.network import Network

__all__ = [
    "MISTAKES",
    "Shown",
    "gather",
    "gather_trained",
    "require_report",
    "stored_explanations",
    "write_experiment_report",
    "write_report",
]

MISTAKES = 12


@dataclass(frozen=True, eq=False)
class Shown:
    """The faces that a page shows.

    Attributes
    ----------
    part : Part
        Those on which the network is explained.
    evaluated : Evaluated
        Those on which it was evaluated, and what it says of them.
    dataset : FaceDataset
        All faces.
    """

    part: Part
    evaluated: Evaluated
    dataset: FaceDataset


def require_report(*, page: bool = True) -> None:
    """Raise OptionError where figures, or a page, cannot be made: before a long run, not after."""
    require_matplotlib()
    if page:
        require_jinja()
        require_pillow()


def gather(
    folder: RunFolder, network: Network, *, data: str | None = None, batch_size: int | None = None
) -> Shown:
    """Load the faces of a run, or others, and let its network predict them.

    Of a cross-validated run, each face is predicted by the fold that did not train on it.

    Raises
    ------
    MinicnnError
        They cannot be read, are no longer those of the run, or do not fit the network.
    """
    part, dataset = shown_faces(folder, data)
    refuse_other_faces(network, part.images, part.source)
    evaluated = _out_of_fold(folder) if data is None else None
    if evaluated is None:
        # In batches as those of the run, the same numbers come out to the last bit.
        stored = folder.stored()["options"].get("batch_size", Options.batch_size)
        options = Options(batch_size=batch_size or stored)
        probabilities = predicted(network, part.images, options)
        evaluated = Evaluated(part.images, probabilities, part.split, part.source)
    return Shown(part, evaluated, dataset)


def gather_trained(faces: Faces, probabilities: np.ndarray) -> Shown:
    """Return the faces of a run that has just ended, with what was predicted for validation."""
    part = shown_part(faces)
    evaluated = Evaluated(part.images, probabilities, part.split, part.source)
    return Shown(part, evaluated, faces.together())


def _out_of_fold(folder: RunFolder) -> Evaluated | None:
    # None of a run that was not cross-validated, or whose folds are not all there any more.
    folds = folder.stored()["options"].get("folds")
    files = [fold_folder(folder.path, n, folds) / RESULT for n in range(1, (folds or 0) + 1)]
    if not files or not all(file.is_file() for file in files):
        return None
    _, faces = stored_faces(folder)
    parts = [read_checkpoint(file) for file in files]
    probabilities = np.empty((len(faces.train), parts[0]["probabilities"].shape[1]), np.float32)
    for part in parts:
        probabilities[part["rows"]] = part["probabilities"]
    return Evaluated(faces.train, probabilities, f"all {folds} folds", faces.source)


def write_report(
    folder: RunFolder,
    network: Network,
    shown: Shown | None,
    *,
    missing: str = "",
    mistakes: int = MISTAKES,
    batch_size: int = BATCH_SIZE,
) -> Path:
    """Write the page of a run; where there are no explanations, with a quick look.

    Parameters
    ----------
    folder : RunFolder
        Held by whoever calls this.
    network : Network
        Of the run.
    shown : Shown, optional
        The faces.
    missing : str
        Why there are no faces.
    mistakes : int
        How many are shown.
    batch_size : int
        Images that the network sees at once.

    Returns
    -------
    Path
        Of the page.
    """
    why, explanations = "", stored_explanations(folder)
    evaluated = None if shown is None else shown.evaluated
    if evaluated is not None and not np.isfinite(evaluated.probabilities).all():
        evaluated = explanations = None
        missing = why = "the scores of the network are not finite numbers, its training diverged"
    elif explanations is None and shown is not None:
        try:
            settings = quick_settings(network, batch_size=batch_size)
            explanations = explanations_of(
                network, shown.part, settings, lambda text: None, weights=folder.weights
            )
        except MinicnnError as error:
            why = str(error)
    return build_report(
        folder.path,
        evaluated=evaluated,
        dataset=None if shown is None else shown.dataset,
        explanations=explanations,
        missing=missing,
        missing_explanations=why,
        config=_completed(folder),
        faces=mistakes,
    )


def _completed(folder: RunFolder) -> dict[str, Any] | None:
    """Return a run's configuration with later options as they were before; None of a damaged one.

    By the command of its time it would now be repeated with their defaults.
    """
    try:
        config, values = stored_options(folder)
    except DataError:
        return None
    words = shlex.split(config.get("command") or "")
    if "--out" not in words[:-1]:
        return config
    place = words.index("--out")
    repeated = command(" ".join(words[:place]), Options(**values), words[place + 1])
    return {**config, "options": values, "command": shlex.join(repeated)}


def write_experiment_report(folder: Path, run: RunFolder) -> Path:
    """Write the page of an experiment.

    Parameters
    ----------
    folder : Path
        Of the experiment.
    run : RunFolder
        One of its runs, whose faces are those of all.

    Returns
    -------
    Path
        Of the page.
    """
    try:
        _, dataset = shown_faces(run, None)
    except MinicnnError as error:
        return build_experiment_report(folder, missing=str(error))
    return build_experiment_report(folder, dataset=dataset)


def stored_explanations(folder: RunFolder) -> Explanations | None:
    """Return the explanations that lie in a run's folder, if they are whole and of its weights."""
    try:
        found = Explanations.load(folder.explanations)
    except DataError:
        return None
    mine = found.content.get("weights_sha256") == hash_of(folder.weights)
    return found if found.complete and mine else None
