"""Errors raised on purpose: each says what was given, what was expected, and what to do."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "BackendError",
    "CheckpointError",
    "DTypeError",
    "DataError",
    "GradientError",
    "MinicnnError",
    "NotANumberError",
    "OptionError",
    "ShapeError",
    "listed",
]


class MinicnnError(Exception):
    """Base of all errors below; the command line prints it as one line and exits with 2."""


class ShapeError(MinicnnError, ValueError):
    """Shapes, sizes or axes do not fit together."""


class DTypeError(MinicnnError, TypeError):
    """Element types do not fit together, or an operation cannot work on one."""


class OptionError(MinicnnError, ValueError):
    """An option, a name or an argument has a value that is not one of the possible ones."""


class BackendError(MinicnnError, RuntimeError):
    """A backend is not usable, or arrays of two backends meet in one operation."""


class GradientError(MinicnnError, RuntimeError):
    """The backward pass cannot give the gradient that was asked for."""


class NotANumberError(GradientError, FloatingPointError):
    """A NaN or an infinity arose; the message names where it arose first."""


class DataError(MinicnnError, ValueError):
    """A data file or folder cannot be read as what it should be."""


class CheckpointError(MinicnnError, ValueError):
    """A weights file, checkpoint or state dict does not fit the model or is damaged."""


def listed(words: Iterable[str], most: int, *, between: str = ", ") -> str:
    """Return words for a message in a row, and where they are more than `most`, how many more."""
    words = list(words)
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return between.join(words[:most]) + more
