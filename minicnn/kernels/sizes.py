"""Output sizes of convolutions and poolings, from integers alone, each axis by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.errors import OptionError, ShapeError

__all__ = [
    "Padding",
    "Pair",
    "conv_output_size",
    "pad_pairs",
    "pair",
    "transposed_output_size",
    "window_output",
]

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


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
    if not isinstance(both, Sequence) or len(both) != 2 or not all(map(_is_integer, both)):
        raise OptionError(f"{name}: expected an integer or two of them, got {value!r}")
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
    """
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        result = []
        for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
            total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            result.append((total // 2, total - total // 2))
        return result[0], result[1]
    if isinstance(padding, str):
        raise OptionError(f"padding: expected a number, 'same' or 'valid', got {padding!r}")
    if isinstance(padding, Sequence) and len(padding) == 2 and isinstance(padding[0], Sequence):
        return pair(padding[0], "padding", least=0), pair(padding[1], "padding", least=0)
    height, width = pair(padding, "padding", least=0)
    return (height, height), (width, width)


def window_output(
    size: int, kernel: int, stride: int, padding: Pair, dilation: int, axis: str
) -> int:
    """Return how many positions a window has along one axis.

    floor((size + padding before and after - dilation * (kernel - 1) - 1) / stride) + 1

    Raises
    ------
    ShapeError
        The window is larger than the padded image.
    """
    extent = dilation * (kernel - 1) + 1
    padded = size + padding[0] + padding[1]
    if extent > padded or size < 1:
        dilated = f" (dilated to {extent})" if dilation > 1 else ""
        raise ShapeError(
            f"a kernel of {axis} {kernel}{dilated} is larger than the image of {axis} {size} "
            "padded to "
            f"{padded}; use a smaller kernel, more padding or larger images"
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
        The kernel is larger than the padded image.
    OptionError
        A value is not an integer or is too small.
    """
    sizes = pair(size, "size", least=0)
    kernel = pair(kernel_size, "kernel_size")
    stride = pair(stride, "stride")
    dilation = pair(dilation, "dilation")
    pads = pad_pairs(padding, sizes, kernel, stride, dilation)
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
        The output would be empty.
    OptionError
        The output padding is not smaller than both stride and dilation allow.
    """
    result = []
    for n, k, s, p, d, extra in zip(
        size, kernel, stride, padding, dilation, output_padding, strict=True
    ):
        if extra >= max(s, d):
            raise OptionError(
                f"output_padding: {extra} must be smaller than the stride {s} or the dilation {d}"
            )
        found = (n - 1) * s - sum(p) + d * (k - 1) + 1 + extra
        if found < 1:
            raise ShapeError(
                f"a transposed convolution of size {n} with kernel {k} and padding {p} leaves "
                "nothing; "
                "use less padding"
            )
        result.append(found)
    return result[0], result[1]
