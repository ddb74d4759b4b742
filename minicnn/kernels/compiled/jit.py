"""How loops are compiled: without the interpreter's lock, and kept on disk.

What a compiled function calls must be `inlined`. Otherwise the caller's code on disk has a copy of
it, optimised a second time, in which sums may have another order. The process that compiles still
calls the original, one that loads calls the copy: the last bits would differ from run to run.
"""

from __future__ import annotations

import types
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np
from numba.core import config as numba_config
from numba.core import event

__all__ = ["built", "compiled", "inlined", "kept", "seconds", "specialised"]

# Sums may be reordered, but NaN and infinity stay what they are. Nothing is called from C, and
# what is inlined not from Python either: their entries would be a tenth of the time to compile.
_MATHS = {"arcp", "contract", "nsz", "reassoc"}
_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "cache": True,
    "error_model": "numpy",
    "fastmath": _MATHS,
    "no_cfunc_wrapper": True,
}
_INLINED: dict[str, Any] = {**_OPTIONS, "forceinline": True, "no_cpython_wrapper": True}

_config: Any = numba_config  # its settings are made when it is read

# LLVM's second level of optimisation takes a quarter less of the time to compile than the third,
# which Numba asks for, and the code is as fast.
_LEVEL = 2

_homeless: list[str] = []  # functions that could not be kept on disk


class _Effort(event.Listener):
    """Lowers the level of optimisation while a function of minicnn is compiled, and only then.

    Numba tells of a compilation while it holds its lock, so there is no other one meanwhile.
    """

    def __init__(self) -> None:
        self._before: list[Any] = []

    def on_start(self, event: event.Event) -> None:
        self._before.append(_config.OPT)
        if event.data["dispatcher"].py_func.__module__.startswith(__package__):
            _config.OPT = type(_config.OPT)(min(_config.OPT, _LEVEL))

    def on_end(self, event: event.Event) -> None:
        _config.OPT = self._before.pop()


_listener = event.TimingListener()
event.register("numba:compile", _listener)
event.register("numba:compile", _Effort())


def seconds() -> float:
    """Return how long this process has compiled."""
    return _listener.duration if _listener.done else 0.0


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function when it is first called, for the types that it is called with."""
    return _compiled(function, _OPTIONS)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a function into each compiled function that calls it."""
    return _compiled(function, _INLINED)


def _compiled(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    try:
        return numba.njit(**options)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        _homeless.append(function.__name__)
        return numba.njit(**{**options, "cache": False})(function)


def kept() -> bool:
    """Tell whether all compiled code is kept on disk, or whether there is no folder for it."""
    return not _homeless


def built(
    module: str,
    file: str,
    name: str,
    arguments: str,
    lines: Sequence[str],
    *,
    how: Callable[[Callable[..., Any]], Any] = compiled,
) -> Any:
    """Compile a function from its source text.

    Parameters
    ----------
    module, file : str
        Those that write it.
    name : str
        What its name begins with. A digest of the text follows: the name is what compiled code is
        found by on disk, and another text must not find it.
    arguments : str
    lines : sequence of str
        The body.
    how : callable
        `compiled` or `inlined`.
    """
    body = "\n".join(f"    {line}" for line in lines)
    name = f"{name}_{_digest(body)}"
    namespace: dict[str, Any] = {"__name__": module, "empty": np.empty, "float32": np.float32}
    exec(compile(f"def {name}({arguments}):\n{body}\n", file, "exec"), namespace)
    return how(namespace[name])


def specialised(function: Callable[..., Any], **values: Any) -> Any:
    """Compile a function anew with other values for some of its global names.

    Parameters
    ----------
    function : callable
    **values
        Numbers become constants of the code, `inlined` functions are built in.
    """
    given = sorted((key, getattr(value, "__name__", value)) for key, value in values.items())
    name = f"{function.__name__}_{_digest(repr(given))}"  # see `built`
    copy = types.FunctionType(function.__code__, {**function.__globals__, **values}, name)
    copy.__qualname__ = name
    copy.__module__ = function.__module__
    return compiled(copy)


def _digest(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"
