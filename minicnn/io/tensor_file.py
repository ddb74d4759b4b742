"""Safetensors files of minicnn: arrays, what they are, and a checksum, written whole or not."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

import minicnn
from minicnn import backend
from minicnn.autograd.tensor import Tensor
from minicnn.errors import CheckpointError
from minicnn.files import atomic_write

__all__ = ["host_array", "read_tensors", "write_tensors"]

FORMAT = 1  # raise it whenever older versions of minicnn could not read what is written

# Everything stands in one entry: the library writes several in an order that differs from run to
# run, and equal content shall give equal files.
ENTRY = "minicnn"


def host_array(value: Any) -> np.ndarray:
    """Return an array of either backend, or a Tensor, as a contiguous NumPy array."""
    array = backend.to_numpy(value.data if isinstance(value, Tensor) else value)
    return np.asarray(array, order="C")  # np.ascontiguousarray would give a scalar an axis


def write_tensors(
    path: str | os.PathLike[str], kind: str, arrays: Mapping[str, Any], content: Any
) -> None:
    """Write arrays and a description of them; the file takes the place of an old one at once.

    Parameters
    ----------
    path : str or os.PathLike
    kind : str
        What the file is: ``"weights"`` or ``"checkpoint"``.
    arrays : mapping of str to array or Tensor
        On either backend, of any strides.
    content : anything that JSON can hold

    Raises
    ------
    DataError
        The file cannot be written.
    """
    tensors = {name: host_array(value) for name, value in arrays.items()}
    entry = {
        "kind": kind,
        "format": FORMAT,
        "version": minicnn.__version__,
        "checksum": _checksum(tensors, content),
        "content": content,
    }
    with atomic_write(path, "wb") as file:
        file.write(safetensors.numpy.save(tensors, {ENTRY: json.dumps(entry)}))


def read_tensors(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, np.ndarray], Any, str]:
    """Read what :func:`write_tensors` wrote.

    Parameters
    ----------
    path : str or os.PathLike
    kind : str
        What the file must be.

    Returns
    -------
    arrays : dict of str to NumPy array
    content
        The description.
    version : str
        Of the minicnn that wrote the file.

    Raises
    ------
    CheckpointError
        There is no such file, it is damaged, or it is something else.
    """
    name = os.fspath(path)
    try:
        with safetensors.safe_open(name, framework="numpy") as file:
            entry = _entry(name, kind, file.metadata())
            arrays = {key: file.get_tensor(key) for key in file.keys()}
    except FileNotFoundError:  # also of files that must not be read
        reason = "it may not be read" if os.path.exists(name) else "there is no such file"
        raise CheckpointError(f"{name}: {reason}") from None
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{name}: not a whole safetensors file, it is damaged or of another kind "
            f"({reason}); put back a copy, or make it anew"
        ) from None
    if entry["checksum"] != _checksum(arrays, entry["content"]):
        raise CheckpointError(
            f"{name}: damaged, its content does not match its checksum; restore it from a copy"
        )
    return arrays, entry["content"], entry["version"]


def _entry(name: str, kind: str, metadata: Mapping[str, str] | None) -> dict[str, Any]:
    """Return the description, once it is clear that this minicnn can read it."""
    text = (metadata or {}).get(ENTRY)
    entry = None if text is None else json.loads(text)
    if not isinstance(entry, dict) or "kind" not in entry or "format" not in entry:
        raise CheckpointError(f"{name}: a safetensors file, but not one that minicnn wrote")
    if entry["kind"] != kind:
        raise CheckpointError(f"{name}: holds {entry['kind']}, expected {kind}")
    if entry["format"] != FORMAT:
        raise CheckpointError(
            f"{name}: written by minicnn {entry.get('version')} in format {entry['format']}; this "
            f"is minicnn {minicnn.__version__}, which reads format {FORMAT}: install that version"
        )
    return {"checksum": None, "content": None, "version": "unknown", **entry}


def _checksum(arrays: Mapping[str, np.ndarray], content: Any) -> int:
    checksum = zlib.crc32(json.dumps(content).encode())
    for name in sorted(arrays):
        array = arrays[name]
        checksum = zlib.crc32(f"{name} {array.dtype.name} {array.shape}".encode(), checksum)
        checksum = zlib.crc32(array.reshape(-1).view(np.uint8).data, checksum)
    return checksum
