"""Convolution and transposed convolution of images (N, H, W, C)."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.errors import OptionError
from minicnn.kernels.sizes import pad_pairs, pair
from minicnn.nn.init import Initializer, draw, fans
from minicnn.nn.module import Module
from minicnn.nn.options import divisible, one_of, positive, shortest_padding
from minicnn.nn.parameter import Parameter
from minicnn.ops.conv import ALGORITHMS, conv2d, conv_transpose2d
from minicnn.random import generator

__all__ = ["Conv2d", "ConvTranspose2d"]


class _Convolution(Module):
    """What both convolutions have in common: their arguments, checked, and their parameters."""

    weight: Parameter
    bias: Parameter | None

    def _set_up(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        *,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int,
        algorithm: str,
    ) -> None:
        self.in_channels = positive(in_channels, "in_channels")
        self.out_channels = positive(out_channels, "out_channels")
        self.kernel_size = pair(kernel_size, "kernel_size")
        self.stride = pair(stride, "stride")
        self.dilation = pair(dilation, "dilation")
        pads = pad_pairs(padding, (1, 1), self.kernel_size, self.stride, self.dilation)
        self.padding = shortest_padding(padding, pads)
        self.groups = positive(groups, "groups")
        divisible(self.in_channels, self.groups, "in_channels", "groups")
        divisible(self.out_channels, self.groups, "out_channels", "groups")
        self.algorithm = one_of(algorithm, "algorithm", ALGORITHMS)

    def _draw(
        self,
        shape: tuple[int, ...],
        bias: bool,
        rng: np.random.Generator | int | None,
        weight_init: Initializer,
        bias_init: Initializer,
    ) -> None:
        self.weight_init, self.bias_init = weight_init, bias_init
        rng = generator(rng)
        self.weight = draw(weight_init, shape, rng, *fans(shape))
        bias_shape = (self.out_channels,)
        self.bias = draw(bias_init, bias_shape, rng, *fans(shape)) if bias else None


class Conv2d(_Convolution):
    """Cross-correlate images with filters that are learned, and add a bias.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, dilation : int or pair of int
        Along the height and the width.
    padding : int, pair of int, pair of pairs, or {"same", "valid"}
        Zeros around the images; ``((top, bottom), (left, right))`` for each side by itself. "same"
        gives outputs of size ceil(H / stride) and ceil(W / stride), as in Keras.
    groups : int
        Channels and filters are split into so many groups that do not see each other.
    bias : bool
    rng : numpy.random.Generator, int or None
        Draws the initial values: a generator, a seed, or None for the system's entropy.
    weight_init, bias_init : str or callable
        A name in :data:`minicnn.nn.init.INITIALIZERS`, or a function like those there.
        The default is PyTorch's; Keras has ``"glorot_uniform"`` and ``"zeros"``.
    algorithm : str
        How it is computed, as for :func:`minicnn.ops.conv.conv2d`.

    Attributes
    ----------
    weight : Parameter of shape (KH, KW, in_channels / groups, out_channels)
    bias : Parameter of shape (out_channels,), or None
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        rng: np.random.Generator | int | None = None,
        weight_init: Initializer = "fan_in_uniform",
        bias_init: Initializer = "fan_in_uniform",
        algorithm: str = "auto",
    ) -> None:
        self._set_up(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            algorithm=algorithm,
        )
        shape = (*self.kernel_size, self.in_channels // self.groups, self.out_channels)
        self._draw(shape, bias, rng, weight_init, bias_init)

    def forward(self, x: Any) -> Tensor:
        """Map images (N, H, W, in_channels) to (N, OH, OW, out_channels)."""
        return self.rectified(x)

    def rectified(self, x: Any, *, negative_slope: float = 1.0) -> Tensor:
        """Do what the call does, and LeakyReLU with that slope in the same pass."""
        return conv2d(
            x,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            algorithm=self.algorithm,
            negative_slope=negative_slope,
        )


class ConvTranspose2d(_Convolution):
    """Transposed convolution with learned filters: the adjoint of a convolution in its input.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, dilation : int or pair of int
        Along the height and the width.
    padding : int, pair of int, or pair of pairs
        Taken away from the output on each side.
    output_padding : int or pair of int
        Rows and columns more at the end of the output; smaller than the stride.
    groups : int
    bias : bool
    rng, weight_init, bias_init, algorithm
        As for :class:`Conv2d`.

    Attributes
    ----------
    weight : Parameter of shape (KH, KW, out_channels / groups, in_channels)
        As in Keras, the filters of the convolution whose adjoint this is.
    bias : Parameter of shape (out_channels,), or None
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        *,
        rng: np.random.Generator | int | None = None,
        weight_init: Initializer = "fan_in_uniform",
        bias_init: Initializer = "fan_in_uniform",
        algorithm: str = "auto",
    ) -> None:
        if isinstance(padding, str):
            raise OptionError(f"padding: a transposed convolution takes numbers, got {padding!r}")
        self._set_up(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            algorithm=algorithm,
        )
        self.output_padding = pair(output_padding, "output_padding", least=0)
        for extra, s in zip(self.output_padding, self.stride, strict=True):
            if extra >= s:
                raise OptionError(f"output_padding: {extra} must be smaller than the stride {s}")
        shape = (*self.kernel_size, self.out_channels // self.groups, self.in_channels)
        self._draw(shape, bias, rng, weight_init, bias_init)

    def forward(self, x: Any) -> Tensor:
        """Map images (N, H, W, in_channels) to (N, OH, OW, out_channels)."""
        return conv_transpose2d(
            x,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            groups=self.groups,
            algorithm=self.algorithm,
        )
