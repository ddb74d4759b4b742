"""Callbacks: what goes on beside the training, told by the trainer when something happens."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from minicnn.errors import OptionError
from minicnn.io.weights import WeightsMetadata, save_weights
from minicnn.nn.module import Module
from minicnn.training.checkpoint import write_checkpoint
from minicnn.training.state import snapshot

if TYPE_CHECKING:
    from minicnn.training.trainer import Trainer

__all__ = ["BestModel", "Callback", "Checkpoint", "EarlyStopping", "HistoryWriter"]

MONITORS = ("validation_accuracy", "validation_loss", "train_accuracy", "train_loss")


class Callback:
    """Base of the callbacks, which does nothing. Its methods get the trainer, which tells the rest.

    Attributes
    ----------
    last : bool
        Whether it is called after all callbacks that are not; the others keep their order.
    """

    last: bool = False

    def on_fit_start(self, trainer: Trainer) -> None:
        """Before the first epoch of a call of ``fit``, with the checkpoint loaded on a resume."""

    def on_epoch_start(self, trainer: Trainer) -> None:
        """Before the first batch of an epoch, or the first after a resume in its midst."""

    def on_batch_end(self, trainer: Trainer) -> None:
        """After a training batch; reading a value from the device here slows the training."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        """After the validation; ``trainer.history`` has the epoch's row."""

    def on_epoch_saved(self, trainer: Trainer) -> None:
        """After ``on_epoch_end`` of all callbacks: a checkpoint, if one is written, has the epoch.

        Files that can be made anew from a checkpoint are written here: killed in between, a run
        goes on from what it has.
        """

    def on_interrupt(self, trainer: Trainer) -> None:
        """Before training breaks off between two batches because a signal asked for it."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """At the end of ``fit``, whatever ended it."""

    def state(self) -> dict[str, Any]:
        """Return what a resumed run needs: a tree of numbers, texts and arrays."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue where :meth:`state` was taken."""


class Monitor:
    """Tells whether a column of the history has a new best value, and whether it is there."""

    def __init__(self, owner: str, column: str, min_delta: float = 0.0) -> None:
        if column not in MONITORS:
            raise OptionError(
                f"{owner}: monitor {column!r} is unknown; choose one of {', '.join(MONITORS)}"
            )
        if not 0 <= min_delta < math.inf:
            raise OptionError(f"{owner}: min_delta: expected 0 or more, got {min_delta!r}")
        self.owner = owner
        self.column = column
        self.min_delta = min_delta
        self.best: float | None = None
        self.epoch = 0

    def check(self, trainer: Trainer) -> None:
        """Refuse to watch a validation that does not take place."""
        if self.column.startswith("validation") and trainer.validation_loader is None:
            raise OptionError(
                f"{self.owner}: monitors {self.column}, but fit() got no validation loader"
            )

    def improved(self, trainer: Trainer) -> bool:
        """Take note of the last epoch; of equal values the first is the best."""
        row = trainer.history[-1]
        value = row[self.column]
        if self.best is not None:
            gain = self.best - value if self.column.endswith("loss") else value - self.best
            if not gain > self.min_delta:
                return False
        self.best, self.epoch = value, row["epoch"]
        return True

    def state(self) -> dict[str, Any]:
        return {"column": self.column, "best": self.best, "epoch": self.epoch}

    def load_state(self, state: dict[str, Any]) -> bool:
        """Continue, unless another column was watched before; tell whether it was the same."""
        if state["column"] != self.column:
            return False
        self.best, self.epoch = state["best"], state["epoch"]
        return True


class BestModel(Callback):
    """Keeps the weights of the best epoch (those that were validated: with an average, its own).

    Parameters
    ----------
    path : str or os.PathLike, optional
        Weights file to write at each new best epoch.
    metadata : WeightsMetadata, optional
        For the file; its ``training`` gets the epoch's row of the history.
    monitor : str
        Column of the history: validation or train, accuracy or loss.

    Attributes
    ----------
    weights : dict of str to array, or None
        The state dict of the best epoch.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        metadata: WeightsMetadata | None = None,
        monitor: str = "validation_accuracy",
    ) -> None:
        if path is not None and metadata is None:
            raise OptionError("BestModel: a weights file needs metadata; pass WeightsMetadata(...)")
        self.path = path
        self.metadata = metadata
        self.weights: dict[str, Any] | None = None
        self._row: dict[str, Any] = {}
        self._monitor = Monitor("BestModel", monitor)

    @property
    def epoch(self) -> int:
        """The best epoch, from 1; 0 before the first."""
        return self._monitor.epoch

    @property
    def value(self) -> float | None:
        """What the best epoch reached."""
        return self._monitor.best

    def restore(self, model: Module) -> None:
        """Put the best epoch's weights into a model.

        Raises
        ------
        OptionError
            There was no epoch yet.
        """
        if self.weights is None:
            raise OptionError("BestModel: there is no best epoch yet; train first")
        model.load_state_dict(self.weights)

    def on_fit_start(self, trainer: Trainer) -> None:
        """Write the file again on a resume: what lies there may be of a later, unfinished epoch."""
        self._monitor.check(trainer)
        self._write()

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Keep the weights if they are the best."""
        if self._monitor.improved(trainer):
            self.weights = trainer.validated_weights()
            self._row = dict(trainer.history[-1])

    def on_epoch_saved(self, trainer: Trainer) -> None:
        """Write the file, where the epoch is the best."""
        if self.epoch == trainer.epoch:
            self._write()

    def _write(self) -> None:
        if self.path is None or self.metadata is None or self.weights is None:
            return
        # Times differ from run to run, weights files of equal runs shall not.
        row = {k: v for k, v in self._row.items() if k not in ("seconds", "images_per_second")}
        training = {**self.metadata.training, **row}
        metadata = WeightsMetadata(**{**vars(self.metadata), "training": training})
        save_weights(self.path, self.weights, metadata=metadata)

    def state(self) -> dict[str, Any]:
        """Return the best value, its epoch and its weights."""
        return {"monitor": self._monitor.state(), "row": self._row, "weights": self.weights}

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue, or begin anew where another column was monitored."""
        if self._monitor.load_state(state["monitor"]):
            self._row, self.weights = state["row"], state["weights"]


class EarlyStopping(Callback):
    """Stops when a column of the history has not got better for some epochs.

    Parameters
    ----------
    patience : int
        That many epochs without a new best, 1 or more, end the training.
    monitor : str
        Column of the history: validation or train, accuracy or loss.
    min_delta : float
        What is better by no more than this does not count.
    """

    def __init__(
        self, patience: int, *, monitor: str = "validation_loss", min_delta: float = 0.0
    ) -> None:
        if isinstance(patience, bool) or not isinstance(patience, int) or patience < 1:
            raise OptionError(f"EarlyStopping: patience: expected 1 or more, got {patience!r}")
        self.patience = patience
        self._monitor = Monitor("EarlyStopping", monitor, min_delta)

    def on_fit_start(self, trainer: Trainer) -> None:
        """On a resume, stay stopped."""
        self._monitor.check(trainer)
        self._stop(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Stop if patience has come to its end."""
        self._monitor.improved(trainer)
        self._stop(trainer)

    def _stop(self, trainer: Trainer) -> None:
        if self._monitor.epoch and trainer.epoch - self._monitor.epoch >= self.patience:
            trainer.stop(
                f"no better {self._monitor.column} than that of epoch {self._monitor.epoch} "
                f"({self._monitor.best:.4f}) for {self.patience} epochs"
            )

    def state(self) -> dict[str, Any]:
        """Return the best value and its epoch."""
        return self._monitor.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue, or begin anew where another column was monitored."""
        self._monitor.load_state(state)


class HistoryWriter(Callback):
    """Writes the history as csv after every epoch: the whole table, so that no row comes twice.

    Parameters
    ----------
    path : str or os.PathLike
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path

    def on_fit_start(self, trainer: Trainer) -> None:
        """On a resume, make the file that of the checkpoint."""
        if len(trainer.history):
            trainer.history.write_csv(self.path)

    def on_epoch_saved(self, trainer: Trainer) -> None:
        """Write the table."""
        trainer.history.write_csv(self.path)


class Checkpoint(Callback):
    """Writes all that a resumed run needs after every epoch, and where a signal breaks one off.

    Parameters
    ----------
    path : str or os.PathLike
    """

    last = True  # the state of the other callbacks must have this epoch in it

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Write the file."""
        write_checkpoint(self.path, snapshot(trainer))

    def on_interrupt(self, trainer: Trainer) -> None:
        """Write the file."""
        write_checkpoint(self.path, snapshot(trainer))
