"""Networks that a command line names: one of the zoo, a file of weights, or the folder of a run."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minicnn import zoo
from minicnn.commands.arguments import Parser, sizes, whole
from minicnn.commands.run_folder import RunFolder
from minicnn.data.face_dataset import FaceDataset
from minicnn.errors import CheckpointError, DataError, OptionError, ShapeError
from minicnn.zoo.network import Network

__all__ = [
    "add_network_options",
    "find_weights",
    "load_network",
    "named_network",
    "refuse_other_faces",
]


def add_network_options(parser: Parser) -> None:
    """Add the options with which a network of the zoo can be built otherwise."""
    add = parser.add_argument
    add("--input", type=sizes(3), metavar="HxWxC", help="size of one image (48x48x1)")
    add("--classes", type=whole(2), metavar="K", help="number of outputs (7)")
    add(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        type=_assignment,
        help="of the network's builder, such as dropout=0.2; the value as JSON",
    )


def _assignment(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def named_network(name: str, given: dict[str, Any]) -> Network:
    """Build a network of the zoo, or load a trained one.

    Parameters
    ----------
    name : str
        Of the zoo; else the path of a file of weights or of a run folder.
    given : dict
        What the options of :func:`add_network_options` gave.

    Raises
    ------
    OptionError
        The name is neither, or the options do not fit it.
    CheckpointError
        The weights cannot be read.
    """
    wanted: dict[str, Any] = dict(given["option"])
    wanted |= {} if given["classes"] is None else {"num_classes": given["classes"]}
    wanted |= {} if given["input"] is None else {"input_shape": given["input"]}
    looks_like_path = os.path.exists(name) or os.sep in name or name.endswith(".safetensors")
    if name not in zoo.names() and looks_like_path:
        if wanted:
            raise OptionError(
                f"{name}: a trained network is as it is; leave out --input, --classes and --option"
            )
        return load_network(name)
    return zoo.build(name, **wanted)


def find_weights(path: str | os.PathLike[str]) -> Path:
    """Return the file of weights that a path means: itself, or that of the run folder it names.

    Raises
    ------
    CheckpointError
        There is nothing at the path, or the folder has no weights; the message says what it has.
    """
    if not os.path.exists(path):
        raise CheckpointError(
            f"{os.fspath(path)}: there is no such file or folder; give a run folder, or its "
            "weights.safetensors"
        )
    if not os.path.isdir(path):
        return Path(path)
    folder = RunFolder(path)
    if not folder.weights.is_file():
        raise CheckpointError(
            f"{folder}: holds no {folder.weights.name}, but {_listed(folder.files())}; let its run "
            "end an epoch, or train a network into it"
        )
    return folder.weights


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(file.name for file in files) or "nothing of a run"


def load_network(path: str | os.PathLike[str]) -> Network:
    """Load the network of a file of weights or of a run folder, in evaluation mode.

    Raises
    ------
    CheckpointError
        As for :func:`find_weights` and :func:`minicnn.zoo.load`.
    """
    return zoo.load(find_weights(path))


def refuse_other_faces(network: Network, faces: FaceDataset, source: str) -> None:
    """Refuse faces that a network cannot be given, or whose classes are not its own.

    Raises
    ------
    ShapeError
        They have another size.
    DataError
        They have other classes.
    """
    shape = faces.images.shape[1:]
    if shape != tuple(network.input_shape):
        raise ShapeError(
            f"{source}: the images are {'x'.join(map(str, shape))}, the network takes "
            f"{'x'.join(map(str, network.input_shape))}"
        )
    if network.class_names not in (None, faces.class_names):
        raise DataError(
            f"{source}: the classes are {', '.join(faces.class_names)}, the network's are "
            f"{', '.join(network.class_names or ())}"
        )
