"""Learning-rate schedules: the learning rate as a function of the epoch or of the batch."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from minicnn.errors import CheckpointError, OptionError
from minicnn.optim.checks import integer, not_negative, one_of, positive, share
from minicnn.optim.optimizer import Optimizer

__all__ = [
    "CosineAnnealingLR",
    "ExponentialLR",
    "MultiStepLR",
    "Schedule",
    "StepLR",
    "WarmupLR",
]

INTERVALS = ("epoch", "batch")


class Schedule:
    """Base of the schedules: sets the learning rate of every parameter group after each step.

    A subclass declares :meth:`rate`, a pure function of the number of steps, so that a schedule is
    resumed by that number alone.

    Parameters
    ----------
    optimizer : Optimizer
        Its groups' learning rates are where the schedule starts from.
    interval : {"epoch", "batch"}
        After what the training loop should call :meth:`step`.

    Attributes
    ----------
    steps : int
        How often :meth:`step` was called.
    base_lrs : list of float
        The learning rate from which each group started.
    needs_metric : bool
        Whether :meth:`step` must be given a metric.
    """

    needs_metric: bool = False

    def __init__(self, optimizer: Optimizer, interval: str) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{self._name}: expected an Optimizer, got {type(optimizer).__name__}; "
                "pass the optimiser whose learning rate is to change"
            )
        self.optimizer = optimizer
        self.interval = one_of(f"{self._name}: interval", interval, INTERVALS)
        self.base_lrs: list[float] = [group["lr"] for group in optimizer.param_groups]
        self.steps = 0

    @property
    def _name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        hidden = ("optimizer", "base_lrs", "steps")
        options = (f"{name}={value!r}" for name, value in vars(self).items() if name not in hidden)
        return f"{self._name}({', '.join(options)})"

    def rate(self, base: float, step: int) -> float:
        """Return the learning rate after a number of steps in a group that started from `base`."""
        raise NotImplementedError

    def values(self, step: int) -> list[dict[str, Any]]:
        """Return the hyperparameters that each group has after a number of steps.

        Parameters
        ----------
        step : int
            0 is the start; nothing is changed by asking.

        Returns
        -------
        list of dict
            ``{"lr": ...}`` for each group; a schedule that moves the momentum as well names it.
        """
        return [{"lr": self.rate(base, step)} for base in self.base_lrs]

    def step(self, metric: Any = None) -> None:
        """Go one step on and set the groups' hyperparameters.

        Parameters
        ----------
        metric : number, optional
            What :class:`~minicnn.optim.plateau.ReduceLROnPlateau` goes by; the others ignore it.
        """
        self._apply(self.steps + 1)
        self.steps += 1

    def _groups(self) -> list[dict[str, Any]]:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.base_lrs):
            raise OptionError(
                f"{self._name}: the optimiser has {len(groups)} parameter groups, it had "
                f"{len(self.base_lrs)} when the schedule was made; make the schedule after "
                "add_param_group"
            )
        return groups

    def _apply(self, step: int) -> None:
        for group, values in zip(self._groups(), self.values(step), strict=True):
            group.update(values)

    def state(self) -> dict[str, Any]:
        """Return the progress, as a dict that JSON can hold."""
        return {"class": self._name, "steps": self.steps, "base_lrs": list(self.base_lrs)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue where :meth:`state` was taken, and set the groups' hyperparameters.

        Raises
        ------
        CheckpointError
            The state is that of another class or number of groups, or incomplete.
        """
        self._read(state)
        self._apply(self.steps)

    def _read(self, state: Mapping[str, Any]) -> None:
        name = state.get("class")
        if name != self._name:
            raise CheckpointError(f"{self._name}: the saved state is that of {name}")
        missing = sorted(set(self.state()) - set(state))
        if missing:
            raise CheckpointError(f"{self._name}: the saved state lacks {missing[0]!r}")
        if len(state["base_lrs"]) != len(self.base_lrs):
            raise CheckpointError(
                f"{self._name}: the saved state is for {len(state['base_lrs'])} parameter groups, "
                f"the optimiser has {len(self.base_lrs)}"
            )
        self.base_lrs = list(state["base_lrs"])
        self.steps = state["steps"]


class StepLR(Schedule):
    """Multiply the learning rate by `gamma` every `step_size` steps.

    Parameters
    ----------
    optimizer : Optimizer
    step_size : int
    gamma : float
    interval : {"epoch", "batch"}
        See :class:`Schedule`.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        step_size: int,
        gamma: float = 0.1,
        *,
        interval: str = "epoch",
    ) -> None:
        super().__init__(optimizer, interval)
        self.step_size = integer("StepLR: step_size", step_size)
        self.gamma = positive("StepLR: gamma", gamma)

    def rate(self, base: float, step: int) -> float:
        """Return ``base * gamma ** (step // step_size)``."""
        return base * self.gamma ** (step // self.step_size)


class MultiStepLR(Schedule):
    """Multiply the learning rate by `gamma` after each of some numbers of steps.

    Parameters
    ----------
    optimizer : Optimizer
    milestones : sequence of int
        1 or more, in any order; one that is named twice counts twice.
    gamma : float
    interval : {"epoch", "batch"}
        See :class:`Schedule`.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Sequence[int],
        gamma: float = 0.1,
        *,
        interval: str = "epoch",
    ) -> None:
        super().__init__(optimizer, interval)
        self.milestones = sorted(integer("MultiStepLR: milestones", each) for each in milestones)
        self.gamma = positive("MultiStepLR: gamma", gamma)

    def rate(self, base: float, step: int) -> float:
        """Return ``base * gamma ** (number of milestones reached)``."""
        return base * self.gamma ** bisect_right(self.milestones, step)


class ExponentialLR(Schedule):
    """Multiply the learning rate by `gamma` in every step.

    Parameters
    ----------
    optimizer : Optimizer
    gamma : float
    interval : {"epoch", "batch"}
        See :class:`Schedule`.
    """

    def __init__(self, optimizer: Optimizer, gamma: float, *, interval: str = "epoch") -> None:
        super().__init__(optimizer, interval)
        self.gamma = positive("ExponentialLR: gamma", gamma)

    def rate(self, base: float, step: int) -> float:
        """Return ``base * gamma ** step``."""
        return base * self.gamma**step


class CosineAnnealingLR(Schedule):
    """Lower the learning rate to `eta_min` along half a cosine wave.

    Loshchilov and Hutter (2017), "SGDR: stochastic gradient descent with warm restarts", without
    the restarts: as in PyTorch, the wave goes up again after `T_max` steps.

    Parameters
    ----------
    optimizer : Optimizer
    T_max : int
        Steps to the lowest learning rate.
    eta_min : float
        The lowest learning rate.
    interval : {"epoch", "batch"}
        See :class:`Schedule`.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_max: int,
        eta_min: float = 0.0,
        *,
        interval: str = "epoch",
    ) -> None:
        super().__init__(optimizer, interval)
        self.T_max = integer("CosineAnnealingLR: T_max", T_max)
        self.eta_min = not_negative("CosineAnnealingLR: eta_min", eta_min)

    def rate(self, base: float, step: int) -> float:
        """Return ``eta_min + (base - eta_min) * (1 + cos(pi * step / T_max)) / 2``."""
        wave = (1 + math.cos(math.pi * step / self.T_max)) / 2
        return self.eta_min + (base - self.eta_min) * wave


class WarmupLR(Schedule):
    """Raise the learning rate linearly to its full height, then hold it or follow another schedule.

    Goyal et al. (2017), "Accurate, large minibatch SGD". Equals PyTorch's ``LinearLR``, and with
    `after` its ``SequentialLR([LinearLR(...), after], milestones=[steps])``.

    Parameters
    ----------
    optimizer : Optimizer
    steps : int
        Length of the warm-up.
    after : Schedule, optional
        Begins when the warm-up has ended; a new schedule of the same optimiser.
    start_factor : float
        Share of the learning rate with which the warm-up begins, from 0 to 1.
    interval : {"epoch", "batch"}, optional
        See :class:`Schedule`. That of `after`, or else ``"epoch"``, by default.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        steps: int,
        *,
        after: Schedule | None = None,
        start_factor: float = 1 / 3,
        interval: str | None = None,
    ) -> None:
        if interval is None:
            interval = after.interval if after is not None else "epoch"
        super().__init__(optimizer, interval)
        self.warmup_steps = integer("WarmupLR: steps", steps)
        self.start_factor = share("WarmupLR: start_factor", start_factor)
        self.after = after
        if after is not None:
            if after.optimizer is not optimizer or after.steps:
                raise OptionError(
                    "WarmupLR: the schedule that follows must be new and of the same optimiser"
                )
            if after.interval != interval:
                raise OptionError(
                    f"WarmupLR: its interval is {interval!r}, that of the schedule that follows "
                    f"{after.interval!r}; count both in batches or both in epochs"
                )
            self.needs_metric = after.needs_metric
        self._apply(self.steps)

    def rate(self, base: float, step: int) -> float:
        """Return ``base`` times a factor that rises from start_factor to 1."""
        if step >= self.warmup_steps:
            return base
        return base * (self.start_factor + (1 - self.start_factor) * step / self.warmup_steps)

    def values(self, step: int) -> list[dict[str, Any]]:
        """Return the hyperparameters that each group has after a number of steps."""
        if self.after is None or step <= self.warmup_steps:
            return super().values(step)
        return self.after.values(step - self.warmup_steps)

    def step(self, metric: Any = None) -> None:
        """Go one step on: in the warm-up, or in the schedule that follows."""
        if self.after is None or self.steps < self.warmup_steps:
            super().step()
        else:
            self.steps += 1
            self.after.step(metric)

    def state(self) -> dict[str, Any]:
        """Return the progress, also that of the schedule that follows, as JSON can hold it."""
        after = None if self.after is None else self.after.state()
        return {**super().state(), "after": after}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue where :meth:`state` was taken; see :class:`Schedule`."""
        self._read(state)
        saved = state["after"]
        if (saved is None) != (self.after is None):
            raise CheckpointError(
                "WarmupLR: only one of the saved state and this schedule has one that follows"
            )
        if self.after is not None:
            self.after.load_state(saved)
        if self.after is None or self.steps <= self.warmup_steps:
            self._apply(self.steps)
