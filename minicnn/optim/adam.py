"""Adam and AdamW: steps scaled by running means of the gradient and of its square."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from minicnn.optim.checks import fractions, not_negative, switch
from minicnn.optim.optimizer import Optimizer, Parameters, decayed

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """Adam, with weight decay as part of the gradient (L2).

    In step t, with gradient g (plus ``weight_decay * w``)::

        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        w = w - lr * m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + eps)

    Kingma and Ba (2015), "Adam: a method for stochastic optimization"; with ``amsgrad`` the largest
    v so far takes v's place in the last line (Reddi et al., 2018, "On the convergence of Adam and
    beyond").

    Parameters
    ----------
    parameters : iterable of Tensor, or of dict
        See :class:`~minicnn.optim.optimizer.Optimizer`.
    lr : float
        Learning rate.
    betas : pair of float
        beta1 and beta2, each from 0 to below 1.
    eps : float
        Added to the denominator.
    weight_decay : float
        Factor of the L2 penalty's gradient.
    amsgrad : bool
        Never let the denominator shrink.

    Raises
    ------
    OptionError
        A value out of range.

    Notes
    -----
    Keras: its ``epsilon`` is 1e-7 and is added to sqrt(v) before the correction by
    ``sqrt(1 - beta2**t)``, so that it weighs more in the first steps. The two agree closely with
    ``eps=1e-7`` here.

    The state has the parameters' type. In float16 an `eps` below 1e-6 is 0 in the first steps,
    where an element whose gradient is 0 becomes NaN: give 1e-4 there, or train in float32.
    """

    decoupled: ClassVar[bool] = False  # whether weight decay acts beside the gradient
    checks = {
        "lr": not_negative,
        "betas": fractions,
        "eps": not_negative,
        "weight_decay": not_negative,
        "amsgrad": switch,
    }

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
        }
        super().__init__(parameters, defaults)

    def array_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Return the names of m, v and, for AMSGrad, the largest v."""
        names = ("exp_avg", "exp_avg_sq")
        return (*names, "max_exp_avg_sq") if group["amsgrad"] else names

    def update(self, xp: Any, group: dict[str, Any], step: int, parts: Iterator[tuple]) -> None:
        """Make one step; see the class for the formula."""
        lr, weight_decay, (beta1, beta2) = group["lr"], group["weight_decay"], group["betas"]
        size, eps = _corrected(group, step)
        for w, g, m, v, *largest, a, b in parts:
            if self.decoupled and weight_decay:
                w *= 1 - lr * weight_decay
            else:
                g = decayed(xp, g, w, weight_decay, a)
            xp.subtract(g, m, out=b)
            b *= 1 - beta1
            m += b
            xp.multiply(g, g, out=b)
            b *= 1 - beta2
            v *= beta2
            v += b
            if largest:
                v = xp.maximum(largest[0], v, out=largest[0])
            xp.sqrt(v, out=b)
            b += eps
            xp.divide(m, b, out=b)
            b *= size
            w -= b

    def compiled_update(self, group: dict[str, Any], step: int) -> Callable[..., None] | None:
        """Return compiled code for :meth:`update`; see the base class."""
        if group["amsgrad"]:
            return None
        from minicnn.kernels.compiled.adam import adam

        decay, (beta1, beta2) = group["weight_decay"], group["betas"]
        penalty, shrink = (0, 1 - group["lr"] * decay) if self.decoupled else (decay, 1)
        numbers = [
            np.float32(value)
            for value in (1 - beta1, beta2, 1 - beta2, *_corrected(group, step), penalty, shrink)
        ]
        return lambda *arrays: adam(*arrays, *numbers)


def _corrected(group: dict[str, Any], step: int) -> tuple[float, float]:
    # The corrections are taken out of the quotient, which spares a pass over v:
    # m / c1 / (sqrt(v) / c2 + eps) = c2 / c1 * m / (sqrt(v) + eps * c2).
    beta1, beta2 = group["betas"]
    c1, c2 = 1 - beta1**step, math.sqrt(1 - beta2**step)
    return group["lr"] * c2 / c1, group["eps"] * c2


class AdamW(Adam):
    """Adam with decoupled weight decay: ``w = w * (1 - lr * weight_decay)`` before Adam's step.

    Loshchilov and Hutter (2019), "Decoupled weight decay regularization". The decay takes no part
    in the running means, so it is the same for all weights.

    Parameters
    ----------
    parameters : iterable of Tensor, or of dict
        See :class:`~minicnn.optim.optimizer.Optimizer`.
    lr : float
        Learning rate.
    betas : pair of float
        beta1 and beta2, each from 0 to below 1.
    eps : float
        Added to the denominator.
    weight_decay : float
        Share of a weight that a step takes away, divided by the learning rate.
    amsgrad : bool
        Never let the denominator shrink.

    Raises
    ------
    OptionError
        A value out of range.

    Notes
    -----
    Keras: ``weight_decay`` is 0.004 by default; for ``epsilon`` see :class:`Adam`.
    """

    decoupled = True

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(
            parameters, lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad
        )
