"""Targets that a network adapts to what it learns, so that it need not learn wrong labels by heart.

Huang, Zhang and Zhang, "Self-adaptive training: beyond empirical risk minimization" (2020).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import backend as backends
from minicnn.autograd import Tensor, no_grad
from minicnn.errors import CheckpointError, OptionError, ShapeError
from minicnn.nn.options import number, positive
from minicnn.ops.softmax import softmax
from minicnn.optim.saved import fitting_copy

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
        Targets and labels are not as described, or not of the same images and classes.
    OptionError
        The targets, the momentum or the start are out of range.

    Notes
    -----
    The loader of the training must give each image's row in the place of its label:
    ``DataLoader(images, np.arange(len(images)), ...)``, and cannot mix images. In the paper
    the loss is that of the target just moved, and is weighted by its largest value; here it is that
    of the target before, unweighted.

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
        if len(labels) and not 0 <= labels.min() <= labels.max() < targets.shape[1]:
            raise ShapeError(
                f"SelfAdaptiveTargets: labels go from {labels.min()} to {labels.max()}, the "
                f"targets are of {targets.shape[1]} classes"
            )
        if not ((targets >= 0) & (targets <= 1)).all():
            raise OptionError("SelfAdaptiveTargets: expected targets from 0 to 1, as probabilities")
        name = (backends.current() if backend is None else backends.choose(backend)).name
        self.targets = backends.asarray(targets.copy(), name)
        self._labels = backends.asarray(labels.astype(np.int64), name)
        self.momentum = number(momentum, "SelfAdaptiveTargets: momentum", 0, 1)
        self.start = positive(start, "SelfAdaptiveTargets: start", least=0)

    def check(self, loader: Any) -> None:
        """Refuse a loader that gives something else than the images' rows, as far as it can tell.

        Raises
        ------
        OptionError
            It has ``labels``, and they are not 0 to N - 1.
        """
        labels = getattr(loader, "labels", None)
        if labels is not None and not np.array_equal(labels, np.arange(len(self.targets))):
            raise OptionError(
                "SelfAdaptiveTargets: the training loader must give the images' rows in the place "
                "of labels: DataLoader(images, np.arange(len(images)), ...)"
            )

    def of(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the targets (B, K) and the labels (B,) of a batch.

        Parameters
        ----------
        rows : int64 Tensor of shape (B,)

        Raises
        ------
        OptionError
            These are no numbers of rows, or there are no such rows. On a GPU, where the check would
            have to wait for the device, the targets of such rows, and with them the loss, are NaN.
        BackendError
            They are on another backend than the targets.
        """
        if rows.ndim != 1 or rows.dtype.kind not in "ui":
            raise OptionError(
                "SelfAdaptiveTargets: the loader must give the images' rows in the place of "
                f"labels, got {rows.dtype} of shape {rows.shape}"
            )
        xp = backends.xp(self.targets, rows.data)
        count = len(self.targets)
        if xp is np and rows.data.size and not 0 <= rows.data.min() <= rows.data.max() < count:
            raise OptionError(
                f"SelfAdaptiveTargets: the loader gives rows from {int(rows.data.min())} to "
                f"{int(rows.data.max())}, there are targets for 0 to {count - 1}"
            )
        targets, labels = self.targets[rows.data % count], self._labels[rows.data % count]
        if xp is not np:
            known = (rows.data >= 0) & (rows.data < count)
            targets = xp.where(known[:, None], targets, xp.float32("nan"))
        return Tensor(targets), Tensor(labels)

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
        return {"targets": self.targets, "start": self.start}

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue where :meth:`state` was taken, with its start.

        Raises
        ------
        CheckpointError
            It is of another number of images or classes, or incomplete.
        """
        name = "SelfAdaptiveTargets"
        targets = fitting_copy(name, "targets", state.get("targets"), self.targets)
        try:
            self.start = positive(state.get("start"), f"{name}: start", least=0)
        except OptionError as error:
            raise CheckpointError(f"the saved state is damaged: {error}") from None
        self.targets = targets
