"""Initialisers: functions that draw a layer's first weights on the host, from a given generator.

Each is called as ``initialiser(shape, rng, fan_in, fan_out)`` and returns a NumPy array. A layer
takes any of them, by name or as a function; ``functools.partial`` sets an option. Where the fans
are not given, they are those of the shape.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn import backend
from minicnn.errors import OptionError, ShapeError
from minicnn.nn.distributions import (
    constant,
    normal,
    ones,
    orthogonal,
    truncated_normal,
    uniform,
    zeros,
)
from minicnn.nn.parameter import Parameter

__all__ = [
    "INITIALIZERS",
    "Initializer",
    "calculate_gain",
    "constant",
    "draw",
    "fan_in_uniform",
    "fans",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "kaiming_normal",
    "kaiming_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]

Initializer = str | Callable[..., Any]
Generator = np.random.Generator | int | None
Shape = tuple[int, ...]

# Standard deviation of a standard normal distribution that is cut off at 2 on both sides.
TRUNCATED_DEVIATION = 0.87962566103423978


def fans(shape: Shape) -> tuple[int, int]:
    """Return how many inputs an output has, and how many outputs an input has.

    Parameters
    ----------
    shape : tuple of int
        (in, out) of a dense layer or (KH, KW, C / groups, O) of a convolution. As in PyTorch and
        Keras, the fan out of a grouped convolution counts the filters of all groups.

    Returns
    -------
    fan_in, fan_out : int

    Raises
    ------
    ShapeError
        The shape has fewer than two axes.
    """
    if len(shape) < 2:
        raise ShapeError(f"fans: expected a shape (in, out) or (KH, KW, C, O), got {shape}")
    field = math.prod(shape[:-2])
    return field * shape[-2], field * shape[-1]


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor on the weights' deviation that makes up for what a nonlinearity takes away.

    Parameters
    ----------
    nonlinearity : {"linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"}
    param : float, optional
        Negative slope of the leaky relu, 0.01 by default.

    Returns
    -------
    float
        As PyTorch's function of the same name.
    """
    slope = 0.01 if param is None else param
    gains = {
        "linear": 1.0,
        "conv2d": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + slope**2)),
        "selu": 3 / 4,
    }
    if nonlinearity not in gains:
        raise OptionError(
            f"nonlinearity: {nonlinearity!r} is unknown; choose one of {', '.join(gains)}"
        )
    return gains[nonlinearity]


def variance_scaling(
    shape: Shape,
    rng: Generator = None,
    *given: int,
    scale: float = 1.0,
    mode: str = "fan_in",
    distribution: str = "truncated_normal",
    dtype: Any = np.float32,
) -> np.ndarray:
    """Draw with mean 0 and variance scale / fan, as Keras's ``VarianceScaling``.

    Parameters
    ----------
    shape : tuple of int
    rng : numpy.random.Generator, int or None
    *given : int
        ``fan_in`` and ``fan_out``; those of the shape if they are left out.
    scale : float
    mode : {"fan_in", "fan_out", "fan_avg"}
        Keep the variance of the outputs, or that of the gradients, or something between.
    distribution : {"uniform", "normal", "truncated_normal"}
        The truncated one is widened so that it has the variance after the cut.
    dtype : dtype

    Returns
    -------
    numpy array of the shape
    """
    fan_in, fan_out = given or fans(shape)
    counts = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    if mode not in counts:
        raise OptionError(f"mode: {mode!r} is unknown; choose one of {', '.join(counts)}")
    std = math.sqrt(scale / max(counts[mode], 1))
    if distribution == "uniform":
        return uniform(shape, rng, low=-math.sqrt(3) * std, high=math.sqrt(3) * std, dtype=dtype)
    if distribution == "normal":
        return normal(shape, rng, std=std, dtype=dtype)
    if distribution == "truncated_normal":
        return truncated_normal(shape, rng, std=std / TRUNCATED_DEVIATION, dtype=dtype)
    raise OptionError(
        f"distribution: {distribution!r} is unknown; choose uniform, normal or truncated_normal"
    )


def kaiming_uniform(
    shape: Shape,
    rng: Generator = None,
    *given: int,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    dtype: Any = np.float32,
) -> np.ndarray:
    """Draw evenly between -b and b, b = gain * sqrt(3 / fan) (He et al., 2015).

    Parameters
    ----------
    shape : tuple of int
    rng : numpy.random.Generator, int or None
    *given : int
        ``fan_in`` and ``fan_out``; those of the shape if they are left out.
    a : float
        Negative slope of the leaky relu that follows; 0 is the relu.
    mode : {"fan_in", "fan_out"}
        Keep the variance of the outputs, or that of the gradients.
    nonlinearity : str
        As for :func:`calculate_gain`.
    dtype : dtype

    Returns
    -------
    numpy array of the shape
    """
    scale = calculate_gain(nonlinearity, a) ** 2
    return variance_scaling(
        shape, rng, *given, scale=scale, mode=mode, distribution="uniform", dtype=dtype
    )


def kaiming_normal(
    shape: Shape,
    rng: Generator = None,
    *given: int,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    dtype: Any = np.float32,
) -> np.ndarray:
    """Draw normally with deviation gain / sqrt(fan); parameters as for :func:`kaiming_uniform`."""
    scale = calculate_gain(nonlinearity, a) ** 2
    return variance_scaling(
        shape, rng, *given, scale=scale, mode=mode, distribution="normal", dtype=dtype
    )


def xavier_uniform(
    shape: Shape,
    rng: Generator = None,
    *given: int,
    gain: float = 1.0,
    dtype: Any = np.float32,
) -> np.ndarray:
    """Draw evenly up to +-gain * sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""
    return variance_scaling(
        shape, rng, *given, scale=gain**2, mode="fan_avg", distribution="uniform", dtype=dtype
    )


def xavier_normal(
    shape: Shape,
    rng: Generator = None,
    *given: int,
    gain: float = 1.0,
    dtype: Any = np.float32,
) -> np.ndarray:
    """Draw with deviation gain * sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""
    return variance_scaling(
        shape, rng, *given, scale=gain**2, mode="fan_avg", distribution="normal", dtype=dtype
    )


def fan_in_uniform(
    shape: Shape, rng: Generator = None, *given: int, dtype: Any = np.float32
) -> np.ndarray:
    """Draw evenly up to +-1 / sqrt(fan_in): PyTorch's default for weights and biases.

    (PyTorch writes it as ``kaiming_uniform`` with ``a=sqrt(5)``, which comes to the same.)
    """
    return variance_scaling(shape, rng, *given, scale=1 / 3, distribution="uniform", dtype=dtype)


# Keras's names. Its normal distributions are truncated; its default for weights is glorot_uniform.
glorot_uniform = xavier_uniform
glorot_normal = functools.partial(variance_scaling, mode="fan_avg")
he_uniform = functools.partial(variance_scaling, scale=2.0, distribution="uniform")
he_normal = functools.partial(variance_scaling, scale=2.0)
lecun_uniform = functools.partial(variance_scaling, distribution="uniform")
lecun_normal = functools.partial(variance_scaling)

INITIALIZERS: dict[str, Callable[..., np.ndarray]] = {
    "fan_in_uniform": fan_in_uniform,
    "glorot_normal": glorot_normal,
    "glorot_uniform": glorot_uniform,
    "he_normal": he_normal,
    "he_uniform": he_uniform,
    "kaiming_normal": kaiming_normal,
    "kaiming_uniform": kaiming_uniform,
    "lecun_normal": lecun_normal,
    "lecun_uniform": lecun_uniform,
    "normal": normal,
    "ones": ones,
    "orthogonal": orthogonal,
    "truncated_normal": truncated_normal,
    "uniform": uniform,
    "xavier_normal": xavier_normal,
    "xavier_uniform": xavier_uniform,
    "zeros": zeros,
}


def draw(
    initializer: Initializer, shape: Shape, rng: np.random.Generator, fan_in: int, fan_out: int
) -> Parameter:
    """Make a parameter on the current backend from an initialiser's float32 values.

    Parameters
    ----------
    initializer : str or callable
        A name in :data:`INITIALIZERS`, or ``(shape, rng, fan_in, fan_out) -> array``.
    shape : tuple of int
    rng : numpy.random.Generator
        Draws happen on the host, so that every backend starts from the same numbers.
    fan_in, fan_out : int
        Of the layer's weights, also where it is the bias that is drawn.

    Returns
    -------
    Parameter

    Raises
    ------
    OptionError
        There is no initialiser of this name.
    ShapeError
        The initialiser returned another shape.
    """
    function = INITIALIZERS.get(initializer) if isinstance(initializer, str) else initializer
    if not callable(function):
        raise OptionError(
            f"initialiser: {initializer!r} is unknown; give a function or one of "
            f"{', '.join(INITIALIZERS)}"
        )
    values = np.asarray(function(shape, rng, fan_in, fan_out), dtype=np.float32)
    if values.shape != shape:
        raise ShapeError(f"initialiser {function}: expected shape {shape}, got {values.shape}")
    return Parameter(backend.asarray(values))
