"""What PyTorch does with each task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

OPERATIONS: dict[str, Callable[..., torch.Tensor]] = {
    "add": torch.add,
    "multiply": torch.mul,
    "relu": torch.relu,
}


class Residual(nn.Module):
    """Adds what its layers give to what they are given."""

    def __init__(self, body: Sequence[dict[str, Any]]) -> None:
        super().__init__()
        self.body = build(body)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map x to a tensor of its shape."""
        return self.body(x) + x


class GlobalAvgPool2d(nn.Module):
    """The mean of each channel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images to vectors."""
        return x.mean((2, 3))


OWN = {"Residual": Residual, "GlobalAvgPool2d": GlobalAvgPool2d}  # which PyTorch does not have


def build(layers: Sequence[dict[str, Any]]) -> nn.Sequential:
    """Build the network that :func:`benchmarks.translation.describe` has described."""
    return nn.Sequential(*map(_layer, layers))


def _layer(described: dict[str, Any]) -> nn.Module:
    options = {name: value for name, value in described.items() if name != "kind"}
    kind = described["kind"]
    return (OWN.get(kind) or getattr(nn, kind))(**options)


def channels_first(images: np.ndarray, channels_last: bool) -> torch.Tensor:
    """Return images (N, H, W, C) as (N, C, H, W), which may lie in memory as they did."""
    x = torch.from_numpy(images).permute(0, 3, 1, 2)
    return x.contiguous(memory_format=_format(channels_last))


def _formatted(network: Any, channels_last: bool) -> nn.Sequential:
    return network.to(memory_format=_format(channels_last))


def _format(channels_last: bool) -> torch.memory_format:
    return torch.channels_last if channels_last else torch.contiguous_format


def train_step(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    layers: Sequence[dict[str, Any]],
    channels_last: bool = False,
    bfloat16: bool = False,
    compiled: bool = False,
    fused_adam: bool = True,
    **others: Any,
) -> Callable[[], object]:
    """Forward in training mode, mean cross-entropy, backward, Adam: the fastest, unless told."""
    network = _formatted(build(layers), channels_last)
    optimizer = torch.optim.Adam(network.parameters(), fused=fused_adam or None)
    model: Any = torch.compile(network) if compiled else network
    x, y = channels_first(images, channels_last), torch.from_numpy(labels)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
            loss = functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()

    return step


def predict(
    images: np.ndarray,
    *,
    layers: Sequence[dict[str, Any]],
    channels_last: bool = False,
    **others: Any,
) -> Callable[[], object]:
    """Forward in evaluation mode, nothing recorded."""
    network = _formatted(build(layers), channels_last).eval()
    x = channels_first(images, channels_last)

    def run() -> None:
        with torch.inference_mode():
            network(x)

    return run


def elementwise(
    a: np.ndarray, b: np.ndarray, *, operation: str, loops: int
) -> Callable[[], object]:
    """Record one elementwise operation and pass back through it, many times."""
    inputs = [torch.from_numpy(array).requires_grad_() for array in (a, b)]
    inputs = inputs[:1] if operation == "relu" else inputs
    function, gradient = OPERATIONS[operation], torch.ones(a.shape)

    def run() -> None:
        for _ in range(loops):
            for x in inputs:
                x.grad = None
            function(*inputs).backward(gradient)

    return run


def convolution(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray,
    gy: np.ndarray,
    *,
    backward: bool,
    channels_last: bool = False,
) -> Callable[[], object]:
    """Convolve with 'same' padding; with ``backward``, find all three gradients as well."""
    filters = torch.from_numpy(w).permute(3, 2, 0, 1)
    inputs = (
        channels_first(x, channels_last),
        filters.contiguous(memory_format=_format(channels_last)),
        torch.from_numpy(b),
    )
    for tensor in inputs:
        tensor.requires_grad_(backward)
    gradient = channels_first(gy, channels_last)

    def run() -> None:
        y = functional.conv2d(*inputs, padding=w.shape[0] // 2)
        if backward:
            for tensor in inputs:
                tensor.grad = None
            y.backward(gradient)

    return run
