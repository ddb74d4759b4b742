"""CuPy's functions that make, join, move or view arrays, where NumPy's differ too much."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from standin import counters
from standin.functions import FUNCTIONS, finish
from standin.ndarray import array as memory
from standin.ndarray import host, ndarray, operand, output, wrap
from standin.rules import dtype_of, poisoned

__all__ = ["CREATION", "STRIDE_TRICKS", "array", "asarray"]


def array(
    obj: Any,
    dtype: Any = None,
    copy: Any = True,
    order: Any = "K",
    subok: bool = False,
    ndmin: int = 0,
    *,
    blocking: bool = False,
) -> Any:
    """Make a device array; of device arrays, also in lists, without a transfer."""
    dtype = dtype_of(dtype)
    if type(obj) is ndarray:
        if copy is None and ndmin <= obj.ndim and (dtype is None or dtype == obj.dtype):
            return obj
        return wrap(
            np.array(
                obj._host, dtype, copy=None if copy is None else copy, order=order, ndmin=ndmin
            )
        )
    if isinstance(obj, (list, tuple)) and obj and all_on_device(obj):
        return wrap(np.array(operand(obj), dtype, ndmin=ndmin))
    if copy is False:
        raise ValueError("Unable to avoid copy while creating an array as requested.")
    made = np.array(obj, dtype, order="A" if isinstance(obj, np.ndarray) else "C", ndmin=ndmin)
    dtype_of(made.dtype)
    counters.record("to_device", f"array of shape {made.shape}")
    return wrap(made)


def all_on_device(values: Any) -> bool:
    return all(
        all_on_device(value) if isinstance(value, (list, tuple)) else type(value) is ndarray
        for value in values
    )


def asarray(
    a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False
) -> Any:
    """Make a device array; one that is there already is returned as it is."""
    return array(a, dtype, copy, order or "K", blocking=blocking)


def ascontiguousarray(a: Any, dtype: Any = None) -> Any:
    """Return a device array in C order, the same one where it is."""
    result = np.ascontiguousarray(memory(a), dtype_of(dtype))
    return a if result is a._host else wrap(result)


def asnumpy(
    a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True
) -> Any:
    """Copy to the host."""
    return a.get(stream, order, out, blocking) if type(a) is ndarray else np.asarray(a, order=order)


def get_array_module(*args: Any) -> Any:
    """Return this module where an argument is its array, else NumPy."""
    return sys.modules["cupy"] if any(type(value) is ndarray for value in args) else np


def empty(shape: Any, dtype: Any = float, order: str = "C") -> Any:
    """Return memory that nobody may read before writing."""
    return wrap(poisoned(np.empty(shape, dtype_of(dtype), order)))


def empty_like(
    prototype: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None
) -> Any:
    """Return memory as ``empty`` does, in the shape and dtype of an array."""
    return wrap(poisoned(np.empty_like(memory(prototype), dtype_of(dtype), order, shape=shape)))


def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """Choose elementwise; with the condition alone, find its nonzero places, which waits."""
    if x is None and y is None:
        return FUNCTIONS["nonzero"](condition)
    if x is None or y is None:
        raise ValueError("Must provide both 'x' and 'y' or neither.")
    return finish(np.where(memory(condition), host(x), host(y)), None)


def concatenate(
    tup: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    """Join device arrays along an axis."""
    joined = np.concatenate(
        memories(tup), axis, output(out), dtype=dtype_of(dtype), casting=casting
    )
    return finish(joined, out)


def stack(
    tup: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    """Join device arrays along a new axis."""
    joined = np.stack(memories(tup), axis, output(out), dtype=dtype_of(dtype), casting=casting)
    return finish(joined, out)


def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Join device arrays side by side."""
    return finish(np.hstack(memories(tup), dtype=dtype_of(dtype), casting=casting), None)


def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Join device arrays one above the other."""
    return finish(np.vstack(memories(tup), dtype=dtype_of(dtype), casting=casting), None)


def memories(tup: Any) -> list[np.ndarray]:
    return [memory(value) for value in tup]


def broadcast_arrays(*args: Any) -> Any:
    """Return read-only views of one shape."""
    return tuple(
        wrap(np.broadcast_to(memory(value), np.broadcast(*memories(args)).shape)) for value in args
    )


def meshgrid(*xi: Any, **kwargs: Any) -> Any:
    """Return coordinate arrays."""
    return wrap(np.meshgrid(*memories(xi), **kwargs))


def atleast_1d(*arys: Any) -> Any:
    """Return arrays of one dimension or more."""
    return wrap(np.atleast_1d(*memories(arys)))


def atleast_2d(*arys: Any) -> Any:
    """Return arrays of two dimensions or more."""
    return wrap(np.atleast_2d(*memories(arys)))


def atleast_3d(*arys: Any) -> Any:
    """Return arrays of three dimensions or more."""
    return wrap(np.atleast_3d(*memories(arys)))


def result_type(*arrays_and_dtypes: Any) -> Any:
    """Return the dtype that an operation on all of these has."""
    return np.result_type(*map(operand, arrays_and_dtypes))


def astype(x: Any, dtype: Any, /, *, copy: bool = True) -> Any:
    """Convert the elements of an array."""
    return x.astype(dtype, copy=copy)


def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = None) -> None:
    """Write an array or a number into an array."""
    np.copyto(output(dst), host(src), casting, True if where is None else memory(where))


def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any) -> None:
    """Write values to places that an index array names along an axis."""
    places = memory(indices)
    ordered = np.sort(places, axis=axis)
    if axis is None or (np.diff(ordered, axis=axis) == 0).any():
        raise ValueError("assigning through repeated indices has no defined result on CuPy")
    np.put_along_axis(output(arr), places, host(values), axis)


def matmul(
    *args: Any,
    axes: Any = None,
    axis: Any = None,
    keepdims: bool = False,
    casting: str = "same_kind",
    dtype: Any = None,
    signature: Any = None,
    order: str = "K",
    out: Any = None,
) -> Any:
    """Multiply matrices, or stacks of them."""
    if not (axes is axis is signature is None and keepdims is False and order == "K"):
        raise NotImplementedError(
            "the stand-in models cupy.matmul with out, dtype and casting alone"
        )
    a, b = memories(args)
    with np.errstate(all="ignore"):
        return finish(np.matmul(a, b, output(out), casting=casting, dtype=dtype_of(dtype)), out)


def einsum(*operands: Any, **kwargs: Any) -> Any:
    """Sum products over named axes; takes ``dtype`` and ``optimize`` alone."""
    if kwargs.keys() - {"dtype", "optimize"}:
        raise TypeError(f"Did not understand the following kwargs: {sorted(kwargs)}")
    with np.errstate(all="ignore"):
        result = np.einsum(
            *[value if isinstance(value, str) else operand(value) for value in operands], **kwargs
        )
    return wrap(result)


def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """Lay a border around an array."""
    return finish(np.pad(memory(array), pad_width, mode, **kwargs), None)


def as_strided(x: Any, shape: Any = None, strides: Any = None) -> Any:
    """Return a view of any shape and strides; one that leaves the memory raises IndexError."""
    source = memory(x)
    shape = source.shape if shape is None else tuple(shape)
    strides = source.strides if strides is None else tuple(strides)
    owner = source
    while owner.base is not None:
        owner = owner.base
    buffer = owner if owner.flags.c_contiguous else owner.T
    offset = source.ctypes.data - owner.ctypes.data
    try:
        return wrap(np.ndarray(shape, source.dtype, buffer, offset, strides))
    except (TypeError, ValueError) as error:
        raise IndexError(
            f"as_strided: shape {shape} with strides {strides} leaves the array's memory"
        ) from error


def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    """Return all windows; CuPy sends the window's shape to the device and reads it back again."""
    if writeable:
        raise NotImplementedError("Writeable views are not supported.")
    view = np.lib.stride_tricks.sliding_window_view(memory(x), window_shape, axis)
    counters.record("to_device", "sliding_window_view: the window's shape")
    for _ in range(np.size(window_shape)):
        counters.record("to_host", "sliding_window_view: the window's shape")
    return as_strided(x, view.shape, view.strides)


CREATION = {
    function.__name__: function
    for function in (
        array, asarray, ascontiguousarray, asnumpy, astype, atleast_1d, atleast_2d, atleast_3d,
        broadcast_arrays, concatenate, copyto, einsum, empty, empty_like, get_array_module, hstack,
        matmul, meshgrid, pad, put_along_axis, result_type, stack, vstack, where,
    )
}  # fmt: skip
CREATION |= {"asanyarray": asarray, "concat": concatenate}
STRIDE_TRICKS = {"as_strided": as_strided, "sliding_window_view": sliding_window_view}
