"""The operations that make one number of all elements along some axes."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from minicnn import backend
from minicnn.autograd import Cost, ErrorSample, Operation, Sample, Tensor
from minicnn.errors import DTypeError, ShapeError
from minicnn.kernels.half import widened
from minicnn.ops.arguments import as_axes, check_axes, refuse_integers, shape_of
from minicnn.ops.arithmetic import exp, where
from minicnn.ops.broadcast import expand
from minicnn.ops.shape import reshape

__all__ = ["kept_shape", "terms"]

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


class _OfSomething(Reduction):
    """A reduction that needs at least one element along the axes."""

    errors = (
        *Reduction.errors,
        ErrorSample(((2, 0),), axis=(1,), keepdims=False, match="no elements"),
    )

    def shape(x, *, axis, keepdims):
        shape = reduced_shape(x, axis=axis, keepdims=keepdims)
        if terms(x, axis)[1] == 0:
            raise ShapeError(f"no elements along axes {axis} of shape {x}")
        return shape


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
        total = widened(x).sum(axis=axis, keepdims=keepdims)
        return total.astype(x.dtype) if x.dtype == "float16" else total

    def backward(ctx, gy):
        return expand(_kept(ctx, gy), ctx.inputs[0].shape)


class Mean(_OfSomething, name="mean"):
    """The mean of the elements along axes."""

    errors = (*_OfSomething.errors, *OF_INTEGERS)

    def scalar(values):
        return math.fsum(values) / len(values)

    def cost(x, *, axis, keepdims):
        outputs, count = terms(x, axis)
        return outputs * Cost(additions=count - 1, multiplications=1)

    def forward(ctx, x, *, axis, keepdims):
        return x.mean(axis=axis, keepdims=keepdims)

    def backward(ctx, gy):
        shape = ctx.inputs[0].shape
        count = terms(shape, ctx.options["axis"])[1]
        return expand(_kept(ctx, gy) * (1 / count), shape)

    def backward_kernel(ctx, gy):
        # Each step of training has one of these, for a single number.
        shape, axis = ctx.inputs[0].shape, ctx.options["axis"]
        gx = backend.xp(gy).empty(shape, dtype=gy.dtype)
        gx[...] = (gy * (1 / terms(shape, axis)[1])).reshape(kept_shape(shape, axis))
        return gx


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
        distances = widened(x) - middle
        distances *= distances
        total = distances.sum(axis=axis, keepdims=keepdims)
        return (total / (terms(x.shape, axis)[1] - correction)).astype(x.dtype, copy=False)

    def backward(ctx, gy):
        x, _ = ctx.saved  # the mean is a constant there: a second derivative needs it made anew
        middle = Mean.along(x, ctx.options["axis"], keepdims=True)
        return (_kept(ctx, gy) * _slope(ctx)) * (x - middle)

    def backward_kernel(ctx, gy):
        x, middle = ctx.saved_arrays
        gx = x - middle
        gx *= gy.reshape(middle.shape) * _slope(ctx)
        return gx


def _slope(ctx: Any) -> float:
    count = terms(ctx.inputs[0].shape, ctx.options["axis"])[1]
    return 2 / (count - ctx.options["correction"])


class _Extremum(_OfSomething):
    """The largest or smallest element along axes; equal ones share the gradient."""

    integers = True

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


class LogSumExp(_OfSomething, name="logsumexp"):
    """log(sum(exp(x))) along axes, computed from x less its largest element."""

    samples = (
        *Reduction.samples,
        Sample(((3, 4),), axis=(1,), keepdims=False, domain=(800.0, 802.0)),
        Sample(((3, 4),), axis=(0,), keepdims=False, domain=(-802.0, -800.0)),
    )
    errors = (*_OfSomething.errors, *OF_INTEGERS)

    def scalar(values):
        middle = math.fsum(values) / len(values)
        return middle + math.log(math.fsum(math.exp(value - middle) for value in values))

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
