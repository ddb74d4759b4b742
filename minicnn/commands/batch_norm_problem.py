"""Problem sheet 2: the gradients of batch normalisation, one after the other, each checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from minicnn.autograd import tensor
from minicnn.commands.workings import EXACT, Workings, gradients, quotient
from minicnn.ops.norm import batch_norm

__all__ = ["batch_norm_gradients"]


@dataclass(frozen=True, eq=False)
class Case:
    """Values to normalise, and the gradient of the loss with respect to what comes out.

    Attributes
    ----------
    x, g : float array of shape (m, features)
        The input, and dL/dy.
    gamma, beta : float array of shape (features,)
    eps : float
    """

    x: np.ndarray
    g: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray
    eps: float = 1e-5

    @property
    def mean(self) -> np.ndarray:
        return self.x.mean(axis=0)

    @property
    def variance(self) -> np.ndarray:
        return self.x.var(axis=0)

    @property
    def centred(self) -> np.ndarray:
        return self.x - self.mean

    @property
    def deviation(self) -> np.ndarray:
        return np.sqrt(self.variance + self.eps)

    @property
    def normal(self) -> np.ndarray:
        return self.centred / self.deviation

    def loss(self, n: np.ndarray) -> float:
        """Return L = sum dL/dy y, whose gradient with respect to y is the given one."""
        return float((self.g * (self.gamma * n + self.beta)).sum())


# The sheet's chain of gradients.


def _g_normal(case: Case) -> np.ndarray:
    return case.g * case.gamma


def _g_variance(case: Case) -> np.ndarray:
    return (_g_normal(case) * case.centred).sum(axis=0) * -0.5 * case.deviation**-3


def _g_mean(case: Case) -> np.ndarray:
    direct = -_g_normal(case).sum(axis=0) / case.deviation
    return direct + _g_variance(case) * (-2 * case.centred).mean(axis=0)


def _g_x(case: Case) -> np.ndarray:
    m = len(case.x)
    by_variance = _g_variance(case) * 2 * case.centred / m
    return _g_normal(case) / case.deviation + by_variance + _g_mean(case) / m


def _g_gamma(case: Case) -> np.ndarray:
    return (case.g * case.normal).sum(axis=0)


def _g_beta(case: Case) -> np.ndarray:
    return case.g.sum(axis=0)


# The same by moving one number at a time, and all that follows from it.


def _by_normal(case: Case) -> np.ndarray:
    return quotient(case.loss, case.normal)


def _by_variance(case: Case) -> np.ndarray:
    return quotient(lambda v: case.loss(case.centred / np.sqrt(v + case.eps)), case.variance)


def _by_mean(case: Case) -> np.ndarray:
    def loss(mean: np.ndarray) -> float:
        centred = case.x - mean
        return case.loss(centred / np.sqrt((centred**2).mean(axis=0) + case.eps))

    return quotient(loss, case.mean)


def _by_x(case: Case) -> np.ndarray:
    def loss(x: np.ndarray) -> float:
        return case.loss((x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + case.eps))

    return quotient(loss, case.x)


def _by_gamma(case: Case) -> np.ndarray:
    def loss(gamma: np.ndarray) -> float:
        return float((case.g * (gamma * case.normal + case.beta)).sum())

    return quotient(loss, case.gamma)


def _by_beta(case: Case) -> np.ndarray:
    def loss(beta: np.ndarray) -> float:
        return float((case.g * (case.gamma * case.normal + beta)).sum())

    return quotient(loss, case.beta)


class Step(NamedTuple):
    """One gradient of the sheet: of what, why it is so, its formula, and two ways to find it."""

    name: str
    why: str
    formula: str
    value: Callable[[Case], np.ndarray]
    by_quotient: Callable[[Case], np.ndarray]


STEPS = (
    Step(
        "n",
        "n_i enters y_i alone, with the factor gamma.",
        "dL/dn_i = dL/dy_i gamma",
        _g_normal,
        _by_normal,
    ),
    Step(
        "sigma^2",
        "sigma^2 enters every n_i; d n_i / d sigma^2 = -1/2 (x_i - mu) (sigma^2 + eps)^(-3/2).",
        "dL/dsigma^2 = sum dL/dn_i (x_i - mu) (-1/2) (sigma^2 + eps)^(-3/2)",
        _g_variance,
        _by_variance,
    ),
    Step(
        "mu",
        "mu enters every n_i directly, and through sigma^2 (that part is 0: the deviations sum to "
        "0).",
        "dL/dmu = sum dL/dn_i (-1) / sqrt(sigma^2 + eps) + dL/dsigma^2 1/m sum -2 (x_i - mu)",
        _g_mean,
        _by_mean,
    ),
    Step(
        "x",
        "x_i enters n_i, sigma^2 and mu.",
        "dL/dx_i = dL/dn_i / sqrt(sigma^2 + eps) + dL/dsigma^2 2 (x_i - mu)/m + dL/dmu 1/m",
        _g_x,
        _by_x,
    ),
    Step(
        "gamma",
        "gamma is the factor of every n_i.",
        "dL/dgamma = sum dL/dy_i n_i",
        _g_gamma,
        _by_gamma,
    ),
    Step("beta", "beta is added to every y_i.", "dL/dbeta = sum dL/dy_i", _g_beta, _by_beta),
)


def batch_norm_gradients(work: Workings, *, seed: int = 0) -> None:
    """Work out the gradient of each step of batch normalisation."""
    rng = np.random.default_rng(seed)
    m, features = 5, 2
    case = Case(
        x=rng.normal(1.0, 2.0, (m, features)),
        g=rng.normal(size=(m, features)),
        gamma=rng.uniform(0.5, 1.5, features),
        beta=rng.normal(size=features),
    )
    work.heading("Problem sheet 2: gradients of batch normalisation")
    work.say(f"Of each feature there are m values x_i; here m = {m} and eps = {case.eps:g}.")
    work.show(
        "mu      = 1/m sum x_i",
        "sigma^2 = 1/m sum (x_i - mu)^2",
        "n_i     = (x_i - mu) / sqrt(sigma^2 + eps)",
        "y_i     = gamma n_i + beta",
    )
    work.say("Let the gradient dL/dy be given, here for two features drawn at random:")
    work.numbers("x", case.x)
    work.numbers("dL/dy", case.g)
    by_autograd = _by_autograd(case)
    for step in STEPS:
        value = step.value(case)
        work.heading(f"dL/d{step.name}", 3)
        work.say(step.why)
        work.show(step.formula)
        work.numbers(f"dL/d{step.name}", value)
        work.gradient(f"dL/d{step.name}", value, by_autograd[step.name], step.by_quotient(case))
    _by_operation(work, case)


def _by_autograd(case: Case) -> dict[str, np.ndarray]:
    """Return the gradients of every step as the backward pass finds them."""
    x, gamma, beta = (
        tensor(value, requires_grad=True) for value in (case.x, case.gamma, case.beta)
    )
    mean = x.mean(axis=0)
    variance = ((x - mean) ** 2).mean(axis=0)
    normal = (x - mean) / (variance + case.eps).sqrt()
    loss = ((gamma * normal + beta) * case.g).sum()
    named = {"n": normal, "sigma^2": variance, "mu": mean, "x": x, "gamma": gamma, "beta": beta}
    return dict(zip(named, gradients(loss, list(named.values())), strict=True))


def _by_operation(work: Workings, case: Case) -> None:
    work.heading("The operation batch_norm", 3)
    work.say("minicnn's batch_norm gives the gradients of x, gamma and beta in one step:")
    inputs = [tensor(value, requires_grad=True) for value in (case.x, case.gamma, case.beta)]
    x, gamma, beta = inputs
    y = batch_norm(x, None, None, gamma, beta, training=True, eps=case.eps)
    formulas = {step.name: step.value(case) for step in STEPS}
    found = gradients((y * case.g).sum(), inputs)
    for name, gradient in zip(("x", "gamma", "beta"), found, strict=True):
        work.result(
            f"dL/d{name} by the operation",
            gradient,
            formulas[name],
            tolerance=EXACT,
            shown="beside the formula",
        )
    work.end()
