"""Losses of classes: the cross-entropy of logits, and of logarithms of probabilities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn import backend
from minicnn.autograd import Cost, ErrorSample, Operation, Sample, Tensor
from minicnn.errors import DTypeError, OptionError, ShapeError
from minicnn.ops.arguments import refuse_integers, shape_of
from minicnn.ops.arithmetic import where
from minicnn.ops.loss_reduction import check_reduction, data_of, reduced
from minicnn.ops.reduce import sum as sum_along
from minicnn.ops.shape import reshape
from minicnn.ops.softmax import log_softmax, softmax

__all__ = ["cross_entropy", "nll_loss"]


class CrossEntropy(Operation, name="cross_entropy"):
    """-sum(target * log softmax(z)) over the last axis.

    Its gradient is softmax(z) * sum(target) - target. The target is any weight for each class, so
    that one operation serves labels, class weights, smoothing and probabilities. Where it is 0, a
    logit of -inf does no harm. With ``mean``, the result is the mean of all.
    """

    samples = (
        Sample(((3, 4), (3, 4))),
        Sample(((2, 3, 2), (2, 3, 2)), domain=(0.1, 2.0)),
        Sample(((5,), (5,)), domain=(800.0, 802.0)),
        Sample(((2, 3, 2), (2, 3, 2)), mean=True),
        Sample(((4,), (4,)), mean=True),
    )
    errors = (
        ErrorSample(((3, 4), (3, 5)), match="classes"),
        ErrorSample(((), ()), match="classes"),
        ErrorSample(((3, 0), (3, 0)), match="no classes"),
        ErrorSample(((0, 4), (0, 4)), mean=True, match="no elements"),
        ErrorSample(((3, 4), (3, 4)), integers={0: 5}, error=DTypeError, match="astype"),
    )

    @classmethod
    def check(cls, arrays: list, options: dict) -> None:
        """Refuse logits of integers, and shapes that do not fit."""
        refuse_integers(arrays[0], cls.name)
        super().check(arrays, options)

    def shape(z, target, *, mean=False):
        if z != target or not z:
            raise ShapeError(f"logits {z} and targets {target} must have one shape (..., classes)")
        if not z[-1]:
            raise ShapeError(f"logits {z} have no classes")
        if mean and not math.prod(z[:-1]):
            raise ShapeError(f"no elements to take the mean of in logits {z}")
        return () if mean else z[:-1]

    def cost(z, target, *, mean=False):
        rows, classes = math.prod(z[:-1]), z[-1]
        losses = rows * Cost(
            multiplications=2 * classes,
            additions=4 * classes - 1,
            comparisons=2 * classes - 1,
            functions=classes + 1,
        )
        return losses + Cost(multiplications=1, additions=rows - 1) if mean else losses

    def reference(z, target, *, mean=False):
        y = np.zeros(z.shape[:-1])
        for row in np.ndindex(*y.shape):
            largest = max(z[row])
            total = math.fsum(math.exp(value - largest) for value in z[row])
            for value, weight in zip(z[row], target[row], strict=True):
                y[row] -= weight * (value - largest - math.log(total))
        return np.asarray(y.mean()) if mean else y

    def forward(ctx, z, target, *, mean=False):
        xp = backend.xp(z, target)
        shifted = z - z.max(axis=-1, keepdims=True)
        probabilities = xp.exp(shifted)
        total = probabilities.sum(axis=-1, keepdims=True)
        probabilities /= total
        ctx.save(z, target, probabilities)
        shifted -= xp.log(total)
        y = -(target * xp.where(target != 0, shifted, xp.zeros_like(shifted))).sum(axis=-1)
        return y.mean() if mean else y

    def backward(ctx, gy):
        z, target, _ = ctx.saved
        if ctx.options.get("mean"):
            gy = gy * _share(z)
        else:
            gy = reshape(gy, (*gy.shape, 1))
        gz = gtarget = None
        if ctx.needs[0]:
            weight = sum_along(target, -1, keepdims=True)
            # Rows that count for nothing may hold what they like.
            gz = gy * (where(weight.data != 0, softmax(z), 0.0) * weight - target)
        if ctx.needs[1]:
            gtarget = -gy * log_softmax(z)
        return gz, gtarget

    def backward_kernel(ctx, gy):
        z, target, probabilities = ctx.saved_arrays
        xp = backend.xp(z)
        gy = gy * _share(z) if ctx.options.get("mean") else gy[..., None]
        gz = gtarget = None
        if ctx.needs[0]:
            weight = target.sum(axis=-1, keepdims=True)
            gz = xp.where(weight != 0, probabilities, 0) * weight
            gz -= target
            gz *= gy
        if ctx.needs[1]:
            shifted = z - z.max(axis=-1, keepdims=True)
            gtarget = (xp.log(xp.exp(shifted).sum(axis=-1, keepdims=True)) - shifted) * gy
        return gz, gtarget


def _share(z: Any) -> float:
    # Of one row in the mean of all.
    return z.shape[-1] / z.size


def cross_entropy(
    logits: Any,
    target: Any,
    *,
    weight: Any = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the cross-entropy of softmax(logits) against labels or probabilities.

    Parameters
    ----------
    logits : Tensor of shape (N, ..., K)
        Any numbers; no softmax before.
    target : Tensor or array
        Labels, integers from 0 to K - 1, of shape (N, ...); or probabilities of shape (N, ..., K).
        Labels are checked where they are NumPy's. On a GPU the check would have to wait for the
        device: there, a label out of range makes the loss NaN.
    weight : Tensor or array of shape (K,), optional
        Factor of each class.
    label_smoothing : float
        0 to 1: this part of each target is spread evenly over all K classes.
    ignore_index : int, optional
        Label of elements that count for nothing.
    reduction : {"mean", "sum", "none"}
        ``"mean"`` divides by the sum of the labels' class weights (by the number of labels where
        there are none), as PyTorch does; for probabilities, by their number.

    Returns
    -------
    Tensor of shape (), or (N, ...) with ``reduction="none"``

    Raises
    ------
    OptionError
        A label is out of range, or an option is.
    ShapeError
        The target's shape does not fit, or the weight's.
    DTypeError
        Floating-point types are mixed.
    """
    name = "cross_entropy"
    check_reduction(name, reduction)
    label_smoothing = float(label_smoothing)
    if not 0 <= label_smoothing <= 1:
        raise OptionError(f"{name}: label_smoothing must be between 0 and 1, got {label_smoothing}")
    shape = shape_of(logits, name)
    counts = None
    if shape_of(target, name) != shape or data_of(target).dtype.kind != "f":
        target, counts = _rows_of_labels(
            name, data_of(logits), data_of(target), data_of(weight), label_smoothing, ignore_index
        )
    elif ignore_index is not None:
        raise OptionError(f"{name}: ignore_index needs labels as target, not probabilities")
    else:
        if label_smoothing:
            target = target * (1 - label_smoothing) + label_smoothing / shape[-1]
        if weight is not None:
            _check_class_weight(name, data_of(weight), data_of(logits))
            target = target * data_of(weight)
    if reduction == "mean" and counts is None:
        return CrossEntropy.apply(logits, target, mean=True)
    return reduced(CrossEntropy.apply(logits, target), reduction, counts)


def nll_loss(
    log_probabilities: Any,
    labels: Any,
    weight: Any = None,
    *,
    ignore_index: int | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the negative log-likelihood of labels: cross-entropy after :func:`log_softmax`.

    Parameters
    ----------
    log_probabilities : Tensor of shape (N, ..., K)
    labels : Tensor or array of integers, of shape (N, ...)
    weight, ignore_index, reduction
        As for :func:`cross_entropy`, labels out of range included.

    Returns
    -------
    Tensor of shape (), or (N, ...) with ``reduction="none"``
    """
    check_reduction("nll_loss", reduction)
    shape_of(log_probabilities, "nll_loss")
    shape_of(labels, "nll_loss")
    rows, counts = _rows_of_labels(
        "nll_loss", data_of(log_probabilities), data_of(labels), data_of(weight), 0.0, ignore_index
    )
    # Where a class does not count, a log-probability of -inf does no harm.
    loss = -sum_along(where(rows != 0, log_probabilities, 0.0) * rows, axis=-1)
    return reduced(loss, reduction, counts)


def _rows_of_labels(
    name: str, scores: Any, labels: Any, weight: Any, smoothing: float, ignore_index: int | None
) -> tuple[Any, Any]:
    """Make the weight of every class in each element's loss, and of each element in their mean.

    Returns arrays of shape (N, ..., K) and (N, ...); None for the second where all count alike.
    """
    xp = backend.xp(scores, labels)
    classes = scores.shape[-1] if scores.ndim else 0
    if labels.dtype.kind not in "iu":
        raise DTypeError(
            f"{name}: labels must be integers, got {labels.dtype} of shape {labels.shape}"
        )
    if labels.shape != scores.shape[:-1] or not scores.ndim:
        raise ShapeError(
            f"{name}: scores {scores.shape} need labels of shape {scores.shape[:-1]}, "
            f"got {labels.shape}"
        )
    _check_class_weight(name, weight, scores)
    labels = labels.astype(xp.int64)
    counted = None if ignore_index is None else labels != ignore_index
    chosen = labels[..., None] == xp.arange(classes)
    if counted is not None:
        chosen &= counted[..., None]
    rows = chosen.astype(scores.dtype)
    if backend.name_of(labels) == "numpy":
        _check_labels(name, labels if counted is None else labels[counted], classes)
    else:
        rows += _nan_where_outside(xp, labels, counted, classes).astype(scores.dtype)[..., None]
    counts = None if counted is None else counted.astype(scores.dtype)
    if weight is not None:
        counts = (rows * weight).sum(axis=-1)
    if smoothing:
        rows = rows * (1 - smoothing) + smoothing / classes
        if counted is not None:
            rows *= counted[..., None]
    return rows if weight is None else rows * weight, counts


def _check_labels(name: str, labels: Any, classes: int) -> None:
    if labels.size:
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= classes:
            raise OptionError(
                f"{name}: label {low if low < 0 else high} is out of range; "
                f"{classes} classes have labels 0 to {classes - 1}"
            )


def _nan_where_outside(xp: Any, labels: Any, counted: Any, classes: int) -> Any:
    outside = (labels < 0) | (labels >= classes)
    if counted is not None:
        outside &= counted
    return xp.where(outside, math.nan, 0.0)


def _check_class_weight(name: str, weight: Any, scores: Any) -> None:
    if weight is None:
        return
    shape_of(weight, name)
    if weight.shape != scores.shape[-1:]:
        raise ShapeError(
            f"{name}: the class weights must have shape {scores.shape[-1:]}, got {weight.shape}"
        )
    if weight.dtype != scores.dtype:
        raise DTypeError(
            f"{name}: scores of {scores.dtype} and class weights of {weight.dtype} are mixed; "
            f"convert the weights with .astype('{scores.dtype}')"
        )
