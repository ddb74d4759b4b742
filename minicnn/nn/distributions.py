"""Initialisers that do not look at the fans: constants, distributions, orthogonal matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn.errors import OptionError, ShapeError
from minicnn.random import generator

__all__ = ["constant", "normal", "ones", "orthogonal", "truncated_normal", "uniform", "zeros"]

Generator = np.random.Generator | int | None
Shape = tuple[int, ...]


def zeros(shape: Shape, rng: Generator = None, *fans: int, dtype: Any = np.float32) -> np.ndarray:
    """Return zeros; nothing is drawn."""
    return np.zeros(shape, dtype)


def ones(shape: Shape, rng: Generator = None, *fans: int, dtype: Any = np.float32) -> np.ndarray:
    """Return ones; nothing is drawn."""
    return np.ones(shape, dtype)


def constant(
    shape: Shape, rng: Generator = None, *fans: int, value: float, dtype: Any = np.float32
) -> np.ndarray:
    """Return an array that holds one value everywhere; nothing is drawn."""
    return np.full(shape, value, dtype)


def uniform(
    shape: Shape,
    rng: Generator = None,
    *fans: int,
    low: float = 0.0,
    high: float = 1.0,
    dtype: Any = np.float32,
) -> np.ndarray:
    """Draw evenly between two numbers."""
    if not low <= high:
        raise OptionError(f"uniform: low {low} is above high {high}")
    return generator(rng).uniform(low, high, shape).astype(dtype)


def normal(
    shape: Shape,
    rng: Generator = None,
    *fans: int,
    mean: float = 0.0,
    std: float = 1.0,
    dtype: Any = np.float32,
) -> np.ndarray:
    """Draw from the normal distribution of a mean and a standard deviation."""
    return (mean + _deviation(std) * generator(rng).standard_normal(shape)).astype(dtype)


def truncated_normal(
    shape: Shape,
    rng: Generator = None,
    *fans: int,
    mean: float = 0.0,
    std: float = 1.0,
    dtype: Any = np.float32,
) -> np.ndarray:
    """Draw from a normal distribution; values more than two deviations off are drawn again.

    ``std`` is the deviation before the cut, as in Keras; what comes out has 0.8796 of it.
    """
    rng = generator(rng)
    values = rng.standard_normal(shape)
    while (outside := np.abs(values) > 2).any():
        values[outside] = rng.standard_normal(int(outside.sum()))
    return (mean + _deviation(std) * values).astype(dtype)


def _deviation(std: float) -> float:
    if not std >= 0:
        raise OptionError(f"std: must be 0 or more, got {std!r}")
    return std


def orthogonal(
    shape: Shape,
    rng: Generator = None,
    *fans: int,
    gain: float = 1.0,
    dtype: Any = np.float32,
) -> np.ndarray:
    """Draw a matrix of orthogonal rows or columns, evenly among all such (Saxe et al., 2013).

    Parameters
    ----------
    shape : tuple of int
        All axes but the last make the rows: (KH, KW, C, O) is a matrix of KH*KW*C rows and O
        columns. Those of which there are fewer are orthogonal to each other.
    rng : numpy.random.Generator, int or None
    *fans : int
        Ignored.
    gain : float
        Length of each row or column.
    dtype : dtype

    Returns
    -------
    numpy array of the shape
    """
    if len(shape) < 2:
        raise ShapeError(f"orthogonal: expected at least two axes, got {shape}")
    rows, columns = math.prod(shape[:-1]), shape[-1]
    drawn = generator(rng).standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(drawn)
    q = q * np.sign(np.diag(r))  # without this, QR prefers some matrices (Mezzadri, 2007)
    return (gain * (q if rows >= columns else q.T)).reshape(shape).astype(dtype)
