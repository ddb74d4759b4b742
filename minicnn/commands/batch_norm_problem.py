"""Problem sheet 2: the gradients of batch normalisation, one after the other, each checked."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minicnn.autograd import tensor
from minicnn.commands.workings import EXACT, Workings, gradients, quotient
from minicnn.ops.norm import batch_norm

__all__ = ["batch_norm_gradients"]

EPS = 1e-5


class Step(NamedTuple):
    """One gradient of the sheet: of what, why it is so, its formula, and what two ways give."""

    name: str
    why: str
    formula: str
    value: np.ndarray
    by_quotient: np.ndarray


def steps_of(x: np.ndarray, g: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> list[Step]:
    """Return the sheet's chain of gradients, each beside the one by moving a number at a time.

    Parameters
    ----------
    x, g : float arrays of shape (m, features)
        The input, and dL/dy.
    gamma, beta : float arrays of shape (features,)
    """
    m = len(x)
    mean, variance = x.mean(axis=0), x.var(axis=0)
    centred, deviation = x - mean, np.sqrt(variance + EPS)
    normal = centred / deviation
    g_normal = g * gamma
    g_variance = (g_normal * centred).sum(axis=0) * -0.5 * deviation**-3
    g_mean = -g_normal.sum(axis=0) / deviation + g_variance * (-2 * centred).mean(axis=0)
    g_x = g_normal / deviation + g_variance * 2 * centred / m + g_mean / m

    def loss(n: np.ndarray, gamma: np.ndarray = gamma, beta: np.ndarray = beta) -> float:
        # Its gradient with respect to y = gamma n + beta is g.
        return float((g * (gamma * n + beta)).sum())

    def loss_of_deviations(c: np.ndarray) -> float:
        return loss(c / np.sqrt((c**2).mean(axis=0) + EPS))

    return [
        Step(
            "n",
            "n_i enters y_i alone, with the factor gamma.",
            "dL/dn_i = dL/dy_i gamma",
            g_normal,
            quotient(loss, normal),
        ),
        Step(
            "sigma^2",
            "sigma^2 enters every n_i; d n_i / d sigma^2 = -1/2 (x_i - mu) (sigma^2 + eps)^(-3/2).",
            "dL/dsigma^2 = sum dL/dn_i (x_i - mu) (-1/2) (sigma^2 + eps)^(-3/2)",
            g_variance,
            quotient(lambda v: loss(centred / np.sqrt(v + EPS)), variance),
        ),
        Step(
            "mu",
            "mu enters every n_i directly, and through sigma^2 (that part is 0: the deviations sum "
            "to 0).",
            "dL/dmu = sum dL/dn_i (-1) / sqrt(sigma^2 + eps) + dL/dsigma^2 1/m sum -2 (x_i - mu)",
            g_mean,
            quotient(lambda mu: loss_of_deviations(x - mu), mean),
        ),
        Step(
            "x",
            "x_i enters n_i, sigma^2 and mu.",
            "dL/dx_i = dL/dn_i / sqrt(sigma^2 + eps) + dL/dsigma^2 2 (x_i - mu)/m + dL/dmu 1/m",
            g_x,
            quotient(lambda x: loss_of_deviations(x - x.mean(axis=0)), x),
        ),
        Step(
            "gamma",
            "gamma is the factor of every n_i.",
            "dL/dgamma = sum dL/dy_i n_i",
            (g * normal).sum(axis=0),
            quotient(lambda gamma: loss(normal, gamma=gamma), gamma),
        ),
        Step(
            "beta",
            "beta is added to every y_i.",
            "dL/dbeta = sum dL/dy_i",
            g.sum(axis=0),
            quotient(lambda beta: loss(normal, beta=beta), beta),
        ),
    ]


def batch_norm_gradients(work: Workings, *, seed: int) -> None:
    """Work out the gradient of each step of batch normalisation."""
    rng = np.random.default_rng(seed)
    m, features = 5, 2
    x = rng.normal(1.0, 2.0, (m, features))
    g = rng.normal(size=(m, features))
    gamma, beta = rng.uniform(0.5, 1.5, features), rng.normal(size=features)
    work.heading("Problem sheet 2: gradients of batch normalisation")
    work.say(f"Of each feature there are m values x_i; here m = {m} and eps = {EPS:g}.")
    work.show(
        "mu      = 1/m sum x_i",
        "sigma^2 = 1/m sum (x_i - mu)^2",
        "n_i     = (x_i - mu) / sqrt(sigma^2 + eps)",
        "y_i     = gamma n_i + beta",
    )
    work.say("Let the gradient dL/dy be given, here for two features drawn at random:")
    work.numbers("x", x)
    work.numbers("dL/dy", g)
    by_autograd = _by_autograd(x, g, gamma, beta)
    steps = steps_of(x, g, gamma, beta)
    for step in steps:
        name = f"dL/d{step.name}"
        work.heading(name, 3)
        work.say(step.why)
        work.show(step.formula)
        work.numbers(name, step.value)
        work.gradient(name, step.value, by_autograd[step.name], step.by_quotient)
    work.heading("The operation batch_norm", 3)
    work.say("minicnn's batch_norm gives the gradients of x, gamma and beta in one step:")
    inputs = [tensor(value, requires_grad=True) for value in (x, gamma, beta)]
    y = batch_norm(inputs[0], None, None, *inputs[1:], training=True, eps=EPS)
    formulas = {step.name: step.value for step in steps}
    found = gradients((y * g).sum(), inputs)
    for name, gradient in zip(("x", "gamma", "beta"), found, strict=True):
        work.result(
            f"dL/d{name} by the operation",
            gradient,
            formulas[name],
            tolerance=EXACT,
            shown="beside the formula",
        )
    work.end()


def _by_autograd(
    x: np.ndarray, g: np.ndarray, gamma: np.ndarray, beta: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the gradients of every step as the backward pass finds them."""
    tx, scale, shift = (tensor(value, requires_grad=True) for value in (x, gamma, beta))
    mean = tx.mean(axis=0)
    variance = ((tx - mean) ** 2).mean(axis=0)
    normal = (tx - mean) / (variance + EPS).sqrt()
    loss = ((scale * normal + shift) * g).sum()
    named = {"n": normal, "sigma^2": variance, "mu": mean, "x": tx, "gamma": scale, "beta": shift}
    return dict(zip(named, gradients(loss, list(named.values())), strict=True))
