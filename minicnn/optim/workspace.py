"""Walk over big arrays in parts that stay in the cache, by all threads, with lasting scratch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from minicnn import backend
from minicnn.kernels import compiled
from minicnn.kernels.matmul import Product
from minicnn.kernels.threads import parallel, split

__all__ = ["Change", "Workspace", "Workspaces"]

_PARALLEL = 1 << 16  # elements in all from which on a second thread gains

# Numbers of a product that are computed at a time: 2**18 was best of 2**15 to 2**19, where the
# threads seldom wait for each other's Python between two calls.
_PIECE = 1 << 18

# Bytes of one array in a part. On a CPU some five arrays should fit in a core's cache: a step of
# Adam on 15 M float32 parameters took 47 ms with parts of 2**17 or 2**18 bytes, 60 ms with 2**15
# and 80 ms with whole arrays. A GPU wants big parts; the limit bounds its scratch memory.
PART_BYTES = {"numpy": 2**17, "cupy": 2**24}


class Workspace:
    """Two scratch buffers for each backend and element type, and the walk in their size."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, Any], tuple[Any, Any]] = {}

    def parts(self, *arrays: Any) -> Iterator[tuple[Any, ...]]:
        """Yield matching parts of flat arrays, and two scratch arrays of the parts' size.

        Parameters
        ----------
        *arrays : arrays of shape (K,)
            All of one backend and element type.

        Yields
        ------
        tuple of arrays of shape (part,)
            A view into each of the arrays, then two scratch arrays of undefined content.
        """
        count = arrays[0].size
        name = backend.name_of(arrays[0])
        length = PART_BYTES[name] // arrays[0].dtype.itemsize
        first, second = self._scratch(arrays[0], name, min(length, count))
        for start in range(0, count, length):
            part = slice(start, start + length)
            rest = slice(0, count - start)
            yield (*[array[part] for array in arrays], first[rest], second[rest])

    def _scratch(self, like: Any, name: str, length: int) -> tuple[Any, Any]:
        # Views of `length` elements, into buffers that grow to the longest part ever seen.
        buffers = self._buffers.get((name, like.dtype))
        if buffers is None or buffers[0].size < length:
            xp = backend.xp(like)
            buffers = (xp.empty(length, dtype=like.dtype), xp.empty(length, dtype=like.dtype))
            self._buffers[name, like.dtype] = buffers
        return buffers[0][:length], buffers[1][:length]


class Change(NamedTuple):
    """A change of flat arrays in place, element by element."""

    # Of shape (K,), of one backend and element type. All but the first, which is changed, may be a
    # Product: its numbers are computed when their turn comes.
    arrays: Sequence[Any]
    update: Callable[[Iterator[tuple[Any, ...]]], None]  # takes what Workspace.parts yields
    # Gives compiled code that takes the place of update, on the whole arrays, if there is any.
    compiled_update: Callable[[], Callable[..., None] | None] | None = None


class Workspaces:
    """A workspace for each thread, so that on a CPU each can make its share of changes."""

    def __init__(self) -> None:
        self._own: dict[int, Workspace] = {}

    def change(self, changes: Sequence[Change]) -> None:
        """Make changes of arrays that have nothing in common.

        All of them together are shared out: a thread takes long to begin, measured by what most
        parameters need. The shares have no influence on the numbers, but for the last bits of
        products.
        """
        ends = list(itertools.accumulate(each.arrays[0].size for each in changes))
        total = ends[-1] if ends else 0
        loops = [
            each.compiled_update()
            if each.compiled_update is not None and compiled.usable(each.arrays[0], size=total)
            else None
            for each in changes
        ]

        def compute(numbered: tuple[int, slice]) -> None:
            number, share = numbered
            for change, end, loop in zip(changes, ends, loops, strict=True):
                first = end - change.arrays[0].size
                own = slice(max(share.start - first, 0), min(share.stop, end) - first)
                for part in _pieces(change, own):
                    arrays = [
                        each.part(part) if isinstance(each, Product) else each[part]
                        for each in change.arrays
                    ]
                    if loop is not None:
                        loop(*arrays)
                    else:
                        change.update(self._own.setdefault(number, Workspace()).parts(*arrays))

        on_cpu = all(backend.name_of(each.arrays[0]) == "numpy" for each in changes)
        shares = split(total, None if on_cpu and total > _PARALLEL else 1) if total else []
        parallel(compute, list(enumerate(shares)))


def _pieces(change: Change, numbers: slice) -> Iterator[slice]:
    # All at once, unless a product is computed on the way.
    by_parts = any(isinstance(each, Product) for each in change.arrays)
    size = _PIECE if by_parts else numbers.stop - numbers.start
    for start in range(numbers.start, numbers.stop, max(size, 1)):
        yield slice(start, min(start + size, numbers.stop))
