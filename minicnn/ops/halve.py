"""Pooling in windows of 2 x 2 as one operation with normalisation before it and dropout behind it.

They give what :mod:`minicnn.ops.norm`, :mod:`minicnn.ops.pool` and :mod:`minicnn.ops.dropout` give
one after the other, in fewer passes over memory; their gradients of gradients are written with
those.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.autograd import Cost, ErrorSample, Sample, Tensor
from minicnn.errors import DTypeError, OptionError
from minicnn.kernels import halve as kernels
from minicnn.ops.dropout import Dropout, draw_seed
from minicnn.ops.norm import BatchNorm, batch_norm_gradients, fit, normalise_by, observer
from minicnn.ops.pool_operations import AvgPool2d, AvgPool2dGradient, MaxPool2d, MaxPool2dGradient
from minicnn.ops.standardize import OfFloats

__all__ = ["batch_norm_halve", "halve"]

_WINDOW: dict[str, Any] = {"kernel": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0))}
_LARGEST = {**_WINDOW, "dilation": (1, 1)}
_MEAN = {**_WINDOW, "include_pad": True}


def _pooling(largest: bool) -> tuple[Any, dict[str, Any]]:
    return (MaxPool2d, _LARGEST) if largest else (AvgPool2d, _MEAN)


def _before_pooling(ctx: Any, gy: Tensor) -> Tensor:
    # The gradient of what was pooled and dropped out, written with operations.
    largest, p, seed = (ctx.options[name] for name in ("largest", "p", "seed"))
    size = ctx.inputs[0].shape[1:3]
    if p:
        gy = Dropout.apply(gy, p=p, seed=seed, shared=())
    if largest:
        # What was dropped has no gradient any more, whatever its place.
        return MaxPool2dGradient.apply(gy, ctx.code & 3, size=size, **_LARGEST)
    return AvgPool2dGradient.apply(gy, size=size, **_MEAN)


class Halve(OfFloats, name="halve"):
    """The largest, or the mean, of windows of 2 x 2, and dropout of the results."""

    samples = (
        Sample(((2, 4, 5, 2),), largest=True, p=0.0, seed=(0, 0)),
        Sample(((2, 4, 4, 3),), largest=True, p=0.4, seed=(1, 2)),
        Sample(((2, 5, 4, 2),), largest=False, p=0.4, seed=(3, 4)),
    )
    errors = (
        ErrorSample(((2, 4, 5),), match=r"\(N, H, W, C\)", largest=True, p=0.0, seed=(0, 0)),
        ErrorSample(((2, 1, 5, 2),), match="larger", largest=False, p=0.0, seed=(0, 0)),
        ErrorSample(
            ((2, 4, 5, 2),),
            integers={0: 9},
            error=DTypeError,
            match="astype",
            largest=True,
            p=0.0,
            seed=(0, 0),
        ),
    )

    def shape(x, *, largest, p, seed):
        operation, window = _pooling(largest)
        return operation.shape(x, **window)

    def cost(x, *, largest, p, seed):
        operation, window = _pooling(largest)
        y = operation.shape(x, **window)
        dropout = Dropout.cost(y, p=p, seed=seed, shared=()) if p else Cost()
        return operation.cost(x, **window) + dropout

    def reference(x, *, largest, p, seed):
        operation, window = _pooling(largest)
        y = operation.reference(x, **window)
        return Dropout.reference(y, p=p, seed=seed, shared=()) if p else y

    def forward(ctx, x, **options):
        y, ctx.code = kernels.forward(x, None, None, **options)
        return y

    def backward(ctx, gy):
        return _before_pooling(ctx, gy)

    def backward_kernel(ctx, gy):
        largest, p = ctx.options["largest"], ctx.options["p"]
        size = ctx.inputs[0].shape[1:3]
        return kernels.plain_gradient(gy, ctx.code, size=size, largest=largest, p=p)


class BatchNormHalve(OfFloats, name="batch_norm_halve"):
    """Batch normalisation; the largest, or the mean, of windows of 2 x 2; and dropout."""

    samples = (
        Sample(((2, 4, 5, 2), (2,), (2,)), eps=1e-3, largest=True, p=0.0, seed=(0, 0)),
        Sample(((2, 4, 4, 3), (3,), None), eps=1e-3, largest=True, p=0.4, seed=(1, 2)),
        Sample(((2, 5, 4, 2), None, (2,)), eps=1e-3, largest=False, p=0.4, seed=(3, 4)),
        Sample(((2, 2, 3, 2), None, None), eps=1e-3, largest=False, p=0.0, seed=(0, 0)),
    )
    errors = (
        ErrorSample(
            ((2, 4, 4, 3), (4,), None), match="weight", eps=1e-3, largest=True, p=0.0, seed=(0, 0)
        ),
        ErrorSample(
            ((2, 1, 4, 3), None, None), match="larger", eps=1e-3, largest=True, p=0.0, seed=(0, 0)
        ),
        ErrorSample(
            ((2, 4, 5, 2), None, None),
            integers={0: 9},
            error=DTypeError,
            match="astype",
            eps=1e-3,
            largest=True,
            p=0.0,
            seed=(0, 0),
        ),
    )

    def shape(x, weight, bias, *, eps, observe=None, **options):
        return Halve.shape(BatchNorm.shape(x, weight, bias, eps=eps), **options)

    def cost(x, weight, bias, *, eps, observe=None, **options):
        return BatchNorm.cost(x, weight, bias, eps=eps) + Halve.cost(x, **options)

    def reference(x, weight, bias, *, eps, observe=None, **options):
        return Halve.reference(BatchNorm.reference(x, weight, bias, eps=eps), **options)

    def forward(ctx, x, weight, bias, *, eps, observe=None, **options):
        ctx.save(x, weight)
        rows = x.reshape(-1, x.shape[-1])
        ctx.statistics, scale, shift = fit(rows, weight, bias, eps, observe)
        y, ctx.code = kernels.forward(x, scale, shift, **options)
        return y

    def backward(ctx, gy):
        g = _before_pooling(ctx, gy)
        return batch_norm_gradients(*ctx.saved, g, ctx.options["eps"], ctx.needs)

    def backward_kernel(ctx, gy):
        x, weight = ctx.saved_arrays
        return kernels.gradients(
            gy,
            ctx.code,
            x,
            weight,
            *ctx.statistics,
            largest=ctx.options["largest"],
            p=ctx.options["p"],
            needs=ctx.needs,
        )


def halve(
    x: Any, *, largest: bool, p: float = 0.0, rng: np.random.Generator | None = None
) -> Tensor:
    """Take the largest, or the mean, of each window of 2 x 2, and drop out of the results.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
    largest : bool
        Whether the largest is taken, or the mean.
    p : float
        Probability that a result is set to zero, below 1; the others are divided by 1 - p.
    rng : numpy.random.Generator, optional
        Draws what is dropped; needed where p is not 0.

    Returns
    -------
    Tensor of shape (N, H // 2, W // 2, C)
    """
    return Halve.apply(x, largest=largest, p=p, seed=_seed("halve", p, rng))


def batch_norm_halve(
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    *,
    largest: bool,
    p: float = 0.0,
    rng: np.random.Generator | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    unbiased_running: bool = True,
) -> Tensor:
    """Do what :func:`minicnn.ops.batch_norm` does, and then :func:`halve`, in fewer passes.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
    largest, p, rng
        As for :func:`halve`.
    running_mean, running_var, weight, bias, training, momentum, eps, unbiased_running
        As for :func:`minicnn.ops.batch_norm`.

    Returns
    -------
    Tensor of shape (N, H // 2, W // 2, C)
    """
    statistics = (running_mean, running_var)
    observe = observer(x, statistics, weight, bias, training, momentum, unbiased_running)
    if not training:
        return halve(normalise_by(x, statistics, weight, bias, eps), largest=largest, p=p, rng=rng)
    options = {"largest": largest, "p": p, "seed": _seed("batch_norm_halve", p, rng)}
    return BatchNormHalve.apply(x, weight, bias, eps=eps, observe=observe, **options)


def _seed(name: str, p: float, rng: np.random.Generator | None) -> tuple[int, int]:
    if not 0 <= p < 1:
        raise OptionError(f"{name}: the probability p must be from 0 to below 1, got {p}")
    return draw_seed(name, rng) if p else (0, 0)
