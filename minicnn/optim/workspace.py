"""Walk over big arrays in parts that stay in the cache, by all threads, with lasting scratch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from minicnn import backend
from minicnn.kernels.threads import parallel, split

__all__ = ["Workspace", "Workspaces"]

_PARALLEL = 1 << 16  # elements of an array from which on a second thread gains

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


class Workspaces:
    """A workspace for each thread, so that on a CPU each can change its share of big arrays."""

    def __init__(self) -> None:
        self._own: dict[int, Workspace] = {}

    def change(
        self,
        update: Callable[[Iterator[tuple[Any, ...]]], None],
        *arrays: Any,
        loop: Callable[..., None] | None = None,
    ) -> None:
        """Change arrays in place, element by element; the shares have no influence on the numbers.

        Parameters
        ----------
        update : callable
            Takes what :meth:`Workspace.parts` yields of a share.
        *arrays : arrays of shape (K,)
            All of one backend and element type.
        loop : callable, optional
            Takes the place of `update`: is called with a share's whole arrays.
        """

        def compute(numbered: tuple[int, slice]) -> None:
            number, share = numbered
            own = [array[share] for array in arrays]
            if loop is not None:
                loop(*own)
            else:
                update(self._own.setdefault(number, Workspace()).parts(*own))

        size = arrays[0].size
        on_cpu = backend.name_of(arrays[0]) == "numpy"
        shares = split(size, None if on_cpu and size > _PARALLEL else 1) if size else []
        parallel(compute, list(enumerate(shares)))
