"""Converting tensors: to another element type (cast) and to another backend (transfer)."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import backend as backends
from minicnn.autograd import Cost, ErrorSample, Operation, Sample, Tensor
from minicnn.errors import DTypeError, OptionError
from minicnn.ops.arguments import shape_of

__all__ = ["astype", "clone", "to"]


class Cast(Operation, name="cast"):
    """The same numbers as another element type, in a new array; the gradient is cast back."""

    converts = True
    samples = (
        Sample(((2, 3),), dtype=np.dtype("float64")),
        Sample(((),), dtype=np.dtype("float64")),
        Sample(((2, 3),), dtype=np.dtype("int64")),
        Sample(((2, 3),), dtype=np.dtype("float64"), integers={0: 9}),
    )
    errors = (ErrorSample(((2,),), dtype=np.dtype("U3"), error=DTypeError, match="<U3"),)
    uncounted = "an array of counting scalars has no other element type"

    def shape(x, *, dtype):
        if dtype.kind not in "biuf":
            raise DTypeError(f"cast: {dtype} is no type of numbers")
        return x

    def cost(x, *, dtype):
        return Cost()

    def reference(x, *, dtype):
        convert = float if dtype.kind == "f" else int
        return np.array([convert(value) for value in x.ravel()], dtype).reshape(x.shape)

    def forward(ctx, x, *, dtype):
        return x.astype(dtype)

    def backward(ctx, gy):
        return Cast.apply(gy, dtype=ctx.inputs[0].dtype)


class Transfer(Operation, name="transfer"):
    """The same numbers in an array of the backend that is named; the gradient is moved back."""

    samples = (Sample(((2, 3),), backend="numpy"), Sample(((),), backend="numpy"))
    errors = (ErrorSample(((2,),), backend="abacus", error=OptionError, match="abacus"),)

    def shape(x, *, backend):
        return x

    def cost(x, *, backend):
        return Cost()

    def reference(x, *, backend):
        return x.copy()

    def forward(ctx, x, *, backend):
        ctx.home = backends.name_of(x)
        y = backends.asarray(x, backend)
        return y.copy() if y is x else y

    def backward(ctx, gy):
        return Transfer.apply(gy, backend=ctx.home)


def astype(x: Any, dtype: Any) -> Tensor:
    """Return a tensor as another element type; where it has that type already, the tensor itself.

    Parameters
    ----------
    x : Tensor
    dtype : dtype, or the name of one
        Gradients pass between floating-point types only.

    Returns
    -------
    Tensor

    Raises
    ------
    DTypeError
        It is no type of numbers.
    """
    try:
        found = np.dtype(dtype)
    except TypeError:
        raise DTypeError(
            f"astype: {dtype!r} is no element type; give one like 'float32' or 'int64'"
        ) from None
    shape_of(x, "astype")
    if isinstance(x, Tensor) and x.dtype == found:
        return x
    return Cast.apply(x, dtype=found)


def to(x: Any, target: Any) -> Tensor:
    """Return a tensor on another backend or as another element type, or itself where it is that.

    Parameters
    ----------
    x : Tensor
    target : {"numpy", "cupy", "auto"} or dtype
        Where the result shall live, or what its elements shall be.

    Returns
    -------
    Tensor
        Gradients flow back to where ``x`` lives.

    Raises
    ------
    BackendError
        CuPy was asked for and does not work here.
    OptionError
        The target is neither a backend nor an element type.
    """
    if isinstance(target, str) and target in (*backends.NAMES, "auto"):
        shape_of(x, "to")
        name = backends.choose(target).name
        return x if isinstance(x, Tensor) and x.backend == name else Transfer.apply(x, backend=name)
    try:
        dtype = np.dtype(target)
    except TypeError:
        raise OptionError(
            f"to: expected 'numpy', 'cupy', 'auto' or an element type, got {target!r}"
        ) from None
    return astype(x, dtype)


def clone(x: Any) -> Tensor:
    """Return a copy with memory of its own, through which gradients flow back."""
    return Cast.apply(x, dtype=np.dtype(x.dtype))
