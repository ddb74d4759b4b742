"""Keep a data set that was read once in a file that reads fast; no fault of it is ever fatal."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from minicnn.data.face_dataset import FaceDataset
from minicnn.errors import MinicnnError
from minicnn.files import atomic_write

__all__ = ["FORMAT", "cache_directory", "fetch", "store"]

FORMAT = "2"  # raise it whenever reading the same source gives something else than before


def cache_directory(cache: bool | str | os.PathLike[str] | None) -> Path | None:
    """Return the folder for cache files, or None if there is to be no cache.

    Parameters
    ----------
    cache : bool, str, os.PathLike or None
        A folder, or True for the usual one: ``MINICNN_CACHE``, else ``XDG_CACHE_HOME/minicnn``,
        else ``~/.cache/minicnn``. None or False for no cache.
    """
    if cache is None or cache is False:
        return None
    if cache is not True:
        return Path(cache).expanduser()
    if os.environ.get("MINICNN_CACHE"):
        return Path(os.environ["MINICNN_CACHE"]).expanduser()
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "minicnn"
    try:
        return Path.home() / ".cache" / "minicnn"
    except RuntimeError:  # a user without a home
        return None


def fetch(
    directory: Path, path: str, fingerprint: list[tuple[str, int, int]]
) -> FaceDataset | None:
    """Return what was stored for a source, or None if there is nothing, or nothing sound.

    Parameters
    ----------
    directory : Path
        The cache folder.
    path : str
        Where the source lies.
    fingerprint : list of (name, size, time)
        Its files as they are now (:func:`minicnn.data.sources.fingerprint`).
    """
    try:
        with safetensors.safe_open(_file(directory, path), framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("source") != _identity(path, fingerprint):
                return None
            dataset = FaceDataset(
                file.get_tensor("images"),
                file.get_tensor("labels") if "labels" in file.keys() else None,
                np.array(json.loads(file.get_tensor("ids").tobytes()), np.str_),
                np.array(json.loads(metadata["splits"]), np.str_)[file.get_tensor("usage")],
                tuple(json.loads(metadata["class_names"])),
                metadata["sha256"],
            )
    # A damaged file can fail at any of these steps; then the source is read again.
    except (OSError, safetensors.SafetensorError, MinicnnError, ValueError, LookupError, TypeError):
        return None
    return dataset if dataset.content_hash() == dataset.sha256 else None


def store(
    directory: Path, path: str, fingerprint: list[tuple[str, int, int]], dataset: FaceDataset
) -> None:
    """Store what was read from a source; where that is not possible, do nothing.

    A source has one file, by its path: what a changed source held before does not pile up.
    """
    splits, usage = np.unique(dataset.usage, return_inverse=True)
    tensors = {
        "images": np.ascontiguousarray(dataset.images),
        "ids": np.frombuffer(json.dumps(dataset.ids.tolist()).encode(), np.uint8),
        "usage": usage.astype(np.uint8),
    }
    if dataset.labels is not None:
        tensors["labels"] = np.ascontiguousarray(dataset.labels)
    metadata = {
        "source": _identity(path, fingerprint),
        "splits": json.dumps(splits.tolist()),
        "class_names": json.dumps(dataset.class_names),
        "sha256": dataset.sha256,
    }
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with atomic_write(_file(directory, path), "wb") as file:
            file.write(safetensors.numpy.save(tensors, metadata))
    except (OSError, MinicnnError):
        return


def _file(directory: Path, path: str) -> Path:
    key = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()
    return directory / f"faces-{key[:16]}.safetensors"


def _identity(path: str, fingerprint: list[tuple[str, int, int]]) -> str:
    facts = [FORMAT, os.path.realpath(path), fingerprint]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
