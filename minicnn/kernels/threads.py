"""One pool of threads for work on a CPU: a batch is split over it, and BLAS keeps to one thread.

Two pools whose threads wait by spinning (BLAS's and another one) fight over the cores: a product of
10 ms was seen to take 284 ms. So BLAS is limited to one thread, in the whole process, from the
first product on, and what is big enough is split here instead. NumPy lets other threads run during
products and loops over arrays.
"""

from __future__ import annotations

import functools
import itertools
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

from minicnn.errors import OptionError
from minicnn.kernels.memory import keep_memory

__all__ = ["ENVIRONMENT_VARIABLE", "limit_blas", "parallel", "split", "stay_alone", "thread_count"]

ENVIRONMENT_VARIABLE = "MINICNN_THREADS"

_MOST = 1024  # threads
_ALONE = 1 << 18  # numbers: sharing a light loop through fewer gains no time

Part = TypeVar("Part")
Result = TypeVar("Result")
_thread = threading.local()


@functools.lru_cache(maxsize=1)
def thread_count() -> int:
    """Return the number of threads: ``MINICNN_THREADS``, else the cores the process may use.

    Raises
    ------
    OptionError
        The variable is not an integer of 1 to 1024.
    """
    text = os.environ.get(ENVIRONMENT_VARIABLE, "").strip()
    if not text:
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1
    if not text.isdecimal() or not 1 <= int(text) <= _MOST:
        raise OptionError(
            f"{ENVIRONMENT_VARIABLE}: expected an integer of 1 to {_MOST}, got {text!r}"
        )
    return int(text)


@functools.lru_cache(maxsize=1)
def limit_blas() -> None:
    """Limit BLAS to one thread, in the whole process: its limit is no property of a thread.

    Every kernel that multiplies matrices calls this before its first product, large or small: a
    product by two threads may differ from that by one in its last bits.
    """
    ThreadpoolController().limit(limits=1, user_api="blas")
    keep_memory()


class _Worker:
    """A thread that does one job at a time, and sleeps in between.

    A job is handed over by two plain locks, used as bells. That takes less time than an
    executor with its queues and futures; a step of training has up to a hundred jobs and more.
    """

    def __init__(self, number: int) -> None:
        self._begin, self._end = threading.Lock(), threading.Lock()
        self._begin.acquire()
        self._job: Callable[[], Any] = tuple
        self._done = True
        self._result: Any = None
        self._error: BaseException | None = None
        name = f"minicnn-{number}"
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def start(self, job: Callable[[], Any]) -> None:
        """Hand over a job; the one before must be over."""
        self._end.acquire(blocking=False)  # silent until this job rings it
        self._job = job
        self._result = self._error = None
        self._done = False  # directly before it begins: an interruption between would wait for ever
        self._begin.release()

    def wait(self) -> BaseException | None:
        """Wait until the job is over; return what interrupted the waiting, if anything did."""
        interruption: BaseException | None = None
        while not self._done:
            try:
                self._end.acquire()
            except BaseException as error:  # such as KeyboardInterrupt: the job is not over yet
                interruption = error
        return interruption

    def take(self) -> Any:
        """Return what the job returned, or raise what it raised."""
        result, error, self._result, self._error = self._result, self._error, None, None
        if error is not None:
            raise error
        return result

    def _work(self) -> None:
        _thread.busy = True  # a call from inside a job runs here
        while True:
            self._begin.acquire()
            try:
                self._result = self._job()
            except BaseException as error:  # for the thread that takes the result
                self._error = error
            self._job = tuple  # lets go of what the job holds
            self._done = True
            if self._end.locked():
                self._end.release()


class _Crew:
    """The workers, which one thread at a time may use."""

    def __init__(self) -> None:
        self.workers = [_Worker(number) for number in range(1, thread_count())]
        self.free = threading.Lock()


@functools.lru_cache(maxsize=1)
def _crew() -> _Crew:
    return _Crew()


if hasattr(os, "register_at_fork"):  # a child process has none of the threads
    os.register_at_fork(after_in_child=_crew.cache_clear)


def split(count: int, parts: int | None = None, *, numbers: int | None = None) -> list[slice]:
    """Split so many things into contiguous parts of nearly equal size, none of them empty.

    Parameters
    ----------
    count : int
    parts : int, optional
        At most so many; the number of threads by default.
    numbers : int, optional
        How many numbers a light loop goes through in all: one part, where that takes no longer
        than another thread to begin.

    Returns
    -------
    list of slice
    """
    if numbers is not None and numbers < _ALONE:
        parts = 1
    parts = max(1, min(thread_count() if parts is None else parts, count))
    edges = [count * part // parts for part in range(parts + 1)]
    return [slice(start, stop) for start, stop in itertools.pairwise(edges)]


def parallel(function: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """Call a function with each part, side by side, and return the results in the parts' order.

    Which thread works on which part has no influence on the numbers. A call from inside a part, or
    while another thread has the workers, runs its parts one after the other.

    Parameters
    ----------
    function : callable
        Takes one part. It must not touch what another part writes.
    parts : sequence
        About as many as there are threads, of equal work.

    Returns
    -------
    list
    """
    limit_blas()
    try:
        return _parallel(function, parts)
    except SystemError as error:  # compiled code ended while an exception of a signal was there
        cause: BaseException | None = error
        while isinstance(cause, SystemError):  # one for each function that it went through
            cause = cause.__cause__
        if isinstance(cause, KeyboardInterrupt):
            raise cause from None
        raise


def _parallel(function: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    if len(parts) < 2 or getattr(_thread, "busy", False):
        return [function(part) for part in parts]
    crew = _crew()
    if not crew.workers or not crew.free.acquire(blocking=False):
        return [function(part) for part in parts]
    try:
        return _shared(crew.workers[: len(parts) - 1], function, parts)
    finally:
        crew.free.release()


def stay_alone() -> None:
    """Let no call of this thread use other threads: for what works in the background.

    Else it would have the workers when the thread that it works for needs them, and that one would
    go on alone.
    """
    _thread.busy = True


def _shared(
    workers: Sequence[_Worker], function: Callable[[Part], Result], parts: Sequence[Part]
) -> list[Result]:
    count = len(workers) + 1

    def job(first: int) -> list[Result]:
        return [function(part) for part in parts[first::count]]

    try:
        for number, worker in enumerate(workers, 1):
            worker.start(functools.partial(job, number))
        _thread.busy = True
        found = [job(0)]
    finally:
        _thread.busy = False
        # All of them first: no part may write into memory that the caller gives up.
        interruptions = [worker.wait() for worker in workers]
        for each in filter(None, interruptions):
            raise each
    found += [worker.take() for worker in workers]
    return [found[number % count][number // count] for number in range(len(parts))]
