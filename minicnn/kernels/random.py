"""Random masks computed on the device from a seed, by hashing each element's number."""

from __future__ import annotations

import math
from typing import Any

from minicnn import backend
from minicnn.kernels import compiled
from minicnn.kernels.threads import parallel, split

__all__ = ["drop", "hash_number", "keep_mask", "keep_threshold", "keys_of", "masked"]

# On a CPU the fifteen passes over a block stay in a core's cache: 2**16 was best of 2**12 to 2**17.
ELEMENTS_PER_BLOCK = 2**16


def keep_mask(like: Any, shape: tuple[int, ...], keep: float, seed: tuple[int, int]) -> Any:
    """Draw for each element whether it is kept; equal seeds give equal masks on both backends.

    The element's number (in C order) and the seed go through a hash, and the element is kept where
    the result is below ``keep * 2**32``. Nothing is transferred and no state is advanced: the mask
    is a function of its arguments alone.

    Parameters
    ----------
    like : array
        On its backend the mask is made.
    shape : tuple of int
        Of the mask. Numbers repeat after 2**32 elements.
    keep : float
        Probability of keeping an element, 0 to 1, held to within 2**-32.
    seed : pair of int
        Two numbers of 32 bits.

    Returns
    -------
    bool array of the shape
    """
    xp = backend.xp(like)
    start_number, key = (xp.uint32(each) for each in keys_of(seed))
    threshold = xp.uint32(keep_threshold(keep))
    count = math.prod(shape)
    step = min(count, ELEMENTS_PER_BLOCK) if backend.name_of(like) == "numpy" else count
    mask = xp.empty(count, dtype=bool)
    numbers = xp.arange(step, dtype=xp.uint32)
    numbers += start_number
    scratch = xp.empty_like(numbers)
    hashed = xp.empty_like(numbers)
    for start in range(0, count, max(step, 1)):
        size = min(step, count - start)
        block = hashed[:size]
        xp.add(numbers[:size], xp.uint32(start % 2**32), out=block)
        _hash(xp, block, key, scratch[:size])
        xp.less(block, threshold, out=mask[start : start + size])
    return mask.reshape(shape)


def drop(x: Any, p: float, seed: tuple[int, int]) -> tuple[Any, Any]:
    """Return x / (1 - p) where :func:`keep_mask` keeps it, 0 elsewhere, and the mask.

    Parameters
    ----------
    x : array
    p : float
        Probability of dropping an element, 0 to 1.
    seed : pair of int
    """
    xp = backend.xp(x)
    if p < 1 and compiled.usable(x):
        from minicnn.kernels.compiled import dropout

        flat = xp.ascontiguousarray(x).reshape(-1)
        y, mask = xp.empty_like(flat), xp.empty(flat.shape, dtype=bool)
        start, key = keys_of(seed)
        numbers = (xp.uint32(key), xp.uint32(keep_threshold(1 - p)), x.dtype.type(1 / (1 - p)))

        def compute(own: slice) -> None:
            first = xp.uint32((start + own.start) % 2**32)
            dropout.drop(flat[own], first, *numbers, y[own], mask[own])

        parallel(compute, split(flat.size, numbers=flat.size))
        return y.reshape(x.shape), mask.reshape(x.shape)
    mask = keep_mask(x, x.shape, 1 - p, seed)
    return masked(x, mask, p), mask


def keep_threshold(keep: float) -> int:
    """Return the number below which the hash of an element that is kept lies."""
    return min(round(keep * 2**32), 2**32 - 1)


def masked(x: Any, mask: Any, p: float) -> Any:
    """Return x / (1 - p) where the mask is true, 0 elsewhere."""
    y = x * mask
    if p < 1:
        y *= 1 / (1 - p)
    return y


def keys_of(seed: tuple[int, int]) -> tuple[int, int]:
    """Return the number that the first element gets, and the key of the hash.

    Every bit of the seed changes about half of the bits of both, and no two seeds give the same.
    """
    first, second = seed
    start_number = hash_number(first ^ hash_number(second))
    return start_number, hash_number(second ^ hash_number(start_number))


def hash_number(x: int, key: int = 0) -> int:
    """Return the hash of a number of 32 bits.

    The finaliser triple32, with a key mixed in by exclusive or before the second multiplication:
    an addition alone, before the first, would make the masks of two seeds shifts of each other.

    References
    ----------
    Found by Chris Wellons in a search for integer hashes of low bias:
    https://nullprogram.com/blog/2018/07/31/
    """
    x = (x ^ x >> 17) * 0xED5AD4BB % 2**32
    x = (x ^ x >> 11 ^ key) * 0xAC4C1B51 % 2**32
    x = (x ^ x >> 15) * 0x31848BAB % 2**32
    return x ^ x >> 14


def _hash(xp: Any, x: Any, key: Any, scratch: Any) -> None:
    """Replace each element of a uint32 array by its :func:`hash_number`."""
    _fold_right(xp, x, 17, scratch)
    x *= xp.uint32(0xED5AD4BB)
    _fold_right(xp, x, 11, scratch)
    x ^= key
    x *= xp.uint32(0xAC4C1B51)
    _fold_right(xp, x, 15, scratch)
    x *= xp.uint32(0x31848BAB)
    _fold_right(xp, x, 14, scratch)


def _fold_right(xp: Any, x: Any, bits: int, scratch: Any) -> None:
    xp.right_shift(x, xp.uint32(bits), out=scratch)
    x ^= scratch
