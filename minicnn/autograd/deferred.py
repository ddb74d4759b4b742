"""Deferred: a gradient that is computed when somebody looks at it."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from minicnn.autograd.tensor import Tensor

__all__ = ["Deferred"]


class _Computable(Protocol):
    shape: tuple[int, ...]
    dtype: np.dtype

    def whole(self) -> Any: ...


class Deferred(Tensor):
    """A tensor whose array is computed when its ``data`` is first asked for.

    An operation's ``backward_kernel`` may return one for a leaf. Whoever can do with the parts of
    an array takes ``source`` instead, as optimisers do, and spares the memory and the time to write
    and read it as a whole.

    Parameters
    ----------
    source : object
        With ``shape``, ``dtype`` and the method ``whole()``, such as a
        :class:`~minicnn.kernels.matmul.Product`.

    Attributes
    ----------
    source : object or None
        None once the array has been computed.
    """

    __slots__ = ("_array", "source")

    def __init__(self, source: _Computable) -> None:
        self.source: Any = source
        self._array: Any = None
        self.grad = None
        self.requires_grad = False
        self._node = None
        self._version = [0]
        self._hooks = None

    @property
    def data(self) -> Any:
        """The values."""
        if self.source is not None:
            self._array, self.source = self.source.whole(), None
        return self._array

    @data.setter
    def data(self, array: Any) -> None:
        self._array, self.source = array, None

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return (self._array if self.source is None else self.source).shape

    @property
    def dtype(self) -> np.dtype:
        """Element type."""
        return (self._array if self.source is None else self.source).dtype
