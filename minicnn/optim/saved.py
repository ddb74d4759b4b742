"""Take arrays out of a saved state, if they fit what they are for."""

from __future__ import annotations

from typing import Any

from minicnn import backend
from minicnn.errors import CheckpointError

__all__ = ["fitting_copy"]


def fitting_copy(owner: str, key: str, array: Any, data: Any) -> Any:
    """Return a copy of a saved array on the backend of the array that it belongs to.

    Parameters
    ----------
    owner : str
        Who loads, for the message.
    key : str
        The name of the array in the saved state.
    array : array of either backend, or None
        None if the saved state does not have it.
    data : array
        Of the shape, type and backend that are needed.

    Returns
    -------
    array
        Contiguous.

    Raises
    ------
    CheckpointError
        There is no array, or it has another shape or type.
    """
    if array is None:
        raise CheckpointError(f"{owner}: the saved state lacks the array {key!r}")
    if tuple(array.shape) != data.shape or array.dtype != data.dtype:
        raise CheckpointError(
            f"{owner}: the saved array {key!r} is {array.dtype} of shape {tuple(array.shape)}, "
            f"the model has {data.dtype} of shape {data.shape}"
        )
    return backend.asarray(array, backend.name_of(data)).copy(order="C")
