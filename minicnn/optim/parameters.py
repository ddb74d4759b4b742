"""Parameters as a list and in groups by weight decay, and the values of their gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minicnn.autograd import Deferred, Tensor
from minicnn.errors import OptionError
from minicnn.kernels.matmul import Product
from minicnn.optim.checks import not_negative

__all__ = ["array_or_product", "decay_groups", "refuse_results", "tensor_list"]


def decay_groups(model: Any, weight_decay: float) -> list[dict[str, Any]]:
    """Return a model's parameters in two groups: filters and matrices decay, vectors do not.

    Biases and the weights of normalisation have fewer than two axes. They are few and their size
    bounds nothing that the next layers could not undo, so to shrink them only costs accuracy (He et
    al., "Bag of Tricks for Image Classification with Convolutional Neural Networks", 2019).

    Parameters
    ----------
    model : Module
        Or anything else with ``parameters()``.
    weight_decay : float
        Of the parameters with two axes or more; the others get 0.

    Returns
    -------
    list of dict
        For an optimiser; a group without parameters is left out.

    Raises
    ------
    OptionError
        The decay is below 0.
    TypeError
        `model` has no parameters to ask for.
    """
    decay = not_negative("decay_groups: weight_decay", weight_decay)
    if not hasattr(model, "parameters"):
        raise TypeError(f"decay_groups: expected a model, got {_brief(model)}")
    parameters = tensor_list("decay_groups", model.parameters())
    groups = (
        {"params": [each for each in parameters if each.ndim >= 2], "weight_decay": decay},
        {"params": [each for each in parameters if each.ndim < 2], "weight_decay": 0.0},
    )
    return [group for group in groups if group["params"]]


def tensor_list(name: str, parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """Return a Tensor, or the Tensors of an iterable, as a list.

    Parameters
    ----------
    name : str
        Who asks, for the message.
    parameters : Tensor or iterable of Tensor

    Raises
    ------
    TypeError
        Something else, or a set, which has no fixed order.
    """
    if isinstance(parameters, Tensor):
        return [parameters]
    if isinstance(parameters, (set, frozenset)):
        raise TypeError(f"{name}: a set of parameters has no fixed order; give a list")
    if not isinstance(parameters, Iterable):
        raise TypeError(
            f"{name}: expected Tensors, got {_brief(parameters)}; pass model.parameters()"
        )
    found = list(parameters)
    for position, parameter in enumerate(found):
        if not isinstance(parameter, Tensor):
            raise TypeError(
                f"{name}: parameter {position}: expected a Tensor, got {_brief(parameter)}; "
                "pass model.parameters()"
            )
    return found


def refuse_results(name: str, parameters: Iterable[Tensor]) -> None:
    """Raise OptionError for a tensor that was not made by the user: it has no gradient to go by."""
    for position, parameter in enumerate(parameters):
        if not parameter.is_leaf:
            raise OptionError(
                f"{name}: parameter {position} of shape {parameter.shape} is the result of an "
                "operation; give the tensors that were made with requires_grad=True"
            )


def array_or_product(gradient: Tensor) -> Any:
    """Return a gradient's array, or the product that it is if nobody has looked at it yet."""
    if isinstance(gradient, Deferred) and isinstance(gradient.source, Product):
        return gradient.source
    return gradient.data


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"a {type(value).__name__}"
