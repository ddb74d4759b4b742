"""Normalisation of channels over a batch, and of samples over their channels or groups of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn import backend
from minicnn.autograd import Cost, ErrorSample, Sample, Tensor
from minicnn.errors import DTypeError, OptionError, ShapeError
from minicnn.kernels import norm
from minicnn.ops.arguments import shape_of
from minicnn.ops.broadcast import sum_to
from minicnn.ops.shape import reshape
from minicnn.ops.standardize import (
    OfFloats,
    ScaleShift,
    Standardize,
    reference_standardize,
    standardize_gradient,
)

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm"]


class BatchNorm(OfFloats, name="batch_norm"):
    """(x - m) / sqrt(v + eps) * weight + bias with each channel's mean m and biased variance v.

    Both are taken over all axes but the last. With x' the normalised x, g = gy * weight and means
    over the same axes: gx = (g - mean(g) - x' mean(g x')) / sqrt(v + eps), g_weight = sum(gy x')
    and g_bias = sum(gy) (Ioffe and Szegedy, 2015). ``observe`` is called with m, v and the number
    of values of a channel.
    """

    samples = (
        Sample(((4, 3), (3,), (3,)), eps=1e-3),
        Sample(((2, 3, 2, 2), (2,), (2,)), eps=1e-3),
        Sample(((5, 2), None, None), eps=1e-3),
        Sample(((2, 3, 2), (2,), None), eps=1e-3),
        Sample(((2, 3, 2), None, (2,)), eps=0.0),
    )
    errors = (
        ErrorSample(((1, 3), None, None), match="more than one value", eps=1e-3),
        ErrorSample(((4,), None, None), match="channels", eps=1e-3),
        ErrorSample(((4, 3), (4,), None), match="weight", eps=1e-3),
        ErrorSample(((4, 3), None, (3, 1)), match="bias", eps=1e-3),
        ErrorSample(
            ((4, 3), None, None), integers={0: 5}, error=DTypeError, match="astype", eps=1e-3
        ),
    )

    def shape(x, weight, bias, *, eps, observe=None):
        _check_channels(x, weight=weight, bias=bias)
        if math.prod(x[:-1]) < 2:
            raise ShapeError(
                f"training needs more than one value for each channel, got an input of shape {x}; "
                "use a larger batch, or training=False"
            )
        return x

    def cost(x, weight, bias, **options):
        # The mean, the deviations, the sums of them and of their squares; a factor and a summand
        # for each channel, and the multiply-add with them, even where weight and bias are None.
        count, channels = math.prod(x[:-1]), x[-1]
        return channels * Cost(
            multiplications=2 * count + (6 if weight is None else 7),
            additions=5 * count + 1,
            functions=1,
        )

    def reference(x, weight, bias, *, eps, observe=None):
        y = np.empty(x.shape)
        for channel in range(x.shape[-1]):
            y[..., channel] = reference_standardize(x[..., channel], eps)
            if weight is not None:
                y[..., channel] *= weight[channel]
            if bias is not None:
                y[..., channel] += bias[channel]
        return y

    def forward(ctx, x, weight, bias, *, eps, observe=None):
        ctx.save(x, weight)
        rows = x.reshape(-1, x.shape[-1])
        ctx.statistics, scale, shift = fit(rows, weight, bias, eps, observe)
        return norm.scale_shift(rows, scale, shift).reshape(x.shape)

    def backward(ctx, gy):
        return batch_norm_gradients(*ctx.saved, gy, ctx.options["eps"], ctx.needs)

    def backward_kernel(ctx, gy):
        x, weight = ctx.saved_arrays
        shape = x.shape
        gy, x = gy.reshape(-1, shape[-1]), x.reshape(-1, shape[-1])
        gx, *others = norm.batch_gradients(gy, x, weight, *ctx.statistics, ctx.needs)
        return None if gx is None else gx.reshape(shape), *others


def fit(rows: Any, weight: Any, bias: Any, eps: float, observe: Any) -> tuple[tuple, Any, Any]:
    """Return statistics of rows (M, C), and the scale and the shift that normalise by them.

    Returns
    -------
    statistics : pair of float64 arrays (C,)
        The mean and 1 / sqrt(variance + eps).
    scale, shift : arrays (C,)
    """
    middle, variance = norm.moments(rows)
    if observe is not None:
        observe(middle, variance, rows.shape[0])
    inverse = 1 / backend.xp(rows).sqrt(variance + eps)
    scale = inverse if weight is None else inverse * weight
    shift = -middle * scale if bias is None else bias - middle * scale
    return (middle, inverse), scale.astype(rows.dtype), shift.astype(rows.dtype)


def batch_norm_gradients(
    x: Tensor, weight: Any, gy: Tensor, eps: float, needs: tuple[bool, ...]
) -> tuple:
    """Return the gradients in x, weight and bias, written with operations."""
    axes = tuple(range(x.ndim - 1))
    g = gy if weight is None else gy * weight
    gx, normalised = standardize_gradient(x, g, axes, eps)
    return (
        gx,
        sum_to(gy * normalised, x.shape[-1:]) if needs[1] else None,
        sum_to(gy, x.shape[-1:]) if needs[2] else None,
    )


def _check_channels(x: tuple[int, ...], prefix: str = "", **others: Any) -> None:
    if len(x) < 2:
        raise ShapeError(f"{prefix}expected an input of shape (N, ..., channels), got {x}")
    for what, shape in others.items():
        if shape is not None and shape != x[-1:]:
            raise ShapeError(
                f"{prefix}{what} must have shape {x[-1:]}, one number a channel, got {shape}"
            )


def batch_norm(
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    *,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    unbiased_running: bool = True,
) -> Tensor:
    """Normalise each channel, by the statistics of the batch or by running ones.

    Parameters
    ----------
    x : Tensor of shape (N, C), (N, H, W, C) or (N, ..., C)
    running_mean, running_var : Tensor or array of shape (C,), optional
        Used where `training` is False. In training they are moved towards the statistics of the
        batch, in place. No gradient reaches them.
    weight, bias : Tensor of shape (C,), optional
        Factor and summand of the normalised values (gamma and beta).
    training : bool
        Normalise by the mean and the biased variance of the batch.
    momentum : float
        How much a batch counts in the running statistics: ``running = (1 - momentum) * running +
        momentum * batch``. 0.1 as in PyTorch; Keras's momentum of 0.99 is 0.01 here.
    eps : float
        Added to the variance. 1e-5 as in PyTorch; Keras has 1e-3.
    unbiased_running : bool
        Whether the unbiased variance (divided by count - 1) goes into the running one, as in
        PyTorch, or the biased one, as in Keras.

    Returns
    -------
    Tensor of the shape of `x`

    Raises
    ------
    ShapeError
        In training, a channel has only one value; or a parameter is not of shape (C,).
    OptionError
        Running statistics are missing where they are needed, or only one of them is given.

    References
    ----------
    Ioffe, Szegedy: Batch Normalization, 2015, https://arxiv.org/abs/1502.03167
    """
    statistics = (running_mean, running_var)
    observe = observer(x, statistics, weight, bias, training, momentum, unbiased_running)
    if not training:
        return normalise_by(x, statistics, weight, bias, eps)
    return BatchNorm.apply(x, weight, bias, eps=eps, observe=observe)


def observer(
    x: Any,
    statistics: tuple[Any, Any],
    weight: Any,
    bias: Any,
    training: bool,
    momentum: float,
    unbiased_running: bool,
) -> Callable[[Any, Any, int], None] | None:
    """Check what :func:`batch_norm` got; return what moves the running statistics, if there are."""
    _check_channels(
        shape_of(x, "batch_norm"),
        "batch_norm: ",
        running_mean=getattr(statistics[0], "shape", None),
        running_var=getattr(statistics[1], "shape", None),
        weight=getattr(weight, "shape", None),
        bias=getattr(bias, "shape", None),
    )
    if (statistics[0] is None) != (statistics[1] is None):
        raise OptionError("batch_norm: give running_mean and running_var both, or neither")
    if statistics[0] is None:
        if not training:
            raise OptionError(
                "batch_norm: without training=True it needs running_mean, running_var"
            )
        return None
    backend.xp(_data(x), *map(_data, statistics))  # of one backend
    return _follow(*statistics, momentum, unbiased_running)


def _data(value: Any) -> Any:
    return value.data if isinstance(value, Tensor) else value


def _follow(
    running_mean: Any, running_var: Any, momentum: float, unbiased: bool
) -> Callable[[Any, Any, int], None]:
    def observe(middle: Any, variance: Any, count: int) -> None:
        if unbiased:
            variance = variance * (count / (count - 1))
        for running, value in ((running_mean, middle), (running_var, variance)):
            array = _data(running)
            array *= 1 - momentum
            array += (momentum * value).astype(array.dtype)
            if isinstance(running, Tensor):
                running.mark_changed()

    return observe


def normalise_by(x: Any, statistics: tuple[Any, Any], weight: Any, bias: Any, eps: float) -> Tensor:
    """Normalise by a mean and a variance that are constants: a multiply-add for the large array."""
    middle, variance = map(_data, statistics)
    inverse = 1 / backend.xp(variance).sqrt(variance + eps)
    scale = inverse if weight is None else weight * inverse
    shift = -(scale * middle)
    return ScaleShift.apply(x, scale, shift if bias is None else shift + bias)


def layer_norm(
    x: Any,
    normalized_shape: int | Sequence[int],
    weight: Any = None,
    bias: Any = None,
    *,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each sample over its last axes.

    Parameters
    ----------
    x : Tensor
    normalized_shape : int or sequence of int
        Sizes of the last axes, over which the mean and the biased variance are taken.
    weight, bias : Tensor of that shape, optional
        Factor and summand of the normalised values.
    eps : float
        Added to the variance.

    Returns
    -------
    Tensor of the shape of `x`

    Raises
    ------
    ShapeError
        The last axes of `x`, or the parameters, have other sizes.

    References
    ----------
    Ba, Kiros, Hinton: Layer Normalization, 2016, https://arxiv.org/abs/1607.06450
    """
    shape = shape_of(x, "layer_norm")
    last = (
        tuple(normalized_shape) if isinstance(normalized_shape, Sequence) else (normalized_shape,)
    )
    if not last or shape[-len(last) :] != last:
        raise ShapeError(
            f"layer_norm: the last axes of {shape} do not have the sizes normalized_shape={last}"
        )
    axes = tuple(range(len(shape) - len(last), len(shape)))
    y = Standardize.apply(x, axes=axes, eps=eps)
    return _affine("layer_norm", y, last, weight, bias)


def group_norm(
    x: Any, num_groups: int, weight: Any = None, bias: Any = None, *, eps: float = 1e-5
) -> Tensor:
    """Normalise each sample over its positions and the channels of each group.

    Parameters
    ----------
    x : Tensor of shape (N, ..., C)
    num_groups : int
        Number of equal groups of neighbouring channels.
    weight, bias : Tensor of shape (C,), optional
        Factor and summand of the normalised values.
    eps : float
        Added to the variance.

    Returns
    -------
    Tensor of the shape of `x`

    Raises
    ------
    ShapeError
        The channels cannot be split so, or the parameters are not of shape (C,).

    References
    ----------
    Wu, He: Group Normalization, 2018, https://arxiv.org/abs/1803.08494
    """
    shape = shape_of(x, "group_norm")
    if len(shape) < 2:
        raise ShapeError(f"group_norm: expected an input of shape (N, ..., channels), got {shape}")
    if num_groups < 1 or shape[-1] % num_groups:
        raise ShapeError(
            f"group_norm: {shape[-1]} channels cannot be split into {num_groups} equal groups"
        )
    positions = math.prod(shape[1:-1])
    grouped = reshape(x, (shape[0], positions, num_groups, shape[-1] // num_groups))
    y = reshape(Standardize.apply(grouped, axes=(1, 3), eps=eps), shape)
    return _affine("group_norm", y, shape[-1:], weight, bias)


def instance_norm(x: Any, weight: Any = None, bias: Any = None, *, eps: float = 1e-5) -> Tensor:
    """Normalise each channel of each sample (N, ..., C) by itself: groups of one channel."""
    return group_norm(x, shape_of(x, "instance_norm")[-1], weight, bias, eps=eps)


def _affine(name: str, y: Tensor, shape: tuple[int, ...], weight: Any, bias: Any) -> Tensor:
    for what, value in (("weight", weight), ("bias", bias)):
        if value is not None and value.shape != shape:
            raise ShapeError(f"{name}: the {what} must have shape {shape}, got {value.shape}")
    if weight is not None and bias is not None:
        return ScaleShift.apply(y, weight, bias)
    if weight is not None:
        return y * weight
    return y if bias is None else y + bias
