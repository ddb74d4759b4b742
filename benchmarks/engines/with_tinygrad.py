"""What tinygrad does with a training step. It compiles its kernels by clang."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

os.environ["DEV"] = "CPU"

from tinygrad import Context, Tensor, TinyJit, nn


def train_step(
    images: np.ndarray, labels: np.ndarray, *, layers: Sequence[dict[str, Any]], **others: Any
) -> Callable[[], object]:
    """Forward in training mode, mean cross-entropy, backward, Adam; in one compiled function."""
    network = [_layer(**layer) for layer in layers]
    optimizer = nn.optim.Adam(nn.state.get_parameters(network))
    x, y = Tensor(images.transpose(0, 3, 1, 2).copy()).realize(), Tensor(labels).realize()

    @TinyJit
    def compiled() -> Tensor:
        optimizer.zero_grad()
        loss = x.sequential(network).sparse_categorical_crossentropy(y).backward()
        return loss.realize(*optimizer.schedule_step())

    def step() -> None:
        with Context(TRAINING=1):
            compiled().item()

    return step


class _Residual:
    """Adds what its layers give to what they are given."""

    def __init__(self, body: Sequence[dict[str, Any]]) -> None:
        self.body = [_layer(**layer) for layer in body]

    def __call__(self, x: Tensor) -> Tensor:
        return x.sequential(self.body) + x


def _layer(kind: str, **options: Any) -> Callable[[Tensor], Tensor]:
    if kind == "Conv2d":
        return nn.Conv2d(**options)
    if kind == "Linear":
        return nn.Linear(**options)
    if kind in ("BatchNorm1d", "BatchNorm2d"):
        return nn.BatchNorm(options["num_features"], options["eps"], momentum=options["momentum"])
    if kind == "MaxPool2d":
        return lambda x: x.max_pool2d(**options)
    if kind == "AvgPool2d":
        return lambda x: x.avg_pool2d(**options)
    if kind == "LeakyReLU":
        return lambda x: x.leaky_relu(options["negative_slope"])
    if kind == "Residual":
        return _Residual(options["body"])
    if kind == "GlobalAvgPool2d":
        return lambda x: x.mean((2, 3))
    if kind == "Dropout":
        return lambda x: x.dropout(options["p"])
    return {"ReLU": Tensor.relu, "Flatten": lambda x: x.flatten(1)}[kind]
