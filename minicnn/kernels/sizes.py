"""Output sizes of convolutions and poolings, from integers alone, each axis by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn.errors import OptionError, ShapeError

__all__ = [
    "Padding",
    "Pair",
    "conv_output_size",
    "integer",
    "pad_pairs",
    "pair",
    "transposed_output_size",
    "window_output",
]

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _are_two(value: Any, fit: Callable[[Any], bool] = _is_integer) -> bool:
    return isinstance(value, Sequence) and len(value) == 2 and all(map(fit, value))


def integer(value: Any, name: str, *, least: int = 1) -> int:
    """Return an option that is one integer, or raise OptionError if it is not or is too small."""
    if not _is_integer(value) or value < least:
        raise OptionError(f"{name}: expected an integer of {least} or more, got {value!r}")
    return int(value)


def pair(value: Any, name: str, *, least: int = 1) -> Pair:
    """Make an integer or two of them into a pair (along the height, along the width).

    Parameters
    ----------
    value : int or sequence of two int
    name : str
        Of the option, for the error message.
    least : int
        Smallest allowed value.

    Returns
    -------
    tuple of two int

    Raises
    ------
    OptionError
        The value is neither, or below ``least``.
    """
    both = (value, value) if _is_integer(value) else value
    if not _are_two(both):
        raise OptionError(
            f"{name}: expected an integer or two of them (height, width), got {value!r}"
        )
    if min(both) < least:
        raise OptionError(f"{name}: must be {least} or more, got {value!r}")
    return int(both[0]), int(both[1])


def pad_pairs(
    padding: Any, size: Pair, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)
) -> Padding:
    """Make any way to say a padding into ((top, bottom), (left, right)).

    Parameters
    ----------
    padding : int, pair, pair of pairs, or {"same", "valid"}
        "same" makes the output ceil(size / stride) large, with the odd row or column at the end, as
        TensorFlow does.
    size, kernel, stride, dilation : pair of int
        Of the input and the window.

    Returns
    -------
    tuple of two pairs

    Raises
    ------
    OptionError
        The padding is none of these, or negative.
    """
    if isinstance(padding, str) and padding == "valid":
        return (0, 0), (0, 0)
    if isinstance(padding, str) and padding == "same":
        result = []
        for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
            total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            result.append((total // 2, total - total // 2))
        return result[0], result[1]
    if _are_two(padding, _are_two):
        (top, bottom), (left, right) = padding
    elif _is_integer(padding):
        top = bottom = left = right = padding
    elif _are_two(padding):
        (top, left), (bottom, right) = padding, padding
    else:
        raise OptionError(
            "padding: expected an integer, two of them (height, width), two pairs ((top, bottom), "
            f"(left, right)), 'same' or 'valid', got {padding!r}"
        )
    if min(top, bottom, left, right) < 0:
        raise OptionError(f"padding: must be 0 or more, got {padding!r}")
    return (int(top), int(bottom)), (int(left), int(right))


def window_output(
    size: int, kernel: int, stride: int, padding: Pair, dilation: int, axis: str
) -> int:
    """Return how many positions a window has along one axis.

    floor((size + padding before and after - dilation * (kernel - 1) - 1) / stride) + 1

    Raises
    ------
    ShapeError
        The window is larger than the padded image, or the image is empty.
    """
    extent = dilation * (kernel - 1) + 1
    padded = size + padding[0] + padding[1]
    if size < 1:
        raise ShapeError(f"images of {axis} {size} are empty; expected a {axis} of 1 or more")
    if extent > padded:
        dilated = f" (dilated to {extent})" if extent > kernel else ""
        framed = f" (padded to {padded})" if padded > size else ""
        raise ShapeError(
            f"a kernel of {axis} {kernel}{dilated} is larger than the image of {axis} "
            f"{size}{framed}; use a smaller kernel, more padding or larger images"
        )
    return (padded - extent) // stride + 1


def conv_output_size(
    size: Any, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1
) -> Any:
    """Return the output size of a convolution or pooling: floor((n + 2p - d(k - 1) - 1) / s) + 1.

    Parameters
    ----------
    size : int or pair of int
        Size of the image along one axis, or (height, width).
    kernel_size, stride, dilation : int or pair of int
        Each axis has its own; a single number holds for both.
    padding : int, pair of int, pair of pairs, or {"same", "valid"}

    Returns
    -------
    int or pair of int
        Like ``size``.

    Raises
    ------
    ShapeError
        The kernel is larger than the padded image, or the image is empty.
    OptionError
        A value is not an integer or is too small, or the axes differ where ``size`` is for one.
    """
    sizes = pair(size, "size", least=0)
    kernel = pair(kernel_size, "kernel_size")
    stride = pair(stride, "stride")
    dilation = pair(dilation, "dilation")
    pads = pad_pairs(padding, sizes, kernel, stride, dilation)
    if _is_integer(size):
        axes = {"kernel_size": kernel, "stride": stride, "padding": pads, "dilation": dilation}
        for name, (first, second) in axes.items():
            if first != second:
                raise OptionError(
                    f"size: {size} is for one axis, but {name} is {first} for the height and "
                    f"{second} for the width; give the size as (height, width)"
                )
    height = window_output(sizes[0], kernel[0], stride[0], pads[0], dilation[0], "height")
    if _is_integer(size):
        return height
    return height, window_output(sizes[1], kernel[1], stride[1], pads[1], dilation[1], "width")


def transposed_output_size(
    size: Pair, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair, output_padding: Pair
) -> Pair:
    """Return the output size of a transposed convolution: the input size of the matching one.

    (n - 1) * s - (padding before and after) + d * (k - 1) + 1 + output padding

    Raises
    ------
    ShapeError
        The images are empty, or the output would be.
    OptionError
        The output padding is not smaller than the stride, so that the sizes would not match.
    """
    result = []
    for n, k, s, p, d, extra, axis in zip(
        size, kernel, stride, padding, dilation, output_padding, ("height", "width"), strict=True
    ):
        if extra >= s:
            raise OptionError(f"output_padding: {extra} must be smaller than the stride {s}")
        if n < 1:
            raise ShapeError(f"images of {axis} {n} are empty; expected a {axis} of 1 or more")
        full = (n - 1) * s + d * (k - 1) + 1 + extra
        if full <= sum(p):
            raise ShapeError(
                f"the padding {p} takes away all of the transposed convolution's {axis} of {full}; "
                "use less padding"
            )
        result.append(full - sum(p))
    return result[0], result[1]
