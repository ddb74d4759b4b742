"""Anomaly mode names the operation in which the first NaN arose, and finds unseen changes."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minicnn
from minicnn import backend
from minicnn.autograd import Tensor
from minicnn.errors import GradientError, NotANumberError

INF = math.inf


@pytest.fixture
def x():
    return minicnn.tensor([1.0, 2.0], requires_grad=True)


def test_first_nan_of_the_forward_pass_is_named_with_ranges_and_options(x):
    with minicnn.detect_anomaly(), np.errstate(all="ignore"):
        y = x * INF
        with pytest.raises(NotANumberError, match=r"subtract: .*arose here.*inf") as caught:
            (y - y).sum(axis=0)
    assert "\n" not in str(caught.value)


def test_options_of_the_operation_are_told():
    with minicnn.detect_anomaly(), np.errstate(all="ignore"):
        infinite = minicnn.tensor([[INF, 1.0]])
        with pytest.raises(NotANumberError, match=r"softmax: .*\(1, 2\).*'axis': 1"):
            infinite.softmax()


def test_nan_that_came_in_is_told_apart(x):
    with minicnn.detect_anomaly():
        with pytest.raises(NotANumberError, match=r"multiply: .*came in with an input"):
            x * Tensor(backend.asarray(np.array([1, np.nan], np.float32)))


@pytest.mark.parametrize("value", [0.0, -0.0])
def test_infinite_gradient_of_the_backward_pass_is_named(value):
    x = minicnn.tensor([1.0, value], requires_grad=True)
    with minicnn.detect_anomaly(), np.errstate(all="ignore"):
        y = x.sqrt().sum()
        with pytest.raises(NotANumberError, match=r"divide|sqrt"):
            y.backward()


def test_operation_that_hands_on_an_infinite_gradient_is_named(x):
    with minicnn.detect_anomaly():
        y = x * 2
        y.register_hook(lambda gradient: Tensor(gradient.data * backend.asarray(np.float32(INF))))
        with pytest.raises(NotANumberError, match=r"multiply: .*NaN or infinity for input 0"):
            y.sum().backward()


def test_change_that_only_a_checksum_can_see_is_found(x):
    with minicnn.detect_anomaly():
        z = (x * x).sum()
        x.data[0] = 5  # the tape was not told
        with pytest.raises(GradientError, match=r"multiply: .*changed in place"):
            z.backward()


def test_change_of_a_constant_is_found_by_checksum(x):
    constant = backend.asarray(np.array([3.0, 4.0], np.float32))
    with minicnn.detect_anomaly():
        z = (x * constant).sum()
        z.backward(retain_graph=True)
        constant[0] = 9
        with pytest.raises(GradientError, match=r"multiply: its input 1.*changed in place"):
            z.backward()
    assert x.grad.tolist() == [3, 4]


def test_nothing_is_checked_outside(x):
    with minicnn.detect_anomaly():
        pass
    with np.errstate(all="ignore"):
        y = x * INF
        (y - y).sum().backward()
    z = (x * x).sum()
    x.data[0] = 5
    z.backward()  # wrong, and unseen


def test_right_computations_pass(x):
    with minicnn.detect_anomaly():
        ((x * x).exp() * 0.5).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), x.numpy() * np.exp(x.numpy() ** 2), rtol=1e-6)


def test_a_nested_block_does_not_end_the_outer_one(x):
    with minicnn.detect_anomaly():
        with minicnn.detect_anomaly():
            pass
        with np.errstate(all="ignore"), pytest.raises(NotANumberError, match="log"):
            (x * -1).log()
