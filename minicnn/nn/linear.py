"""The dense layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.nn.init import Initializer, draw
from minicnn.nn.module import Module
from minicnn.nn.options import positive
from minicnn.nn.parameter import Parameter
from minicnn.ops.linalg import linear
from minicnn.random import generator

__all__ = ["Linear"]


class Linear(Module):
    """Dense layer: x @ weight + bias on the last axis.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
    rng : numpy.random.Generator, int or None
        Draws the initial values: a generator, a seed, or None for the system's entropy.
    weight_init, bias_init : str or callable
        A name in :data:`minicnn.nn.init.INITIALIZERS`, or a function like those there.
        The default is PyTorch's; Keras has ``"glorot_uniform"`` and ``"zeros"``.

    Attributes
    ----------
    weight : Parameter of shape (in_features, out_features)
        The transpose of PyTorch's.
    bias : Parameter of shape (out_features,), or None
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        rng: np.random.Generator | int | None = None,
        weight_init: Initializer = "fan_in_uniform",
        bias_init: Initializer = "fan_in_uniform",
    ) -> None:
        self.in_features = positive(in_features, "in_features")
        self.out_features = positive(out_features, "out_features")
        self.weight_init, self.bias_init = weight_init, bias_init
        fans = self.in_features, self.out_features
        rng = generator(rng)
        self.weight = draw(weight_init, fans, rng, *fans)
        self.bias = draw(bias_init, fans[1:], rng, *fans) if bias else None

    def forward(self, x: Any) -> Tensor:
        """Map x of shape (..., in_features) to (..., out_features)."""
        return self.rectified(x)

    def rectified(self, x: Any, *, negative_slope: float = 1.0) -> Tensor:
        """Do what the call does, and LeakyReLU with that slope in the same operation."""
        return linear(x, self.weight, self.bias, negative_slope=negative_slope)
