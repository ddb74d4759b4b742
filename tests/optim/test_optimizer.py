"""What all optimisers share: parameter groups, in-place steps, refusals, and the saved state."""

from __future__ import annotations

import json
import math
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import standin

import minicnn
from minicnn import Tensor, backend
from minicnn.errors import (
    BackendError,
    CheckpointError,
    DTypeError,
    GradientError,
    OptionError,
    ShapeError,
)
from minicnn.kernels import compiled, threads
from minicnn.optim import workspace
from minicnn.optim.adadelta import Adadelta
from minicnn.optim.adagrad import Adagrad
from minicnn.optim.adam import Adam, AdamW
from minicnn.optim.optimizer import Optimizer
from minicnn.optim.rmsprop import RMSprop
from minicnn.optim.sgd import SGD

Make = Callable[[Any], Optimizer]
# Every optimiser with the options that make it keep the most.
MAKERS: dict[str, Make] = {
    "sgd": lambda p: SGD(p, 0.1),
    "sgd-nesterov": lambda p: SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": lambda p: Adam(p, 0.1, weight_decay=0.1, amsgrad=True),
    "adamw": lambda p: AdamW(p, 0.1),
    "rmsprop": lambda p: RMSprop(p, weight_decay=0.1, momentum=0.9, centered=True),
    "adagrad": lambda p: Adagrad(p, 0.1, weight_decay=0.1, lr_decay=0.1),
    "adadelta": lambda p: Adadelta(p, weight_decay=0.1),
}
each_optimizer = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def parameter(*shape: int, start: float = 1.0, dtype: str = "float64") -> Tensor:
    values = np.cos(start + np.arange(math.prod(shape))).reshape(shape).astype(dtype)
    return minicnn.tensor(values, requires_grad=True)


def give_gradients(parameters: list[Tensor], step: int = 0) -> None:
    for number, each in enumerate(parameters):
        values = np.sin(2.0 + number + step + np.arange(each.size)).reshape(each.shape)
        each.grad = minicnn.tensor(values.astype(each.dtype))


def walk(optimizer: Optimizer, steps: range = range(3)) -> None:
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    for step in steps:
        give_gradients(parameters, step)
        optimizer.step()


# -- the step ------------------------------------------------------------------------------------


def test_sgd_step_subtracts_the_gradient_times_the_learning_rate() -> None:
    w = minicnn.tensor([1.0, 2.0], dtype="float64", requires_grad=True)
    w.grad = minicnn.tensor([10.0, -4.0], dtype="float64")
    SGD([w], 0.5).step()
    assert w.tolist() == [-4.0, 4.0]


@each_optimizer
def test_step_changes_the_parameters_array_in_place_and_only_reads_the_gradient(
    make: Make,
) -> None:
    w = parameter(3, 4)
    give_gradients([w])
    array, gradient, before = w.data, w.grad, w.numpy().copy()
    values = gradient.numpy().copy()
    make([w]).step()
    assert w.data is array
    assert (w.numpy() != before).all()
    assert w.grad is gradient
    np.testing.assert_array_equal(gradient.numpy(), values)


@each_optimizer
def test_step_keeps_the_type_of_parameters_and_state(make: Make) -> None:
    w = parameter(3, 4, dtype="float32")
    optimizer = make([w])
    walk(optimizer)
    assert w.dtype == np.float32
    arrays = optimizer.state_dict()["arrays"].values()
    assert all(array.dtype == np.float32 for array in arrays)


@pytest.mark.standin
@each_optimizer
def test_step_neither_moves_anything_nor_waits_for_the_device(make: Make) -> None:
    parameters = [parameter(3, 4, dtype="float32"), parameter(dtype="float32")]
    optimizer = make(parameters)
    for step in range(3):
        give_gradients(parameters, step)
        with standin.no_transfers():
            optimizer.step()


@each_optimizer
def test_what_is_kept_for_gradients_that_stay_zero_never_becomes_subnormal(make: Make) -> None:
    w = parameter(5, dtype="float32")
    optimizer = make([w])
    optimizer.param_groups[0]["weight_decay"] = 0.0
    give_gradients([w])
    optimizer.step()
    w.grad = minicnn.tensor(np.zeros(5, np.float32))
    tiny = np.finfo(np.float32).tiny
    for _ in range(1100):
        optimizer.step()
        for name in optimizer.array_names(optimizer.param_groups[0]):
            kept = np.abs(backend.to_numpy(optimizer.state[w][name]))
            assert not np.any((kept > 0) & (kept < tiny)), name


def test_what_is_kept_for_a_small_gradient_remains() -> None:
    w = parameter(2, dtype="float32")
    optimizer = Adam([w])
    w.grad = minicnn.tensor(np.float32([1e-14, 1.0]))
    for _ in range(64):
        optimizer.step()
    for name in ("exp_avg", "exp_avg_sq"):
        assert backend.to_numpy(optimizer.state[w][name]).all()


@pytest.mark.host
@each_optimizer
def test_step_allocates_no_array_of_a_parameters_size(make: Make) -> None:
    w = parameter(400_000, dtype="float32")
    give_gradients([w])
    optimizer = make([w])
    for _ in range(64):  # makes the state and the scratch memory
        optimizer.step()
    tracemalloc.start()
    try:
        for _ in range(64):  # in the last of them what has become too small is cleared
            optimizer.step()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < w.data.nbytes / 20


@each_optimizer
@pytest.mark.parametrize("view", ["transposed", "strided", "reversed"])
def test_parameter_that_is_a_view_steps_as_a_contiguous_one(make: Make, view: str) -> None:
    base = backend.asarray(np.cos(np.arange(48.0)).reshape(6, 8))
    seen = {"transposed": base.T, "strided": base[::2, 1::3], "reversed": base[::-1]}[view]
    untouched = base.copy()
    w = Tensor(seen, requires_grad=True)
    plain = minicnn.tensor(seen.copy(), requires_grad=True)
    walk(make([w]))
    walk(make([plain]))
    np.testing.assert_array_equal(w.numpy(), plain.numpy())
    assert w.data is seen
    if view == "strided":  # what lies between the elements stays
        np.testing.assert_array_equal(
            backend.to_numpy(base[1::2]), backend.to_numpy(untouched[1::2])
        )


@each_optimizer
def test_gradient_that_is_a_broadcast_view_steps_as_a_contiguous_one(make: Make) -> None:
    w, plain = parameter(3, 4), parameter(3, 4)
    row = backend.asarray(np.array([1.0, -2.0, 3.0, 0.5]))
    xp = backend.xp(row)
    w.grad = Tensor(xp.broadcast_to(row, (3, 4)))
    plain.grad = Tensor(xp.broadcast_to(row, (3, 4)).copy())
    make([w]).step()
    make([plain]).step()
    np.testing.assert_array_equal(w.numpy(), plain.numpy())


def test_parameter_without_a_gradient_is_skipped_and_its_steps_are_not_counted() -> None:
    a, b = parameter(2), parameter(2)
    optimizer = Adam([a, b])
    before = b.tolist()
    give_gradients([a])
    optimizer.step()
    assert b.tolist() == before
    assert b not in optimizer.state
    give_gradients([a, b])
    optimizer.step()
    assert [optimizer.state[each]["step"] for each in (a, b)] == [2, 1]


def test_step_tells_the_tape_that_the_values_changed() -> None:
    w = parameter(3)
    y = w * w
    give_gradients([w])
    SGD([w]).step()
    with pytest.raises(GradientError, match="changed in place"):
        y.backward(minicnn.tensor(np.ones(3)))


def test_zero_grad_sets_gradients_to_none() -> None:
    parameters = [parameter(2), parameter(3)]
    give_gradients(parameters)
    SGD(parameters).zero_grad()
    assert [each.grad for each in parameters] == [None, None]


def test_centered_rmsprop_survives_a_variance_that_rounding_makes_negative() -> None:
    w = minicnn.tensor(np.ones(1000, "float32"), requires_grad=True)
    optimizer = RMSprop([w], alpha=0.5, centered=True)
    values = np.linspace(0.1, 3.0, 1000).astype("float32")
    for _ in range(60):  # constant gradients: the variance is 0 but for rounding
        w.grad = minicnn.tensor(values)
        optimizer.step()
    assert np.isfinite(w.numpy()).all()


def test_momentum_that_is_switched_on_later_starts_from_rest() -> None:
    w, plain = parameter(3), parameter(3)
    late, never = SGD([w], 0.1), SGD([plain], 0.1)
    walk(late)
    walk(never)
    late.param_groups[0]["momentum"] = 0.9
    walk(late, range(3, 4))
    walk(never, range(3, 4))
    np.testing.assert_array_equal(w.numpy(), plain.numpy())


# -- groups --------------------------------------------------------------------------------------


def test_groups_use_their_own_options_and_the_defaults() -> None:
    a, b = parameter(2), parameter(2)
    optimizer = SGD([{"params": [a], "lr": 1}, {"params": b}], 0.5, weight_decay=0.1)
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 0.5]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.1]
    assert optimizer.param_groups[0]["params"] == [a]
    assert optimizer.defaults["lr"] == 0.5


def test_changed_learning_rate_of_a_group_takes_effect_with_the_next_step() -> None:
    a, b = parameter(2), parameter(2)
    optimizer = SGD([{"params": [a]}, {"params": [b]}], 0.5)
    optimizer.param_groups[0]["lr"] = 0.0
    before = a.tolist(), b.tolist()
    give_gradients([a, b])
    optimizer.step()
    assert a.tolist() == before[0]
    assert b.tolist() != before[1]


def test_added_group_is_stepped() -> None:
    a, b = parameter(2), parameter(2)
    optimizer = SGD([a], 0.5)
    optimizer.add_param_group({"params": [b], "lr": 0.1})
    before = b.numpy().copy()
    give_gradients([a, b])
    optimizer.step()
    np.testing.assert_allclose(b.numpy(), before - 0.1 * b.grad.numpy())


def test_an_empty_group_beside_a_full_one_is_allowed() -> None:
    optimizer = SGD([{"params": []}, {"params": [parameter(2)]}])
    walk(optimizer)


def test_repr_shows_the_options_of_each_group() -> None:
    optimizer = AdamW([{"params": [parameter(2), parameter(3)]}, {"params": parameter(1), "lr": 1}])
    assert repr(optimizer) == (
        "AdamW(2 parameters: lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01, "
        "amsgrad=False; 1 parameters: lr=1.0, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01, "
        "amsgrad=False)"
    )


# -- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: SGD([]), "SGD: there are no parameters"),
        (lambda p: SGD(iter(())), "SGD: there are no parameters"),
        (lambda p: SGD([{"params": []}]), "SGD: there are no parameters"),
        (lambda p: SGD([p, p]), r"parameter 1 of shape \(3,\) is given twice"),
        (lambda p: SGD([{"params": [p]}, {"params": [p]}]), "parameter 0 .* is given twice"),
        (lambda p: SGD([p * 2]), "parameter 0 .* is the result of an operation"),
        (lambda p: SGD([p], -0.1), "SGD: lr: expected a number of 0 or more, got -0.1"),
        (lambda p: SGD([p], math.nan), "SGD: lr: .* got nan"),
        (lambda p: SGD([p], math.inf), "SGD: lr: .* got inf"),
        (lambda p: SGD([p], "0.1"), "SGD: lr: .* got '0.1'"),
        (lambda p: SGD([p], True), "SGD: lr: .* got True"),
        (lambda p: SGD([p], momentum=-1), "SGD: momentum: .* got -1"),
        (lambda p: SGD([p], nesterov=True), "nesterov=True needs a momentum"),
        (lambda p: SGD([p], nesterov=1, momentum=0.9), "SGD: nesterov: expected True or False"),
        (lambda p: SGD([p], nesterov=True, momentum=0.9, dampening=0.1), "dampening=0.1"),
        (lambda p: SGD([{"params": [p], "weight_decy": 1}]), "'weight_decy' is unknown"),
        (lambda p: SGD([{"params": [p], "lr": -1}]), "SGD: lr: .* got -1"),
        (lambda p: Adam([p], betas=(0.9, 1.0)), "Adam: betas: .* from 0 to below 1, got 1.0"),
        (lambda p: Adam([p], betas=0.9), "Adam: betas: expected two numbers"),
        (lambda p: AdamW([p], eps=-1e-8), "AdamW: eps: .* got -1e-08"),
        (lambda p: RMSprop([p], alpha=1.1), "RMSprop: alpha: .* from 0 to 1, got 1.1"),
        (lambda p: Adagrad([p], initial_accumulator_value=-1), "initial_accumulator_value"),
        (lambda p: Adadelta([p], rho=-0.1), "Adadelta: rho: .* got -0.1"),
    ],
)
def test_bad_options_and_parameters_are_refused(make: Make, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make(parameter(3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: SGD(p), "expected an iterable of Tensors or of dicts, got one Tensor"),
        (lambda p: SGD({"params": [p]}), "got one dict; put it into a list"),
        (lambda p: SGD({p}), "a set of parameters has no fixed order"),
        (lambda p: SGD(3), "expected Tensors, got 3"),
        (lambda p: SGD([("weight", p)]), "parameter 0: expected a Tensor, got .*tuple"),
        (lambda p: SGD([p, p.data]), "parameter 1: expected a Tensor"),
        (lambda p: SGD([{"params": [p]}, p]), 'a parameter group is a dict with "params"'),
        (lambda p: SGD([{"parameters": [p]}]), 'a parameter group is a dict with "params"'),
    ],
)
def test_what_is_no_tensor_is_refused(make: Make, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make(parameter(30))


def test_refused_group_leaves_the_optimizer_as_it_was() -> None:
    a, b = parameter(2), parameter(2)
    optimizer = SGD([a])
    with pytest.raises(OptionError, match="given twice"):
        optimizer.add_param_group({"params": [b, a]})
    assert len(optimizer.param_groups) == 1
    optimizer.add_param_group({"params": [b]})


def test_gradient_of_another_shape_or_type_is_refused() -> None:
    w = parameter(3)
    optimizer = SGD([w])
    w.grad = parameter(1)
    with pytest.raises(ShapeError, match=r"shape \(3,\) has a gradient of shape \(1,\)"):
        optimizer.step()
    w.grad = parameter(3, dtype="float32")
    with pytest.raises(DTypeError, match="float64 has a gradient of type float32"):
        optimizer.step()


def test_parameter_converted_after_the_first_step_is_refused() -> None:
    w = parameter(3)
    optimizer = Adam([w])
    walk(optimizer)
    w.data = w.data.astype("float32")
    with pytest.raises(DTypeError, match="a parameter of type float32 has a state of type float64"):
        walk(optimizer)


@pytest.mark.standin
def test_parameter_moved_after_the_first_step_is_refused() -> None:
    w = parameter(3)
    optimizer = Adam([w])
    walk(optimizer)
    w.data = w.numpy()
    w.grad = Tensor(np.ones(3))
    with pytest.raises(BackendError, match="on numpy, its gradient on numpy, its state on cupy"):
        optimizer.step()


def test_refused_step_changes_nothing() -> None:
    first, second = parameters = [parameter(3), parameter(2)]
    optimizer = Adam(parameters)
    walk(optimizer)
    before, kept = first.numpy().copy(), optimizer.state_dict()
    first.grad, second.grad = parameter(3), parameter(1)
    with pytest.raises(ShapeError, match=r"shape \(2,\) has a gradient of shape \(1,\)"):
        optimizer.step()
    second.data, second.grad = parameter(4).data, parameter(4)
    with pytest.raises(ShapeError, match=r"shape \(4,\) has a state of shape \(2,\)"):
        optimizer.step()
    np.testing.assert_array_equal(first.numpy(), before)
    assert optimizer.state_dict()["settings"] == kept["settings"]
    for name, array in optimizer.state_dict()["arrays"].items():
        np.testing.assert_array_equal(
            backend.to_numpy(array), backend.to_numpy(kept["arrays"][name])
        )


@pytest.mark.parametrize("least", [0, 2**20], ids=["compiled", "in-numpy"])
@each_optimizer
def test_parameters_that_are_shared_out_between_threads_step_as_each_alone(
    make: Make, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "LEAST", least)
    monkeypatch.setattr(threads, "thread_count", lambda: 4)
    shapes: list[tuple[int, ...]] = [(7,), (3, 5), (), (1,), (0, 2), (20,)]
    together, alone = ([parameter(*each, dtype="float32") for each in shapes] for _ in range(2))
    monkeypatch.setattr(workspace, "_PARALLEL", 0)
    walk(make(together))
    for number, each in enumerate(alone):
        optimizer = make([each])
        for step in range(3):
            give_gradients([minicnn.tensor(0.0)] * number + [each], step)
            optimizer.step()
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


# -- the saved state -----------------------------------------------------------------------------


@each_optimizer
def test_optimizer_continues_from_a_saved_state_to_the_same_bits(make: Make) -> None:
    parameters = [parameter(3, 4), parameter(2), parameter()]
    optimizer = make(parameters)
    walk(optimizer)
    saved = as_stored(optimizer.state_dict())
    copies = [minicnn.tensor(each, requires_grad=True) for each in parameters]
    walk(optimizer, range(3, 6))

    resumed = make(copies)
    resumed.load_state_dict(saved)
    walk(resumed, range(3, 6))
    for one, other in zip(parameters, copies, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def as_stored(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state dict as it comes back from files: host arrays, and settings through JSON."""
    arrays = {name: backend.to_numpy(array).copy() for name, array in state["arrays"].items()}
    return {"arrays": arrays, "settings": json.loads(json.dumps(state["settings"]))}


def test_state_dict_has_flat_names_and_steps() -> None:
    a, b = parameter(2), parameter(3)
    optimizer = Adam([{"params": [a]}, {"params": [b], "lr": 0.5}])
    give_gradients([b])
    optimizer.step()
    state = optimizer.state_dict()
    assert sorted(state["arrays"]) == ["1.exp_avg", "1.exp_avg_sq"]
    assert state["settings"]["class"] == "Adam"
    assert state["settings"]["steps"] == [0, 1]
    assert [group["parameters"] for group in state["settings"]["groups"]] == [1, 1]
    assert [group["options"]["lr"] for group in state["settings"]["groups"]] == [1e-3, 0.5]


def test_state_dict_does_not_change_with_later_steps() -> None:
    optimizer = SGD([parameter(3)], momentum=0.9)
    walk(optimizer)
    state = optimizer.state_dict()
    before = as_stored(state)
    walk(optimizer)
    np.testing.assert_array_equal(
        backend.to_numpy(state["arrays"]["0.momentum_buffer"]),
        before["arrays"]["0.momentum_buffer"],
    )


def test_loaded_state_is_a_copy_and_brings_the_hyperparameters() -> None:
    optimizer = Adam([parameter(3)], 0.25, betas=(0.5, 0.75))
    walk(optimizer)
    state = optimizer.state_dict()
    before = as_stored(state)
    other = Adam([parameter(3)])
    other.load_state_dict(state)
    assert other.param_groups[0]["lr"] == 0.25
    assert other.param_groups[0]["betas"] == (0.5, 0.75)
    walk(other)
    for name, array in state["arrays"].items():
        np.testing.assert_array_equal(backend.to_numpy(array), before["arrays"][name])


def edited(path: list[Any], value: Any) -> Callable[[dict[str, Any]], None]:
    def edit(state: dict[str, Any]) -> None:
        for key in path[:-1]:
            state = state[key]
        if value is None:
            del state[path[-1]]
        else:
            state[path[-1]] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (edited(["settings"], None), "this is no state of an optimiser"),
        (edited(["arrays"], None), "this is no state of an optimiser"),
        (edited(["settings", "class"], "Adam"), "SGD: the saved state is that of Adam"),
        (edited(["settings", "steps"], [3]), r"\[2\] parameters and 1 step counts"),
        (edited(["settings", "steps"], [3, -1]), "steps: expected a whole number"),
        (
            edited(["settings", "groups", 0, "parameters"], 5),
            r"\[5\] parameters .* here have \[2\]",
        ),
        (edited(["settings", "groups"], []), r"saved groups have \[\] parameters"),
        (edited(["settings", "groups", 0, "options", "lr"], -1), "damaged: SGD: lr"),
        (edited(["settings", "groups", 0, "options", "lr"], None), "option 'lr' is only"),
        (edited(["settings", "groups", 0, "options", "rho"], 1), "option 'rho' is only"),
        (edited(["arrays", "1.momentum_buffer"], None), "lacks the array '1.momentum_buffer'"),
        (edited(["arrays", "1.exp_avg"], np.ones(3)), "an array '1.exp_avg', which nothing uses"),
        (
            edited(["arrays", "1.momentum_buffer"], np.ones((1, 3))),
            r"float64 of shape \(1, 3\), the model has float64 of shape \(3,\)",
        ),
        (
            edited(["arrays", "1.momentum_buffer"], np.ones(3, "float32")),
            r"is float32 of shape \(3,\), the model has float64",
        ),
    ],
)
def test_state_that_does_not_fit_is_refused_and_changes_nothing(
    edit: Callable[[dict[str, Any]], None], message: str
) -> None:
    def make() -> SGD:
        return SGD([parameter(2, 2), parameter(3)], 0.1, momentum=0.9)

    saved, optimizer = make(), make()
    walk(saved, range(5))
    walk(optimizer)
    before = as_stored(optimizer.state_dict())
    state = as_stored(saved.state_dict())
    edit(state)
    with pytest.raises(CheckpointError, match=message):
        optimizer.load_state_dict(state)
    after = as_stored(optimizer.state_dict())
    assert after["settings"] == before["settings"]
    for name, array in before["arrays"].items():
        np.testing.assert_array_equal(after["arrays"][name], array)


def test_numpy_numbers_as_options_become_python_numbers() -> None:
    optimizer = SGD([parameter(2)], np.float32(0.5))
    assert type(optimizer.param_groups[0]["lr"]) is float
    json.dumps(optimizer.state_dict()["settings"])
