"""Walk over big arrays in parts that stay in the cache, side by side on the cores of a CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn import backend
from minicnn.kernels.threads import parallel, split

__all__ = ["for_blocks"]

# Elements of one array in a part: three or four float32 arrays fit a core's second-level cache.
_BLOCK = 1 << 16


def for_blocks(function: Callable[..., None], *arrays: Any) -> None:
    """Call a function with matching parts of arrays of one shape, into which it writes.

    Parameters
    ----------
    function : callable
        Gets a view into each of the arrays; it works element by element.
    *arrays : arrays of one shape
        On a CPU, contiguous arrays are given in flat parts; others, and those of a GPU, whole.
    """
    size = arrays[0].size
    whole = backend.xp(arrays[0]) is not np or size <= _BLOCK
    if whole or not all(array.flags.c_contiguous for array in arrays):
        function(*arrays)
        return
    flat = [array.reshape(-1) for array in arrays]

    def walk(share: slice) -> None:
        for start in range(share.start, share.stop, _BLOCK):
            part = slice(start, min(start + _BLOCK, share.stop))
            function(*[array[part] for array in flat])

    parallel(walk, split(size, numbers=size))
