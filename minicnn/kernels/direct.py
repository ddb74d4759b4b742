"""Convolution without patches: each place of the kernel meets all positions of the image at once.

For images of a few channels there is compiled code that keeps a patch in registers; elsewhere this
is a matrix product for each place of the kernel.
"""

from __future__ import annotations

import math
from typing import Any

from minicnn import backend
from minicnn.kernels import compiled
from minicnn.kernels.activation import leaky_relu_gradient, rectify
from minicnn.kernels.im2col import pad, window_slices
from minicnn.kernels.norm import channel_sums
from minicnn.kernels.sizes import Padding, Pair
from minicnn.kernels.threads import limit_blas, parallel, split

__all__ = ["MOST_FILTERS", "MOST_TAPS", "conv2d", "filter_gradient", "input_gradient"]

MOST_TAPS, MOST_FILTERS = 32, 128  # of the code that is written out


def conv2d(
    x: Any,
    w: Any,
    b: Any,
    *,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    output: Pair,
    slope: float = 1,
) -> Any:
    """Cross-correlate images with filters, all channels in one group.

    Parameters
    ----------
    x : array (N, H, W, C)
    w : array (KH, KW, C, O)
    b : array (O,) or None
    stride, dilation, output : pair of int
    padding : pair of pairs
    slope : float
        Factor of negative results, 0 to 1.

    Returns
    -------
    array (N, OH, OW, O)
    """
    limit_blas()
    xp = backend.xp(x)
    n, o = x.shape[0], w.shape[3]
    padded = pad(x, padding)
    if compiled.usable(padded) and _is_small(w, dilation):
        from minicnn.kernels.compiled.direct import convolution

        y = xp.empty((n, *output, o), dtype=x.dtype)
        loop = convolution(*_geometry(w, stride))
        bias = xp.zeros(o, x.dtype) if b is None else xp.ascontiguousarray(b)
        rows, filters = _rows(xp, padded), xp.ascontiguousarray(w).reshape(-1)
        factor = x.dtype.type(slope)
        lowest = compiled.lowest(slope)
        parallel(lambda own: loop(rows[own], filters, bias, factor, lowest, y[own]), split(n))
        return y
    y = None
    for i, j, where in window_slices(w.shape[:2], stride, dilation, output):
        found = padded[where] @ w[i, j]
        y = found if y is None else y + found
    if b is not None:
        y += b
    if slope != 1:
        rectify(y, slope)
    return y


def input_gradient(
    gy: Any, w: Any, *, size: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> Any:
    """Return the gradient in the images (N, H, W, C): the adjoint of :func:`conv2d` in x."""
    limit_blas()
    (top, bottom), (left, right) = padding
    shape = (gy.shape[0], size[0] + top + bottom, size[1] + left + right, w.shape[2])
    framed = backend.xp(gy).zeros(shape, dtype=gy.dtype)
    for i, j, where in window_slices(w.shape[:2], stride, dilation, gy.shape[1:3]):
        framed[where] += gy @ w[i, j].T
    return framed[:, top : top + size[0], left : left + size[1]]


def filter_gradient(
    x: Any,
    gy: Any,
    *,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    y: Any = None,
    slope: float = 1,
    bias: bool = False,
) -> tuple[Any, Any]:
    """Return the gradients in the filters (KH, KW, C, O) and in the bias (O,).

    Parameters
    ----------
    x : array (N, H, W, C)
    gy : array (N, OH, OW, O)
    kernel : pair of int
    stride, padding, dilation, slope
        As for :func:`conv2d`.
    y : array like gy, optional
        What :func:`conv2d` returned; needed with a slope other than 1.
    bias : bool
        Whether the gradient in the bias is wanted.
    """
    limit_blas()
    xp = backend.xp(x)
    c, o = x.shape[3], gy.shape[3]
    padded = pad(x, padding)
    w = xp.empty((*kernel, c, o), dtype=x.dtype)
    if compiled.usable(padded, gy) and _is_small(w, dilation):
        from minicnn.kernels.compiled import direct as loops

        loop = loops.filter_gradient(*_geometry(w, stride))
        rows, gy = _rows(xp, padded), xp.ascontiguousarray(gy)
        outputs, factor = gy if y is None else y, x.dtype.type(slope)

        def compute(own: slice) -> tuple[Any, Any]:
            total, sums = xp.zeros(w.size), xp.zeros(o)
            loop(rows[own], gy[own], outputs[own], factor, total, sums)
            return total, sums

        parts = parallel(compute, split(len(rows)))
        total, sums = (sum(each) for each in zip(*parts, strict=True))
        gw = total.reshape(w.shape).astype(x.dtype)
        return gw, sums.astype(x.dtype) if bias else None
    if slope != 1:
        gy = leaky_relu_gradient(y, gy, slope)
    columns = gy.reshape(-1, o)
    for i, j, where in window_slices(kernel, stride, dilation, gy.shape[1:3]):
        w[i, j] = padded[where].reshape(-1, c).T @ columns
    return w, channel_sums(gy) if bias else None


def _is_small(w: Any, dilation: Pair) -> bool:
    return dilation == (1, 1) and math.prod(w.shape[:3]) <= MOST_TAPS and w.shape[3] <= MOST_FILTERS


def _rows(xp: Any, padded: Any) -> Any:
    # Images as (N, H, W * C).
    return xp.ascontiguousarray(padded).reshape(*padded.shape[:2], -1)


def _geometry(w: Any, stride: Pair) -> tuple[int, ...]:
    height, width, channels, filters = w.shape
    return height, width * channels, stride[0], stride[1] * channels, filters
