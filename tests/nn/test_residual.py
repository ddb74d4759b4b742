"""Residual: what a body gives plus what goes around it."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.autograd import gradcheck
from minicnn.errors import ShapeError


def images(*shape):
    values = np.random.default_rng(4).normal(size=shape)
    return minicnn.tensor(values, requires_grad=True)


def test_the_input_is_added_to_what_the_body_gives():
    x = images(2, 3)
    body = nn.Linear(3, 3, rng=0).to("float64")
    np.testing.assert_allclose(nn.Residual(body)(x).numpy(), x.numpy() + body(x).numpy())


def test_a_body_of_zeros_passes_values_and_gradients_on():
    x = images(2, 4, 4, 3)
    body = nn.Conv2d(3, 3, 3, padding="same", weight_init="zeros", bias_init="zeros", rng=0)
    y = nn.Residual(body.to("float64"))(x)
    np.testing.assert_array_equal(y.numpy(), x.numpy())
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.ones(x.shape))


def test_a_shortcut_takes_the_place_of_the_input():
    x = images(2, 3)
    body, shortcut = (nn.Linear(3, 5, rng=seed).to("float64") for seed in (0, 1))
    block = nn.Residual(body, shortcut)
    np.testing.assert_allclose(block(x).numpy(), body(x).numpy() + shortcut(x).numpy())
    names = [name for name, _ in block.named_parameters()]
    assert names == ["body.weight", "body.bias", "shortcut.weight", "shortcut.bias"]


def test_gradients_go_both_ways():
    body = nn.Sequential(nn.Linear(3, 3, rng=0), nn.Tanh()).to("float64")
    assert gradcheck(nn.Residual(body), [images(2, 3)])


@pytest.mark.parametrize("shape", [(2, 1), (2, 5)])
def test_shapes_that_differ_are_refused_and_not_broadcast(shape):
    block = nn.Residual(nn.Linear(shape[1], 3, rng=0).to("float64"))
    with pytest.raises(ShapeError, match=r"the body gives \(2, 3\), the way around it \(2, "):
        block(images(*shape))
