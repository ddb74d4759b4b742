"""Checks of arguments that several operations share: axes, and tensors that must hold floats."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from minicnn import backend
from minicnn.autograd import Tensor
from minicnn.errors import DTypeError, ShapeError

__all__ = ["as_axes", "as_axis", "check_axes", "refuse_integers", "shape_of"]


def shape_of(x: Any, name: str) -> tuple[int, ...]:
    """Return the shape of a Tensor or array; refuse anything else in the name of an operation."""
    if isinstance(x, Tensor) or backend.is_array(x):
        return x.shape
    raise TypeError(
        f"{name}: expected a Tensor or an array, got {type(x).__name__}; "
        "make a tensor with minicnn.tensor(...)"
    )


def check_axes(axes: Sequence[int], ndim: int) -> None:
    """Refuse axes that are out of range or named twice (axes that count from 0)."""
    for axis in axes:
        if not 0 <= axis < ndim:
            raise ShapeError(f"axis {axis} is out of range for a tensor of {ndim} axes")
    if len(set(axes)) != len(axes):
        raise ShapeError(f"axes {tuple(axes)} name an axis twice")


def as_axes(axis: int | Sequence[int] | None, ndim: int, name: str) -> tuple[int, ...]:
    """Return axes as a tuple that counts from 0.

    Parameters
    ----------
    axis : int, sequence of int or None
        Negative ones count from the last axis backwards; None stands for all.
    ndim : int
        Number of axes of the tensor.
    name : str
        Of the operation, for the message.

    Returns
    -------
    tuple of int

    Raises
    ------
    ShapeError
        An axis is out of range or named twice.
    """
    if axis is None:
        return tuple(range(ndim))
    given = tuple(axis) if isinstance(axis, Sequence) else (axis,)
    try:
        given = tuple([operator.index(each) for each in given])
    except TypeError:
        raise TypeError(f"{name}: expected an axis, several or None, got {axis!r}") from None
    axes = tuple([each + ndim if each < 0 else each for each in given])
    try:
        check_axes(axes, ndim)
    except ShapeError as error:
        negative = f" (given as {axis})" if axes != given else ""
        raise ShapeError(f"{name}: {error}{negative}") from None
    return axes


def as_axis(axis: int, ndim: int, name: str) -> int:
    """Return one axis, counted from 0; see :func:`as_axes`."""
    return as_axes((axis,), ndim, name)[0]


def refuse_integers(array: Any, name: str) -> None:
    """Refuse an array of anything but floats, whose result NumPy would widen to float64."""
    if array.dtype.kind not in "fO":  # objects are numbers that count what is done to them
        raise DTypeError(
            f"{name}: expected floating-point numbers, got {array.dtype}; "
            "convert them with .astype('float32')"
        )
