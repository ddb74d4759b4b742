"""Accuracy, loss and the confusion matrix of a stream of batches, kept on the device until read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn import backend
from minicnn.autograd.tensor import Tensor
from minicnn.errors import CheckpointError, OptionError, ShapeError

__all__ = ["Metrics", "Scores"]


@dataclass(frozen=True, eq=False)
class Scores:
    """What a classifier achieved on a set of samples.

    A class that was never predicted has precision 0, one without samples recall 0, and where both
    are 0 the F1 score is 0.

    Attributes
    ----------
    confusion : int64 array of shape (K, K)
        How many samples of class ``row`` were taken for class ``column``.
    loss : float or None
        The mean over the samples, where a loss was given.
    """

    confusion: np.ndarray
    loss: float | None = None

    @property
    def count(self) -> int:
        """Number of samples."""
        return int(self.confusion.sum())

    @property
    def support(self) -> np.ndarray:
        """Number of samples of each class, of shape (K,)."""
        return self.confusion.sum(axis=1)

    @property
    def accuracy(self) -> float:
        """Share of the samples whose class was predicted; 0 without samples."""
        return int(np.trace(self.confusion)) / max(self.count, 1)

    @property
    def standard_error(self) -> float:
        """Of the accuracy, as it was counted on so many samples; 0 without samples."""
        return math.sqrt(self.accuracy * (1 - self.accuracy) / max(self.count, 1))

    @property
    def precision(self) -> np.ndarray:
        """Share of what was predicted to be a class that is of it, of shape (K,)."""
        return _ratio(np.diagonal(self.confusion), self.confusion.sum(axis=0))

    @property
    def recall(self) -> np.ndarray:
        """Share of each class's samples that was found, of shape (K,)."""
        return _ratio(np.diagonal(self.confusion), self.support)

    @property
    def f1(self) -> np.ndarray:
        """Harmonic mean of precision and recall, of shape (K,)."""
        predicted_and_true = self.confusion.sum(axis=0) + self.support
        return _ratio(2 * np.diagonal(self.confusion), predicted_and_true)

    @property
    def macro_f1(self) -> float:
        """Mean of the classes' F1 scores, each class counting alike."""
        return float(self.f1.mean())

    def to_dict(self, class_names: Sequence[str]) -> dict[str, Any]:
        """Return everything as a dict that JSON can hold.

        Parameters
        ----------
        class_names : sequence of str, of length K
        """
        columns = zip(class_names, self.precision, self.recall, self.f1, self.support, strict=True)
        return {
            "count": self.count,
            "loss": self.loss,
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "classes": {
                name: {
                    "precision": float(precision),
                    "recall": float(recall),
                    "f1": float(f1),
                    "support": int(support),
                }
                for name, precision, recall, f1, support in columns
            },
            "confusion_matrix": self.confusion.tolist(),
        }


class Metrics:
    """Sums up batches; nothing is read from the device before :meth:`result`."""

    def __init__(self) -> None:
        self._confusion: Any = None
        self._loss: Any = None

    def update(self, logits: Any, labels: Any, loss: Any = None) -> None:
        """Add a batch.

        Parameters
        ----------
        logits : array or Tensor of shape (N, K)
            Or probabilities: the largest is what is predicted.
        labels : array or Tensor of shape (N,) or (N, K)
            Integers from 0 to K - 1, or probabilities, of which the largest counts.
        loss : array or Tensor without axes, optional
            The mean over the batch.

        Raises
        ------
        ShapeError
            The shapes are not as described, or K is not that of the batches before.
        """
        logits, labels, loss = (
            value.data if isinstance(value, Tensor) else value for value in (logits, labels, loss)
        )
        xp = backend.xp(logits, labels)
        if logits.ndim != 2 or labels.shape not in (logits.shape[:1], logits.shape):
            raise ShapeError(
                f"metrics: expected logits (N, K) and labels (N,) or (N, K), got "
                f"{tuple(logits.shape)} and {tuple(labels.shape)}"
            )
        k = logits.shape[1]
        if self._confusion is None:
            self._confusion = xp.zeros((k, k), dtype=xp.int64)
        if self._confusion.shape[0] != k:
            raise ShapeError(
                f"metrics: the batches before had {self._confusion.shape[0]} classes, this has {k}"
            )
        if labels.ndim == 2:
            labels = labels.argmax(axis=1)
        classes = xp.arange(k)
        # A product of indicator matrices counts pairs without asking the device anything, as
        # bincount would; float32 counts exactly to 2**24.
        truth = (labels[:, None] == classes).astype(xp.float32)  # (N, K)
        predicted = (logits.argmax(axis=1)[:, None] == classes).astype(xp.float32)
        self._confusion = self._confusion + (truth.T @ predicted).astype(xp.int64)
        if loss is not None:
            # Labels that a loss ignores, out of range, are in no mean.
            total = loss.astype(xp.float64) * truth.sum(dtype=xp.float64)
            self._loss = total if self._loss is None else self._loss + total

    def result(self) -> Scores:
        """Read the sums; on a GPU this waits for the device.

        Raises
        ------
        OptionError
            There was no batch.
        """
        if self._confusion is None:
            raise OptionError("metrics: there is no result before the first batch")
        confusion = backend.to_numpy(self._confusion).copy()
        count = max(int(confusion.sum()), 1)
        loss = None if self._loss is None else float(backend.to_numpy(self._loss)) / count
        return Scores(confusion, loss)

    def state(self) -> dict[str, Any]:
        """Return the sums, as arrays."""
        return {"confusion": self._confusion, "loss": self._loss}

    def load_state(self, state: dict[str, Any], name: str | None = None) -> None:
        """Continue from what :meth:`state` returned.

        Parameters
        ----------
        state : dict
        name : {"numpy", "cupy"}, optional
            Where the next batches will be; the current backend unless named.

        Raises
        ------
        CheckpointError
            The state is no metrics' state.
        """
        if set(state) != {"confusion", "loss"}:
            raise CheckpointError(f"metrics: the stored state has {sorted(state)}, not the sums")
        self._confusion, self._loss = (
            None if value is None else backend.asarray(value, name)
            for value in (state["confusion"], state["loss"])
        )


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return part / np.maximum(whole, 1)  # where the whole is 0, so is the part
