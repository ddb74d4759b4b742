"""The backward pass: values worked out by hand, hooks, second passes, errors."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn import backend
from minicnn.autograd import Tensor, grad
from minicnn.errors import GradientError, ShapeError
from minicnn.ops import concatenate


def leaf(*values):
    return minicnn.tensor(np.array(values, np.float64), requires_grad=True)


@pytest.fixture
def x():
    return leaf(1.0, 2.0, 3.0)


# Values.


def test_gradient_of_a_polynomial(x):
    (x**3 - 4 * x).sum().backward()
    assert x.grad.tolist() == [3 - 4, 12 - 4, 27 - 4]


def test_gradients_of_both_branches_of_a_diamond_add_up(x):
    y = x * x
    (y * 2 + y * x).sum().backward()  # 2 x^2 + x^3
    assert x.grad.tolist() == [4 + 3, 8 + 12, 12 + 27]


def test_same_tensor_on_both_sides(x):
    (x * x).sum().backward()
    assert x.grad.tolist() == [2, 4, 6]
    x.grad = None
    (x - x).sum().backward()
    assert x.grad.tolist() == [0, 0, 0]


def test_broadcast_operands_get_summed_gradients():
    row, column, number = leaf(1.0, 2.0), minicnn.tensor([[1.0], [10.0]]), leaf(3.0)
    column = minicnn.tensor(column.numpy().astype(np.float64), requires_grad=True)
    (row * column + number).sum().backward()
    assert row.grad.tolist() == [11, 11]
    assert column.grad.tolist() == [[3], [3]]
    assert number.grad.tolist() == [4]


def test_gradients_accumulate_over_passes_until_they_are_cleared(x):
    (x * 2).sum().backward()
    first = x.grad
    (x * 3).sum().backward()
    assert x.grad.tolist() == [5, 5, 5]
    assert first.tolist() == [2, 2, 2]
    x.grad = None
    (x * 4).sum().backward()
    assert x.grad.tolist() == [4, 4, 4]


def test_gradient_of_the_output_weighs_the_elements(x):
    for gradient in (
        minicnn.tensor([1.0, 10.0, 100.0], dtype="float64"),
        backend.asarray(np.array([1.0, 10.0, 100.0])),
    ):
        x.grad = None
        (x * x).backward(gradient)
        assert x.grad.tolist() == [2, 40, 600]


def test_a_leaf_of_one_element_is_its_own_output():
    x = leaf(3.0)
    x.backward()
    assert x.grad.tolist() == [1]


def test_only_what_requires_a_gradient_gets_one(x):
    constant = minicnn.tensor([2.0, 2.0, 2.0], dtype="float64")
    y = x * constant
    y.sum().backward()
    assert constant.grad is None
    assert y.grad is None
    assert x.grad.tolist() == [2, 2, 2]


def test_detached_part_is_a_constant(x):
    (x * (x * 2).detach()).sum().backward()
    assert x.grad.tolist() == [2, 4, 6]


# Memory of the gradients.


def test_gradients_share_memory_with_no_other_gradient(x):
    y, start = leaf(1.0, 2.0, 3.0), minicnn.tensor([1.0, 1.0, 1.0], dtype="float64")
    z = x + y
    z.retain_grad()
    (z + 0.0).backward(start)
    for changed in (x.grad, y.grad, z.grad):
        changed.data *= 2
    assert start.tolist() == [1, 1, 1]
    assert x.grad.tolist() == y.grad.tolist() == z.grad.tolist() == [2, 2, 2]


def test_gradients_of_parts_share_no_memory_with_the_gradient_of_the_whole(x):
    y, start = leaf(4.0), minicnn.tensor([1.0, 1.0, 1.0, 1.0], dtype="float64")
    concatenate([x, y]).backward(start)
    x.grad.data *= 2
    assert start.tolist() == [1, 1, 1, 1]


def test_gradient_of_a_sum_can_be_changed_in_place(x):
    x.sum().backward()
    x.grad.data[0] = 5
    assert x.grad.tolist() == [5, 1, 1]


# grad().


def test_grad_returns_gradients_and_leaves_grad_alone(x):
    y = leaf(5.0, 6.0, 7.0)
    z = x * y
    z.retain_grad()
    gx, gy = grad(z.sum(), [x, y])
    assert (gx.tolist(), gy.tolist()) == ([5, 6, 7], [1, 2, 3])
    assert x.grad is y.grad is z.grad is None


def test_grad_with_respect_to_a_result_in_the_middle(x):
    y = x * 2
    z = (y * y).sum()
    (gy,) = grad(z, y, retain_graph=True)
    assert gy.tolist() == [4, 8, 12]
    gy, gx, gz = grad(z, [y, x, z])
    assert (gy.tolist(), gx.tolist(), gz.tolist()) == ([4, 8, 12], [8, 16, 24], 1)


def test_grad_of_several_outputs_is_the_gradient_of_their_sum(x):
    start = minicnn.tensor([1.0, 0.0, 2.0], dtype="float64")
    (gx,) = grad([x * x, x.sum()], x, [start, None])
    assert gx.tolist() == [2 + 1, 0 + 1, 12 + 1]


def test_grad_names_an_input_that_the_output_does_not_depend_on(x):
    other = leaf(1.0)
    with pytest.raises(GradientError, match="input 1; pass allow_unused=True"):
        grad((x * 2).sum(), [x, other])
    gx, nothing = grad((x * 2).sum(), [x, other], allow_unused=True)
    assert gx.tolist() == [2, 2, 2]
    assert nothing is None


def test_grad_refuses_inputs_that_require_no_gradient(x):
    with pytest.raises(GradientError, match="input 0 requires no gradient"):
        grad(x.sum(), minicnn.tensor([1.0]))


def test_grad_visits_only_what_lies_between(x):
    visited = []
    y = x.exp()
    y.register_hook(lambda gradient: visited.append("exp"))
    w = leaf(1.0, 1.0, 1.0)
    grad((y * w).sum(), w)
    assert visited == []


def test_grad_for_one_input_does_not_narrow_a_later_pass(x):
    w = leaf(4.0, 5.0, 6.0)
    z = (x * w).sum()
    grad(z, x, retain_graph=True)
    z.backward()
    assert x.grad.tolist() == [4, 5, 6]
    assert w.grad.tolist() == [1, 2, 3]


# Gradients of gradients.


def test_derivatives_of_every_order(x):
    y = (x**4).sum()
    for expected in ([4, 32, 108], [12, 48, 108], [24, 48, 72], [24, 24, 24]):
        (y,) = grad(y.sum(), x, create_graph=True)
        assert y.tolist() == expected


def test_second_derivatives_reach_inputs_the_first_pass_did_not_ask_for(x):
    w = leaf(0.1, 0.2, 0.3)
    (gx,) = grad((x * w).tanh().sum(), x, create_graph=True)
    gx.sum().backward()
    # d/dw of (1 - tanh(xw)^2) w
    t = np.tanh(x.numpy() * w.numpy())
    expected = (1 - t**2) * (1 - 2 * t * x.numpy() * w.numpy())
    np.testing.assert_allclose(w.grad.numpy(), expected, rtol=1e-12)


def test_second_derivatives_pass_through_saved_results(x):
    y = x * 2
    (gx,) = grad((y * y * y).sum(), x, create_graph=True)  # 24 x^2
    assert gx.tolist() == [24, 96, 216]
    assert grad(gx.sum(), x)[0].tolist() == [48, 96, 144]


def test_second_derivatives_tell_a_tensor_from_its_detached_self(x):
    (gx,) = grad((x * x.detach()).sum(), x, create_graph=True)
    assert gx.tolist() == [1, 2, 3]
    assert not gx.requires_grad  # it is the detached one
    (gx,) = grad((x * x * x.detach()).sum(), x, create_graph=True)  # 2 x c
    assert grad(gx.sum(), x)[0].tolist() == [2, 4, 6]


def test_backward_with_create_graph_records_the_gradient(x):
    (x**3).sum().backward(create_graph=True)
    gradient, x.grad = x.grad, None
    assert gradient.tolist() == [3, 12, 27]
    gradient.sum().backward()
    assert x.grad.tolist() == [6, 12, 18]


def test_gradients_are_not_recorded_unless_asked_for(x):
    (x**3).sum().backward()
    assert not x.grad.requires_grad


# Second passes.


def test_second_pass_is_refused_with_a_remedy(x):
    y = x.exp()
    z = y.sum()
    z.backward()
    with pytest.raises(GradientError, match=r"sum: .*freed.*retain_graph=True"):
        z.backward()
    with pytest.raises(GradientError, match=r"exp: .*freed"):
        (y * 2).sum().backward()
    with pytest.raises(GradientError, match=r"exp: .*freed"):
        grad((y * 2).sum(), x)
    assert x.grad.tolist() == np.exp([1.0, 2.0, 3.0]).tolist()


def test_second_pass_is_possible_with_retain_graph(x):
    z = (x * x).sum()
    z.backward(retain_graph=True)
    z.backward()
    assert x.grad.tolist() == [4, 8, 12]


# Hooks.


def test_hooks_see_complete_gradients_and_may_replace_them(x):
    seen = []
    y = x * 2
    y.register_hook(lambda gradient: seen.append(gradient.tolist()))
    y.register_hook(lambda gradient: gradient * 10)
    x.register_hook(lambda gradient: gradient + 1)
    (y * 3 + y).sum().backward()
    assert seen == [[4, 4, 4]]
    assert x.grad.tolist() == [81, 81, 81]


def test_hooks_also_work_in_grad(x):
    y = x * 2
    y.register_hook(lambda gradient: gradient * 10)
    x.register_hook(lambda gradient: gradient + 1)
    gy, gx = grad(y.sum(), [y, x])
    assert (gy.tolist(), gx.tolist()) == ([10, 10, 10], [21, 21, 21])


def test_hooks_whose_handles_are_thrown_away_are_all_called(x):
    seen = []
    for number in range(20):
        x.register_hook(lambda gradient, number=number: seen.append(number))
    x.sum().backward()
    assert seen == list(range(20))


def test_removed_hooks_are_called_no_more(x):
    seen = []
    hook = x.register_hook(lambda gradient: seen.append(1))
    x.sum().backward()
    hook.remove()
    hook.remove()
    x.sum().backward()
    assert seen == [1]


@pytest.mark.parametrize("wrong", [lambda gradient: gradient.sum(), lambda gradient: 2.0])
def test_hook_that_returns_something_else_is_refused(x, wrong):
    x.register_hook(wrong)
    with pytest.raises(GradientError, match=r"hook must return None or a Tensor.*\(3,\)"):
        x.sum().backward()
    assert x.grad is None


def test_hooks_and_retained_gradients_need_a_tensor_that_requires_one():
    constant = minicnn.tensor([1.0])
    with pytest.raises(GradientError, match="register_hook"):
        constant.register_hook(print)
    with pytest.raises(GradientError, match="retain_grad"):
        constant.retain_grad()


def test_retain_grad_keeps_the_gradient_of_a_result(x):
    y = x * 2
    y.retain_grad()
    (y * y).sum().backward()
    assert y.grad.tolist() == [4, 8, 12]
    assert x.grad.tolist() == [8, 16, 24]
    x.retain_grad()  # a leaf keeps it anyhow


def test_retained_gradient_is_the_one_that_the_hooks_left(x):
    y = x * 2
    y.register_hook(lambda gradient: gradient * 5)
    y.retain_grad()
    y.sum().backward()
    assert y.grad.tolist() == [5, 5, 5]


# Errors.


def test_output_of_many_elements_needs_a_gradient(x):
    with pytest.raises(GradientError, match=r"backward: the output has shape \(3,\)"):
        (x * 2).backward()


def test_gradient_of_the_output_must_fit_it(x):
    y = x * 2
    with pytest.raises(ShapeError, match=r"float64 of shape \(3,\).*float64 of shape \(2,\)"):
        y.backward(minicnn.tensor([1.0, 1.0], dtype="float64"))
    with pytest.raises(ShapeError, match="float32"):
        y.backward(minicnn.tensor([1.0, 1.0, 1.0]))
    with pytest.raises(ShapeError, match="1 outputs, but 2 gradients"):
        grad(y, x, [y, y])


def test_output_without_gradient_is_refused(x):
    for output in (minicnn.tensor([1.0]), x.detach().sum(), (x > 1).sum()):
        with pytest.raises(GradientError, match="requires no gradient"):
            output.backward()
    with minicnn.no_grad():
        y = x.sum()
    with pytest.raises(GradientError, match=r"no_grad\(\)"):
        y.backward()


def test_what_is_no_tensor_is_refused(x):
    with pytest.raises(TypeError, match="expected a Tensor, got float"):
        grad([1.0], x)
    with pytest.raises(TypeError, match="expected a Tensor, got list"):
        grad(x.sum(), [[1.0]])


def test_a_failed_pass_leaves_recording_as_it_was(x):
    y = x * 2

    def fail(gradient):
        raise ZeroDivisionError

    y.register_hook(fail)
    with pytest.raises(ZeroDivisionError):
        y.sum().backward()
    assert minicnn.is_grad_enabled()
    assert (x * 2).requires_grad


# Changes in place.


def changes():
    """Return ways to change a tensor in place, by name."""

    def replace(x):
        x.data = x.data * 2

    def mark(x):
        x.data *= 2
        x.mark_changed()

    def assign(x):
        x[0] = 5

    def through_a_view(x):
        x[1:].copy_(5)

    def through_detach(x):
        x.detach().copy_(5)

    return {
        "copy_": lambda x: x.copy_(5),
        "assignment": assign,
        "mark_changed": mark,
        "data replaced": replace,
        "through a view": through_a_view,
        "through detach": through_detach,
    }


@pytest.mark.parametrize("change", changes().values(), ids=changes().keys())
def test_change_of_a_saved_input_is_refused(x, change):
    w = leaf(2.0, 2.0, 2.0)
    z = (x * w).sum()
    with minicnn.no_grad():
        change(x)
    with pytest.raises(GradientError, match=r"multiply: its input 0.*changed in place"):
        z.backward()


def test_change_of_a_saved_output_is_refused(x):
    y = x.exp()
    z = y.sum()
    with minicnn.no_grad():
        y.copy_(0)
    with pytest.raises(GradientError, match=r"exp: its output.*changed in place"):
        z.backward()


def test_change_of_a_result_before_the_second_derivative_is_refused(x):
    v, w, y = leaf(1.0, 1.0, 1.0), leaf(2.0, 2.0, 2.0), x * 2
    (gw,) = grad((y * w * v).sum(), w, create_graph=True)  # v y, recorded in the backward pass
    with minicnn.no_grad():
        y.copy_(0)
    with pytest.raises(GradientError, match="changed in place"):
        grad(gw.sum(), v)


def test_change_of_what_is_not_saved_is_allowed(x):
    y = x + 1
    z = (y * 2).sum()
    with minicnn.no_grad():
        y.copy_(0)
        x.copy_(0)
    z.backward()
    assert x.grad.tolist() == [2, 2, 2]


def test_factor_of_a_number_or_constant_is_not_saved(x):
    constant = minicnn.tensor([1.0, 2.0, 3.0], dtype="float64")
    y = x * 1
    z = (y * constant / 2).sum()
    with minicnn.no_grad():
        y.copy_(0)
    z.backward()
    assert x.grad.tolist() == [0.5, 1, 1.5]


def test_change_after_the_pass_is_allowed(x):
    z = (x * x).sum()
    z.backward()
    with minicnn.no_grad():
        x.copy_(x - 0.5 * x.grad)
    (x * x).sum().backward()
    assert x.tolist() == [0, 0, 0]


def test_plain_constants_may_be_saved_and_numbers_too(x):
    y = Tensor(backend.asarray(np.array([2.0, 3.0, 4.0])))
    (x * y * 2.0).sum().backward()
    assert x.grad.tolist() == [4, 6, 8]
