"""Losses as modules, which hold the weights of classes and other settings."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import backend
from minicnn.autograd import Tensor
from minicnn.errors import OptionError
from minicnn.nn.module import Module
from minicnn.nn.options import number, one_of
from minicnn.nn.parameter import Buffer
from minicnn.ops import class_loss, loss

__all__ = [
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "MSELoss",
    "NLLLoss",
]

REDUCTIONS = ("mean", "sum", "none")


def _weights(values: Any) -> Buffer | None:
    # Given as anything, they become float32 on the current backend, like parameters.
    if values is None:
        return None
    return Buffer(
        backend.asarray(values.data if isinstance(values, Tensor) else values, dtype=np.float32)
    )


class CrossEntropyLoss(Module):
    """Cross-entropy of softmax(logits) against integer labels or probabilities.

    Parameters
    ----------
    weight : array or sequence of shape (K,), optional
        Factor of each class.
    ignore_index : int, optional
        Label of elements that count for nothing. PyTorch's default is -100; here there is none, so
        that a negative label is an error.
    label_smoothing : float
        From 0 to 1: this part of each target is spread evenly over all classes.
    reduction : {"mean", "sum", "none"}
        "mean" divides by the sum of the labels' class weights.
    """

    weight: Buffer | None

    def __init__(
        self,
        weight: Any = None,
        *,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
    ) -> None:
        self.weight = _weights(weight)
        self.ignore_index = ignore_index
        self.label_smoothing = number(label_smoothing, "label_smoothing", 0, 1)
        self.reduction = one_of(reduction, "reduction", REDUCTIONS)

    def forward(self, logits: Any, target: Any) -> Tensor:
        """Compare logits (N, ..., K) with labels (N, ...) or probabilities (N, ..., K)."""
        return class_loss.cross_entropy(
            logits,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
        )


class NLLLoss(Module):
    """Negative log-likelihood of labels: the cross-entropy after :class:`LogSoftmax`.

    Parameters
    ----------
    weight, ignore_index, reduction
        As for :class:`CrossEntropyLoss`.
    """

    weight: Buffer | None

    def __init__(
        self, weight: Any = None, *, ignore_index: int | None = None, reduction: str = "mean"
    ) -> None:
        self.weight = _weights(weight)
        self.ignore_index = ignore_index
        self.reduction = one_of(reduction, "reduction", REDUCTIONS)

    def forward(self, log_probabilities: Any, labels: Any) -> Tensor:
        """Compare log-probabilities (N, ..., K) with labels (N, ...)."""
        return class_loss.nll_loss(
            log_probabilities,
            labels,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class MSELoss(Module):
    """Squared error (x - target)^2.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
    """

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = one_of(reduction, "reduction", REDUCTIONS)

    def forward(self, x: Any, target: Any) -> Tensor:
        """Compare two tensors of one shape."""
        return loss.mse_loss(x, target, reduction=self.reduction)


class L1Loss(Module):
    """Absolute error ``|x - target|``.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
    """

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = one_of(reduction, "reduction", REDUCTIONS)

    def forward(self, x: Any, target: Any) -> Tensor:
        """Compare two tensors of one shape."""
        return loss.l1_loss(x, target, reduction=self.reduction)


class HuberLoss(Module):
    """Half the squared error up to a distance, and from there on its tangent.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
    delta : float
        The distance, above 0.
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        self.reduction = one_of(reduction, "reduction", REDUCTIONS)
        self.delta = number(delta, "delta", 0)
        if not delta:
            raise OptionError("delta: must be above 0")

    def forward(self, x: Any, target: Any) -> Tensor:
        """Compare two tensors of one shape."""
        return loss.huber_loss(x, target, delta=self.delta, reduction=self.reduction)


class BCEWithLogitsLoss(Module):
    """Cross-entropy of sigmoid(x) against probabilities, each element by itself.

    Parameters
    ----------
    weight : array, optional
        Factor of each element's loss; repeated to the shape of the input.
    reduction : {"mean", "sum", "none"}
    pos_weight : array, optional
        Factor of the part of the loss that is for "yes"; repeated to the shape of the input.
    """

    weight: Buffer | None
    pos_weight: Buffer | None

    def __init__(
        self, weight: Any = None, *, reduction: str = "mean", pos_weight: Any = None
    ) -> None:
        self.weight = _weights(weight)
        self.reduction = one_of(reduction, "reduction", REDUCTIONS)
        self.pos_weight = _weights(pos_weight)

    def forward(self, x: Any, target: Any) -> Tensor:
        """Compare logits with probabilities of one shape."""
        return loss.binary_cross_entropy_with_logits(
            x, target, self.weight, self.pos_weight, reduction=self.reduction
        )


class KLDivLoss(Module):
    """Kullback-Leibler divergence target * (log(target) - x) from log-probabilities x.

    Parameters
    ----------
    reduction : {"mean", "batchmean", "sum", "none"}
        "batchmean" is the divergence of the definition, averaged over the batch. "mean", PyTorch's
        default, divides by the number of elements.
    log_target : bool
        Whether the targets are logarithms, too.
    """

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        self.reduction = one_of(reduction, "reduction", (*REDUCTIONS, "batchmean"))
        self.log_target = log_target

    def forward(self, x: Any, target: Any) -> Tensor:
        """Compare log-probabilities with probabilities of one shape."""
        return loss.kl_div(x, target, reduction=self.reduction, log_target=self.log_target)
