"""Results as files: one in JSON for programs, one in Markdown for people."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import describe
from benchmarks.options import Options
from minicnn.errors import DataError
from minicnn.files import atomic_write

__all__ = ["load_newest", "make_folder", "markdown", "number", "spread", "write"]


def make_folder(folder: Path) -> None:
    """Make the folder that results go to, before anything is measured.

    Raises
    ------
    DataError
        There is something else in its place, it cannot be made, or no file can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be made ({error.strerror})") from error
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise DataError(f"{folder}: cannot be written to ({error.strerror})") from error


def write(command: str, table: str, result: dict[str, Any], options: Options) -> str:
    """Write what a command has found, and return the Markdown.

    Parameters
    ----------
    command : str
    table : str
        In Markdown.
    result : dict
        What the table was made of.
    options : Options
    """
    machine = describe()
    stamp = machine["date"][:19].replace("-", "").replace(":", "").replace("T", "-")
    said = dataclasses.asdict(options)
    del said["output"]  # says nothing about the measurement
    content = {"command": command, "machine": machine, "options": said, "result": result}
    path = options.output / f"{command}-{stamp}"
    with atomic_write(path.with_suffix(".json")) as file:
        json.dump(content, file, indent=2, allow_nan=False)
        file.write("\n")
    text = f"# {command}\n\n{conditions(content)}\n\n{table}\n"
    with atomic_write(path.with_suffix(".md")) as file:
        file.write(text)
    return f"{text}\nwritten: {path}.json and .md"


def conditions(content: dict[str, Any]) -> str:
    """Return one line about the machine on which something was measured, and when."""
    machine, options = content["machine"], content["options"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    quick = ", --quick" if options["quick"] else ""
    settings = "".join(f", {name}={value}" for name, value in machine["variables"].items())
    turns = options["repeat"]
    measured = f"medians of {turns} repetitions" if turns > 1 else "measured once"
    return (
        f"{machine['cpu']}, {machine['cores_used']} of {machine['cores']} cores, "
        f"{machine['threads']} threads{settings}; {versions}; {machine['date'][:10]}, "
        f"{measured}{quick}."
    )


def load_newest(folder: Path, command: str) -> dict[str, Any] | None:
    """Return the newest result of a command, or None if there is none.

    Raises
    ------
    DataError
        The file cannot be read.
    """
    files = sorted(folder.glob(f"{command}-*.json"))
    if not files:
        return None
    try:
        found = json.loads(files[-1].read_text(encoding="utf-8"))
        conditions(found)
        if "result" not in found:
            raise ValueError("no result is in it")
    except KeyError as error:
        raise DataError(
            f"{files[-1]}: is not a result of this package, {error} is missing"
        ) from None
    except (OSError, TypeError, ValueError) as error:
        raise DataError(f"{files[-1]}: is not a result of this package ({error})") from error
    return found


def markdown(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table in Markdown: texts to the left, then numbers; no columns without values."""
    rows = list(rows)
    kept = [n for n in range(len(columns)) if not rows or any(row[n] is not None for row in rows)]
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(number(line[n]) for n in kept)} |" for line in lines)


def number(value: Any) -> str:
    """Return a text as it is, a number with three digits that say something, None as a dash."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def spread(ratio: Sequence[float] | None) -> str | None:
    """Return a :class:`benchmarks.statistics.Ratio` as a text: the median (least to most)."""
    return None if ratio is None else "{:.2f} ({:.2f} to {:.2f})".format(*ratio)
