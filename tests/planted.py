"""Plant a fault in a function's source, to see that the tests' comparison finds it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def planted(function: Callable[..., Any], right: str, wrong: str) -> Callable[..., Any]:
    """Return a copy of a function of a module in which ``wrong`` stands in place of ``right``."""
    source = inspect.getsource(function)
    assert source.count(right) == 1, f"{right!r} is {source.count(right)} times in {function}"
    names = dict(function.__globals__)
    exec(compile(source.replace(right, wrong), "<planted>", "exec"), names)
    return names[function.__name__]
