"""Pooling in windows of 2 x 2 with what stands before and behind it: normalisation and dropout.

On a CPU with compiled code, an image is read once instead of three times. A code for each output
tells its gradient where to go: the place of the largest in its window, or 255 where it was dropped.
"""

from __future__ import annotations

from typing import Any

from minicnn import backend
from minicnn.kernels import compiled, norm, pool
from minicnn.kernels.random import keep_mask, keep_threshold, keys_of, masked
from minicnn.kernels.sizes import Pair
from minicnn.kernels.threads import parallel, split

__all__ = ["DROPPED", "forward", "gradients", "plain_gradient", "spread"]

DROPPED = 255
_WINDOW: dict[str, Any] = {"kernel": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0))}
_LARGEST = {**_WINDOW, "dilation": (1, 1)}
_MEAN = {**_WINDOW, "include_pad": True}

Seed = tuple[int, int]


def forward(x: Any, scale: Any, shift: Any, *, largest: bool, p: float, seed: Seed) -> tuple:
    """Pool x * scale + shift, and drop out.

    Parameters
    ----------
    x : array (N, H, W, C)
    scale, shift : arrays (C,), or None
        None for 1 and 0.
    largest : bool
        Whether the largest of each window is taken, or the mean.
    p : float
        Probability of dropping, below 1.
    seed : pair of int
        Of the mask, as for :func:`minicnn.kernels.random.keep_mask`.

    Returns
    -------
    y : array (N, H // 2, W // 2, C)
    code : uint8 array like y
    """
    xp = backend.xp(x)
    n, height, width, c = x.shape
    output = (height // 2, width // 2)
    if compiled.usable(x):
        from minicnn.kernels.compiled import halve as loops

        x = xp.ascontiguousarray(x)
        if scale is None:
            scale, shift = xp.ones(c, x.dtype), xp.zeros(c, x.dtype)
        y = xp.empty((n, *output, c), x.dtype)
        code = xp.empty(y.shape, "uint8")
        number, key = keys_of(seed)
        threshold = xp.uint32(keep_threshold(1 - p))

        def compute(own: slice) -> None:
            first = xp.uint32((number + own.start * output[0] * output[1] * c) % 2**32)
            loops.forward(x[own], scale, shift, largest, _factor(x, p), first, xp.uint32(key),
                          threshold, y[own], code[own])  # fmt: skip

        parallel(compute, split(n, numbers=x.size))
        return y, code
    if scale is not None:
        x = norm.scale_shift(x.reshape(-1, c), scale, shift).reshape(x.shape)
    if largest:
        y, code = pool.max_pool(x, output=output, **_LARGEST)
    else:
        y = pool.average_pool(x, output=output, **_MEAN)
        code = xp.zeros(y.shape, "uint8")
    if p:
        mask = keep_mask(y, y.shape, 1 - p, seed)
        y = masked(y, mask, p)
        code = xp.where(mask, code, xp.uint8(DROPPED))
    return y, code


def spread(gy: Any, code: Any, *, size: Pair, largest: bool, p: float) -> Any:
    """Send the gradient (N, OH, OW, C) of what was dropped out and pooled to images of a size."""
    if p:
        gy = masked(gy, code != DROPPED, p)
    if largest:
        return pool.max_scatter(gy, code, size=size, **_LARGEST)
    return pool.average_scatter(gy, size=size, **_MEAN)


def gradients(
    gy: Any,
    code: Any,
    x: Any,
    weight: Any,
    middle: Any,
    inverse: Any,
    *,
    largest: bool,
    p: float,
    needs: tuple[bool, ...],
) -> tuple[Any, Any, Any]:
    """Return the gradients in the images, the weight and the bias of normalise, pool, drop out.

    Parameters
    ----------
    gy, code : arrays (N, H // 2, W // 2, C)
    x : array (N, H, W, C)
        What was normalised.
    weight : array (C,) or None
    middle, inverse : float64 arrays (C,)
        The mean of x and 1 / sqrt(variance + eps).
    largest, p
        As for :func:`forward`.
    needs : triple of bool

    Returns
    -------
    gx, g_weight, g_bias : arrays or None
    """
    xp = backend.xp(x)
    c = x.shape[3]
    if not compiled.usable(x, gy):
        g = spread(gy, code, size=x.shape[1:3], largest=largest, p=p).reshape(-1, c)
        gx, *others = norm.batch_gradients(g, x.reshape(-1, c), weight, middle, inverse, needs)
        return None if gx is None else gx.reshape(x.shape), *others
    from minicnn.kernels.compiled import halve as loops

    x, gy = xp.ascontiguousarray(x), xp.ascontiguousarray(gy)
    n, factor = len(x), _factor(x, p)
    rounded = middle.astype(x.dtype)
    sums, products = norm.total(
        parallel(
            lambda own: loops.sums(gy[own], code[own], x[own], rounded, largest, factor),
            split(n, numbers=x.size),
        )
    )
    products = products - (middle - rounded) * sums
    gx = None
    if needs[0]:
        count = x.size // c
        a, b, shift = norm.coefficients(sums, products, count, weight, middle, inverse, x.dtype)
        gx = xp.empty(x.shape, x.dtype)
        parallel(
            lambda own: loops.backward(
                gy[own], code[own], x[own], a, b, shift, largest, factor, gx[own]
            ),
            split(n, numbers=x.size),
        )
    return gx, *norm.affine_gradients(sums, products, inverse, needs, x.dtype)


def plain_gradient(gy: Any, code: Any, *, size: Pair, largest: bool, p: float) -> Any:
    """Return :func:`spread`, in one pass where code for it is compiled."""
    if not compiled.usable(gy):
        return spread(gy, code, size=size, largest=largest, p=p)
    from minicnn.kernels.compiled import halve as loops

    xp = backend.xp(gy)
    gy = xp.ascontiguousarray(gy)
    gx = xp.empty((gy.shape[0], *size, gy.shape[3]), gy.dtype)
    factor = _factor(gy, p)
    parallel(
        lambda own: loops.spread(gy[own], code[own], largest, factor, gx[own]),
        split(len(gy), numbers=gx.size),
    )
    return gx


def _factor(x: Any, p: float) -> Any:
    return x.dtype.type(1 / (1 - p))
