"""The operators of the stand-in's array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from standin.ndarray import host, ndarray, output, wrap
from standin.rules import PYTHON_NUMBERS

__all__ = ["OPERATORS"]

BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "matmul": np.matmul,
    "truediv": np.divide,
    "floordiv": np.floor_divide,
    "mod": np.remainder,
    "divmod": np.divmod,
    "pow": np.power,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "lshift": np.left_shift,
    "rshift": np.right_shift,
}
COMPARISONS = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}
UNARY = {"neg": np.negative, "pos": np.positive, "abs": np.absolute, "invert": np.invert}
NOT_IN_PLACE = {"matmul", "divmod"}


def defers(left: ndarray, right: Any) -> bool:
    """Tell whether CuPy leaves an operator to its right operand (NEP 13)."""
    if type(right) is ndarray or type(right) in PYTHON_NUMBERS:
        return False
    try:
        return right.__array_ufunc__ is None
    except AttributeError:
        return getattr(right, "__array_priority__", 0) > left.__array_priority__


def binary(ufunc: Any) -> Callable[[ndarray, Any], Any]:
    """Make ``x + y``."""

    def method(self: ndarray, other: Any) -> Any:
        if defers(self, other):
            return NotImplemented
        with np.errstate(all="ignore"):
            return wrap(ufunc(self._host, host(other), order="C"))

    return method


def reflected(ufunc: Any) -> Callable[[ndarray, Any], Any]:
    """Make ``y + x`` for a y that does not know how."""

    def method(self: ndarray, other: Any) -> Any:
        if defers(self, other):
            return NotImplemented
        with np.errstate(all="ignore"):
            return wrap(ufunc(host(other), self._host, order="C"))

    return method


def in_place(ufunc: Any) -> Callable[[ndarray, Any], Any]:
    """Make ``x += y``."""

    def method(self: ndarray, other: Any) -> Any:
        with np.errstate(all="ignore"):
            ufunc(self._host, host(other), out=output(self))
        return self

    return method


def unary(ufunc: Any) -> Callable[[ndarray], Any]:
    """Make ``-x``."""

    def method(self: ndarray) -> Any:
        with np.errstate(all="ignore"):
            return wrap(ufunc(self._host, order="C"))

    return method


OPERATORS = {
    **{f"__{name}__": binary(ufunc) for name, ufunc in {**BINARY, **COMPARISONS}.items()},
    **{f"__r{name}__": reflected(ufunc) for name, ufunc in BINARY.items()},
    **{f"__i{name}__": in_place(BINARY[name]) for name in BINARY.keys() - NOT_IN_PLACE},
    **{f"__{name}__": unary(ufunc) for name, ufunc in UNARY.items()},
}
