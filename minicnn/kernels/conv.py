"""Convolution and its gradients on plain arrays, by the algorithm that suits the shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import backend
from minicnn.kernels import im2col, winograd
from minicnn.kernels.sizes import Padding, Pair

__all__ = ["ALGORITHMS", "choose", "conv2d", "filter_gradient", "input_gradient", "winograd_fits"]

ALGORITHMS = ("auto", "im2col", "winograd")

# Below these, the transforms of Winograd's algorithm cost more than it saves in products.
_LEAST_CHANNELS = 32
_LEAST_SAVING = 1.5


def winograd_fits(
    filters: tuple[int, ...], stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> bool:
    """Tell whether Winograd's algorithm can compute a convolution and its gradients.

    Parameters
    ----------
    filters : tuple of int
        (KH, KW, C/groups, O).
    stride, dilation : pair of int
    padding : pair of pairs
    groups : int
    """
    kernel = filters[0]
    return (
        filters[1] == kernel
        and 2 <= kernel <= 5
        and (stride, dilation, groups) == ((1, 1), (1, 1), 1)
        and max(max(padding[0]), max(padding[1])) < kernel
    )


def choose(
    filters: tuple[int, ...],
    output: Pair,
    dtype: Any,
    *,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    on_cpu: bool,
) -> str:
    """Choose the algorithm, from shapes and types alone.

    Winograd's for float32 on a CPU where both numbers of channels are large enough and the tiles
    fit the output well; im2col for all else, float64 included, where gradients are checked.

    Parameters
    ----------
    filters : tuple of int
        (KH, KW, C/groups, O).
    output : pair of int
        (OH, OW).
    dtype : dtype
    stride, padding, dilation, groups
        Of the convolution.
    on_cpu : bool

    Returns
    -------
    {"im2col", "winograd"}
    """
    if not on_cpu or dtype != np.dtype("float32"):
        return "im2col"
    if not winograd_fits(filters, stride, padding, dilation, groups):
        return "im2col"
    if min(filters[2:]) < _LEAST_CHANNELS or min(output) < 1:
        return "im2col"
    m = winograd.tile_size(filters[0], output)
    tiles = -(-output[0] // m) * -(-output[1] // m)
    saving = output[0] * output[1] * filters[0] ** 2 / (tiles * (m + filters[0] - 1) ** 2)
    return "winograd" if saving >= _LEAST_SAVING else "im2col"


def _pick(algorithm: str, x: Any, filters: tuple[int, ...], output: Pair, options: dict) -> str:
    if algorithm != "auto":
        return algorithm
    on_cpu = backend.xp(x) is np
    return choose(filters, output, x.dtype, on_cpu=on_cpu, **options)


def conv2d(x: Any, w: Any, b: Any, *, output: Pair, algorithm: str = "auto", **options: Any) -> Any:
    """Cross-correlate images (N, H, W, C) with filters; see :func:`im2col.conv2d`."""
    if _pick(algorithm, x, w.shape, output, options) == "winograd":
        return winograd.conv2d(x, w, b, padding=options["padding"], output=output)
    return im2col.conv2d(x, w, b, output=output, **options)


def input_gradient(gy: Any, w: Any, *, size: Pair, algorithm: str = "auto", **options: Any) -> Any:
    """Return the gradient in the images; see :func:`im2col.input_gradient`."""
    if _pick(algorithm, gy, w.shape, size, options) == "winograd":
        return winograd.input_gradient(gy, w, size=size, padding=options["padding"])
    return im2col.input_gradient(gy, w, size=size, **options)


def filter_gradient(
    x: Any, gy: Any, *, kernel: Pair, algorithm: str = "auto", **options: Any
) -> Any:
    """Return the gradient in the filters; see :func:`im2col.filter_gradient`."""
    filters = (*kernel, x.shape[3] // options["groups"], gy.shape[3])
    if _pick(algorithm, x, filters, gy.shape[1:3], options) == "winograd":
        return winograd.filter_gradient(x, gy, kernel=kernel[0], padding=options["padding"])
    return im2col.filter_gradient(x, gy, kernel=kernel, **options)
