"""Command lines: a parser whose complaints are one line, and converters that name the value."""

from __future__ import annotations

import argparse
import math
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from minicnn.errors import OptionError

__all__ = ["Parser", "or_none", "path", "real", "sizes", "whole"]


class Parser(argparse.ArgumentParser):
    """Raises its complaints, so that they are printed like all others: in one line.

    Parameters
    ----------
    examples : sequence of str
        What may follow the program's name; ``--help`` ends with these command lines.
    notes : sequence of str
        Lines that ``--help`` prints before the examples.
    **options
        Of :class:`argparse.ArgumentParser`.
    """

    def __init__(
        self, *, examples: Sequence[str] = (), notes: Sequence[str] = (), **options: Any
    ) -> None:
        super().__init__(**{"allow_abbrev": False, **options})
        if examples:
            # Each example keeps its line; so the description must be wrapped here.
            self.formatter_class = argparse.RawDescriptionHelpFormatter
            self.description = textwrap.fill(self.description or "", 79)
            title = "example" if len(examples) == 1 else "examples"
            lines = [f"{title}:", *(f"  {self.prog} {each}" for each in examples)]
            self.epilog = "\n".join([*notes, ""] * bool(notes) + lines)

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong with the command line."""
        raise OptionError(f"{message} (--help lists the options)")


def path(text: str) -> str:
    """Convert a text that is not empty."""
    if not text:
        raise argparse.ArgumentTypeError("expected a path, got an empty text")
    return text


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """Return a converter to whole numbers that are not below `least`, nor above `most`."""
    expected = f"of {least} or more" if most is None else f"from {least} to {most}"

    def convert(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least or (most is not None and number > most):
            raise argparse.ArgumentTypeError(f"expected a whole number {expected}, got {text!r}")
        return number

    return convert


def sizes(*counts: int) -> Callable[[str], tuple[int, ...]]:
    """Return a converter of texts such as ``48x48x1`` to so many whole numbers of 1 or more."""

    def convert(text: str) -> tuple[int, ...]:
        parts = text.lower().split("x")
        numbers = tuple(int(part) for part in parts if part.isdecimal())
        if len(numbers) != len(parts) or len(parts) not in counts or 0 in numbers:
            wanted = " or ".join("x".join("HWC"[:count]) for count in counts)
            raise argparse.ArgumentTypeError(
                f"expected sizes {wanted} of 1 or more, such as "
                f"{'x'.join(('48', '48', '1')[: counts[-1]])}, got {text!r}"
            )
        return numbers

    return convert


def real(expected: str, allowed: Callable[[float], bool]) -> Callable[[str], float]:
    """Return a converter to numbers that are allowed, which says otherwise what is expected."""

    def convert(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number) or not allowed(number):
            raise argparse.ArgumentTypeError(f"expected a number {expected}, got {text!r}")
        return number

    return convert


def or_none(convert: Callable[[str], float]) -> Callable[[str], float | None]:
    """Return a converter that also takes the word none."""
    return lambda text: None if text == "none" else convert(text)
