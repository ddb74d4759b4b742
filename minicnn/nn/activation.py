"""Activation functions as modules."""

from __future__ import annotations

from typing import Any

from minicnn.autograd import Tensor
from minicnn.errors import OptionError
from minicnn.nn.module import Module
from minicnn.nn.options import number, one_of
from minicnn.ops import activation
from minicnn.ops.softmax import log_softmax, softmax

__all__ = [
    "ELU",
    "GELU",
    "LeakyReLU",
    "LogSoftmax",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x: Any) -> Tensor:
        """Apply it to each element."""
        return activation.relu(x)


class LeakyReLU(Module):
    """x where it is positive, negative_slope * x elsewhere.

    Parameters
    ----------
    negative_slope : float
        0.01 as in PyTorch; Keras's layer has 0.3 (and calls it alpha in older versions).
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = number(negative_slope, "negative_slope")

    def forward(self, x: Any) -> Tensor:
        """Apply it to each element."""
        return activation.leaky_relu(x, self.negative_slope)


class ELU(Module):
    """x where it is positive, alpha * (exp(x) - 1) elsewhere.

    Parameters
    ----------
    alpha : float
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = number(alpha, "alpha")

    def forward(self, x: Any) -> Tensor:
        """Apply it to each element."""
        return activation.elu(x, self.alpha)


class GELU(Module):
    """x times the normal distribution function at x.

    Parameters
    ----------
    approximate : {"none", "tanh"}
        The exact function, or the approximation by tanh.
    """

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = one_of(approximate, "approximate", ("none", "tanh"))

    def forward(self, x: Any) -> Tensor:
        """Apply it to each element."""
        return activation.gelu(x, self.approximate)


class SiLU(Module):
    """x * sigmoid(x), also called swish."""

    def forward(self, x: Any) -> Tensor:
        """Apply it to each element."""
        return activation.silu(x)


class Sigmoid(Module):
    """1 / (1 + exp(-x))."""

    def forward(self, x: Any) -> Tensor:
        """Apply it to each element."""
        return activation.sigmoid(x)


class Tanh(Module):
    """The hyperbolic tangent."""

    def forward(self, x: Any) -> Tensor:
        """Apply it to each element."""
        return activation.tanh(x)


class Softplus(Module):
    """log(1 + exp(beta * x)) / beta, a smooth relu.

    Parameters
    ----------
    beta : float
        Above 0.
    """

    def __init__(self, beta: float = 1.0) -> None:
        self.beta = number(beta, "beta", 0)
        if not beta:
            raise OptionError("beta: must be above 0")

    def forward(self, x: Any) -> Tensor:
        """Apply it to each element."""
        return activation.softplus(x, self.beta)


class Softmax(Module):
    """exp(x) / sum(exp(x)) along an axis.

    Parameters
    ----------
    dim : int
        The axis; the last by default, which holds the classes.
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Tensor:
        """Make the numbers along the axis into probabilities."""
        return softmax(x, self.dim)


class LogSoftmax(Module):
    """x - log(sum(exp(x))) along an axis.

    Parameters
    ----------
    dim : int
        The axis; the last by default, which holds the classes.
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Tensor:
        """Make the numbers along the axis into logarithms of probabilities."""
        return log_softmax(x, self.dim)
