"""Sequential, ModuleList and ModuleDict: order, names, indexing, and what they refuse."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest

import minicnn
from minicnn.errors import OptionError, ShapeError
from minicnn.nn.activation import ReLU, Sigmoid, Tanh
from minicnn.nn.containers import ModuleDict, ModuleList, Sequential
from minicnn.nn.linear import Linear
from minicnn.nn.module import Module
from minicnn.nn.shape import Identity


def names(module: Module) -> list[str]:
    return [name for name, _ in module.named_modules(remove_duplicate=False)][1:]


def test_modules_run_in_order():
    x = minicnn.tensor([-1.0, 2.0])
    np.testing.assert_array_equal(
        Sequential(ReLU(), Tanh())(x).numpy(), np.tanh(np.maximum(x.numpy(), 0))
    )
    assert Sequential()(x) is x


def test_names_come_from_positions_a_mapping_or_keywords():
    assert names(Sequential(ReLU(), Tanh())) == ["0", "1"]
    assert names(Sequential(OrderedDict(a=ReLU(), b=Tanh()))) == ["a", "b"]
    net = Sequential(ReLU(), act=Tanh(), out=Identity())
    assert names(net) == ["0", "act", "out"]
    assert isinstance(net.act, Tanh) and net[1] is net.act


def test_indexing_counts_from_either_end():
    modules = [ReLU(), Tanh(), Sigmoid()]
    for net in (Sequential(*modules), ModuleList(modules)):
        assert len(net) == 3
        assert list(net) == modules
        assert net[0] is modules[0] and net[-1] is modules[2]
        assert net[np.int64(1)] is modules[1]
        with pytest.raises(
            IndexError, match=f"{type(net).__name__}: index 3 is out of range for 3"
        ):
            net[3]
        with pytest.raises(TypeError, match="expected an integer or a slice, got 'a'"):
            net["a"]


def test_a_slice_of_a_sequential_shares_modules_and_keeps_names():
    net = Sequential(ReLU(), Linear(2, 2, rng=0), out=Tanh())
    part = net[1:]
    assert isinstance(part, Sequential) and names(part) == ["1", "out"]
    assert part[0] is net[1]
    part.append(ReLU())
    assert names(part) == ["1", "out", "2"] and len(net) == 3


def test_appending_to_a_slice_does_not_replace_a_module_of_the_same_name():
    part = Sequential(ReLU(), Tanh(), Sigmoid())[1:]
    assert names(part.append(Identity())) == ["1", "2", "3"]


def test_a_slice_of_a_list_is_numbered_anew():
    net = ModuleList([ReLU(), Tanh(), Sigmoid()])
    assert isinstance(net[1:], ModuleList) and names(net[1:]) == ["0", "1"]


@pytest.mark.parametrize("kind", [Sequential, ModuleList])
def test_lists_grow_shrink_and_change_in_place(kind):
    net = kind()
    assert net.append(ReLU()).extend([Tanh(), Sigmoid()]) is net
    assert net.insert(1, Identity()) is net
    assert [type(each) for each in net] == [ReLU, Identity, Tanh, Sigmoid]
    net.insert(-1, ReLU()).insert(5, Tanh())
    assert [type(each) for each in net] == [ReLU, Identity, Tanh, ReLU, Sigmoid, Tanh]
    net[0] = Identity()
    del net[-1]
    del net[1:3]
    assert [type(each) for each in net] == [Identity, ReLU, Sigmoid]
    assert names(net) == ["0", "1", "2"]
    with pytest.raises(IndexError, match="cannot insert at 9 into 3"):
        net.insert(9, ReLU())
    with pytest.raises(IndexError, match="out of range"):
        del net[3]


def test_inserting_keeps_names_that_are_no_numbers():
    net = Sequential(ReLU(), act=Tanh()).insert(1, Identity())
    assert names(net) == ["0", "1", "act"]
    del net[0]
    assert names(net) == ["0", "act"]


def test_what_is_refused_leaves_the_container_as_it_was():
    net = Sequential(ReLU(), Tanh())
    for change in (
        lambda: net.append(np.tanh),
        lambda: net.insert(0, np.tanh),
        lambda: net.__setitem__(0, np.tanh),
    ):
        with pytest.raises(TypeError, match="must be a Module, got ufunc"):
            change()
    assert [type(each) for each in net] == [ReLU, Tanh]


@pytest.mark.parametrize("name", ["forward", "a.b", "apply", "training"])
@pytest.mark.parametrize("kind", [Sequential, ModuleDict])
def test_names_that_are_taken_are_refused(kind, name):
    with pytest.raises(OptionError, match=f"{kind.__name__}: the name '{name}'"):
        kind({name: ReLU()})


def test_a_module_dict_refuses_the_names_of_its_methods():
    with pytest.raises(OptionError, match="the name 'keys' is that of another attribute"):
        ModuleDict({"keys": ReLU()})


def test_a_module_may_stand_in_several_places():
    shared = Linear(2, 2, bias=False, rng=0)
    net = Sequential(shared, ReLU(), shared)
    assert len(net) == 3 and net.num_parameters() == 4
    x = minicnn.tensor([[1.0, -2.0]])
    w = shared.weight.numpy()
    expected = np.maximum(x.numpy() @ w, 0) @ w
    np.testing.assert_allclose(net(x).numpy(), expected, rtol=1e-6)


def test_a_shape_error_names_the_layers_on_the_way():
    net = Sequential(body=Sequential(Linear(2, 3, rng=0), Linear(4, 1, rng=0)))
    with pytest.raises(
        ShapeError, match=r"layer body \(Sequential\): layer 1 \(Linear\): linear: "
    ):
        net(minicnn.tensor([[1.0, 2.0]]))


def test_a_chain_of_thousands_of_modules_runs_forward_and_backward():
    net = Sequential(*(Linear(1, 1, bias=False, weight_init="ones") for _ in range(2000)))
    x = minicnn.tensor([[3.0]], requires_grad=True)
    y = net(x)
    y.backward()
    assert y.item() == 3 and x.grad.item() == 1
    assert net[1999].weight.grad.item() == 3
    assert len(net.state_dict()) == 2000


def test_containers_nested_a_hundred_deep_are_walked_and_run():
    net = Sequential(Linear(2, 2, rng=0))
    for _ in range(100):
        net = Sequential(net)
    assert next(net.named_parameters())[0] == "0." * 101 + "weight"
    assert net(minicnn.tensor([[1.0, 2.0]])).shape == (1, 2)
    assert repr(net).count("Sequential") == 101


def test_lists_and_dicts_cannot_be_called():
    for net in (ModuleList(), ModuleDict()):
        with pytest.raises(NotImplementedError, match=f"{type(net).__name__} cannot be called"):
            net(1)


def test_a_module_dict_is_a_dict_of_modules():
    net = ModuleDict([("a", ReLU()), ("b", Linear(1, 1, rng=0))])
    net["c"] = Tanh()
    net.update({"a": Sigmoid()})
    assert list(net) == list(net.keys()) == ["a", "b", "c"] and len(net) == 3
    assert [type(each) for each in net.values()] == [Sigmoid, Linear, Tanh]
    assert [name for name, _ in net.items()] == ["a", "b", "c"]
    assert "b" in net and "d" not in net
    assert [name for name, _ in net.named_parameters()] == ["b.weight", "b.bias"]
    del net["a"]
    assert list(net) == ["b", "c"]
    for absent in (lambda: net["d"], lambda: net.__delitem__("d")):
        with pytest.raises(KeyError, match="there is no 'd'; it has b, c"):
            absent()
