"""Softmax and its logarithm along one axis, computed so that nothing overflows."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from minicnn import backend
from minicnn.autograd import Cost, ErrorSample, Operation, Sample, Tensor
from minicnn.errors import DTypeError, ShapeError
from minicnn.ops.arguments import as_axis, check_axes, refuse_integers, shape_of
from minicnn.ops.arithmetic import exp
from minicnn.ops.reduce import sum as sum_along

__all__ = ["log_softmax", "softmax"]


def _shape(x: tuple[int, ...], *, axis: int) -> tuple[int, ...]:
    check_axes((axis,), len(x))
    if x[axis] == 0:
        raise ShapeError(f"no elements along axis {axis} of shape {x}")
    return x


def _reference(scalar: Callable[..., float], x: np.ndarray, *, axis: int) -> np.ndarray:
    result = np.empty(x.shape)
    for index in np.ndindex(*x.shape):
        row = (*index[:axis], slice(None), *index[axis + 1 :])
        result[index] = scalar(x[index], x[row].tolist())
    return result


class _AlongAxis(Operation):
    """An operation whose every element depends on one row along an axis.

    A subclass declares ``scalar(value, row)``, a function of Python numbers.
    """

    scalar: ClassVar[Callable[..., float]]
    samples = (
        Sample(((3, 4),), axis=1),
        Sample(((2, 3, 4),), axis=1),
        Sample(((5,),), axis=0),
        Sample(((3, 4),), axis=1, domain=(800.0, 802.0)),
        Sample(((3, 4),), axis=0, domain=(-802.0, -800.0)),
    )
    errors = (
        ErrorSample(((2, 3),), axis=2, match="axis 2 is out of range"),
        ErrorSample(((2, 0),), axis=1, match="no elements"),
        ErrorSample(((2, 3),), axis=1, integers={0: 5}, error=DTypeError, match="astype"),
    )
    shape = _shape

    def __init_subclass__(cls, *, name: str = "", **keywords: Any) -> None:
        if name:
            cls.reference = functools.partial(_reference, cls.scalar)
        super().__init_subclass__(name=name, **keywords)

    @classmethod
    def check(cls, arrays: list, options: dict) -> None:
        """Refuse integers, an axis that the tensor does not have, and rows without elements."""
        refuse_integers(arrays[0], cls.name)
        super().check(arrays, options)


class Softmax(_AlongAxis, name="softmax"):
    """exp(x) / sum(exp(x)) along an axis, computed from x less the row's largest element."""

    def scalar(value, row):
        return 1 / math.fsum(math.exp(other - value) for other in row)

    def cost(x, *, axis):
        n = math.prod(x)
        rows = n // x[axis]
        return Cost(multiplications=n, additions=2 * n - rows, comparisons=n - rows, functions=n)

    def forward(ctx, x, *, axis):
        y = backend.xp(x).exp(x - x.max(axis=axis, keepdims=True))
        y /= y.sum(axis=axis, keepdims=True)
        ctx.save(y)
        return y

    def backward(ctx, gy):
        (y,) = ctx.saved
        return y * (gy - sum_along(gy * y, ctx.options["axis"], keepdims=True))

    def backward_kernel(ctx, gy):
        (y,) = ctx.saved_arrays
        gx = gy * y
        gx -= y * gx.sum(axis=ctx.options["axis"], keepdims=True)
        return gx


class LogSoftmax(_AlongAxis, name="log_softmax"):
    """x - log(sum(exp(x))) along an axis, computed from x less the row's largest element."""

    def scalar(value, row):
        return -math.log(math.fsum(math.exp(other - value) for other in row))

    def cost(x, *, axis):
        n = math.prod(x)
        rows = n // x[axis]
        return Cost(additions=3 * n - rows, comparisons=n - rows, functions=n + rows)

    def forward(ctx, x, *, axis):
        xp = backend.xp(x)
        y = x - x.max(axis=axis, keepdims=True)
        y -= xp.log(xp.exp(y).sum(axis=axis, keepdims=True))
        ctx.save(y)
        return y

    def backward(ctx, gy):
        (y,) = ctx.saved
        return gy - exp(y) * sum_along(gy, ctx.options["axis"], keepdims=True)

    def backward_kernel(ctx, gy):
        (y,) = ctx.saved_arrays
        gx = backend.xp(y).exp(y)
        gx *= -gy.sum(axis=ctx.options["axis"], keepdims=True)
        gx += gy
        return gx


def softmax(x: Any, axis: int = -1) -> Tensor:
    """Return exp(x) / sum(exp(x)) along an axis: numbers from 0 to 1 that sum to 1.

    Parameters
    ----------
    x : Tensor
        Floating-point.
    axis : int

    Returns
    -------
    Tensor of the same shape
    """
    return Softmax.apply(x, axis=as_axis(axis, len(shape_of(x, "softmax")), "softmax"))


def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """Return the logarithm of :func:`softmax`, exact also where that underflows."""
    return LogSoftmax.apply(x, axis=as_axis(axis, len(shape_of(x, "log_softmax")), "log_softmax"))
