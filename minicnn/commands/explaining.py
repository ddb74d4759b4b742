"""What an explanation is asked for: its settings, the faces that are chosen, the layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn import backend, explain
from minicnn.commands.train_data import evaluation_loader
from minicnn.commands.train_options import Options
from minicnn.data.face_dataset import FaceDataset
from minicnn.errors import OptionError, ShapeError
from minicnn.explain.inputs import BATCH_SIZE
from minicnn.inspect.summarize import summary
from minicnn.nn.conv import Conv2d
from minicnn.nn.pool import AvgPool2d, MaxPool2d
from minicnn.random import Streams
from minicnn.training.evaluation import predict
from minicnn.zoo.network import Network

__all__ = ["Chosen", "Settings", "quick_settings", "resolve_layers"]

SMALL = 100_000_000  # operations for a picture: such a network is explained in seconds
FAINT = 8.0  # grey levels; a picture with a smaller standard deviation shows no face


@dataclass(frozen=True)
class Settings:
    """What is to be explained, and how thoroughly.

    Attributes
    ----------
    layer : str or None
        Of Grad-CAM.
    features : tuple of str
        Layers whose maps, filters and strongest faces are shown.
    faces : int
        Shown in the figures.
    measured : int
        Over which numbers are taken.
    filters : int
        How many of each layer.
    samples : int
        Noisy copies of SmoothGrad.
    steps : int
        Of gradient ascent; 0 for none.
    curve_steps : int
        Of the deletion and insertion curves.
    seed, batch_size : int
    thorough : bool
        Also the methods that run the network very often, and the curves that compare all methods.
    searched : int, optional
        Among how many faces the strongest ones are searched; all by default.
    """

    layer: str | None
    features: tuple[str, ...]
    faces: int = 7
    measured: int = 64
    filters: int = 16
    samples: int = 50
    steps: int = 200
    curve_steps: int = 50
    seed: int = 0
    batch_size: int = BATCH_SIZE
    thorough: bool = True
    searched: int | None = None


def quick_settings(network: Network, *, batch_size: int) -> Settings:
    """Return settings that take seconds: thorough for a small network, else by gradients alone."""
    layer, features = resolve_layers(network, None, ())
    small = summary(network).cost.flops < SMALL
    return Settings(
        layer,
        features,
        faces=6,
        measured=16,
        samples=25 if small else 10,
        steps=60 if small else 0,
        curve_steps=20,
        batch_size=batch_size,
        thorough=small,
        searched=None if small else 512,
    )


@dataclass(frozen=True, eq=False)
class Chosen:
    """The faces that are explained, and what the network says of them.

    Attributes
    ----------
    all : FaceDataset
        The faces of the split that show something.
    left_out : int
        How many do not.
    part : FaceDataset
        Those that are explained, of each class about as many; the first are those that are shown.
    searched : FaceDataset
        Those among which the strongest are searched.
    images : array of shape (N, H, W, C)
        The part, as the network takes it.
    probabilities : NumPy array of shape (N, K)
    """

    all: FaceDataset
    left_out: int
    part: FaceDataset
    searched: FaceDataset
    images: Any
    probabilities: np.ndarray

    @classmethod
    def of(cls, network: Network, dataset: FaceDataset, settings: Settings) -> Chosen:
        """Choose faces of a split, and let the network predict them.

        Raises
        ------
        OptionError
            None of them shows anything.
        """
        shows = dataset.images.std(axis=(1, 2, 3)) >= FAINT
        if not shows.any():
            raise OptionError(f"explain: none of {len(dataset)} pictures shows a face")
        faces = dataset.subset(np.flatnonzero(shows))
        rows = _spread(faces.require_labels(), Streams(settings.seed)["faces"])
        part = faces.subset(rows[: max(settings.faces, settings.measured)])
        options = Options(batch_size=settings.batch_size)
        loader = evaluation_loader(part, options, network.normalization)
        probabilities = predict(network, loader)
        images = [x.data for x, _ in loader]
        images = backend.xp(images[0]).concatenate(images)
        searched = faces if settings.searched is None else faces.subset(rows[: settings.searched])
        return cls(faces, int((~shows).sum()), part, searched, images, probabilities)

    @property
    def classes(self) -> np.ndarray:
        """The classes that are explained: those with the highest score."""
        return self.probabilities.argmax(axis=1)


def _spread(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    # All rows in a random order in which one of each class follows the other.
    order = rng.permutation(len(labels))
    turn = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        mine = labels[order] == label
        turn[mine] = np.arange(mine.sum())
    return order[np.lexsort((labels[order], turn))]


def resolve_layers(
    network: Network, layer: str | None, features: Sequence[str]
) -> tuple[str | None, tuple[str, ...]]:
    """Return the layer of Grad-CAM and those whose filters are shown, by default well chosen ones.

    Without a layer, Grad-CAM takes the last convolution; features are those of the second pooling
    layer, or else of the last convolution. Where a network has no convolution there are none.

    Raises
    ------
    OptionError
        There is no such layer; the message lists those that there are.
    ShapeError
        A layer does not give what is needed.
    """
    if layer is None and any(isinstance(each, Conv2d) for each in network.modules()):
        layer = explain.last_convolution(network)
    if not features and layer is not None:
        pools = [
            name
            for name, module in network.named_modules()
            if isinstance(module, (MaxPool2d, AvgPool2d))
        ]
        features = pools[1:2] or [explain.last_convolution(network)]
    if layer is not None and len(shape := _layer_shape(network, layer, "--layer")) != 3:
        raise ShapeError(
            f"--layer {layer}: Grad-CAM needs a layer that gives maps (h, w, c), this one gives "
            f"{shape}"
        )
    for name in features:
        if len(shape := _layer_shape(network, name, "--features")) not in (1, 3):
            raise ShapeError(f"--features {name}: the layer gives {shape}")
    return layer, tuple(dict.fromkeys(features))


def _layer_shape(network: Network, name: str, option: str) -> tuple[int, ...]:
    parameter = next(network.parameters())
    empty = backend.asarray(np.zeros((1, *network.input_shape), parameter.dtype), parameter.backend)
    try:
        return explain.feature_maps(network, empty, name).shape[1:]
    except OptionError as error:
        raise OptionError(f"{option}: {str(error).removeprefix('layer: ')}") from None
