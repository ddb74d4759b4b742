"""The stand-in's array: CuPy's rules around a NumPy array that plays the device's memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from standin import counters
from standin.rules import (
    dtype_of,
    has_mask,
    is_advanced,
    poisoned,
    refuse_overlap,
    refuse_repeats,
    scalar,
)

__all__ = ["array", "host", "index_key", "ndarray", "operand", "output", "wrap"]

IMPLICIT = (
    "Implicit conversion to a NumPy array is not allowed. "
    "Please use `.get()` to construct a NumPy array explicitly."
)
STRAY = "numpy.{name} was called on a cupy.ndarray; call the array's own module: xp.{name}"


def wrap(result: Any) -> Any:
    """Make device arrays of a NumPy result: an array, a scalar, or a tuple or list of them."""
    if type(result) is np.ndarray:
        made = object.__new__(ndarray)
        made._host = result
        return made
    if isinstance(result, (tuple, list)):
        return (list if isinstance(result, list) else tuple)(map(wrap, result))
    return wrap(np.asarray(result))


def array(value: Any) -> np.ndarray:
    """Return the memory of a device array; anything else raises TypeError."""
    if type(value) is ndarray:
        return value._host
    raise TypeError(f"Unsupported type {type(value)}: expected a cupy.ndarray")


def host(value: Any) -> Any:
    """Return the operand of an elementwise operation: a device array's memory or a number."""
    return value._host if type(value) is ndarray else scalar(value)


def operand(value: Any) -> Any:
    """Replace device arrays, also in lists, by their memory; a NumPy array raises TypeError."""
    if type(value) is ndarray:
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if type(value) in (tuple, list):
        return type(value)(map(operand, value))
    return value


def output(value: Any) -> Any:
    """Return the memory of an array to write into; None stays None."""
    if value is None:
        return None
    target = array(value)
    refuse_overlap(target)
    return target


def index_key(key: Any) -> Any:
    """Return an index as NumPy takes it."""
    if type(key) is tuple:
        return tuple(map(index_key, key))
    if type(key) is ndarray:
        return key._host
    if isinstance(key, np.ndarray):
        raise TypeError(f"Unsupported type {type(key)}: move the indices to the device first")
    if type(key) is list:
        counters.record("to_device", "a list as index")
    return key


class Flags:
    """Memory layout of an array; there is no ``writeable``."""

    __slots__ = ("_flags",)

    def __init__(self, flags: Any) -> None:
        self._flags = flags

    c_contiguous = property(lambda self: self._flags.c_contiguous)
    f_contiguous = property(lambda self: self._flags.f_contiguous)
    fnc = property(lambda self: self._flags.fnc)
    forc = property(lambda self: self._flags.forc)
    owndata = property(lambda self: self._flags.owndata)

    def __getitem__(self, name: str) -> bool:
        if name not in ("C_CONTIGUOUS", "F_CONTIGUOUS", "OWNDATA"):
            raise KeyError(f"{name} is not defined for cupy.ndarray.flags")
        return self._flags[name]


class MemoryPointer:
    """Where an array's elements start."""

    __slots__ = ("ptr",)

    def __init__(self, ptr: int) -> None:
        self.ptr = ptr


class ndarray:
    """An array that behaves as ``cupy.ndarray`` where CuPy is stricter than NumPy.

    Operators are added in ``standin.operators``, and methods that pass on to a function of the
    module (``sum``, ``take``, ...) in ``standin.functions``.
    """

    __module__ = "cupy"
    __slots__ = ("__weakref__", "_host")
    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]

    _host: np.ndarray

    def __new__(
        cls,
        shape: Any,
        dtype: Any = float,
        memptr: Any = None,
        strides: Any = None,
        order: str = "C",
    ) -> Any:
        if memptr is not None or strides is not None:
            raise NotImplementedError("the stand-in has no device memory to point into")
        return wrap(poisoned(np.empty(shape, dtype_of(dtype), order)))

    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    itemsize = property(lambda self: self._host.itemsize)
    strides = property(lambda self: self._host.strides)
    T = property(lambda self: wrap(self._host.T))
    mT = property(lambda self: wrap(self._host.swapaxes(-1, -2)))
    real = property(lambda self: wrap(self._host.real))
    imag = property(lambda self: wrap(self._host.imag))
    flags = property(lambda self: Flags(self._host.flags))
    data = property(lambda self: MemoryPointer(self._host.ctypes.data))
    base = property(lambda self: None if self._host.base is None else wrap(self._host.base))

    @property
    def device(self) -> Any:
        from standin.devices import Device

        return Device(0)

    # To the host, on request and counted.

    def get(
        self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True
    ) -> np.ndarray:
        counters.record("to_host", f"array of shape {self._host.shape}")
        if out is None:
            return np.array(self._host, order=order)
        np.copyto(out, self._host)
        return out

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if arr.dtype != self.dtype or arr.shape != self.shape:
            raise ValueError(f"cannot set {arr.dtype} {arr.shape} into {self.dtype} {self.shape}")
        counters.record("to_device", f"array of shape {arr.shape}")
        self._host[...] = arr

    def item(self) -> Any:
        return self.get().item()

    def tolist(self) -> Any:
        return self.get().tolist()

    def tobytes(self, order: str = "C") -> bytes:
        return self.get().tobytes(order)

    def __bool__(self) -> bool:
        return bool(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __float__(self) -> float:
        return float(self.get())

    def __complex__(self) -> complex:
        return complex(self.get())

    def __repr__(self) -> str:
        return repr(self.get())

    def __str__(self) -> str:
        return str(self.get())

    def __format__(self, format_spec: str) -> str:
        return format(self.get(), format_spec)

    def __reduce__(self) -> Any:
        from standin.creation import array as from_host

        return from_host, (self.get(),)

    # To the host without being asked: refused. CuPy passes NumPy's functions on to its own where it
    # can; here they are refused as well, because they hide a stray `np.` that fails elsewhere.

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError(IMPLICIT)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        # `np.float32(2) * x` comes here too, and that CuPy does.
        of_number = method == "__call__" and not options and isinstance(inputs[0], np.generic)
        if of_number and len(inputs) == 2:
            with np.errstate(all="ignore"):
                return wrap(ufunc(inputs[0], self._host, order="C"))
        if any(isinstance(value, np.ndarray) for value in inputs):
            raise TypeError(f"Unsupported type {np.ndarray}")
        raise TypeError(STRAY.format(name=ufunc.__name__))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        raise TypeError(STRAY.format(name=func.__name__))

    # Elements.

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Iterator[Any]:
        if self._host.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[index] for index in range(len(self._host)))

    def __getitem__(self, key: Any) -> Any:
        key = index_key(key)
        result = self._host[key]
        parts = key if type(key) is tuple else (key,)
        if has_mask(parts):
            counters.record("synchronization", "indexing with a mask")
        if not isinstance(result, np.ndarray):
            result = self._host[(*parts, Ellipsis)]  # one element is a 0-d view, not a scalar
        return wrap(result)

    def __setitem__(self, key: Any, value: Any) -> None:
        key = index_key(key)
        if isinstance(value, (np.ndarray, list, tuple)):
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        value = host(value)
        parts = key if type(key) is tuple else (key,)
        if not any(map(is_advanced, parts)):
            refuse_overlap(np.asarray(self._host[key]))
        elif isinstance(value, np.ndarray):
            if has_mask(parts):
                counters.record("synchronization", "assigning an array through a mask")
            else:
                refuse_repeats(self._host.shape, key)
        with np.errstate(all="ignore"):
            self._host[key] = value

    # Shape and memory.

    def reshape(self, *shape: Any, order: str = "C", copy: Any = None) -> Any:
        if len(shape) == 1 and not isinstance(shape[0], (int, np.integer)):
            shape = tuple(shape[0])
        result = self._host.reshape(shape, order=order)
        shared = np.may_share_memory(result, self._host)
        if copy is False and not shared:
            raise ValueError("Unable to avoid creating a copy while reshaping.")
        return wrap(result.copy() if copy and shared else result)

    def transpose(self, *axes: Any) -> Any:
        return wrap(self._host.transpose(*axes))

    def view(self, dtype: Any = None, type: Any = None) -> Any:
        return wrap(self._host.view() if dtype is None else self._host.view(dtype_of(dtype)))

    def astype(
        self,
        dtype: Any,
        order: str = "K",
        casting: Any = None,
        subok: Any = None,
        copy: bool = True,
    ) -> Any:
        with np.errstate(all="ignore"):
            result = self._host.astype(dtype_of(dtype), order, casting or "unsafe", True, copy)
        return self if result is self._host else wrap(result)

    def copy(self, order: str = "C") -> Any:
        return wrap(self._host.copy(order))

    def flatten(self, order: str = "C") -> Any:
        return wrap(self._host.flatten(order))

    def fill(self, value: Any) -> None:
        self[...] = value

    def sort(self, axis: int = -1, kind: Any = None) -> None:
        output(self).sort(axis, kind)

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()
