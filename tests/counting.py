"""Scalars that count what is done to them: run a kernel on arrays of them to learn its cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from minicnn.autograd import Cost
from minicnn.kernels import special


class Tally:
    """What has been counted so far, as a :class:`Cost`."""

    def __init__(self) -> None:
        self.cost = Cost()


class Counted:
    """A number whose arithmetic is counted; NumPy's functions of object arrays call these methods.

    It does not turn into a float: what a kernel computes with plain floats would not be counted.
    """

    __slots__ = ("tally", "value")

    def __init__(self, value: float, tally: Tally) -> None:
        self.value = value
        self.tally = tally

    def __repr__(self) -> str:
        return f"Counted({self.value})"

    def __getattr__(self, name: str) -> Any:
        # NumPy makes scalars of arrays without axes, and these have the methods of arrays.
        if name.startswith("__"):
            raise AttributeError(name)
        array = np.empty((), dtype=object)
        array[()] = self
        return getattr(array, name)


NUMBERS = (int, float, np.generic, Counted)


def _plain(number: Any) -> Any:
    if isinstance(number, np.ndarray):
        number = number.item()
    return number.value if isinstance(number, Counted) else number


def _operator(name: str, cost: Cost, wraps: bool) -> Callable[..., Any]:
    def operate(self: Counted, *others: Any) -> Any:
        if not all(isinstance(other, NUMBERS) for other in others):
            return NotImplemented  # an array, which then takes each of its elements by itself
        if not any(isinstance(other, (bool, np.bool_)) for other in others):
            self.tally.cost += cost  # a product with a truth value only selects
        found = getattr(float(self.value), name)(*[float(_plain(other)) for other in others])
        return Counted(found, self.tally) if wraps else found

    return operate


def _function(function: Callable[[float], float]) -> Callable[[Counted], Counted]:
    def evaluate(self: Counted) -> Counted:
        self.tally.cost += Cost(functions=1)
        return Counted(function(self.value), self.tally)

    return evaluate


KINDS = {
    Cost(additions=1): "__add__ __radd__ __sub__ __rsub__ __neg__",
    Cost(multiplications=1): "__mul__ __rmul__ __truediv__ __rtruediv__",
    Cost(comparisons=1): "__abs__",
    Cost(functions=1): "__pow__ __rpow__",
}
for _cost, _names in KINDS.items():
    for _name in _names.split():
        setattr(Counted, _name, _operator(_name, _cost, wraps=True))
for _name in "__lt__ __le__ __gt__ __ge__ __eq__ __ne__".split():
    setattr(Counted, _name, _operator(_name, Cost(comparisons=1), wraps=False))
for _name in "exp expm1 log log1p sqrt tanh erf".split():
    setattr(Counted, _name, _function(getattr(math, _name)))


def counted(array: np.ndarray, tally: Tally) -> np.ndarray:
    """Return an object array of counting scalars with the values of an array of floats."""
    result = np.empty(array.shape, dtype=object)
    for index in np.ndindex(*array.shape):
        result[index] = Counted(float(array[index]), tally)
    return result


def values(array: Any) -> np.ndarray:
    """Return the plain numbers of what a kernel made of counting scalars."""
    return np.vectorize(_plain, otypes=[np.float64])(np.asarray(array, dtype=object))


def _counting_constants(function: Callable[..., Any], tally: Tally) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if isinstance(result, np.ndarray) and result.dtype == object:
            for index in np.ndindex(*result.shape):
                if not isinstance(result[index], Counted):
                    result[index] = Counted(result[index], tally)
        elif isinstance(result, NUMBERS) and not isinstance(result, Counted):
            result = Counted(result, tally)  # an array without axes has become its only element
        return result

    return call


@contextmanager
def counting(tally: Tally) -> Iterator[None]:
    """Let NumPy count what plain object arrays would leave out.

    Constants in arrays of objects (zeros of a padding, the limit of a maximum) become counting
    scalars, and the error function is one evaluation, like exp, however it is put together.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(special, "erf", np.frompyfunc(lambda number: number.erf(), 1, 1))
        for name in ("zeros", "zeros_like", "full", "maximum", "minimum"):
            patch.setattr(np, name, _counting_constants(getattr(np, name), tally))
        maximum, minimum = np.maximum, np.minimum

        def clip(x: Any, low: Any, high: Any) -> Any:
            x = x if low is None else maximum(x, low)
            return x if high is None else minimum(x, high)

        patch.setattr(np, "clip", clip)
        yield
