"""Convolution and transposed convolution of images: what one calls, with its options checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.errors import OptionError, ShapeError
from minicnn.kernels import conv
from minicnn.kernels.conv import ALGORITHMS
from minicnn.kernels.sizes import integer, pad_pairs, pair, transposed_output_size
from minicnn.ops.arguments import refuse_integers, shape_of
from minicnn.ops.arithmetic import add
from minicnn.ops.conv_operations import (
    Conv2d,
    Conv2dInputGradient,
    check_bias,
    check_filters,
    check_images,
)
from minicnn.ops.rectifier import rectifier_option

__all__ = ["ALGORITHMS", "conv2d", "conv_transpose2d"]


@contextmanager
def _naming(name: str) -> Iterator[None]:
    # Put the name of an operation before the message of a ShapeError.
    try:
        yield
    except ShapeError as error:
        raise ShapeError(f"{name}: {error}") from None


def _options(
    name: str,
    x: Any,
    w: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    algorithm: str,
) -> dict[str, Any]:
    if algorithm not in ALGORITHMS:
        raise OptionError(
            f"algorithm: {algorithm!r} is unknown; choose one of {', '.join(ALGORITHMS)}"
        )
    images: Any = shape_of(x, name)
    filters: Any = shape_of(w, name)
    groups = integer(groups, "groups")
    with _naming(name):
        check_images(images)
        check_filters(filters, groups)
    stride, dilation = pair(stride, "stride"), pair(dilation, "dilation")
    pads = pad_pairs(padding, images[1:3], filters[:2], stride, dilation)
    if algorithm == "winograd" and not conv.winograd_fits(filters, stride, pads, dilation, groups):
        raise OptionError(
            "algorithm: 'winograd' is for square kernels of 2 to 5 with stride 1, dilation 1, one "
            "group and a padding below the kernel's size; use 'auto' or 'im2col'"
        )
    if algorithm == "winograd" and getattr(x, "dtype", None) == np.float16:
        raise OptionError(
            "algorithm: 'winograd' is for float32 and float64, whose range its transforms need, "
            "got float16; use 'auto' or 'im2col'"
        )
    if algorithm == "direct" and groups > 1:
        raise OptionError(
            f"algorithm: 'direct' is for one group, got groups={groups}; use 'auto' or 'im2col'"
        )
    return {
        "stride": stride,
        "padding": pads,
        "dilation": dilation,
        "groups": groups,
        "algorithm": algorithm,
    }


def conv2d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    algorithm: str = "auto",
    negative_slope: float = 1.0,
) -> Tensor:
    """Cross-correlate images with filters (what deep learning calls a convolution).

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
    w : Tensor of shape (KH, KW, C / groups, O)
    b : Tensor of shape (O,), optional
    stride, dilation : int or pair of int
        Along the height and the width.
    padding : int, pair of int, pair of pairs, or {"same", "valid"}
        Zeros around the images. "same" gives outputs of size ceil(H / stride), ceil(W / stride).
    groups : int
        The channels and the filters are split into so many groups that do not see each other.
    algorithm : {"auto", "direct", "im2col", "winograd"}
        How it is computed; the result is the same up to rounding.
    negative_slope : float
        Factor of negative results, 0 to 1: LeakyReLU, or ReLU with 0, in the same pass.

    Returns
    -------
    Tensor of shape (N, OH, OW, O)
        OH = floor((H + 2 padding - dilation (KH - 1) - 1) / stride) + 1, and OW likewise.

    Raises
    ------
    ShapeError
        The channels differ, or a kernel is larger than the padded image.
    OptionError
        An option is out of range.
    DTypeError
        The images or filters are of integers, or of two floating-point types.
    """
    options = _options("conv2d", x, w, stride, padding, dilation, groups, algorithm)
    return Conv2d.apply(x, w, b, **options, **rectifier_option(negative_slope))


def conv_transpose2d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    algorithm: str = "auto",
) -> Tensor:
    """Transposed convolution: what the gradient of :func:`conv2d` does to its output's gradient.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
    w : Tensor of shape (KH, KW, O / groups, C)
        The filters of the convolution from O to C channels whose adjoint this is.
    b : Tensor of shape (O,), optional
    stride, dilation : int or pair of int
    padding : int, pair of int, or pair of pairs
        Taken away from the output on each side.
    output_padding : int or pair of int
        Rows and columns more at the end, where several sizes would fit the stride: less than it.
    groups : int
    algorithm : {"auto", "direct", "im2col", "winograd"}

    Returns
    -------
    Tensor of shape (N, OH, OW, O)
        OH = (H - 1) stride - 2 padding + dilation (KH - 1) + output_padding + 1, and OW likewise.

    Raises
    ------
    ShapeError
        The channels differ, or the padding leaves nothing of the output.
    OptionError
        An option is out of range.
    DTypeError
        The images or filters are of integers, or of two floating-point types.
    """
    name = "conv_transpose2d"
    if isinstance(padding, str):
        raise OptionError(f"padding: a transposed convolution takes numbers, got {padding!r}")
    options = _options(name, x, w, stride, padding, dilation, groups, algorithm)
    extra = pair(output_padding, "output_padding", least=0)
    with _naming(name):
        if w.shape[3] != x.shape[3]:
            raise ShapeError(
                f"the filters {w.shape} expect {w.shape[3]} channels, the images {x.shape} have "
                f"{x.shape[3]}; filters are (KH, KW, O / groups, C) and images (N, H, W, C)"
            )
        if b is not None:
            check_bias(shape_of(b, name), w.shape[2] * options["groups"])
            refuse_integers(b, name)
        size = transposed_output_size(
            (x.shape[1], x.shape[2]),
            (w.shape[0], w.shape[1]),
            options["stride"],
            options["padding"],
            options["dilation"],
            extra,
        )
    y = Conv2dInputGradient.apply(x, w, size=size, **options)
    return y if b is None else add(y, b)
