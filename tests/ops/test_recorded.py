"""Operations on images give the values and gradients that were recorded from PyTorch.

``python tests/ops/test_recorded.py`` records them anew, in recorded/images.json: of every array its
shape and its products with three fixed patterns, which any wrong number changes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import ops

RECORDED = Path(__file__).parent / "recorded" / "images.json"
CONV = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}
POOL = {"kernel_size": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0))}
ALL = {"stride": (2, 1), "padding": ((1, 2), (0, 1)), "dilation": (1, 2)}

# The operation, the names and shapes of its inputs, its options.
CASES: dict[str, tuple[str, dict[str, tuple[int, ...]], dict[str, Any]]] = {
    "conv": (
        "conv2d",
        {"x": (2, 6, 7, 3), "w": (3, 3, 3, 4), "b": (4,)},
        {**CONV, "padding": ((1, 1), (1, 1))},
    ),
    "conv-all": (
        "conv2d",
        {"x": (2, 6, 7, 4), "w": (3, 2, 2, 6), "b": (6,)},
        {**ALL, "groups": 2},
    ),
    "conv-depthwise": ("conv2d", {"x": (1, 5, 5, 6), "w": (3, 3, 1, 6)}, {**CONV, "groups": 6}),
    "conv-pointwise": ("conv2d", {"x": (2, 3, 4, 9), "w": (1, 1, 9, 5), "b": (5,)}, CONV),
    "conv-deep": ("conv2d", {"x": (2, 4, 4, 20), "w": (3, 3, 20, 7)}, CONV),
    "transposed": (
        "conv_transpose2d",
        {"x": (2, 3, 4, 3), "w": (3, 3, 2, 3), "b": (2,)},
        {**CONV, "stride": (2, 2), "padding": ((1, 1), (1, 1)), "output_padding": (1, 1)},
    ),
    "transposed-all": (
        "conv_transpose2d",
        {"x": (2, 3, 4, 4), "w": (3, 2, 3, 4), "b": (6,)},
        {**ALL, "groups": 2, "output_padding": (1, 0)},
    ),
    "max": ("max_pool2d", {"x": (2, 6, 7, 3)}, {**POOL, "dilation": (1, 1)}),
    "max-all": (
        "max_pool2d",
        {"x": (2, 6, 7, 3)},
        {"kernel_size": (3, 2), **ALL, "padding": ((1, 0), (1, 0))},
    ),
    "average": ("avg_pool2d", {"x": (2, 6, 7, 3)}, {**POOL, "count_include_pad": True}),
    "average-overlapping": (
        "avg_pool2d",
        {"x": (2, 6, 7, 3)},
        {
            "kernel_size": (3, 2),
            "stride": (2, 1),
            "padding": ((1, 1), (1, 1)),
            "count_include_pad": False,
        },
    ),
    "adaptive": ("adaptive_avg_pool2d", {"x": (2, 7, 5, 3)}, {"output_size": (3, 4)}),
    "adaptive-even": ("adaptive_avg_pool2d", {"x": (2, 6, 4, 3)}, {"output_size": (3, 2)}),
    "batch-norm": (
        "batch_norm",
        {"x": (3, 4, 4, 5), "weight": (5,), "bias": (5,)},
        {"training": True, "eps": 1e-3},
    ),
    "layer-norm": (
        "layer_norm",
        {"x": (3, 4, 5), "weight": (4, 5), "bias": (4, 5)},
        {"normalized_shape": (4, 5)},
    ),
    "group-norm": (
        "group_norm",
        {"x": (3, 4, 4, 6), "weight": (6,), "bias": (6,)},
        {"num_groups": 3, "eps": 0.01},
    ),
}


def pattern(shape: tuple[int, ...], step: int) -> np.ndarray:
    """Return numbers from -2 to 2 that differ from each other, the same on any machine."""
    return (np.arange(np.prod(shape)) * step % 1009 / 252.0 - 2).reshape(shape)


def inputs(case: str) -> dict[str, np.ndarray]:
    shapes = CASES[case][1].items()
    return {name: pattern(shape, 379 + 2 * place) for place, (name, shape) in enumerate(shapes)}


def gradient(shape: tuple[int, ...]) -> np.ndarray:
    return pattern(shape, 211)


def summary(array: np.ndarray) -> list[Any]:
    """Return the shape of an array and its products with three patterns."""
    products = [(array * pattern(array.shape, step)).sum() for step in (1, 97, 613)]
    return [list(array.shape), *map(float, products)]


def run(case: str, dtype: str = "float64") -> list[Any]:
    """Return the summaries of our output and of the gradients of the inputs."""
    operation, _, options = CASES[case]
    tensors = {
        name: minicnn.tensor(array, dtype=dtype, requires_grad=True)
        for name, array in inputs(case).items()
    }
    y = getattr(ops, operation)(**tensors, **options)
    y.backward(minicnn.tensor(gradient(y.shape), dtype=dtype))
    return [summary(each.numpy()) for each in (y, *[each.grad for each in tensors.values()])]


def run_torch(case: str) -> list[Any]:
    """Return the summaries of PyTorch's output and of the gradients of the inputs."""
    import pytorch_images
    import torch

    operation, _, options = CASES[case]
    tensors = {
        name: torch.tensor(array, requires_grad=True) for name, array in inputs(case).items()
    }
    y = getattr(pytorch_images, operation)(**tensors, **options)
    y.backward(torch.tensor(gradient(tuple(y.shape))))
    found = [y.detach(), *[each.grad for each in tensors.values()]]
    return [summary(each.numpy()) for each in found]


def compare(found: list[Any], expected: list[Any], tolerance: float) -> None:
    """Compare summaries, relative to the largest product of each array or to 1."""
    for mine, other in zip(found, expected, strict=True):
        assert mine[0] == other[0]
        limit = tolerance * max(1.0, *map(abs, other[1:]))
        np.testing.assert_allclose(mine[1:], other[1:], rtol=0, atol=limit)


def recorded() -> dict[str, list[Any]]:
    return json.loads(RECORDED.read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_those_recorded_from_pytorch(case: str) -> None:
    compare(run(case), recorded()[case], 1e-10)


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_in_float32_are_near_those_recorded(case: str) -> None:
    compare(run(case, "float32"), recorded()[case], 1e-4)


@pytest.mark.host
def test_all_that_was_recorded_is_compared() -> None:
    assert set(recorded()) == set(CASES)


@pytest.mark.host
@pytest.mark.parametrize("place", [0, 17, 251])
def test_summary_changes_with_any_number(place: int) -> None:
    array = pattern((2, 6, 7, 3), 5)
    changed = array.copy()
    changed.flat[place] += 1e-6
    with pytest.raises(AssertionError):
        compare([summary(changed)], [summary(array)], 1e-10)


@pytest.mark.oracle
@pytest.mark.parametrize("case", CASES)
def test_recorded_values_are_those_of_the_installed_pytorch(case: str) -> None:
    compare(run_torch(case), recorded()[case], 1e-10)


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[1]))
    lines = [f"{json.dumps(case)}: {json.dumps(run_torch(case))}" for case in CASES]
    RECORDED.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
