"""Problem sheet 2: output sizes of convolutions, and the gradient of softmax and cross-entropy."""

from __future__ import annotations

from functools import partial

import numpy as np

from minicnn.autograd import tensor
from minicnn.commands.workings import EXACT, Workings, gradients, quotient
from minicnn.inspect.counts import conv_output_size
from minicnn.ops.class_loss import cross_entropy
from minicnn.ops.conv import conv2d
from minicnn.ops.softmax import softmax

__all__ = ["cross_entropy_gradients", "output_sizes"]

# (W, H), (k1, k2), (s1, s2), (p1, p2)
CONVOLUTIONS = (
    ((48, 48), (3, 3), (1, 1), (1, 1)),
    ((48, 40), (5, 3), (2, 1), (2, 0)),
    ((31, 17), (4, 7), (3, 2), (0, 3)),
)


def output_sizes(work: Workings) -> None:
    """Work out output sizes, each axis with its own kernel, stride and padding."""
    work.heading("Problem sheet 2: output size of a convolution")
    work.say(
        "On an input (B, W, H, C) a convolution with kernel (k1, k2), stride (s1, s2), padding",
        "(p1, p2) and F filters gives (B, W', H', F):",
    )
    work.show("W' = floor((W + 2 p1 - k1)/s1) + 1", "H' = floor((H + 2 p2 - k2)/s2) + 1")
    for size, kernel, stride, padding in CONVOLUTIONS:
        formula = tuple(
            (n + 2 * p - k) // s + 1
            for n, k, s, p in zip(size, kernel, stride, padding, strict=True)
        )
        what = f"{size} with kernel {kernel}, stride {stride}, padding {padding}"
        work.result(
            f"{what}: conv_output_size",
            conv_output_size(size, kernel, stride, padding),
            formula,
            beside="the formula",
        )
        images = tensor(np.zeros((2, *size, 3), np.float32))
        filters = tensor(np.zeros((*kernel, 3, 4), np.float32))
        ran = conv2d(images, filters, stride=stride, padding=padding)
        work.result(
            f"{what}: a convolution that ran",
            ran.shape,
            (2, *formula, 4),
            beside="(B, W', H', F)",
        )
    work.end()


def cross_entropy_gradients(work: Workings, *, seed: int) -> None:
    """Derive the gradient of softmax and cross-entropy, and check each step."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=4)
    work.heading("Problem sheet 2: gradient of softmax and cross-entropy")
    work.say("Scores z become probabilities p, and are compared with the truth y (sum y_i = 1).")
    work.show("p_i = exp(z_i) / sum_j exp(z_j)", "L   = -sum_i y_i log p_i")
    cases = {
        "one class is true": np.eye(4)[2],
        "the truth is a probability": rng.dirichlet(np.ones(4)),
    }
    for title, y in cases.items():
        work.heading(title.capitalize(), 3)
        _cross_entropy_steps(work, title, z, y)


def _cross_entropy_steps(work: Workings, title: str, z: np.ndarray, y: np.ndarray) -> None:
    p = np.exp(z) / np.exp(z).sum()
    g_p = -y / p
    jacobian = np.diag(p) - np.outer(p, p)
    for name, value in (("z", z), ("y", y), ("p", p)):
        work.numbers(name, value)
    work.say("p_i enters only its own term of L:")
    work.show("dL/dp_i = -y_i / p_i")
    work.numbers("dL/dp", g_p)
    tp = tensor(p, requires_grad=True)
    (found,) = gradients(-(tp.log() * y).sum(), [tp])
    by_quotient = quotient(lambda p: float(-(y * np.log(p)).sum()), p)
    work.gradient(f"dL/dp, {title}", g_p, found, by_quotient)
    work.say("z_j enters every p_i, its own through the numerator as well:")
    work.show("dp_i/dz_j = p_i ([i = j] - p_j)")
    work.numbers("dp/dz", jacobian)
    rows = []
    for i in range(len(z)):
        tz = tensor(z, requires_grad=True)
        rows.append(gradients(softmax(tz)[i], [tz])[0])
    # Weighed by a row of the identity, of all p_i one is left.
    quotients = [quotient(partial(_weighed_softmax, weights=row), z) for row in np.eye(len(z))]
    work.gradient(f"dp/dz, {title}", jacobian, np.stack(rows), np.stack(quotients))
    work.say("Together, as the y_i sum to 1:")
    work.show("dL/dz_j = sum_i (-y_i / p_i) p_i ([i = j] - p_j) = -y_j + p_j sum_i y_i = p_j - y_j")
    work.numbers("p - y", p - y)
    work.result(
        f"the product of the two steps, {title}",
        g_p @ jacobian,
        p - y,
        tolerance=EXACT,
        shown="beside p - y",
    )
    tz = tensor(z[None], requires_grad=True)
    target = tensor(np.array([y.argmax()])) if y.max() == 1 else tensor(y[None])
    (found,) = gradients(cross_entropy(tz, target), [tz])
    by_quotient = quotient(lambda z: float(-(y * np.log(_softmax(z))).sum()), z)
    work.gradient(f"dL/dz, {title}", p - y, found[0], by_quotient)


def _weighed_softmax(z: np.ndarray, weights: np.ndarray) -> float:
    return float(weights @ _softmax(z))


def _softmax(z: np.ndarray) -> np.ndarray:
    return np.exp(z) / np.exp(z).sum()
