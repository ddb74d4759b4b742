"""Walk over big arrays in parts that stay in the cache, so that several passes cost one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn import backend

__all__ = ["blocks"]

# Elements of one array in a part: three or four float32 arrays fit a core's second-level cache.
_BLOCK = 1 << 16


def blocks(*arrays: Any) -> Iterator[tuple[Any, ...]]:
    """Yield matching parts of arrays of one shape, as views.

    Parameters
    ----------
    *arrays : arrays of one shape
        On a CPU, contiguous arrays come in flat parts; others, and those of a GPU, come whole.

    Yields
    ------
    tuple of arrays
        A view into each of the arrays.
    """
    first = arrays[0]
    if backend.xp(first) is not np or first.size <= _BLOCK:
        yield arrays
    elif all(array.flags.c_contiguous for array in arrays):
        flat = [array.reshape(-1) for array in arrays]
        for start in range(0, first.size, _BLOCK):
            yield tuple([array[start : start + _BLOCK] for array in flat])
    else:
        yield arrays
