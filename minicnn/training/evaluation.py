"""Run a model over a data set without training it: its scores, or its probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np

from minicnn import backend
from minicnn.autograd import Tensor, no_grad
from minicnn.errors import OptionError
from minicnn.nn.module import Module
from minicnn.ops.class_loss import cross_entropy
from minicnn.ops.softmax import softmax
from minicnn.training.ensemble import Models, Views, joined
from minicnn.training.metrics import Metrics, Scores

__all__ = ["Loss", "evaluate", "evaluating", "predict", "scores_of"]

Loss = Callable[[Tensor, Tensor], Tensor]
Batches = Iterable[tuple[Tensor, Tensor]]


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """Switch a model to evaluation and record nothing inside; then each module is as before."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with no_grad():
            yield
    finally:
        for module, training in before:
            module.training = training


def evaluate(
    models: Models,
    loader: Batches,
    *,
    loss: Loss | None = None,
    tta: Views | bool | None = None,
) -> Scores:
    """Return the scores of a model, or of several together, on labelled batches.

    Parameters
    ----------
    models : Module, or sequence of Module
        Images (N, H, W, C) to logits (N, K). The probabilities of several are averaged.
    loader : DataLoader, or iterable of (images, labels)
    loss : callable, optional
        (logits, labels) to the mean over the batch; cross-entropy by default.
    tta : Views or bool, optional
        Average also over these views of each image; True for the default ones. They are made of
        the images as the loader gives them, which is after normalisation.

    Returns
    -------
    Scores

    Raises
    ------
    OptionError
        There are no batches or no models, or `tta` is none of these.
    """
    criterion = cross_entropy if loss is None else loss
    model = joined(models, tta)
    metrics = Metrics()
    with evaluating(model):
        for images, labels in loader:
            logits = model(images)
            metrics.update(logits, labels, criterion(logits, labels))
    return metrics.result()


def predict(models: Models, loader: Batches, *, tta: Views | bool | None = None) -> np.ndarray:
    """Return the probabilities that a model, or several together, give to each class.

    Parameters
    ----------
    models : Module, or sequence of Module
        Images (N, H, W, C) to logits (N, K). The probabilities of several are averaged.
    loader : DataLoader, or iterable of (images, labels)
        The labels are not looked at.
    tta : Views or bool, optional
        As for :func:`evaluate`.

    Returns
    -------
    float array of shape (N, K)
        In the loader's order, on the host.

    Raises
    ------
    OptionError
        There are no batches or no models, or `tta` is none of these.
    """
    model = joined(models, tta)
    with evaluating(model):
        found = [softmax(model(images)).data for images, _ in loader]
    if not found:
        raise OptionError("predict: the loader has no batches")
    return np.concatenate([backend.to_numpy(part) for part in found])


def scores_of(probabilities: np.ndarray, labels: np.ndarray) -> Scores:
    """Return the scores of probabilities that were predicted before.

    Parameters
    ----------
    probabilities : NumPy array of shape (N, K)
    labels : integer NumPy array of shape (N,)

    Returns
    -------
    Scores
        The loss is the mean cross-entropy, with probabilities of 0 taken as the smallest number
        above.
    """
    metrics = Metrics()
    chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    smallest = np.finfo(probabilities.dtype).tiny
    metrics.update(probabilities, labels, -np.log(np.maximum(chosen, smallest)).mean())
    return metrics.result()
