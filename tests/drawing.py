"""Random tensors for tests, on the backend of the running test."""

from __future__ import annotations

import numpy as np

import minicnn


def draw(*shapes, dtype="float64", seed=1, requires_grad=True):
    """Return tensors of random numbers on the current backend."""
    rng = np.random.default_rng(seed)
    return [
        minicnn.tensor(rng.uniform(-1, 1, shape).astype(dtype), requires_grad=requires_grad)
        for shape in shapes
    ]
