"""Find faults of a data set by counting: duplicates, conflicting labels, blank images."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from minicnn.data.face_dataset import UNLABELLED, FaceDataset

__all__ = ["BLANK_RANGE", "Audit", "Dropped", "audit", "drop_duplicates"]

BLANK_RANGE = 8  # grey values; compression leaves a plain picture with a few, not with one


@dataclass(frozen=True)
class Audit:
    """What :func:`audit` found.

    Attributes
    ----------
    images : int
        Number of images.
    class_counts : dict of str to dict of str to int
        For each split, how many images each class has; ``unlabelled`` where some have no label.
    mean, standard_deviation : float
        Of all grey values, 0 to 255.
    duplicate_groups : tuple of tuples of int
        Indices of images that are equal in every pixel, for each picture that stands more than
        once.
    duplicates : int
        How many images could be left out without losing a picture.
    within : dict of str to int
        The same for each split by itself.
    across : dict of str to dict of str to int
        ``across[a][b]`` images of split ``a`` stand in split ``b`` too.
    conflicting_groups : tuple of tuples of int
        Those duplicate groups whose images have different labels.
    blank : tuple of int
        Indices of images that show nothing: their grey values differ by :data:`BLANK_RANGE` at
        most.
    """

    images: int
    class_counts: dict[str, dict[str, int]]
    mean: float
    standard_deviation: float
    duplicate_groups: tuple[tuple[int, ...], ...]
    duplicates: int
    within: dict[str, int]
    across: dict[str, dict[str, int]]
    conflicting_groups: tuple[tuple[int, ...], ...]
    blank: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dict that JSON can hold."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [
            f"{self.images:,} images, grey values of mean {self.mean:.1f} and standard deviation "
            f"{self.standard_deviation:.1f}"
        ]
        for split, counts in self.class_counts.items():
            classes = ", ".join(f"{name} {count:,}" for name, count in counts.items())
            lines.append(f"{split}: {sum(counts.values()):,} images ({classes})")
        involved = sum(map(len, self.duplicate_groups))
        lines.append(
            f"exact duplicates: {self.duplicates:,} ({involved:,} images show "
            f"{len(self.duplicate_groups):,} pictures)"
        )
        lines += [f"  within {split}: {count:,}" for split, count in self.within.items()]
        for split, others in self.across.items():
            lines += [
                f"  of {split}, also in {other}: {count:,}" for other, count in others.items()
            ]
        lines.append(f"pictures with conflicting labels: {len(self.conflicting_groups):,}")
        lines.append(f"blank images: {len(self.blank):,}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Dropped:
    """How many training images :func:`drop_duplicates` left out, and why.

    Attributes
    ----------
    blank : int
        Images that show nothing.
    in_evaluation : int
        Images that stand in another split too.
    repeated : int
        Images that stand in the training split already.
    kept : int
        Training images that are left.
    """

    blank: int
    in_evaluation: int
    repeated: int
    kept: int

    @property
    def total(self) -> int:
        """How many were left out altogether."""
        return self.blank + self.in_evaluation + self.repeated

    def to_dict(self) -> dict[str, int]:
        """Return everything as a dict that JSON can hold."""
        return {**asdict(self), "total": self.total}

    def __str__(self) -> str:
        return (
            f"dropped {self.total:,} training images ({self.in_evaluation:,} also in an evaluation "
            f"split, {self.repeated:,} repeated, {self.blank:,} blank), kept {self.kept:,}"
        )


def audit(dataset: FaceDataset) -> Audit:
    """Count classes, exact duplicates within and across splits, conflicting labels, blank images.

    Parameters
    ----------
    dataset : FaceDataset

    Returns
    -------
    Audit
        Print it to read it; ``to_dict()`` for JSON.
    """
    splits = tuple(dataset.splits)
    picture = _pictures(dataset)
    order = np.argsort(picture, kind="stable")
    _, starts, counts = np.unique(picture[order], return_index=True, return_counts=True)
    groups = tuple(
        tuple(int(index) for index in order[start : start + count])
        for start, count in zip(starts, counts, strict=True)
        if count > 1
    )
    in_split = {name: picture[dataset.usage == name] for name in splits}
    across = {
        a: {b: int(np.isin(in_split[a], in_split[b]).sum()) for b in splits if b != a}
        for a in splits
    }
    mean, deviation = _moments(dataset.images)
    return Audit(
        images=len(dataset),
        class_counts={name: _class_counts(dataset, name) for name in splits},
        mean=mean,
        standard_deviation=deviation,
        duplicate_groups=groups,
        duplicates=len(picture) - len(counts),
        within={name: len(part) - len(np.unique(part)) for name, part in in_split.items()},
        across=across,
        conflicting_groups=tuple(group for group in groups if _conflicting(dataset, group)),
        blank=tuple(int(index) for index in np.flatnonzero(_blank(dataset.images))),
    )


def drop_duplicates(dataset: FaceDataset, *, blanks: bool = True) -> tuple[FaceDataset, Dropped]:
    """Leave out training images that are blank, stand in another split, or stand there twice.

    Of a picture that stands in the training split more than once, the first is kept, with its
    label. All other splits stay whole, so that results remain comparable.

    Parameters
    ----------
    dataset : FaceDataset
    blanks : bool
        Whether blank images are left out; otherwise they count as pictures like any other.

    Returns
    -------
    dataset : FaceDataset
        What is left, in the same order.
    dropped : Dropped
        How many were left out and why; each is counted once, under the first of the three reasons
        that holds.
    """
    train = dataset.usage == "train"
    picture = _pictures(dataset)
    blank = train & _blank(dataset.images) & blanks
    leaked = train & ~blank & np.isin(picture, picture[~train])
    first = np.zeros(len(dataset), bool)
    candidates = np.flatnonzero(train & ~blank & ~leaked)
    first[candidates[np.unique(picture[candidates], return_index=True)[1]]] = True
    repeated = train & ~blank & ~leaked & ~first
    dropped = Dropped(
        blank=int(blank.sum()),
        in_evaluation=int(leaked.sum()),
        repeated=int(repeated.sum()),
        kept=int(first.sum()),
    )
    return dataset.subset(~(blank | leaked | repeated)), dropped


def _pictures(dataset: FaceDataset) -> np.ndarray:
    """Return a number for each image, the same for images that are equal in every pixel."""
    numbers: dict[bytes, int] = {}
    return np.array(
        [numbers.setdefault(image.tobytes(), len(numbers)) for image in dataset.images], np.int64
    )


def _blank(images: np.ndarray) -> np.ndarray:
    # The difference of the largest and the smallest value cannot wrap around in uint8.
    return images.max(axis=(1, 2, 3)) - images.min(axis=(1, 2, 3)) <= BLANK_RANGE


def _moments(images: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation, exact: from how often each grey value stands."""
    counts = np.bincount(images.reshape(-1), minlength=256)
    total = max(int(counts.sum()), 1)
    values = np.arange(256)
    mean = float(counts @ values) / total
    return mean, float(np.sqrt(counts @ (values - mean) ** 2 / total))


def _class_counts(dataset: FaceDataset, split: str) -> dict[str, int]:
    if dataset.labels is None:
        return {"unlabelled": dataset.splits[split]}
    counts = Counter(dataset.labels[dataset.usage == split].tolist())
    named = {name: counts[label] for label, name in enumerate(dataset.class_names)}
    unlabelled = counts[UNLABELLED]
    if unlabelled == sum(counts.values()):
        return {"unlabelled": unlabelled}
    return named | ({"unlabelled": unlabelled} if unlabelled else {})


def _conflicting(dataset: FaceDataset, group: tuple[int, ...]) -> bool:
    if dataset.labels is None:
        return False
    return len(set(dataset.labels[list(group)].tolist()) - {UNLABELLED}) > 1
