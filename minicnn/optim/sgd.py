"""SGD: gradient descent with momentum, Nesterov's momentum and weight decay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minicnn.errors import OptionError
from minicnn.optim.checks import finite, not_negative, switch
from minicnn.optim.optimizer import Optimizer, Parameters, decayed

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent.

    With gradient g (plus ``weight_decay * w``), velocity v and learning rate lr::

        v = momentum * v + (1 - dampening) * g        (v = g in the first step)
        w = w - lr * v                                (Nesterov: lr * (g + momentum * v))

    Sutskever et al. (2013), "On the importance of initialization and momentum in deep learning",
    in PyTorch's form: the learning rate is applied to the velocity, not within it.

    Parameters
    ----------
    parameters : iterable of Tensor, or of dict
        See :class:`~minicnn.optim.optimizer.Optimizer`.
    lr : float
        Learning rate.
    momentum : float
        Share of the velocity that a step keeps; 0 keeps no velocity.
    dampening : float
        How much less than whole the gradient enters the velocity.
    weight_decay : float
        Factor of the L2 penalty's gradient.
    nesterov : bool
        Look ahead along the velocity; needs momentum and no dampening.

    Raises
    ------
    OptionError
        A value out of range, or Nesterov's momentum without momentum or with dampening.

    Notes
    -----
    Keras: its default ``learning_rate`` is 0.01, and it keeps ``lr * v`` as the velocity, which
    differs once the learning rate changes. ``weight_decay`` in Keras is decoupled, in every
    optimiser (see :class:`~minicnn.optim.adam.AdamW`).
    """

    checks = {
        "lr": not_negative,
        "momentum": not_negative,
        "dampening": finite,
        "weight_decay": not_negative,
        "nesterov": switch,
    }

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-3,
        *,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
        }
        super().__init__(parameters, defaults)

    def check_group(self, options: dict[str, Any]) -> None:
        """Refuse Nesterov's momentum without momentum or with dampening."""
        if options["nesterov"] and (not options["momentum"] or options["dampening"]):
            raise OptionError(
                f"SGD: nesterov=True needs a momentum above 0 and no dampening, got "
                f"momentum={options['momentum']} and dampening={options['dampening']}"
            )

    def array_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Return the velocity's name, if there is momentum."""
        return ("momentum_buffer",) if group["momentum"] else ()

    def update(self, xp: Any, group: dict[str, Any], step: int, parts: Iterator[tuple]) -> None:
        """Make one step; see the class for the formula."""
        lr, momentum, weight_decay = group["lr"], group["momentum"], group["weight_decay"]
        gain = 1.0 if step == 1 else 1.0 - group["dampening"]
        for w, g, *kept, a, b in parts:
            g = decayed(xp, g, w, weight_decay, a)
            if kept:
                v = kept[0]
                v *= momentum
                v += g if gain == 1 else xp.multiply(g, gain, out=b)
                if group["nesterov"]:
                    xp.multiply(v, momentum, out=b)
                    b += g
                    g = b
                else:
                    g = v
            xp.multiply(g, lr, out=b)
            w -= b
