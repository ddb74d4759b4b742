"""Indexing with NumPy's rules: views by slices and integers, copies by arrays, their adjoints."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minicnn import backend
from minicnn.autograd import Cost, ErrorSample, Operation, Sample, Tensor
from minicnn.errors import DTypeError, OptionError, ShapeError
from minicnn.ops.arguments import shape_of

__all__ = ["ARRAY", "getitem"]

ARRAY = "array"  # holds the place of the next array of positions in an index

# Every index below is a tuple of these and, for Take and AddAt, ARRAY.
_BASIC = (int, slice, type(None), type(Ellipsis))


def _full(index: tuple, ndim: int) -> tuple:
    # The index with slices in place of the Ellipsis, and after its end, so that it has every axis.
    parts = [part for part in index if part is not None and part is not Ellipsis]
    missing = ndim - len(parts)
    if missing < 0:
        raise ShapeError(f"{len(parts)} indices for a tensor of {ndim} axes")
    places = [place for place, part in enumerate(index) if part is Ellipsis]
    if len(places) > 1:
        raise ShapeError("an index can have only one Ellipsis (...)")
    place = places[0] if places else len(index)
    return (*index[:place], *[slice(None)] * missing, *index[place + 1 :])


def _layout(
    x: tuple[int, ...], index: tuple, block: tuple[int, ...] | None = None
) -> tuple[tuple[int, ...], int]:
    """Return the shape of ``x[index]`` and the axis at which the axes of the arrays stand in it.

    ``block`` is the shape to which the arrays broadcast; integers are arrays like them then, and
    all of these axes stand where the first array is, or in front if a slice or None parts them.
    """
    shape: list[int] = []
    arrays: list[int] = []  # places of what belongs to the block
    start = axis = 0
    for place, part in enumerate(_full(index, len(x))):
        if part is None:
            shape.append(1)
            continue
        if isinstance(part, slice):
            shape.append(len(range(*part.indices(x[axis]))))
        else:
            if part is not ARRAY and not -x[axis] <= part < x[axis]:
                raise ShapeError(f"index {part} is out of range for axis {axis} of shape {x}")
            if not arrays:
                start = len(shape)
            arrays.append(place)
        axis += 1
    if block is None:
        return tuple(shape), 0
    if arrays != list(range(arrays[0], arrays[-1] + 1)):
        start = 0
    return (*shape[:start], *block, *shape[start:]), start


def _block(positions: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*positions)
    except ValueError:
        listed = " and ".join(map(str, positions))
        raise ShapeError(f"the arrays of positions, {listed}, do not broadcast") from None


def _fill(index: tuple, arrays: Sequence[Any]) -> tuple:
    remaining = iter(arrays)
    return tuple([next(remaining) if part is ARRAY else part for part in index])


def _pairs(x: tuple[int, ...], index: tuple, *positions: np.ndarray) -> Iterator[tuple]:
    """Give, element by element, the place in ``x[index]`` and the place in ``x``."""
    arrays = np.broadcast_arrays(*positions)
    block = arrays[0].shape if arrays else None
    shape, start = _layout(x, index, block)
    end = start + len(block or ())
    for target in np.ndindex(*shape):
        basic, remaining = iter(target[:start] + target[end:]), iter(arrays)
        source: list[int] = []
        for part in _full(index, len(x)):
            if part is None:
                next(basic)
            elif isinstance(part, slice):
                source.append(range(*part.indices(x[len(source)]))[next(basic)])
            else:
                source.append(next(remaining)[target[start:end]] if part is ARRAY else part)
        yield target, tuple(source)


def _check_given(given: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if given != expected:
        raise ShapeError(f"the index takes {expected}, the values have shape {given}")


class Index(Operation, name="index", view=True):
    """x[index] with integers, slices, None and Ellipsis: a view."""

    samples = (
        Sample(((4, 5),), index=(1,)),
        Sample(((4, 5),), index=(slice(1, 3), -1)),
        Sample(((4, 5),), index=(slice(None, None, -2), None, slice(4, 0, -3))),
        Sample(((2, 3, 4),), index=(Ellipsis, slice(1, None))),
        Sample(((2, 3),), index=(1, 2)),
        Sample(((2, 3),), index=(slice(2, 2),)),
    )
    errors = (
        ErrorSample(((2, 3),), index=(2,), match="index 2 is out of range"),
        ErrorSample(((2, 3),), index=(0, -4), match="index -4 is out of range"),
        ErrorSample(((2, 3),), index=(0, 0, 0), match="3 indices"),
        ErrorSample(((2, 3),), index=(Ellipsis, Ellipsis), match="Ellipsis"),
    )

    def shape(x, *, index):
        return _layout(x, index)[0]

    def cost(x, *, index):
        return Cost()

    def reference(x, *, index):
        result = np.empty(_layout(x.shape, index)[0])
        for target, source in _pairs(x.shape, index):
            result[target] = x[source]
        return result

    def forward(ctx, x, *, index):
        # With an Ellipsis, a single element is a view as well, and no scalar of NumPy's.
        return x[index if Ellipsis in index else (*index, Ellipsis)]

    def backward(ctx, gy):
        return Place.apply(gy, index=ctx.options["index"], shape=ctx.inputs[0].shape)


class Place(Operation, name="place"):
    """Put values at an index of a tensor of zeros: the adjoint of :class:`Index`."""

    samples = (
        Sample(((5,),), index=(1,), shape=(4, 5)),
        Sample(((2, 1, 2),), index=(slice(None, None, -2), None, slice(4, 0, -3)), shape=(4, 5)),
        Sample(((2, 3, 2),), index=(Ellipsis, slice(1, 3)), shape=(2, 3, 4)),
        Sample(((),), index=(1, 2), shape=(2, 3)),
    )
    errors = (
        ErrorSample(((4,),), index=(1,), shape=(4, 5), match=r"takes \(5,\)"),
        ErrorSample(((5,),), index=(4,), shape=(4, 5), match="index 4 is out of range"),
    )

    def shape(y, *, index, shape):
        _check_given(y, _layout(shape, index)[0])
        return shape

    def cost(y, *, index, shape):
        return Cost()

    def reference(y, *, index, shape):
        result = np.zeros(shape)
        for target, source in _pairs(shape, index):
            result[source] = y[target]
        return result

    def forward(ctx, y, *, index, shape):
        x = backend.xp(y).zeros(shape, dtype=y.dtype)
        x[index] = y
        return x

    def backward(ctx, gx):
        return Index.apply(gx, index=ctx.options["index"])


class Take(Operation, name="take"):
    """x[index] where at least one part of the index is an array of positions: a copy.

    Positions that NumPy finds out of range are refused; CuPy wraps them around unseen.
    """

    samples = (
        Sample(((4, 5), (3,)), integers={1: 4}, index=(ARRAY,)),
        Sample(((4, 5), (2, 3)), integers={1: 5}, index=(Ellipsis, ARRAY)),
        Sample(((4, 5), (3,), (2, 1)), integers={1: 4, 2: 5}, index=(ARRAY, ARRAY)),
        Sample(((4, 2, 5), (6,), (6,)), integers={1: 4, 2: 5}, index=(ARRAY, slice(None), ARRAY)),
        Sample(((2, 3, 4), (6,)), integers={1: 4}, index=(0, slice(None, None, 2), ARRAY)),
        Sample(((2, 3, 4), (6,)), integers={1: 3}, index=(slice(None), ARRAY, -1, None)),
        Sample(((4,), ()), integers={1: 4}, index=(ARRAY,)),
    )
    errors = (
        ErrorSample(
            ((4, 5), (3,), (2,)), integers={1: 4, 2: 5}, index=(ARRAY, ARRAY), match="broadcast"
        ),
        ErrorSample(((4,), (3,)), integers={1: 4}, index=(0, ARRAY), match="2 indices"),
    )

    def shape(x, *positions, index):
        return _layout(x, index, _block(positions))[0]

    def cost(x, *positions, index):
        return Cost()

    def reference(x, *positions, index):
        block = _block([each.shape for each in positions])
        result = np.empty(_layout(x.shape, index, block)[0])
        for target, source in _pairs(x.shape, index, *positions):
            result[target] = x[source]
        return result

    def forward(ctx, x, *positions, index):
        ctx.save(*positions)
        try:
            return x[_fill(index, positions)]
        except IndexError as error:
            raise ShapeError(f"take: {error}") from None

    def backward(ctx, gy):
        return AddAt.apply(gy, *ctx.saved, index=ctx.options["index"], shape=ctx.inputs[0].shape)


class AddAt(Operation, name="add_at"):
    """Add values to a tensor of zeros at arrays of positions: the adjoint of :class:`Take`.

    Where a position comes up more than once, its values add up.
    """

    samples = (
        Sample(((6, 3), (6,)), integers={1: 4}, index=(ARRAY,), shape=(4, 3)),
        Sample(((6, 2), (6,)), integers={1: 4}, index=(0, slice(1, 3), ARRAY), shape=(2, 3, 4)),
        Sample(((2, 3), (3,), (2, 1)), integers={1: 2, 2: 2}, index=(ARRAY, ARRAY), shape=(2, 2)),
    )
    errors = (
        ErrorSample(
            ((5, 3), (6,)), integers={1: 4}, index=(ARRAY,), shape=(4, 3), match=r"takes \(6, 3\)"
        ),
    )

    def shape(y, *positions, index, shape):
        _check_given(y, _layout(shape, index, _block(positions))[0])
        return shape

    def cost(y, *positions, index, shape):
        return Cost(additions=math.prod(y))

    def reference(y, *positions, index, shape):
        result = np.zeros(shape)
        for target, source in _pairs(shape, index, *positions):
            result[source] += y[target]
        return result

    def forward(ctx, y, *positions, index, shape):
        ctx.save(*positions)
        xp = backend.xp(y)
        x = xp.zeros(shape, dtype=y.dtype)
        try:
            xp.add.at(x, _fill(index, positions), y)
        except IndexError as error:
            raise ShapeError(f"add_at: {error}") from None
        return x

    def backward(ctx, gx):
        return Take.apply(gx, *ctx.saved, index=ctx.options["index"])


def getitem(x: Any, index: Any) -> Tensor:
    """Return ``x[index]`` with NumPy's rules.

    Parameters
    ----------
    x : Tensor
    index : int, slice, None, Ellipsis, array, Tensor or list, or a tuple of these
        Arrays hold positions (integers) or are masks (booleans, of the shape of the axes that they
        choose from; on a GPU, counting what they choose waits for the device). Without arrays the
        result is a view, which shares memory with ``x``; with arrays it is a copy, and an element
        that is taken several times collects all its gradients.

    Returns
    -------
    Tensor

    Raises
    ------
    ShapeError
        A position is out of range, there are too many indices, or a mask does not fit. On a GPU,
        positions in arrays are not checked: they wrap around.
    DTypeError
        An array holds neither integers nor booleans.
    """
    shape = shape_of(x, "index")
    parts = [_as_part(part, x) for part in (index if isinstance(index, tuple) else (index,))]
    if all(isinstance(part, _BASIC) for part in parts):
        return Index.apply(x, index=tuple(parts))
    parts, positions = _split(parts, shape)
    return Take.apply(x, *positions, index=tuple(parts))


def _as_part(part: Any, x: Any) -> Any:
    # Numbers become int, lists arrays on the backend of x; tensors stay, so that changes are seen.
    if isinstance(part, (*_BASIC, np.integer)) and not isinstance(part, bool):
        return int(part) if isinstance(part, np.integer) else part
    if isinstance(part, (list, range)):
        values = np.asarray(part)
        values = values.astype(np.int64) if not values.size else values
        part = backend.asarray(values, backend.name_of(x.data if isinstance(x, Tensor) else x))
    if not isinstance(part, Tensor) and not backend.is_array(part):
        raise OptionError(
            f"index: expected integers, slices, None, ... or arrays, got {type(part).__name__}"
        )
    if part.dtype.kind not in "iub":
        raise DTypeError(f"index: expected integers or booleans, got an array of {part.dtype}")
    return part


def _split(parts: list, shape: tuple[int, ...]) -> tuple[list, list]:
    """Part the arrays from the index, leaving ARRAY in their places; masks become positions."""
    axes = [
        part.ndim if not isinstance(part, _BASIC) and part.dtype.kind == "b" else 1
        for part in parts
        if part is not None and part is not Ellipsis
    ]
    rest = len(shape) - sum(axes)
    template: list = []
    positions: list = []
    axis = 0
    for part in parts:
        if isinstance(part, _BASIC):
            template.append(part)
            axis += 0 if part is None else rest if part is Ellipsis else 1
        elif part.dtype.kind != "b":
            template.append(ARRAY)
            positions.append(part)
            axis += 1
        else:
            chosen = shape[axis : axis + part.ndim]
            if not part.ndim or part.shape != chosen:
                raise ShapeError(
                    f"index: a mask of shape {part.shape} stands at axis {axis} of shape {shape}; "
                    "its shape must be that of the axes which it chooses from"
                )
            template.extend([ARRAY] * part.ndim)
            mask = part.data if isinstance(part, Tensor) else part
            positions.extend(mask.nonzero())
            axis += part.ndim
    return template, positions
