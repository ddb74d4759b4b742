"""Tensor: an array of either backend that remembers how it was made."""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn import backend as backends
from minicnn.autograd.mode import mode
from minicnn.errors import DTypeError, GradientError, ShapeError

__all__ = ["Hook", "Tensor", "tensor"]

_keys = itertools.count()


class Hook:
    """Handle of a registered hook; :meth:`remove` takes the hook away again."""

    def __init__(self, hooks: dict[int, Callable[..., Any]], function: Callable[..., Any]) -> None:
        self._hooks = hooks
        self._key = next(_keys)  # id(self) would be given anew once a handle is thrown away
        hooks[self._key] = function

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        self._hooks.pop(self._key, None)


class Tensor:
    """An array with a gradient.

    Parameters
    ----------
    data : array of either backend
        Wrapped as it is, without a copy, unless its bytes have another order than this machine's.
        Use :func:`tensor` to make one from numbers or to place it on a backend.
    requires_grad : bool
        Whether operations on it are recorded, so that gradients reach it.

    Attributes
    ----------
    data : array
        The values. Whoever changes them in place calls :meth:`mark_changed`, or uses :meth:`copy_`
        or an assignment to an index, which do: the tape then refuses a backward pass that would
        need the old values.
    grad : Tensor or None
        The gradient that :meth:`backward` accumulates for a leaf.

    Raises
    ------
    TypeError
        The data is no array.
    DTypeError
        A gradient is asked for a tensor that is not of floating-point type.
    """

    __slots__ = (
        "__weakref__",
        "_hooks",
        "_node",
        "_version",
        "data",
        "grad",
        "requires_grad",
    )
    __array_ufunc__ = None  # so that ``numpy_array * tensor`` asks the tensor

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        if isinstance(data, np.generic):
            data = np.asarray(data)
        if not backends.is_array(data):
            raise TypeError(
                f"Tensor: expected a NumPy or CuPy array, got {type(data).__name__}; "
                "use minicnn.tensor(...) for numbers and lists"
            )
        self.data = native(data)
        self.grad: Tensor | None = None
        self.requires_grad = False
        self._node: Any = None
        self._version = [0]
        self._hooks: dict[int, Callable[..., Any]] | None = None
        if requires_grad:
            self.requires_grad_()

    # -- what it is ------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self.data.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> np.dtype:
        """Element type."""
        return self.data.dtype

    @property
    def backend(self) -> str:
        """``"numpy"`` or ``"cupy"``: where the array lives."""
        return backends.name_of(self.data)

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user and not by a recorded operation."""
        return self._node is None

    def __len__(self) -> int:
        if not self.ndim:
            raise ShapeError("len() of a tensor without axes")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        values = np.array2string(self.numpy(), separator=", ", prefix="tensor(")
        place = "" if self.backend == "numpy" else f", backend={self.backend!r}"
        dtype = "" if self.dtype == np.float32 else f", dtype={self.dtype}"
        origin = f", operation={self._node.operation.name!r}" if self._node is not None else ""
        if not origin and self.requires_grad:
            origin = ", requires_grad=True"
        return f"tensor({values}{dtype}{place}{origin})"

    def __bool__(self) -> bool:
        return bool(self._single("bool()"))

    def __float__(self) -> float:
        return float(self._single("float()"))

    def __int__(self) -> int:
        return int(self._single("int()"))

    # -- its values ------------------------------------------------------------------------------

    def _single(self, what: str) -> Any:
        if self.data.size != 1:
            raise ShapeError(f"{what}: expected a tensor of one element, got shape {self.shape}")
        return self.data.item()

    def item(self) -> Any:
        """Return the only element as a Python number; on a GPU this waits for the device."""
        return self._single("item()")

    def numpy(self) -> np.ndarray:
        """Return the values as a NumPy array (sharing memory where the tensor is NumPy's)."""
        return backends.to_numpy(self.data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Let NumPy and plotting libraries read a tensor of NumPy's that needs no gradient."""
        if self.requires_grad or self.backend != "numpy":
            raise TypeError(
                "a tensor that requires a gradient or lives on a GPU is made no array in silence; "
                "use .detach() and .numpy()"
            )
        return np.array(self.data, dtype=dtype, copy=copy)

    def tolist(self) -> Any:
        """Return the values as nested lists of Python numbers."""
        return self.numpy().tolist()

    def detach(self) -> Tensor:
        """Return a tensor of the same memory that is not connected to the tape."""
        result = Tensor(self.data)
        result._version = self._version
        return result

    def copy_(self, values: Any) -> Tensor:
        """Overwrite the values in place, in a way that the tape sees.

        Parameters
        ----------
        values : Tensor, array or number
            Broadcast to this tensor's shape; arrays of the other backend are moved.

        Raises
        ------
        GradientError
            The tensor is part of a recorded computation, or requires a gradient outside
            ``no_grad``.
        """
        self[...] = values
        return self

    def __setitem__(self, index: Any, values: Any) -> None:
        if self.requires_grad and mode.recording:
            raise GradientError(
                "a tensor that requires a gradient cannot be changed in place while operations are "
                "recorded; do it inside `with minicnn.no_grad():`"
            )
        if isinstance(values, Tensor):
            values = values.data
        if backends.is_array(values) and values.ndim:
            values = backends.asarray(values, self.backend)
        elif not isinstance(values, (int, float)):
            values = backends.asarray(values, self.backend, dtype=self.dtype)
        if isinstance(index, tuple):
            index = tuple(part.data if isinstance(part, Tensor) else part for part in index)
        elif isinstance(index, Tensor):
            index = index.data
        try:
            self.data[index] = values
        except ValueError:
            raise ShapeError(
                f"cannot put values of shape {getattr(values, 'shape', ())} into "
                f"{self.shape}[{index}]"
            ) from None
        self._version[0] += 1

    def mark_changed(self) -> None:
        """Tell the tape that ``data`` was changed in place, as optimisers do."""
        self._version[0] += 1

    # -- its gradient ----------------------------------------------------------------------------

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Switch whether gradients reach this leaf; returns the tensor itself."""
        if requires_grad and self.data.dtype.kind != "f":
            raise DTypeError(
                f"only floating-point tensors can have a gradient, this one is {self.dtype}; "
                "convert it with .astype('float32')"
            )
        if not requires_grad and self._node is not None:
            raise GradientError(
                "requires_grad can only be switched off for leaves; use .detach() on a result"
            )
        self.requires_grad = requires_grad
        return self

    def retain_grad(self) -> None:
        """Keep the gradient of this tensor in :attr:`grad` although it is not a leaf."""
        if not self.requires_grad:
            raise GradientError("retain_grad: the tensor does not require a gradient")
        if self._node is not None:
            self._node.retain = weakref.ref(self)

    def register_hook(self, function: Callable[[Tensor], Tensor | None]) -> Hook:
        """Call a function with this tensor's gradient in every backward pass.

        Parameters
        ----------
        function : callable
            Gets the gradient (Tensor). What it returns, if not None, takes the gradient's place.

        Returns
        -------
        Hook
            Its ``remove()`` takes the hook away.
        """
        if not self.requires_grad:
            raise GradientError("register_hook: the tensor does not require a gradient")
        if self._node is not None:
            if self._node.hooks is None:
                self._node.hooks = {}
            return Hook(self._node.hooks, function)
        if self._hooks is None:
            self._hooks = {}
        return Hook(self._hooks, function)

    if TYPE_CHECKING:
        # Operators and methods that are operations are attached by minicnn.ops.methods.
        __add__: Callable[..., Tensor]
        __radd__: Callable[..., Tensor]
        __sub__: Callable[..., Tensor]
        __rsub__: Callable[..., Tensor]
        __mul__: Callable[..., Tensor]
        __rmul__: Callable[..., Tensor]
        __truediv__: Callable[..., Tensor]
        __rtruediv__: Callable[..., Tensor]
        __pow__: Callable[..., Tensor]
        __rpow__: Callable[..., Tensor]
        __matmul__: Callable[..., Tensor]
        __rmatmul__: Callable[..., Tensor]
        __neg__: Callable[..., Tensor]
        __abs__: Callable[..., Tensor]
        __getitem__: Callable[..., Tensor]
        __lt__: Callable[..., Tensor]
        __le__: Callable[..., Tensor]
        __gt__: Callable[..., Tensor]
        __ge__: Callable[..., Tensor]
        backward: Callable[..., None]
        T: Tensor

        def __getattr__(self, name: str) -> Callable[..., Tensor]: ...


def native(array: Any) -> Any:
    """Return an array whose bytes have this machine's order: itself, or a copy."""
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def wrap(data: Any) -> Tensor:
    """Make a Tensor without any check, for arrays that came out of an operation."""
    result = Tensor.__new__(Tensor)
    result.data = data
    result.grad = None
    result.requires_grad = False
    result._node = None
    result._version = [0]
    result._hooks = None
    return result


def tensor(
    values: Any,
    *,
    dtype: Any = None,
    requires_grad: bool = False,
    backend: str | None = None,
) -> Tensor:
    """Make a tensor on a backend from numbers, lists or an array; the values are copied.

    Parameters
    ----------
    values : number, nested lists, array or Tensor
    dtype : dtype, optional
        float32 for Python floats, int64 for Python integers, an array's own dtype otherwise.
        Bytes get this machine's order.
    requires_grad : bool
        Whether gradients reach it.
    backend : {"numpy", "cupy"}, optional
        The current backend (:func:`minicnn.backend.use`) by default.

    Returns
    -------
    Tensor
    """
    if isinstance(values, Tensor):
        values = values.data
    if backends.is_array(values) or isinstance(values, np.generic):
        values = values.astype(dtype or values.dtype)  # a copy
    else:
        try:
            values = np.array(values, dtype=dtype)
        except ValueError as error:
            raise ShapeError(f"tensor: the nested lists have no common shape ({error})") from None
        if dtype is None and values.dtype == np.float64:
            values = values.astype(np.float32)
    if values.dtype.kind not in "biuf":
        raise DTypeError(f"tensor: expected real numbers, got elements of type {values.dtype}")
    return Tensor(backends.asarray(native(values), backend), requires_grad)
