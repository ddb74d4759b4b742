"""``cupy.random`` of the stand-in: generators with CuPy's methods, and not NumPy's numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from standin.ndarray import output, wrap
from standin.rules import dtype_of

__all__ = ["Generator", "default_rng"]


class Generator:
    """A random generator on the device."""

    def __init__(self, bit_generator: Any) -> None:
        self._host = np.random.Generator(bit_generator)

    def random(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """Draw uniformly from [0, 1)."""
        return self._draw(self._host.random, size, dtype, out)

    def standard_normal(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """Draw from the standard normal distribution."""
        return self._draw(self._host.standard_normal, size, dtype, out)

    def integers(
        self,
        low: Any,
        high: Any = None,
        size: Any = None,
        dtype: Any = np.int64,
        endpoint: bool = False,
    ) -> Any:
        """Draw integers from ``low`` to ``high``."""
        return wrap(self._host.integers(low, high, size, dtype_of(dtype), endpoint))

    def uniform(
        self, low: Any = 0.0, high: Any = 1.0, size: Any = None, dtype: Any = np.float64
    ) -> Any:
        """Draw uniformly from [low, high)."""
        return wrap(np.asarray(self._host.uniform(low, high, size), dtype_of(dtype)))

    def _draw(self, draw: Any, size: Any, dtype: Any, out: Any) -> Any:
        if dtype_of(dtype).char not in "fd":
            raise TypeError(f"Unsupported dtype {np.dtype(dtype)} for a random draw")
        result = draw(size, dtype=dtype, out=output(out))
        return wrap(result) if out is None else out


def default_rng(seed: Any = None) -> Generator:
    """Make a generator of other numbers than NumPy's for the same seed, as CuPy's are."""
    return Generator(np.random.Philox(seed))
