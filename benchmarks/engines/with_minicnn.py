"""What minicnn does with each task."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import minicnn
from minicnn import ops, optim, zoo
from minicnn.kernels import compiled

if compiled.enabled():
    # Training imports it when first needed. Here it is in memory before, as what peers are made of.
    importlib.import_module("numba")

OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": ops.add,
    "multiply": ops.multiply,
    "relu": ops.relu,
}


def train_step(
    images: np.ndarray, labels: np.ndarray, *, network: Mapping[str, Any], **others: Any
) -> Callable[[], object]:
    """Forward in training mode, mean cross-entropy, backward, Adam."""
    model = zoo.build(**network)
    optimizer = optim.Adam(model.parameters())
    x, y = minicnn.tensor(images), minicnn.tensor(labels)

    def step() -> None:
        optimizer.zero_grad()
        ops.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


def predict(
    images: np.ndarray, *, network: Mapping[str, Any], **others: Any
) -> Callable[[], object]:
    """Forward in evaluation mode, nothing recorded."""
    model = zoo.build(**network).eval()
    x = minicnn.tensor(images)

    def run() -> None:
        with minicnn.no_grad():
            model(x)

    return run


def elementwise(
    a: np.ndarray, b: np.ndarray, *, operation: str, loops: int
) -> Callable[[], object]:
    """Record one elementwise operation and pass back through it, many times."""
    inputs = [minicnn.tensor(array, requires_grad=True) for array in (a, b)]
    inputs = inputs[:1] if operation == "relu" else inputs
    function, gradient = OPERATIONS[operation], minicnn.tensor(np.ones_like(a))

    def run() -> None:
        for _ in range(loops):
            for x in inputs:
                x.grad = None
            function(*inputs).backward(gradient)

    return run


def convolution(
    x: np.ndarray, w: np.ndarray, b: np.ndarray, gy: np.ndarray, *, backward: bool
) -> Callable[[], object]:
    """Convolve with 'same' padding; with ``backward``, find all three gradients as well."""
    inputs = [minicnn.tensor(array, requires_grad=backward) for array in (x, w, b)]
    gradient = minicnn.tensor(gy)

    def run() -> None:
        y = ops.conv2d(*inputs, padding="same")
        if backward:
            for tensor in inputs:
                tensor.grad = None
            y.backward(gradient)

    return run
