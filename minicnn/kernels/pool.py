"""Max and average pooling on plain arrays, by one strided slice for each place in the window."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn import backend
from minicnn.kernels.im2col import pad, window_slices
from minicnn.kernels.sizes import Padding, Pair

__all__ = ["average_pool", "average_scatter", "disjoint", "max_gather", "max_pool", "max_scatter"]


def max_pool(
    x: Any, *, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair, output: Pair
) -> tuple[Any, Any]:
    """Return the maximum of each window, and which place of the window holds the first of them.

    Parameters
    ----------
    x : array (N, H, W, C)
    kernel, stride, dilation, output : pair of int
    padding : pair of pairs
        Filled with minus infinity.

    Returns
    -------
    y : array (N, OH, OW, C)
    index : array (N, OH, OW, C) of the smallest unsigned type
        i * KW + j of the maximum, never on padding; NaN is larger than any number.
    """
    xp = backend.xp(x)
    padded = pad(x, padding, _lowest(x.dtype))
    y: Any = None
    index: Any = None
    for i, j, where in window_slices(kernel, stride, dilation, output):
        values = padded[where]
        if y is None:
            y = values.copy()
            index = xp.zeros(y.shape, dtype=np.min_scalar_type(kernel[0] * kernel[1] - 1))
            if padded is not x:
                index += _first_inside(xp, kernel, stride, padding, dilation, output, index.dtype)
            continue
        y, better = _larger(xp, y, values)
        # The places come in rising order, so that the last one that was better is the largest.
        index = xp.maximum(index, better * index.dtype.type(i * kernel[1] + j))
    return y, index


def _lowest(dtype: Any) -> float:
    # What no value is below.
    if dtype.kind == "b":
        return False
    return np.iinfo(dtype).min if dtype.kind in "iu" else -math.inf


def _larger(xp: Any, y: Any, values: Any) -> tuple[Any, Any]:
    # The larger of two, and whether it is the second; of floats in passes that vectorise.
    if y.dtype.kind == "f":
        best = xp.maximum(y, values)  # NaN if one is
        return best, (best != y) & (y == y)
    better = values > y
    return xp.where(better, values, y), better


def _first_inside(
    xp: Any, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair, output: Pair, dtype: Any
) -> Any:
    # The first place of each window that is not on padding, (OH, OW, 1): nothing but padding may
    # equal the -inf of a pixel, and the pixel must have the gradient.
    rows, columns = (
        xp.maximum(-((xp.arange(positions) * s - before) // d), 0)
        for s, (before, _), d, positions in zip(stride, padding, dilation, output, strict=True)
    )
    return (rows[:, None] * kernel[1] + columns)[:, :, None].astype(dtype)


def disjoint(kernel: Pair, stride: Pair, dilation: Pair) -> bool:
    """Tell whether no pixel can be in two windows."""
    return all(s > d * (k - 1) for k, s, d in zip(kernel, stride, dilation, strict=True))


def _crop(framed: Any, size: Pair, padding: Padding) -> Any:
    (top, _), (left, _) = padding
    return framed[:, top : top + size[0], left : left + size[1]]


def _framed_zeros(gy: Any, size: Pair, padding: Padding) -> Any:
    height, width = (n + sum(p) for n, p in zip(size, padding, strict=True))
    return backend.xp(gy).zeros((gy.shape[0], height, width, gy.shape[3]), dtype=gy.dtype)


def max_scatter(
    gy: Any,
    index: Any,
    *,
    size: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
) -> Any:
    """Send each output's gradient to the pixel that was its maximum: the adjoint of max_gather.

    Parameters
    ----------
    gy, index : array (N, OH, OW, C)
    size : pair of int
        (H, W) of the images.
    kernel, stride, padding, dilation
        As for :func:`max_pool`.

    Returns
    -------
    array (N, H, W, C)
    """
    framed = _framed_zeros(gy, size, padding)
    added = not disjoint(kernel, stride, dilation)
    for i, j, where in window_slices(kernel, stride, dilation, gy.shape[1:3]):
        sent = gy * (index == i * kernel[1] + j)
        if added:
            framed[where] += sent
        else:
            framed[where] = sent
    return _crop(framed, size, padding)


def max_gather(
    x: Any, index: Any, *, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> Any:
    """Take from each window the pixel at a place that was found before.

    Parameters
    ----------
    x : array (N, H, W, C)
    index : array (N, OH, OW, C)
    kernel, stride, padding, dilation
        As for :func:`max_pool`.

    Returns
    -------
    array (N, OH, OW, C)
    """
    xp = backend.xp(x)
    padded = pad(x, padding)
    y = xp.zeros(index.shape, dtype=x.dtype)
    for i, j, where in window_slices(kernel, stride, dilation, index.shape[1:3]):
        xp.copyto(y, padded[where], where=index == i * kernel[1] + j)
    return y


def _counts(xp: Any, x: Any, geometry: tuple, output: Pair, include_pad: bool) -> Any:
    # How many pixels the mean of each window is over: a number, or an array (OH, OW, 1).
    kernel, stride, padding = geometry
    if include_pad or padding == ((0, 0), (0, 0)):
        return kernel[0] * kernel[1]
    axes = []
    for k, s, (before, _), n, positions in zip(kernel, stride, padding, x, output, strict=True):
        first = xp.arange(positions) * s - before
        axes.append(xp.minimum(first + k, n) - xp.maximum(first, 0))
    return (axes[0][:, None] * axes[1])[:, :, None]


def average_pool(
    x: Any, *, kernel: Pair, stride: Pair, padding: Padding, include_pad: bool, output: Pair
) -> Any:
    """Return the mean of each window.

    Parameters
    ----------
    x : array (N, H, W, C)
    kernel, stride, output : pair of int
    padding : pair of pairs
        Filled with zeros.
    include_pad : bool
        Whether the padding counts in the number to divide by.

    Returns
    -------
    array (N, OH, OW, C)
    """
    xp = backend.xp(x)
    padded = pad(x, padding)
    y: Any = None
    for _, _, where in window_slices(kernel, stride, (1, 1), output):
        if y is None:
            y = padded[where].copy()
        else:
            y += padded[where]
    return _divide(y, _counts(xp, x.shape[1:3], (kernel, stride, padding), output, include_pad))


def _divide(values: Any, counts: Any) -> Any:
    if isinstance(counts, int):
        return values * (1 / counts)
    return values * (1 / counts).astype(values.dtype)


def average_scatter(
    gy: Any, *, size: Pair, kernel: Pair, stride: Pair, padding: Padding, include_pad: bool
) -> Any:
    """Share each output's gradient among the pixels of its window: the adjoint of average_pool.

    Parameters
    ----------
    gy : array (N, OH, OW, C)
    size : pair of int
        (H, W) of the images.
    kernel, stride, padding, include_pad
        As for :func:`average_pool`.

    Returns
    -------
    array (N, H, W, C)
    """
    xp = backend.xp(gy)
    output = gy.shape[1:3]
    share = _divide(gy, _counts(xp, size, (kernel, stride, padding), output, include_pad))
    framed = _framed_zeros(gy, size, padding)
    added = not disjoint(kernel, stride, (1, 1))
    for _, _, where in window_slices(kernel, stride, (1, 1), output):
        if added:
            framed[where] += share
        else:
            framed[where] = share
    return _crop(framed, size, padding)
