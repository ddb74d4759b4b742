"""CuPy's ufuncs: elementwise functions with ``out``, ``dtype``, ``casting``, and few methods."""

from __future__ import annotations

from typing import Any

import numpy as np

from standin.functions import FUNCTIONS
from standin.ndarray import host, index_key, ndarray, output, wrap
from standin.rules import dtype_of
from standin.signatures import MANIFEST

__all__ = ["SCATTER", "UFUNCS", "conjugate", "ufunc"]

# What CUDA's atomic operations work on: no int64 and no bool.
ADDABLE = frozenset("iIefdFD") | {np.dtype(np.uint64).char}
COMPARABLE = frozenset("iIfd") | {np.dtype(np.uint64).char}
SCATTERING = {"add": ADDABLE, "subtract": ADDABLE, "maximum": COMPARABLE, "minimum": COMPARABLE}


class ufunc:
    """One elementwise function of device arrays and numbers."""

    __module__ = "cupy"
    __slots__ = ("_methods", "_target", "name", "nargs", "nin", "nout")

    def __init__(self, name: str, target: Any, entry: dict[str, Any]) -> None:
        self.name = f"cupy_{name}"
        self.nin = entry["nin"]
        self.nout = entry["nout"]
        self.nargs = self.nin + self.nout
        self._target = target
        self._methods = entry["methods"]

    def __repr__(self) -> str:
        return f"<ufunc '{self.name}'>"

    def __call__(
        self,
        *args: Any,
        out: Any = None,
        dtype: Any = None,
        casting: str = "same_kind",
        **refused: Any,
    ) -> Any:
        if refused:
            raise TypeError(f"Wrong arguments {refused}")
        if not self.nin <= len(args) <= self.nargs:
            raise TypeError(f"Wrong number of arguments for {self.name!r}")
        if len(args) > self.nin:
            if out is not None:
                raise ValueError("Cannot specify 'out' as both a positional and keyword argument")
            out = args[self.nin :] if self.nout > 1 else args[self.nin]
        with np.errstate(all="ignore"):
            inputs = [
                value._host if type(value) is ndarray else host(value) for value in args[: self.nin]
            ]
            if out is None:
                return wrap(
                    self._target(*inputs, dtype=dtype_of(dtype), casting=casting, order="C")
                )
            into = tuple(map(output, out)) if isinstance(out, tuple) else output(out)
            self._target(*inputs, out=into, dtype=dtype_of(dtype), casting=casting)
        return out[0] if isinstance(out, tuple) and len(out) == 1 else out

    def at(self, a: Any, indices: Any, b: Any = None) -> None:
        """Apply the function in place, once for every time that an element is named."""
        allowed = SCATTERING.get(self._target.__name__)
        if "at" not in self._methods or allowed is None:
            raise NotImplementedError(f"`{self.name}.at` is not supported yet")
        target = output(a)
        if target.dtype.char not in allowed:
            raise TypeError(f"`{self.name}.at` does not work on {target.dtype} in CuPy")
        values = np.asarray(host(b)).astype(target.dtype, copy=False)
        with np.errstate(all="ignore"):
            self._target.at(target, index_key(indices), values)

    def reduce(
        self, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False
    ) -> Any:
        """Sum or multiply along an axis."""
        return self._as("reduce", {"add": "sum", "multiply": "prod"})(
            array, axis, dtype, out, keepdims
        )

    def accumulate(self, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
        """Sum or multiply along an axis, keeping what has come together so far."""
        return self._as("accumulate", {"add": "cumsum", "multiply": "cumprod"})(
            array, axis, dtype, out
        )

    def reduceat(
        self, array: Any, indices: Any, axis: Any = 0, dtype: Any = None, out: Any = None
    ) -> Any:
        """Sum slices along an axis; the slices' starts are a device array."""
        if "reduceat" not in self._methods:
            raise NotImplementedError(f"`{self.name}.reduceat` is not supported yet")
        into = output(out)
        result = self._target.reduceat(host(array), index_key(indices), axis, dtype_of(dtype), into)
        return wrap(result) if out is None else out

    def _as(self, method: str, functions: dict[str, str]) -> Any:
        if method not in self._methods:
            raise NotImplementedError(f"`{self.name}.{method}` is not supported yet")
        return FUNCTIONS[functions[self._target.__name__]]


UFUNCS = {
    name: ufunc(name, vars(np)[name], entry)
    for name, entry in MANIFEST["modules"]["cupy"].items()
    if entry["kind"] == "ufunc" and isinstance(vars(np).get(name), np.ufunc)
}


def scatter_add(a: Any, slices: Any, value: Any) -> None:
    """Add values to the places that an index names, once for every time it names them."""
    UFUNCS["add"].at(a, slices, value)


def scatter_max(a: Any, slices: Any, value: Any) -> None:
    """Raise places to values."""
    UFUNCS["maximum"].at(a, slices, value)


def scatter_min(a: Any, slices: Any, value: Any) -> None:
    """Lower places to values."""
    UFUNCS["minimum"].at(a, slices, value)


def conjugate(self: ndarray) -> Any:
    """Return the complex conjugate."""
    return UFUNCS["conjugate"](self)


SCATTER = {"scatter_add": scatter_add, "scatter_max": scatter_max, "scatter_min": scatter_min}
