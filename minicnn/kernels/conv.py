"""Convolution and its gradients on plain arrays, by the algorithm that suits the shapes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn import backend
from minicnn.kernels import compiled, direct, im2col, winograd
from minicnn.kernels.activation import leaky_relu_gradient
from minicnn.kernels.norm import channel_sums
from minicnn.kernels.sizes import Padding, Pair

__all__ = [
    "ALGORITHMS",
    "choose",
    "conv2d",
    "filter_gradient",
    "gradients",
    "input_gradient",
    "winograd_fits",
]

ALGORITHMS = ("auto", "direct", "im2col", "winograd")

_LEAST_GAIN = 1.3  # of Winograd's algorithm by its estimate of work


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
    images: int,
    output: Pair,
    dtype: Any,
    *,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    on_cpu: bool,
    with_numba: bool,
) -> str:
    """Choose the algorithm, from shapes and types alone.

    For float32 on a CPU: the direct way where a patch has few numbers and there is compiled code
    for it, and Winograd's where it needs clearly less work, transforms included. im2col for all
    else, float64 included, where gradients are checked.

    Parameters
    ----------
    filters : tuple of int
        (KH, KW, C/groups, O).
    images : int
        N.
    output : pair of int
        (OH, OW).
    dtype : dtype
    stride, padding, dilation, groups
        Of the convolution.
    on_cpu, with_numba : bool
        Where it will run.

    Returns
    -------
    {"direct", "im2col", "winograd"}
    """
    if not on_cpu or dtype != np.dtype("float32"):
        return "im2col"
    few = math.prod(filters[:3]) <= direct.MOST_TAPS and filters[3] <= direct.MOST_FILTERS
    numbers = images * output[0] * output[1] * filters[2]
    large = with_numba and numbers >= compiled.LEAST
    if few and large and dilation == (1, 1) and groups == 1:
        return "direct"
    if not winograd_fits(filters, stride, padding, dilation, groups) or min(output) < 1:
        return "im2col"
    gain = winograd.gain(filters, images, output)
    return "winograd" if gain >= _LEAST_GAIN else "im2col"


def _pick(
    algorithm: str, x: Any, filters: tuple[int, ...], output: Pair, options: dict[str, Any]
) -> str:
    if algorithm != "auto":
        return algorithm
    on_cpu = backend.xp(x) is np
    numba = on_cpu and compiled.enabled()
    return choose(filters, x.shape[0], output, x.dtype, on_cpu=on_cpu, with_numba=numba, **options)


def _of_one_group(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "groups"}


def conv2d(
    x: Any,
    w: Any,
    b: Any,
    *,
    output: Pair,
    algorithm: str = "auto",
    slope: float = 1,
    **options: Any,
) -> Any:
    """Cross-correlate images (N, H, W, C) with filters; see :func:`im2col.conv2d`."""
    algorithm = _pick(algorithm, x, w.shape, output, options)
    if algorithm == "winograd":
        return winograd.conv2d(x, w, b, padding=options["padding"], output=output, slope=slope)
    if algorithm == "direct":
        return direct.conv2d(x, w, b, output=output, slope=slope, **_of_one_group(options))
    return im2col.conv2d(x, w, b, output=output, slope=slope, **options)


def input_gradient(gy: Any, w: Any, *, size: Pair, algorithm: str = "auto", **options: Any) -> Any:
    """Return the gradient in the images; see :func:`im2col.input_gradient`."""
    chosen = _pick(algorithm, gy, w.shape, gy.shape[1:3], options)
    if chosen == "direct" == algorithm:  # no compiled code does it: only for who asks for it
        return direct.input_gradient(gy, w, size=size, **_of_one_group(options))
    if chosen == "winograd":
        padding, kernel = options["padding"], w.shape[0]
        return winograd.gradients(None, w, gy, size=size, kernel=kernel, padding=padding)[0]
    return im2col.input_gradient(gy, w, size=size, **options)


def filter_gradient(
    x: Any, gy: Any, *, kernel: Pair, algorithm: str = "auto", **options: Any
) -> Any:
    """Return the gradient in the filters; see :func:`im2col.filter_gradient`."""
    filters = (*kernel, x.shape[3] // options["groups"], gy.shape[3])
    algorithm = _pick(algorithm, x, filters, gy.shape[1:3], options)
    if algorithm == "direct":
        return direct.filter_gradient(x, gy, kernel=kernel, **_of_one_group(options))[0]
    if algorithm == "winograd":
        size, padding = x.shape[1:3], options["padding"]
        return winograd.gradients(x, None, gy, size=size, kernel=kernel[0], padding=padding)[1]
    return im2col.filter_gradient(x, gy, kernel=kernel, **options)


def gradients(
    x: Any,
    w: Any,
    y: Any,
    gy: Any,
    *,
    needs: tuple[bool, ...],
    algorithm: str = "auto",
    slope: float = 1,
    **options: Any,
) -> tuple[Any, Any, Any]:
    """Return the gradients in images, filters and bias at once, None where none is needed.

    Parameters
    ----------
    x, w, y, gy : arrays
        Images, filters, what :func:`conv2d` returned for them, and the gradient in it. With slope
        1, y may be None.
    needs : triple of bool
        Whether those in x, in w and in the bias are wanted.
    algorithm, slope, **options
        As for :func:`conv2d`.

    Returns
    -------
    gx, gw, gb : arrays or None
    """
    kernel, size = w.shape[:2], x.shape[1:3]
    algorithm = _pick(algorithm, x, w.shape, gy.shape[1:3], options)
    if algorithm == "winograd" and (needs[0] or needs[1]):
        return winograd.gradients(
            x if needs[1] else None,
            w if needs[0] else None,
            gy,
            size=size,
            kernel=kernel[0],
            padding=options["padding"],
            y=y,
            slope=slope,
            bias=needs[2],
        )
    gw = gb = None
    if algorithm == "direct" and needs[1]:
        gw, gb = direct.filter_gradient(
            x, gy, kernel=kernel, y=y, slope=slope, bias=needs[2], **_of_one_group(options)
        )
        if not needs[0]:
            return None, gw, gb
    if slope != 1:
        gy = leaky_relu_gradient(y, gy, slope)
    return (
        im2col.input_gradient(gy, w, size=size, **options) if needs[0] else None,
        im2col.filter_gradient(x, gy, kernel=kernel, **options) if needs[1] and gw is None else gw,
        channel_sums(gy) if needs[2] and gb is None else gb,
    )
