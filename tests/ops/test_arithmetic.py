"""Powers, sigmoids and options at their edges: zeros, tails, numbers of NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn import ops
from minicnn.errors import OptionError


def leaf(values):
    return minicnn.tensor(np.array(values, "float64"), requires_grad=True)


@pytest.mark.parametrize(
    ("exponent", "expected"), [(0, [0, 0, 0]), (1, [1, 1, 1]), (2, [0, 2, 4]), (3.0, [0, 3, 12])]
)
def test_a_power_has_its_slope_at_zero(exponent, expected):
    x = leaf([0, 1, 2])
    (x**exponent).sum().backward()
    assert x.grad.numpy().tolist() == expected
    assert minicnn.gradgradcheck(lambda a: a**exponent * a, [leaf([0, 1])])


def test_zero_to_a_power_has_no_slope_in_the_exponent():
    base, exponent = leaf([0, 0, 2]), leaf([0, 1, 2])
    (base**exponent).sum().backward()
    np.testing.assert_allclose(base.grad.numpy(), [0, 1, 4])
    np.testing.assert_allclose(exponent.grad.numpy(), [0, 0, 4 * np.log(2)])
    exponent = leaf([1, 2])
    (0.0**exponent).sum().backward()
    assert exponent.grad.numpy().tolist() == [0, 0]


def test_sigmoid_and_silu_keep_their_tails():
    x = np.array([-80, -20, -10, 0, 10, 800], "float64")
    exact = 1 / (1 + np.exp(-x))
    single = minicnn.tensor(x.astype("float32"))
    np.testing.assert_allclose(ops.sigmoid(single).numpy(), exact, rtol=1e-6)
    np.testing.assert_allclose(ops.silu(single).numpy(), x * exact, rtol=1e-6)
    ends = ops.sigmoid(minicnn.tensor([-np.inf, np.inf, np.nan])).numpy()
    np.testing.assert_array_equal(ends, [0, 1, np.nan])


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * np.float64(2),
        lambda x: ops.clip(x, np.float64(0), None),
        lambda x: ops.elu(x, np.float64(0.5)),
        lambda x: ops.leaky_relu(x, np.float64(0)),
        lambda x: ops.huber_loss(x, x, delta=np.float64(0.3)),
    ],
)
def test_numbers_of_numpys_do_not_widen(function):
    assert function(minicnn.tensor([1.0, -2.0])).dtype == "float32"


def test_softplus_refuses_a_beta_of_zero():
    with pytest.raises(OptionError, match="beta must not be 0"):
        ops.softplus(minicnn.tensor([1.0]), 0.0)


@pytest.mark.host
def test_a_tensor_has_the_machines_order_of_bytes():
    values = np.arange(3, dtype="f4").astype(np.dtype("f4").newbyteorder())
    found = minicnn.Tensor(values)
    assert found.dtype == "float32"
    assert found.dtype.isnative
    assert found.sum().item() == ops.sum(values).item() == 3
