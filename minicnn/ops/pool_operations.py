"""The operations of max and average pooling, and those that their gradients are."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from minicnn.autograd import Cost, ErrorSample, Operation, Sample
from minicnn.errors import DTypeError, ShapeError
from minicnn.kernels import pool
from minicnn.kernels.sizes import Padding, Pair, window_output
from minicnn.ops.standardize import OfFloats

__all__: list[str] = []

_TWO: dict[str, Any] = {
    "kernel": (2, 2),
    "stride": (2, 2),
    "padding": ((0, 0), (0, 0)),
    "dilation": (1, 1),
}
_OVERLAP: dict[str, Any] = {
    "kernel": (3, 2),
    "stride": (1, 2),
    "padding": ((1, 1), (1, 0)),
    "dilation": (1, 1),
}
_DILATED: dict[str, Any] = {
    "kernel": (2, 2),
    "stride": (2, 1),
    "padding": ((0, 0), (0, 0)),
    "dilation": (2, 1),
}
_AVERAGE: dict[str, Any] = {**_TWO, "include_pad": True}
_AVERAGE_OVERLAP: dict[str, Any] = {**_OVERLAP, "include_pad": True}
_AVERAGE_INSIDE: dict[str, Any] = {**_OVERLAP, "include_pad": False}
for _options in (_AVERAGE, _AVERAGE_OVERLAP, _AVERAGE_INSIDE):
    del _options["dilation"]


def _output(x: tuple, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Pair:
    if len(x) != 4:
        raise ShapeError(f"expected images of shape (N, H, W, C), got {x}")
    height = window_output(x[1], kernel[0], stride[0], padding[0], dilation[0], "height")
    width = window_output(x[2], kernel[1], stride[1], padding[1], dilation[1], "width")
    return height, width


def _windows(
    x: tuple, output: Pair, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> Any:
    # (output position, place in the window, input position) for every pixel inside the image.
    for n, p, q, c in itertools.product(range(x[0]), *map(range, output), range(x[3])):
        for i, j in itertools.product(*map(range, kernel)):
            row = p * stride[0] + i * dilation[0] - padding[0][0]
            column = q * stride[1] + j * dilation[1] - padding[1][0]
            if 0 <= row < x[1] and 0 <= column < x[2]:
                yield (n, p, q, c), i * kernel[1] + j, (n, row, column, c)


def _check_windows(
    x: tuple, output: Pair, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> None:
    # Refuse windows with nothing but padding in them: their maximum would be minus infinity.
    for n, k, s, (before, after), d, positions in zip(
        x[1:3], kernel, stride, padding, dilation, output, strict=True
    ):
        for start in range(-before, positions * s - before, s) if before or after else ():
            place = max(0, -(start // d))  # the first that is not before the image
            if place >= k or start + place * d >= n:
                raise ShapeError(
                    f"images of size {x[1:3]} with the padding {padding} have windows that are all "
                    f"padding; use less padding or dilation than {dilation}, or larger images"
                )


class MaxPool2d(Operation, name="max_pool2d"):
    """The maximum of each window; the gradient goes to the first pixel that holds it."""

    samples = (
        Sample(((2, 4, 5, 2),), **_TWO),
        Sample(((1, 3, 4, 2),), **_OVERLAP),
        Sample(((1, 5, 4, 2),), **_DILATED),
    )
    errors = (
        ErrorSample(((2, 4, 5),), match=r"\(N, H, W, C\)", **_TWO),
        ErrorSample(((2, 1, 5, 2),), match="larger than the image", **_TWO),
        ErrorSample(((2, 4, 5, 2),), match="all padding", **{**_TWO, "padding": ((0, 2), (0, 0))}),
    )

    def shape(x, **geometry):
        output = _output(x, **geometry)
        _check_windows(x, output, **geometry)
        return (x[0], *output, x[3])

    def cost(x, *, kernel, **options):
        outputs = math.prod(MaxPool2d.shape(x, kernel=kernel, **options))
        return Cost(comparisons=(kernel[0] * kernel[1] - 1) * outputs)

    def reference(x, **options):
        y = np.full(MaxPool2d.shape(x.shape, **options), -np.inf)
        for out, _, source in _windows(x.shape, y.shape[1:3], **options):
            y[out] = max(y[out], x[source])
        return y

    def forward(ctx, x, **options):
        y, ctx.index = pool.max_pool(x, output=_output(x.shape, **options), **options)
        return y

    def backward(ctx, gy):
        size = ctx.inputs[0].shape[1:3]
        return MaxPool2dGradient.apply(gy, ctx.index, size=size, **ctx.options)


def _scattered(gy: tuple, kernel: Pair, stride: Pair, dilation: Pair) -> int:
    # How many numbers are added up where windows overlap: one for every place of every window.
    return 0 if pool.disjoint(kernel, stride, dilation) else math.prod((*kernel, *gy))


class MaxPool2dGradient(Operation, name="max_pool2d_gradient"):
    """Send gy (N, OH, OW, C) to given places of the windows: the adjoint of max_pool2d_at."""

    samples = (
        Sample(((2, 2, 2, 2), (2, 2, 2, 2)), integers={1: 4}, size=(4, 5), **_TWO),
        Sample(
            ((1, 5, 3, 2), (1, 5, 3, 2)),
            integers={1: 6},
            size=(5, 6),
            **{**_OVERLAP, "padding": ((1, 1), (0, 1))},
        ),
        Sample(((1, 2, 3, 2), (1, 2, 3, 2)), integers={1: 4}, size=(5, 4), **_DILATED),
    )
    errors = (
        ErrorSample(
            ((2, 3, 2, 2), (2, 3, 2, 2)), integers={1: 4}, match="outputs", size=(4, 5), **_TWO
        ),
        ErrorSample(
            ((2, 2, 2, 2), (2, 2, 2, 1)), integers={1: 4}, match="index", size=(4, 5), **_TWO
        ),
    )

    def shape(gy, index, *, size, **options):
        if gy != index:
            raise ShapeError(f"gradients of shape {gy} have an index of shape {index}")
        x = (gy[0], *size, gy[-1])
        found = _output(x, **options)
        if found != gy[1:3]:
            raise ShapeError(f"images of size {size} give outputs {found}, not {gy[1:3]}")
        return x

    def cost(gy, index, *, kernel, stride, dilation, **options):
        return Cost(additions=_scattered(gy, kernel, stride, dilation))

    def reference(gy, index, *, size, **options):
        gx = np.zeros((gy.shape[0], *size, gy.shape[3]))
        for out, place, source in _windows(gx.shape, gy.shape[1:3], **options):
            if index[out] == place:
                gx[source] += gy[out]
        return gx

    def forward(ctx, gy, index, **options):
        ctx.save(index)
        return pool.max_scatter(gy, index, **options)

    def backward(ctx, gx):
        options = {name: value for name, value in ctx.options.items() if name != "size"}
        return MaxPool2dAt.apply(gx, ctx.saved[0], **options), None


class MaxPool2dAt(Operation, name="max_pool2d_at"):
    """Take from each window of x (N, H, W, C) the pixel at a given place."""

    samples = (
        Sample(((2, 4, 5, 2), (2, 2, 2, 2)), integers={1: 4}, **_TWO),
        Sample(
            ((1, 5, 6, 2), (1, 5, 3, 2)),
            integers={1: 6},
            **{**_OVERLAP, "padding": ((1, 1), (0, 1))},
        ),
        Sample(((1, 5, 4, 2), (1, 2, 3, 2)), integers={1: 4}, **_DILATED),
    )
    errors = (ErrorSample(((2, 4, 5, 2), (2, 3, 2, 2)), integers={1: 4}, match="index", **_TWO),)

    def shape(x, index, **options):
        found = (x[0], *_output(x, **options), x[3])
        if found != index:
            raise ShapeError(f"windows {found} have an index of shape {index}")
        return index

    def cost(x, index, **options):
        return Cost()

    def reference(x, index, **options):
        y = np.zeros(index.shape)
        for out, place, source in _windows(x.shape, index.shape[1:3], **options):
            if index[out] == place:
                y[out] = x[source]
        return y

    def forward(ctx, x, index, **options):
        ctx.save(index)
        return pool.max_gather(x, index, **options)

    def backward(ctx, gy):
        size = ctx.inputs[0].shape[1:3]
        return MaxPool2dGradient.apply(gy, ctx.saved[0], size=size, **ctx.options), None


class AvgPool2d(OfFloats, name="avg_pool2d"):
    """The mean of each window."""

    samples = (
        Sample(((2, 4, 5, 2),), **_AVERAGE),
        Sample(((1, 3, 4, 2),), **_AVERAGE_OVERLAP),
        Sample(((1, 3, 4, 2),), **_AVERAGE_INSIDE),
    )
    errors = (
        ErrorSample(((2, 4, 5),), match=r"\(N, H, W, C\)", **_AVERAGE),
        ErrorSample(((2, 4, 1, 2),), match="larger than the image", **_AVERAGE),
        ErrorSample(((2, 4, 5, 2),), integers={0: 9}, error=DTypeError, match="astype", **_AVERAGE),
    )

    def shape(x, *, kernel, stride, padding, include_pad):
        return (x[0], *_output(x, kernel, stride, padding, (1, 1)), x[3])

    def cost(x, *, kernel, **options):
        outputs = math.prod(AvgPool2d.shape(x, kernel=kernel, **options))
        return Cost(multiplications=outputs, additions=(kernel[0] * kernel[1] - 1) * outputs)

    def reference(x, *, include_pad, **options):
        y = np.zeros(AvgPool2d.shape(x.shape, include_pad=include_pad, **options))
        count = np.zeros_like(y)
        for out, _, source in _windows(x.shape, y.shape[1:3], dilation=(1, 1), **options):
            y[out] += x[source]
            count[out] += 1
        return y / (math.prod(options["kernel"]) if include_pad else count)

    def forward(ctx, x, *, include_pad, **options):
        output = _output(x.shape, dilation=(1, 1), **options)
        return pool.average_pool(x, include_pad=include_pad, output=output, **options)

    def backward(ctx, gy):
        return AvgPool2dGradient.apply(gy, size=ctx.inputs[0].shape[1:3], **ctx.options)


class AvgPool2dGradient(Operation, name="avg_pool2d_gradient"):
    """Share gy (N, OH, OW, C) among the pixels of each window: the adjoint of avg_pool2d."""

    samples = (
        Sample(((2, 2, 2, 2),), size=(4, 5), **_AVERAGE),
        Sample(((1, 3, 2, 2),), size=(3, 4), **_AVERAGE_OVERLAP),
        Sample(((1, 3, 2, 2),), size=(3, 4), **_AVERAGE_INSIDE),
    )
    errors = (ErrorSample(((2, 3, 2, 2),), match="outputs", size=(4, 5), **_AVERAGE),)

    def shape(gy, *, size, kernel, stride, padding, include_pad):
        x = (gy[0], *size, gy[-1])
        found = _output(x, kernel, stride, padding, (1, 1))
        if found != gy[1:3]:
            raise ShapeError(f"images of size {size} give outputs {found}, not {gy[1:3]}")
        return x

    def cost(gy, *, kernel, stride, **options):
        additions = _scattered(gy, kernel, stride, (1, 1))
        return Cost(multiplications=math.prod(gy), additions=additions)

    def reference(gy, *, size, include_pad, **options):
        gx = np.zeros((gy.shape[0], *size, gy.shape[3]))
        count = np.zeros(gy.shape)
        visits = list(_windows(gx.shape, gy.shape[1:3], dilation=(1, 1), **options))
        for out, _, _ in visits:
            count[out] += 1
        for out, _, source in visits:
            gx[source] += gy[out] / (math.prod(options["kernel"]) if include_pad else count[out])
        return gx

    def forward(ctx, gy, **options):
        return pool.average_scatter(gy, **options)

    def backward(ctx, gx):
        options = {name: value for name, value in ctx.options.items() if name != "size"}
        return AvgPool2d.apply(gx, **options)
