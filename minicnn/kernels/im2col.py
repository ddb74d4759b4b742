"""Convolution by im2col: patches become the rows of a matrix, and the work a matrix product.

A patch of an (N, H, W, C) image is KH runs of KW * C contiguous numbers, and filters (KH, KW, C, O)
are already the matrix (KH*KW*C, O), so nothing is transposed. The batch is worked through in chunks
of images, so that the patches stay in the cache between the copy and the product. Source: K.
Chellapilla, S. Puri, P. Simard, High Performance Convolutional Neural Networks for Document
Processing, 2006.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn import backend
from minicnn.kernels.activation import rectify
from minicnn.kernels.sizes import Padding, Pair
from minicnn.kernels.threads import parallel, split

__all__ = ["conv2d", "filter_gradient", "input_gradient", "pad", "patches", "window_slices"]

# Numbers of the patch matrix that a chunk may have: about half of a core's second-level cache, and
# enough rows that the filters are not read again for a handful of them. A GPU wants few large
# products.
_CPU_CHUNK, _CPU_ROWS = 1 << 18, 512
_GPU_CHUNK = 1 << 27
_CPU_PARALLEL = 1 << 20  # products of two numbers from which on a second thread gains
_SHORT_RUN = 16


def pad(x: Any, padding: Padding, value: float = 0) -> Any:
    """Put a frame around images (N, H, W, C); without padding the images themselves come back."""
    (top, bottom), (left, right) = padding
    if not (top or bottom or left or right):
        return x
    n, h, w, c = x.shape
    framed = backend.xp(x).full((n, h + top + bottom, w + left + right, c), value, dtype=x.dtype)
    framed[:, top : top + h, left : left + w] = x
    return framed


def patches(x: Any, kernel: Pair, stride: Pair, dilation: Pair, output: Pair) -> Any:
    """View padded images (N, H, W, C) as patches (N, OH, OW, KH, KW, C) without copying."""
    n, _, _, c = x.shape
    sn, sh, sw, sc = x.strides
    return backend.xp(x).lib.stride_tricks.as_strided(
        x,
        shape=(n, *output, *kernel, c),
        strides=(
            sn,
            sh * stride[0],
            sw * stride[1],
            sh * dilation[0],
            sw * dilation[1],
            sc,
        ),
    )


def window_slices(
    kernel: Pair, stride: Pair, dilation: Pair, output: Pair
) -> Iterator[tuple[int, int, tuple[slice, slice, slice]]]:
    """For each place (i, j) in the window, the slices of a padded image that it visits."""
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            top, left = i * dilation[0], j * dilation[1]
            rows = slice(top, top + stride[0] * (output[0] - 1) + 1, stride[0])
            columns = slice(left, left + stride[1] * (output[1] - 1) + 1, stride[1])
            yield i, j, (slice(None), rows, columns)


def _shares(n: int, products: int, on_cpu: bool) -> list[slice]:
    # The images of each thread; little work is not worth waking a second one.
    return split(n, None if on_cpu and products > _CPU_PARALLEL else 1)


def _chunks(n: int, rows: int, width: int, on_cpu: bool) -> Iterator[slice]:
    # Split n images of ``rows`` patch rows of ``width`` numbers each.
    numbers = max(_CPU_CHUNK, _CPU_ROWS * width) if on_cpu else _GPU_CHUNK
    size = max(1, numbers // max(1, rows * width))
    count = -(-n // size)
    size = -(-n // max(1, count))  # chunks of equal size rather than a small last one
    for start in range(0, n, max(1, size)):
        yield slice(start, min(start + size, n))


def _rows(view: Any, groups: int) -> Any:
    # Copy patches (N, OH, OW, KH, KW, C) into (M, KH*KW*C), or (G, M, KH*KW*C/G) for groups.
    xp = backend.xp(view)
    n, oh, ow, kh, kw, c = view.shape
    lead: tuple[int, ...] = ()
    if groups > 1:
        c //= groups
        view = view.reshape(n, oh, ow, kh, kw, groups, c).transpose(5, 0, 1, 2, 3, 4, 6)
        lead = (groups,)
    if (kw * c if groups == 1 else c) < _SHORT_RUN:
        # Runs of a few numbers copy slowly; the transposed matrix has runs along the image's rows.
        columns = xp.ascontiguousarray(xp.moveaxis(view, (-3, -2, -1), (-6, -5, -4)))
        return columns.reshape(*lead, kh * kw * c, n * oh * ow).swapaxes(-1, -2)
    rows = view.reshape(*lead, n * oh * ow, kh * kw * c)
    # Where it is no copy, rows that overlap would keep the product from the fast library.
    return rows if kh * kw == 1 else xp.ascontiguousarray(rows)


def _filters(w: Any, groups: int) -> Any:
    # View filters (KH, KW, C/G, O) as (K, O), or copy them into (G, K, O/G).
    kh, kw, c, o = w.shape
    if groups == 1:
        return w.reshape(kh * kw * c, o)
    return w.reshape(kh * kw * c, groups, o // groups).transpose(1, 0, 2)


def _split(y: Any, groups: int) -> Any:
    # View or copy (N, OH, OW, O) as (M, O), or (G, M, O/G).
    o = y.shape[-1]
    y = y.reshape(-1, o)
    return y if groups == 1 else y.reshape(-1, groups, o // groups).transpose(1, 0, 2)


def conv2d(
    x: Any,
    w: Any,
    b: Any,
    *,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    output: Pair,
    slope: float = 1,
) -> Any:
    """Cross-correlate images with filters.

    Parameters
    ----------
    x : array (N, H, W, C)
    w : array (KH, KW, C/groups, O)
    b : array (O,) or None
    stride, dilation, output : pair of int
    padding : pair of pairs
    groups : int
    slope : float
        Factor of negative results, 0 to 1.

    Returns
    -------
    array (N, OH, OW, O)
    """
    xp = backend.xp(x)
    n, kernel, o = x.shape[0], w.shape[:2], w.shape[3]
    y = xp.empty((n, *output, o), dtype=x.dtype)
    filters = _filters(w, groups)
    padded = pad(x, padding)
    width = kernel[0] * kernel[1] * x.shape[3]

    def compute(images: slice) -> None:
        x, into = padded[images], y[images]
        for part in _chunks(len(x), output[0] * output[1], width, xp is np):
            rows = _rows(patches(x[part], kernel, stride, dilation, output), groups)
            if groups == 1:
                target = into[part].reshape(-1, o)
                xp.matmul(rows, filters, out=target)
            else:
                target = into[part].reshape(-1, groups, o // groups)
                target[...] = xp.matmul(rows, filters).transpose(1, 0, 2)
            if b is not None:
                target += b.reshape(target.shape[1:])
            if slope != 1:
                rectify(target, slope)

    parallel(compute, _shares(n, y.size * width // groups, xp is np))
    return y


def input_gradient(
    gy: Any,
    w: Any,
    *,
    size: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> Any:
    """Add up what every output position sends back to the pixels of its patch: the adjoint in x.

    Parameters
    ----------
    gy : array (N, OH, OW, O)
    w : array (KH, KW, C/groups, O)
    size : pair of int
        (H, W) of the images.
    stride, padding, dilation, groups
        As for :func:`conv2d`.

    Returns
    -------
    array (N, H, W, C)
    """
    xp = backend.xp(gy)
    n, oh, ow, _ = gy.shape
    kh, kw, c, _ = w.shape
    (top, bottom), (left, right) = padding
    c *= groups
    gx = xp.zeros((n, size[0] + top + bottom, size[1] + left + right, c), dtype=gy.dtype)
    filters = _filters(w, groups).swapaxes(-1, -2)  # (O, K), or (G, O/G, K)

    def compute(images: slice) -> None:
        own, into = gy[images], gx[images]
        for part in _chunks(len(own), oh * ow, kh * kw * c, xp is np):
            rows = xp.matmul(_split(own[part], groups), filters)
            if groups > 1:
                rows = rows.reshape(groups, -1, kh, kw, c // groups).transpose(1, 2, 3, 0, 4)
            rows = rows.reshape(-1, oh, ow, kh, kw, c)
            target = into[part]
            for i, j, where in window_slices((kh, kw), stride, dilation, (oh, ow)):
                target[where] += rows[:, :, :, i, j]

    parallel(compute, _shares(n, gy.size * kh * kw * c // groups, xp is np))
    return gx[:, top : top + size[0], left : left + size[1]]


def filter_gradient(
    x: Any,
    gy: Any,
    *,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> Any:
    """Sum over all positions the products of patch and output gradient: the adjoint in w.

    Parameters
    ----------
    x : array (N, H, W, C)
    gy : array (N, OH, OW, O)
    kernel : pair of int
        (KH, KW).
    stride, padding, dilation, groups
        As for :func:`conv2d`.

    Returns
    -------
    array (KH, KW, C/groups, O)
    """
    xp = backend.xp(x)
    n, oh, ow, o = gy.shape
    c = x.shape[3]
    padded = pad(x, padding)
    if not n:
        return xp.zeros((*kernel, c // groups, o), dtype=x.dtype)
    width = kernel[0] * kernel[1] * c

    def compute(images: slice) -> Any:
        x, own = padded[images], gy[images]
        total: Any = None
        for part in _chunks(len(x), oh * ow, width, xp is np):
            rows = _rows(patches(x[part], kernel, stride, dilation, (oh, ow)), groups)
            found = xp.matmul(rows.swapaxes(-1, -2), _split(own[part], groups))
            if total is None:
                total = found
            else:
                total += found
        return total

    total, *others = parallel(compute, _shares(n, gy.size * width // groups, xp is np))
    for other in others:
        total += other
    if groups > 1:  # (G, K, O/G) -> (K, G, O/G)
        total = total.transpose(1, 0, 2)
    return total.reshape(*kernel, c // groups, o)
