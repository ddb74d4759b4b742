"""The networks whose weights are in the package, by name."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from minicnn.errors import CheckpointError

__all__ = ["DEFAULT", "known", "trained", "trained_file"]

DEFAULT = "fer2013"  # the name of the network that is taken where none is named

FOLDER = Path(str(resources.files("minicnn.zoo"))) / "weights"
SUFFIX = ".safetensors"


def trained() -> tuple[str, ...]:
    """Return the names of all networks whose weights are in the package, sorted."""
    return tuple(sorted(file.stem for file in FOLDER.glob(f"*{SUFFIX}")))


def known() -> str:
    """Return what the package has, as a part of a sentence."""
    names = trained()
    if not names:
        return "no weights are in this package yet"
    return f"the package has the weights of {', '.join(names)}"


def trained_file(name: str = DEFAULT) -> Path:
    """Return the file of weights of a network that is in the package.

    Raises
    ------
    CheckpointError
        It is not.
    """
    if name not in trained():
        raise CheckpointError(f"{name}: {known()}")
    return FOLDER / f"{name}{SUFFIX}"
