"""Turn Ctrl-C and SIGTERM into a stop between two batches, where the state is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interrupted", "StopRequest", "stop_requests", "terminable"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop, and did so between two batches, where it can be resumed."""


class StopRequest:
    """Whether a signal has asked to stop.

    Attributes
    ----------
    requested : bool
    """

    def __init__(self) -> None:
        self.requested = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Take note of a signal; the second one interrupts whatever is being done."""
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Catch SIGINT and SIGTERM inside; what handled them before does so again afterwards.

    Outside of the main thread, where no signals arrive, nothing is caught. A signal that the
    process was started to ignore (by nohup, or in the background of a script) stays ignored.

    Yields
    ------
    StopRequest
    """
    request = StopRequest()
    caught = []
    if threading.current_thread() is threading.main_thread():
        caught = [
            (number, before)
            for number in SIGNALS
            if (before := signal.getsignal(number)) is not signal.SIG_IGN
        ]
    for number, _ in caught:
        signal.signal(number, request)
    try:
        yield request
    finally:
        for number, before in caught:
            signal.signal(number, signal.SIG_DFL if before is None else before)


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM interrupt as Ctrl-C does, so that what is half written is cleaned up."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
