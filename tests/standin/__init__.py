"""A strict stand-in for CuPy, on which the whole test suite runs where there is no GPU.

``standin.installed()`` puts fake modules named ``cupy`` and ``cupyx`` in place of the real ones.
Their array wraps a NumPy array and is as strict as CuPy, or stricter:

- it refuses NumPy arrays as operands, and implicit conversion;
- it has only the names, methods and keywords that ``manifest.json``, made from a real CuPy, lists;
- what has no defined result on a GPU raises: an index out of range, an assignment through repeated
  indices, a write to elements that overlap in memory; fresh memory is full of NaN;
- it counts what crosses between host and device, and every wait (``standin.counting()``).

What it proves is that the library's array code keeps to what CuPy offers. That CUDA computes the
same numbers, and that its own kernels are right, it does not prove.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from standin.counters import Transfers, UnexpectedTransfer, counting, no_transfers, transfers
from standin.modules import MODULES

__all__ = [
    "MODULES",
    "Transfers",
    "UnexpectedTransfer",
    "absent",
    "counting",
    "installed",
    "no_transfers",
    "transfers",
]


@contextmanager
def replaced(modules: dict[str, ModuleType]) -> Iterator[None]:
    """Take CuPy's modules out of ``sys.modules`` and put others in their place until the end."""
    before = {name: module for name, module in sys.modules.items() if is_cupy(name)}
    for name in before:
        del sys.modules[name]
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in [name for name in sys.modules if is_cupy(name)]:
            del sys.modules[name]
        sys.modules.update(before)


@contextmanager
def installed() -> Iterator[ModuleType]:
    """Put the fake modules in place of a real CuPy until the end."""
    with replaced(MODULES):
        yield MODULES["cupy"]


@contextmanager
def absent() -> Iterator[None]:
    """Let ``import cupy`` fail until the end as where it is not installed."""
    with replaced({}):
        sys.meta_path.insert(0, NoCupy)
        try:
            yield
        finally:
            sys.meta_path.remove(NoCupy)


class NoCupy:
    """An import hook that finds no CuPy."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if is_cupy(name):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def is_cupy(module_name: str) -> bool:
    """Tell whether a module is CuPy's."""
    return module_name.partition(".")[0] in ("cupy", "cupyx", "cupy_backends")
