"""Convolution and its two gradients, which together are closed under differentiation."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from minicnn.autograd import Cost, ErrorSample, Operation, Sample
from minicnn.errors import DTypeError, ShapeError
from minicnn.kernels import conv, winograd
from minicnn.kernels.sizes import window_output
from minicnn.ops.arguments import refuse_integers
from minicnn.ops.rectifier import rectifier_cost, rectifier_gradient

__all__ = ["check_bias", "check_filters", "check_images"]

_PLAIN: dict[str, Any] = {
    "stride": (1, 1),
    "padding": ((0, 0), (0, 0)),
    "dilation": (1, 1),
    "groups": 1,
}
_PADDED = {**_PLAIN, "padding": ((1, 1), (1, 1))}
_STRIDED = {**_PLAIN, "stride": (2, 1), "padding": ((1, 0), (2, 1))}
_DILATED = {**_PLAIN, "dilation": (2, 1), "padding": ((1, 1), (0, 0))}
_GROUPED = {**_PADDED, "groups": 2}
_WINOGRAD = {**_PLAIN, "algorithm": "winograd"}
_DIRECT = {**_STRIDED, "algorithm": "direct"}
_WINOGRAD_WIDE = {**_WINOGRAD, "padding": ((2, 2), (2, 2))}
_DEPTHWISE = {**_PLAIN, "stride": (2, 2), "groups": 4}


def _output(x: tuple, kernel: tuple, stride: tuple, padding: tuple, dilation: tuple) -> tuple:
    return tuple(
        window_output(x[1 + axis], kernel[axis], stride[axis], padding[axis], dilation[axis], name)
        for axis, name in enumerate(("height", "width"))
    )


def check_images(x: tuple, what: str = "images") -> None:
    """Refuse a shape that is not (N, H, W, C)."""
    if len(x) != 4:
        raise ShapeError(f"expected {what} of shape (N, H, W, C), got {x}")


def check_filters(w: tuple, groups: int) -> None:
    """Refuse a shape that is not (KH, KW, C / groups, O), or is empty."""
    if len(w) != 4:
        raise ShapeError(f"expected filters of shape (KH, KW, C, O), got {w}")
    if 0 in w:
        raise ShapeError(f"the filters (KH, KW, C, O) of shape {w} are empty")
    if w[3] % groups:
        raise ShapeError(f"the last axis of the filters {w} cannot be split into {groups} groups")


def _check_channels(x: tuple, w: tuple, groups: int) -> None:
    if w[2] * groups != x[3]:
        grouped = f" ({w[2]} in each of {groups} groups)" if groups > 1 else ""
        raise ShapeError(
            f"the filters {w} expect {w[2] * groups} channels{grouped}, the images {x} have "
            f"{x[3]}; filters are (KH, KW, C / groups, O) and images (N, H, W, C)"
        )


def check_bias(b: tuple | None, outputs: int) -> None:
    """Refuse a shape other than (O,); there may be none."""
    if b is not None and b != (outputs,):
        raise ShapeError(f"the bias must have the shape {(outputs,)}, one for a filter, got {b}")


def _positions(gy: tuple, kernel: tuple) -> Any:
    return itertools.product(*(range(n) for n in (*gy[:3], *kernel)))


class _Convolution(Operation):
    """A convolution or a gradient of one: refuses integers."""

    @classmethod
    def check(cls, arrays: list, options: dict) -> None:
        """Refuse shapes that do not fit, and integers, whose products NumPy would widen."""
        super().check(arrays, options)
        for array in arrays:
            if array is not None:
                refuse_integers(array, cls.name)


class Conv2d(_Convolution, name="conv2d"):
    """Cross-correlate images (N, H, W, C) with filters (KH, KW, C/groups, O), and add a bias (O,).

    Negative results are multiplied by ``slope``, which makes LeakyReLU or ReLU of them in the same
    pass. Before it, y[n, p, q, o] = b[o] + sum over i, j, c of x[n, s p + d i, t q + e j, c] *
    w[i, j, c, o], on the padded images, with the strides s, t and the dilations d, e.
    """

    samples = (
        Sample(((2, 4, 5, 3), (3, 2, 3, 4), None), **_PLAIN),
        Sample(((2, 4, 3, 2), (3, 3, 2, 3), (3,)), **_PADDED),
        Sample(((1, 5, 4, 2), (3, 2, 2, 2), (2,)), **_STRIDED),
        Sample(((1, 5, 4, 1), (2, 3, 1, 2), None), **_DILATED),
        Sample(((2, 3, 3, 4), (2, 2, 2, 6), (6,)), **_GROUPED),
        Sample(((1, 5, 4, 4), (2, 2, 1, 4), None), **_DEPTHWISE),
        Sample(((1, 6, 10, 2), (3, 3, 2, 3), (3,)), **_WINOGRAD),
        Sample(((2, 6, 6, 1), (5, 5, 1, 2), None), **_WINOGRAD),
        Sample(((2, 4, 3, 2), (3, 3, 2, 3), (3,)), **_PADDED, slope=0.25),
        Sample(((1, 6, 10, 2), (3, 3, 2, 3), None), **_WINOGRAD, slope=0.0),
        Sample(((1, 5, 4, 2), (3, 2, 2, 2), (2,)), **_DIRECT, slope=0.25),
    )
    errors = (
        ErrorSample(((2, 5, 6, 3), (3, 3, 2, 4), None), match="channels", **_PLAIN),
        ErrorSample(((2, 5, 6), (3, 3, 2, 4), None), match=r"\(N, H, W, C\)", **_PLAIN),
        ErrorSample(((2, 5, 6, 3), (3, 3, 3), None), match=r"\(KH, KW, C, O\)", **_PLAIN),
        ErrorSample(((2, 5, 6, 3), (7, 3, 3, 4), None), match="larger than the image", **_PLAIN),
        ErrorSample(((2, 5, 6, 3), (3, 3, 3, 4), (3,)), match="bias", **_PLAIN),
        ErrorSample(((2, 5, 6, 4), (3, 3, 2, 3), None), match="groups", **_GROUPED),
        ErrorSample(((2, 5, 6, 3), (0, 3, 3, 4), None), match="empty", **_PLAIN),
        ErrorSample(
            ((2, 5, 6, 3), (3, 3, 3, 4), None),
            integers={0: 9},
            error=DTypeError,
            match="astype",
            **_PLAIN,
        ),
    )

    def shape(x, w, b, *, stride, padding, dilation, groups, algorithm="auto", slope=1):
        check_images(x)
        check_filters(w, groups)
        _check_channels(x, w, groups)
        check_bias(b, w[3])
        return (x[0], *_output(x, w, stride, padding, dilation), w[3])

    def cost(x, w, b, **options):
        y = Conv2d.shape(x, w, b, **options)
        outputs = math.prod(y)
        added = 0 if b is None else outputs
        activation = rectifier_cost(outputs, options.get("slope", 1))
        if options.get("algorithm") == "winograd":
            found = winograd.cost(x[0], w[2], w[3], w[0], y[1:3])
            return Cost(*found) + Cost(additions=added) + activation
        terms = math.prod(w[:3])
        sums = Cost(multiplications=terms * outputs, additions=(terms - 1) * outputs + added)
        return sums + activation

    def reference(x, w, b, *, stride, padding, dilation, groups, algorithm="auto", slope=1):
        y = np.zeros(Conv2d.shape(x.shape, w.shape, None, stride=stride, padding=padding,
                                  dilation=dilation, groups=groups))  # fmt: skip
        per_group, outputs = w.shape[2], w.shape[3] // groups
        for n, p, q, i, j in _positions(y.shape, w.shape[:2]):
            row = p * stride[0] + i * dilation[0] - padding[0][0]
            column = q * stride[1] + j * dilation[1] - padding[1][0]
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                for c, o in itertools.product(range(per_group), range(w.shape[3])):
                    channel = o // outputs * per_group + c
                    y[n, p, q, o] += x[n, row, column, channel] * w[i, j, c, o]
        y = y if b is None else y + b
        return np.where(y > 0, y, slope * y)

    def forward(ctx, x, w, b, **options):
        output = _output(
            x.shape, w.shape, options["stride"], options["padding"], options["dilation"]
        )
        y = conv.conv2d(x, w, b, output=output, **options)
        ctx.save(x, w, None if options.get("slope", 1) == 1 else y)
        return y

    def backward(ctx, gy):
        x, w, _ = ctx.saved
        options = {name: value for name, value in ctx.options.items() if name != "slope"}
        gx = gw = gb = None
        gy = rectifier_gradient(ctx, gy)
        if ctx.needs[0]:
            gx = Conv2dInputGradient.apply(gy, w, size=x.shape[1:3], **options)
        if ctx.needs[1]:
            gw = Conv2dFilterGradient.apply(x, gy, kernel=w.shape[:2], **options)
        if ctx.needs[2]:
            gb = gy.sum(axis=(0, 1, 2))
        return gx, gw, gb

    def backward_kernel(ctx, gy):
        x, w, y = ctx.saved_arrays
        return conv.gradients(x, w, y, gy, needs=ctx.needs, **ctx.options)


class Conv2dInputGradient(_Convolution, name="conv2d_input_gradient"):
    """Send gy (N, OH, OW, O) back through filters to images of a size: the adjoint of conv2d in x.

    It is the transposed convolution as well.
    """

    samples = (
        Sample(((2, 2, 4, 4), (3, 2, 3, 4)), size=(4, 5), **_PLAIN),
        Sample(((2, 4, 3, 3), (3, 3, 2, 3)), size=(4, 3), **_PADDED),
        Sample(((1, 2, 6, 2), (3, 2, 2, 2)), size=(5, 4), **_STRIDED),
        Sample(((1, 5, 2, 2), (2, 3, 1, 2)), size=(5, 4), **_DILATED),
        Sample(((2, 4, 4, 6), (2, 2, 2, 6)), size=(3, 3), **_GROUPED),
        Sample(((1, 2, 2, 4), (2, 2, 1, 4)), size=(5, 4), **_DEPTHWISE),
        Sample(((1, 6, 10, 2), (3, 3, 3, 2)), size=(4, 8), **_WINOGRAD_WIDE),
        Sample(((1, 2, 6, 2), (3, 2, 2, 2)), size=(5, 4), **_DIRECT),
    )
    errors = (
        ErrorSample(((2, 4, 5, 4), (3, 2, 3, 4)), match="size", size=(4, 5), **_PLAIN),
        ErrorSample(((2, 2, 4, 3), (3, 2, 3, 4)), match="channels", size=(4, 5), **_PLAIN),
        ErrorSample(((2, 4, 4, 3), (2, 2, 2, 3)), match="groups", size=(3, 3), **_GROUPED),
    )

    def shape(gy, w, *, size, stride, padding, dilation, groups, algorithm="auto"):
        check_images(gy, "gradients")
        check_filters(w, groups)
        if gy[3] != w[3]:
            raise ShapeError(
                f"the filters {w} have {w[3]} outputs, the gradients {gy} have {gy[3]} channels; "
                "filters are (KH, KW, C / groups, O) and gradients (N, OH, OW, O)"
            )
        x = (gy[0], *size, w[2] * groups)
        found = _output(x, w, stride, padding, dilation)
        if found != gy[1:3]:
            raise ShapeError(f"images of size {size} give outputs {found}, not {gy[1:3]}")
        return x

    def cost(gy, w, **options):
        if options.get("algorithm") == "winograd":
            size, padding = options["size"], options["padding"]
            return Cost(*winograd.input_cost(gy[0], w[2], w[3], w[0], size, padding))
        # Each position sends O products to each place of its patch, all of them added to zeros.
        terms = math.prod(gy) * math.prod(w[:3])
        return Cost(multiplications=terms, additions=terms)

    def reference(gy, w, *, size, stride, padding, dilation, groups, algorithm="auto"):
        per_group, outputs = w.shape[2], w.shape[3] // groups
        gx = np.zeros((gy.shape[0], *size, per_group * groups))
        for n, p, q, i, j in _positions(gy.shape, w.shape[:2]):
            row = p * stride[0] + i * dilation[0] - padding[0][0]
            column = q * stride[1] + j * dilation[1] - padding[1][0]
            if 0 <= row < size[0] and 0 <= column < size[1]:
                for c, o in itertools.product(range(per_group), range(w.shape[3])):
                    channel = o // outputs * per_group + c
                    gx[n, row, column, channel] += gy[n, p, q, o] * w[i, j, c, o]
        return gx

    def forward(ctx, gy, w, *, size, **options):
        ctx.save(gy, w)
        return conv.input_gradient(gy, w, size=size, **options)

    def backward(ctx, gx):
        gy, w = ctx.saved
        options = {name: value for name, value in ctx.options.items() if name != "size"}
        return (
            Conv2d.apply(gx, w, None, **options) if ctx.needs[0] else None,
            Conv2dFilterGradient.apply(gx, gy, kernel=w.shape[:2], **options)
            if ctx.needs[1]
            else None,
        )


class Conv2dFilterGradient(_Convolution, name="conv2d_filter_gradient"):
    """Correlate images (N, H, W, C) with gy (N, OH, OW, O): adjoint of conv2d in its filters."""

    samples = (
        Sample(((2, 4, 5, 3), (2, 2, 4, 4)), kernel=(3, 2), **_PLAIN),
        Sample(((2, 4, 3, 2), (2, 4, 3, 3)), kernel=(3, 3), **_PADDED),
        Sample(((1, 5, 4, 2), (1, 2, 6, 2)), kernel=(3, 2), **_STRIDED),
        Sample(((1, 5, 4, 1), (1, 5, 2, 2)), kernel=(2, 3), **_DILATED),
        Sample(((2, 3, 3, 4), (2, 4, 4, 6)), kernel=(2, 2), **_GROUPED),
        Sample(((1, 5, 4, 4), (1, 2, 2, 4)), kernel=(2, 2), **_DEPTHWISE),
        Sample(((1, 6, 10, 2), (1, 4, 8, 3)), kernel=(3, 3), **_WINOGRAD),
        Sample(((1, 5, 4, 2), (1, 2, 6, 2)), kernel=(3, 2), **_DIRECT),
        Sample(((2, 6, 6, 1), (2, 2, 2, 2)), kernel=(5, 5), **_WINOGRAD),
    )
    errors = (
        ErrorSample(((2, 4, 5, 3), (2, 2, 5, 4)), match="give outputs", kernel=(3, 2), **_PLAIN),
        ErrorSample(((2, 4, 5, 3), (3, 2, 4, 4)), match="batch", kernel=(3, 2), **_PLAIN),
    )

    def shape(x, gy, *, kernel, stride, padding, dilation, groups, algorithm="auto"):
        check_images(x)
        check_images(gy, "gradients")
        if x[0] != gy[0]:
            raise ShapeError(f"a batch of {x[0]} images meets gradients for {gy[0]}")
        found = _output(x, kernel, stride, padding, dilation)
        if found != gy[1:3]:
            raise ShapeError(f"images of size {x[1:3]} give outputs {found}, not {gy[1:3]}")
        w = (*kernel, x[3] // groups, gy[3])
        check_filters(w, groups)
        _check_channels(x, w, groups)
        return w

    def cost(x, gy, **options):
        if options.get("algorithm") == "winograd":
            kernel = options["kernel"][0]
            return Cost(*winograd.filter_cost(x[0], x[3], gy[3], kernel, gy[1:3]))
        w = math.prod(Conv2dFilterGradient.shape(x, gy, **options))
        positions = math.prod(gy[:3])
        return Cost(multiplications=w * positions, additions=w * (positions - 1))

    def reference(x, gy, *, kernel, stride, padding, dilation, groups, algorithm="auto"):
        per_group, outputs = x.shape[3] // groups, gy.shape[3] // groups
        gw = np.zeros((*kernel, per_group, gy.shape[3]))
        for n, p, q, i, j in _positions(gy.shape, kernel):
            row = p * stride[0] + i * dilation[0] - padding[0][0]
            column = q * stride[1] + j * dilation[1] - padding[1][0]
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                for c, o in itertools.product(range(per_group), range(gy.shape[3])):
                    channel = o // outputs * per_group + c
                    gw[i, j, c, o] += x[n, row, column, channel] * gy[n, p, q, o]
        return gw

    def forward(ctx, x, gy, *, kernel, **options):
        ctx.save(x, gy)
        return conv.filter_gradient(x, gy, kernel=kernel, **options)

    def backward(ctx, gw):
        x, gy = ctx.saved
        options = {name: value for name, value in ctx.options.items() if name != "kernel"}
        return (
            Conv2dInputGradient.apply(gy, gw, size=x.shape[1:3], **options)
            if ctx.needs[0]
            else None,
            Conv2d.apply(x, gw, None, **options) if ctx.needs[1] else None,
        )
