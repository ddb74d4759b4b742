"""Activation functions: relu and its relatives, sigmoid, tanh, gelu, silu, softplus."""

from __future__ import annotations

import math
from typing import Any

from minicnn import backend
from minicnn.autograd import Cost, Sample, Tensor
from minicnn.errors import OptionError
from minicnn.kernels import activation, special
from minicnn.ops.arithmetic import erf, exp, where
from minicnn.ops.elementwise import Elementwise

__all__ = ["elu", "gelu", "leaky_relu", "relu", "sigmoid", "silu", "softplus", "tanh"]


SIGMOID = Cost(multiplications=1, additions=2, comparisons=2, functions=1)


class Tanh(Elementwise, name="tanh"):
    """The hyperbolic tangent."""

    def scalar(x):
        return math.tanh(x)

    def forward(ctx, x):
        y = backend.xp(x).tanh(x)
        ctx.save(y)
        return y

    def backward(ctx, gy):
        (y,) = ctx.saved
        return gy * (1 - y * y)


class Sigmoid(Elementwise, name="sigmoid"):
    """1 / (1 + exp(-x)), computed from exp(-|x|), which overflows nowhere."""

    per_element = SIGMOID

    def scalar(x):
        return 1 / (1 + math.exp(-x))

    def forward(ctx, x):
        y = activation.sigmoid(x)
        ctx.save(y)
        return y

    def backward(ctx, gy):
        (y,) = ctx.saved
        return gy * (y * (1 - y))


class Relu(Elementwise, name="relu"):
    """max(x, 0), with the gradient 0 at 0."""

    per_element = Cost(comparisons=1)

    def scalar(x):
        return max(x, 0.0)

    def forward(ctx, x):
        y = backend.xp(x).maximum(x, 0)
        ctx.save(y)
        return y

    def backward(ctx, gy):
        (y,) = ctx.saved_arrays
        return gy * (y > 0)

    backward_kernel = backward  # which takes arrays as well


class LeakyRelu(Elementwise, name="leaky_relu"):
    """x where it is positive, slope * x elsewhere (Maas et al., 2013)."""

    samples = (
        Sample(((3, 4),), slope=0.01),
        Sample(((3, 4),), slope=0.5),
        Sample(((5,),), slope=-0.2),
    )
    per_element = Cost(multiplications=1, comparisons=1)

    def scalar(x, *, slope):
        return x if x > 0 else slope * x

    def forward(ctx, x, *, slope):
        xp = backend.xp(x)
        if 0 <= slope <= 1:
            y = activation.leaky_relu(x, slope)
            ctx.save(y)  # positive where x is, and kept by the next layer anyhow
            return y
        ctx.save(x)
        return xp.where(x > 0, x, slope * x)

    def backward(ctx, gy):
        (sign,) = ctx.saved_arrays
        return where(sign > 0, gy, gy * ctx.options["slope"])

    def backward_kernel(ctx, gy):
        return activation.leaky_relu_gradient(*ctx.saved_arrays, gy, ctx.options["slope"])


class Elu(Elementwise, name="elu"):
    """x where it is positive, alpha * (exp(x) - 1) elsewhere (Clevert et al., 2016)."""

    samples = (Sample(((3, 4),), alpha=1.0), Sample(((5,),), alpha=0.3))
    per_element = Cost(multiplications=1, comparisons=2, functions=1)

    def scalar(x, *, alpha):
        return x if x > 0 else alpha * math.expm1(x)

    def forward(ctx, x, *, alpha):
        xp = backend.xp(x)
        y = xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, 0)))
        ctx.save(x)
        return y

    def backward(ctx, gy):
        (x,) = ctx.saved
        alpha = ctx.options["alpha"]
        return where(x.data > 0, gy, gy * (alpha * exp(x * (x.data <= 0))))


class Gelu(Elementwise, name="gelu"):
    """x times the normal distribution function at x (Hendrycks and Gimpel, 2016)."""

    samples = (Sample(((3, 4),), approximate="none"), Sample(((3, 4),), approximate="tanh"))

    def cost(x, *, approximate):
        exact = Cost(multiplications=3, additions=1, functions=1)
        cubic = Cost(multiplications=3, additions=1)
        return math.prod(x) * (exact if approximate == "none" else exact + cubic)

    def scalar(x, *, approximate):
        if approximate == "none":
            return x * (1 + math.erf(x / math.sqrt(2))) / 2
        return x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2

    def forward(ctx, x, *, approximate):
        ctx.save(x)
        if approximate == "none":
            return 0.5 * x * (1 + special.erf(x * math.sqrt(0.5)))
        xp = backend.xp(x)
        return 0.5 * x * (1 + xp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))

    def backward(ctx, gy):
        (x,) = ctx.saved
        if ctx.options["approximate"] == "none":
            distribution = 0.5 * (1 + erf(x * math.sqrt(0.5)))
            density = exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))
            return gy * (distribution + x * density)
        root = math.sqrt(2 / math.pi)
        t = tanh(root * (x + 0.044715 * x * x * x))
        return gy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * (root * (1 + 3 * 0.044715 * x * x)))


class Silu(Elementwise, name="silu"):
    """x * sigmoid(x) (Elfwing et al., 2017; "swish")."""

    per_element = SIGMOID + Cost(multiplications=1)

    def scalar(x):
        return x / (1 + math.exp(-x))

    def forward(ctx, x):
        ctx.save(x)
        return x * activation.sigmoid(x)

    def backward(ctx, gy):
        (x,) = ctx.saved
        s = sigmoid(x)
        return gy * (s * (1 + x * (1 - s)))


class Softplus(Elementwise, name="softplus"):
    """log(1 + exp(x)), computed as max(x, 0) + log(1 + exp(-|x|))."""

    per_element = Cost(additions=2, comparisons=2, functions=2)

    def scalar(x):
        return math.log1p(math.exp(x))

    def forward(ctx, x):
        ctx.save(x)
        xp = backend.xp(x)
        return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))

    def backward(ctx, gy):
        (x,) = ctx.saved
        return gy * sigmoid(x)


def tanh(x: Any) -> Tensor:
    """Return the hyperbolic tangent of each element."""
    return Tanh.apply(x)


def sigmoid(x: Any) -> Tensor:
    """Return 1 / (1 + exp(-x)) for each element."""
    return Sigmoid.apply(x)


def relu(x: Any) -> Tensor:
    """Return max(x, 0) for each element, with the gradient 0 at 0."""
    return Relu.apply(x)


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Tensor:
    """Return x where it is positive and negative_slope * x elsewhere.

    Parameters
    ----------
    x : Tensor
    negative_slope : float
        0.01 as in PyTorch; Keras's layer has 0.3.

    Returns
    -------
    Tensor of the same shape
    """
    return LeakyRelu.apply(x, slope=negative_slope)


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """Return x where it is positive and alpha * (exp(x) - 1) elsewhere."""
    return Elu.apply(x, alpha=alpha)


def gelu(x: Any, approximate: str = "none") -> Tensor:
    """Return x times the normal distribution function at x.

    Parameters
    ----------
    x : Tensor
    approximate : {"none", "tanh"}
        The exact function, or the approximation by tanh.

    Returns
    -------
    Tensor of the same shape
    """
    if approximate not in ("none", "tanh"):
        raise OptionError(f"gelu: approximate must be 'none' or 'tanh', not {approximate!r}")
    return Gelu.apply(x, approximate=approximate)


def silu(x: Any) -> Tensor:
    """Return x * sigmoid(x) for each element."""
    return Silu.apply(x)


def softplus(x: Any, beta: float = 1.0) -> Tensor:
    """Return log(1 + exp(beta * x)) / beta for each element, a smooth relu; beta is not 0."""
    if beta == 0:
        raise OptionError("softplus: beta must not be 0")
    return Softplus.apply(x) if beta == 1 else Softplus.apply(x * beta) / beta
