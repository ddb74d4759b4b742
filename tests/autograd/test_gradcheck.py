"""The gradient checks accept right gradients, reject slightly wrong ones, and say where."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn import backend
from minicnn.autograd import Cost, Operation, Sample, Tensor, gradcheck, gradgradcheck
from minicnn.autograd.operation import OPERATIONS
from minicnn.errors import DTypeError, GradientError


@pytest.fixture
def square():
    """Return a function that makes an operation x^2 whose gradient has a factor of our choice."""

    def make(slope, forget=False):
        OPERATIONS.pop("faulty_square", None)

        class Square(Operation, name="faulty_square"):
            samples = (Sample(((3,),)),)
            errors = ()

            def shape(x):
                return x

            def cost(x):
                return Cost()

            def reference(x):
                return x * x

            def forward(ctx, x):
                ctx.save(x)
                return x * x

            def backward(ctx, gy):
                (x,) = ctx.saved
                return gy * (slope * (x.detach() if forget else x))

        return Square.apply

    yield make
    OPERATIONS.pop("faulty_square", None)


@pytest.fixture
def x():
    return minicnn.tensor(np.array([[0.5, -1.0], [2.0, 3.0]]), requires_grad=True)


def test_right_gradients_pass(x, square):
    assert gradcheck(square(2), [x])
    assert gradgradcheck(square(2), [x])


@pytest.mark.parametrize("slope", [2.001, 1.999, 2.0001, -2, 0])
def test_slightly_wrong_gradient_is_rejected(x, square, slope):
    with pytest.raises(GradientError, match=r"the gradient is .* the difference quotient"):
        gradcheck(square(slope), [x])
    assert not gradcheck(square(slope), [x], raise_exception=False)


def test_message_names_input_element_and_both_values(square):
    other = minicnn.tensor(np.array([1.0]), requires_grad=True)
    x = minicnn.tensor(np.array([0.0, 0.0, 3.0]), requires_grad=True)
    wrong = square(4)
    with pytest.raises(GradientError, match=r"input 1, element \(2,\).*1 of 3 elements") as caught:
        gradcheck(lambda other, x: other * 2 + wrong(x), [other, x])
    assert "\n" not in str(caught.value)


def test_second_gradient_that_forgets_an_input_is_rejected(x, square):
    assert gradcheck(square(2, forget=True), [x])
    with pytest.raises(GradientError):
        gradgradcheck(square(2, forget=True), [x])


def test_missing_gradient_counts_as_zero(x):
    y = minicnn.tensor(np.array([1.0]), requires_grad=True)
    assert gradcheck(lambda x, y: x * 2, [x, y])
    with pytest.raises(GradientError, match="input 0"):
        gradcheck(lambda x, y: x.detach() * y, [x, y])


def test_several_outputs_and_other_arguments_are_taken(x):
    def function(x, power, constant):
        return [x**power, (x * constant).sum()]

    constant = minicnn.tensor(np.array([1.0, 2.0]))
    assert gradcheck(function, [x, 3, constant])
    assert gradgradcheck(function, [x, 3, constant])


def test_inputs_have_their_values_and_no_gradient_afterwards(x):
    before = x.numpy().copy()
    gradcheck(lambda x: x.exp(), [x])
    gradgradcheck(lambda x: x.exp(), [x])
    np.testing.assert_array_equal(x.numpy(), before)
    assert x.grad is None


def test_values_come_back_after_an_error(x):
    calls = []

    def function(x):
        calls.append(1)
        if len(calls) == 4:
            raise ZeroDivisionError
        return x * 2

    before = x.numpy().copy()
    with pytest.raises(ZeroDivisionError):
        gradcheck(function, [x])
    np.testing.assert_array_equal(x.numpy(), before)


def test_strided_inputs_are_checked_where_they_lie():
    room = backend.asarray(np.arange(12.0).reshape(3, 4))
    x = Tensor(room[::2, ::-3], requires_grad=True)
    assert gradcheck(lambda x: x * x, [x])


def test_float32_is_refused():
    with pytest.raises(DTypeError, match="float64"):
        gradcheck(lambda x: x * 2, [minicnn.tensor([1.0], requires_grad=True)])


def test_nothing_to_check_is_refused(x):
    with pytest.raises(GradientError, match="requires_grad"):
        gradcheck(lambda x: x, [x.detach()])
    with pytest.raises(GradientError, match="do not depend"):
        gradcheck(lambda x: x.detach() * 2, [x])


def test_a_single_tensor_stands_for_a_list_of_one():
    x = minicnn.tensor([0.3, -1.2], dtype="float64", requires_grad=True)
    assert gradcheck(lambda x: x.tanh(), x)
    assert gradgradcheck(lambda x: x.tanh(), x)


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_a_function_that_gives_no_tensor_is_named(check):
    x = minicnn.tensor([0.3], dtype="float64", requires_grad=True)
    with pytest.raises(TypeError, match="must return Tensors, it gave a float"):
        check(lambda x: 3.0, [x])
