"""Attach the operations to Tensor as operators and methods, all in one table."""

from __future__ import annotations

from typing import Any

from minicnn import backend as backends
from minicnn.autograd import Tensor, backward
from minicnn.ops import (
    activation,
    arithmetic,
    broadcast,
    convert,
    indexing,
    linalg,
    reduce,
    shape,
)
from minicnn.ops.softmax import log_softmax, softmax

__all__ = ["attach"]


def _comparison(name: str) -> Any:
    def compare(self: Tensor, other: Any) -> Any:
        if isinstance(other, Tensor):
            other = other.data
        elif not isinstance(other, (int, float)) and not backends.is_array(other):
            return NotImplemented
        return Tensor(getattr(self.data, name)(other))

    compare.__name__ = name
    compare.__doc__ = "Compare element by element; the result carries no gradient."
    return compare


METHODS = {
    "backward": backward,
    "__add__": arithmetic.add,
    "__radd__": lambda x, y: arithmetic.add(y, x),
    "__sub__": arithmetic.subtract,
    "__rsub__": lambda x, y: arithmetic.subtract(y, x),
    "__mul__": arithmetic.multiply,
    "__rmul__": lambda x, y: arithmetic.multiply(y, x),
    "__truediv__": arithmetic.divide,
    "__rtruediv__": lambda x, y: arithmetic.divide(y, x),
    "__pow__": arithmetic.power,
    "__rpow__": lambda x, y: arithmetic.power(y, x),
    "__neg__": arithmetic.negative,
    "__abs__": arithmetic.absolute,
    "abs": arithmetic.absolute,
    "clip": arithmetic.clip,
    "exp": arithmetic.exp,
    "log": arithmetic.log,
    "sqrt": arithmetic.sqrt,
    "erf": arithmetic.erf,
    "maximum": arithmetic.maximum,
    "minimum": arithmetic.minimum,
    "relu": activation.relu,
    "sigmoid": activation.sigmoid,
    "tanh": activation.tanh,
    "expand": broadcast.expand,
    "__getitem__": indexing.getitem,
    "__matmul__": linalg.matmul,
    "__rmatmul__": lambda x, y: linalg.matmul(y, x),
    "matmul": linalg.matmul,
    "sum": reduce.sum,
    "mean": reduce.mean,
    "var": reduce.var,
    "std": reduce.std,
    "max": reduce.max,
    "min": reduce.min,
    "argmax": reduce.argmax,
    "argmin": reduce.argmin,
    "logsumexp": reduce.logsumexp,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "reshape": shape.reshape,
    "flatten": shape.flatten,
    "squeeze": shape.squeeze,
    "unsqueeze": shape.unsqueeze,
    "permute": shape.permute,
    "transpose": shape.transpose,
    "T": property(shape.transpose, doc="The tensor with its axes in reverse order; a view."),
    "flip": shape.flip,
    "pad": shape.pad,
    "astype": convert.astype,
    "float": lambda x: convert.astype(x, "float32"),
    "double": lambda x: convert.astype(x, "float64"),
    "to": convert.to,
    "clone": convert.clone,
}
COMPARISONS = ("__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__")


def attach() -> None:
    """Make Tensor's operators and methods of the table above."""
    for name, function in METHODS.items():
        setattr(Tensor, name, function)
    for name in COMPARISONS:
        setattr(Tensor, name, _comparison(name))
    # Tensors are told apart by identity, although == compares elements.
    Tensor.__hash__ = object.__hash__  # type: ignore[method-assign]
