"""Read the manifest, and make functions that take exactly the parameters it lists.

A function made here has CuPy's signature, so that Python itself refuses, at no cost, a keyword that
CuPy would refuse.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["MANIFEST", "bind", "not_modelled"]

MANIFEST: dict[str, Any] = json.loads(
    Path(__file__).with_name("manifest.json").read_text(encoding="utf-8")
)

# Parameters that change no result here.
WITHOUT_EFFECT = {"subok", "blocking"}


def bind(
    signature: str,
    target: Callable[..., Any],
    *,
    name: str,
    convert: dict[str, Callable[[Any], Any]],
    finish: Callable[[Any, Any], Any],
    quiet: bool = True,
) -> Any:
    """Make a function that converts its arguments and calls another function with them.

    Parameters
    ----------
    signature : str
        Parameters as the manifest writes them: ``"(a, axis=None, out=None)"``.
    target : callable
        The function called, mostly NumPy's. An argument is passed by position as long as both have
        it in the same place, then by name.
    name : str
        The name of the function made.
    convert : dict
        By parameter, what its argument goes through first.
    finish : callable
        Takes the target's result and the argument of ``out`` (None without), and makes the returned
        value.
    quiet : bool
        Whether to be silent about overflow, division by zero and NaN, as a GPU is.

    Returns
    -------
    function
    """
    mine = parameters_of(signature)
    used = {key: function for key, function in convert.items() if key in mine}
    scope = {f"convert_{key}": function for key, function in used.items()}
    scope |= {"target": target, "finish": finish, "refuse": refuse, "errstate": np.errstate}
    arguments = ", ".join(pass_on(mine, target, used))
    result = f"finish(target({arguments}), {'out' if 'out' in mine else 'None'})"
    silence = "with errstate(all='ignore'): " if quiet else ""
    exec(f"def {name}{signature}:\n  {silence}return {result}\n", scope)
    return scope[name]


def parameters_of(signature: str) -> dict[str, inspect.Parameter]:
    """Return the parameters of a signature written as source."""
    scope: dict[str, Any] = {}
    exec(f"def f{signature}: pass", scope)
    return dict(inspect.signature(scope["f"]).parameters)


def pass_on(
    mine: dict[str, inspect.Parameter], target: Callable[..., Any], converted: Any
) -> list[str]:
    """Write the arguments of the call to the target."""
    try:
        theirs = list(inspect.signature(target).parameters.values())
    except ValueError:  # a compiled function of an older NumPy: its parameters have the same names
        theirs = list(mine.values())
    their_names = {p.name for p in theirs}
    arguments = []
    by_position = True
    for index, (name, p) in enumerate(mine.items()):
        if name in WITHOUT_EFFECT:
            by_position = False
            continue
        other = theirs[index] if index < len(theirs) else None
        by_position = (
            by_position
            and other is not None
            and other.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
            and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
            and (other.name == name or other.name not in mine)
        )
        value = f"convert_{name}({name})" if name in converted else name
        if by_position:
            arguments.append(value)
        elif name in their_names:
            arguments.append(f"{name}={value}")
        elif p.default is p.empty:
            raise TypeError(f"{target} has no place for {name}")
        else:
            arguments.append(f"**refuse({name!r}, {name}, {p.default!r})")
    return arguments


def refuse(name: str, value: Any, default: Any) -> dict[str, Any]:
    """Refuse a keyword that CuPy has and NumPy lacks, unless it is left at its default."""
    if value is not default:
        raise NotImplementedError(
            f"the stand-in does not model {name}={value!r}; add it in tests/standin"
        )
    return {}


def not_modelled(module: str, name: str) -> AttributeError:
    """Return the error for a name that the stand-in lacks: CuPy's own where CuPy lacks it too."""
    if name in MANIFEST["modules"].get(module, ()):
        return AttributeError(
            f"{module}.{name} exists in CuPy, but the stand-in does not model it; "
            "add it in tests/standin"
        )
    return AttributeError(f"module {module!r} has no attribute {name!r}")
