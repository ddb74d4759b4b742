"""What a benchmark is run with."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from minicnn.errors import OptionError

__all__ = ["Options", "chosen"]


@dataclass(frozen=True)
class Options:
    """What the command line says.

    Attributes
    ----------
    only : tuple of str
        What is measured, in the command's order.
    contenders : tuple of str
        Who takes part; empty where nobody was named.
    quick : bool
        Smaller and shorter.
    repeat : int
        How often each measurement is repeated.
    output : Path
        The folder that is written to.
    """

    only: tuple[str, ...]
    contenders: tuple[str, ...] = ()
    quick: bool = False
    repeat: int = 5
    output: Path = Path()


def chosen(option: str, given: Sequence[str] | None, known: Collection[str]) -> tuple[str, ...]:
    """Return the names that were given, in the order in which they are known; all without any.

    Raises
    ------
    OptionError
        A name is not known.
    """
    for name in given or ():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise OptionError(f"{option}: {name!r} is unknown; {hint}choose of {', '.join(known)}")
    return tuple(name for name in known if given is None or name in given)
