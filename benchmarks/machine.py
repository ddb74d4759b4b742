"""What measurements depend on: the machine, its ceilings, and what is installed on it."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import minicnn
from benchmarks.contest import Contender, Contest
from minicnn.kernels import compiled, threads

__all__ = ["ceilings", "describe", "installed_size"]

PACKAGES = ("numpy", "numba", "torch", "jax", "tinygrad", "onnxruntime")
VARIABLES = (compiled.ENVIRONMENT_VARIABLE, threads.ENVIRONMENT_VARIABLE)
ROOT = Path(__file__).resolve().parents[1]
PRODUCT = 2048  # rows and columns
COPIED = 2**24  # numbers of four bytes: no cache holds them


def describe() -> dict[str, Any]:
    """Return the machine, its cores and threads, the versions, the settings, and the time."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "cores_used": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "threads": threads.thread_count(),
        "variables": {name: value for name in VARIABLES if (value := os.environ.get(name))},
        "platform": platform.platform(),
        "versions": {
            "python": platform.python_version(),
            "minicnn": minicnn.__version__,
            **{name: found.version for name in PACKAGES if (found := _distribution(name))},
            "blas": f"{blas.get('name')} {blas.get('version')}",
        },
        "date": datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds"),
    }


def ceilings(repeat: int) -> dict[str, float]:
    """Measure what this machine can do at best, with NumPy in a process of its own.

    Returns
    -------
    dict
        ``gemm``: GFLOP/s of a product of two square float32 matrices of 2048 rows; ``copy``: GB/s
        of a copy by all threads, read and written bytes together.
    """
    sizes = {"product": (PRODUCT, PRODUCT), "copy": (COPIED,)}
    with Contest([Contender("numpy", "NumPy", "with_numpy")]) as contest:
        best = {
            task: min(contest.measure(task, {"x": shape}, {}, repeat=repeat)["numpy"].seconds)
            for task, shape in sizes.items()
        }
    return {"gemm": 2 * PRODUCT**3 / best["product"] / 1e9, "copy": 8 * COPIED / best["copy"] / 1e9}


def installed_size(*names: str) -> int:
    """Return the bytes that distributions and all that they require take on the disk.

    Extras do not count, nor what is not installed, nor byte code, nor minicnn's own metadata.

    Parameters
    ----------
    *names : str
        Of the distributions.
    """
    seen: set[str] = set()
    for name in names:
        _add_required(name, seen)
    return sum(path.stat().st_size for name in seen for path in _files(name))


def _add_required(name: str, seen: set[str]) -> None:
    found = _distribution(name)
    if found is None or name in seen:
        return
    seen.add(name)
    for text in found.requires or ():
        if "extra ==" not in text:
            required = re.split(r"[^\w.-]", text)[0]
            _add_required(re.sub(r"[-_.]+", "-", required).lower(), seen)


def _files(name: str) -> Iterator[Path]:
    found = _distribution(name)
    listed = [Path(str(file.locate())) for file in (found.files if found else None) or ()]
    if name == "minicnn":  # may be installed as a link to its sources, which lists no files
        listed = list(Path(minicnn.__file__).parent.rglob("*"))
    return (path for path in listed if path.suffix != ".pyc" and path.is_file())


def _distribution(name: str) -> metadata.Distribution | None:
    # Not from the project's root, where a build may have left the metadata of an older state.
    places = [place for place in sys.path if place and Path(place).resolve() != ROOT]
    return next(iter(metadata.distributions(name=name, path=places)), None)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()
