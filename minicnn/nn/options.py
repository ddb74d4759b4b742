"""Checks of the arguments that layers are constructed with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn.errors import OptionError
from minicnn.kernels.sizes import Padding, Pair

__all__ = ["divisible", "number", "one_of", "positive", "shortest_padding"]


def positive(value: Any, name: str, least: int = 1) -> int:
    """Return an integer of 1 or more, or of another least value.

    Parameters
    ----------
    value : int
    name : str
        Of the argument, for the error message.
    least : int

    Raises
    ------
    OptionError
        It is something else.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise OptionError(f"{name}: expected an integer of {least} or more, got {value!r}")
    return int(value)


def number(value: Any, name: str, low: float = -math.inf, high: float = math.inf) -> float:
    """Return a finite number between two limits, both allowed; OptionError for anything else."""
    wrong_type = isinstance(value, bool) or not isinstance(
        value, (int, float, np.integer, np.floating)
    )
    if wrong_type or not (low <= value <= high and math.isfinite(value)):
        limits = {
            (True, True): "",
            (False, True): f" of {low} or more",
            (True, False): f" of {high} or less",
            (False, False): f" from {low} to {high}",
        }[math.isinf(low), math.isinf(high)]
        raise OptionError(f"{name}: expected a number{limits}, got {value!r}")
    return value.item() if isinstance(value, np.generic) else value


def one_of(value: Any, name: str, choices: tuple[str, ...]) -> str:
    """Return a string that is one of the choices; OptionError for anything else."""
    if value not in choices:
        raise OptionError(f"{name}: {value!r} is unknown; choose one of {', '.join(choices)}")
    return value


def divisible(count: int, parts: int, name: str, parts_name: str) -> None:
    """Refuse a count that does not split into equal parts, with an OptionError."""
    if count % parts:
        raise OptionError(f"{name}: {count} cannot be split into {parts_name}={parts} equal parts")


def shortest_padding(padding: Any, pads: Padding) -> str | Pair | Padding:
    """Return a checked padding as short as it can be: a name, (height, width), or all sides."""
    if isinstance(padding, str):
        return padding
    (top, bottom), (left, right) = pads
    return (top, left) if top == bottom and left == right else pads
