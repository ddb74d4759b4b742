"""Sum, mean, variance, largest, smallest and others along axes: what one calls."""

from __future__ import annotations

from typing import Any

from minicnn.autograd import Tensor
from minicnn.errors import OptionError, ShapeError
from minicnn.ops.arguments import as_axes, as_axis, shape_of
from minicnn.ops.arithmetic import sqrt, where
from minicnn.ops.reduce_operations import (
    Axis,
    LogSumExp,
    Max,
    Mean,
    Min,
    Sum,
    Var,
    kept_shape,
    terms,
)

__all__ = ["argmax", "argmin", "logsumexp", "max", "mean", "min", "std", "sum", "var"]


def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum the elements along axes.

    Parameters
    ----------
    x : Tensor
    axis : int, tuple of int or None
        All axes where it is None.
    keepdims : bool
        Leave every summed axis in the shape, with size 1.

    Returns
    -------
    Tensor
        Booleans and integers give integers.
    """
    return Sum.along(x, axis, keepdims)


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Average the elements along axes; parameters as for :func:`sum`, floating-point only."""
    return Mean.along(x, axis, keepdims)


def var(x: Any, axis: Axis = None, correction: float = 1, keepdims: bool = False) -> Tensor:
    """Return the variance along axes.

    Parameters
    ----------
    x : Tensor
        Floating-point.
    axis : int, tuple of int or None
        All axes where it is None.
    correction : float
        What the number of elements is lessened by in the divisor: 1, as in PyTorch, estimates the
        variance of what the elements were drawn from; 0, NumPy's default, is that of the elements.
    keepdims : bool
        Leave every reduced axis in the shape, with size 1.

    Returns
    -------
    Tensor

    Raises
    ------
    ShapeError
        There are no more elements than the correction.
    """
    if not isinstance(correction, (int, float)) or correction < 0:
        raise OptionError(f"var: correction must be a number of 0 or more, not {correction!r}")
    return Var.along(x, axis, keepdims, correction=correction)


def std(x: Any, axis: Axis = None, correction: float = 1, keepdims: bool = False) -> Tensor:
    """Return the standard deviation along axes, with the gradient 0 where it is 0.

    Parameters, result and errors are those of :func:`var`.
    """
    variance = var(x, axis, correction, keepdims)
    positive = variance.data > 0  # the square root has no slope at 0
    return sqrt(where(positive, variance, 1.0)) * positive


def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the largest element along axes; equal ones share its gradient, as with PyTorch's amax.

    Parameters
    ----------
    x : Tensor
    axis : int, tuple of int or None
        All axes where it is None.
    keepdims : bool
        Leave every reduced axis in the shape, with size 1.

    Returns
    -------
    Tensor

    Raises
    ------
    ShapeError
        There is no element to choose from.
    """
    return Max.along(x, axis, keepdims)


def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the smallest element along axes; see :func:`max`."""
    return Min.along(x, axis, keepdims)


def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return log(sum(exp(x))) along axes without overflow; parameters as for :func:`sum`."""
    return LogSumExp.along(x, axis, keepdims)


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Return the position of the largest element along an axis, the first one of equals.

    Parameters
    ----------
    x : Tensor
    axis : int or None
        With None, the position in the flattened tensor.
    keepdims : bool
        Leave the axis (or all) in the shape, with size 1.

    Returns
    -------
    Tensor of int64
        It carries no gradient.
    """
    return _position(x, axis, keepdims, "argmax")


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Return the position of the smallest element along an axis; see :func:`argmax`."""
    return _position(x, axis, keepdims, "argmin")


def _position(x: Any, axis: int | None, keepdims: bool, name: str) -> Tensor:
    shape = shape_of(x, name)
    array = x.data if isinstance(x, Tensor) else x
    reduced = (
        as_axes(axis, len(shape), name) if axis is None else (as_axis(axis, len(shape), name),)
    )
    if terms(shape, reduced)[1] == 0:
        raise ShapeError(f"{name}: no elements along axes {reduced} of shape {shape}")
    found = getattr(array, name)(axis=None if axis is None else reduced[0])
    return Tensor(found.reshape(kept_shape(shape, reduced)) if keepdims else found)
