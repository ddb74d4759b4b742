"""Divide labelled samples by class: a training and a validation part, folds, or a smaller set."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from minicnn.errors import DTypeError, OptionError, ShapeError

__all__ = ["limit", "stratified_kfold", "stratified_split"]


def stratified_split(
    labels: ArrayLike, fraction: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Divide samples into a training and a validation part with the same share of each class.

    The validation part has ``round(fraction * N)`` samples; of each class it gets its share rounded
    down or up (largest remainders first).

    Parameters
    ----------
    labels : integer array of shape (N,)
        The class of each sample.
    fraction : float
        The share that goes to validation, between 0 and 1 (both excluded).
    rng : numpy.random.Generator
        Draws which samples go where.

    Returns
    -------
    train, validation : int64 arrays
        Indices into ``labels``, ascending; each index is in exactly one of the two.

    Raises
    ------
    OptionError
        If ``fraction`` is not between 0 and 1, or if one of the two parts would be empty.
    """
    labels = _checked(labels)
    if not 0 < fraction < 1:
        raise OptionError(f"fraction: expected a number between 0 and 1, got {fraction}")
    size = round(fraction * len(labels))
    if not 0 < size < len(labels):
        raise OptionError(
            f"fraction: {fraction} of {len(labels)} samples leaves the training or the validation "
            "part empty; choose another fraction or more samples"
        )
    validation = _draw(labels, size, rng)
    return np.setdiff1d(np.arange(len(labels)), validation), validation


def stratified_kfold(
    labels: ArrayLike, folds: int, rng: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Divide samples into folds for cross-validation, each with the same share of each class.

    Every sample is in the validation part of exactly one fold. The sizes of two folds differ by one
    at most, and so do the numbers of a class in them. As in scikit-learn, a class may have fewer
    members than there are folds (some folds then validate without it), unless all classes do.

    Parameters
    ----------
    labels : integer array of shape (N,)
        The class of each sample.
    folds : int
        Number of folds, 2 or more.
    rng : numpy.random.Generator
        Draws which samples go where.

    Returns
    -------
    list of (train, validation)
        One pair of ascending int64 index arrays for each fold.

    Raises
    ------
    OptionError
        If ``folds`` is below 2, or above the number of samples of the largest class.
    """
    labels = _checked(labels)
    folds = _checked_count("folds", folds, 2)
    _, members, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if folds > counts.max():
        raise OptionError(
            f"folds: {folds} is more than the largest class has members ({counts.max()}); "
            "choose fewer folds"
        )
    order = rng.permutation(len(labels))
    order = order[np.argsort(members[order], kind="stable")]
    # Class after class is dealt out like cards, without starting anew at the first fold: this
    # keeps both the classes and the sizes of the folds within one of each other.
    fold = np.empty(len(labels), np.int64)
    fold[order] = np.arange(len(labels)) % folds
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(folds)]


def limit(labels: ArrayLike, n: int, rng: np.random.Generator) -> np.ndarray:
    """Choose ``n`` samples (all, if there are fewer) with the same share of each class.

    Parameters
    ----------
    labels : integer array of shape (N,)
        The class of each sample.
    n : int
        How many to choose, 1 or more.
    rng : numpy.random.Generator
        Draws which samples are chosen.

    Returns
    -------
    int64 array of shape (min(n, N),)
        Ascending indices into ``labels``.

    Raises
    ------
    OptionError
        If ``n`` is below 1.
    """
    labels = _checked(labels)
    n = _checked_count("limit", n, 1)
    return np.arange(len(labels)) if n >= len(labels) else _draw(labels, n, rng)


def _draw(labels: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``size`` indices, from each class its share by the method of largest remainders."""
    _, members, counts = np.unique(labels, return_inverse=True, return_counts=True)
    # In integers, so that equal shares tie exactly; the first classes then get the odd samples.
    quotas, remainders = np.divmod(counts.astype(np.int64) * size, len(labels))
    quotas[np.argsort(-remainders, kind="stable")[: size - quotas.sum()]] += 1
    chosen = [
        rng.permutation(np.flatnonzero(members == k))[:quota] for k, quota in enumerate(quotas)
    ]
    return np.sort(np.concatenate(chosen))


def _checked(labels: ArrayLike) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ShapeError(f"labels: expected an array of shape (N,), got {labels.shape}")
    if not len(labels):
        raise OptionError("labels: there are no samples to divide")
    if labels.dtype.kind not in "iu":
        raise DTypeError(f"labels: expected integers, got {labels.dtype}")
    return labels


def _checked_count(name: str, value: int, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise OptionError(f"{name}: expected an integer of {least} or more, got {value!r}")
    return int(value)
