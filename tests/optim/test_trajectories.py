"""Each optimiser walks 50 steps as PyTorch's does, on a small problem that is not quadratic.

``python tests/optim/test_trajectories.py`` records PyTorch's end points anew in trajectories.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import backend
from minicnn.optim import workspace
from minicnn.optim.adadelta import Adadelta
from minicnn.optim.adagrad import Adagrad
from minicnn.optim.adam import Adam, AdamW
from minicnn.optim.rmsprop import RMSprop
from minicnn.optim.sgd import SGD

OPTIMIZERS = {each.__name__: each for each in (SGD, Adam, AdamW, RMSprop, Adagrad, Adadelta)}
RECORDED = Path(__file__).with_name("trajectories.json")
STEPS = 50
START = {
    "filters": [[0.3, -0.8, 1.1], [-0.5, 0.9, 0.2]],
    "scale": [[0.4], [-0.6]],
    "bias": [0.1, -0.2, 0.7],
    "offset": 0.5,
}

# Class, its options, and the options of the group that bias and offset form (None: one group).
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any] | None]] = {
    "sgd": ("SGD", {}, None),
    "sgd-momentum": ("SGD", {"lr": 0.02, "momentum": 0.9}, None),
    "sgd-dampening": ("SGD", {"lr": 0.02, "momentum": 0.8, "dampening": 0.3}, None),
    "sgd-decay": ("SGD", {"lr": 0.05, "weight_decay": 0.1}, None),
    "sgd-nesterov": (
        "SGD",
        {"lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        None,
    ),
    "sgd-groups": ("SGD", {"lr": 0.02, "momentum": 0.9}, {"lr": 0.005, "momentum": 0.0}),
    "adam": ("Adam", {}, None),
    "adam-betas": ("Adam", {"lr": 0.05, "betas": (0.7, 0.9), "eps": 1e-3}, None),
    "adam-decay": ("Adam", {"lr": 0.02, "weight_decay": 0.1}, None),
    "adam-amsgrad": ("Adam", {"lr": 0.1, "betas": (0.9, 0.8), "amsgrad": True}, None),
    "adam-groups": ("Adam", {"lr": 0.02, "weight_decay": 0.1}, {"lr": 0.1, "weight_decay": 0.0}),
    "adamw": ("AdamW", {}, None),
    "adamw-decay": ("AdamW", {"lr": 0.05, "weight_decay": 0.3}, None),
    "adamw-amsgrad": ("AdamW", {"lr": 0.1, "betas": (0.9, 0.8), "amsgrad": True}, None),
    "adamw-groups": ("AdamW", {"lr": 0.02, "weight_decay": 0.5}, {"weight_decay": 0.0}),
    "rmsprop": ("RMSprop", {}, None),
    "rmsprop-keras": ("RMSprop", {"lr": 1e-3, "alpha": 0.9, "eps": 1e-7}, None),
    "rmsprop-momentum": ("RMSprop", {"lr": 5e-3, "momentum": 0.8, "weight_decay": 0.1}, None),
    "rmsprop-centered": ("RMSprop", {"alpha": 0.8, "eps": 1e-2, "centered": True}, None),
    "rmsprop-all": (
        "RMSprop",
        {
            "lr": 5e-3,
            "alpha": 0.9,
            "eps": 1e-2,
            "centered": True,
            "momentum": 0.7,
            "weight_decay": 0.1,
        },
        None,
    ),
    "adagrad": ("Adagrad", {}, None),
    "adagrad-all": (
        "Adagrad",
        {
            "lr": 0.1,
            "lr_decay": 0.05,
            "weight_decay": 0.1,
            "initial_accumulator_value": 0.2,
            "eps": 1e-2,
        },
        None,
    ),
    "adadelta": ("Adadelta", {}, None),
    "adadelta-keras": ("Adadelta", {"lr": 0.1, "rho": 0.95, "eps": 1e-7}, None),
    "adadelta-decay": ("Adadelta", {"lr": 5.0, "weight_decay": 0.2}, None),
}


def losses(filters: Any, scale: Any, bias: Any, offset: Any, x: Any) -> Any:
    """One loss for each of 2 x 3 places; the same code runs on minicnn's and PyTorch's tensors."""
    outputs = (filters * x + bias).tanh() * scale.exp() + offset
    errors = outputs - 0.3
    return errors * errors + 0.02 * filters * filters * filters * filters


def inputs(step: int) -> np.ndarray:
    """Return another (2, 3) array in each step, as minibatches would be."""
    return np.sin(1.0 + np.arange(6.0).reshape(2, 3) + 0.7 * step)


def lacks_bias(step: int) -> bool:
    """Tell whether the bias gets no gradient in a step, as a branch that is not taken would."""
    return step < 2 or step % 7 == 3


def walk(case: str, dtype: str = "float64") -> np.ndarray:
    """Return the parameters after each step, (STEPS, 12), on the current backend."""
    name, options, other = CASES[case]
    parameters = {
        key: minicnn.tensor(value, dtype=dtype, requires_grad=True) for key, value in START.items()
    }
    optimizer = OPTIMIZERS[name](groups(parameters, other), **options)
    path = []
    for step in range(STEPS):
        optimizer.zero_grad()
        found = losses(**parameters, x=minicnn.tensor(inputs(step).astype(dtype)))
        found.backward(minicnn.tensor(np.ones((2, 3), dtype)))
        if lacks_bias(step):
            parameters["bias"].grad = None
        optimizer.step()
        path.append(np.concatenate([each.numpy().ravel() for each in parameters.values()]))
    return np.array(path)


def walk_torch(case: str) -> np.ndarray:
    """Return what :func:`walk` does, from PyTorch."""
    import torch

    name, options, other = CASES[case]
    parameters = {
        key: torch.tensor(value, dtype=torch.float64, requires_grad=True)
        for key, value in START.items()
    }
    optimizer = getattr(torch.optim, name)(groups(parameters, other), **options)
    path = []
    for step in range(STEPS):
        optimizer.zero_grad()
        found = losses(**parameters, x=torch.tensor(inputs(step)))
        found.backward(torch.ones_like(found))
        if lacks_bias(step):
            parameters["bias"].grad = None
        optimizer.step()
        values = [each.detach().numpy().ravel() for each in parameters.values()]
        path.append(np.concatenate(values))
    return np.array(path)


def groups(parameters: dict[str, Any], other: dict[str, Any] | None) -> Any:
    if other is None:
        return list(parameters.values())
    return [
        {"params": [parameters["filters"], parameters["scale"]]},
        {"params": [parameters["bias"], parameters["offset"]], **other},
    ]


def recorded() -> dict[str, list[float]]:
    return json.loads(RECORDED.read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES)
def test_trajectory_ends_where_the_recorded_one_of_pytorch_does(case: str) -> None:
    np.testing.assert_allclose(walk(case)[-1], recorded()[case], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("case", ["sgd-nesterov", "adamw-amsgrad", "rmsprop-all", "adadelta-decay"])
def test_float32_trajectory_stays_near_the_float64_one(case: str) -> None:
    np.testing.assert_allclose(walk(case, "float32")[-1], recorded()[case], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_parts_of_arrays_give_the_same_bits_as_whole_arrays(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = walk(case)
    four_numbers = dict.fromkeys(backend.NAMES, 32)
    monkeypatch.setattr(workspace, "PART_BYTES", four_numbers)
    np.testing.assert_array_equal(walk(case), whole)


@pytest.mark.oracle
@pytest.mark.parametrize("case", CASES)
def test_every_step_equals_that_of_pytorch(case: str) -> None:
    np.testing.assert_allclose(walk(case), walk_torch(case), rtol=1e-9, atol=1e-12)


@pytest.mark.oracle
@pytest.mark.parametrize("case", CASES)
def test_recorded_ends_are_those_of_the_installed_pytorch(case: str) -> None:
    np.testing.assert_allclose(walk_torch(case)[-1], recorded()[case], rtol=1e-9, atol=1e-12)


@pytest.mark.oracle
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_defaults_are_those_of_pytorch(name: str) -> None:
    import torch

    theirs = getattr(torch.optim, name)([torch.zeros(1, requires_grad=True)]).defaults
    ours = OPTIMIZERS[name]([minicnn.tensor([0.0], requires_grad=True)]).defaults
    assert ours == {key: theirs[key] for key in ours}


if __name__ == "__main__":
    ends = {case: walk_torch(case)[-1].tolist() for case in CASES}
    RECORDED.write_text(json.dumps(ends, indent=1) + "\n", encoding="utf-8")
