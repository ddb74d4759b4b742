"""ReduceLROnPlateau: lower the learning rate when a metric has stopped getting better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from minicnn.errors import OptionError
from minicnn.optim.checks import fraction, integer, not_negative, one_of, per_group
from minicnn.optim.optimizer import Optimizer
from minicnn.optim.schedules import Schedule

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(Schedule):
    """Multiply the learning rate by `factor` when a metric did not get better for some steps.

    The only schedule that does not follow from the number of steps: :meth:`step` takes the metric.

    Parameters
    ----------
    optimizer : Optimizer
    mode : {"min", "max"}
        Whether a smaller metric is better (a loss) or a larger one (an accuracy).
    factor : float
        From 0 to below 1.
    patience : int
        How many steps without a better metric are let pass; one more lowers the learning rate.
    threshold : float
        By how much a metric must be better than the best to count.
    threshold_mode : {"rel", "abs"}
        Whether `threshold` is a share of the best metric or a difference.
    cooldown : int
        Steps after a reduction in which nothing is counted.
    min_lr : float or list of float
        The lowest learning rate, of all groups or of each.
    eps : float
        A reduction that changes the learning rate by less is left out.
    interval : {"epoch", "batch"}
        See :class:`~minicnn.optim.schedules.Schedule`.

    Attributes
    ----------
    best : float or None
        The best metric so far.
    """

    needs_metric = True

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        *,
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0.0,
        eps: float = 1e-8,
        interval: str = "epoch",
    ) -> None:
        super().__init__(optimizer, interval)
        name = self._name
        self.mode = one_of(f"{name}: mode", mode, ("min", "max"))
        self.factor = fraction(f"{name}: factor", factor)
        self.patience = integer(f"{name}: patience", patience, 0)
        self.threshold = not_negative(f"{name}: threshold", threshold)
        self.threshold_mode = one_of(f"{name}: threshold_mode", threshold_mode, ("rel", "abs"))
        self.cooldown = integer(f"{name}: cooldown", cooldown, 0)
        groups = len(optimizer.param_groups)
        self.min_lr = per_group(f"{name}: min_lr", min_lr, groups, not_negative)
        self.eps = not_negative(f"{name}: eps", eps)
        self.best: float | None = None
        self._bad_steps = 0
        self._cooling = 0

    def values(self, step: int) -> list[dict[str, Any]]:
        """Raise OptionError: the learning rate follows from the metrics."""
        raise OptionError(f"{self._name}: the learning rate follows from metrics, not from steps")

    def step(self, metric: Any = None) -> None:
        """Take note of a metric, and lower the learning rate if it is time.

        Parameters
        ----------
        metric : number or Tensor of one element
            A NaN counts as no better.

        Raises
        ------
        OptionError
            There is no metric.
        """
        if metric is None:
            raise OptionError(f"{self._name}: step() needs the metric, as in step(loss)")
        self.steps += 1
        metric = float(metric)
        if self._is_better(metric):
            self.best = metric
            self._bad_steps = 0
        else:
            self._bad_steps += 1
        if self._cooling:
            self._cooling -= 1
            self._bad_steps = 0
        if self._bad_steps > self.patience:
            self._reduce()
            self._cooling = self.cooldown
            self._bad_steps = 0

    def _is_better(self, metric: float) -> bool:
        if self.best is None:
            return math.isfinite(metric)  # later metrics are compared with it
        margin = self.threshold * (self.best if self.threshold_mode == "rel" else 1)
        if self.mode == "max":
            return metric > self.best + margin
        return metric < self.best - margin

    def _reduce(self) -> None:
        for group, lowest in zip(self._groups(), self.min_lr, strict=True):
            lowered = max(group["lr"] * self.factor, lowest)
            if group["lr"] - lowered > self.eps:
                group["lr"] = lowered

    def state(self) -> dict[str, Any]:
        """Return the progress and the learning rates, as a dict that JSON can hold."""
        return {
            **super().state(),
            "lrs": [group["lr"] for group in self._groups()],
            "best": self.best,
            "bad_steps": self._bad_steps,
            "cooling": self._cooling,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue where :meth:`state` was taken; see :class:`Schedule`."""
        self._read(state)
        self.best = state["best"]
        self._bad_steps = state["bad_steps"]
        self._cooling = state["cooling"]
        for group, lr in zip(self._groups(), state["lrs"], strict=True):
            group["lr"] = lr
