"""Weights files: a model's parameters with all that is needed to build and use it again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import minicnn
from minicnn.data.normalize import Normalization, normalization_from_state
from minicnn.errors import CheckpointError, OptionError
from minicnn.io.tensor_file import host_array, read_tensors, write_tensors
from minicnn.nn.module import Module

__all__ = ["WeightsMetadata", "load_weights", "read_weights", "save_weights"]

PREFIX = "normalization."


@dataclass(frozen=True)
class WeightsMetadata:
    """What a weights file says about its weights.

    Attributes
    ----------
    model : str
        The model's name in the zoo.
    arguments : dict
        The options it was built with, as JSON can hold them.
    class_names : tuple of str
        The name of each output.
    normalization : Normalization, optional
        What images go through before the model.
    training : dict
        How the weights came about: epoch, scores, seed and the like, as JSON can hold it.
    version : str
        Of the minicnn that wrote the file.
    """

    model: str
    arguments: dict[str, Any] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    normalization: Normalization | None = None
    training: dict[str, Any] = field(default_factory=dict)
    version: str = field(default_factory=lambda: minicnn.__version__)


def save_weights(
    path: str | os.PathLike[str],
    model: Module | Mapping[str, Any],
    *,
    metadata: WeightsMetadata,
    dtype: str | None = None,
) -> None:
    """Write a model's weights as safetensors; the file takes the place of an old one at once.

    Parameters
    ----------
    path : str or os.PathLike
    model : Module, or mapping of str to array
        The model, or its state dict, on either backend.
    metadata : WeightsMetadata
    dtype : {"float16"}, optional
        Store floating-point arrays of two or more axes so, in half the space; reading makes them
        float32 again. Vectors (biases, batch norm and its statistics) and the normalisation are
        small, and stay as they are. By default everything does.

    Raises
    ------
    CheckpointError
        A tensor of the model has a name that the normalisation's statistics take; or it holds NaN
        or a number that float16 does not have.
    DataError
        The file cannot be written.
    OptionError
        `dtype` is none of these.
    """
    if dtype not in (None, "float16"):
        raise OptionError(f"weights: dtype: expected None or 'float16', got {dtype!r}")
    arrays = dict(model.state_dict() if isinstance(model, Module) else model)
    if dtype is not None:
        arrays = {name: _halved(name, host_array(value)) for name, value in arrays.items()}
    content: dict[str, Any] = {
        "model": metadata.model,
        "arguments": metadata.arguments,
        "class_names": list(metadata.class_names),
        "normalization": None,
        "training": metadata.training,
    }
    if metadata.normalization is not None:
        config, statistics = metadata.normalization.state()
        content["normalization"] = {"config": config, "statistics": sorted(statistics)}
        for name, value in statistics.items():
            if PREFIX + name in arrays:
                raise CheckpointError(
                    f"weights: the model's tensor {PREFIX + name!r} has the name of one of the "
                    "normalisation's statistics; rename the submodule"
                )
            arrays[PREFIX + name] = value
    write_tensors(path, "weights", arrays, content)


def read_weights(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], WeightsMetadata]:
    """Read a weights file.

    Returns
    -------
    arrays : dict of str to NumPy array
        The model's state dict; what is stored as float16 is float32.
    metadata : WeightsMetadata

    Raises
    ------
    CheckpointError
        There is no such file, it is damaged, or it is no weights file.
    """
    arrays, content, version = read_tensors(path, "weights")
    try:
        normalization = None
        if content["normalization"] is not None:
            statistics = {
                name: arrays.pop(PREFIX + name) for name in content["normalization"]["statistics"]
            }
            normalization = normalization_from_state(content["normalization"]["config"], statistics)
        metadata = WeightsMetadata(
            model=content["model"],
            arguments=dict(content["arguments"]),
            class_names=tuple(content["class_names"]),
            normalization=normalization,
            training=dict(content["training"]),
            version=version,
        )
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{os.fspath(path)}: its description lacks {error}") from None
    except (CheckpointError, OptionError) as error:  # from the normalisation
        raise CheckpointError(f"{os.fspath(path)}: {error}") from None
    half = np.dtype(np.float16)
    return {
        name: array.astype(np.float32) if array.dtype == half else array
        for name, array in arrays.items()
    }, metadata


def load_weights(path: str | os.PathLike[str], model: Module) -> WeightsMetadata:
    """Put the weights of a file into a model that fits them, and return what the file says.

    Raises
    ------
    CheckpointError
        As for :func:`read_weights`; or the weights are of another model: the message names what is
        missing, unexpected or of another shape.
    """
    arrays, metadata = read_weights(path)
    model.load_state_dict(arrays)
    return metadata


def _halved(name: str, array: np.ndarray) -> np.ndarray:
    if array.ndim < 2 or array.dtype.kind != "f" or array.size == 0:
        return array
    largest, bound = float(np.abs(array).max()), float(np.finfo(np.float16).max)
    if not largest <= bound:  # so for NaN as well
        found = "holds NaN" if np.isnan(largest) else f"reaches {largest:g}"
        raise CheckpointError(
            f"weights: {name} {found}, float16 goes to {bound:g}; leave the dtype as it is"
        )
    return array.astype(np.float16)
