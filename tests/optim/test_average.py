"""The moving average follows its formula, goes into the model and out again, and can be saved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import standin

import minicnn
from minicnn import Tensor, backend, no_grad
from minicnn.errors import (
    BackendError,
    CheckpointError,
    DTypeError,
    GradientError,
    OptionError,
    ShapeError,
)
from minicnn.kernels import threads
from minicnn.optim import workspace
from minicnn.optim.average import ExponentialMovingAverage


class Model:
    """The two methods of a module that an average asks for."""

    def __init__(self, dtype: str = "float64") -> None:
        self.weight = minicnn.tensor(weight_at(0).astype(dtype), requires_grad=True)
        self.bias = minicnn.tensor(np.ones(3, dtype), requires_grad=True)
        self.mean = minicnn.tensor(np.zeros(3, dtype))
        self.batches = minicnn.tensor(0)

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        yield "weight", self.weight
        yield "bias", self.bias

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        yield "mean", self.mean
        yield "batches", self.batches

    def train_a_step(self, step: int) -> None:
        with no_grad():
            self.weight.copy_(weight_at(step))
            self.bias.copy_(np.full(3, 1.0 + step))
            self.mean.copy_(np.full(3, 0.5 * step))
            self.batches.copy_(step)


def weight_at(step: int) -> np.ndarray:
    return np.cos(np.arange(6.0).reshape(2, 3) + step)


def averaged(decays: list[float]) -> np.ndarray:
    """Return the average of the weights at steps 0, 1, ... as a sum over all steps."""
    shares = [1.0]
    for decay in decays:
        shares = [share * decay for share in shares] + [1 - decay]
    return sum(share * weight_at(step) for step, share in enumerate(shares))


def host(array: Any) -> np.ndarray:
    return backend.to_numpy(array)


def train(model: Model, average: ExponentialMovingAverage, steps: range) -> None:
    for step in steps:
        model.train_a_step(step)
        average.update()


def test_average_is_the_weighted_sum_of_all_values() -> None:
    model = Model()
    average = ExponentialMovingAverage(model, 0.8)
    train(model, average, range(1, 6))
    np.testing.assert_allclose(host(average.average["weight"]), averaged([0.8] * 5), rtol=1e-12)


def test_warm_up_forgets_the_first_weights_sooner() -> None:
    model = Model()
    average = ExponentialMovingAverage(model, 0.4, warmup=True)
    train(model, average, range(1, 6))
    decays = [2 / 11, 3 / 12, 4 / 13, 5 / 14, 0.4]
    np.testing.assert_allclose(host(average.average["weight"]), averaged(decays), rtol=1e-12)


def test_buffers_are_averaged_and_counts_copied() -> None:
    model = Model()
    average = ExponentialMovingAverage(model, 0.8)
    train(model, average, range(1, 6))
    model.train_a_step(6)
    expected = sum(0.2 * 0.8 ** (5 - step) * 0.5 * step for step in range(1, 6))
    np.testing.assert_allclose(host(average.buffers["mean"]), [expected] * 3, rtol=1e-12)
    assert host(average.buffers["batches"]) == 5


def test_averages_of_an_iterable_are_named_by_number() -> None:
    model = Model()
    average = ExponentialMovingAverage(iter([model.weight, model.bias]), 0.5)
    train(model, average, range(1, 4))
    np.testing.assert_allclose(host(average.average["0"]), averaged([0.5] * 3), rtol=1e-12)
    assert list(average.average) == ["0", "1"]
    assert average.buffers == {}


def test_parts_of_arrays_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for size in (2**20, 32):
        monkeypatch.setattr(workspace, "PART_BYTES", dict.fromkeys(backend.NAMES, size))
        model = Model()
        average = ExponentialMovingAverage(model)
        train(model, average, range(1, 4))
        found.append(host(average.average["weight"]))
    np.testing.assert_array_equal(*found)


def test_parameter_that_is_a_view_is_averaged() -> None:
    base = backend.asarray(np.zeros((4, 6)))
    parameter = Tensor(base.T[::2], requires_grad=True)
    average = ExponentialMovingAverage([parameter], 0.5)
    parameter.data[...] = backend.asarray(np.arange(12.0).reshape(3, 4))
    average.update()
    np.testing.assert_allclose(host(average.average["0"]), np.arange(12.0).reshape(3, 4) / 2)


def test_shares_of_several_threads_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for least in (2**20, 0):
        monkeypatch.setattr(workspace, "_PARALLEL", least)
        monkeypatch.setattr(threads, "thread_count", lambda: 4)
        model = Model()
        average = ExponentialMovingAverage(model)
        train(model, average, range(1, 4))
        found.append(host(average.average["weight"]))
    np.testing.assert_array_equal(*found)
    np.testing.assert_allclose(found[1], averaged([0.999] * 3), rtol=1e-12)


@pytest.mark.standin
def test_update_and_exchange_neither_move_anything_nor_wait() -> None:
    model = Model("float32")
    average = ExponentialMovingAverage(model)
    with standin.no_transfers():
        average.update()
        with average.average_weights():
            pass


# -- the exchange --------------------------------------------------------------------------------


def test_model_has_the_average_inside_the_block_and_its_own_weights_after_it() -> None:
    model = Model()
    average = ExponentialMovingAverage(model, 0.8)
    train(model, average, range(1, 6))
    model.train_a_step(6)
    arrays = [model.weight.data, model.mean.data]
    with average.average_weights():
        np.testing.assert_allclose(model.weight.numpy(), averaged([0.8] * 5), rtol=1e-12)
        expected = sum(0.2 * 0.8 ** (5 - step) * 0.5 * step for step in range(1, 6))
        np.testing.assert_allclose(model.mean.numpy(), [expected] * 3, rtol=1e-12)
    assert model.weight.data is arrays[0]
    assert model.mean.data is arrays[1]
    np.testing.assert_array_equal(model.weight.numpy(), weight_at(6))
    np.testing.assert_allclose(host(average.average["weight"]), averaged([0.8] * 5), rtol=1e-12)


def test_weights_come_back_after_an_error_in_the_block() -> None:
    model = Model()
    average = ExponentialMovingAverage(model, 0.8)
    train(model, average, range(1, 6))
    with pytest.raises(KeyError), average.average_weights():
        raise KeyError
    np.testing.assert_array_equal(model.weight.numpy(), weight_at(5))
    average.update()


def test_block_tells_the_tape_that_the_values_changed() -> None:
    model = Model()
    average = ExponentialMovingAverage(model)
    y = model.bias * model.bias
    with average.average_weights():
        pass
    with pytest.raises(GradientError, match="changed in place"):
        y.backward(minicnn.tensor(np.ones(3)))


@pytest.mark.parametrize("what", ["update", "state", "load_state", "average_weights"])
def test_inside_the_block_nothing_else_may_be_done_with_the_average(what: str) -> None:
    model = Model()
    average = ExponentialMovingAverage(model)
    state = average.state()
    arguments = [state] if what == "load_state" else []
    with (
        average.average_weights(),
        pytest.raises(OptionError, match=rf"{what}\(\) inside average_weights"),
    ):
        found = getattr(average, what)(*arguments)
        with found:  # only average_weights returns something
            pass
    np.testing.assert_array_equal(model.weight.numpy(), weight_at(0))


# -- saving and refusals -------------------------------------------------------------------------


def as_stored(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state as it comes back from files: host arrays, and settings through JSON."""
    arrays = {name: host(array).copy() for name, array in state["arrays"].items()}
    return {"arrays": arrays, "settings": json.loads(json.dumps(state["settings"]))}


def test_average_continues_from_a_saved_state_to_the_same_bits() -> None:
    model = Model()
    average = ExponentialMovingAverage(model, 0.6, warmup=True)
    train(model, average, range(1, 4))
    saved = as_stored(average.state())
    train(model, average, range(4, 8))

    other = Model()
    resumed = ExponentialMovingAverage(other)
    resumed.load_state(saved)
    train(other, resumed, range(4, 8))
    assert repr(resumed) == repr(average)
    expected = as_stored(average.state())["arrays"]
    assert sorted(expected) == ["average.bias", "average.weight", "buffers.batches", "buffers.mean"]
    for name, array in resumed.state()["arrays"].items():
        np.testing.assert_array_equal(host(array), expected[name])


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("settings",), None, "this is no state of an average"),
        (("settings", "class"), "Adam", "the saved state is that of Adam"),
        (("arrays", "average.weight"), None, "lacks the array 'average.weight'"),
        (
            ("arrays", "average.gamma"),
            np.ones(3),
            "an array 'average.gamma', which the model lacks",
        ),
        (("arrays", "average.bias"), np.ones(4), r"'average.bias' is float64 of shape \(4,\)"),
        (("arrays", "average.bias"), np.ones(3, "float32"), "'average.bias' is float32"),
        (("arrays", "buffers.mean"), np.ones(2), r"'buffers.mean' is float64 of shape \(2,\)"),
    ],
)
def test_state_that_does_not_fit_is_refused_and_changes_nothing(
    path: tuple[str, ...], value: Any, message: str
) -> None:
    model = Model()
    average = ExponentialMovingAverage(model)
    train(model, average, range(1, 3))
    before = as_stored(average.state())
    state = as_stored(average.state())
    state["settings"]["updates"] = 7
    inner = state if len(path) == 1 else state[path[0]]
    inner[path[-1]] = value
    if value is None:
        del inner[path[-1]]
    with pytest.raises(CheckpointError, match=message):
        average.load_state(state)
    assert average.state()["settings"] == before["settings"]


def test_bad_options_are_refused() -> None:
    with pytest.raises(OptionError, match=r"decay: .* from 0 to below 1, got 1.0"):
        ExponentialMovingAverage(Model(), 1.0)
    with pytest.raises(OptionError, match="there are no parameters to average"):
        ExponentialMovingAverage([])
    with pytest.raises(TypeError, match="parameter 0: expected a Tensor"):
        ExponentialMovingAverage([np.ones(3)])


def test_model_that_was_changed_since_is_refused() -> None:
    model = Model()
    average = ExponentialMovingAverage(model)
    model.bias = minicnn.tensor(np.ones(4), requires_grad=True)
    with pytest.raises(ShapeError, match=r"'bias' has shape \(4,\), its average \(3,\)"):
        average.update()
    model.bias = minicnn.tensor(np.ones(3, "float32"), requires_grad=True)
    with pytest.raises(DTypeError, match="'bias' is float32, its average float64"):
        average.update()
    model.named_buffers = lambda: iter(())  # type: ignore[method-assign]
    model.bias = minicnn.tensor(np.ones(3), requires_grad=True)
    with pytest.raises(ShapeError, match="'batches' is only in the model or only in the average"):
        average.update()


@pytest.mark.standin
def test_model_that_was_moved_since_is_refused() -> None:
    model = Model()
    average = ExponentialMovingAverage(model)
    model.bias.data = model.bias.numpy()
    with pytest.raises(BackendError, match="'bias' is on numpy, its average on cupy"):
        average.update()


@pytest.mark.oracle
def test_average_equals_pytorchs_after_its_first_copy() -> None:
    import torch
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    model = Model()
    average = ExponentialMovingAverage(model, 0.9)
    linear = torch.nn.Linear(3, 2, bias=False, dtype=torch.float64)
    theirs = AveragedModel(linear, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    for step in range(10):
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(weight_at(step)))
        theirs.update_parameters(linear)  # its first call copies, as our constructor does
        if step:
            train(model, average, range(step, step + 1))
    expected = theirs.module.weight.detach().numpy()
    np.testing.assert_allclose(host(average.average["weight"]), expected, rtol=1e-12)
