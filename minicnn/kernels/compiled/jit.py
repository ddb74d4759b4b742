"""How loops are compiled: without the interpreter's lock, and kept on disk."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

__all__ = ["built", "compiled", "specialised"]

# Sums may be reordered, but NaN and infinity stay what they are.
_MATHS = {"arcp", "contract", "nsz", "reassoc"}


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function when it is first called, for the types that it is called with."""
    return numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=_MATHS)(function)


def built(module: str, file: str, name: str, source: str) -> Any:
    """Compile a function from its source text.

    Parameters
    ----------
    module, file : str
        Those that write it: when the file changes, what was kept on disk is made anew.
    name : str
        Of the function; one for each text.
    source : str
    """
    namespace: dict[str, Any] = {"__name__": module, "empty": np.empty, "float32": np.float32}
    exec(compile(source, file, "exec"), namespace)
    return compiled(namespace[name])


def specialised(function: Callable[..., Any], name: str, **values: Any) -> Any:
    """Compile a function anew with other values for some of its global names.

    Parameters
    ----------
    function : callable
    name : str
        Under which the result is kept on disk: each set of values needs one of its own.
    **values
        Numbers become constants of the code, compiled functions are built in.
    """
    namespace = {**function.__globals__, **values}
    copy = types.FunctionType(function.__code__, namespace, name)
    copy.__qualname__ = name
    copy.__module__ = function.__module__
    return compiled(copy)
