"""Repeating along axes (expand) and its adjoint, summing back to a smaller shape (sum_to)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn import backend
from minicnn.autograd import Cost, ErrorSample, Operation, Sample, Tensor
from minicnn.errors import ShapeError

__all__ = ["expand", "sum_to"]


def _repeated(small: tuple[int, ...], large: tuple[int, ...]) -> tuple[int, ...]:
    # The axes of ``large`` along which ``small`` is repeated.
    extra = len(large) - len(small)
    if extra < 0 or any(a not in (1, b) for a, b in zip(small, large[extra:], strict=True)):
        raise ShapeError(
            f"{small} cannot be repeated to {large}: from the last axis backwards, sizes must be "
            "equal "
            "or 1 in the smaller shape"
        )
    return tuple(
        axis
        for axis, size in enumerate(large)
        if axis < extra or (small[axis - extra] == 1 and size != 1)
    )


class Expand(Operation, name="expand", view=True):
    """Repeat a tensor along axes of size 1 and new leading axes, without copying."""

    samples = (
        Sample(((3, 1),), shape=(2, 3, 4)),
        Sample(((),), shape=(2, 2)),
        Sample(((2, 3),), shape=(2, 3)),
    )
    errors = (ErrorSample(((3, 2),), shape=(3, 4), match="repeated"),)

    def shape(x, *, shape):
        _repeated(x, shape)
        return shape

    def cost(x, *, shape):
        return Cost()

    def reference(x, *, shape):
        result = np.empty(shape)
        extra = len(shape) - x.ndim
        for index in np.ndindex(*shape):
            inner = index[extra:]
            result[index] = x[tuple(i if n > 1 else 0 for i, n in zip(inner, x.shape, strict=True))]
        return result

    def forward(ctx, x, *, shape):
        return backend.xp(x).broadcast_to(x, shape)

    def backward(ctx, gy):
        return SumTo.apply(gy, shape=ctx.inputs[0].shape)


class SumTo(Operation, name="sum_to"):
    """Sum over the axes along which a smaller shape would be repeated to reach this one."""

    samples = (
        Sample(((2, 3, 4),), shape=(3, 1)),
        Sample(((2, 2),), shape=()),
        Sample(((2, 3),), shape=(2, 3)),
    )
    errors = (ErrorSample(((3, 4),), shape=(3, 2), match="repeated"),)

    def shape(x, *, shape):
        _repeated(shape, x)
        return shape

    def cost(x, *, shape):
        return Cost(additions=math.prod(x) - math.prod(shape))

    def reference(x, *, shape):
        result = np.zeros(shape)
        extra = x.ndim - len(shape)
        for index in np.ndindex(*x.shape):
            inner = index[extra:]
            result[tuple(i if n > 1 else 0 for i, n in zip(inner, shape, strict=True))] += x[index]
        return result

    def forward(ctx, x, *, shape):
        axes = _repeated(shape, x.shape)
        return x.sum(axis=axes).reshape(shape) if axes else x.copy()

    def backward(ctx, gy):
        return Expand.apply(gy, shape=ctx.inputs[0].shape)


def expand(x: Any, shape: tuple[int, ...]) -> Tensor:
    """Repeat a tensor along axes of size 1 and new leading axes.

    Parameters
    ----------
    x : Tensor
    shape : tuple of int
        -1 keeps the size of an axis of ``x``.

    Returns
    -------
    Tensor of the shape
        It shares memory with ``x``.
    """
    extra = len(shape) - x.ndim
    shape = tuple(
        x.shape[axis - extra] if size == -1 and axis >= extra else int(size)
        for axis, size in enumerate(shape)
    )
    return Expand.apply(x, shape=shape)


def sum_to(x: Any, shape: tuple[int, ...]) -> Tensor:
    """Sum a tensor to a shape it could have been repeated from: the adjoint of :func:`expand`.

    Parameters
    ----------
    x : Tensor
    shape : tuple of int

    Returns
    -------
    Tensor of the shape
    """
    return SumTo.apply(x, shape=tuple(shape))
