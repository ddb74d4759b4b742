"""Embedding: rows of a table by their numbers; its gradient adds up in the rows that were taken."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn import backend
from minicnn.autograd import Cost, ErrorSample, Operation, Sample, Tensor
from minicnn.errors import DTypeError, OptionError, ShapeError
from minicnn.ops.arguments import shape_of

__all__ = ["embedding"]


class Embedding(Operation, name="embedding"):
    """y[...] = weight[indices[...]]: one row of the table for each index."""

    samples = (
        Sample(((4,), (3, 2)), integers={0: 3}),
        Sample(((2, 3), (5, 4)), integers={0: 5}),
        Sample(((), (3, 2)), integers={0: 3}),
    )
    errors = (ErrorSample(((4,), (3,)), integers={0: 3}, match="table"),)

    def shape(indices, weight):
        if len(weight) != 2:
            raise ShapeError(f"expected a table of shape (rows, dimensions), got {weight}")
        return (*indices, weight[1])

    def cost(indices, weight):
        return Cost()

    def reference(indices, weight):
        y = np.empty((*indices.shape, weight.shape[1]))
        for index in np.ndindex(*indices.shape):
            y[index] = weight[int(indices[index])]
        return y

    def forward(ctx, indices, weight):
        ctx.save(indices)
        return backend.xp(weight).take(weight, indices, axis=0)

    def backward(ctx, gy):
        (indices,) = ctx.saved
        return None, EmbeddingGradient.apply(indices, gy, rows=ctx.inputs[1].shape[0])


class EmbeddingGradient(Operation, name="embedding_gradient"):
    """y[r] = sum of x[...] over the places where indices[...] = r: the adjoint of embedding."""

    samples = (
        Sample(((4,), (4, 2)), integers={0: 3}, rows=3),
        Sample(((2, 3), (2, 3, 4)), integers={0: 5}, rows=6),
        Sample(((), (2,)), integers={0: 3}, rows=3),
    )
    errors = (ErrorSample(((4,), (3, 2)), integers={0: 3}, rows=3, match="indices"),)

    def shape(indices, x, *, rows):
        if x[:-1] != indices or not x:
            raise ShapeError(f"indices of shape {indices} do not fit rows of shape {x}")
        return rows, x[-1]

    def cost(indices, x, *, rows):
        return Cost(additions=math.prod(x))

    def reference(indices, x, *, rows):
        y = np.zeros((rows, x.shape[-1]))
        for index in np.ndindex(*x.shape):
            y[indices[index[:-1]], index[-1]] += x[index]
        return y

    def forward(ctx, indices, x, *, rows):
        xp = backend.xp(indices, x)
        ctx.save(indices)
        dimensions = x.shape[-1]
        y = xp.zeros(rows * dimensions, dtype=x.dtype)
        # Places in the flat table: NumPy adds at one-dimensional indices several times as fast.
        places = indices.reshape(-1, 1).astype(xp.int64) * dimensions + xp.arange(dimensions)
        xp.add.at(y, places.reshape(-1), x.reshape(-1))
        return y.reshape(rows, dimensions)

    def backward(ctx, gy):
        (indices,) = ctx.saved
        return None, Embedding.apply(indices, gy)


def embedding(indices: Any, weight: Any) -> Tensor:
    """Take rows of a table by their numbers.

    The largest and the smallest index are read on the host, because CuPy would wrap an index out
    of range in silence; on a GPU this waits for the device. There, too, gradients of a row that was
    taken several times add up in no fixed order.

    Parameters
    ----------
    indices : Tensor or array of integers, of any shape
        From 0 to the number of rows less one.
    weight : Tensor of shape (rows, dimensions)

    Returns
    -------
    Tensor of shape (*indices.shape, dimensions)

    Raises
    ------
    OptionError
        An index is out of range.
    DTypeError
        The indices are not integers.
    """
    shape_of(indices, "embedding")
    rows = shape_of(weight, "embedding")[0]
    array = indices.data if isinstance(indices, Tensor) else indices
    if array.dtype.kind not in "iu":
        raise DTypeError(f"embedding: expected indices of integers, got {array.dtype}")
    if array.size:
        xp = backend.xp(array)
        low, high = backend.to_numpy(xp.stack([array.min(), array.max()])).tolist()
        if low < 0 or high >= rows:
            raise OptionError(
                f"embedding: index {low if low < 0 else high} is out of range; "
                f"a table of {rows} rows has 0 to {rows - 1}"
            )
    return Embedding.apply(indices, weight)
