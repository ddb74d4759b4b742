"""Hold face images with labels, ids and splits, under the names that FER-2013 gives them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from minicnn.errors import DataError, DTypeError, OptionError, ShapeError

__all__ = [
    "CLASS_NAMES",
    "SIDE",
    "SPLIT_NAMES",
    "UNLABELLED",
    "FaceCollector",
    "FaceDataset",
    "parse_class_name",
    "parse_split",
]

CLASS_NAMES = ("Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral")
SPLIT_NAMES = ("train", "validation", "public_test", "private_test", "test")
SIDE = 48
UNLABELLED = -1

_CLASS_WORDS = {
    "angry": 0,
    "anger": 0,
    "disgust": 1,
    "disgusted": 1,
    "fear": 2,
    "fearful": 2,
    "happy": 3,
    "happiness": 3,
    "sad": 4,
    "sadness": 4,
    "surprise": 5,
    "surprised": 5,
    "neutral": 6,
}
_SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "publictest": "public_test",
    "privatetest": "private_test",
    "test": "test",
    "testing": "test",
}


def parse_class_name(text: str) -> int | None:
    """Return the label that a class name in any of its usual spellings stands for, or None."""
    return _CLASS_WORDS.get(text.strip().lower())


def parse_split(text: str) -> str | None:
    """Return the split that a name such as ``PublicTest`` or ``train_img`` speaks of, or None."""
    words = re.findall("[a-z]+", text.lower())
    whole = _SPLIT_WORDS.get("".join(words))
    if whole is not None:
        return whole
    found = {_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS}
    return found.pop() if len(found) == 1 else None


@dataclass(frozen=True, eq=False, repr=False)
class FaceDataset:
    """Images on the host with their labels, their ids and the split each of them belongs to.

    Attributes
    ----------
    images : uint8 array of shape (N, H, W, C)
        Grey values, 0 to 255.
    labels : int64 array of shape (N,), or None
        Indices into ``class_names``. None when no image has a label; where only some have one, the
        others have :data:`UNLABELLED` (-1).
    ids : str array of shape (N,)
        What names an image in its source: the id column, the file name, or else the number of the
        row, counted from 0. Unique within a split only.
    usage : str array of shape (N,)
        The split of each image, one of :data:`SPLIT_NAMES`.
    class_names : tuple of str
        The name of each label.
    sha256 : str
        Hash, in hexadecimal digits, of everything above as it was first made: a subset keeps the
        hash of what it was taken from. Two sources with the same content have the same hash,
        however they are packed. Computed when left empty.

    Raises
    ------
    ShapeError, DTypeError, DataError
        If the parts do not fit together.
    """

    images: np.ndarray
    labels: np.ndarray | None
    ids: np.ndarray
    usage: np.ndarray
    class_names: tuple[str, ...] = CLASS_NAMES
    sha256: str = ""

    def __post_init__(self) -> None:
        if self.images.ndim != 4:
            raise ShapeError(f"images: expected the shape (N, H, W, C), got {self.images.shape}")
        if self.images.dtype != np.uint8:
            raise DTypeError(f"images: expected uint8, got {self.images.dtype}")
        for name in ("labels", "ids", "usage"):
            array = getattr(self, name)
            if array is not None and array.shape != (len(self),):
                raise ShapeError(
                    f"{name}: expected one for each of {len(self)} images, got {array.shape}"
                )
        unknown = np.setdiff1d(self.usage, SPLIT_NAMES)
        if unknown.size:
            raise DataError(
                f'usage: unknown split "{unknown[0]}"; expected one of {", ".join(SPLIT_NAMES)}'
            )
        if self.labels is not None and len(self):
            if self.labels.min() < UNLABELLED or self.labels.max() >= len(self.class_names):
                raise DataError(
                    f"labels: expected 0 to {len(self.class_names) - 1}, got "
                    f"{self.labels.min()} to {self.labels.max()}"
                )
            if (self.labels == UNLABELLED).all():
                object.__setattr__(self, "labels", None)
        if not self.sha256:
            object.__setattr__(self, "sha256", self.content_hash())

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        size = "x".join(str(side) for side in self.images.shape[1:])
        parts = ", ".join(f"{name} {count}" for name, count in self.splits.items())
        return f"FaceDataset({len(self)} images of {size}: {parts or 'none'})"

    @property
    def splits(self) -> dict[str, int]:
        """The splits that have images, in the order of :data:`SPLIT_NAMES`, and how many."""
        counts = {name: int((self.usage == name).sum()) for name in SPLIT_NAMES}
        return {name: count for name, count in counts.items() if count}

    def indices(self, name: str) -> np.ndarray:
        """Return the ascending indices of the images in a split.

        Raises
        ------
        OptionError
            If the data has no such split.
        """
        if name not in self.splits:
            raise OptionError(
                f"split: the data has no {name!r}; it has {', '.join(self.splits) or 'no images'}"
            )
        return np.flatnonzero(self.usage == name)

    def split(self, name: str) -> FaceDataset:
        """Return the images of one split, as a copy.

        Raises
        ------
        OptionError
            If the data has no such split.
        """
        return self.subset(self.indices(name))

    def subset(self, indices: ArrayLike | Sequence[int]) -> FaceDataset:
        """Return a copy of some of the images.

        Parameters
        ----------
        indices : integer array, or boolean array of shape (N,)
            Which images, in which order; or a mask of those to keep.

        Returns
        -------
        FaceDataset
            With the hash of this one.
        """
        chosen = np.asarray(indices)
        if not chosen.size and chosen.dtype != np.bool_:
            chosen = chosen.astype(np.int64)  # an empty list has no integer type
        return FaceDataset(
            self.images[chosen],
            None if self.labels is None else self.labels[chosen],
            self.ids[chosen],
            self.usage[chosen],
            self.class_names,
            self.sha256,
        )

    def require_labels(self) -> np.ndarray:
        """Return the labels where every image has one.

        Returns
        -------
        int64 array of shape (N,)

        Raises
        ------
        DataError
            If any image has no label.
        """
        missing = len(self) if self.labels is None else int((self.labels == UNLABELLED).sum())
        if self.labels is None or missing:
            raise DataError(
                f"{missing} of {len(self)} images have no label; train and evaluate on a split "
                "that has labels"
            )
        return self.labels

    def content_hash(self) -> str:
        """Return the SHA-256 of the images, labels, ids, usage and class names."""
        digest = hashlib.sha256()
        header = [self.class_names, self.images.shape, self.ids.tolist(), self.usage.tolist()]
        digest.update(json.dumps(header).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels, "<i8").data)
        return digest.hexdigest()


class FaceCollector:
    """Gather faces of 48x48 one by one and make a FaceDataset of them."""

    def __init__(self) -> None:
        self._pixels = bytearray()
        self._labels: list[int] = []
        self._ids: list[str] = []
        self._usage: list[str] = []

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, pixels: np.ndarray, label: int, name: str, split: str) -> None:
        """Add one face: 2,304 uint8 values row by row, its label (or -1), id and split."""
        self._pixels += pixels.data
        self._labels.append(label)
        self._ids.append(name)
        self._usage.append(split)

    def dataset(self) -> FaceDataset:
        """Return all that was added, in that order; nothing may be added afterwards."""
        return FaceDataset(
            np.frombuffer(self._pixels, np.uint8).reshape(-1, SIDE, SIDE, 1),
            np.array(self._labels, np.int64),
            np.array(self._ids, np.str_),
            np.array(self._usage, np.str_),
        )
