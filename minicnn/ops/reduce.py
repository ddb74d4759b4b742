"""Reductions along axes: sum, mean, variance, largest, smallest, log of a sum of exponentials."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from minicnn import backend
from minicnn.autograd import Cost, ErrorSample, Operation, Sample, Tensor
from minicnn.errors import DTypeError, OptionError, ShapeError
from minicnn.ops.arguments import as_axes, as_axis, check_axes, refuse_integers, shape_of
from minicnn.ops.arithmetic import exp, sqrt, where
from minicnn.ops.broadcast import expand
from minicnn.ops.shape import reshape

__all__ = ["argmax", "argmin", "logsumexp", "max", "mean", "min", "std", "sum", "var"]

Axis = int | Sequence[int] | None


def reduced_shape(x: tuple[int, ...], *, axis: tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    """Return the shape that is left of a shape, having checked the axes."""
    check_axes(axis, len(x))
    if keepdims:
        return kept_shape(x, axis)
    return tuple([size for position, size in enumerate(x) if position not in axis])


def kept_shape(x: tuple[int, ...], axis: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape that broadcasts against the tensor again: 1 for every reduced axis."""
    return tuple([1 if position in axis else size for position, size in enumerate(x)])


def terms(x: tuple[int, ...], axis: tuple[int, ...]) -> tuple[int, int]:
    """Return how many numbers come out, and of how many elements each is made."""
    count = math.prod(x[each] for each in axis)
    return math.prod(kept_shape(x, axis)), count


def _reference(
    scalar: Callable[..., float],
    x: np.ndarray,
    *,
    axis: tuple[int, ...],
    keepdims: bool,
    **options: Any,
) -> np.ndarray:
    result = np.empty(kept_shape(x.shape, axis))
    for index in np.ndindex(*result.shape):
        part = tuple(slice(None) if a in axis else i for a, i in enumerate(index))
        result[index] = scalar(x[part].ravel().tolist(), **options)
    return result if keepdims else result.squeeze(axis)


class Reduction(Operation):
    """An operation that makes one number of all elements along some axes.

    A subclass declares ``scalar``, the function from a list of Python numbers to a number that
    every element of the result must equal; reference and shape follow. The option ``axis`` is
    a tuple of axes that count from 0.
    """

    scalar: ClassVar[Callable[..., float]]
    integers: ClassVar[bool] = False  # whether tensors of integers are let in
    samples: ClassVar[tuple[Sample, ...]] = (
        Sample(((2, 3, 4),), axis=(1,), keepdims=False),
        Sample(((2, 3, 4),), axis=(2, 0), keepdims=True),
        Sample(((3, 4),), axis=(0, 1), keepdims=False),
        Sample(((5,),), axis=(0,), keepdims=True),
        Sample(((),), axis=(), keepdims=False),
    )
    errors: ClassVar[tuple[ErrorSample, ...]] = (
        ErrorSample(((2, 3),), axis=(2,), keepdims=False, match="axis 2 is out of range"),
        ErrorSample(((2, 3),), axis=(1, 1), keepdims=False, match="twice"),
    )
    shape = reduced_shape

    def __init_subclass__(cls, *, name: str = "", **keywords: Any) -> None:
        if name:
            cls.scalar = staticmethod(cls.scalar)
            cls.reference = functools.partial(_reference, cls.scalar)
        super().__init_subclass__(name=name, **keywords)

    @classmethod
    def check(cls, arrays: list, options: dict) -> None:
        """Refuse axes that the tensor does not have, and integers where the result is a float."""
        if not cls.integers:
            refuse_integers(arrays[0], cls.name)
        super().check(arrays, options)

    @classmethod
    def along(cls, x: Any, axis: Axis, keepdims: bool, **options: Any) -> Tensor:
        """Apply the operation along axes as users write them."""
        axes = as_axes(axis, len(shape_of(x, cls.name)), cls.name)
        return cls.apply(x, axis=axes, keepdims=bool(keepdims), **options)


OF_INTEGERS = (
    ErrorSample(
        ((2, 3),), axis=(1,), keepdims=False, integers={0: 5}, error=DTypeError, match="astype"
    ),
)
OF_NOTHING = (ErrorSample(((2, 0),), axis=(1,), keepdims=False, match="no elements"),)


def _refuse_nothing(x: tuple[int, ...], axis: tuple[int, ...]) -> None:
    if terms(x, axis)[1] == 0:
        raise ShapeError(f"no elements along axes {axis} of shape {x}")


def _kept(ctx: Any, reduced: Tensor) -> Tensor:
    # Give the result, or its gradient, the shape that broadcasts against the input.
    shape = kept_shape(ctx.inputs[0].shape, ctx.options["axis"])
    return reduced if reduced.data.shape == shape else reshape(reduced, shape)


class Sum(Reduction, name="sum"):
    """The sum of the elements along axes."""

    integers = True

    def scalar(values):
        return math.fsum(values)

    def cost(x, *, axis, keepdims):
        outputs, count = terms(x, axis)
        return Cost(additions=outputs * (count - 1)) if count else Cost()

    def forward(ctx, x, *, axis, keepdims):
        return x.sum(axis=axis, keepdims=keepdims)

    def backward(ctx, gy):
        return expand(_kept(ctx, gy), ctx.inputs[0].shape)


class Mean(Reduction, name="mean"):
    """The mean of the elements along axes."""

    errors = (*Reduction.errors, *OF_INTEGERS, *OF_NOTHING)

    def scalar(values):
        return math.fsum(values) / len(values)

    def shape(x, *, axis, keepdims):
        shape = reduced_shape(x, axis=axis, keepdims=keepdims)
        _refuse_nothing(x, axis)
        return shape

    def cost(x, *, axis, keepdims):
        outputs, count = terms(x, axis)
        return outputs * Cost(additions=count - 1, multiplications=1)

    def forward(ctx, x, *, axis, keepdims):
        return x.mean(axis=axis, keepdims=keepdims)

    def backward(ctx, gy):
        shape = ctx.inputs[0].shape
        count = terms(shape, ctx.options["axis"])[1]
        return expand(_kept(ctx, gy) * (1 / count), shape)


class Var(Reduction, name="var"):
    """The sum of the squared distances from the mean, divided by the count less ``correction``.

    The mean is taken first, then the distances: no digits cancel, as in E[x^2] - E[x]^2.
    """

    samples = (
        Sample(((2, 3, 4),), axis=(1,), keepdims=False, correction=1),
        Sample(((2, 3, 4),), axis=(0, 2), keepdims=True, correction=0),
        Sample(((3, 4),), axis=(0, 1), keepdims=False, correction=0.5),
        Sample(((1, 3),), axis=(0,), keepdims=False, correction=0),
    )
    errors = (
        ErrorSample(((2, 3),), axis=(2,), keepdims=False, correction=1, match="axis 2"),
        ErrorSample(((1, 3),), axis=(0,), keepdims=False, correction=1, match="correction"),
        ErrorSample(
            ((4, 3),),
            axis=(0,),
            keepdims=False,
            correction=1,
            integers={0: 5},
            error=DTypeError,
            match="astype",
        ),
    )

    def scalar(values, *, correction):
        middle = math.fsum(values) / len(values)
        squares = [(value - middle) ** 2 for value in values]
        return math.fsum(squares) / (len(values) - correction)

    def shape(x, *, axis, keepdims, correction):
        shape = reduced_shape(x, axis=axis, keepdims=keepdims)
        count = terms(x, axis)[1]
        if count <= correction:
            raise ShapeError(
                f"{count} element(s) along axes {axis} of shape {x} are too few with "
                f"correction={correction}; pass correction=0 for the variance of all there are"
            )
        return shape

    def cost(x, *, axis, keepdims, correction):
        outputs, count = terms(x, axis)
        return outputs * Cost(additions=3 * count - 2, multiplications=count + 2)

    def forward(ctx, x, *, axis, keepdims, correction):
        middle = x.mean(axis=axis, keepdims=True)
        ctx.save(x, middle)
        distances = x - middle
        distances *= distances
        return distances.sum(axis=axis, keepdims=keepdims) / (terms(x.shape, axis)[1] - correction)

    def backward(ctx, gy):
        x, _ = ctx.saved  # the mean is a constant there: a second derivative needs it made anew
        middle = mean(x, ctx.options["axis"], keepdims=True)
        return (_kept(ctx, gy) * _slope(ctx)) * (x - middle)

    def backward_kernel(ctx, gy):
        x, middle = ctx.saved_arrays
        gx = x - middle
        gx *= gy.reshape(middle.shape) * _slope(ctx)
        return gx


def _slope(ctx: Any) -> float:
    count = terms(ctx.inputs[0].shape, ctx.options["axis"])[1]
    return 2 / (count - ctx.options["correction"])


class _Extremum(Reduction):
    """The largest or smallest element along axes; equal ones share the gradient."""

    integers = True
    errors = (*Reduction.errors, *OF_NOTHING)

    def shape(x, *, axis, keepdims):
        shape = reduced_shape(x, axis=axis, keepdims=keepdims)
        _refuse_nothing(x, axis)
        return shape

    def cost(x, *, axis, keepdims):
        outputs, count = terms(x, axis)
        return Cost(comparisons=outputs * (count - 1))

    def backward(ctx, gy):
        x, y = ctx.saved_arrays
        axis = ctx.options["axis"]
        chosen = (x == y.reshape(kept_shape(x.shape, axis))).astype(x.dtype)
        count = chosen.sum(axis=axis, keepdims=True)
        count = backend.xp(x).maximum(count, 1)  # 0 for a NaN, which equals nothing
        return (_kept(ctx, gy) / count) * chosen


class Max(_Extremum, name="max"):
    """The largest element along axes; equal ones share the gradient (as PyTorch's amax does)."""

    def scalar(values):
        return sorted(values)[-1]

    def forward(ctx, x, *, axis, keepdims):
        y = x.max(axis=axis, keepdims=keepdims)
        ctx.save(x, y)
        return y


class Min(_Extremum, name="min"):
    """The smallest element along axes; equal ones share the gradient (as PyTorch's amin does)."""

    def scalar(values):
        return sorted(values)[0]

    def forward(ctx, x, *, axis, keepdims):
        y = x.min(axis=axis, keepdims=keepdims)
        ctx.save(x, y)
        return y


class LogSumExp(Reduction, name="logsumexp"):
    """log(sum(exp(x))) along axes, computed from x less its largest element."""

    samples = (
        *Reduction.samples,
        Sample(((3, 4),), axis=(1,), keepdims=False, domain=(800.0, 802.0)),
        Sample(((3, 4),), axis=(0,), keepdims=False, domain=(-802.0, -800.0)),
    )
    errors = (*Reduction.errors, *OF_INTEGERS, *OF_NOTHING)

    def scalar(values):
        middle = math.fsum(values) / len(values)
        return middle + math.log(math.fsum(math.exp(value - middle) for value in values))

    def shape(x, *, axis, keepdims):
        shape = reduced_shape(x, axis=axis, keepdims=keepdims)
        _refuse_nothing(x, axis)
        return shape

    def cost(x, *, axis, keepdims):
        outputs, count = terms(x, axis)
        # Beside the maximum, three comparisons keep infinities from becoming NaN.
        return outputs * Cost(additions=2 * count, comparisons=count + 2, functions=count + 1)

    def forward(ctx, x, *, axis, keepdims):
        xp = backend.xp(x)
        largest = x.max(axis=axis, keepdims=True)
        shift = xp.where(abs(largest) < math.inf, largest, xp.zeros_like(largest))
        total = xp.exp(x - shift).sum(axis=axis, keepdims=True)
        # The total is at least 1, except where all are -inf: there the sum below is to be -inf.
        y = xp.log(xp.maximum(total, 1)) + largest
        y = y.reshape(reduced_shape(x.shape, axis=axis, keepdims=keepdims))
        ctx.save(x, y)
        return y

    def backward(ctx, gy):
        x, y = ctx.saved
        finite = abs(y.data) < math.inf  # exp(-inf - -inf) would be NaN
        return _kept(ctx, gy) * exp(x - _kept(ctx, where(finite, y, 0.0)))


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
