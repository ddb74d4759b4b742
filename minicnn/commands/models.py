"""Networks that a command line names: one of the zoo, a trained one, a file, a run folder."""

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
from minicnn.errors import CheckpointError, DataError, MinicnnError, OptionError, ShapeError
from minicnn.report.run_files import read_experiment
from minicnn.zoo.network import Network
from minicnn.zoo.packaged import known

__all__ = [
    "NAME_HELP",
    "add_network_options",
    "default_weights",
    "find_weights",
    "is_network",
    "load_network",
    "load_networks",
    "named_network",
    "packaged_name",
    "refuse_experiment",
    "refuse_other_faces",
]


# What the help of commands says of names; read once, for the package does not change.
NAME_HELP = f"the name of a network of the package ({', '.join(zoo.trained()) or 'none yet'})"


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
        Of the zoo; else what :func:`find_weights` takes.
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
    if name not in zoo.names() and (looks_like_path or packaged_name(name)):
        if wanted:
            raise OptionError(
                f"{name}: a trained network is as it is; leave out --input, --classes and --option"
            )
        return load_network(name)
    try:
        return zoo.build(name, **wanted)
    except MinicnnError:
        raise
    except ValueError as error:  # NumPy's, of more numbers than an array can have
        raise OptionError(
            f"{name}: cannot be built in that size ({str(error).rstrip('.')})"
        ) from None


def packaged_name(text: str | os.PathLike[str]) -> str | None:
    """Return the name of the network of the package that a text means, or None.

    What exists comes first: a file of that name, or a run folder with weights.
    """
    name = os.fspath(text)
    there = os.path.isfile(name) or RunFolder(name).weights.is_file()
    return name if not there and name in zoo.trained() else None


def is_network(text: str) -> bool:
    """Tell whether a text that may name a network or a picture names a network.

    A run folder, a file of weights and the name of a network of the package do. Where nothing is
    found, a text without a suffix does, so that a mistyped name is not taken for a picture.
    """
    if packaged_name(text) or os.path.isdir(text) or text.endswith(".safetensors"):
        return True
    if not os.path.exists(text):
        return not os.path.splitext(text)[1]
    try:
        with open(text, "rb") as file:
            start = file.read(9)
    except OSError:
        return False
    # Safetensors begin with the length of their description, less than 2**32, and the description.
    return start[4:] == b"\0\0\0\0{"


def default_weights() -> Path:
    """Return the weights that are taken where none are named: those of the package.

    Raises
    ------
    OptionError
        The package does not have them.
    """
    if zoo.DEFAULT not in zoo.trained():
        raise OptionError(
            f"no network is named, and {known()}; name a run folder or a weights file"
        )
    return zoo.trained_file(zoo.DEFAULT)


def find_weights(path: str | os.PathLike[str]) -> Path:
    """Return the file of weights that a text means.

    Parameters
    ----------
    path : str or os.PathLike
        The file itself, the run folder that it lies in, or the name of a network whose weights are
        in the package.

    Raises
    ------
    CheckpointError
        There is nothing at the path, or the folder has no weights; the message says what it has.
    """
    name = packaged_name(path)
    if name is not None:
        return zoo.trained_file(name)
    if not os.path.exists(path):
        raise CheckpointError(
            f"{os.fspath(path)}: there is no such file or folder; give a run folder, or its "
            f"weights.safetensors ({known()})"
        )
    if not os.path.isdir(path):
        if not os.path.isfile(path):
            raise CheckpointError(f"{os.fspath(path)}: neither a file nor a folder")
        return Path(path)
    folder = RunFolder(path)
    if not folder.weights.is_file():
        refuse_experiment(folder)
        raise CheckpointError(
            f"{folder}: holds no {folder.weights.name}, but {_listed(folder.files())}; let its run "
            "end an epoch, or train a network into it"
        )
    return folder.weights


def refuse_experiment(folder: RunFolder) -> None:
    """Refuse the folder of an experiment where that of a run is asked for.

    Raises
    ------
    CheckpointError
        It is one; the message names its runs.
    """
    experiment = read_experiment(folder.path)
    if experiment is not None:
        raise CheckpointError(
            f"{folder}: is an experiment; give one of its runs: "
            + ", ".join(str(folder.path / name) for name in experiment.plan["runs"])
        )


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(file.name for file in files) or "nothing of a run"


def load_network(path: str | os.PathLike[str]) -> Network:
    """Load the network that :func:`find_weights` finds, in evaluation mode.

    Raises
    ------
    CheckpointError
        As for :func:`find_weights` and :func:`minicnn.zoo.load`.
    """
    return zoo.load(find_weights(path))


def load_networks(paths: Sequence[str]) -> list[Network]:
    """Load networks that are to be asked together.

    Raises
    ------
    CheckpointError
        As for :func:`load_network`.
    OptionError
        One is named twice, or they differ in the images that they take or in their classes.
    """
    files = [find_weights(path).resolve() for path in paths]
    for place, file in enumerate(files):
        if file in files[:place]:
            raise OptionError(f"{paths[place]} is named twice; name each network once")
    networks = [load_network(path) for path in paths]
    for path, network in zip(paths, networks, strict=True):
        for what, one, other in zip(
            ("images", "classes"), _ends(networks[0]), _ends(network), strict=True
        ):
            if one != other:
                raise OptionError(
                    f"{path}: its {what} are {other}, those of {paths[0]} are {one}; only "
                    "networks for the same images and classes can be averaged"
                )
    return networks


def _ends(network: Network) -> tuple[str, str]:
    # What goes into a network and what comes out of it, in words.
    names = network.class_names or (str(network.arguments["num_classes"]),)
    return "x".join(map(str, network.input_shape)), ", ".join(names)


def refuse_other_faces(network: Network, faces: FaceDataset, source: str) -> None:
    """Refuse faces that a network cannot be given, or whose classes are not its own.

    Raises
    ------
    ShapeError
        They have another size.
    DataError
        They have other classes, or another number of them.
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
    outputs, classes = network.arguments["num_classes"], len(faces.class_names)
    if outputs != classes:
        raise DataError(
            f"{source}: the images are of {classes} classes, the network tells {outputs} apart"
        )
