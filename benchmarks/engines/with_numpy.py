"""The ceilings of the machine: a product of matrices, and a copy."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np


def product(x: np.ndarray) -> Callable[[], object]:
    """Multiply a matrix with itself, by NumPy's BLAS and its own threads."""
    return partial(np.matmul, x, x, out=np.empty_like(x))


def copy(x: np.ndarray) -> Callable[[], object]:
    """Copy an array, a part in each thread."""
    threads = int(os.environ["MINICNN_THREADS"])
    pool = ThreadPoolExecutor(threads)
    pairs = list(
        zip(np.array_split(np.empty_like(x), threads), np.array_split(x, threads), strict=True)
    )
    return lambda: list(pool.map(lambda parts: np.copyto(*parts), pairs))
