"""RMSprop: steps scaled by a running mean of the squared gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minicnn.optim.checks import not_negative, share, switch
from minicnn.optim.optimizer import Optimizer, Parameters, decayed

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """RMSprop.

    With gradient g (plus ``weight_decay * w``)::

        s = alpha * s + (1 - alpha) * g**2
        w = w - lr * g / (sqrt(s) + eps)

    ``centered`` takes the variance, ``s - (running mean of g)**2``, for s in the last line; with
    momentum the quotient enters a velocity, ``u = momentum * u + g / (sqrt(s) + eps)``, and
    ``w = w - lr * u``. Hinton (2012), lecture 6e of "Neural networks for machine learning";
    centered: Graves (2013), "Generating sequences with recurrent neural networks".

    Parameters
    ----------
    parameters : iterable of Tensor, or of dict
        See :class:`~minicnn.optim.optimizer.Optimizer`.
    lr : float
        Learning rate.
    alpha : float
        Share of the running mean that a step keeps, from 0 to 1.
    eps : float
        Added to the denominator.
    weight_decay : float
        Factor of the L2 penalty's gradient.
    momentum : float
        Share of the velocity that a step keeps; 0 keeps no velocity.
    centered : bool
        Divide by the standard deviation of the gradient instead of its root mean square.

    Raises
    ------
    OptionError
        A value out of range.

    Notes
    -----
    Keras: ``learning_rate`` is 0.001, ``rho`` (alpha) 0.9 and ``epsilon`` 1e-7 by default, and
    epsilon is added below the root. With momentum Keras keeps ``lr * u`` as the velocity.
    """

    checks = {
        "lr": not_negative,
        "alpha": share,
        "eps": not_negative,
        "weight_decay": not_negative,
        "momentum": not_negative,
        "centered": switch,
    }

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-2,
        *,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
        }
        super().__init__(parameters, defaults)

    def array_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Return the names of s, of the running mean if centered, and of the velocity if any."""
        names = ["square_avg"]
        names += ["grad_avg"] * group["centered"]
        names += ["momentum_buffer"] * bool(group["momentum"])
        return tuple(names)

    def update(self, xp: Any, group: dict[str, Any], step: int, parts: Iterator[tuple]) -> None:
        """Make one step; see the class for the formula."""
        lr, alpha, eps, momentum = group["lr"], group["alpha"], group["eps"], group["momentum"]
        for w, g, s, *kept, a, b in parts:
            g = decayed(xp, g, w, group["weight_decay"], a)
            xp.multiply(g, g, out=b)
            b *= 1 - alpha
            s *= alpha
            s += b
            if group["centered"]:
                mean = kept[0]
                xp.subtract(g, mean, out=b)
                b *= 1 - alpha
                mean += b
                xp.multiply(mean, mean, out=b)
                xp.subtract(s, b, out=b)
                xp.maximum(b, 0, out=b)  # rounding can leave a variance just below 0
                xp.sqrt(b, out=b)
            else:
                xp.sqrt(s, out=b)
            b += eps
            xp.divide(g, b, out=b)
            if momentum:
                u = kept[-1]
                u *= momentum
                u += b
                xp.multiply(u, lr, out=b)
            else:
                b *= lr
            w -= b
