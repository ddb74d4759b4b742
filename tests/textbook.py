"""Convolution and pooling as textbooks write them: a frame around the images, then loops."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np


def frame(x: np.ndarray, padding: Any, value: float = 0) -> np.ndarray:
    """Return images (N, H, W, C) with rows and columns of a value around them."""
    return np.pad(x, ((0, 0), *padding, (0, 0)), constant_values=value)


def positions(
    shape: tuple[int, ...], kernel: Any, stride: Any, dilation: Any
) -> Iterator[tuple[int, int, tuple]]:
    """Yield (p, q, index) for each window of a framed image; the index picks (N, KH, KW, C)."""
    starts = []
    for n, k, s, d in zip(shape[1:3], kernel, stride, dilation, strict=True):
        starts.append([start for start in range(0, n, s) if start + d * (k - 1) < n])
    for (p, top), (q, left) in itertools.product(*map(enumerate, starts)):
        rows = [top + dilation[0] * i for i in range(kernel[0])]
        columns = [left + dilation[1] * j for j in range(kernel[1])]
        yield p, q, (slice(None), *np.ix_(rows, columns))


def output_shape(x: tuple[int, ...], channels: int, kernel: Any, stride: Any, dilation: Any) -> Any:
    """Return the shape (N, OH, OW, channels) that windows on framed images (N, H, W, C) give."""
    *_, (p, q, _) = positions(x, kernel, stride, dilation)
    return x[0], p + 1, q + 1, channels


def group_slices(channels: int, outputs: int, groups: int) -> Iterator[tuple[slice, slice]]:
    """Yield for each group its channels of the images and its filters."""
    c, o = channels // groups, outputs // groups
    for group in range(groups):
        yield slice(group * c, (group + 1) * c), slice(group * o, (group + 1) * o)


def conv2d(x, w, b=None, *, stride, padding, dilation, groups):
    """Cross-correlate images (N, H, W, C) with filters (KH, KW, C/groups, O)."""
    x, kernel = frame(x, padding), w.shape[:2]
    y = np.zeros(output_shape(x.shape, w.shape[3], kernel, stride, dilation))
    for p, q, place in positions(x.shape, kernel, stride, dilation):
        for channels, filters in group_slices(x.shape[3], w.shape[3], groups):
            window = x[place][..., channels]
            y[:, p, q, filters] = np.einsum("nijc,ijco->no", window, w[..., filters])
    return y if b is None else y + b


def conv2d_gradients(x, w, gy, *, stride, padding, dilation, groups):
    """Return the gradients of images and filters that an output's gradient gives."""
    (top, _), (left, _) = padding
    framed, kernel = frame(x, padding), w.shape[:2]
    gx, gw = np.zeros(framed.shape), np.zeros(w.shape)
    for p, q, place in positions(framed.shape, kernel, stride, dilation):
        for channels, filters in group_slices(x.shape[3], w.shape[3], groups):
            g = gy[:, p, q, filters]
            gx[(*place, channels)] += np.einsum("no,ijco->nijc", g, w[..., filters])
            gw[..., filters] += np.einsum("nijc,no->ijco", framed[place][..., channels], g)
    return gx[:, top : top + x.shape[1], left : left + x.shape[2]], gw


def max_pool(x, *, kernel, stride, padding, dilation):
    """Return the maxima of the windows (NaN if one is in it), and the place of the first of each.

    Places count row by row from the window's corner; padding is never chosen.
    """
    inside = frame(np.ones(x.shape, bool), padding, False)
    x = frame(x, padding)
    y = np.zeros(output_shape(x.shape, x.shape[3], kernel, stride, dilation), x.dtype)
    index = np.zeros(y.shape, int)
    for p, q, place in positions(x.shape, kernel, stride, dilation):
        for n, c in np.ndindex(x.shape[0], x.shape[3]):
            window = x[place][n, ..., c].ravel()
            candidates = np.flatnonzero(inside[place][n, ..., c])
            broken = [i for i in candidates if np.isnan(window[i])]
            best = broken[0] if broken else max(candidates, key=lambda i: (window[i], -i))
            y[n, p, q, c], index[n, p, q, c] = window[best], best
    return y, index


def max_pool_gradient(index, gy, size, *, kernel, stride, padding, dilation):
    """Send each output's gradient to a place of its window, on images of a size (H, W)."""
    (top, bottom), (left, right) = padding
    n, _, _, c = gy.shape
    gx = np.zeros((n, size[0] + top + bottom, size[1] + left + right, c))
    for p, q, (_, rows, columns) in positions(gx.shape, kernel, stride, dilation):
        for image, channel in np.ndindex(n, c):
            i, j = divmod(index[image, p, q, channel], kernel[1])
            gx[image, rows[i, 0], columns[0, j], channel] += gy[image, p, q, channel]
    return gx[:, top : top + size[0], left : left + size[1]]


def average_matrix(size, *, kernel, stride, padding, include_pad):
    """Return the matrix (OH * OW, H * W) by which average pooling multiplies each channel."""
    ones = np.ones((1, *size, 1))
    pixels = frame(np.arange(ones.size).reshape(ones.shape), padding, -1)
    rows = []
    for _, _, place in positions(pixels.shape, kernel, stride, (1, 1)):
        window = pixels[place].ravel()
        row = np.array([float((window == pixel).sum()) for pixel in range(ones.size)])
        rows.append(row / (window.size if include_pad else row.sum()))
    return np.array(rows)
