"""Clip gradients by their common norm or by value, without reading anything from the device."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from minicnn import backend
from minicnn.autograd import Tensor, tensor
from minicnn.errors import BackendError
from minicnn.kernels.half import widened
from minicnn.optim.checks import not_negative, positive
from minicnn.optim.parameters import tensor_list

__all__ = ["clip_grad_norm_", "clip_grad_value_"]


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, *, norm_type: float = 2.0
) -> Tensor:
    """Scale all gradients by one factor so that their common norm is at most `max_norm`.

    The factor is ``min(1, max_norm / (norm + 1e-6))`` as in PyTorch. Pascanu, Mikolov and Bengio
    (2013), "On the difficulty of training recurrent neural networks".

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are passed over. Gradients are replaced, not changed in place:
        other tensors may share their arrays.
    max_norm : float
        0 or more.
    norm_type : float
        2 for the Euclidean norm, ``math.inf`` for the largest magnitude, or another number above 0.

    Returns
    -------
    Tensor of shape ()
        The norm before clipping, on the gradients' backend (float32 for gradients of float16, whose
        squares would overflow). It is NaN or infinite if a gradient is; to read it (``.item()``) is
        to wait for the device.

    Raises
    ------
    OptionError
        `max_norm` is negative or `norm_type` not above 0.
    BackendError
        The gradients are on two backends.
    """
    max_norm = not_negative("clip_grad_norm_: max_norm", max_norm)
    if norm_type != math.inf:
        norm_type = positive("clip_grad_norm_: norm_type", norm_type)
    owners = _with_gradients("clip_grad_norm_", parameters)
    if not owners:
        return tensor(0.0)
    gradients = [owner.grad.data for owner in owners]  # type: ignore[union-attr]
    try:
        xp = backend.xp(*gradients)
    except BackendError as error:
        raise BackendError(f"clip_grad_norm_: {error}") from None
    norm = _total_norm(xp, [widened(gradient) for gradient in gradients], norm_type)
    scale = xp.minimum(max_norm / (norm + 1e-6), 1.0)
    if backend.name_of(gradients[0]) == "numpy" and float(scale) == 1:
        return Tensor(norm)  # nothing to do; on a GPU, to know that would be to wait
    for owner, gradient in zip(owners, gradients, strict=True):
        owner.grad = Tensor(gradient * scale.astype(gradient.dtype))
    return Tensor(norm)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Clip every element of every gradient to the range from -clip_value to clip_value.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are passed over; gradients are replaced, not changed in place.
    clip_value : float
        0 or more.

    Raises
    ------
    OptionError
        `clip_value` is negative.
    """
    clip_value = not_negative("clip_grad_value_: clip_value", clip_value)
    for owner in _with_gradients("clip_grad_value_", parameters):
        gradient = owner.grad.data  # type: ignore[union-attr]
        owner.grad = Tensor(backend.xp(gradient).clip(gradient, -clip_value, clip_value))


def _with_gradients(name: str, parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    owners = tensor_list(name, parameters)
    return [owner for owner in owners if owner.grad is not None and owner.grad.size]


def _total_norm(xp: Any, gradients: list[Any], norm_type: float) -> Any:
    if norm_type == math.inf:
        return xp.stack([xp.abs(gradient).max() for gradient in gradients]).max()
    if norm_type == 2:
        # One pass over each array, with no temporary one.
        return xp.sqrt(sum(xp.vdot(gradient, gradient) for gradient in gradients))
    total = sum((xp.abs(gradient) ** norm_type).sum() for gradient in gradients)
    return total ** (1 / norm_type)
