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
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from minicnn.errors import OptionError
from minicnn.kernels.memory import keep_memory

__all__ = ["ENVIRONMENT_VARIABLE", "limit_blas", "parallel", "split", "thread_count"]

ENVIRONMENT_VARIABLE = "MINICNN_THREADS"

Part = TypeVar("Part")
Result = TypeVar("Result")
_thread = threading.local()


@functools.lru_cache(maxsize=1)
def thread_count() -> int:
    """Return the number of threads: ``MINICNN_THREADS``, else the cores the process may use.

    Raises
    ------
    OptionError
        The variable is not an integer of 1 or more.
    """
    text = os.environ.get(ENVIRONMENT_VARIABLE, "").strip()
    if not text:
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1
    if not text.isdigit() or int(text) < 1:
        raise OptionError(f"{ENVIRONMENT_VARIABLE}: expected an integer of 1 or more, got {text!r}")
    return int(text)


@functools.lru_cache(maxsize=1)
def limit_blas() -> None:
    """Limit BLAS to one thread, in the whole process: its limit is no property of a thread.

    Every kernel that multiplies matrices calls this before its first product, large or small: a
    product by two threads may differ from that by one in its last bits.
    """
    ThreadpoolController().limit(limits=1, user_api="blas")
    keep_memory()


@functools.lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor | None:
    workers = thread_count() - 1  # the calling thread works as well
    return ThreadPoolExecutor(workers, thread_name_prefix="minicnn") if workers else None


if hasattr(os, "register_at_fork"):  # a child process has none of the threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def split(count: int, parts: int | None = None) -> list[slice]:
    """Split so many things into contiguous parts of nearly equal size, none of them empty.

    Parameters
    ----------
    count : int
    parts : int, optional
        At most so many; the number of threads by default.

    Returns
    -------
    list of slice
    """
    parts = max(1, min(thread_count() if parts is None else parts, count))
    edges = [count * part // parts for part in range(parts + 1)]
    return [slice(start, stop) for start, stop in itertools.pairwise(edges)]


def parallel(function: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """Call a function with each part, side by side, and return the results in the parts' order.

    Which thread works on which part has no influence on the numbers. A call from inside a part
    runs its own parts one after the other.

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
    pool = None if getattr(_thread, "busy", False) else _pool()
    if pool is None or len(parts) < 2:
        return [function(part) for part in parts]
    futures = [pool.submit(_run, function, part) for part in parts[1:]]
    try:
        first = _run(function, parts[0])
    finally:
        for future in futures:
            future.exception()  # wait: no part may write into memory that the caller gives up
    return [first, *[future.result() for future in futures]]


def _run(function: Callable[[Part], Result], part: Part) -> Result:
    _thread.busy = True
    try:
        return function(part)
    finally:
        _thread.busy = False
