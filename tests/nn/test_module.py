"""Module: what it registers, walks over, switches, moves, calls and prints."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import minicnn
from minicnn import backend
from minicnn.errors import DTypeError, GradientError, OptionError
from minicnn.nn.activation import ReLU
from minicnn.nn.containers import Sequential
from minicnn.nn.dropout import Dropout
from minicnn.nn.linear import Linear
from minicnn.nn.module import Module
from minicnn.nn.norm import BatchNorm1d
from minicnn.nn.parameter import Buffer, Parameter


def parameter(*shape: int) -> Parameter:
    return Parameter(backend.asarray(np.zeros(shape, np.float32)))


class Branch(Module):
    def __init__(self, size=2):
        super().__init__()
        self.size = size
        self.scale = parameter(size)
        self.register_buffer("count", backend.asarray(np.zeros(1, np.int64)))

    def forward(self, x):
        return x * self.scale


class Net(Module):
    def __init__(self):
        super().__init__()
        self.second = Branch(3)
        self.first = parameter(2, 2)
        self.third = Sequential(Branch(), ReLU())

    def forward(self, x):
        return self.third(x)


def test_names_follow_the_order_of_assignment_and_own_parameters_come_first():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == [
        "first",
        "second.scale",
        "third.0.scale",
    ]
    assert [name for name, _ in net.named_buffers()] == ["second.count", "third.0.count"]
    assert [name for name, _ in net.named_modules()] == [
        "",
        "second",
        "third",
        "third.0",
        "third.1",
    ]
    assert [name for name, _ in net.named_children()] == ["second", "third"]
    assert list(net.children()) == [net.second, net.third]
    assert [type(each) for each in net.modules()] == [Net, Branch, Sequential, Branch, ReLU]


def test_without_recurse_only_own_tensors_are_named():
    net = Net()
    assert [name for name, _ in net.named_parameters(recurse=False)] == ["first"]
    assert list(net.buffers(recurse=False)) == []
    assert list(net.second.buffers(recurse=False)) == [net.second.count]


def test_a_parameter_requires_a_gradient_and_shares_the_array_it_was_made_from():
    array = backend.asarray(np.ones(2, np.float32))
    made = Parameter(array)
    assert made.requires_grad and made.data is array and made.is_leaf
    assert not Parameter(array, requires_grad=False).requires_grad
    result = minicnn.tensor([1.0, 2.0], requires_grad=True) * 2
    assert Parameter(result).is_leaf


def test_a_parameter_must_be_floating_point():
    with pytest.raises(DTypeError, match="int64"):
        Parameter(backend.asarray(np.zeros(2, np.int64)))


def test_parameters_assigned_before_super_init_are_registered():
    class Early(Module):
        def __init__(self):
            self.weight = parameter(2)
            self.inner = Branch()
            super().__init__()

    assert [name for name, _ in Early().named_parameters()] == ["weight", "inner.scale"]


def test_plain_tensors_and_arrays_are_not_registered():
    net = Branch()
    net.constant = minicnn.tensor([1.0])
    net.array = np.zeros(3)
    assert list(net.state_dict()) == ["scale", "count"]


def test_removed_and_replaced_attributes_leave_the_register():
    net = Net()
    del net.second
    net.first = None
    net.third = Branch()
    assert [name for name, _ in net.named_parameters()] == ["third.scale"]


@pytest.mark.parametrize(
    ("name", "kind"), [("first", "Parameter"), ("third", "Module"), ("second", "Module")]
)
def test_something_else_in_place_of_a_registered_attribute_is_refused(name, kind):
    net = Net()
    with pytest.raises(TypeError, match=f"Net: '{name}' is a {kind}.*not by a Tensor"):
        setattr(net, name, minicnn.tensor([1.0]))
    assert len(list(net.parameters())) == 3


def test_a_tensor_assigned_to_a_buffer_becomes_the_buffer():
    net = Branch()
    net.register_buffer("running", minicnn.tensor([1.0, 2.0]), persistent=False)
    net.running = net.running * 3 + minicnn.tensor([1.0, 1.0], requires_grad=True)
    assert isinstance(net.running, Buffer) and not net.running.requires_grad
    assert net.running.tolist() == [4, 7] and not net.running.persistent
    with pytest.raises(TypeError, match="'running' is a Buffer"):
        net.running = 3


@pytest.mark.parametrize("name", ["", "a.b", 3, "forward", "size", "training"])
def test_names_that_cannot_be_told_apart_are_refused(name):
    net = Branch()
    with pytest.raises(OptionError, match="name"):
        net.register_buffer(name, minicnn.tensor([1.0]))
    with pytest.raises(OptionError, match="name"):
        net.add_module(name, ReLU())
    assert net.size == 2


def test_a_class_in_place_of_a_module_is_refused_with_a_hint():
    with pytest.raises(TypeError, match=r"'act' must be a Module, got ReLU; did you mean ReLU\(\)"):
        Branch().add_module("act", ReLU)


class Sharing(Module):
    def __init__(self):
        super().__init__()
        self.one = Branch()
        self.two = self.one
        self.tied = Branch()
        self.tied.scale = self.one.scale
        self.numbers = np.random.default_rng(0)


def test_shared_modules_and_parameters_count_once_under_their_first_name():
    net = Sharing()
    assert [name for name, _ in net.named_modules()] == ["", "one", "tied"]
    assert [name for name, _ in net.named_children()] == ["one", "tied"]
    assert [name for name, _ in net.named_parameters()] == ["one.scale"]
    assert [name for name, _ in net.named_buffers()] == ["one.count", "tied.count"]
    assert net.num_parameters() == 2
    every = [name for name, _ in net.named_modules(remove_duplicate=False)]
    assert every == ["", "one", "two", "tied"]


def test_a_module_that_knows_its_parent_does_not_send_the_walk_in_circles():
    net = Net()
    net.second.parent = net
    assert len(list(net.modules())) == 5
    assert list(net.state_dict())[:2] == ["first", "second.scale"]
    net.load_state_dict(net.state_dict())


def test_numbers_are_counted_by_kind():
    net = Net()
    net.second.requires_grad_(False)
    assert net.num_parameters() == 4 + 3 + 2
    assert net.num_parameters(trainable=True) == 6
    assert net.num_parameters(trainable=False) == 3
    assert net.num_parameters(trainable=False, buffers=True) == 5
    assert net.num_parameters(buffers=True) == 11


def test_train_and_eval_reach_every_module_below_and_none_above():
    net = Net()
    assert all(module.training for module in net.modules())
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    net.third.train()
    assert [module.training for module in net.modules()] == [False, False, True, True, True]
    with pytest.raises(OptionError, match="True or False"):
        net.train("yes")


def test_requires_grad_and_zero_grad_reach_every_parameter():
    net = Net()
    x = minicnn.tensor([[1.0, 2.0]])
    net(x).backward(minicnn.tensor([[1.0, 1.0]]))
    assert net.third[0].scale.grad is not None
    net.zero_grad()
    assert net.third[0].scale.grad is None
    net.requires_grad_(False)
    assert not net(x).requires_grad


def test_apply_visits_children_before_their_parent():
    seen = []
    net = Net()
    assert net.apply(lambda module: seen.append(type(module))) is net
    assert seen == [Branch, Branch, ReLU, Sequential, Net]


def test_get_submodule_follows_dots_and_says_what_there_is():
    net = Net()
    assert net.get_submodule("") is net
    assert net.get_submodule("third.1") is net.third[1]
    with pytest.raises(OptionError, match=r"no module 'third\.7'; Sequential has 0, 1"):
        net.get_submodule("third.7")


def test_generators_come_in_order_and_once():
    shared = np.random.default_rng(1)
    net = Sequential(Dropout(rng=shared), Linear(2, 2, rng=5), Dropout(rng=2), Dropout(rng=shared))
    assert list(net.generators()) == [shared, net[2].rng]


def test_to_a_dtype_keeps_the_tensors_and_brings_gradients_along():
    net = Sequential(Linear(2, 3, rng=0), BatchNorm1d(3))
    net[0].register_buffer("steps", backend.asarray(np.zeros(1, np.int64)))
    before = list(net.parameters())
    weights = before[0].numpy().copy()
    net(minicnn.tensor([[1.0, 2.0], [0.0, 1.0]])).backward(minicnn.tensor(np.ones((2, 3), "f")))
    assert net.to("float64") is net
    assert all(a is b for a, b in zip(before, net.parameters(), strict=True))
    assert {each.dtype for each in net.parameters()} == {np.dtype(np.float64)}
    assert {each.grad.dtype for each in net.parameters()} == {np.dtype(np.float64)}
    assert [each.dtype.name for each in net.buffers()] == ["int64", "float64", "float64"]
    np.testing.assert_array_equal(before[0].numpy(), weights.astype(np.float64))
    assert net(minicnn.tensor([[1.0, 2.0], [0.0, 1.0]], dtype="float64")).dtype == np.float64


@pytest.mark.parametrize("target", ["gpu", None, int, "int32", 3.0])
def test_to_refuses_what_is_neither_a_backend_nor_a_float_type(target):
    with pytest.raises(OptionError, match="to: expected a backend"):
        Net().to(target)


@pytest.mark.standin
def test_to_moves_everything_between_backends():
    net = Sequential(Linear(2, 3, rng=0), BatchNorm1d(3))
    weight = net[0].weight.numpy()
    net(minicnn.tensor([[1.0, 2.0], [0.0, 1.0]])).backward(minicnn.tensor(np.ones((2, 3), "f")))
    assert {each.backend for each in (*net.parameters(), *net.buffers())} == {"cupy"}
    net.to("numpy", "float64")
    assert {each.backend for each in (*net.parameters(), *net.buffers())} == {"numpy"}
    assert {each.grad.backend for each in net.parameters()} == {"numpy"}
    np.testing.assert_array_equal(net[0].weight.numpy(), weight.astype(np.float64))
    assert net.to("cupy")[0].weight.backend == "cupy"
    assert net[0].weight.dtype == np.float64


def test_moving_is_seen_by_a_backward_pass_that_needs_the_old_values():
    net = Linear(2, 2, rng=0)
    y = net(minicnn.tensor([[1.0, 2.0]], requires_grad=True))
    net.to("float64")
    with pytest.raises(GradientError, match="changed"):
        y.backward(minicnn.tensor([[1.0, 1.0]]))


def test_hooks_see_and_replace_inputs_and_output():
    net = Branch()
    with minicnn.no_grad():
        net.scale.copy_(1)
    seen = []
    net.register_forward_pre_hook(lambda module, inputs: seen.append((module, inputs)))
    handle = net.register_forward_pre_hook(lambda module, inputs: inputs[0] + 1)
    net.register_forward_hook(lambda module, inputs, output: seen.append((inputs, output)))
    last = net.register_forward_hook(lambda module, inputs, output: output * 10)
    x = minicnn.tensor([1.0, 2.0])
    assert net(x).tolist() == [20, 30]
    assert seen[0] == (net, (x,))
    assert seen[1][0][0].tolist() == [2, 3] and seen[1][1].tolist() == [2, 3]
    handle.remove()
    last.remove()
    last.remove()
    assert net(x).tolist() == [1, 2]


def test_a_pre_hook_may_return_all_inputs_as_a_tuple():
    class Sum(Module):
        def forward(self, x, y, factor=1):
            return (x + y) * factor

    net = Sum()
    net.register_forward_pre_hook(lambda module, inputs: (inputs[1], inputs[1]))
    assert net(minicnn.tensor([1.0]), minicnn.tensor([5.0]), factor=2).tolist() == [20]


def test_every_hook_stays_when_its_handle_is_thrown_away():
    net, calls = ReLU(), []
    for number in range(20):
        net.register_forward_hook(lambda module, inputs, output, n=number: calls.append(n))
    net(minicnn.tensor([1.0]))
    assert calls == list(range(20))


def test_hooks_belong_to_one_module_only():
    one, other, calls = ReLU(), ReLU(), []
    one.register_forward_hook(lambda *arguments: calls.append(1))
    other(minicnn.tensor([1.0]))
    assert calls == []


def test_a_module_without_forward_says_so():
    class Empty(Module):
        pass

    with pytest.raises(NotImplementedError, match=r"Empty cannot be called.*forward\(self"):
        Empty()(1)


def test_a_deep_copy_shares_nothing():
    net = Sequential(Linear(2, 2, rng=0), Dropout(rng=1), BatchNorm1d(2))
    twin = copy.deepcopy(net)
    x = minicnn.tensor([[1.0, 2.0], [3.0, 5.0]])
    np.testing.assert_array_equal(net(x).numpy(), twin(x).numpy())
    with minicnn.no_grad():
        twin[0].weight.copy_(0)
    assert not np.array_equal(net[0].weight.numpy(), twin[0].weight.numpy())
    assert not {id(each) for each in net.modules()} & {id(each) for each in twin.modules()}
    assert twin[0].weight.requires_grad and isinstance(twin[2].running_mean, Buffer)


def test_repr_shows_arguments_that_are_not_defaults_and_indents_children():
    class Block(Module):
        def __init__(self, width, slope=0.1, names=("a", "b"), act=np.tanh, rng=None, other=3):
            super().__init__()
            self.width = width
            self.slope = slope
            self.names = names
            self.act = act
            self.rng = rng
            self.body = Sequential(Linear(width, 2, bias=False, rng=0), Branch(2))

    expected = """\
Block(
  width=4, slope=0.5, names=('a',)
  (body): Sequential(
    (0): Linear(in_features=4, out_features=2, bias=False)
    (1): Branch()
  )
)"""
    assert repr(Block(4, 0.5, ("a",))) == expected
    assert repr(Branch(3)) == "Branch(size=3)"
    assert repr(Sequential()) == "Sequential()"
