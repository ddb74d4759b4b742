"""Each schedule gives the learning rates (and momenta) of PyTorch's, for 50 steps and two groups.

``python tests/optim/test_schedules.py`` records PyTorch's values anew in schedules.json.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn.errors import CheckpointError, OptionError
from minicnn.optim.adam import Adam
from minicnn.optim.one_cycle import OneCycleLR
from minicnn.optim.optimizer import Optimizer
from minicnn.optim.plateau import ReduceLROnPlateau
from minicnn.optim.rmsprop import RMSprop
from minicnn.optim.schedules import (
    CosineAnnealingLR,
    ExponentialLR,
    MultiStepLR,
    Schedule,
    StepLR,
    WarmupLR,
)
from minicnn.optim.sgd import SGD

pytestmark = pytest.mark.host  # schedules work on Python numbers

RECORDED = Path(__file__).with_name("schedules.json")
STEPS = 50
SCHEDULES = (
    StepLR,
    MultiStepLR,
    ExponentialLR,
    CosineAnnealingLR,
    OneCycleLR,
    ReduceLROnPlateau,
)

# Class and arguments, the same for PyTorch.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "step": ("StepLR", {"step_size": 7}),
    "step-gamma": ("StepLR", {"step_size": 3, "gamma": 0.7}),
    "multi-step": ("MultiStepLR", {"milestones": [5, 20, 30]}),
    "multi-step-twice": ("MultiStepLR", {"milestones": [30, 1, 30], "gamma": 0.5}),
    "exponential": ("ExponentialLR", {"gamma": 0.9}),
    "cosine": ("CosineAnnealingLR", {"T_max": 50}),
    "cosine-waves": ("CosineAnnealingLR", {"T_max": 8, "eta_min": 0.01}),
    "one-cycle": ("OneCycleLR", {"max_lr": 0.7, "total_steps": 51}),
    "one-cycle-linear": (
        "OneCycleLR",
        {"max_lr": [0.7, 0.2], "epochs": 3, "steps_per_epoch": 17, "anneal_strategy": "linear"},
    ),
    "one-cycle-three-phase": (
        "OneCycleLR",
        {
            "max_lr": 0.7,
            "total_steps": 60,
            "pct_start": 0.4,
            "three_phase": True,
            "base_momentum": [0.6, 0.7],
            "max_momentum": [0.8, 0.9],
            "div_factor": 10.0,
            "final_div_factor": 100.0,
        },
    ),
    "one-cycle-falls-at-once": (
        "OneCycleLR",
        {"max_lr": 0.7, "total_steps": 51, "pct_start": 0.0, "cycle_momentum": False},
    ),
    "warm-up": ("WarmupLR", {"steps": 6}),
    "warm-up-from-nearly-nothing": ("WarmupLR", {"steps": 30, "start_factor": 0.01}),
    "warm-up-then-cosine": (
        "WarmupLR",
        {"steps": 5, "after": ("CosineAnnealingLR", {"T_max": 45})},
    ),
    "warm-up-then-step": ("WarmupLR", {"steps": 4, "after": ("StepLR", {"step_size": 10})}),
    "plateau": ("ReduceLROnPlateau", {"patience": 2}),
    "plateau-max": ("ReduceLROnPlateau", {"mode": "max", "factor": 0.5, "patience": 1}),
    "plateau-absolute": (
        "ReduceLROnPlateau",
        {"factor": 0.5, "patience": 1, "threshold": 0.3, "threshold_mode": "abs"},
    ),
    "plateau-max-absolute": (
        "ReduceLROnPlateau",
        {"mode": "max", "factor": 0.5, "threshold": 0.3, "threshold_mode": "abs", "patience": 3},
    ),
    "plateau-all": (
        "ReduceLROnPlateau",
        {
            "factor": 0.6,
            "patience": 0,
            "threshold": 0.05,
            "cooldown": 3,
            "min_lr": [0.001, 0.02],
            "eps": 0.002,
        },
    ),
}


def metric(step: int) -> float:
    """Return a loss that falls and gets stuck, with noise; once it is a NaN."""
    return math.nan if step == 13 else 2 / (1 + 0.2 * step) + 0.3 * math.sin(3.0 * step)


def make_optimizer(kind: type[Optimizer] = SGD) -> Optimizer:
    first, second = (minicnn.tensor([1.0], requires_grad=True) for _ in range(2))
    return kind([{"params": [first]}, {"params": [second], "lr": 0.03}], 0.2)


def make_schedule(case: str, optimizer: Optimizer) -> Schedule:
    name, options = CASES[case]
    if name == "WarmupLR":
        after = options.get("after")
        options = {**options, "after": after and by_name(after[0])(optimizer, **after[1])}
        return WarmupLR(optimizer, **options)
    return by_name(name)(optimizer, **options)


def by_name(name: str) -> Any:
    return {each.__name__: each for each in SCHEDULES}[name]


def hyperparameters(optimizer: Any) -> list[float]:
    """Return learning rate and momentum of each group, of our optimiser or PyTorch's."""
    found = []
    for group in optimizer.param_groups:
        found += [group["lr"], group["betas"][0] if "betas" in group else group["momentum"]]
    return found


def run(case: str, kind: type[Optimizer] = SGD) -> np.ndarray:
    """Return the hyperparameters before each step and after the last: (STEPS + 1, 4)."""
    optimizer = make_optimizer(kind)
    schedule = make_schedule(case, optimizer)
    path = [hyperparameters(optimizer)]
    for step in range(STEPS):
        schedule.step(metric(step))
        path.append(hyperparameters(optimizer))
    return np.array(path)


def run_torch(case: str, kind: str = "SGD") -> np.ndarray:
    """Return what :func:`run` does, from PyTorch."""
    import torch

    schedulers = torch.optim.lr_scheduler
    name, options = CASES[case]
    first, second = (torch.zeros(1, requires_grad=True) for _ in range(2))
    optimizer = getattr(torch.optim, kind)(
        [{"params": [first]}, {"params": [second], "lr": 0.03}], 0.2
    )
    with warnings.catch_warnings():
        # No step of the optimiser is made, and SequentialLR itself calls step(epoch).
        warnings.simplefilter("ignore")
        if name == "WarmupLR":
            after = options.get("after")
            factor = options.get("start_factor", 1 / 3)
            schedule = schedulers.LinearLR(
                optimizer, start_factor=factor, total_iters=options["steps"]
            )
            if after:
                following = getattr(schedulers, after[0])(optimizer, **after[1])
                schedule = schedulers.SequentialLR(
                    optimizer, [schedule, following], milestones=[options["steps"]]
                )
        else:
            schedule = getattr(schedulers, name)(optimizer, **options)
        path = [hyperparameters(optimizer)]
        for step in range(STEPS):
            schedule.step(metric(step)) if name == "ReduceLROnPlateau" else schedule.step()
            path.append(hyperparameters(optimizer))
    return np.array(path)


@pytest.mark.parametrize("case", CASES)
def test_schedule_gives_the_recorded_values_of_pytorch(case: str) -> None:
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))[case]
    np.testing.assert_allclose(run(case)[::5], recorded, rtol=1e-9, atol=1e-15)


@pytest.mark.oracle
@pytest.mark.parametrize("kind", [SGD, Adam])
@pytest.mark.parametrize("case", CASES)
def test_every_value_equals_that_of_pytorch(case: str, kind: type[Optimizer]) -> None:
    expected = run_torch(case, kind.__name__)
    np.testing.assert_allclose(run(case, kind), expected, rtol=1e-9, atol=1e-15)


@pytest.mark.oracle
@pytest.mark.parametrize("case", CASES)
def test_recorded_values_are_those_of_the_installed_pytorch(case: str) -> None:
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))[case]
    np.testing.assert_allclose(run_torch(case)[::5], recorded, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("steps", [3, 20])
def test_schedule_continues_from_its_saved_state(case: str, steps: int) -> None:
    expected = run(case)
    optimizer = make_optimizer()
    schedule = make_schedule(case, optimizer)
    for step in range(steps):
        schedule.step(metric(step))
    saved = json.loads(json.dumps([schedule.state(), optimizer.state_dict()["settings"]]))

    optimizer = make_optimizer()
    schedule = make_schedule(case, optimizer)
    optimizer.load_state_dict({"arrays": {}, "settings": saved[1]})
    schedule.load_state(saved[0])
    path = [hyperparameters(optimizer)]
    for step in range(steps, STEPS):
        schedule.step(metric(step))
        path.append(hyperparameters(optimizer))
    np.testing.assert_array_equal(path, expected[steps:])


@pytest.mark.parametrize(
    "case", [case for case, (name, _) in CASES.items() if name != "ReduceLROnPlateau"]
)
def test_values_tells_beforehand_what_the_steps_will_set(case: str) -> None:
    optimizer = make_optimizer()
    schedule = make_schedule(case, optimizer)
    foretold = [schedule.values(step) for step in range(STEPS + 1)]
    assert schedule.steps == 0
    expected = run(case)
    assert [[group["lr"] for group in groups] for groups in foretold] == expected[:, ::2].tolist()


def test_one_cycle_keeps_the_second_beta() -> None:
    optimizer = Adam([minicnn.tensor([1.0], requires_grad=True)], betas=(0.9, 0.77))
    schedule = OneCycleLR(optimizer, 0.1, total_steps=10)
    schedule.step()
    assert optimizer.param_groups[0]["betas"][1] == 0.77
    assert optimizer.param_groups[0]["betas"][0] < 0.95


def test_one_cycle_refuses_more_steps_than_it_has_and_holds_the_last_value() -> None:
    optimizer = make_optimizer()
    schedule = OneCycleLR(optimizer, 0.1, total_steps=3)
    schedule.step()
    schedule.step()
    last = hyperparameters(optimizer)
    schedule.step()  # after the last batch
    assert hyperparameters(optimizer) == last
    with pytest.raises(OptionError, match="step 4 of a cycle of 3 steps"):
        schedule.step()
    assert schedule.steps == 3


def test_one_cycle_with_a_rise_of_a_single_step_starts_at_the_top() -> None:
    optimizer = make_optimizer()
    schedule = OneCycleLR(optimizer, 0.8, total_steps=10, pct_start=0.1)
    assert optimizer.param_groups[0]["lr"] == 0.8
    schedule.step()
    assert optimizer.param_groups[0]["lr"] < 0.8


def test_warm_up_hands_metrics_to_a_plateau_that_follows() -> None:
    optimizer = make_optimizer()
    plateau = ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    schedule = WarmupLR(optimizer, 2, after=plateau, start_factor=0.5)
    assert schedule.needs_metric
    rates = [optimizer.param_groups[0]["lr"]]
    for loss in [9.0, 9.0, 3.0, 3.0, 1.0, 2.0]:
        schedule.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    np.testing.assert_allclose(rates, [0.1, 0.15, 0.2, 0.2, 0.1, 0.1, 0.05])


def test_plateau_reads_a_tensor_and_needs_a_metric() -> None:
    schedule = ReduceLROnPlateau(make_optimizer())
    schedule.step(minicnn.tensor(0.5))
    assert schedule.best == 0.5
    with pytest.raises(OptionError, match="needs the metric"):
        schedule.step()


def test_intervals_follow_pytorchs_habit_and_can_be_chosen() -> None:
    optimizer = make_optimizer()
    assert StepLR(optimizer, 3).interval == "epoch"
    assert OneCycleLR(optimizer, 0.1, total_steps=9).interval == "batch"
    cosine = CosineAnnealingLR(optimizer, 9, interval="batch")
    assert WarmupLR(optimizer, 3, after=cosine).interval == "batch"
    assert not cosine.needs_metric


def test_repr_shows_the_options() -> None:
    assert repr(StepLR(make_optimizer(), 3)) == "StepLR(interval='epoch', step_size=3, gamma=0.1)"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: StepLR(o, 0), "StepLR: step_size: expected a whole number of 1 or more, got 0"),
        (lambda o: StepLR(o, 2.5), "step_size: .* got 2.5"),
        (lambda o: StepLR(o, 2, interval="day"), "StepLR: interval: 'day' is unknown"),
        (lambda o: StepLR(o, 2, -0.5), "StepLR: gamma: .* above 0, got -0.5"),
        (lambda o: MultiStepLR(o, [3, 0]), "MultiStepLR: milestones: .* got 0"),
        (lambda o: ExponentialLR(o, 0), "ExponentialLR: gamma"),
        (lambda o: CosineAnnealingLR(o, 10, -1), "CosineAnnealingLR: eta_min"),
        (lambda o: WarmupLR(o, 0), "WarmupLR: steps"),
        (lambda o: WarmupLR(o, 3, start_factor=2), "WarmupLR: start_factor"),
        (
            lambda o: WarmupLR(o, 3, after=StepLR(o, 3), interval="batch"),
            "its interval is 'batch', that of the schedule that follows 'epoch'",
        ),
        (lambda o: WarmupLR(o, 3, after=StepLR(make_optimizer(), 3)), "of the same optimiser"),
        (lambda o: OneCycleLR(o, 0.1), "give total_steps, or epochs and steps_per_epoch"),
        (lambda o: OneCycleLR(o, [0.1], total_steps=9), "one for each of the 2 parameter groups"),
        (lambda o: OneCycleLR(o, 0.1, total_steps=9, anneal_strategy="log"), "'log' is unknown"),
        (lambda o: OneCycleLR(o, 0.1, total_steps=9, pct_start=1.5), "pct_start"),
        (lambda o: ReduceLROnPlateau(o, "low"), "mode: 'low' is unknown; choose one of min, max"),
        (lambda o: ReduceLROnPlateau(o, factor=1.0), "factor: .* below 1, got 1.0"),
        (lambda o: ReduceLROnPlateau(o, patience=-1), "patience"),
        (lambda o: ReduceLROnPlateau(o).values(3), "follows from metrics"),
    ],
)
def test_bad_options_are_refused(make: Callable[[Optimizer], Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make(make_optimizer())


def test_one_cycle_refuses_an_optimizer_without_momentum() -> None:
    from minicnn.optim.adagrad import Adagrad

    optimizer = make_optimizer(Adagrad)
    with pytest.raises(OptionError, match="Adagrad has neither momentum nor beta1"):
        OneCycleLR(optimizer, 0.1, total_steps=9)
    OneCycleLR(optimizer, 0.1, total_steps=9, cycle_momentum=False).step()
    OneCycleLR(make_optimizer(RMSprop), 0.1, total_steps=9).step()


def test_what_is_no_optimizer_is_refused() -> None:
    with pytest.raises(TypeError, match="StepLR: expected an Optimizer, got list"):
        StepLR([], 3)


@pytest.mark.parametrize("case", ["step", "one-cycle", "warm-up", "plateau-all"])
def test_group_added_after_the_schedule_is_refused(case: str) -> None:
    optimizer = make_optimizer()
    schedule = make_schedule(case, optimizer)
    optimizer.add_param_group({"params": minicnn.tensor([1.0])})
    with pytest.raises(OptionError, match="has 3 parameter groups, it had 2"):
        for _ in range(3):
            schedule.step(1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class": "ExponentialLR"}, "StepLR: the saved state is that of ExponentialLR"),
        ({"base_lrs": [0.1]}, "is for 1 parameter groups, the optimiser has 2"),
        ({"steps": None}, "the saved state lacks 'steps'"),
    ],
)
def test_state_that_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    schedule = StepLR(make_optimizer(), 3)
    state = {**schedule.state(), **change}
    state = {name: value for name, value in state.items() if value is not None}
    with pytest.raises(CheckpointError, match=message):
        schedule.load_state(state)


def test_state_of_a_warm_up_with_a_follower_does_not_fit_one_without() -> None:
    optimizer = make_optimizer()
    state = WarmupLR(optimizer, 3, after=StepLR(optimizer, 3)).state()
    with pytest.raises(CheckpointError, match="one that follows"):
        WarmupLR(optimizer, 3).load_state(state)


if __name__ == "__main__":
    values = {case: run_torch(case)[::5].tolist() for case in CASES}
    RECORDED.write_text(json.dumps(values) + "\n", encoding="utf-8")
