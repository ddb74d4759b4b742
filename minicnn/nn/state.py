"""Put the values of a state dict into a module's tensors, or refuse all and say why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from minicnn import backend as backends
from minicnn.autograd import Tensor, no_grad
from minicnn.errors import CheckpointError, listed

__all__ = ["IncompatibleKeys", "load_tensors"]

_LISTED = 10  # entries of a kind in a message: those of another network are all wrong


class IncompatibleKeys(NamedTuple):
    """What a state dict lacked and what it had too much."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def load_tensors(
    owner: str, targets: Sequence[tuple[str, Tensor]], state: Any, *, strict: bool
) -> IncompatibleKeys:
    """Copy arrays into tensors by name; nothing is changed unless everything fits.

    Parameters
    ----------
    owner : str
        Name of the model, for error messages.
    targets : sequence of (str, Tensor)
        Every name of every tensor: a tensor that is shared comes under each of its names, and the
        state needs only one of them.
    state : mapping of str to array or Tensor
        On either backend.
    strict : bool
        Refuse missing and unexpected names; shapes and types that do not fit are always refused.

    Returns
    -------
    IncompatibleKeys
        Both lists are empty where ``strict`` is set.

    Raises
    ------
    CheckpointError
        Names the entries that do not fit, the first ten of each kind.
    """
    if not isinstance(state, Mapping):
        raise CheckpointError(
            f"{owner}: expected a state dict that maps names to arrays, got a "
            f"{type(state).__name__}; a file must be read first"
        )
    tensors = dict(targets)
    found: dict[int, str] = {}  # the name under which each tensor's values come
    unexpected, misfits = [], []
    for name, value in state.items():
        if name not in tensors:
            unexpected.append(str(name))
            continue
        value = value.data if isinstance(value, Tensor) else value
        reason = _misfit(tensors[name], value)
        first = found.setdefault(id(tensors[name]), name)
        if reason is None and first != name and not _same(_array(state[first]), value):
            reason = f"differs from {first!r}, but the model has one tensor for both"
        if reason is not None:
            misfits.append(f"{name!r} {reason}")
    missing = _first_names([each for each in targets if id(each[1]) not in found])
    reasons = []
    if strict and missing:
        reasons.append(f"missing: {listed(missing, _LISTED)}")
    if strict and unexpected:
        reasons.append(f"unexpected: {listed(unexpected, _LISTED)}")
    if reasons and not misfits:
        reasons[-1] += " (strict=False loads the rest)"
    if reasons or misfits:
        reasons += [listed(misfits, _LISTED, between="; ")] if misfits else []
        raise CheckpointError(
            f"{owner}: the state dict does not fit the model: {'; '.join(reasons)}"
        )
    with no_grad():
        for name in found.values():
            tensors[name].copy_(_array(state[name]))
    return IncompatibleKeys(missing, unexpected)


def _array(value: Any) -> Any:
    return value.data if isinstance(value, Tensor) else value


def _misfit(tensor: Tensor, value: Any) -> str | None:
    # Why the value cannot be put into the tensor, if it cannot.
    if not backends.is_array(value):
        return f"is no array but a {type(value).__name__}"
    if tuple(value.shape) != tensor.shape:
        return f"has shape {tuple(value.shape)}, the model's {tensor.shape}"
    if not np.can_cast(value.dtype, tensor.dtype, "same_kind"):
        return f"is {value.dtype}, the model's {tensor.dtype}"
    return None


def _same(one: Any, other: Any) -> bool:
    if not backends.is_array(one):
        return True  # that one is refused already
    return np.array_equal(backends.to_numpy(one), backends.to_numpy(other))


def _first_names(targets: Sequence[tuple[str, Tensor]]) -> list[str]:
    names: dict[int, str] = {}
    for name, tensor in targets:
        names.setdefault(id(tensor), name)
    return list(names.values())
