"""How a module prints: its constructor's arguments, and its children indented below it."""

from __future__ import annotations

import inspect
from typing import Any

from minicnn.autograd import Tensor

__all__ = ["constructor_arguments", "nested"]

_ABSENT = object()


def constructor_arguments(module: Any) -> str:
    """Return the arguments a module was made with, as far as it keeps them and they say something.

    An argument is shown if it is not the default and the module has an attribute of the same name
    that is a number, a string, a function or a tuple of such. For an argument that tells whether
    there is a tensor of this name (such as ``bias``), it is shown whether there is one.

    Returns
    -------
    str
        As in ``"in_features=3, out_features=2, bias=False"``.
    """
    shown = []
    for name, parameter in inspect.signature(type(module).__init__).parameters.items():
        value = module.__dict__.get(name, _ABSENT)
        default = parameter.default
        if isinstance(default, bool) and (value is None or isinstance(value, Tensor)):
            value = value is not None
        text = _text(value)
        if text is None or text in (_text(default), _text((default, default))):
            continue
        shown.append(f"{name}={text}")
    return ", ".join(shown)


def _text(value: Any) -> str | None:
    # None for what is not shown: tensors, modules, generators, attributes that do not exist.
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    if isinstance(value, (tuple, list)):
        parts = [_text(each) for each in value]
        if None in parts:
            return None
        return f"({', '.join(map(str, parts))}{',' if len(parts) == 1 else ''})"
    if inspect.isroutine(value):
        return value.__name__
    return None


def nested(name: str, arguments: str, children: list[tuple[str, str]]) -> str:
    """Lay out a module's name, its arguments, and the texts of its children by name.

    Returns
    -------
    str
        One line without children; else a line for each child, those of several lines indented.
    """
    if not children:
        return f"{name}({arguments})"
    lines = [arguments] if arguments else []
    lines += [f"({child}): {text}" for child, text in children]
    body = "\n".join(lines).replace("\n", "\n  ")
    return f"{name}(\n  {body}\n)"
