"""Losses of numbers, element by element: errors, binary cross-entropy, divergence."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.errors import OptionError, ShapeError
from minicnn.ops.activation import softplus
from minicnn.ops.arguments import shape_of
from minicnn.ops.arithmetic import absolute, clip, exp, log, where
from minicnn.ops.loss_reduction import REDUCTIONS, check_reduction, data_of, reduced
from minicnn.ops.reduce import sum as sum_along

__all__ = [
    "binary_cross_entropy_with_logits",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
]


def mse_loss(x: Any, target: Any, *, reduction: str = "mean") -> Tensor:
    """Return the squared error (x - target)^2.

    Parameters
    ----------
    x, target : Tensor of one shape
        They are not broadcast.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    Tensor of shape (), or of the inputs' with ``reduction="none"``

    Raises
    ------
    ShapeError
        The shapes differ.
    """
    difference = _difference("mse_loss", x, target, reduction)
    return reduced(difference * difference, reduction)


def l1_loss(x: Any, target: Any, *, reduction: str = "mean") -> Tensor:
    """Return the absolute error ``|x - target|``; parameters and errors as for :func:`mse_loss`."""
    return reduced(absolute(_difference("l1_loss", x, target, reduction)), reduction)


def huber_loss(x: Any, target: Any, *, delta: float = 1.0, reduction: str = "mean") -> Tensor:
    """Return the squared error / 2 up to a distance, and from there on its tangent.

    Parameters
    ----------
    x, target, reduction
        As for :func:`mse_loss`.
    delta : float
        The distance, above 0.

    Returns
    -------
    Tensor of shape (), or of the inputs' with ``reduction="none"``

    References
    ----------
    Huber: Robust Estimation of a Location Parameter, 1964.
    """
    if not delta > 0:
        raise OptionError(f"huber_loss: delta must be above 0, got {delta}")
    difference = _difference("huber_loss", x, target, reduction)
    near = clip(difference, -delta, delta)
    return reduced(near * (difference - 0.5 * near), reduction)


def binary_cross_entropy_with_logits(
    x: Any, target: Any, weight: Any = None, pos_weight: Any = None, *, reduction: str = "mean"
) -> Tensor:
    """Return the cross-entropy of sigmoid(x) against probabilities of "yes", element by element.

    Parameters
    ----------
    x : Tensor
        Logits.
    target : Tensor of the same shape
        0 to 1.
    weight : Tensor or array, optional
        Factor of each element's loss; repeated to the shape of `x`.
    pos_weight : Tensor or array, optional
        Factor of the "yes" part of each loss; repeated to the shape of `x`.
    reduction : {"mean", "sum", "none"}
        ``"mean"`` divides by the number of elements, whatever the weights.

    Returns
    -------
    Tensor of shape (), or of the inputs' with ``reduction="none"``
    """
    name = "binary_cross_entropy_with_logits"
    shape = _check_pair(name, x, target, reduction)
    for what, factor in (("weight", weight), ("pos_weight", pos_weight)):
        if factor is not None and _broadcast(shape_of(factor, name), shape) != shape:
            raise ShapeError(f"{name}: {what} {factor.shape} cannot be repeated to {shape}")
    # -log(sigmoid(x)) = softplus(-x), and -log(1 - sigmoid(x)) = x + softplus(-x).
    positive = softplus(-_as_tensor(x))
    if pos_weight is not None:
        positive = positive * (1 + target * (pos_weight - 1))
    loss = (1 - target) * x + positive
    return reduced(loss if weight is None else loss * weight, reduction)


def kl_div(input: Any, target: Any, *, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """Return the Kullback-Leibler divergence target * (log(target) - input), element by element.

    Parameters
    ----------
    input : Tensor
        Log-probabilities.
    target : Tensor of the same shape
        Probabilities; those of 0 add nothing. Their logarithms, if `log_target`.
    reduction : {"mean", "batchmean", "sum", "none"}
        ``"batchmean"`` divides by the size of the first axis, which is the divergence of the
        definition; ``"mean"``, PyTorch's default, by the number of elements.
    log_target : bool

    Returns
    -------
    Tensor of shape (), or of the inputs' with ``reduction="none"``
    """
    shape = _check_pair("kl_div", input, target, reduction, (*REDUCTIONS, "batchmean"))
    if log_target:
        loss = exp(target) * (target - _as_tensor(input))
    else:
        logarithm = log(where(data_of(target) != 0, target, 1.0))
        loss = target * (logarithm - input)
    if reduction == "batchmean":
        return sum_along(loss) / (shape[0] if shape else 1)
    return reduced(loss, reduction)


def _as_tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else Tensor(value)


def _broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...] | None:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        return None


def _check_pair(
    name: str, x: Any, target: Any, reduction: str, reductions: tuple[str, ...] = REDUCTIONS
) -> tuple[int, ...]:
    """Refuse an unknown reduction, and shapes that differ, which are rarely meant to broadcast."""
    check_reduction(name, reduction, reductions)
    if shape_of(x, name) != shape_of(target, name):
        raise ShapeError(
            f"{name}: the input {x.shape} and the target {target.shape} must have one shape"
        )
    return x.shape


def _difference(name: str, x: Any, target: Any, reduction: str) -> Tensor:
    _check_pair(name, x, target, reduction)
    return _as_tensor(x) - target
