"""What normalisations share: bringing values to mean 0 and variance 1, scaling and shifting."""

from __future__ import annotations

import math

import numpy as np

from minicnn import backend
from minicnn.autograd import Cost, ErrorSample, Operation, Sample, Tensor
from minicnn.errors import DTypeError, ShapeError
from minicnn.kernels import norm
from minicnn.ops.arguments import check_axes, refuse_integers
from minicnn.ops.arithmetic import sqrt
from minicnn.ops.broadcast import sum_to
from minicnn.ops.reduce import mean

__all__ = [
    "reference_standardize",
    "standardize_gradient",
]


class OfFloats(Operation):
    """An operation that refuses a first input of integers."""

    @classmethod
    def check(cls, arrays: list, options: dict) -> None:
        """Refuse integers, and shapes that do not fit."""
        refuse_integers(arrays[0], cls.name)
        super().check(arrays, options)


class Standardize(OfFloats, name="standardize"):
    """(x - m) / sqrt(v + eps) with the mean m and the biased variance v over axes."""

    samples = (
        Sample(((3, 4),), axes=(1,), eps=1e-3),
        Sample(((2, 3, 2, 2),), axes=(1, 3), eps=1e-3),
        Sample(((2, 2, 3),), axes=(1, 2), eps=0.0),
    )
    errors = (
        ErrorSample(((2, 3),), axes=(2,), match="out of range", eps=1e-3),
        ErrorSample(((2, 1, 3, 1),), axes=(1, 3), match="more than one value", eps=1e-3),
        ErrorSample(
            ((2, 3),), axes=(1,), integers={0: 5}, error=DTypeError, match="astype", eps=1e-3
        ),
    )

    def shape(x, *, axes, eps):
        check_axes(axes, len(x))
        if math.prod(x[axis] for axis in axes) < 2:
            raise ShapeError(
                f"more than one value must be normalised together, but axes {axes} of shape {x} "
                "hold no more than one"
            )
        return x

    def cost(x, *, axes, eps):
        count = math.prod(x[axis] for axis in axes)
        # Mean: count - 1 sums and a quotient; deviations: count; variance: count squares, count - 1
        # sums and a quotient; eps, the root and its inverse; count products.
        return (math.prod(x) // count) * Cost(
            multiplications=2 * count + 3, additions=3 * count - 1, functions=1
        )

    def reference(x, *, axes, eps):
        y = np.empty(x.shape)
        sizes = [1 if axis in axes else size for axis, size in enumerate(x.shape)]
        for index in np.ndindex(*sizes):
            part = tuple(slice(None) if axis in axes else i for axis, i in enumerate(index))
            y[part] = reference_standardize(x[part], eps)
        return y

    def forward(ctx, x, *, axes, eps):
        xp = backend.xp(x)
        y = x - norm.widen(norm.mean_over(x, axes), x)
        inverse = 1 / xp.sqrt(norm.mean_over(y * y, axes) + eps)
        inverse = norm.widen(inverse, x)
        y *= inverse
        ctx.save(x, y)
        ctx.inverse = inverse
        return y

    def backward(ctx, gy):
        x, _ = ctx.saved
        return standardize_gradient(x, gy, ctx.options["axes"], ctx.options["eps"])[0]

    def backward_kernel(ctx, gy):
        _, y = ctx.saved_arrays
        axes = ctx.options["axes"]
        gx = y * norm.widen(norm.mean_over(gy * y, axes), y)
        gx += norm.widen(norm.mean_over(gy, axes), y)
        gx -= gy
        gx *= -ctx.inverse
        return gx


class ScaleShift(OfFloats, name="scale_shift"):
    """x * scale + shift, where the scale and the shift have the shape of the last axes of x."""

    samples = (
        Sample(((3, 4), (4,), (4,))),
        Sample(((2, 3, 2, 2), (2, 2), (2, 2))),
    )
    errors = (
        ErrorSample(((3, 4), (3,), (3,)), match="last axes"),
        ErrorSample(((3, 4), (4,), (3, 4)), match="one shape"),
        ErrorSample(((3, 4), (4,), (4,)), integers={0: 5}, error=DTypeError, match="astype"),
    )

    def shape(x, scale, shift):
        if scale != shift:
            raise ShapeError(f"the scale {scale} and the shift {shift} must have one shape")
        if not scale or x[-len(scale) :] != scale:
            raise ShapeError(f"the scale {scale} does not have the shape of the last axes of {x}")
        return x

    def cost(x, scale, shift):
        return Cost(multiplications=math.prod(x), additions=math.prod(x))

    def reference(x, scale, shift):
        y = np.empty(x.shape)
        for index in np.ndindex(*x.shape):
            last = index[x.ndim - scale.ndim :]
            y[index] = x[index] * scale[last] + shift[last]
        return y

    def forward(ctx, x, scale, shift):
        ctx.save(x, scale)
        y = norm.scale_shift(x.reshape(-1, scale.size), scale.reshape(-1), shift.reshape(-1))
        return y.reshape(x.shape)

    def backward(ctx, gy):
        x, scale = ctx.saved
        return (
            gy * scale if ctx.needs[0] else None,
            sum_to(gy * x, scale.shape) if ctx.needs[1] else None,
            sum_to(gy, scale.shape) if ctx.needs[2] else None,
        )

    def backward_kernel(ctx, gy):
        x, scale = ctx.saved_arrays
        rows = gy.reshape(-1, scale.size)
        gx = norm.scale_shift(rows, scale.reshape(-1)).reshape(x.shape) if ctx.needs[0] else None
        if not (ctx.needs[1] or ctx.needs[2]):
            return gx, None, None
        sums, products = norm.gradient_sums(rows, x.reshape(rows.shape))
        return (
            gx,
            products.reshape(scale.shape).astype(x.dtype),
            sums.reshape(scale.shape).astype(x.dtype),
        )


def reference_standardize(values: np.ndarray, eps: float) -> np.ndarray:
    """Normalise, the textbook's way, values that belong together."""
    flat = values.ravel().tolist()
    middle = math.fsum(flat) / len(flat)
    variance = math.fsum((value - middle) ** 2 for value in flat) / len(flat)
    normalised = [(value - middle) / math.sqrt(variance + eps) for value in flat]
    return np.array(normalised).reshape(values.shape)


def standardize_gradient(
    x: Tensor, g: Tensor, axes: tuple[int, ...], eps: float
) -> tuple[Tensor, Tensor]:
    """Return the gradient with respect to x, and the normalised x.

    Both are made anew from x, on which a second derivative depends through all of their parts.
    """
    deviation = x - mean(x, axes, keepdims=True)
    inverse = 1 / sqrt(mean(deviation * deviation, axes, keepdims=True) + eps)
    normalised = deviation * inverse
    along = normalised * mean(g * normalised, axes, keepdims=True)
    return (g - mean(g, axes, keepdims=True) - along) * inverse, normalised
