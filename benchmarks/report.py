"""The newest results of all commands in one summary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.results import conditions, load_newest
from minicnn.errors import DataError
from minicnn.files import atomic_write

__all__ = ["write"]


def write(folder: Path, modules: Mapping[str, Any]) -> str:
    """Write summary.md, and return it.

    Parameters
    ----------
    folder : Path
        With the results.
    modules : mapping of str to module
        By the command's name; ``table`` of a module makes Markdown of its result.

    Raises
    ------
    DataError
        There are no results, or the newest of a command is damaged.
    """
    found = {name: load_newest(folder, name) for name in modules}
    parts = []
    for name, content in found.items():
        if content is None:
            continue
        try:
            table = modules[name].table(content["result"], brief=True)
        except (AttributeError, KeyError, TypeError) as error:
            raise DataError(
                f"{folder}: the newest result of {name} is not one of this package "
                f"({type(error).__name__}: {error})"
            ) from error
        parts.append(f"## {name}\n\n{table}\n\n{conditions(content)}")
    if not parts:
        raise DataError(f"{folder}: no results are there yet; run a benchmark first")
    text = "\n\n".join(parts)
    with atomic_write(folder / "summary.md") as file:
        file.write(text + "\n")
    return text
