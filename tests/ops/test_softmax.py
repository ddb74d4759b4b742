"""Softmax: what it is at the edges, its axis, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn.errors import DTypeError, ShapeError
from minicnn.ops import log_softmax, softmax


def leaf(values):
    return minicnn.tensor(np.array(values, np.float64), requires_grad=True)


def test_rows_of_the_last_axis_sum_to_one():
    x = leaf(np.random.default_rng(0).normal(size=(4, 5)) * 10)
    y = softmax(x)
    np.testing.assert_allclose(y.numpy().sum(axis=-1), 1, rtol=1e-14)
    np.testing.assert_allclose(log_softmax(x).numpy(), np.log(y.numpy()), rtol=1e-12)
    np.testing.assert_array_equal(x.softmax(axis=0).numpy(), softmax(x, -2).numpy())
    np.testing.assert_array_equal(x.log_softmax(axis=1).numpy(), log_softmax(x).numpy())


def test_huge_and_infinite_logits():
    x = leaf([[1e300, 0.0, -1e300], [0.0, -np.inf, 0.0]])
    np.testing.assert_array_equal(softmax(x).numpy(), [[1, 0, 0], [0.5, 0, 0.5]])
    y = log_softmax(leaf([1000.0, 0.0]))
    assert y.tolist() == [0, -1000]  # where the logarithm of the softmax would be -inf


def test_gradient_of_the_log_softmax_of_a_label_is_the_known_one():
    z = leaf([[0.5, -1.0, 2.0]])
    (-log_softmax(z)[0, 1]).backward()
    expected = softmax(z).numpy() - [[0, 1, 0]]
    np.testing.assert_allclose(z.grad.numpy(), expected, rtol=1e-14)


@pytest.mark.parametrize("function", [softmax, log_softmax])
def test_what_does_not_fit_is_refused(function):
    with pytest.raises(ShapeError, match="axis 2 is out of range for a tensor of 2 axes"):
        function(leaf([[1.0]]), axis=2)
    with pytest.raises(ShapeError, match="0 axes"):
        function(leaf(1.0))
    with pytest.raises(DTypeError, match="astype"):
        function(minicnn.tensor([1, 2]))
