"""Adagrad: steps scaled by the root of the sum of all squared gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minicnn.optim.checks import not_negative
from minicnn.optim.optimizer import Optimizer, Parameters, decayed

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """Adagrad.

    In step t, with gradient g (plus ``weight_decay * w``)::

        s = s + g**2
        w = w - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)

    Duchi, Hazan and Singer (2011), "Adaptive subgradient methods for online learning and stochastic
    optimization".

    Parameters
    ----------
    parameters : iterable of Tensor, or of dict
        See :class:`~minicnn.optim.optimizer.Optimizer`.
    lr : float
        Learning rate.
    lr_decay : float
        How fast the learning rate falls with the number of steps.
    weight_decay : float
        Factor of the L2 penalty's gradient.
    initial_accumulator_value : float
        s before the first step.
    eps : float
        Added to the denominator.

    Raises
    ------
    OptionError
        A value out of range.

    Notes
    -----
    Keras: ``learning_rate`` is 0.001, ``initial_accumulator_value`` 0.1 and ``epsilon`` 1e-7 by
    default, and epsilon is added below the root; it has no ``lr_decay``.
    """

    checks = {
        "lr": not_negative,
        "lr_decay": not_negative,
        "weight_decay": not_negative,
        "initial_accumulator_value": not_negative,
        "eps": not_negative,
    }

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-2,
        *,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "eps": eps,
        }
        super().__init__(parameters, defaults)

    def array_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Return the name of s."""
        return ("sum",)

    def start_value(self, name: str, group: dict[str, Any]) -> float:
        """Return what s is before the first step."""
        return group["initial_accumulator_value"]

    def update(self, xp: Any, group: dict[str, Any], step: int, parts: Iterator[tuple]) -> None:
        """Make one step; see the class for the formula."""
        lr = group["lr"] / (1 + (step - 1) * group["lr_decay"])
        for w, g, s, a, b in parts:
            g = decayed(xp, g, w, group["weight_decay"], a)
            xp.multiply(g, g, out=b)
            s += b
            xp.sqrt(s, out=b)
            b += group["eps"]
            xp.divide(g, b, out=b)
            b *= lr
            w -= b
