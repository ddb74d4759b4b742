"""Dropout of flat float32 arrays: the mask is made where it is used."""

from __future__ import annotations

import numpy as np

from minicnn.kernels.compiled.jit import compiled, inlined

__all__ = ["drop", "kept"]


@inlined
def kept(number, key, threshold):
    """Tell whether an element is kept: see :func:`minicnn.kernels.random.keep_mask`."""
    x = np.uint32(number)
    x = np.uint32(x ^ (x >> np.uint32(17)))
    x = np.uint32(x * np.uint32(0xED5AD4BB))
    x = np.uint32(x ^ (x >> np.uint32(11)) ^ key)
    x = np.uint32(x * np.uint32(0xAC4C1B51))
    x = np.uint32(x ^ (x >> np.uint32(15)))
    x = np.uint32(x * np.uint32(0x31848BAB))
    x = np.uint32(x ^ (x >> np.uint32(14)))
    return x < threshold


@compiled
def drop(x, number, key, threshold, factor, y, mask):
    """Set y to x * factor where the mask, which is made of the elements' numbers, keeps it."""
    for k in range(x.size):
        keep = kept(np.uint32(number + np.uint32(k)), key, threshold)
        mask[k] = keep
        y[k] = x[k] * factor if keep else np.float32(0)
