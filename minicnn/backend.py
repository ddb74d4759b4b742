"""NumPy or CuPy: choose one at run time, ask where an array lives, move arrays, synchronise.

The array decides where work happens: a kernel asks ``xp(x)`` for the module of its input and calls
only that. A backend is named only where arrays are made or moved.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from minicnn.errors import BackendError, OptionError

__all__ = [
    "NAMES",
    "Backend",
    "Probe",
    "asarray",
    "choose",
    "current",
    "is_array",
    "name_of",
    "probe",
    "synchronize",
    "to_numpy",
    "use",
    "xp",
]

NAMES = ("numpy", "cupy")
ENVIRONMENT_VARIABLE = "MINICNN_BACKEND"


@dataclass(frozen=True)
class Probe:
    """What one look at a backend found.

    Attributes
    ----------
    name : str
        ``"numpy"`` or ``"cupy"``.
    status : str
        ``"ok"``, ``"not installed"``, ``"no driver or device"`` or ``"missing library"``.
    detail : str
        The original message of what failed, or the version and device that were found.
    """

    name: str
    status: str
    detail: str

    @property
    def ok(self) -> bool:
        """Whether the backend can be used."""
        return self.status == "ok"

    @property
    def remedy(self) -> str:
        """What to do so that it can be used; empty where it can."""
        return _REMEDIES.get(self.status, "")


@dataclass(frozen=True)
class Backend:
    """A chosen backend: its name, its array module, and why it was chosen.

    Usable as a context manager where :func:`use` returned it: the previous backend comes back at
    the end.
    """

    name: str
    xp: ModuleType
    reason: str
    previous: Backend | None = None

    def __enter__(self) -> Backend:
        return self

    def __exit__(self, *exception: object) -> None:
        global _current
        _current = self.previous


_current: Backend | None = None
_probes: dict[str, Probe] = {}
_modules: dict[type, ModuleType] = {np.ndarray: np, np.memmap: np}


def probe(name: str) -> Probe:
    """Find out, once a process, whether a backend works here.

    Parameters
    ----------
    name : str
        ``"numpy"`` or ``"cupy"``.

    Returns
    -------
    Probe
        With one of four statuses and the original message.

    Notes
    -----
    CuPy imports without a driver and fails only when used, each part in its own way: so a device is
    counted, and an elementwise operation, a matrix product (cuBLAS), a random draw (cuRAND) and a
    copy to the host are tried.
    """
    if name not in NAMES:
        raise OptionError(f"backend: {name!r} is unknown; choose one of {', '.join(NAMES)} or auto")
    if name not in _probes:
        _probes[name] = (
            Probe("numpy", "ok", f"NumPy {np.__version__}") if name == "numpy" else _probe_cupy()
        )
    return _probes[name]


def _probe_cupy() -> Probe:
    # Every step catches Exception: CuPy reports a missing driver, device or library with errors of
    # many types.
    try:
        cupy = importlib.import_module("cupy")
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "cupy":
            return Probe("cupy", "not installed", str(error))
        return Probe("cupy", "missing library", _message(error))
    try:
        devices = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:
        return Probe("cupy", "no driver or device", _message(error))
    if devices < 1:
        return Probe("cupy", "no driver or device", "the driver counts 0 devices")
    try:
        a = cupy.ones((2, 2), dtype="float32") * 2
        product = (a @ a).get()
        cupy.random.default_rng(0).random((2,))
    except Exception as error:
        return Probe("cupy", "missing library", _message(error))
    if product.tolist() != [[8.0, 8.0], [8.0, 8.0]]:
        return Probe("cupy", "missing library", f"a 2x2 product came out as {product.tolist()}")
    return Probe("cupy", "ok", f"CuPy {cupy.__version__}, {devices} device(s)")


def _message(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


_REMEDIES = {
    "not installed": 'install it with: pip install "minicnn[cupy]"',
    "no driver or device": "check that nvidia-smi lists a device, or use --backend numpy",
    "missing library": "install CuPy's CUDA libraries (pip install 'cupy-cuda12x[ctk]'), "
    "or use --backend numpy",
}


def choose(name: str | None = None) -> Backend:
    """Choose a backend: the argument, then the variable ``MINICNN_BACKEND``, then NumPy.

    Parameters
    ----------
    name : {"numpy", "cupy", "auto"}, optional
        ``"cupy"`` never falls back in silence; ``"auto"`` takes CuPy where it works and else NumPy,
        and says why in ``reason``.

    Returns
    -------
    Backend

    Raises
    ------
    OptionError
        The name is not a backend's.
    BackendError
        CuPy was asked for and does not work here.
    """
    source = "asked for by name"
    if name is None:
        name = os.environ.get(ENVIRONMENT_VARIABLE) or None
        source = f"set by {ENVIRONMENT_VARIABLE}"
    if name is None:
        name, source = "numpy", "the default"
    if name not in (*NAMES, "auto"):
        raise OptionError(
            f"backend: {name!r} ({source}) is unknown; choose one of {', '.join(NAMES)} or auto"
        )
    if name == "auto":
        found = probe("cupy")
        name = "cupy" if found.ok else "numpy"
        return Backend(name, _module(name), f"auto: CuPy is {found.status} ({found.detail})")
    found = probe(name)
    if not found.ok:
        raise BackendError(
            f"backend: cupy ({source}): {found.status}: {found.detail}; {found.remedy}"
        )
    return Backend(name, _module(name), source)


def _module(name: str) -> ModuleType:
    return np if name == "numpy" else importlib.import_module("cupy")


def current() -> Backend:
    """Return the backend on which new tensors are made when none is named."""
    global _current
    if _current is None:
        _current = choose()
    return _current


def use(name: str | None) -> Backend:
    """Make a backend the one on which new tensors are made; as a context manager, until its end.

    Parameters
    ----------
    name : {"numpy", "cupy", "auto"} or None
        As for :func:`choose`.

    Returns
    -------
    Backend
    """
    global _current
    chosen = choose(name)
    _current = Backend(chosen.name, chosen.xp, chosen.reason, previous=_current)
    return _current


def xp(*arrays: Any) -> ModuleType:
    """Return the module, NumPy or CuPy, that all of these arrays belong to.

    Parameters
    ----------
    *arrays : arrays of one backend
        ``None`` and Python numbers are passed over.

    Raises
    ------
    BackendError
        Arrays of two backends are mixed, or an argument is no array at all.
    """
    found: ModuleType | None = None
    for array in arrays:
        if array is None or isinstance(array, (int, float)):
            continue
        module = _modules.get(type(array)) or _learn(array)
        if found is None:
            found = module
        elif found is not module:
            raise BackendError(
                "arrays of NumPy and CuPy meet in one operation; move one of them with "
                ".to('cupy') or .to('numpy')"
            )
    return found or np


def _learn(array: Any) -> ModuleType:
    # The module is found by the class's home, so that CuPy need not be imported to ask about a
    # NumPy array.
    if isinstance(array, np.generic):
        return np
    for kind in type(array).__mro__:
        root = kind.__module__.partition(".")[0]
        if root in NAMES and kind.__name__ == "ndarray":
            return _modules.setdefault(type(array), np if root == "numpy" else sys.modules["cupy"])
    raise BackendError(
        f"expected a NumPy or CuPy array, got {type(array).__name__}; make one with "
        "minicnn.tensor(...)"
    )


def is_array(value: Any) -> bool:
    """Tell whether a value is an array of either backend."""
    try:
        if value is None or isinstance(value, (int, float)):
            return False
        return bool(_modules.get(type(value)) or _learn(value))
    except BackendError:
        return False


def name_of(array: Any) -> str:
    """Return ``"numpy"`` or ``"cupy"``: where an array lives."""
    return "numpy" if xp(array) is np else "cupy"


def asarray(value: Any, name: str | None = None, dtype: Any = None) -> Any:
    """Move a value onto a backend (the current one unless named), if it is not there already.

    Parameters
    ----------
    value : array of either backend, or anything NumPy makes an array of
    name : {"numpy", "cupy"}, optional
    dtype : dtype, optional

    Returns
    -------
    array of the backend
    """
    target = current() if name is None else choose(name)
    if target.name == "numpy":
        return np.asarray(to_numpy(value) if is_array(value) else value, dtype=dtype)
    if not is_array(value):
        value = np.asarray(value)
    return target.xp.asarray(value, dtype=dtype)


def to_numpy(array: Any) -> np.ndarray:
    """Return a NumPy array: an array of CuPy is copied to the host, which waits for the device."""
    module = xp(array)
    return np.asarray(array) if module is np else array.get()


def synchronize(array: Any = None) -> None:
    """Wait until the device has done all that an array (or the current backend) may depend on."""
    module = current().xp if array is None else xp(array)
    if module is not np:
        module.cuda.get_current_stream().synchronize()
