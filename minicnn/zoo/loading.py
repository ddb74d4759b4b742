"""Read a trained network: from a file of weights, or by its name where the package has it."""

from __future__ import annotations

import os

import numpy as np

from minicnn.errors import CheckpointError, MinicnnError
from minicnn.io.weights import WeightsMetadata, read_weights
from minicnn.zoo.building import build, names
from minicnn.zoo.network import Network
from minicnn.zoo.packaged import DEFAULT, known, trained, trained_file

__all__ = ["load"]


def load(name_or_path: str | os.PathLike[str] = DEFAULT) -> Network:
    """Read a trained network; nothing but the file is needed.

    Parameters
    ----------
    name_or_path : str or os.PathLike
        A safetensors file that training wrote; or, where there is no such file, the name of a
        network whose weights are in the package, of which :func:`minicnn.zoo.trained` lists all.

    Returns
    -------
    Network
        On the current backend, in evaluation mode, with its ``normalization`` and ``class_names``.

    Raises
    ------
    CheckpointError
        There is no such file or name, the file is damaged or of another kind, or it does not fit
        the zoo.
    """
    file = _file(name_or_path)
    arrays, metadata = read_weights(file)
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


def _file(name_or_path: str | os.PathLike[str]) -> str:
    name = os.fspath(name_or_path)
    if not os.path.isfile(name) and name in trained():
        return str(trained_file(name))
    is_name = name == os.path.splitext(os.path.basename(name))[0]  # neither folder nor suffix
    if is_name and not os.path.exists(name):
        raise CheckpointError(f"{name}: there is no such file, and {known()}")
    return name


def _attach(network: Network, metadata: WeightsMetadata) -> None:
    outputs = network.arguments["num_classes"]
    if metadata.class_names and len(metadata.class_names) != outputs:
        raise CheckpointError(f"{len(metadata.class_names)} class names for {outputs} outputs")
    if metadata.normalization is not None:
        # A run on an empty image shows whether the statistics are of this size.
        metadata.normalization(np.zeros((1, *network.input_shape), np.uint8))
    network.normalization = metadata.normalization
    network.class_names = metadata.class_names or None
