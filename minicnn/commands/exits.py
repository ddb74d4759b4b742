"""How commands end: their exit codes, one line for each error, and files that are not lost."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from minicnn.errors import DataError, MinicnnError, OptionError

__all__ = ["ERROR", "INTERRUPTED", "guarded", "printer", "refuse_existing", "short_name"]

ERROR = 2
INTERRUPTED = 130  # what shells report for a program that Ctrl-C ended
CLOSED = 141  # and for one whose reader, such as head, had seen enough


def guarded(program: str, job: Callable[[], int], *, again: Callable[[], str] | None = None) -> int:
    """Do a command's work, and turn what goes wrong into an exit code and one line on stderr.

    Parameters
    ----------
    program : str
        How the command is called; the line begins with its :func:`short_name`.
    job : callable
        Returns the exit code.
    again : callable, optional
        Says after an interruption how to go on.

    Returns
    -------
    int
        That of the job; 2 for an error, 130 where a signal ended it, 141 where nobody reads on.
    """
    try:
        code = job()
        if sys.stdout is not None:  # who calls may have closed it
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        # What is left in the buffer would raise once more when Python closes it at its end.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED
    except MinicnnError as error:
        message = str(error)
    except MemoryError as error:
        message = f"out of memory ({error}); choose a smaller model, input or batch"
    except OSError as error:
        message = f"{error.filename or 'standard output'}: {error.strerror or error}"
    except KeyboardInterrupt as error:
        hint = "" if again is None else f"; {again()}"
        what = str(error) or "stopped"
        print(f"{short_name(program)}: interrupted, {what}{hint}", file=sys.stderr)
        return INTERRUPTED
    print(f"{short_name(program)}: error: {' '.join(message.split())}", file=sys.stderr)
    return ERROR


def short_name(program: str) -> str:
    """Return what a program is called in messages: ``python examples/predict.py`` is "predict"."""
    name = program.removeprefix("python ").removeprefix("-m ")
    return Path(name).stem if name.endswith(".py") else name


def printer(*, quiet: bool) -> Callable[[str], None]:
    """Return what prints a line at once, or where nothing is to be said, nothing."""
    return (lambda text: None) if quiet else functools.partial(print, flush=True)


def refuse_existing(
    paths: Iterable[str | os.PathLike[str]],
    *,
    overwrite: bool,
    inputs: Iterable[str | os.PathLike[str]] = (),
) -> None:
    """Refuse, before any work is done, files that could not be written or would be overwritten.

    Parameters
    ----------
    paths : iterable of str or os.PathLike
        What is to be written.
    overwrite : bool
        Files that are there already may be replaced.
    inputs : iterable of str or os.PathLike
        Files that are read, and stay as they are whatever was asked for.

    Raises
    ------
    OptionError
        There is such a file and nobody asked to overwrite it, or it is one of those that are read.
    DataError
        There is no folder for it, or something else than a file in its place.
    """
    read = {Path(path).resolve() for path in inputs}
    for path in map(Path, paths):
        if path.resolve() in read:
            raise OptionError(
                f"{path}: belongs to what is read here; give another file to write to"
            )
        if path.exists() and not path.is_file():
            raise DataError(f"{path}: cannot be written, it is not a regular file")
        if path.exists() and not overwrite:
            raise OptionError(f"{path}: is there already; add --overwrite to replace it")
        if not path.parent.is_dir():
            raise DataError(f"{path}: cannot be written, there is no folder {path.parent}")
