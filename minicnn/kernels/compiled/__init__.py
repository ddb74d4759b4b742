"""Loops over float32 arrays of a CPU, compiled by Numba where it is installed.

Whatever is here, NumPy can do as well, in more passes over memory. Importing this package does not
import Numba: its modules do, when big arrays first call for them.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from typing import Any

import numpy as np

from minicnn.errors import OptionError

__all__ = [
    "ENVIRONMENT_VARIABLE",
    "LEAST",
    "compile_seconds",
    "enabled",
    "kept",
    "lowest",
    "usable",
]

ENVIRONMENT_VARIABLE = "MINICNN_NUMBA"

# Numbers, in an array or in all that are gone through together, from which on compiled code gains,
# even if it is not yet in memory.
LEAST = 1 << 14


@functools.cache
def enabled() -> bool:
    """Tell whether Numba is installed and not switched off by ``MINICNN_NUMBA=0``.

    Raises
    ------
    OptionError
        The variable is neither 0 nor 1.
    """
    value = os.environ.get(ENVIRONMENT_VARIABLE, "").strip() or "1"
    if value not in ("0", "1"):
        raise OptionError(f"{ENVIRONMENT_VARIABLE}: expected 0 or 1, got {value!r}")
    return value == "1" and importlib.util.find_spec("numba") is not None


def compile_seconds() -> float:
    """Return how long this process has compiled code that it did not find on disk."""
    jit = sys.modules.get(f"{__name__}.jit")
    return jit.seconds() if jit else 0.0


def kept() -> bool:
    """Tell whether what this process has compiled is on disk for the next one."""
    jit = sys.modules.get(f"{__name__}.jit")
    return jit is None or jit.kept()


def usable(*arrays: Any, size: int | None = None) -> bool:
    """Tell whether compiled code serves these arrays: float32, on a CPU, and big.

    Parameters
    ----------
    *arrays : arrays
    size : int, optional
        How many numbers are gone through, with these and other arrays; by default those of the
        first array.
    """
    return (
        (arrays[0].size if size is None else size) >= LEAST
        and all(type(array) is np.ndarray and array.dtype == np.float32 for array in arrays)
        and enabled()
    )


def lowest(slope: float) -> np.float32:
    """Return what compiled code raises a negative number to before it multiplies it by a slope.

    Without that, minus infinity times 0 would be NaN.
    """
    return -np.finfo(np.float32).max if slope == 0 else np.float32(-np.inf)
