"""The faces of a training run: loaded or drawn, divided into splits, and delivered in batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from minicnn.commands.train_options import AUGMENTATIONS, Options
from minicnn.data.auditing import Dropped, drop_duplicates
from minicnn.data.augment import Augmentation
from minicnn.data.augmentation_schedule import AugmentationSchedule
from minicnn.data.face_dataset import UNLABELLED, FaceDataset
from minicnn.data.faces import drawn_faces_dataset
from minicnn.data.fer2013 import load
from minicnn.data.loader import DataLoader
from minicnn.data.normalize import Normalization
from minicnn.data.splits import limit, stratified_split
from minicnn.errors import DataError, OptionError
from minicnn.random import Streams

__all__ = [
    "Faces",
    "evaluation_loader",
    "labelled",
    "limited",
    "load_faces",
    "loading_once",
    "make_augmentation",
    "training_loader",
]

DRAWN = {"train": 6000, "validation": 1500}
DRAWN_NAME = "drawn faces (built in, not real faces)"
VALIDATION_SPLITS = ("public_test", "validation")  # the first of them that has labels is used
GROWTH = 8  # pixels that images grow by at once; the stages of a network halve them thrice
# The options that the faces of a run hang on.
DATA_OPTIONS = ("data", "validation_fraction", "limit", "drop_duplicates", "folds", "seed")


@dataclass(frozen=True)
class Faces:
    """The splits of a run.

    Attributes
    ----------
    train : FaceDataset
    validation : FaceDataset or None
        None before the training images are divided into folds.
    others : dict of str to FaceDataset
        Further splits, with labels or without.
    source : str
        The path, or what was drawn.
    validation_source : str
        Which split the validation images are.
    dropped : Dropped or None
        What ``--drop-duplicates`` left out.
    """

    train: FaceDataset
    validation: FaceDataset | None
    others: dict[str, FaceDataset] = field(default_factory=dict)
    source: str = DRAWN_NAME
    validation_source: str = "validation"
    dropped: Dropped | None = None

    def require_validation(self) -> FaceDataset:
        """Return the validation images where there are some.

        Raises
        ------
        DataError
            The training images were not divided yet.
        """
        if self.validation is None:
            raise DataError(f"{self.source}: the training images are not divided into folds yet")
        return self.validation

    def divided(self, fold: int, training: np.ndarray, validation: np.ndarray) -> Faces:
        """Return the faces of a fold, by the rows of the training images for its two parts."""
        return replace(
            self,
            train=self.train.subset(training),
            validation=self.train.subset(validation),
            validation_source=f"fold {fold}",
        )

    def counts(self) -> dict[str, int]:
        """Return the number of images in each split."""
        validation = {} if self.validation is None else {"validation": len(self.validation)}
        others = {name: len(part) for name, part in self.others.items()}
        return {"train": len(self.train), **validation, **others}

    def together(self) -> FaceDataset:
        """Return all splits as one data set; what was cut off "train" is called "validation"."""
        origin = self.validation_source
        validation = origin if origin in VALIDATION_SPLITS else "validation"
        named = {"train": self.train, validation: self.validation, **self.others}
        parts = {name: part for name, part in named.items() if part is not None}
        labels = [
            np.full(len(part), UNLABELLED) if part.labels is None else part.labels
            for part in parts.values()
        ]
        return FaceDataset(
            np.concatenate([part.images for part in parts.values()]),
            np.concatenate(labels),
            np.concatenate([part.ids for part in parts.values()]),
            np.repeat(list(parts), [len(part) for part in parts.values()]),
            self.train.class_names,
            self.train.sha256,
        )


def load_faces(options: Options) -> Faces:
    """Load or draw the faces and divide them as the options say.

    Raises
    ------
    DataError
        There is nothing at the path, it is damaged, or it has no labelled training images.
    OptionError
        A part would be empty.
    """
    streams = Streams(options.seed)
    if options.data is None:
        n = {name: min(count, options.limit or count) for name, count in DRAWN.items()}
        dataset = drawn_faces_dataset(options.seed, train=n["train"], validation=n["validation"])
        source = DRAWN_NAME
    else:
        dataset, source = load(options.data), options.data
    dropped = None
    if options.drop_duplicates:
        dataset, dropped = drop_duplicates(dataset)
    if "train" not in dataset.splits:
        raise DataError(
            f"{source}: there are no training images, only {', '.join(dataset.splits)}; "
            "give --data with a Training part"
        )
    parts = {name: dataset.split(name) for name in dataset.splits}
    train = parts.pop("train")
    train.require_labels()
    validation, origin = None, "folds"
    if options.folds is None:
        origin = next((name for name in VALIDATION_SPLITS if labelled(parts.get(name))), "train")
        if origin != "train":
            validation = parts.pop(origin)
        else:
            labels, rng = train.require_labels(), streams["validation split"]
            try:
                rows, others = stratified_split(labels, options.validation_fraction, rng)
            except OptionError as error:
                raise OptionError(f"{source}: --validation-fraction: {error}") from None
            train, validation = train.subset(rows), train.subset(others)
    if options.limit is not None:
        train = limited(train, options.limit, streams["limit: train"])
        if validation is not None:
            validation = limited(validation, options.limit, streams["limit: validation"])
        parts = {
            name: limited(part, options.limit, streams[f"limit: {name}"])
            for name, part in parts.items()
        }
    return Faces(train, validation, parts, source, origin, dropped)


def loading_once() -> Callable[[Options], Faces]:
    """Return :func:`load_faces` for several runs: those with the same faces get one object."""
    found: dict[tuple[Any, ...], Faces] = {}

    def faces_of(options: Options) -> Faces:
        key = tuple(getattr(options, name) for name in DATA_OPTIONS)
        if key not in found:
            found[key] = load_faces(options)
        return found[key]

    return faces_of


def labelled(dataset: FaceDataset | None) -> bool:
    """Tell whether there are images and every one of them has a label."""
    return dataset is not None and dataset.labels is not None and UNLABELLED not in dataset.labels


def limited(dataset: FaceDataset, count: int, rng: np.random.Generator) -> FaceDataset:
    """Return at most so many images: the same share of each class, or the first without labels."""
    if not labelled(dataset):
        return dataset.subset(np.arange(min(count, len(dataset))))
    return dataset.subset(limit(dataset.require_labels(), count, rng))


def make_augmentation(options: Options, size: int) -> Augmentation | AugmentationSchedule | None:
    """Return what the options describe for images of a size, in all epochs or by a schedule."""
    named = AUGMENTATIONS[options.augment]
    full = replace(
        named or Augmentation(),
        random_erasing=options.erasing,
        mixup=options.mixup,
        cutmix=options.cutmix,
    )
    recipes: list[Augmentation | None] = [None if full == Augmentation() else full]
    changes = []
    if options.grow_from is not None:
        sizes = range(options.grow_from, size, GROWTH)
        recipes = [*(replace(full, size=each) for each in sizes), *recipes]
        changes = [options.epochs * n // len(recipes) for n in range(1, len(recipes))]
    if options.plain_tail:
        recipes.append(None if named is None else AUGMENTATIONS["flip"])
        changes = [min(each, options.epochs - options.plain_tail) for each in changes]
        changes.append(options.epochs - options.plain_tail)
    return AugmentationSchedule(recipes=recipes, changes=changes) if changes else recipes[0]


def training_loader(
    dataset: FaceDataset,
    options: Options,
    normalization: Normalization,
    rng: np.random.Generator,
    targets: np.ndarray | None = None,
) -> DataLoader:
    """Return the loader of the training images: shuffled, and augmented as the options say.

    It gives the labels, or what is given instead: targets (N, K), or rows (N,), whose faces cannot
    be mixed.
    """
    count = len(dataset)
    rows = targets is not None and targets.ndim == 1
    return DataLoader(
        dataset.images,
        dataset.require_labels() if targets is None else targets,
        batch_size=options.batch_size,
        shuffle=True,
        rng=rng,
        augmentation=make_augmentation(options, dataset.images.shape[1]),
        normalization=normalization,
        # Batch norm cannot work with a batch of one image.
        drop_last=count % options.batch_size == 1 and count > options.batch_size,
        prefetch=2 if options.prefetch else 0,
        num_classes=None if rows else len(dataset.class_names),
    )


def evaluation_loader(
    dataset: FaceDataset, options: Options, normalization: Normalization | None
) -> DataLoader:
    """Return a loader of all images as they are, in their order; without labels, with zeros."""
    labels = dataset.labels if labelled(dataset) else np.zeros(len(dataset), np.int64)
    return DataLoader(
        dataset.images,
        np.asarray(labels),
        batch_size=options.batch_size,
        normalization=normalization,
        prefetch=2 if options.prefetch else 0,
    )
