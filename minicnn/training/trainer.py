"""Trainer: the training loop, with validation and callbacks, resumable to the same bits."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NoReturn

from minicnn import backend
from minicnn.autograd import Tensor
from minicnn.errors import NotANumberError, OptionError
from minicnn.nn.module import Module
from minicnn.ops.class_loss import cross_entropy
from minicnn.optim.average import ExponentialMovingAverage
from minicnn.optim.clip import clip_grad_norm_
from minicnn.optim.optimizer import Optimizer
from minicnn.optim.schedules import Schedule
from minicnn.training.callbacks import Callback, Monitor
from minicnn.training.checkpoint import read_checkpoint
from minicnn.training.evaluation import Loss, evaluate
from minicnn.training.history import History
from minicnn.training.interrupt import Interrupted, StopRequest, stop_requests
from minicnn.training.metrics import Metrics, Scores
from minicnn.training.self_adaptive import SelfAdaptiveTargets
from minicnn.training.state import restore
from minicnn.training.symmetry import MirrorSymmetry

__all__ = ["Trainer"]


def _check_parts(model: Any, optimizer: Any, callbacks: Any, symmetry: Any, targets: Any) -> None:
    # What would train nothing, or fail much later, is told at once.
    for name, value, kind in (("model", model, Module), ("optimizer", optimizer, Optimizer)):
        if not isinstance(value, kind):
            raise TypeError(
                f"Trainer: {name}: expected a {kind.__name__}, got {type(value).__name__}"
            )
    own = {id(parameter) for parameter in model.parameters()}
    if not any(id(each) in own for group in optimizer.param_groups for each in group["params"]):
        raise OptionError(
            "Trainer: the optimizer has no parameter of the model; make it with model.parameters()"
        )
    if not isinstance(callbacks, Sequence) or not all(isinstance(c, Callback) for c in callbacks):
        raise TypeError("Trainer: callbacks: expected a list of Callback objects")
    if symmetry is not None and not isinstance(symmetry, MirrorSymmetry):
        raise TypeError(
            f"Trainer: symmetry: expected a MirrorSymmetry, got {type(symmetry).__name__}"
        )
    if symmetry is not None and symmetry.model is not model:
        raise OptionError("Trainer: the symmetry is of another model; make it of this one")
    if targets is not None and not isinstance(targets, SelfAdaptiveTargets):
        raise TypeError(
            f"Trainer: targets: expected SelfAdaptiveTargets, got {type(targets).__name__}"
        )


def _check_helpers(
    model: Module,
    optimizer: Optimizer,
    schedule: Schedule | None,
    average: ExponentialMovingAverage | None,
) -> None:
    # A schedule or an average of something else would do nothing.
    if schedule is not None and schedule.optimizer is not optimizer:
        raise OptionError(
            "Trainer: the schedule is of another optimizer; make it with the one given here"
        )
    if average is not None and not average.is_of(model):
        raise OptionError("Trainer: the average is of another model; make it of this one")


CHECK_INTERVAL = 16  # batches between two looks for a NaN: each look waits for a GPU


class Trainer:
    """Trains a model on batches of images and labels.

    Parameters
    ----------
    model : Module
        Images (N, H, W, C) to logits (N, K).
    optimizer : Optimizer
        Of the model's parameters.
    loss : callable, optional
        (logits, labels) to a Tensor of shape (), the mean over the batch; cross-entropy by default.
        The validation uses it as well.
    schedule : Schedule, optional
        Stepped after each batch or each epoch, as its ``interval`` says.
    schedule_metric : str
        Column of the history that a schedule goes by which needs a metric.
    callbacks : sequence of Callback
    clip_norm : float, optional
        The gradients' common norm is clipped to it.
    average : ExponentialMovingAverage, optional
        Updated after each step. The validation then uses the average's weights.
    symmetry : MirrorSymmetry, optional
        Of the model; kept in each step.
    targets : SelfAdaptiveTargets, optional
        Of the training images, whose loader must give their rows in the place of labels.

    Attributes
    ----------
    epoch : int
        Completed epochs.
    epochs : int
        That there are to be.
    batch : int
        Batches done of the current epoch.
    history : History
    stop_reason : str or None
        Why the training ended before its last epoch.
    train_loader, validation_loader
        What ``fit`` was given.
    metrics : Metrics
        Of the current epoch's training batches.
    learning_rate : float
        Of the last batch, in the first parameter group.
    training_seconds, seconds : float
        Time that the current epoch took so far when it was broken off: its training, and all of it.
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        *,
        loss: Loss | None = None,
        schedule: Schedule | None = None,
        schedule_metric: str = "validation_loss",
        callbacks: Sequence[Callback] = (),
        clip_norm: float | None = None,
        average: ExponentialMovingAverage | None = None,
        symmetry: MirrorSymmetry | None = None,
        targets: SelfAdaptiveTargets | None = None,
    ) -> None:
        if schedule is not None and schedule.needs_metric and schedule.interval != "epoch":
            raise OptionError(
                f"Trainer: {type(schedule).__name__} goes by a metric of the epoch; make it with "
                "interval='epoch'"
            )
        _check_parts(model, optimizer, callbacks, symmetry, targets)
        _check_helpers(model, optimizer, schedule, average)
        self._schedule_monitor = Monitor("Trainer: the schedule", schedule_metric)
        self.model = model
        self.optimizer = optimizer
        self.loss: Loss = cross_entropy if loss is None else loss
        self.schedule = schedule
        self.schedule_metric = schedule_metric
        self.callbacks = sorted(callbacks, key=lambda callback: callback.last)
        self.clip_norm = clip_norm
        self.average = average
        self.symmetry = symmetry
        self.targets = targets
        self.history = History()
        self.epoch = 0
        self.epochs = 0
        self.stop_reason: str | None = None
        self.train_loader: Any = None
        self.validation_loader: Any = None
        self._begin_epoch()
        self._request = StopRequest()

    def _begin_epoch(self) -> None:
        self.batch = 0
        self.metrics = Metrics()
        self.learning_rate = 0.0
        self.training_seconds = 0.0
        self.seconds = 0.0
        self._started = 0.0
        self._unchecked: list[Any] = []  # losses that nobody has looked at yet

    # -- the loop --------------------------------------------------------------------------------

    def fit(
        self,
        train_loader: Any,
        validation_loader: Any = None,
        *,
        epochs: int,
        resume: str | os.PathLike[str] | None = None,
    ) -> History:
        """Train until so many epochs are completed, those of earlier calls included.

        Ctrl-C (or SIGTERM) stops between two batches, after the callbacks had their
        ``on_interrupt``; a second one stops at once. Without `resume`, an epoch that was broken off
        in an earlier call is begun anew.

        Parameters
        ----------
        train_loader, validation_loader : DataLoader
            Or any iterable of (images, labels) with a length, ``state`` and ``load_state``.
        epochs : int
            1 or more.
        resume : str or os.PathLike, optional
            Checkpoint to go on from: with the same model, data and options, all that follows is
            bit for bit what an uninterrupted run gives.

        Returns
        -------
        History

        Raises
        ------
        NotANumberError
            The loss became NaN or infinite; names the epoch and the batch.
        Interrupted
            A signal asked to stop.
        CheckpointError
            The checkpoint is damaged, or of another model, optimiser or data set.
        """
        if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
            raise OptionError(f"Trainer: epochs: expected an integer of 1 or more, got {epochs!r}")
        if not hasattr(train_loader, "__len__") or not len(train_loader):
            raise OptionError(
                "Trainer: the training loader must be a DataLoader, or a list, of one batch or more"
            )
        if self.targets is not None:
            self.targets.check(train_loader)
        self.train_loader, self.validation_loader = train_loader, validation_loader
        if self.schedule is not None and self.schedule.needs_metric:
            self._schedule_monitor.check(self)
        self.epochs = epochs
        self.stop_reason = None
        self._begin_epoch()
        if resume is not None:
            restore(self, read_checkpoint(resume))
        try:
            with stop_requests() as self._request:
                self._tell("on_fit_start")
                while self.epoch < epochs and self.stop_reason is None:
                    self._run_epoch()
                    if self._request.requested:
                        raise Interrupted(f"stopped after epoch {self.epoch}")
        finally:
            self._tell("on_fit_end")
        return self.history

    def stop(self, reason: str) -> None:
        """End the training after the current epoch; for callbacks."""
        self.stop_reason = reason

    def _tell(self, event: str) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self)

    def _run_epoch(self) -> None:
        self._started = time.perf_counter() - self.seconds
        self._tell("on_epoch_start")
        if self.batch < len(self.train_loader):
            self._train()
        scores = self.metrics.result()
        try:
            validation = None if self.validation_loader is None else self._validate()
        except Interrupted:
            self._break_off()  # here, where the model has its own weights again, not the average
        self.seconds = time.perf_counter() - self._started
        self.history.append(self._row(scores, validation))
        self.epoch += 1
        self._begin_epoch()
        if self.schedule is not None and self.schedule.interval == "epoch":
            needs = self.schedule.needs_metric
            self.schedule.step(self.history[-1][self.schedule_metric] if needs else None)
        self._tell("on_epoch_end")
        self._tell("on_epoch_saved")

    def _train(self) -> None:
        self.model.train()
        batches = len(self.train_loader)
        for images, labels in self.train_loader:
            self._step(images, labels)
            self.batch += 1
            if len(self._unchecked) == CHECK_INTERVAL:
                self._refuse_nan()
            self._tell("on_batch_end")
            if self._request.requested and self.batch < batches:
                self._break_off()
        self._refuse_nan()
        self.training_seconds = time.perf_counter() - self._started

    def _step(self, images: Tensor, labels: Tensor) -> None:
        self.optimizer.zero_grad()  # before the forward pass, which can use the memory
        rows, targets = labels, labels
        if self.targets is not None:
            targets, labels = self.targets.of(rows)
        logits = self.model(images)
        loss = self.loss(logits, targets)
        loss.backward()
        if self.symmetry is not None:
            self.symmetry.project()
        if self.clip_norm is not None:
            clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.learning_rate = self.optimizer.param_groups[0]["lr"]
        self.optimizer.step()
        if self.average is not None:
            self.average.update()
        if self.schedule is not None and self.schedule.interval == "batch":
            self.schedule.step()
        if self.targets is not None:
            self.targets.adapt(rows, logits, self.epoch)
        self.metrics.update(logits, labels, loss)
        self._unchecked.append(loss.data)

    def _refuse_nan(self) -> None:
        """Look at the losses since the last look, in one read from the device."""
        if not self._unchecked:
            return
        losses = backend.to_numpy(backend.xp(*self._unchecked).stack(self._unchecked))
        for number, loss in enumerate(losses, self.batch - len(losses) + 1):
            if not math.isfinite(loss):
                raise NotANumberError(
                    f"epoch {self.epoch + 1}, batch {number} of {len(self.train_loader)}: the loss "
                    f"is {loss}; lower the learning rate, clip the gradients, or look for the "
                    "cause with minicnn.detect_anomaly()"
                )
        self._unchecked = []

    def _validate(self) -> Scores:
        with self._validated_model():
            scores = evaluate(self.model, self._watched(self.validation_loader), loss=self.loss)
        if scores.loss is None or not math.isfinite(scores.loss):
            raise NotANumberError(
                f"epoch {self.epoch + 1}: the validation loss is {scores.loss}; lower the learning "
                "rate, or clip the gradients"
            )
        return scores

    def _validated_model(self) -> AbstractContextManager[Any]:
        return nullcontext() if self.average is None else self.average.average_weights()

    def validated_weights(self) -> dict[str, Any]:
        """Return a copy of the weights that are validated: the model's, or their average."""
        with self._validated_model():
            return self.model.state_dict()

    def _watched(self, loader: Iterable[Any]) -> Iterator[Any]:
        # The epoch's training is whole here: a resumed run has only the validation to do anew.
        for batch in loader:
            if self._request.requested:
                raise Interrupted
            yield batch

    def _break_off(self) -> NoReturn:
        self._refuse_nan()
        self.seconds = time.perf_counter() - self._started
        self._tell("on_interrupt")
        raise Interrupted(f"stopped in epoch {self.epoch + 1}, after batch {self.batch}")

    def _row(self, train: Scores, validation: Scores | None) -> dict[str, Any]:
        return {
            "epoch": self.epoch + 1,
            "train_loss": train.loss,
            "train_accuracy": train.accuracy,
            "validation_loss": None if validation is None else validation.loss,
            "validation_accuracy": None if validation is None else validation.accuracy,
            "learning_rate": self.learning_rate,
            "seconds": round(self.seconds, 3),
            "images_per_second": round(train.count / max(self.training_seconds, 1e-9), 1),
        }
