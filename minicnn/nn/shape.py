"""Layers that change the shape of what passes through, or nothing at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minicnn.autograd import Tensor
from minicnn.errors import OptionError, ShapeError
from minicnn.kernels.sizes import pair
from minicnn.nn.module import Module
from minicnn.nn.options import positive
from minicnn.ops.shape import flatten, pad, reshape

__all__ = ["Flatten", "Identity", "Unflatten", "ZeroPad2d"]


class Identity(Module):
    """Return the input; takes the place of a layer that is left out."""

    def forward(self, x: Any) -> Any:
        """Return x."""
        return x


class Flatten(Module):
    """Make several axes into one, by default all but the batch's.

    Images (N, H, W, C) come out pixel by pixel, with the channels of each side by side; PyTorch's
    come out channel by channel.

    Parameters
    ----------
    start_dim, end_dim : int
        The first and the last of the axes.
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: Any) -> Tensor:
        """Flatten x."""
        return flatten(x, self.start_dim, self.end_dim)


class Unflatten(Module):
    """Make one axis into several: the reverse of :class:`Flatten`.

    Parameters
    ----------
    dim : int
        The axis.
    unflattened_size : sequence of int
        Its new sizes, whose product is the old one; a -1 stands for what is left.
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        self.dim = dim
        self.unflattened_size = tuple(
            size if size == -1 else positive(size, "unflattened_size") for size in unflattened_size
        )

    def forward(self, x: Any) -> Tensor:
        """Unflatten x."""
        if not -x.ndim <= self.dim < x.ndim:
            raise ShapeError(f"Unflatten: axis {self.dim} is out of range for shape {x.shape}")
        axis = self.dim % x.ndim
        return reshape(x, (*x.shape[:axis], *self.unflattened_size, *x.shape[axis + 1 :]))


class ZeroPad2d(Module):
    """Put zeros around images (N, H, W, C).

    Parameters
    ----------
    padding : int or sequence of four int
        Columns on the left and the right, then rows at the top and the bottom: PyTorch's order. A
        single number holds for all sides.
    """

    def __init__(self, padding: int | Sequence[int]) -> None:
        sides = padding if isinstance(padding, Sequence) else (padding,) * 4
        if len(sides) != 4:
            raise OptionError(
                f"padding: expected a number or (left, right, top, bottom), got {padding!r}"
            )
        self.padding = (*pair(sides[:2], "padding", least=0), *pair(sides[2:], "padding", least=0))

    def forward(self, x: Any) -> Tensor:
        """Map images (N, H, W, C) to (N, top + H + bottom, left + W + right, C)."""
        if x.ndim != 4:
            raise ShapeError(f"ZeroPad2d: expected images of shape (N, H, W, C), got {x.shape}")
        left, right, top, bottom = self.padding
        return pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
