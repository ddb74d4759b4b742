"""Checkpoint files: the whole state of a training run, a tree of numbers, texts and arrays."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from minicnn import backend
from minicnn.autograd.tensor import Tensor
from minicnn.errors import CheckpointError
from minicnn.io.tensor_file import read_tensors, write_tensors

__all__ = ["read_checkpoint", "write_checkpoint"]

MARK = "$array"  # stands where an array was, with the array's name


def write_checkpoint(path: str | os.PathLike[str], state: dict[str, Any]) -> None:
    """Write a tree of dicts and lists; the file takes the place of an old one at once.

    Parameters
    ----------
    path : str or os.PathLike
    state : dict
        Nested dicts (with text as keys), lists and tuples of numbers, texts, None, and arrays or
        Tensors of either backend.

    Raises
    ------
    CheckpointError
        The tree holds something else.
    DataError
        The file cannot be written.
    """
    arrays: dict[str, Any] = {}
    content = _pack(state, "", arrays)
    write_tensors(path, "checkpoint", arrays, content)


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what :func:`write_checkpoint` wrote.

    Returns
    -------
    dict
        The tree, with NumPy arrays for the arrays and lists for the tuples.

    Raises
    ------
    CheckpointError
        There is no such file, it is damaged, or it is no checkpoint.
    """
    arrays, content, _ = read_tensors(path, "checkpoint")
    try:
        state = _unpack(content, arrays)
    except KeyError as error:
        raise CheckpointError(f"{os.fspath(path)}: damaged, the array {error} is missing") from None
    if not isinstance(state, dict):
        raise CheckpointError(f"{os.fspath(path)}: damaged, it holds no dict")
    return state


def _pack(value: Any, name: str, arrays: dict[str, Any]) -> Any:
    """Return the tree with marks in place of the arrays, which are put into `arrays`."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Tensor) or backend.is_array(value):
        arrays[name] = value
        return {MARK: name}
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str) or key == MARK:
                raise CheckpointError(f"checkpoint: {name or 'the state'} has the key {key!r}")
        return {key: _pack(each, _join(name, key), arrays) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_pack(each, _join(name, str(i)), arrays) for i, each in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise CheckpointError(
        f"checkpoint: {name} is of type {type(value).__name__}, which no file can hold"
    )


def _join(name: str, key: str) -> str:
    # Keys may hold dots themselves (names of parameters), so the parts are joined by another sign.
    return f"{name}/{key}" if name else key


def _unpack(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, dict):
        if set(value) == {MARK}:
            return arrays[value[MARK]]
        return {key: _unpack(each, arrays) for key, each in value.items()}
    if isinstance(value, list):
        return [_unpack(each, arrays) for each in value]
    return value
