"""Parameter and Buffer: the two kinds of tensors that a module owns."""

from __future__ import annotations

from typing import Any

from minicnn.autograd import Tensor

__all__ = ["Buffer", "Parameter"]


class Parameter(Tensor):
    """A tensor that is trained: as an attribute of a module it is one of the module's parameters.

    Parameters
    ----------
    data : array of either backend, or Tensor
        Floating-point values, taken as they are, without a copy.
    requires_grad : bool
        False for a frozen parameter.
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(data.data if isinstance(data, Tensor) else data, requires_grad)


class Buffer(Tensor):
    """A tensor that belongs to a module's state but is not trained, such as a running mean.

    Parameters
    ----------
    data : array of either backend, or Tensor
        Taken as it is, without a copy.
    persistent : bool
        Whether it is part of the module's state dict.
    """

    __slots__ = ("persistent",)

    def __init__(self, data: Any, persistent: bool = True) -> None:
        super().__init__(data.data if isinstance(data, Tensor) else data)
        self.persistent = persistent
