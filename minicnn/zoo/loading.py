"""Read a network of the zoo from a file of weights."""

from __future__ import annotations

import os

import numpy as np

from minicnn.errors import CheckpointError, MinicnnError
from minicnn.io.weights import WeightsMetadata, read_weights
from minicnn.zoo.building import build, names
from minicnn.zoo.network import Network

__all__ = ["load"]


def load(path: str | os.PathLike[str]) -> Network:
    """Read a trained network; nothing but the file is needed.

    Parameters
    ----------
    path : str or os.PathLike
        A safetensors file that training wrote.

    Returns
    -------
    Network
        On the current backend, in evaluation mode, with its ``normalization`` and ``class_names``.

    Raises
    ------
    CheckpointError
        There is no such file, it is damaged or of another kind, or it does not fit the zoo.
    """
    arrays, metadata = read_weights(path)
    file = os.fspath(path)
    if metadata.model not in names():
        raise CheckpointError(
            f"{file}: holds weights of {metadata.model!r}, which the zoo does not have (it has "
            f"{', '.join(names())}); build that model and use minicnn.io.load_weights"
        )
    try:
        network = build(metadata.model, **metadata.arguments)
        network.load_state_dict(arrays)
        _attach(network, metadata)
    except (MinicnnError, TypeError) as error:
        raise CheckpointError(f"{file}: does not fit the zoo's {metadata.model}: {error}") from None
    return network.eval()


def _attach(network: Network, metadata: WeightsMetadata) -> None:
    outputs = network.arguments["num_classes"]
    if metadata.class_names and len(metadata.class_names) != outputs:
        raise CheckpointError(f"{len(metadata.class_names)} class names for {outputs} outputs")
    if metadata.normalization is not None:
        # A run on an empty image shows whether the statistics are of this size.
        metadata.normalization(np.zeros((1, *network.input_shape), np.uint8))
    network.normalization = metadata.normalization
    network.class_names = metadata.class_names or None
