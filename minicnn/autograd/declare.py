"""What an operation declares beside its functions: samples to test it with, errors, its cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minicnn.errors import MinicnnError, ShapeError

__all__ = ["Cost", "ErrorSample", "Sample"]


@dataclass(frozen=True)
class Cost:
    """Scalar operations that the textbook algorithm of an operation needs.

    Attributes
    ----------
    multiplications : int
        Products and quotients.
    additions : int
        Sums and differences.
    comparisons : int
        Comparisons of two numbers (max, relu, clip).
    functions : int
        Evaluations of exp, log, sqrt, tanh and the like.
    """

    multiplications: int = 0
    additions: int = 0
    comparisons: int = 0
    functions: int = 0

    @property
    def flops(self) -> int:
        """Multiplications and additions together (so one multiply-add counts as two)."""
        return self.multiplications + self.additions

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.multiplications + other.multiplications,
            self.additions + other.additions,
            self.comparisons + other.comparisons,
            self.functions + other.functions,
        )

    def __mul__(self, times: int) -> Cost:
        return Cost(
            self.multiplications * times,
            self.additions * times,
            self.comparisons * times,
            self.functions * times,
        )

    __rmul__ = __mul__


@dataclass(frozen=True, init=False)
class Sample:
    """One set of inputs and options to test an operation with.

    Parameters
    ----------
    inputs : tuple
        For each input its shape (a tuple of ints), or a number, or None for an optional input.
    domain : pair of float
        Range of the random values.
    integers : dict of int to int
        Position of inputs that are integers, with the number that all stay below.
    **options
        The operation's own options, as its ``forward`` gets them.
    """

    inputs: tuple[Any, ...]
    domain: tuple[float, float] = (-2.0, 2.0)
    integers: dict[int, int] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    def __init__(
        self,
        inputs: tuple[Any, ...],
        *,
        domain: tuple[float, float] = (-2.0, 2.0),
        integers: dict[int, int] | None = None,
        **options: Any,
    ) -> None:
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "domain", domain)
        object.__setattr__(self, "integers", integers or {})
        object.__setattr__(self, "options", options)

    def arrays(self, rng: np.random.Generator, dtype: Any = np.float64) -> list[Any]:
        """Draw the inputs: NumPy arrays for shapes; numbers and None as they stand.

        Float values of one array differ pairwise by more than any step of a difference quotient
        (they are a shuffled grid with some noise), so that max, relu and the like are not tested
        on their kinks.
        """
        return [
            self._draw(rng, position, shape, dtype) if isinstance(shape, tuple) else shape
            for position, shape in enumerate(self.inputs)
        ]

    def _draw(self, rng: np.random.Generator, position: int, shape: Any, dtype: Any) -> np.ndarray:
        if position in self.integers:
            return rng.integers(0, self.integers[position], size=shape)
        low, high = self.domain
        count = int(np.prod(shape))
        grid = (rng.permutation(count) + rng.uniform(0.3, 0.7, count)) / max(count, 1)
        return (low + (high - low) * grid).reshape(shape).astype(dtype)

    def __repr__(self) -> str:
        parts = [", ".join(map(str, self.inputs))]
        parts += [f"{name}={value}" for name, value in self.options.items()]
        return "; ".join(parts)


@dataclass(frozen=True, init=False)
class ErrorSample:
    """Inputs that an operation must refuse, and a word that the message must have.

    Parameters
    ----------
    inputs : tuple
        As for :class:`Sample`.
    match : str
        Regular expression that the message must contain.
    error : type
        ShapeError unless another one is named.
    **options
        The operation's own options.
    """

    sample: Sample
    match: str
    error: type[MinicnnError]

    def __init__(
        self,
        inputs: tuple[Any, ...],
        *,
        match: str,
        error: type[MinicnnError] = ShapeError,
        **options: Any,
    ) -> None:
        object.__setattr__(self, "sample", Sample(inputs, **options))
        object.__setattr__(self, "match", match)
        object.__setattr__(self, "error", error)
