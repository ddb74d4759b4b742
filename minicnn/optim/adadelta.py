"""Adadelta: steps whose size follows from the running means of earlier steps and gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minicnn.optim.checks import not_negative, share
from minicnn.optim.optimizer import Optimizer, Parameters, decayed

__all__ = ["Adadelta"]


class Adadelta(Optimizer):
    """Adadelta.

    With gradient g (plus ``weight_decay * w``)::

        s = rho * s + (1 - rho) * g**2
        d = sqrt(u + eps) / sqrt(s + eps) * g
        u = rho * u + (1 - rho) * d**2
        w = w - lr * d

    Zeiler (2012), "ADADELTA: an adaptive learning rate method", where lr is 1.

    Parameters
    ----------
    parameters : iterable of Tensor, or of dict
        See :class:`~minicnn.optim.optimizer.Optimizer`.
    lr : float
        Factor of the step.
    rho : float
        Share of the running means that a step keeps, from 0 to 1.
    eps : float
        Added below both roots; it sets the size of the first steps.
    weight_decay : float
        Factor of the L2 penalty's gradient.

    Raises
    ------
    OptionError
        A value out of range.

    Notes
    -----
    Keras: ``learning_rate`` is 0.001 (1.0 in Keras before TensorFlow 2), ``rho`` 0.95 and
    ``epsilon`` 1e-7 by default.
    """

    checks = {
        "lr": not_negative,
        "rho": share,
        "eps": not_negative,
        "weight_decay": not_negative,
    }

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1.0,
        *,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay}
        super().__init__(parameters, defaults)

    def array_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Return the names of s and u."""
        return "square_avg", "acc_delta"

    def update(self, xp: Any, group: dict[str, Any], step: int, parts: Iterator[tuple]) -> None:
        """Make one step; see the class for the formula."""
        lr, rho, eps = group["lr"], group["rho"], group["eps"]
        for w, g, s, u, a, b in parts:
            g = decayed(xp, g, w, group["weight_decay"], a)
            xp.multiply(g, g, out=b)
            b *= 1 - rho
            s *= rho
            s += b
            xp.add(s, eps, out=b)
            xp.sqrt(b, out=b)
            xp.divide(g, b, out=b)
            xp.add(u, eps, out=a)  # over the gradient with decay, which has had its use
            xp.sqrt(a, out=a)
            b *= a
            xp.multiply(b, b, out=a)
            a *= 1 - rho
            u *= rho
            u += a
            b *= lr
            w -= b
