"""Anomaly mode: find the operation in which the first NaN arose, and unseen changes of arrays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minicnn import backend as backends
from minicnn.autograd.mode import mode, watch
from minicnn.autograd.tensor import Tensor
from minicnn.errors import NotANumberError

__all__ = ["detect_anomaly"]


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Stop at the operation, forward or backward, whose result first holds a NaN.

    Saved arrays are also compared by checksum, so that a change through ``tensor.data`` is caught.
    Every result is read on the host: for finding faults, not for training.

    Raises
    ------
    NotANumberError
        Names the operation, its options and the shapes and ranges of its inputs.
    GradientError
        An array that the backward pass needs was changed in place.
    """
    before = mode.anomaly
    mode.anomaly = True
    try:
        with watch(_refuse_nan):
            yield
    finally:
        mode.anomaly = before


def has_nan(array: Any) -> bool:
    """Tell whether a floating-point array holds a NaN."""
    return array.dtype.kind == "f" and bool(backends.xp(array).isnan(array).any())


def _refuse_nan(operation: Any, inputs: tuple, options: dict, output: Tensor) -> None:
    if not has_nan(output.data):
        return
    described = ", ".join(_describe(value) for value in inputs if value is not None)
    inherited = any(isinstance(value, Tensor) and has_nan(value.data) for value in inputs)
    origin = "came in with an input" if inherited else "arose here"
    raise NotANumberError(
        f"{operation.name}: its result holds NaN, which {origin}; inputs: {described}; options: "
        f"{options}"
    )


def _describe(value: Any) -> str:
    if not isinstance(value, Tensor) or not value.size:
        return repr(value)
    data = value.data
    return f"{data.dtype} {data.shape} from {data.min().item():.4g} to {data.max().item():.4g}"
