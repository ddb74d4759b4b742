"""Residual: modules whose result is added to what they were given."""

from __future__ import annotations

from typing import Any

from minicnn.autograd import Tensor
from minicnn.errors import ShapeError
from minicnn.nn.module import Module
from minicnn.ops.arithmetic import add

__all__ = ["Residual"]


class Residual(Module):
    """The sum of a module's result and its input: ``body(x) + shortcut(x)``.

    He, Zhang, Ren and Sun, "Deep residual learning for image recognition" (2016).

    Parameters
    ----------
    body : Module
        Such as a Sequential of convolutions.
    shortcut : Module, optional
        What the input goes through on its way around the body, such as a 1x1 convolution where the
        body changes the shape; by default nothing.

    Raises
    ------
    ShapeError
        When it is called, where the two results differ in shape: they are not broadcast.
    """

    body: Module
    shortcut: Module | None

    def __init__(self, body: Module, shortcut: Module | None = None) -> None:
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Any) -> Tensor:
        """Map x of any shape that the body takes to what the body gives."""
        around = x if self.shortcut is None else self.shortcut(x)
        through = self.body(x)
        if through.shape != around.shape:
            raise ShapeError(
                f"Residual: the body gives {through.shape}, the way around it {around.shape}; "
                "give a shortcut that changes the shape alike"
            )
        return add(through, around)
