"""Elementwise arithmetic and functions: sums, products, powers, exp, log, abs, maximum, where."""

from __future__ import annotations

import math
from typing import Any

from minicnn import backend
from minicnn.autograd import Cost, ErrorSample, Sample, Tensor
from minicnn.errors import OptionError
from minicnn.kernels import special
from minicnn.ops.elementwise import BINARY_ERRORS, BINARY_SAMPLES, Elementwise

__all__ = [
    "absolute",
    "add",
    "clip",
    "divide",
    "erf",
    "exp",
    "log",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "power",
    "sqrt",
    "subtract",
    "where",
]

ADDITION = Cost(additions=1)
MULTIPLICATION = Cost(multiplications=1)
COMPARISON = Cost(comparisons=1)


class Add(Elementwise, name="add"):
    """x + y."""

    samples, errors, per_element = BINARY_SAMPLES, BINARY_ERRORS, ADDITION

    def scalar(x, y):
        return x + y

    def forward(ctx, x, y):
        return x + y

    def backward(ctx, gy):
        return gy, gy


class Subtract(Elementwise, name="subtract"):
    """x - y."""

    samples, errors, per_element = BINARY_SAMPLES, BINARY_ERRORS, ADDITION

    def scalar(x, y):
        return x - y

    def forward(ctx, x, y):
        return x - y

    def backward(ctx, gy):
        return gy, -gy if ctx.needs[1] else None


class Multiply(Elementwise, name="multiply"):
    """x * y."""

    samples, errors, per_element = BINARY_SAMPLES, BINARY_ERRORS, MULTIPLICATION

    def scalar(x, y):
        return x * y

    def forward(ctx, x, y):
        ctx.save(x if ctx.needs[1] else None, y if ctx.needs[0] else None)
        return x * y

    def backward(ctx, gy):
        x, y = ctx.saved
        return gy * y if ctx.needs[0] else None, gy * x if ctx.needs[1] else None


class Divide(Elementwise, name="divide"):
    """x / y."""

    samples = tuple(Sample(each.inputs, domain=(0.5, 2.0)) for each in BINARY_SAMPLES)
    errors, per_element = BINARY_ERRORS, MULTIPLICATION

    def scalar(x, y):
        return x / y

    def forward(ctx, x, y):
        ctx.save(x if ctx.needs[1] else None, y)
        return x / y

    def backward(ctx, gy):
        x, y = ctx.saved
        gx = gy / y
        return gx, -gx * x / y if ctx.needs[1] else None


class Negative(Elementwise, name="negative"):
    """-x."""

    per_element = ADDITION

    def scalar(x):
        return -x

    def forward(ctx, x):
        return -x

    def backward(ctx, gy):
        return -gy


class Power(Elementwise, name="power"):
    """x to the power of y; the base must be positive where the exponent needs a gradient."""

    samples = (
        *(Sample(each.inputs, domain=(0.5, 2.0)) for each in BINARY_SAMPLES),
        Sample(((3, 2), 2)),
        Sample(((3, 2), 3.0)),
        Sample(((3, 2), -1), domain=(0.5, 2.0)),
        Sample(((3, 2), 1)),
    )
    errors, per_element = BINARY_ERRORS, Cost(functions=1)

    def scalar(x, y):
        return x**y

    def forward(ctx, x, y):
        ctx.save(x, y)
        return x**y

    def backward(ctx, gy):
        x, y = ctx.saved
        gx = gg = None
        if ctx.needs[0]:
            gx = gy * _slope(x, y)
        if ctx.needs[1]:
            # Where the base is 0, so is the power, whatever the exponent above 0.
            if isinstance(x, (int, float)):
                logarithm = math.nan if x < 0 else math.log(x) if x else 0.0
            else:
                logarithm = log(where(x.data != 0, x, 1.0))
            gg = gy * x**y * logarithm
        return gx, gg


def _slope(x: Any, y: Any) -> Any:
    # y * x**(y - 1), which is 0 for the exponent 0 and 1 for 1, also where x is 0.
    if not isinstance(y, (int, float)):
        return y * x ** where(y.data != 0, y - 1, 1.0)
    if y in (0, 1):
        return y
    return 2 * x if y == 2 else y * x ** (y - 1)


class Exp(Elementwise, name="exp"):
    """The exponential function."""

    def scalar(x):
        return math.exp(x)

    def forward(ctx, x):
        y = backend.xp(x).exp(x)
        ctx.save(y)
        return y

    def backward(ctx, gy):
        (y,) = ctx.saved
        return gy * y


class Log(Elementwise, name="log"):
    """The natural logarithm."""

    samples = (Sample(((3, 4),), domain=(0.5, 3.0)),)

    def scalar(x):
        return math.log(x)

    def forward(ctx, x):
        ctx.save(x)
        return backend.xp(x).log(x)

    def backward(ctx, gy):
        (x,) = ctx.saved
        return gy / x


class Sqrt(Elementwise, name="sqrt"):
    """The square root."""

    samples = (Sample(((3, 4),), domain=(0.5, 3.0)),)

    def scalar(x):
        return math.sqrt(x)

    def forward(ctx, x):
        y = backend.xp(x).sqrt(x)
        ctx.save(y)
        return y

    def backward(ctx, gy):
        (y,) = ctx.saved
        return gy / (2 * y)


class Erf(Elementwise, name="erf"):
    """The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x."""

    def scalar(x):
        return math.erf(x)

    def forward(ctx, x):
        ctx.save(x)
        return special.erf(x)

    def backward(ctx, gy):
        (x,) = ctx.saved
        return gy * (2 / math.sqrt(math.pi)) * exp(-(x * x))


class Absolute(Elementwise, name="absolute"):
    """|x|, with the gradient 0 at 0."""

    per_element = COMPARISON

    def scalar(x):
        return abs(x)

    def forward(ctx, x):
        ctx.save(x)
        return abs(x)

    def backward(ctx, gy):
        (x,) = ctx.saved
        return gy * backend.xp(x.data).sign(x.data)


class Clip(Elementwise, name="clip"):
    """Limit to [low, high]; the gradient is 1 inside and on the limits, 0 outside."""

    samples = (
        Sample(((3, 4),), low=-1.0, high=1.2),
        Sample(((3, 4),), low=0.0, high=None),
        Sample(((3, 4),), low=None, high=0.5),
    )

    def cost(x, *, low, high):
        return math.prod(x) * Cost(comparisons=(low is not None) + (high is not None))

    def scalar(x, *, low, high):
        x = x if low is None else max(x, low)
        return x if high is None else min(x, high)

    def forward(ctx, x, *, low, high):
        ctx.save(x)
        return backend.xp(x).clip(x, low, high)

    def backward(ctx, gy):
        (x,) = ctx.saved
        x, low, high = x.data, ctx.options["low"], ctx.options["high"]
        inside = (x >= low) if low is not None else (x <= high)
        if low is not None and high is not None:
            inside = inside & (x <= high)
        return gy * inside


class _Extremum(Elementwise):
    """The larger or the smaller of two numbers; equal ones share the gradient."""

    samples, errors, per_element = BINARY_SAMPLES, BINARY_ERRORS, COMPARISON

    def backward(ctx, gy):
        x, y, result = ctx.saved_arrays
        first, second = x == result, y == result
        share = 1 / (first + second.astype(result.dtype))
        return (
            gy * (first * share) if ctx.needs[0] else None,
            gy * (second * share) if ctx.needs[1] else None,
        )


class Maximum(_Extremum, name="maximum"):
    """The larger of two numbers; equal ones share the gradient."""

    def scalar(x, y):
        return max(x, y)

    def forward(ctx, x, y):
        result = backend.xp(x, y).maximum(x, y)
        ctx.save(x, y, result)
        return result


class Minimum(_Extremum, name="minimum"):
    """The smaller of two numbers; equal ones share the gradient."""

    def scalar(x, y):
        return min(x, y)

    def forward(ctx, x, y):
        result = backend.xp(x, y).minimum(x, y)
        ctx.save(x, y, result)
        return result


class Where(Elementwise, name="where"):
    """x where the condition holds, else y."""

    samples = (
        Sample(((3, 4), (3, 4), (3, 4)), integers={0: 2}),
        Sample(((3, 1), (2, 3, 4), (4,)), integers={0: 2}),
        Sample(((3, 4), (3, 4), 0.5), integers={0: 2}),
        Sample(((3, 4), -0.5, (3, 4)), integers={0: 2}),
    )
    errors = (ErrorSample(((2, 3), (2, 3), (2, 4)), integers={0: 2}, match="broadcast"),)
    per_element = Cost()

    def scalar(condition, x, y):
        return x if condition else y

    def forward(ctx, condition, x, y):
        ctx.save(condition)
        xp = backend.xp(condition)
        dtype = getattr(x, "dtype", None) or getattr(y, "dtype", None)
        if isinstance(x, (int, float)):  # a bare number would widen float32
            x = xp.asarray(x, dtype=dtype)
        if isinstance(y, (int, float)):
            y = xp.asarray(y, dtype=dtype)
        return xp.where(condition != 0, x, y)

    def backward(ctx, gy):
        (condition,) = ctx.saved
        return (
            None,
            where(condition, gy, 0.0) if ctx.needs[1] else None,
            where(condition, 0.0, gy) if ctx.needs[2] else None,
        )


def add(x: Any, y: Any) -> Tensor:
    """Return x + y; shapes broadcast."""
    return Add.apply(x, y)


def subtract(x: Any, y: Any) -> Tensor:
    """Return x - y; shapes broadcast."""
    return Subtract.apply(x, y)


def multiply(x: Any, y: Any) -> Tensor:
    """Return x * y; shapes broadcast."""
    return Multiply.apply(x, y)


def divide(x: Any, y: Any) -> Tensor:
    """Return x / y; shapes broadcast."""
    return Divide.apply(x, y)


def negative(x: Any) -> Tensor:
    """Return -x."""
    return Negative.apply(x)


def power(x: Any, y: Any) -> Tensor:
    """Return x to the power of y; shapes broadcast."""
    return Power.apply(x, y)


def exp(x: Any) -> Tensor:
    """Return e to the power of each element."""
    return Exp.apply(x)


def log(x: Any) -> Tensor:
    """Return the natural logarithm of each element."""
    return Log.apply(x)


def sqrt(x: Any) -> Tensor:
    """Return the square root of each element."""
    return Sqrt.apply(x)


def erf(x: Any) -> Tensor:
    """Return the error function of each element."""
    return Erf.apply(x)


def absolute(x: Any) -> Tensor:
    """Return the absolute value of each element, with the gradient 0 at 0."""
    return Absolute.apply(x)


def clip(x: Any, low: float | None = None, high: float | None = None) -> Tensor:
    """Limit each element to [low, high]; either limit may be None.

    Parameters
    ----------
    x : Tensor
    low, high : float, optional

    Returns
    -------
    Tensor of the same shape
    """
    if low is None and high is None:
        raise OptionError("clip: give low, high or both")
    if low is not None and high is not None and low > high:
        raise OptionError(f"clip: low {low} is above high {high}")
    return Clip.apply(x, low=low, high=high)


def maximum(x: Any, y: Any) -> Tensor:
    """Return the larger of two elements; where they are equal, each gets half of the gradient."""
    return Maximum.apply(x, y)


def minimum(x: Any, y: Any) -> Tensor:
    """Return the smaller of two elements; where they are equal, each gets half of the gradient."""
    return Minimum.apply(x, y)


def where(condition: Any, x: Any, y: Any) -> Tensor:
    """Choose between two tensors, element by element.

    Parameters
    ----------
    condition : Tensor or array of bool
        No gradient reaches it.
    x, y : Tensor or number
        Taken where the condition holds, and where it does not. Shapes broadcast.

    Returns
    -------
    Tensor
    """
    return Where.apply(condition, x, y)
