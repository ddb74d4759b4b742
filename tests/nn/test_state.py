"""state_dict and load_state_dict: a snapshot, a round trip, and refusals that name everything."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn import backend
from minicnn.errors import CheckpointError, GradientError
from minicnn.nn.activation import ReLU
from minicnn.nn.containers import ModuleDict, Sequential
from minicnn.nn.linear import Linear
from minicnn.nn.module import Module
from minicnn.nn.norm import BatchNorm1d


def make(seed: int = 0) -> Sequential:
    return Sequential(Linear(3, 4, rng=seed), BatchNorm1d(4), ReLU(), Linear(4, 2, rng=seed))


NAMES = [
    "0.weight",
    "0.bias",
    "1.weight",
    "1.bias",
    "1.running_mean",
    "1.running_var",
    "3.weight",
    "3.bias",
]


def host(state: dict) -> dict:
    return {name: backend.to_numpy(array).copy() for name, array in state.items()}


def assert_same(one: dict, other: dict) -> None:
    assert list(one) == list(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_the_state_holds_parameters_and_buffers_in_order():
    net = make()
    state = net.state_dict()
    assert list(state) == NAMES
    assert {backend.name_of(array) for array in state.values()} == {backend.current().name}
    assert all(array.flags.c_contiguous for array in state.values())
    np.testing.assert_array_equal(backend.to_numpy(state["3.weight"]), net[3].weight.numpy())


def test_a_state_is_a_snapshot():
    net = make()
    state = net.state_dict()
    before = host(state)
    net(minicnn.tensor(np.eye(3, dtype=np.float32)))
    with minicnn.no_grad():
        net[0].weight.copy_(7)
    assert_same(host(state), before)
    assert not np.array_equal(before["1.running_mean"], net[1].running_mean.numpy())


def test_a_round_trip_gives_the_same_outputs_and_keeps_the_tensors():
    net, other = make(0), make(1)
    net(minicnn.tensor(np.eye(3, dtype=np.float32)))  # moves the running statistics
    kept = [id(each) for each in other.parameters()]
    assert other.load_state_dict(net.state_dict()) == ([], [])
    assert [id(each) for each in other.parameters()] == kept
    x = minicnn.tensor(np.arange(6, dtype=np.float32).reshape(2, 3))
    np.testing.assert_array_equal(net.eval()(x).numpy(), other.eval()(x).numpy())
    assert all(each.requires_grad and each.is_leaf for each in other.parameters())


def test_host_arrays_and_tensors_load_on_either_backend():
    net, other = make(0), make(1)
    state = host(net.state_dict())
    state["0.weight"] = minicnn.tensor(state["0.weight"])
    other.load_state_dict(state)
    assert_same(host(other.state_dict()), host(net.state_dict()))
    assert other[0].weight.backend == backend.current().name


def test_loaded_values_are_copies():
    net = make()
    state = net.state_dict()
    net.load_state_dict(state)
    state["0.bias"][...] = 5
    assert not (net[0].bias.numpy() == 5).any()


def test_another_float_type_is_converted():
    net = make()
    state = {name: array.astype(np.float64) for name, array in host(net.state_dict()).items()}
    other = make(1)
    other.load_state_dict(state)
    assert_same(host(other.state_dict()), host(net.state_dict()))


def test_everything_that_does_not_fit_is_named_at_once_and_nothing_changes():
    net = make()
    before = host(net.state_dict())
    state = host(make(1).state_dict())
    del state["0.weight"], state["1.running_var"]
    state["extra"] = state["more.bias"] = np.zeros(1, np.float32)
    state["3.weight"] = state["3.weight"].T
    state["3.bias"] = [0.0, 0.0]
    state["1.bias"] = state["1.bias"].astype(complex)
    with pytest.raises(CheckpointError) as caught:
        net.load_state_dict(state)
    assert str(caught.value) == (
        "Sequential: the state dict does not fit the model: missing: 0.weight, 1.running_var; "
        "unexpected: extra, more.bias; '1.bias' is complex128, the model's float32; "
        "'3.weight' has shape (2, 4), the model's (4, 2); '3.bias' is no array but a list"
    )
    assert_same(host(net.state_dict()), before)


def test_of_many_entries_that_do_not_fit_ten_of_a_kind_are_named():
    net = Sequential(*(Linear(2, 2, bias=False) for _ in range(12)))
    wrong = {f"{place}.weight": np.zeros((3, 2)) for place in range(12)}
    with pytest.raises(CheckpointError, match=r"'9\.weight' has shape [^;]* and 2 more$"):
        net.load_state_dict(wrong)
    with pytest.raises(CheckpointError, match=r"9\.weight and 2 more; unexpected: .*w9 and 2 more"):
        net.load_state_dict({f"w{place}": np.zeros(1) for place in range(12)})


def test_a_state_that_only_lacks_names_points_to_strict():
    state = make().state_dict()
    del state["3.bias"]
    with pytest.raises(CheckpointError, match=r"missing: 3\.bias \(strict=False loads the rest\)"):
        make().load_state_dict(state)
    with pytest.raises(CheckpointError, match=r"missing: .*; unexpected: 0\.w \(strict=False"):
        make().load_state_dict({"0.w": np.zeros(1)})


def test_without_strict_what_fits_is_loaded_and_the_rest_returned():
    net, other = make(0), make(1)
    state = host(other.state_dict())
    untouched = net[3].bias.numpy().copy()
    del state["3.bias"]
    state["head"] = np.zeros(1)
    found = net.load_state_dict(state, strict=False)
    assert found.missing_keys == ["3.bias"] and found.unexpected_keys == ["head"]
    np.testing.assert_array_equal(net[3].bias.numpy(), untouched)
    np.testing.assert_array_equal(net[0].weight.numpy(), other[0].weight.numpy())


def test_without_strict_a_wrong_shape_is_still_refused():
    net = make()
    before = host(net.state_dict())
    state = {"0.bias": np.zeros(4, np.float32), "3.bias": np.zeros(3, np.float32)}
    with pytest.raises(CheckpointError, match=r"'3\.bias' has shape \(3,\), the model's \(2,\)"):
        net.load_state_dict(state, strict=False)
    assert_same(host(net.state_dict()), before)


@pytest.mark.parametrize("state", ["weights.safetensors", None, [("0.weight", 1)]])
def test_what_is_no_mapping_is_refused(state):
    with pytest.raises(CheckpointError, match=r"maps names to arrays, got a (str|NoneType|list)"):
        make().load_state_dict(state)


def test_numbers_with_a_fraction_do_not_go_into_an_integer_buffer():
    net = Module()
    net.register_buffer("steps", backend.asarray(np.zeros(1, np.int64)))
    with pytest.raises(CheckpointError, match="'steps' is float32, the model's int64"):
        net.load_state_dict({"steps": np.ones(1, np.float32)})


def test_buffers_that_are_not_persistent_are_left_out():
    net = Module()
    net.register_buffer("kept", minicnn.tensor([1.0]))
    net.register_buffer("passing", minicnn.tensor([1.0]), persistent=False)
    net.register_buffer("absent", None)
    assert list(net.state_dict()) == ["kept"]
    assert [name for name, _ in net.named_buffers()] == ["kept", "passing"]
    net.load_state_dict({"kept": np.zeros(1, np.float32)})


def make_tied() -> ModuleDict:
    net = ModuleDict({"first": Linear(2, 2, bias=False, rng=0), "second": Linear(2, 2, bias=False)})
    net["second"].weight = net["first"].weight
    net["again"] = net["first"]
    return net


def test_a_shared_parameter_is_saved_once_and_loaded_under_any_of_its_names():
    net = make_tied()
    assert list(net.state_dict()) == ["first.weight"]
    values = np.arange(4, dtype=np.float32).reshape(2, 2)
    for names in (["second.weight"], ["again.weight"], ["first.weight", "again.weight"]):
        net.load_state_dict(net.state_dict())
        net.load_state_dict(dict.fromkeys(names, values + len(names)))
        np.testing.assert_array_equal(net["first"].weight.numpy(), values + len(names))
    assert net["second"].weight is net["first"].weight


def test_a_missing_shared_parameter_is_named_once():
    with pytest.raises(CheckpointError, match=r"model: missing: first\.weight \("):
        make_tied().load_state_dict({})


def test_two_values_for_one_shared_parameter_are_refused():
    net = make_tied()
    state = {
        "first.weight": np.zeros((2, 2), np.float32),
        "second.weight": np.ones((2, 2), np.float32),
    }
    with pytest.raises(CheckpointError, match=r"'second\.weight' differs from 'first\.weight'"):
        net.load_state_dict(state)


def test_loading_is_seen_by_a_backward_pass_that_needs_the_old_values():
    net = make()
    y = net(minicnn.tensor(np.eye(3, dtype=np.float32)))
    net.load_state_dict(make(1).state_dict())
    with pytest.raises(GradientError, match="changed"):
        y.backward(minicnn.tensor(np.ones((3, 2), np.float32)))
