"""Memory of freed arrays is kept for the next ones."""

from __future__ import annotations

import ctypes
import functools
import sys

__all__ = ["keep_memory"]

# Names and numbers of <malloc.h> of the GNU C library.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_MOST, _MARGIN = 2**31 - 1, 2**26


@functools.lru_cache(maxsize=1)
def keep_memory() -> None:
    """Have the C library keep the memory of freed arrays, in the whole process.

    By default it returns that of each big array to the system, whose next array then begins with a
    page fault every 4 kB: 10,000 to 25,000 in a training step of the zoo's networks, and a seventh
    of the time of a small one. With another C library this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, _MOST)
    mallopt(_M_TOP_PAD, _MARGIN)
