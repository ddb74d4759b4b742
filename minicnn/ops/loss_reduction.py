"""What losses share: what becomes of the losses of the elements, and the array of what is given."""

from __future__ import annotations

import math
from typing import Any

from minicnn import backend
from minicnn.autograd import Tensor
from minicnn.errors import OptionError
from minicnn.kernels.half import widened
from minicnn.ops.reduce import mean
from minicnn.ops.reduce import sum as sum_along

__all__ = ["REDUCTIONS", "check_reduction", "data_of", "reduced"]

REDUCTIONS = ("mean", "sum", "none")


def check_reduction(name: str, reduction: str, reductions: tuple[str, ...] = REDUCTIONS) -> None:
    """Refuse an unknown reduction in the name of a loss."""
    if reduction not in reductions:
        raise OptionError(
            f"{name}: reduction must be one of {', '.join(reductions)}, not {reduction!r}"
        )


def reduced(loss: Tensor, reduction: str, counts: Any = None) -> Tensor:
    """Return the losses of the elements as they are, their sum, or their mean.

    Parameters
    ----------
    loss : Tensor
    reduction : {"mean", "sum", "none"}
    counts : array of the loss's shape, optional
        How much each element counts in the mean; all alike by default.
    """
    if reduction == "none":
        return loss
    if reduction == "sum":
        return sum_along(loss)
    if counts is None:
        return mean(loss)
    # The mean of no labels is NaN, as in PyTorch, but has the gradient 0.
    counts = widened(counts)
    count = counts.sum()
    nothing = backend.xp(counts).where(count == 0, math.nan, 0.0).astype(counts.dtype)
    wide = loss.astype(counts.dtype)  # sums of float16 would overflow
    return (sum_along(wide) / (count + (count == 0)) + nothing).astype(loss.dtype)


def data_of(value: Any) -> Any:
    """Return a Tensor's array, and anything else as it is."""
    return value.data if isinstance(value, Tensor) else value
