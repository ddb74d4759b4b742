"""Normalisation layers: over the batch, over each sample, over groups of channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from minicnn import backend
from minicnn.autograd import Tensor
from minicnn.errors import ShapeError
from minicnn.nn.module import Module
from minicnn.nn.options import divisible, number, positive
from minicnn.nn.parameter import Buffer, Parameter
from minicnn.ops.halve import batch_norm_halve
from minicnn.ops.norm import batch_norm, group_norm, layer_norm

__all__ = ["BatchNorm1d", "BatchNorm2d", "GroupNorm", "LayerNorm"]


def _ones(shape: Any) -> Any:
    return backend.asarray(np.ones(shape, np.float32))


def _zeros(shape: Any) -> Any:
    return backend.asarray(np.zeros(shape, np.float32))


class _BatchNorm(Module):
    """Batch normalisation of inputs whose last axis are the channels; see the subclasses."""

    layouts: ClassVar[dict[int, str]]
    weight: Parameter | None
    bias: Parameter | None
    running_mean: Buffer | None
    running_var: Buffer | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        unbiased_running: bool = True,
    ) -> None:
        self.num_features = positive(num_features, "num_features")
        self.eps = number(eps, "eps", 0)
        self.momentum = number(momentum, "momentum", 0, 1)
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.unbiased_running = unbiased_running
        self.weight = Parameter(_ones(num_features)) if affine else None
        self.bias = Parameter(_zeros(num_features)) if affine else None
        self.running_mean = Buffer(_zeros(num_features)) if track_running_stats else None
        self.running_var = Buffer(_ones(num_features)) if track_running_stats else None

    def forward(self, x: Any) -> Tensor:
        """Normalise each channel: by the batch in training, else by the running statistics."""
        return self._normalise(batch_norm, x)

    def normalise_and_halve(self, x: Any, **options: Any) -> Tensor:
        """Do what the call does, and :func:`minicnn.ops.halve` with options in fewer passes."""
        return self._normalise(batch_norm_halve, x, **options)

    def _normalise(self, operation: Callable[..., Tensor], x: Any, **options: Any) -> Tensor:
        self._check(x.shape)
        return operation(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=self.training or self.running_mean is None,
            momentum=self.momentum,
            eps=self.eps,
            unbiased_running=self.unbiased_running,
            **options,
        )

    def _check(self, shape: tuple[int, ...]) -> None:
        if len(shape) not in self.layouts or shape[-1] != self.num_features:
            expected = " or ".join(self.layouts.values()).replace("C", str(self.num_features))
            raise ShapeError(f"{type(self).__name__}: expected an input {expected}, got {shape}")


class BatchNorm1d(_BatchNorm):
    """Normalise each feature of (N, C), or each channel of (N, L, C), over the batch.

    Parameters
    ----------
    num_features : int
        C.
    eps : float
        Added to the variance. 1e-5 as in PyTorch; Keras has 1e-3.
    momentum : float
        Weight of the newest batch in the running statistics. 0.1 as in PyTorch; Keras says it the
        other way round, and its 0.99 is 0.01 here.
    affine : bool
        Learn a factor and a summand for each channel.
    track_running_stats : bool
        Keep running statistics for evaluation; without them, evaluation goes by the batch as well.
    unbiased_running : bool
        Whether the running variance follows the unbiased variance, as in PyTorch, or the biased.

    Attributes
    ----------
    weight, bias : Parameter of shape (C,), or None
        1 and 0 at first.
    running_mean, running_var : Buffer of shape (C,), or None
        0 and 1 at first. PyTorch's ``num_batches_tracked`` is not kept.
    """

    layouts = {2: "(N, C)", 3: "(N, L, C)"}


class BatchNorm2d(_BatchNorm):
    """Normalise each channel of images (N, H, W, C) over the batch and all positions.

    Parameters
    ----------
    num_features : int
        C.
    eps : float
        Added to the variance. 1e-5 as in PyTorch; Keras has 1e-3.
    momentum : float
        Weight of the newest batch in the running statistics. 0.1 as in PyTorch; Keras says it the
        other way round, and its 0.99 is 0.01 here.
    affine, track_running_stats, unbiased_running : bool
        As for :class:`BatchNorm1d`, and so are the attributes.
    """

    layouts = {4: "(N, H, W, C)"}


class LayerNorm(Module):
    """Normalise each sample over its last axes.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        Sizes of the last axes, which are normalised together.
    eps : float
        Added to the variance. 1e-5 as in PyTorch; Keras has 1e-3.
    elementwise_affine : bool
        Learn a factor for each element of ``normalized_shape``.
    bias : bool
        Learn a summand as well.

    Attributes
    ----------
    weight, bias : Parameter of shape ``normalized_shape``, or None
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        sizes = normalized_shape if isinstance(normalized_shape, Sequence) else [normalized_shape]
        shape = tuple(positive(size, "normalized_shape") for size in sizes)
        self.normalized_shape = shape
        self.eps = number(eps, "eps", 0)
        self.elementwise_affine = elementwise_affine
        self.weight = Parameter(_ones(shape)) if elementwise_affine else None
        self.bias = Parameter(_zeros(shape)) if elementwise_affine and bias else None

    def forward(self, x: Any) -> Tensor:
        """Normalise x of shape (..., *normalized_shape)."""
        return layer_norm(x, self.normalized_shape, self.weight, self.bias, eps=self.eps)


class GroupNorm(Module):
    """Normalise each sample over its positions and the channels of each group.

    Parameters
    ----------
    num_groups : int
        The channels are split into so many groups of neighbours.
    num_channels : int
    eps : float
        Added to the variance. 1e-5 as in PyTorch; Keras has 1e-3.
    affine : bool
        Learn a factor and a summand for each channel.

    Attributes
    ----------
    weight, bias : Parameter of shape (num_channels,), or None
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True
    ) -> None:
        self.num_groups = positive(num_groups, "num_groups")
        self.num_channels = positive(num_channels, "num_channels")
        divisible(num_channels, num_groups, "num_channels", "num_groups")
        self.eps = number(eps, "eps", 0)
        self.affine = affine
        self.weight = Parameter(_ones(num_channels)) if affine else None
        self.bias = Parameter(_zeros(num_channels)) if affine else None

    def forward(self, x: Any) -> Tensor:
        """Normalise x of shape (N, ..., C)."""
        return group_norm(x, self.num_groups, self.weight, self.bias, eps=self.eps)
