"""The fake modules ``cupy``, ``cupy.cuda``, ``cupyx``, ...: what goes into ``sys.modules``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np

from standin.creation import CREATION, STRIDE_TRICKS
from standin.devices import CUDA, RUNTIME, MemoryPool
from standin.functions import FUNCTIONS, LINALG, METHODS
from standin.generators import Generator, default_rng
from standin.ndarray import ndarray
from standin.operators import OPERATORS
from standin.signatures import MANIFEST, not_modelled
from standin.ufuncs import SCATTER, UFUNCS, conjugate, ufunc

__all__ = ["MODULES"]


class Kernel:
    """CUDA code: it may be written down, but there is nothing to run it on."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.name = str(args[0]) if args else type(self).__name__

    def __call__(self, *args: Any, **options: Any) -> Any:
        raise NotImplementedError(
            "the stand-in cannot run CUDA kernels; check them by compiling them for a device and "
            "by running their text on the CPU (rungs 3 and 4 of the ladder of checks)"
        )


def kernel(name: str) -> type[Kernel]:
    return type(name, (Kernel,), {"__module__": "cupy"})


def errstate(
    *,
    divide: Any = None,
    over: Any = None,
    under: Any = None,
    invalid: Any = None,
    linalg: Any = None,
) -> Any:
    """Stand for ``cupyx.errstate``, which looks after ``linalg`` alone."""
    return nullcontext()


def same_as_numpy() -> dict[str, Any]:
    """Return the names that are NumPy's own in CuPy too: dtypes, constants, ``finfo``, ..."""
    listed = MANIFEST["modules"]["cupy"].items()
    return {
        name: vars(np)[name]
        for name, entry in listed
        if entry["kind"] == "numpy" and name in vars(np)
    }


def get_default_memory_pool() -> MemoryPool:
    """Return the pool that arrays come from."""
    return MemoryPool()


def module(name: str, contents: dict[str, Any]) -> ModuleType:
    """Make a fake module that tells CuPy's missing names from the stand-in's."""
    made = ModuleType(name, f"The stand-in's ``{name}``.")
    made.__spec__ = ModuleSpec(name, None)
    made.__path__ = []  # type: ignore[attr-defined]
    vars(made).update(contents)
    made.__getattr__ = missing(name)  # type: ignore[method-assign]
    return made


def missing(module_name: str) -> Callable[[str], Any]:
    def __getattr__(name: str) -> Any:
        raise not_modelled(module_name, name)

    return __getattr__


CUPY = {
    **same_as_numpy(),
    **UFUNCS,
    **FUNCTIONS,
    **CREATION,
    "ElementwiseKernel": kernel("ElementwiseKernel"),
    "RawKernel": kernel("RawKernel"),
    "RawModule": kernel("RawModule"),
    "ReductionKernel": kernel("ReductionKernel"),
    "__version__": MANIFEST["cupy"],
    "get_default_memory_pool": get_default_memory_pool,
    "ndarray": ndarray,
    "newaxis": None,
    "ufunc": ufunc,
}
MODULES = {
    name: module(name, contents)
    for name, contents in {
        "cupy": CUPY,
        "cupy.cuda": CUDA,
        "cupy.cuda.runtime": RUNTIME,
        "cupy.lib": {},
        "cupy.lib.stride_tricks": STRIDE_TRICKS,
        "cupy.linalg": LINALG,
        "cupy.random": {"Generator": Generator, "default_rng": default_rng},
        "cupyx": {"errstate": errstate, **SCATTER},
    }.items()
}
for _name, _method in {**OPERATORS, **METHODS, **SCATTER}.items():
    setattr(ndarray, _name, _method)
ndarray.conj = ndarray.conjugate = conjugate  # type: ignore[attr-defined]
for _name, _module in MODULES.items():
    _parent, _, _child = _name.rpartition(".")
    if _parent:
        setattr(MODULES[_parent], _child, _module)
