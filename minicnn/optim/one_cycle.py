"""OneCycleLR: the learning rate goes up once and down once, the momentum the other way."""

from __future__ import annotations

import math
from typing import Any

from minicnn.errors import OptionError
from minicnn.optim.checks import fraction, integer, one_of, per_group, positive, share, switch
from minicnn.optim.optimizer import Optimizer
from minicnn.optim.schedules import Schedule

__all__ = ["OneCycleLR"]


class OneCycleLR(Schedule):
    """One cycle of the learning rate, from ``max_lr / div_factor`` to `max_lr` and far below.

    Smith and Topin (2018), "Super-convergence: very fast training of neural networks using large
    learning rates", in PyTorch's form. The learning rates that the groups had are not used.

    Parameters
    ----------
    optimizer : Optimizer
    max_lr : float or list of float
        The highest learning rate, of all groups or of each.
    total_steps : int, optional
        Length of the cycle; ``epochs * steps_per_epoch`` if it is not given.
    epochs, steps_per_epoch : int, optional
    pct_start : float
        Share of the cycle in which the learning rate rises, from 0 to 1.
    anneal_strategy : {"cos", "linear"}
        How it moves between two levels.
    cycle_momentum : bool
        Move the momentum, or beta1, from `max_momentum` to `base_momentum` and back meanwhile.
    base_momentum, max_momentum : float or list of float
        Of all groups or of each, from 0 to below 1.
    div_factor : float
        max_lr divided by the first learning rate.
    final_div_factor : float
        The first learning rate divided by the last one.
    three_phase : bool
        Come down as fast as it went up, and fall to the last learning rate in the rest.
    interval : {"epoch", "batch"}
        See :class:`~minicnn.optim.schedules.Schedule`.

    Raises
    ------
    OptionError
        No length, a value out of range, or `cycle_momentum` with an optimiser that has neither
        momentum nor beta1; in :meth:`step`, more steps than `total_steps`.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        *,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        interval: str = "batch",
    ) -> None:
        super().__init__(optimizer, interval)
        groups = len(optimizer.param_groups)
        self.max_lr = per_group("OneCycleLR: max_lr", max_lr, groups, positive)
        self.total_steps = _length(total_steps, epochs, steps_per_epoch)
        self.pct_start = share("OneCycleLR: pct_start", pct_start)
        self.anneal_strategy = one_of(
            "OneCycleLR: anneal_strategy", anneal_strategy, ("cos", "linear")
        )
        self.cycle_momentum = switch("OneCycleLR: cycle_momentum", cycle_momentum)
        self.base_momentum = per_group("OneCycleLR: base_momentum", base_momentum, groups, fraction)
        self.max_momentum = per_group("OneCycleLR: max_momentum", max_momentum, groups, fraction)
        self.div_factor = positive("OneCycleLR: div_factor", div_factor)
        self.final_div_factor = positive("OneCycleLR: final_div_factor", final_div_factor)
        self.three_phase = switch("OneCycleLR: three_phase", three_phase)
        if cycle_momentum and not {"momentum", "betas"} & set(optimizer.defaults):
            raise OptionError(
                f"OneCycleLR: {type(optimizer).__name__} has neither momentum nor beta1; "
                "pass cycle_momentum=False"
            )
        self._apply(0)

    def values(self, step: int) -> list[dict[str, Any]]:
        """Return the hyperparameters that each group has after a number of steps."""
        if step > self.total_steps:
            raise OptionError(
                f"OneCycleLR: step {step} of a cycle of {self.total_steps} steps; make the cycle "
                "as long as the training"
            )
        # The cycle ends in its last step; the call after that step holds what was reached.
        phase, done = self._place(min(step, self.total_steps - 1))
        found = []
        for index, group in enumerate(self._groups()):
            top = self.max_lr[index]
            first = top / self.div_factor
            rates = {"first": first, "top": top, "last": first / self.final_div_factor}
            values: dict[str, Any] = {"lr": self._between(rates[phase[0]], rates[phase[1]], done)}
            if self.cycle_momentum:
                momenta = {"low": self.base_momentum[index], "high": self.max_momentum[index]}
                momentum = self._between(momenta[phase[2]], momenta[phase[3]], done)
                if "betas" in group:
                    values["betas"] = (momentum, group["betas"][1])
                else:
                    values["momentum"] = momentum
            found.append(values)
        return found

    def _place(self, step: int) -> tuple[tuple[str, str, str, str], float]:
        # The phase that a step lies in (from and to which learning rate and momentum), and the
        # share of the phase that is done.
        rise = self.pct_start * self.total_steps
        phases = [(rise - 1, ("first", "top", "high", "low"))]
        if self.three_phase:
            phases.append((2 * rise - 2, ("top", "first", "low", "high")))
            phases.append((self.total_steps - 1, ("first", "last", "high", "high")))
        else:
            phases.append((self.total_steps - 1, ("top", "last", "low", "high")))
        start = 0.0
        while step > phases[0][0]:
            start = phases.pop(0)[0]
        end, phase = phases[0]
        return phase, (step - start) / (end - start) if end > start else 1.0

    def _between(self, start: float, end: float, done: float) -> float:
        if self.anneal_strategy == "cos":
            return end + (start - end) / 2 * (1 + math.cos(math.pi * done))
        return start + (end - start) * done


def _length(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    if total_steps is not None:
        return integer("OneCycleLR: total_steps", total_steps)
    if epochs is None or steps_per_epoch is None:
        raise OptionError("OneCycleLR: give total_steps, or epochs and steps_per_epoch")
    return integer("OneCycleLR: epochs", epochs) * integer(
        "OneCycleLR: steps_per_epoch", steps_per_epoch
    )
