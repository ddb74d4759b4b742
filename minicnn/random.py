"""Seeded random streams, one for each purpose, whose state can be saved; nothing is global.

All draws are made on the host, so that both backends start from the same numbers. What must be
drawn on the device (dropout masks) is computed there from a small seed that is drawn here.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from minicnn.errors import CheckpointError, OptionError

__all__ = [
    "Streams",
    "generator",
    "generator_state",
    "set_generator_state",
    "standard_normal",
]


def generator(rng: np.random.Generator | int | None = None) -> np.random.Generator:
    """Return the generator given, a new one from a seed, or (None) one from system entropy."""
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is not None and (
        isinstance(rng, bool) or not isinstance(rng, (int, np.integer)) or rng < 0
    ):
        raise OptionError(
            f"rng: expected a numpy.random.Generator or a seed of 0 or more, got {rng!r}"
        )
    return np.random.default_rng(rng)


def generator_state(rng: np.random.Generator) -> dict[str, Any]:
    """Return the state of a generator as a dict that JSON can hold."""
    return dict(rng.bit_generator.state)


def set_generator_state(rng: np.random.Generator, state: dict[str, Any]) -> None:
    """Put a generator into a state that :func:`generator_state` returned."""
    try:
        rng.bit_generator.state = state
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError(
            f"random state: it does not fit a {type(rng.bit_generator).__name__}: {error}"
        ) from None


def standard_normal(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw from the standard normal distribution, in any floating-point type."""
    dtype = np.dtype(dtype)
    drawn = rng.standard_normal(shape, np.float64 if dtype.itemsize > 4 else np.float32)
    return drawn.astype(dtype, copy=False)


class Streams:
    """Independent random streams by name, all from one seed.

    ``Streams(7)["weights"]`` is a ``numpy.random.Generator`` that does not move when another stream
    is drawn from: what is drawn for one purpose never changes what another one sees.

    Parameters
    ----------
    seed : int
        0 or more.
    """

    def __init__(self, seed: int) -> None:
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise OptionError(f"seed: expected an integer of 0 or more, got {seed!r}")
        self.seed = int(seed)
        self._generators: dict[str, np.random.Generator] = {}

    def __getitem__(self, name: str) -> np.random.Generator:
        if name not in self._generators:
            sequence = np.random.SeedSequence([self.seed, zlib.crc32(name.encode())])
            self._generators[name] = np.random.Generator(np.random.PCG64(sequence))
        return self._generators[name]

    def __repr__(self) -> str:
        return f"Streams(seed={self.seed})"

    def state(self) -> dict[str, Any]:
        """Return the seed and the state of every stream drawn from so far, as JSON can hold it."""
        return {
            "seed": self.seed,
            "streams": {name: generator_state(rng) for name, rng in self._generators.items()},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue where :meth:`state` was taken."""
        self.seed = int(state["seed"])
        self._generators = {}
        for name, saved in state["streams"].items():
            set_generator_state(self[name], saved)
