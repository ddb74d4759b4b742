"""Rectifiers and their gradients, in one pass over memory, and the sigmoid."""

from __future__ import annotations

from typing import Any

from minicnn import backend
from minicnn.kernels.blocks import for_blocks

__all__ = ["leaky_relu", "leaky_relu_gradient", "rectify", "sigmoid"]


def leaky_relu(x: Any, slope: float) -> Any:
    """Return x where it is positive and slope * x elsewhere, for a slope from 0 to 1.

    Parameters
    ----------
    x : array
    slope : float

    Returns
    -------
    array of the same shape
    """
    xp = backend.xp(x)
    y = xp.empty(x.shape, dtype=x.dtype)

    def compute(values: Any, result: Any) -> None:
        if slope:
            xp.multiply(values, slope, out=result)
            xp.maximum(values, result, out=result)
        else:
            xp.maximum(values, 0, out=result)

    for_blocks(compute, x, y)
    return y


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x)), with all its digits on both sides; it overflows nowhere.

    Parameters
    ----------
    x : array

    Returns
    -------
    array of the same shape
    """
    xp = backend.xp(x)
    e = xp.exp(-xp.abs(x))
    return xp.maximum(e, x >= 0) / (1 + e)  # 1 / (1 + e) or, on the left of 0, e / (1 + e)


def rectify(x: Any, slope: float) -> None:
    """Multiply by a slope from 0 to 1 what is negative in an array, in place."""
    xp = backend.xp(x)
    if slope:
        xp.maximum(x, x * slope, out=x)
    else:
        xp.maximum(x, 0, out=x)


def leaky_relu_gradient(sign: Any, gy: Any, slope: float) -> Any:
    """Return gy where sign is positive and slope * gy elsewhere.

    Parameters
    ----------
    sign, gy : arrays of one shape
    slope : float

    Returns
    -------
    array of the same shape
    """
    xp = backend.xp(sign, gy)
    gx = xp.empty(gy.shape, dtype=gy.dtype)

    def compute(values: Any, gradient: Any, result: Any) -> None:
        if not slope:
            xp.multiply(values > 0, gradient, out=result)
            return
        # A factor of 1 or slope, without a branch for each element.
        xp.multiply(values > 0, gy.dtype.type(1 - slope), out=result)
        xp.add(result, slope, out=result)
        xp.multiply(result, gradient, out=result)

    for_blocks(compute, sign, gy, gx)
    return gx
