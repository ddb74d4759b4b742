"""The folder of a training run read back: its options, its configuration and its faces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from minicnn.commands.run_folder import FOLD, RunFolder
from minicnn.commands.train_arguments import checked
from minicnn.commands.train_data import (
    DRAWN_NAME,
    VALIDATION_SPLITS,
    Faces,
    labelled,
    load_faces,
)
from minicnn.commands.train_options import Options
from minicnn.data.face_dataset import SPLIT_NAMES, FaceDataset
from minicnn.data.fer2013 import load
from minicnn.data.splits import stratified_kfold
from minicnn.errors import DataError, OptionError
from minicnn.random import Streams

__all__ = [
    "Part",
    "fold_of",
    "refuse_other_data",
    "shown_faces",
    "shown_part",
    "stored_faces",
    "stored_options",
]


OTHERS = "or name faces with --data"


class Part(NamedTuple):
    """Faces on which a trained network is looked at: one split of a source.

    And the training faces of that source, where there are some.
    """

    images: FaceDataset
    split: str
    source: str
    train: FaceDataset | None = None


def stored_options(folder: RunFolder) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the configuration of a run, and its options with every value checked.

    Raises
    ------
    DataError
        The configuration is missing, cannot be read, or is damaged.
    """
    config = folder.stored()
    try:
        return config, checked(config["options"])
    except OptionError as error:
        raise DataError(f"{folder.config}: damaged ({error}); choose another folder") from None


def refuse_other_data(faces: Faces, options: Options, config: dict[str, Any], remedy: str) -> None:
    """Refuse faces that are not those of the run whose configuration it is.

    Raises
    ------
    OptionError
        Their hash is another one.
    """
    stored = config["data"]
    if stored.get("sha256") != faces.train.sha256:
        raise OptionError(
            f"{options.data or DRAWN_NAME}: the run was begun with other data "
            f"({stored.get('source')}, sha256 {str(stored.get('sha256'))[:12]}), this is sha256 "
            f"{faces.train.sha256[:12]}; {remedy}"
        )


def stored_faces(
    folder: RunFolder, faces_of: Callable[[Options], Faces] = load_faces
) -> tuple[Options, Faces]:
    """Return a run's options, and the very splits of the faces that it worked on.

    Of a fold of a cross-validated run, the options of the whole, and the faces as it divided them.

    Parameters
    ----------
    folder : RunFolder
    faces_of : callable
        Gives the faces of some options.

    Raises
    ------
    DataError
        The configuration or the data cannot be read.
    OptionError
        The data are no longer those of the run.
    """
    fold = fold_of(folder)
    config, values = stored_options(folder if fold is None else fold.whole)
    options = Options(**values)
    faces = _faces(options, faces_of)
    refuse_other_data(faces, options, config, f"put the run's own back, {OTHERS}")
    return options, faces if fold is None else _divided(faces, options, fold)


class Fold(NamedTuple):
    """One fold of a cross-validated run: the folder of the whole, and its number from 1."""

    whole: RunFolder
    number: int


def fold_of(folder: RunFolder) -> Fold | None:
    """Return which fold of a cross-validated run a folder is, or None."""
    path = folder.path.resolve()
    whole = RunFolder(path.parent)
    if folder.config.is_file() or not FOLD.fullmatch(path.name) or not whole.config.is_file():
        return None
    return Fold(whole, int(path.name.rpartition("-")[2]))


def _divided(faces: Faces, options: Options, fold: Fold) -> Faces:
    if options.folds is None or not 1 <= fold.number <= options.folds:
        raise OptionError(
            f"{fold.whole}: has no fold {fold.number}, by its config.json; {OTHERS[3:]}"
        )
    labels, rng = faces.train.require_labels(), Streams(options.seed)["folds"]
    training, validation = list(stratified_kfold(labels, options.folds, rng))[fold.number - 1]
    return faces.divided(fold.number, training, validation)


def _faces(options: Options, faces_of: Callable[[Options], Faces]) -> Faces:
    try:
        return faces_of(options)
    except DataError as error:  # nobody has named the file on this command line
        raise DataError(
            f"{error}; it is named in the run's config.json: put it there, {OTHERS}"
        ) from error.__cause__


def shown_part(faces: Faces) -> Part:
    """Return the faces that a run validated on."""
    origin = faces.validation_source
    split = origin if origin in VALIDATION_SPLITS else "validation"
    return Part(faces.require_validation(), split, faces.source)


def shown_faces(folder: RunFolder, data: str | None) -> tuple[Part, FaceDataset]:
    """Return the faces on which a run's network is looked at, and all from which they are.

    Parameters
    ----------
    folder : RunFolder
        With a configuration, unless data are named.
    data : str or None
        None for what the run validated on; of a cross-validated run, no fold is taken, but what a
        plain one validates on. Of other data, the first split with labels is taken, and the
        training images only where there is no other.

    Raises
    ------
    DataError
        The configuration or the data cannot be read, or there are no labels.
    OptionError
        The data are no longer those of the run.
    """
    if data is None:
        config, values = stored_options(folder)
        options = replace(Options(**values), folds=None)
        faces = _faces(options, load_faces)
        refuse_other_data(faces, options, config, f"put the run's own back, {OTHERS}")
        return shown_part(faces), faces.together()
    dataset = load(data)
    parts = {name: dataset.split(name) for name in dataset.splits}
    wanted = dict.fromkeys((*VALIDATION_SPLITS, *reversed(SPLIT_NAMES)))
    found = next((name for name in wanted if labelled(parts.get(name))), None)
    if found is None:
        raise DataError(f"{data}: there are no faces with labels")
    return Part(parts[found], found, data), dataset
