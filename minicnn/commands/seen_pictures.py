"""Accuracy apart for images whose picture is among the training images, and for the others."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from minicnn.commands.tables import text_table
from minicnn.commands.train_data import labelled
from minicnn.data.face_dataset import FaceDataset
from minicnn.data.resemblance import SAME_PICTURE, closest_pictures
from minicnn.training.evaluation import scores_of

__all__ = ["SeenPictures", "seen_pictures"]


@dataclass(frozen=True)
class Group:
    """Some of the images.

    Attributes
    ----------
    count : int
    same_label : float or None
        The share whose training picture has the same label. None without such a picture, or where
        not all training images have labels.
    accuracy, standard_error : float or None
        None without images.
    """

    count: int
    same_label: float | None
    accuracy: float | None
    standard_error: float | None


@dataclass(frozen=True)
class SeenPictures:
    """Images in three groups, by what :func:`seen_pictures` found among the training images.

    Attributes
    ----------
    identical : Group
        A training image is the same in every pixel.
    near_duplicates : Group
        None is, but one shows the same photograph, moved, mirrored or changed a little.
    others : Group
        Neither; here nothing is gained by remembering training images.
    threshold : float
        The correlation from which two images are taken for one photograph.
    """

    identical: Group
    near_duplicates: Group
    others: Group
    threshold: float

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dict that JSON can hold."""
        return asdict(self)

    def __str__(self) -> str:
        named = {
            "in train, every pixel": self.identical,
            "in train, changed a little": self.near_duplicates,
            "not found in train": self.others,
        }
        rows = [
            (
                name,
                group.count,
                *map(_fixed, (group.same_label, group.accuracy, group.standard_error)),
            )
            for name, group in named.items()
        ]
        return text_table(
            ("picture", "images", "same label there", "accuracy", "standard error"), rows
        )


def seen_pictures(
    images: FaceDataset, train: FaceDataset, probabilities: np.ndarray
) -> SeenPictures:
    """Tell how well the images are classified whose picture the training images have as well.

    Parameters
    ----------
    images : FaceDataset
        With labels; not the training images.
    train : FaceDataset
    probabilities : array of shape (N, K)
        What a network gives to each class, for each of the images.

    Raises
    ------
    ShapeError
        The two have images of different shapes.
    OptionError
        There are no training images.
    """
    rows, correlations = closest_pictures(images.images, train.images)
    first: dict[bytes, int] = {}
    for row, image in enumerate(train.images):
        first.setdefault(image.tobytes(), row)
    equal = np.array([first.get(image.tobytes(), -1) for image in images.images], np.int64)
    identical = equal >= 0
    near = ~identical & (correlations >= SAME_PICTURE)
    labels = images.require_labels()
    agree = None
    if labelled(train):
        agree = train.require_labels()[np.where(identical, equal, rows)] == labels
    return SeenPictures(
        identical=_group(identical, probabilities, labels, agree),
        near_duplicates=_group(near, probabilities, labels, agree),
        others=_group(~identical & ~near, probabilities, labels, None),
        threshold=SAME_PICTURE,
    )


def _group(
    chosen: np.ndarray, probabilities: np.ndarray, labels: np.ndarray, agree: np.ndarray | None
) -> Group:
    if not chosen.any():
        return Group(0, None, None, None)
    scores = scores_of(probabilities[chosen], labels[chosen])
    same_label = None if agree is None else float(agree[chosen].mean())
    return Group(scores.count, same_label, scores.accuracy, scores.standard_error)


def _fixed(number: float | None) -> str | None:
    return None if number is None else f"{number:.4f}"
