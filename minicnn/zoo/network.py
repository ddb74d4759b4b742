"""Network: a chain of named layers that knows how it was built, and Layers, which builds one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.data.normalize import Normalization
from minicnn.errors import ShapeError
from minicnn.nn.activation import LeakyReLU, ReLU
from minicnn.nn.committee import Committee
from minicnn.nn.containers import Sequential
from minicnn.nn.conv import Conv2d
from minicnn.nn.dropout import Dropout
from minicnn.nn.linear import Linear
from minicnn.nn.module import Module
from minicnn.nn.norm import BatchNorm1d, BatchNorm2d
from minicnn.nn.options import number, one_of
from minicnn.nn.pool import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from minicnn.nn.residual import Residual
from minicnn.nn.shape import Flatten

__all__ = ["Layers", "Network"]

POOLINGS: dict[str, type[MaxPool2d] | type[AvgPool2d]] = {"max": MaxPool2d, "average": AvgPool2d}


class Network(Sequential):
    """A :class:`minicnn.nn.Sequential` of the zoo, with what is needed to build it again.

    Parameters
    ----------
    layers : dict of str to Module
        By name, in the order in which they run.
    name : str
        In the zoo.
    arguments : dict
        With which :func:`minicnn.zoo.build` made it, seed left out, as JSON can hold them.
    input_shape : tuple of int
        (H, W, C) of one image.

    Attributes
    ----------
    normalization : Normalization or None
        What images go through before the network. Training and :func:`minicnn.zoo.load` set it; the
        network itself does not apply it.
    class_names : tuple of str or None
        The name of each output.
    """

    def __init__(
        self,
        layers: dict[str, Module],
        *,
        name: str,
        arguments: dict[str, Any],
        input_shape: tuple[int, ...],
    ) -> None:
        super().__init__(layers)
        self.name = name
        self.arguments = arguments
        self.input_shape = input_shape
        self.normalization: Normalization | None = None
        self.class_names: tuple[str, ...] | None = None


class Layers:
    """Adds layers one after the other and keeps track of the shape that comes out.

    Parameters
    ----------
    input_shape : tuple of int
        (H, W, C) of one image.
    weights, dropout : numpy.random.Generator
        Draw the initial weights and the seeds of the dropout masks.
    initializer : str or None
        Of the weights, with zero biases: Keras's is "glorot_uniform". None for PyTorch's, which
        draws the biases as well.
    slope : float
        Of LeakyReLU; 0 for ReLU.
    batch_norm : dict, optional
        Options of batch normalisation; PyTorch's defaults without them.

    Attributes
    ----------
    layers : dict of str to Module
        What was added so far.
    shape : tuple of int
        What comes out of it for one image.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        weights: np.random.Generator,
        dropout: np.random.Generator,
        *,
        initializer: str | None = None,
        slope: float = 0.0,
        batch_norm: dict[str, Any] | None = None,
    ) -> None:
        self.layers: dict[str, Module] = {}
        self.shape = input_shape
        self._size = f"{input_shape[0]}x{input_shape[1]}"
        self._dropout = dropout
        self._slope = slope
        self._batch_norm = batch_norm or {}
        self._drawn: dict[str, Any] = {"rng": weights}
        if initializer is not None:
            self._drawn |= {"weight_init": initializer, "bias_init": "zeros"}

    def conv(self, name: str, channels: int, kernel_size: int, padding: str = "same") -> None:
        """Append a convolution with stride 1 and a bias."""
        height, width, before = self.shape
        one_of(padding, f"the padding of layer {name}", ("same", "valid"))
        lost = kernel_size - 1 if padding == "valid" else 0
        self._set_shape(name, height - lost, width - lost, channels)
        self.layers[name] = Conv2d(before, channels, kernel_size, padding=padding, **self._drawn)

    def dense(self, name: str, features: int) -> None:
        """Append a dense layer with a bias, and before it a flattening of pictures."""
        if len(self.shape) > 1:
            self.layers["flatten"] = Flatten()
        self.layers[name] = Linear(math.prod(self.shape), features, **self._drawn)
        self.shape = (features,)

    def activation(self, name: str, slope: float | None = None) -> None:
        """Append LeakyReLU or ReLU, with the slope that all have unless one is given."""
        slope = self._slope if slope is None else slope
        self.layers[name] = LeakyReLU(slope) if slope else ReLU()

    def norm(self, name: str) -> None:
        """Append batch normalisation."""
        kind = BatchNorm2d if len(self.shape) > 1 else BatchNorm1d
        self.layers[name] = kind(self.shape[-1], **self._batch_norm)

    def pool(self, name: str, kind: str = "max") -> None:
        """Append 2x2 pooling, "max" or "average"."""
        height, width, channels = self.shape
        self._set_shape(name, height // 2, width // 2, channels)
        self.layers[name] = POOLINGS[kind](2)

    def residual(self, name: str, convolutions: int = 2, kernel_size: int = 3) -> None:
        """Append convolutions of the present width, with a way around them all.

        An activation and a norm follow each of them.
        """
        before, self.layers = self.layers, {}
        for place in range(1, convolutions + 1):
            self.conv(f"conv{place}", self.shape[-1], kernel_size)
            self.activation(f"relu{place}")
            self.norm(f"norm{place}")
        body, self.layers = Sequential(self.layers), before
        self.layers[name] = Residual(body)

    def committee(self, name: str, members: int, build: Callable[[Layers], None]) -> None:
        """Append members side by side, each built by the same function with weights of its own."""
        before, shape, found = self.layers, self.shape, []
        for _ in range(members):
            self.layers, self.shape = {}, shape
            build(self)
            found.append(Sequential(self.layers))
        self.layers = before
        self.layers[name] = Committee(found)

    def global_pool(self, name: str) -> None:
        """Append the average of each channel over the whole picture."""
        self.layers[name] = GlobalAvgPool2d()
        self.shape = self.shape[-1:]

    def dropout(self, name: str, p: float) -> None:
        """Append dropout with probability p."""
        number(p, f"the dropout of layer {name}", 0, 1)
        self.layers[name] = Dropout(p, rng=self._dropout)

    def _set_shape(self, name: str, height: int, width: int, channels: int) -> None:
        if min(height, width) < 1:
            raise ShapeError(
                f"images of {self._size} are too small: nothing is left of them at layer {name}; "
                "use larger ones"
            )
        self.shape = (height, width, channels)
