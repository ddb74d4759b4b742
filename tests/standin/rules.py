"""CuPy's rules that NumPy does not have: what may be an operand, a dtype or a target."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = [
    "PYTHON_NUMBERS",
    "dtype_of",
    "has_mask",
    "is_advanced",
    "poisoned",
    "refuse_overlap",
    "refuse_repeats",
    "scalar",
]

PYTHON_NUMBERS = frozenset((bool, int, float, complex))
DTYPES = frozenset("?bBhHiIlLqQefdFD")


def dtype_of(dtype: Any) -> Any:
    """Return a dtype (None stays None); one that CuPy lacks, such as object, raises ValueError."""
    if dtype is None:
        return None
    dtype = np.dtype(dtype)
    if dtype.char not in DTYPES:
        raise ValueError(f"Unsupported dtype {dtype}")
    return dtype


def scalar(value: Any) -> Any:
    """Return a Python or NumPy number; anything else, NumPy arrays and lists included, raises."""
    if type(value) in PYTHON_NUMBERS or isinstance(value, (np.number, np.bool_)):
        return value
    raise TypeError(f"Unsupported type {type(value)}")


def is_advanced(part: Any) -> bool:
    """Tell whether a part of an index is an array of indices or a mask."""
    return isinstance(part, (np.ndarray, list))


def has_mask(parts: tuple[Any, ...]) -> bool:
    """Tell whether an index has a mask, so that the size of what it names depends on values."""
    return any(isinstance(part, np.ndarray) and part.dtype == bool for part in parts)


def poisoned(fresh: np.ndarray) -> np.ndarray:
    """Fill memory that nobody may read before writing with NaN or the largest integer."""
    kind = fresh.dtype.kind
    fresh.fill(True if kind == "b" else np.nan if kind in "fc" else np.iinfo(fresh.dtype).max)
    return fresh


def refuse_overlap(target: np.ndarray) -> None:
    """Raise ValueError where elements share memory: CUDA's threads would race to write them."""
    if target.flags.forc:
        return
    steps = sorted(
        (abs(stride), size)
        for stride, size in zip(target.strides, target.shape, strict=True)
        if size > 1
    )
    extent = target.itemsize
    for stride, size in steps:
        if stride < extent:
            raise ValueError(
                "writing to an array whose elements overlap in memory has no defined result on CuPy"
            )
        extent += stride * (size - 1)


def refuse_repeats(shape: tuple[int, ...], key: Any) -> None:
    """Raise ValueError where an index names one element twice: which value stays is undefined."""
    chosen = np.arange(np.prod(shape, dtype=int)).reshape(shape)[key]
    if np.unique(chosen).size < chosen.size:
        raise ValueError(
            "assigning through repeated indices has no defined result on CuPy; "
            "use cupy.add.at or the like"
        )
