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
from minicnn.io.tensor_file import read_tensors, write_tensors
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
) -> None:
    """Write a model's weights as safetensors; the file takes the place of an old one at once.

    Parameters
    ----------
    path : str or os.PathLike
    model : Module, or mapping of str to array
        The model, or its state dict, on either backend.
    metadata : WeightsMetadata

    Raises
    ------
    CheckpointError
        A tensor of the model has a name that the normalisation's statistics take.
    DataError
        The file cannot be written.
    """
    arrays = dict(model.state_dict() if isinstance(model, Module) else model)
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
        The model's state dict.
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
    return arrays, metadata


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
