"""The switches of the tape, one set a thread: whether operations are recorded, who watches."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

__all__ = ["enable_grad", "is_grad_enabled", "no_grad", "watch"]

Function = TypeVar("Function", bound=Callable[..., Any])


class Mode(threading.local):
    """State of the current thread; every new thread starts with recording on and no watchers."""

    recording: bool = True
    watchers: tuple[Callable[..., None], ...] = ()
    anomaly: bool = False


mode = Mode()


class _Switch:
    """Set recording for the length of a ``with`` block or of a decorated function."""

    def __init__(self, recording: bool) -> None:
        self.recording = recording
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(mode.recording)
        mode.recording = self.recording

    def __exit__(self, *exception: object) -> None:
        mode.recording = self._before.pop()

    def __call__(self, function: Function) -> Function:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with type(self)(self.recording):
                return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]


def no_grad() -> _Switch:
    """Record nothing inside, so that no result requires a gradient: ``with`` or decorator."""
    return _Switch(False)


def enable_grad() -> _Switch:
    """Record again inside a :func:`no_grad` block: ``with`` or decorator."""
    return _Switch(True)


def is_grad_enabled() -> bool:
    """Tell whether operations are recorded in this thread."""
    return mode.recording


@contextmanager
def watch(watcher: Callable[..., None]) -> Iterator[None]:
    """Call ``watcher(operation, inputs, options, output)`` after every operation of this thread.

    Parameters
    ----------
    watcher : callable
        Gets the operation's class, its inputs (Tensors, numbers or None), its options (dict) and
        the output Tensor.
    """
    before = mode.watchers
    mode.watchers = (*before, watcher)
    try:
        yield
    finally:
        mode.watchers = before
