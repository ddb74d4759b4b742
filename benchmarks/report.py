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
        There are no results.
    """
    found = {name: load_newest(folder, name) for name in modules}
    parts = [
        f"## {name}\n\n{modules[name].table(content['result'], brief=True)}\n\n"
        f"{conditions(content)}"
        for name, content in found.items()
        if content is not None
    ]
    if not parts:
        raise DataError(f"{folder}: no results are there yet; run a benchmark first")
    text = "\n\n".join(parts)
    with atomic_write(folder / "summary.md") as file:
        file.write(text + "\n")
    return text
