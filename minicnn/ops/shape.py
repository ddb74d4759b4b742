"""Changing shapes: reshape, permute, concatenate, stack, pad, flip and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn import backend
from minicnn.autograd import Cost, ErrorSample, Operation, Sample, Tensor
from minicnn.errors import ShapeError
from minicnn.ops.arguments import as_axes, as_axis, check_axes, shape_of
from minicnn.ops.indexing import Index

__all__ = [
    "concatenate",
    "flatten",
    "flip",
    "pad",
    "permute",
    "reshape",
    "squeeze",
    "stack",
    "transpose",
    "unsqueeze",
]


class Reshape(Operation, name="reshape", view=True):
    """The same elements in another shape, the last axis running fastest; -1 is what is left."""

    samples = (
        Sample(((2, 3, 4),), shape=(4, 6)),
        Sample(((2, 3, 4),), shape=(-1, 2)),
        Sample(((6,),), shape=(2, 1, 3)),
        Sample(((1, 1),), shape=()),
    )
    errors = (
        ErrorSample(((2, 3),), shape=(4, 2), match="6 elements"),
        ErrorSample(((2, 3),), shape=(4, -1), match="6 elements"),
        ErrorSample(((2, 3),), shape=(-1, -1), match="one -1"),
        ErrorSample(((0, 3),), shape=(0, -1), match="0 elements"),
    )

    def shape(x, *, shape):
        size = math.prod(x)
        known = math.prod([each for each in shape if each != -1])
        unknown = shape.count(-1)
        if unknown > 1 or any(each < -1 for each in shape):
            raise ShapeError(f"{shape} is no shape: sizes are 0 or more, and at most one -1")
        if (size != known) if not unknown else (known == 0 or size % known):
            raise ShapeError(f"the {size} elements of shape {x} do not fit into {shape}")
        return tuple([size // known if each == -1 else each for each in shape])

    def cost(x, *, shape):
        return Cost()

    def reference(x, *, shape):
        sizes = Reshape.shape(x.shape, shape=shape)
        result = np.empty(sizes)
        for source, target in zip(np.ndindex(*x.shape), np.ndindex(*sizes), strict=True):
            result[target] = x[source]
        return result

    def forward(ctx, x, *, shape):
        return x.reshape(shape)

    def backward(ctx, gy):
        return Reshape.apply(gy, shape=ctx.inputs[0].shape)


class Permute(Operation, name="permute", view=True):
    """Reorder the axes: axis i of the result is axis ``axes[i]`` of the input."""

    samples = (
        Sample(((2, 3, 4),), axes=(2, 0, 1)),
        Sample(((2, 3),), axes=(1, 0)),
        Sample(((),), axes=()),
    )
    errors = (
        ErrorSample(((2, 3),), axes=(0, 0), match="twice"),
        ErrorSample(((2, 3),), axes=(0, 2), match="out of range"),
        ErrorSample(((2, 3),), axes=(0,), match="all 2 axes"),
    )

    def shape(x, *, axes):
        check_axes(axes, len(x))
        if len(axes) != len(x):
            raise ShapeError(f"expected an order of all {len(x)} axes of shape {x}, got {axes}")
        return tuple([x[axis] for axis in axes])

    def cost(x, *, axes):
        return Cost()

    def reference(x, *, axes):
        result = np.empty(Permute.shape(x.shape, axes=axes))
        for index in np.ndindex(*x.shape):
            result[tuple(index[axis] for axis in axes)] = x[index]
        return result

    def forward(ctx, x, *, axes):
        return x.transpose(axes)

    def backward(ctx, gy):
        axes = ctx.options["axes"]
        return Permute.apply(gy, axes=tuple([axes.index(axis) for axis in range(len(axes))]))


class Concatenate(Operation, name="concatenate"):
    """Tensors one after the other along an axis."""

    samples = (
        Sample(((2, 3), (2, 1), (2, 2)), axis=1),
        Sample(((2, 3), (1, 3)), axis=0),
        Sample(((2, 3, 2),), axis=2),
        Sample(((0, 2), (1, 2)), axis=0),
    )
    errors = (
        ErrorSample(((2, 3), (3, 3)), axis=1, match="equal but along axis 1"),
        ErrorSample(((2, 3), (2, 3, 1)), axis=1, match="equal but along axis 1"),
        ErrorSample(((2, 3), (2, 3)), axis=2, match="out of range"),
    )

    def shape(*shapes, axis):
        first = shapes[0]
        check_axes((axis,), len(first))
        for shape in shapes:
            if shape[:axis] + shape[axis + 1 :] != first[:axis] + first[axis + 1 :]:
                raise ShapeError(f"shapes {first} and {shape} must be equal but along axis {axis}")
        return (*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :])

    def cost(*shapes, axis):
        return Cost()

    def reference(*arrays, axis):
        result = np.empty(Concatenate.shape(*[array.shape for array in arrays], axis=axis))
        start = 0
        for array in arrays:
            for index in np.ndindex(*array.shape):
                target = (*index[:axis], start + index[axis], *index[axis + 1 :])
                result[target] = array[index]
            start += array.shape[axis]
        return result

    def forward(ctx, *arrays, axis):
        return backend.xp(*arrays).concatenate(arrays, axis=axis)

    def backward(ctx, gy):
        before = (slice(None),) * ctx.options["axis"]
        gradients = []
        start = 0
        for value, needed in zip(ctx.inputs, ctx.needs, strict=True):
            end = start + value.shape[len(before)]
            index = (*before, slice(start, end))
            gradients.append(Index.apply(gy, index=index) if needed else None)
            start = end
        return tuple(gradients)


class Pad(Operation, name="pad"):
    """Put a constant number of elements of one value before and after each axis."""

    samples = (
        Sample(((2, 3),), widths=((1, 0), (2, 3)), value=0.0),
        Sample(((3,),), widths=((0, 2),), value=-1.5),
        Sample(((2, 2, 1),), widths=((0, 0), (1, 1), (0, 0)), value=0.0),
    )
    errors = (
        ErrorSample(((2, 3),), widths=((1, 1),), value=0.0, match="2 axes"),
        ErrorSample(((2,),), widths=((1, -1),), value=0.0, match="-1"),
    )

    def shape(x, *, widths, value):
        if len(widths) != len(x):
            raise ShapeError(f"{len(widths)} pairs of widths for the {len(x)} axes of shape {x}")
        if any(width < 0 for pair in widths for width in pair):
            raise ShapeError(f"widths must be 0 or more, got {widths}")
        return tuple([size + sum(pair) for size, pair in zip(x, widths, strict=True)])

    def cost(x, *, widths, value):
        return Cost()

    def reference(x, *, widths, value):
        result = np.empty(Pad.shape(x.shape, widths=widths, value=value))
        for index in np.ndindex(*result.shape):
            source = [place - before for place, (before, _) in zip(index, widths, strict=True)]
            inside = all(0 <= place < size for place, size in zip(source, x.shape, strict=True))
            result[index] = x[tuple(source)] if inside else value
        return result

    def forward(ctx, x, *, widths, value):
        # Several times as fast as xp.pad on small arrays.
        y = backend.xp(x).full(Pad.shape(x.shape, widths=widths, value=value), value, dtype=x.dtype)
        y[_inside(x.shape, widths)] = x
        return y

    def backward(ctx, gy):
        return Index.apply(gy, index=_inside(ctx.inputs[0].shape, ctx.options["widths"]))


def _inside(x: tuple[int, ...], widths: tuple[tuple[int, int], ...]) -> tuple[slice, ...]:
    return tuple(
        [slice(before, before + size) for size, (before, _) in zip(x, widths, strict=True)]
    )


class Flip(Operation, name="flip", view=True):
    """The elements in reverse order along some axes."""

    samples = (
        Sample(((3, 4),), axis=(1,)),
        Sample(((2, 3, 2),), axis=(0, 2)),
        Sample(((2, 3),), axis=()),
    )
    errors = (
        ErrorSample(((2, 3),), axis=(2,), match="out of range"),
        ErrorSample(((2, 3),), axis=(1, 1), match="twice"),
    )

    def shape(x, *, axis):
        check_axes(axis, len(x))
        return x

    def cost(x, *, axis):
        return Cost()

    def reference(x, *, axis):
        result = np.empty(x.shape)
        for index in np.ndindex(*x.shape):
            mirrored = [
                size - 1 - place if position in axis else place
                for position, (place, size) in enumerate(zip(index, x.shape, strict=True))
            ]
            result[tuple(mirrored)] = x[index]
        return result

    def forward(ctx, x, *, axis):
        back, ahead = slice(None, None, -1), slice(None)
        return x[tuple([back if position in axis else ahead for position in range(x.ndim)])]

    def backward(ctx, gy):
        return Flip.apply(gy, axis=ctx.options["axis"])


def _given(sizes: tuple) -> tuple[int, ...]:
    # Sizes or axes as one tuple, or each as an argument of its own.
    if len(sizes) == 1 and isinstance(sizes[0], Sequence):
        sizes = tuple(sizes[0])
    return tuple([int(size) for size in sizes])


def reshape(x: Any, *shape: int | Sequence[int]) -> Tensor:
    """Return the same elements in another shape.

    Parameters
    ----------
    x : Tensor
    *shape : int, or one tuple of int
        The new sizes; one of them may be -1 and stands for what is left.

    Returns
    -------
    Tensor
        It shares memory with ``x`` where its elements lie in the right order.

    Raises
    ------
    ShapeError
        The number of elements would change.
    """
    shape_of(x, "reshape")
    return Reshape.apply(x, shape=_given(shape))


def flatten(x: Any, start_axis: int = 0, end_axis: int = -1) -> Tensor:
    """Make one axis of all axes from ``start_axis`` to ``end_axis``, both included."""
    shape = shape_of(x, "flatten")
    if not shape:
        return reshape(x, (1,))
    start = as_axis(start_axis, len(shape), "flatten")
    end = as_axis(end_axis, len(shape), "flatten")
    if start > end:
        raise ShapeError(f"flatten: start_axis {start_axis} comes after end_axis {end_axis}")
    size = math.prod(shape[start : end + 1])
    return reshape(x, (*shape[:start], size, *shape[end + 1 :]))


def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """Take away axes of size 1.

    Parameters
    ----------
    x : Tensor
    axis : int, tuple of int or None
        All axes of size 1 where it is None.

    Returns
    -------
    Tensor

    Raises
    ------
    ShapeError
        An axis that was named has another size. (PyTorch leaves it as it is, in silence.)
    """
    shape = shape_of(x, "squeeze")
    if axis is None:
        return reshape(x, tuple([size for size in shape if size != 1]))
    axes = as_axes(axis, len(shape), "squeeze")
    for each in axes:
        if shape[each] != 1:
            raise ShapeError(f"squeeze: axis {each} of shape {shape} has size {shape[each]}, not 1")
    return reshape(x, tuple([size for each, size in enumerate(shape) if each not in axes]))


def unsqueeze(x: Any, axis: int) -> Tensor:
    """Put in a new axis of size 1, which is then axis ``axis`` of the result."""
    shape = shape_of(x, "unsqueeze")
    place = as_axis(axis, len(shape) + 1, "unsqueeze")
    return reshape(x, (*shape[:place], 1, *shape[place:]))


def permute(x: Any, *axes: int | Sequence[int]) -> Tensor:
    """Reorder the axes.

    Parameters
    ----------
    x : Tensor
    *axes : int, or one tuple of int
        For each axis of the result, the axis of ``x`` that it is.

    Returns
    -------
    Tensor
        It shares memory with ``x``.
    """
    return Permute.apply(x, axes=as_axes(_given(axes), len(shape_of(x, "permute")), "permute"))


def transpose(x: Any, *axes: int | Sequence[int]) -> Tensor:
    """Swap two axes, or reorder all of them.

    Parameters
    ----------
    x : Tensor
    *axes : nothing, two int, or one tuple of int
        Two axes to be swapped, as in PyTorch; a tuple is the order of all axes, as in NumPy, where
        nothing stands for the reverse order.

    Returns
    -------
    Tensor
        It shares memory with ``x``.
    """
    order = list(range(len(shape_of(x, "transpose"))))
    if not axes:
        return Permute.apply(x, axes=tuple(order[::-1]))
    if len(axes) != 2:
        return permute(x, *axes)
    first, second = (as_axes(axis, len(order), "transpose")[0] for axis in axes)
    order[first], order[second] = order[second], order[first]
    return Permute.apply(x, axes=tuple(order))


def concatenate(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Join tensors along an axis that they have.

    Parameters
    ----------
    tensors : sequence of Tensor
        Of equal sizes but along the axis, and of one element type.
    axis : int

    Returns
    -------
    Tensor
    """
    return Concatenate.apply(
        *tensors, axis=as_axis(axis, _ndim(tensors, "concatenate"), "concatenate")
    )


def stack(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Join tensors of one shape along a new axis, which is then axis ``axis`` of the result."""
    place = as_axis(axis, _ndim(tensors, "stack") + 1, "stack")
    first = tensors[0].shape
    for each in tensors:
        if shape_of(each, "stack") != first:
            raise ShapeError(f"stack: shapes {first} and {each.shape} differ")
    return concatenate([unsqueeze(each, place) for each in tensors], place)


def _ndim(tensors: Sequence[Any], name: str) -> int:
    if not isinstance(tensors, (list, tuple)) or not tensors:
        raise ShapeError(f"{name}: expected a list or tuple of at least one tensor")
    return len(shape_of(tensors[0], name))


def pad(x: Any, widths: Any, value: float = 0.0) -> Tensor:
    """Put elements of one value before and after each axis.

    Parameters
    ----------
    x : Tensor
    widths : int, or sequence of pairs of int
        How many before and after each axis, the first axis first (NumPy's order; PyTorch's flat
        list starts with the last axis); a number goes for both sides of all axes.
    value : float

    Returns
    -------
    Tensor
    """
    if isinstance(widths, int):
        pairs: tuple = ((widths, widths),) * len(shape_of(x, "pad"))
    else:
        pairs = tuple([_given(pair) for pair in widths])
        if any(len(pair) != 2 for pair in pairs):
            raise ShapeError(f"pad: expected a pair of widths for each axis, got {widths}")
    return Pad.apply(x, widths=pairs, value=value)


def flip(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """Reverse the order of the elements along axes (all of them by default); a view."""
    return Flip.apply(x, axis=as_axes(axis, len(shape_of(x, "flip")), "flip"))
