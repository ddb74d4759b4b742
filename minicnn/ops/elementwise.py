"""The base of elementwise operations: broadcasting, its gradient, and reference, shape and cost."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from minicnn.autograd import Cost, ErrorSample, Node, Operation, Sample, Tensor
from minicnn.errors import ShapeError
from minicnn.ops.broadcast import sum_to

__all__ = ["BINARY_ERRORS", "BINARY_SAMPLES", "UNARY_SAMPLES", "Elementwise"]

UNARY_SAMPLES = (Sample(((3, 4),)), Sample(((2, 1, 3),)), Sample(((),)))
BINARY_SAMPLES = (
    Sample(((3, 4), (3, 4))),
    Sample(((2, 3, 4), (3, 1))),
    Sample(((), (2, 3))),
    Sample(((2, 3), 1.5)),
    Sample((0.5, (2, 3))),
)
BINARY_ERRORS = (ErrorSample(((2, 3), (2, 4)), match="broadcast"),)


def broadcast_shape(*shapes: Any, **options: Any) -> tuple[int, ...]:
    """Return the shape to which shapes broadcast; numbers and None count as ()."""
    shapes = tuple(shape if isinstance(shape, tuple) else () for shape in shapes)
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        listed = " and ".join(map(str, shapes))
        raise ShapeError(
            f"shapes {listed} do not broadcast: from the last axis backwards, sizes must be "
            "equal or 1"
        ) from None


def _reference(scalar: Callable[..., float], *arrays: Any, **options: Any) -> np.ndarray:
    broadcast = np.broadcast_arrays(*arrays)
    result = np.empty(broadcast[0].shape)
    for index in np.ndindex(*result.shape):
        result[index] = scalar(*(array[index] for array in broadcast), **options)
    return result


def _cost(per_element: Cost, *shapes: Any, **options: Any) -> Cost:
    return per_element * math.prod(broadcast_shape(*shapes))


class Elementwise(Operation):
    """An operation on each element by itself, whose inputs broadcast against each other.

    A subclass declares ``scalar`` (the function of Python numbers that every element must equal)
    and ``per_element`` (its :class:`Cost`), or ``cost`` where that depends on the options;
    reference, shape and the cost of the whole follow.
    """

    scalar: ClassVar[Callable[..., float]]
    per_element: ClassVar[Cost] = Cost(functions=1)
    errors: ClassVar[tuple[ErrorSample, ...]] = ()
    samples: ClassVar[tuple[Sample, ...]] = UNARY_SAMPLES
    shape = broadcast_shape

    def __init_subclass__(cls, *, name: str = "", **keywords: Any) -> None:
        if name:
            cls.scalar = staticmethod(cls.scalar)
            cls.reference = functools.partial(_reference, cls.scalar)
            if "cost" not in cls.__dict__:
                cls.cost = functools.partial(_cost, cls.per_element)
        super().__init_subclass__(name=name, **keywords)

    @classmethod
    def check(cls, arrays: list, options: dict) -> None:
        """Refuse shapes that do not broadcast; equal shapes, the usual case, cost nothing."""
        if len(arrays) > 1:
            first = getattr(arrays[0], "shape", ())
            for array in arrays[1:]:
                if getattr(array, "shape", ()) != first:
                    super().check(arrays, options)
                    return

    @classmethod
    def gradients(cls, node: Node, gradient: Tensor) -> tuple:
        """Return the inputs' gradients, summed over the axes along which an input was repeated."""
        found = super().gradients(node, gradient)
        shape = gradient.data.shape
        if all(getattr(value, "shape", shape) == shape for value in node.inputs):
            return found
        return tuple(
            [
                each
                if each is None or each.data.shape == value.shape
                else sum_to(each, shape=value.shape)
                for each, value in zip(found, node.inputs, strict=True)
            ]
        )
