"""Max and average pooling on plain arrays, by one strided slice for each place in the window."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import backend
from minicnn.kernels.im2col import pad, window_slices
from minicnn.kernels.sizes import Padding, Pair

__all__ = ["average_pool", "average_scatter", "max_gather", "max_pool", "max_scatter"]


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
        i * KW + j of the maximum; NaN counts as one.
    """
    xp = backend.xp(x)
    padded = pad(x, padding, -np.inf)
    y = index = None
    for i, j, where in window_slices(kernel, stride, dilation, output):
        values = padded[where]
        if y is None or index is None:
            y = values.copy()
            index = xp.zeros(y.shape, dtype=_index_type(kernel))
            continue
        better = values > y
        if x.dtype.kind == "f":
            better |= (values != values) & (y == y)
        y = xp.where(better, values, y)
        xp.copyto(index, index.dtype.type(i * kernel[1] + j), where=better)
    return y, index


def _index_type(kernel: Pair) -> Any:
    return np.dtype(np.uint8 if kernel[0] * kernel[1] <= 256 else np.uint32)


def _disjoint(kernel: Pair, stride: Pair, dilation: Pair) -> bool:
    # Whether no pixel is in two windows.
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
    disjoint = _disjoint(kernel, stride, dilation)
    for i, j, where in window_slices(kernel, stride, dilation, gy.shape[1:3]):
        sent = gy * (index == i * kernel[1] + j)
        if disjoint:
            framed[where] = sent
        else:
            framed[where] += sent
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
    # How many pixels the mean of each window is over: a number, or an array (1, OH, OW, 1).
    kernel, stride, padding = geometry
    if include_pad or padding == ((0, 0), (0, 0)):
        return kernel[0] * kernel[1]
    axes = []
    for k, s, (before, _), n, positions in zip(kernel, stride, padding, x, output, strict=True):
        first = [p * s - before for p in range(positions)]
        axes.append([min(f + k, n) - max(f, 0) for f in first])
    return np.multiply.outer(axes[0], axes[1])[None, :, :, None]


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
    return _divide(xp, y, _counts(xp, x.shape[1:3], (kernel, stride, padding), output, include_pad))


def _divide(xp: Any, values: Any, counts: Any) -> Any:
    if isinstance(counts, int):
        return values * (1 / counts)
    return values * xp.asarray(1 / counts, dtype=values.dtype)


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
    share = _divide(xp, gy, _counts(xp, size, (kernel, stride, padding), output, include_pad))
    framed = _framed_zeros(gy, size, padding)
    disjoint = _disjoint(kernel, stride, (1, 1))
    for _, _, where in window_slices(kernel, stride, (1, 1), output):
        if disjoint:
            framed[where] = share
        else:
            framed[where] += share
    return _crop(framed, size, padding)
