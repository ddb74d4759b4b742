"""Per-channel sums and multiply-adds for normalisation, in few passes over memory."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

from minicnn import backend
from minicnn.kernels import compiled
from minicnn.kernels.half import widened
from minicnn.kernels.threads import parallel, split

__all__ = [
    "affine_gradients",
    "batch_gradients",
    "channel_sums",
    "coefficients",
    "combine",
    "gradient_sums",
    "mean_over",
    "moments",
    "scale_shift",
    "total",
    "widen",
]

# On a CPU the blocks of two or three arrays should stay in a core's cache: 2**16 elements were best
# of 2**14 to 2**17 for (73728, 32) float32.
ELEMENTS_PER_BLOCK = 2**16
# NumPy starts an inner loop for every row of a broadcast: a few channels are too short for one.
ELEMENTS_PER_LINE = 2**12
_SAMPLE = 256  # rows
_FEW_ROWS = 128  # so few are added up one by one without losing digits


def moments(x: Any) -> tuple[Any, Any]:
    """Return the mean and the biased variance of each channel.

    The corrected two-pass algorithm: the second pass sums deviations from the rounded mean, and
    what they miss of adding up to zero corrects both results. It is sound for means far from zero.

    Parameters
    ----------
    x : array of shape (M, C)

    Returns
    -------
    mean, variance : float64 arrays of shape (C,)

    References
    ----------
    Chan, Golub, LeVeque: Algorithms for computing the sample variance, 1983, equation 1.7.
    """
    if compiled.usable(x):
        return _compiled_moments(x)
    xp, x = backend.xp(x), widened(x)
    m, c = x.shape
    lines = _lines(x)
    centre = (_fold(lines.sum(axis=0), c) / m).astype(x.dtype)
    centre_line = _repeat(centre, lines)

    def compute(share: slice) -> tuple[Any, Any]:
        own = lines[share]
        first = second = None
        for part, deviation in _blocks(own):
            xp.subtract(own[part], centre_line, out=deviation)
            first = _add(first, _fold(deviation.sum(axis=0), c))
            deviation *= deviation
            second = _add(second, _fold(deviation.sum(axis=0), c))
        return first, second

    first, second = total(parallel(compute, _shares(lines)))
    rest = first / m
    return centre + rest, second / m - rest * rest


def _compiled_moments(x: Any) -> tuple[Any, Any]:
    # One pass: the mean of some rows is near enough to that of all, and costs nothing.
    from minicnn.kernels.compiled import norm as loops

    xp, m = backend.xp(x), x.shape[0]
    x = xp.ascontiguousarray(x)
    centre = x[:: max(1, m // _SAMPLE)].mean(axis=0)
    first, second = total(
        parallel(lambda share: loops.moments(x[share], centre), split(m, numbers=x.size))
    )
    rest = first / m
    return centre + rest, second / m - rest * rest


def channel_sums(x: Any) -> Any:
    """Return the sum of each channel of an array (..., C), in its own type."""
    rows = widened(x).reshape(math.prod(x.shape[:-1]), x.shape[-1])
    if not x.size or (len(rows) <= _FEW_ROWS and x.size < compiled.LEAST):
        return rows.sum(axis=0).astype(x.dtype)
    lines = _lines(rows)

    def compute(share: slice) -> Any:
        return _fold(lines[share].sum(axis=0), x.shape[-1])

    first, *others = parallel(compute, _shares(lines))
    return sum(others, start=first).astype(x.dtype)


def scale_shift(x: Any, scale: Any, shift: Any = None) -> Any:
    """Return x * scale + shift, where the scale and the shift belong to the last axis.

    Parameters
    ----------
    x : array of shape (M, C)
    scale : array of shape (C,)
    shift : array of shape (C,), optional

    Returns
    -------
    array of shape (M, C)
    """
    xp = backend.xp(x)
    y = xp.empty(x.shape, dtype=x.dtype)
    if compiled.usable(x, scale, *[each for each in [shift] if each is not None]):
        from minicnn.kernels.compiled import norm as loops

        x = xp.ascontiguousarray(x)
        shift = xp.zeros_like(scale) if shift is None else shift
        parallel(
            lambda own: loops.scale_shift(x[own], scale, shift, y[own]),
            split(len(x), numbers=x.size),
        )
        return y
    lines, output = _lines(x), _lines(y)
    scale = _repeat(scale, lines)
    shift = None if shift is None else _repeat(shift, lines)

    def compute(share: slice) -> None:
        own, into = lines[share], output[share]
        for part in _parts(own):
            block = into[part]
            xp.multiply(own[part], scale, out=block)
            if shift is not None:
                block += shift

    parallel(compute, _shares(lines))
    return y


def gradient_sums(gy: Any, x: Any, centre: Any = None) -> tuple[Any, Any]:
    """Return the sums of gy and of gy * (x - centre) for each channel.

    Parameters
    ----------
    gy, x : arrays of shape (M, C)
    centre : float64 array of shape (C,), optional
        Taking it off x first keeps the digits that ``sum(gy * x) - centre * sum(gy)`` would lose.

    Returns
    -------
    sums, products : float64 arrays of shape (C,)
    """
    xp, gy, x = backend.xp(gy, x), widened(gy), widened(x)
    c = x.shape[1]
    if compiled.usable(x, gy):
        from minicnn.kernels.compiled import norm as loops

        x, gy = xp.ascontiguousarray(x), xp.ascontiguousarray(gy)
        rounded = xp.zeros(c, x.dtype) if centre is None else centre.astype(x.dtype)
        shares = split(len(x), numbers=x.size)
        sums, products = total(
            parallel(lambda own: loops.products(gy[own], x[own], rounded), shares)
        )
        return sums, products if centre is None else products - (centre - rounded) * sums
    g_lines, x_lines = _lines(gy), _lines(x)
    rounded = None if centre is None else centre.astype(x.dtype)
    centre_line = None if rounded is None else _repeat(rounded, x_lines)

    def compute(share: slice) -> tuple[Any, Any]:
        own_g, own_x = g_lines[share], x_lines[share]
        sums = products = None
        for part, product in _blocks(own_g):
            block = own_g[part]
            if centre_line is None:
                xp.multiply(own_x[part], block, out=product)
            else:
                xp.subtract(own_x[part], centre_line, out=product)
                product *= block
            products = _add(products, _fold(product.sum(axis=0), c))
            sums = _add(sums, _fold(block.sum(axis=0), c))
        return sums, products

    sums, products = total(parallel(compute, _shares(g_lines)))
    if rounded is not None:
        products = products - (centre - rounded) * sums
    return sums, products


def combine(gy: Any, x: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * gy + b * x + c, where a, b and c belong to the last axis.

    Parameters
    ----------
    gy, x : arrays of shape (M, C)
    a, b, c : arrays of shape (C,)

    Returns
    -------
    array of shape (M, C)
    """
    xp = backend.xp(gy, x)
    gx = xp.empty(x.shape, dtype=x.dtype)
    if compiled.usable(x, gy, a, b, c):
        from minicnn.kernels.compiled import norm as loops

        x, gy = xp.ascontiguousarray(x), xp.ascontiguousarray(gy)
        parallel(
            lambda own: loops.combine(gy[own], x[own], a, b, c, gx[own]),
            split(len(x), numbers=x.size),
        )
        return gx
    g_lines, x_lines, output = _lines(gy), _lines(x), _lines(gx)
    a, b, c = _repeat(a, output), _repeat(b, output), _repeat(c, output)

    def compute(share: slice) -> None:
        own_g, own_x, into = g_lines[share], x_lines[share], output[share]
        for part, product in _blocks(into):
            block = into[part]
            xp.multiply(own_g[part], a, out=block)
            xp.multiply(own_x[part], b, out=product)
            block += product
            block += c

    parallel(compute, _shares(output))
    return gx


def coefficients(
    sums: Any, products: Any, count: int, weight: Any, middle: Any, inverse: Any, dtype: Any
) -> tuple[Any, Any, Any]:
    """Return a, b and c of the gradient a * gy + b * x + c of batch normalisation in its input.

    Parameters
    ----------
    sums, products : float64 arrays (C,)
        As :func:`gradient_sums` gives them, with `middle` for the centre.
    count : int
        Values of a channel.
    weight : array (C,) or None
    middle, inverse : float64 arrays (C,)
        The mean and 1 / sqrt(variance + eps).
    dtype : dtype
        Of the result.
    """
    a = inverse if weight is None else inverse * weight
    b = -a * inverse * inverse * products / count
    c = -a * sums / count - b * middle
    return a.astype(dtype), b.astype(dtype), c.astype(dtype)


def affine_gradients(
    sums: Any, products: Any, inverse: Any, needs: tuple[bool, ...], dtype: Any
) -> tuple[Any, Any]:
    """Return the gradients in the weight and the bias, where ``needs[1]`` and ``needs[2]`` say."""
    return (
        (products * inverse).astype(dtype) if needs[1] else None,
        sums.astype(dtype) if needs[2] else None,
    )


def batch_gradients(
    gy: Any, x: Any, weight: Any, middle: Any, inverse: Any, needs: tuple[bool, ...]
) -> tuple[Any, Any, Any]:
    """Return the gradients of batch normalisation in x (M, C), the weight and the bias."""
    sums, products = gradient_sums(gy, x, middle)
    gx = None
    if needs[0]:
        count, dtype = x.shape[0], x.dtype
        factors = coefficients(sums, products, count, weight, middle, inverse, dtype)
        gx = combine(gy, x, *factors)
    return gx, *affine_gradients(sums, products, inverse, needs, x.dtype)


def mean_over(x: Any, axes: tuple[int, ...]) -> Any:
    """Return the mean over axes, which stay in the shape with size 1.

    Parameters
    ----------
    x : array
    axes : tuple of int
        The last one is added up last, of what the others leave: NumPy starts an inner loop for
        every place on the others, and the channels of one group are too few for one.

    Returns
    -------
    array
    """
    others = tuple(axis for axis in axes if axis != x.ndim - 1)
    total = widened(x)
    if others:
        total = total.sum(axis=others, keepdims=True)
    if len(others) < len(axes):
        total = total.sum(axis=-1, keepdims=True)
    return (total / math.prod([x.shape[axis] for axis in axes])).astype(x.dtype, copy=False)


def widen(small: Any, x: Any) -> Any:
    """Repeat along the last axis an array that broadcasts to x, where it is small all the same.

    The inner loops of NumPy then run over the last axes together.
    """
    length = x.shape[-1]
    if small.shape[-1] == 1 and 8 * small.size * length <= x.size:
        return small.repeat(length, axis=-1)
    return small


@functools.lru_cache(maxsize=256)
def _rows_per_line(m: int, c: int) -> int:
    """Return the largest divisor of m with which that many rows of c are no longer than a line."""
    return next((k for k in range(min(m, ELEMENTS_PER_LINE // max(c, 1)), 1, -1) if m % k == 0), 1)


def _lines(x: Any) -> Any:
    """View (M, C) as (M / k, k * C) on a CPU, so that NumPy's inner loops are long."""
    m, c = x.shape
    k = _rows_per_line(m, c) if backend.name_of(x) == "numpy" else 1
    return x.reshape(m // k, k * c)


def _repeat(values: Any, lines: Any) -> Any:
    """Repeat the (C,) values of the channels along a line."""
    return backend.xp(values).tile(values, lines.shape[1] // values.shape[0])


def _fold(sums: Any, c: int) -> Any:
    """Add up the sums of a line, (k * C,), to those of the channels, (C,), as float64."""
    sums = sums.reshape(-1, c).sum(axis=0)
    return sums.astype("float64") if sums.dtype.kind == "f" else sums


def _shares(lines: Any) -> list[slice]:
    # The lines of each thread, each share in equal parts; all of them at once on a GPU.
    count, length = lines.shape
    on_cpu = backend.name_of(lines) == "numpy"
    return split(count, None if on_cpu and count * length > 2 * ELEMENTS_PER_BLOCK else 1)


def total(pairs: list[tuple[Any, Any]]) -> tuple[Any, Any]:
    """Add up pairs in the order of the shares, so that equal runs give equal bits."""
    first, second = pairs[0]
    for more in pairs[1:]:
        first, second = first + more[0], second + more[1]
    return first, second


def _add(total: Any, more: Any) -> Any:
    return more if total is None else total + more


def _parts(lines: Any) -> Iterator[slice]:
    # At least one, for sums of nothing.
    count, length = lines.shape
    step = count if backend.name_of(lines) != "numpy" else math.ceil(ELEMENTS_PER_BLOCK / length)
    for start in range(0, max(count, 1), max(step, 1)):
        yield slice(start, min(start + step, count))


def _blocks(lines: Any) -> Iterator[tuple[slice, Any]]:
    """Give the parts that fit the cache, each with scratch memory of its size."""
    scratch = None
    for part in _parts(lines):
        if scratch is None:
            scratch = backend.xp(lines).empty(
                (part.stop - part.start, lines.shape[1]), dtype=lines.dtype
            )
        yield part, scratch[: part.stop - part.start]
