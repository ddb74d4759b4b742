"""Checks of hyperparameters: each takes what to call the value in a message, and the value."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any

from minicnn.errors import OptionError

__all__ = [
    "Check",
    "finite",
    "fraction",
    "fractions",
    "integer",
    "not_negative",
    "one_of",
    "per_group",
    "positive",
    "share",
    "switch",
]

Check = Callable[[str, Any], Any]


def _number(name: str, value: Any, allowed: Callable[[float], bool], expected: str) -> float:
    good = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not good or not math.isfinite(value) or not allowed(float(value)):
        raise OptionError(f"{name}: expected {expected}, got {value!r}")
    return float(value)


def finite(name: str, value: Any) -> float:
    """Accept any finite number."""
    return _number(name, value, lambda x: True, "a finite number")


def not_negative(name: str, value: Any) -> float:
    """Accept a number of 0 or more."""
    return _number(name, value, lambda x: x >= 0, "a number of 0 or more")


def positive(name: str, value: Any) -> float:
    """Accept a number above 0."""
    return _number(name, value, lambda x: x > 0, "a number above 0")


def fraction(name: str, value: Any) -> float:
    """Accept a number from 0 to below 1."""
    return _number(name, value, lambda x: 0 <= x < 1, "a number from 0 to below 1")


def share(name: str, value: Any) -> float:
    """Accept a number from 0 to 1."""
    return _number(name, value, lambda x: 0 <= x <= 1, "a number from 0 to 1")


def fractions(name: str, value: Any) -> tuple[float, float]:
    """Accept two numbers from 0 to below 1."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise OptionError(f"{name}: expected two numbers from 0 to below 1, got {value!r}")
    return fraction(name, value[0]), fraction(name, value[1])


def switch(name: str, value: Any) -> bool:
    """Accept True or False."""
    if not isinstance(value, bool):
        raise OptionError(f"{name}: expected True or False, got {value!r}")
    return value


def integer(name: str, value: Any, least: int = 1) -> int:
    """Accept a whole number that is not below ``least``."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
        raise OptionError(f"{name}: expected a whole number of {least} or more, got {value!r}")
    return int(value)


def one_of(name: str, value: Any, choices: Sequence[str]) -> str:
    """Accept one of several words."""
    if value not in choices:
        raise OptionError(f"{name}: {value!r} is unknown; choose one of {', '.join(choices)}")
    return value


def per_group(name: str, value: Any, groups: int, check: Check) -> list[float]:
    """Accept one value for all parameter groups, or a list with one for each."""
    if not isinstance(value, (list, tuple)):
        return [check(name, value)] * groups
    if len(value) != groups:
        raise OptionError(
            f"{name}: expected a number, or one for each of the {groups} parameter groups, "
            f"got {len(value)} numbers"
        )
    return [check(name, each) for each in value]
