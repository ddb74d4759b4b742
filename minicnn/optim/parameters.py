"""Turn what a user gives as parameters into a list of Tensors, or say what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minicnn.autograd import Tensor
from minicnn.errors import OptionError

__all__ = ["refuse_results", "tensor_list"]


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


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"a {type(value).__name__}"
