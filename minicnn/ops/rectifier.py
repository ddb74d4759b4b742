"""What operations share that do LeakyReLU, or ReLU, on their own result in the same pass.

They have an option ``slope``, by which negative results are multiplied, or none, and save their
output, which has the signs of what went into the rectifier.
"""

from __future__ import annotations

import numbers
from typing import Any

from minicnn.autograd import Cost, Node, Tensor
from minicnn.errors import OptionError
from minicnn.ops.arithmetic import where

__all__ = ["rectifier_cost", "rectifier_gradient", "rectifier_option"]


def rectifier_option(negative_slope: Any) -> dict[str, float]:
    """Return the option of the operation for what a user gives: none for a slope of 1.

    Raises
    ------
    OptionError
        It is not a number from 0 to 1.
    """
    if not isinstance(negative_slope, numbers.Real) or not 0 <= float(negative_slope) <= 1:
        raise OptionError(f"negative_slope: expected a number from 0 to 1, got {negative_slope!r}")
    return {} if negative_slope == 1 else {"slope": float(negative_slope)}


def rectifier_cost(outputs: int, slope: float = 1) -> Cost:
    """Return what the rectifier adds to the cost of so many outputs."""
    if slope == 1:
        return Cost()
    return Cost(comparisons=outputs, multiplications=0 if slope == 0 else outputs)


def rectifier_gradient(node: Node, gy: Tensor) -> Tensor:
    """Return the gradient of what went into the rectifier, recorded.

    Parameters
    ----------
    node : Node
        Its third saved array is the output, unless there is no rectifier.
    gy : Tensor
        The output's gradient.
    """
    slope = node.options.get("slope", 1)
    return gy if slope == 1 else where(node.saved_arrays[2] > 0, gy, gy * slope)
