"""Targets that a network adapts to what it learns, so that it need not learn wrong labels by heart.

Huang, Zhang and Zhang, "Self-adaptive training: beyond empirical risk minimization" (2020).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import backend as backends
from minicnn.autograd import Tensor, no_grad
from minicnn.errors import CheckpointError, OptionError, ShapeError
from minicnn.ops.softmax import softmax

__all__ = ["SelfAdaptiveTargets"]


class SelfAdaptiveTargets:
    """A target for each training image, which moves from its label to what the network says of it.

    A network learns first what many images have in common, and by heart, one by one, what does not
    fit that, such as wrong labels, much later. Each time that it has seen an image, the image's
    target t becomes ``momentum * t + (1 - momentum) * p`` with the probabilities p that the network
    gave it, in training mode and before the step.

    Parameters
    ----------
    targets : float array of shape (N, K)
        At first: labels as probabilities, perhaps smoothed.
    labels : int array of shape (N,)
        By which the accuracy is counted.
    momentum : float
        From 0 to 1; 0.9 in the paper.
    start : int
        Completed epochs before which targets stay as they are.
    backend : {"numpy", "cupy", "auto"}, optional
        That of the training's batches; the current one unless named.

    Attributes
    ----------
    targets : float32 array of shape (N, K)
        On the backend.

    Raises
    ------
    ShapeError
        Targets and labels are not as described, or not of the same images.
    OptionError
        The momentum or the start is out of range.

    Notes
    -----
    The loader of the training must give each image's row in the place of its label:
    ``DataLoader(images, np.arange(len(images)), ...)``, and cannot mix images. The paper also
    weights each image by its target's largest value, which is left out here.

    Examples
    --------
    >>> targets = SelfAdaptiveTargets(np.eye(7)[labels], labels, start=20)
    >>> Trainer(model, optimizer, targets=targets)
    """

    def __init__(
        self,
        targets: np.ndarray,
        labels: np.ndarray,
        *,
        momentum: float = 0.9,
        start: int = 0,
        backend: str | None = None,
    ) -> None:
        targets, labels = np.asarray(targets, np.float32), np.asarray(labels)
        if targets.ndim != 2 or labels.shape != targets.shape[:1] or labels.dtype.kind not in "ui":
            raise ShapeError(
                "SelfAdaptiveTargets: expected targets of shape (N, K) and N integer labels, got "
                f"{targets.shape} and {labels.dtype} {labels.shape}"
            )
        if not 0 <= momentum <= 1:
            raise OptionError(f"SelfAdaptiveTargets: momentum: expected 0 to 1, got {momentum!r}")
        if isinstance(start, bool) or not isinstance(start, int) or start < 0:
            raise OptionError(
                f"SelfAdaptiveTargets: start: expected an integer of 0 or more, got {start!r}"
            )
        name = (backends.current() if backend is None else backends.choose(backend)).name
        self.targets = backends.asarray(targets.copy(), name)
        self._labels = backends.asarray(labels.astype(np.int64), name)
        self.momentum = momentum
        self.start = start

    def of(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the targets (B, K) and the labels (B,) of a batch.

        Parameters
        ----------
        rows : int64 Tensor of shape (B,)

        Raises
        ------
        OptionError
            These are no rows of the targets.
        """
        if rows.ndim != 1 or rows.dtype.kind not in "ui":
            raise OptionError(
                "SelfAdaptiveTargets: the loader must give the images' rows in the place of "
                f"labels, got {rows.dtype} of shape {rows.shape}"
            )
        return Tensor(self.targets[rows.data]), Tensor(self._labels[rows.data])

    def adapt(self, rows: Tensor, logits: Tensor, epoch: int) -> None:
        """Move the targets of a batch.

        Parameters
        ----------
        rows : int64 Tensor of shape (B,)
        logits : Tensor of shape (B, K)
            What the network said.
        epoch : int
            Completed epochs.
        """
        if epoch < self.start:
            return
        with no_grad():
            probabilities = softmax(logits, axis=1).data
        before = self.targets[rows.data]
        self.targets[rows.data] = before + (1 - self.momentum) * (probabilities - before)

    def state(self) -> dict[str, Any]:
        """Return what a resumed run needs."""
        return {"targets": self.targets}

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue where :meth:`state` was taken.

        Raises
        ------
        CheckpointError
            It is of another number of images or classes.
        """
        targets = state["targets"]
        if targets.shape != self.targets.shape:
            raise CheckpointError(
                f"checkpoint: it has targets of shape {targets.shape}, this run "
                f"{self.targets.shape}; resume with the same data"
            )
        self.targets = backends.asarray(targets, backends.name_of(self.targets))
