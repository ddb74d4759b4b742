"""Weights of classes that make up for their unequal numbers of images."""

from __future__ import annotations

import numpy as np

from minicnn.errors import DataError, OptionError

__all__ = ["class_weights"]


def class_weights(labels: np.ndarray, num_classes: int, *, power: float = 1.0) -> np.ndarray:
    """Return weights of the classes, inverse to a power of their frequencies.

    Parameters
    ----------
    labels : integer array of shape (N,)
        From 0 to ``num_classes - 1``; N above 0.
    num_classes : int
    power : float
        1 lets every class weigh the same in all, whatever its number of images; 1/2 goes half the
        way, 0 gives all images the same weight.

    Returns
    -------
    float32 array of shape (num_classes,)
        Their mean over the images is 1, so that a learning rate keeps its meaning. A class without
        images weighs as much as if it had one.

    Raises
    ------
    DataError
        There are no labels, or one is out of range.
    OptionError
        The power is not from 0 to 1.
    """
    if not 0 <= power <= 1:
        raise OptionError(f"class_weights: power: expected a number from 0 to 1, got {power!r}")
    labels = np.asarray(labels)
    if not labels.size or not 0 <= labels.min() <= labels.max() < num_classes:
        found = f"from {labels.min()} to {labels.max()}" if labels.size else "none"
        raise DataError(f"class_weights: expected labels from 0 to {num_classes - 1}, got {found}")
    counts = np.bincount(labels, minlength=num_classes)
    weights = np.maximum(counts, 1) ** -float(power)
    return (weights * len(labels) / (counts @ weights)).astype(np.float32)
