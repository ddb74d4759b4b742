"""Clip gradients by their common norm or by value, without reading anything from the device."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from minicnn import backend
from minicnn.autograd import Deferred, Tensor, tensor
from minicnn.errors import BackendError
from minicnn.kernels.half import widened
from minicnn.kernels.matmul import Product
from minicnn.optim.checks import not_negative, positive
from minicnn.optim.parameters import array_or_product, tensor_list

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
        other tensors may share their arrays. By the Euclidean norm, a large
        :class:`~minicnn.autograd.Deferred` may remain one.
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
    gradients = [_values(owner.grad, norm_type) for owner in owners]
    try:
        xp = backend.xp(*[each.x if isinstance(each, Product) else each for each in gradients])
    except BackendError as error:
        raise BackendError(f"clip_grad_norm_: {error}") from None
    norm = _total_norm(xp, gradients, norm_type)
    if norm is None:
        gradients = [owner.grad.data for owner in owners]  # type: ignore[union-attr]
        norm = _total_norm(xp, gradients, norm_type)
    scale = xp.minimum(max_norm / (norm + 1e-6), 1.0)
    if backend.name_of(norm) == "numpy" and float(scale) == 1:
        return Tensor(norm)  # nothing to do; on a GPU, to know that would be to wait
    for owner, gradient in zip(owners, gradients, strict=True):
        factor = scale.astype(gradient.dtype)
        if isinstance(gradient, Product):
            owner.grad = Deferred(gradient.scaled(factor))
        else:
            owner.grad = Tensor(gradient * factor)
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


def _values(gradient: Any, norm_type: float) -> Any:
    # The product only where it is enough.
    values = array_or_product(gradient)
    if isinstance(values, Product) and not (norm_type == 2 and values.has_cheap_norm()):
        return gradient.data
    return values


def _total_norm(xp: Any, gradients: list[Any], norm_type: float) -> Any:
    gradients = [each if isinstance(each, Product) else widened(each) for each in gradients]
    if norm_type == math.inf:
        return xp.stack([xp.abs(gradient).max() for gradient in gradients]).max()
    if norm_type == 2:
        squares = [_squared_norm(xp, each) for each in gradients]
        if any(each is None for each in squares):
            return None  # a product does not know it
        dtype = xp.result_type(*[each.dtype for each in gradients])
        return xp.sqrt(xp.asarray(sum(squares))).astype(dtype)
    total = sum((xp.abs(gradient) ** norm_type).sum() for gradient in gradients)
    return total ** (1 / norm_type)


def _squared_norm(xp: Any, gradient: Any) -> Any:
    if isinstance(gradient, Product):
        return gradient.squared_norm()
    return xp.vdot(gradient, gradient)  # one pass, with no temporary array
