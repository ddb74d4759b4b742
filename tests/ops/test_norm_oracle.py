"""Norms against PyTorch, on shapes and options that hypothesis draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn
from minicnn.ops import norm

pytestmark = pytest.mark.oracle

SIZES = st.integers(1, 4)
SEEDS = st.integers(0, 2**32 - 1)
EPSILONS = st.sampled_from([1e-5, 1e-3, 0.1])


class Case:
    """Random inputs, made for both libraries."""

    def __init__(self, seed, dtype):
        self.rng = np.random.default_rng(seed)
        self.dtype = dtype
        self.pairs = []

    def draw(self, shape, *, wanted=True, low=-2.0, high=2.0):
        """Return a minicnn Tensor and the same numbers as a tensor of PyTorch."""
        import torch

        if not wanted:
            return None, None
        values = self.rng.uniform(low, high, shape).astype(self.dtype)
        pair = minicnn.tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
        self.pairs.append(pair)
        return pair

    def compare(self, ours, theirs):
        """Compare two outputs and, for a random gradient of them, the gradients of all inputs."""
        import torch

        tolerance = {"rtol": 1e-9, "atol": 1e-9}
        if self.dtype == "float32":
            tolerance = {"rtol": 2e-3, "atol": 2e-3}
        np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), **tolerance)
        gy = self.rng.standard_normal(ours.shape).astype(self.dtype)
        ours.backward(minicnn.tensor(gy))
        theirs.backward(torch.tensor(gy))
        for mine, other in self.pairs:
            np.testing.assert_allclose(mine.grad.numpy(), other.grad.numpy(), **tolerance)


def channels_first(tensor):
    return tensor.movedim(-1, 1)


def channels_last(tensor):
    return tensor.movedim(1, -1)


@settings(max_examples=150)
@given(
    seed=SEEDS,
    sizes=st.lists(SIZES, min_size=1, max_size=4).filter(lambda sizes: math.prod(sizes) > 2),
    channels=st.integers(1, 6),
    affine=st.tuples(st.booleans(), st.booleans()),
    momentum=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    eps=EPSILONS,
    dtype=st.sampled_from(["float64", "float64", "float32"]),
    training=st.booleans(),
)
def test_batch_norm(seed, sizes, channels, affine, momentum, eps, dtype, training):
    import torch

    case = Case(seed, dtype)
    x, their_x = case.draw((*sizes, channels))
    weight, their_weight = case.draw(channels, wanted=affine[0])
    bias, their_bias = case.draw(channels, wanted=affine[1])
    mean = case.rng.standard_normal(channels).astype(dtype)
    variance = case.rng.uniform(0.5, 2, channels).astype(dtype)
    their_mean, their_variance = torch.tensor(mean), torch.tensor(variance)
    options = {"training": training, "momentum": momentum, "eps": eps}
    ours = norm.batch_norm(x, mean, variance, weight, bias, **options)
    theirs = torch.nn.functional.batch_norm(
        channels_first(their_x), their_mean, their_variance, their_weight, their_bias, **options
    )
    case.compare(ours, channels_last(theirs))
    np.testing.assert_allclose(mean, their_mean.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(variance, their_variance.numpy(), rtol=1e-5, atol=1e-6)


@settings(max_examples=100)
@given(
    seed=SEEDS,
    sizes=st.lists(SIZES, min_size=1, max_size=4),
    axes=st.integers(1, 4),
    affine=st.tuples(st.booleans(), st.booleans()),
    eps=EPSILONS,
    dtype=st.sampled_from(["float64", "float64", "float32"]),
)
def test_layer_norm(seed, sizes, axes, affine, eps, dtype):
    import torch

    last = tuple(sizes[-axes:])
    if math.prod(last) < 2:
        last = (*last[:-1], 3)
    case = Case(seed, dtype)
    x, their_x = case.draw((*sizes[: len(sizes) - len(last)], *last))
    weight, their_weight = case.draw(last, wanted=affine[0])
    bias, their_bias = case.draw(last, wanted=affine[1])
    ours = norm.layer_norm(x, last, weight, bias, eps=eps)
    theirs = torch.nn.functional.layer_norm(their_x, last, their_weight, their_bias, eps)
    case.compare(ours, theirs)


@settings(max_examples=100)
@given(
    seed=SEEDS,
    batch=SIZES,
    positions=st.lists(SIZES, min_size=1, max_size=3),
    groups=SIZES,
    per_group=st.integers(2, 3),
    affine=st.sampled_from(
        [(True, True), (True, False), (False, False)]
    ),  # PyTorch fails on a bias alone
    eps=EPSILONS,
    dtype=st.sampled_from(["float64", "float64", "float32"]),
)
def test_group_norm(seed, batch, positions, groups, per_group, affine, eps, dtype):
    import torch

    channels = groups * per_group
    case = Case(seed, dtype)
    x, their_x = case.draw((batch, *positions, channels))
    weight, their_weight = case.draw(channels, wanted=affine[0])
    bias, their_bias = case.draw(channels, wanted=affine[1])
    ours = norm.group_norm(x, groups, weight, bias, eps=eps)
    theirs = torch.nn.functional.group_norm(
        channels_first(their_x), groups, their_weight, their_bias, eps
    )
    case.compare(ours, channels_last(theirs))


@settings(max_examples=30)
@given(seed=SEEDS, batch=SIZES, size=st.integers(2, 4), channels=SIZES)
def test_second_derivatives_of_batch_norm(seed, batch, size, channels):
    import torch

    case = Case(seed, "float64")
    x, their_x = case.draw((batch, size, channels))
    weight, their_weight = case.draw(channels)
    gy, their_gy = case.draw((batch, size, channels))
    ours = norm.batch_norm(x, None, None, weight, training=True, eps=0.1)
    (gx,) = minicnn.grad((ours * gy).sum(), x, create_graph=True)
    theirs = torch.nn.functional.batch_norm(
        channels_first(their_x), None, None, their_weight, training=True, eps=0.1
    )
    (their_gx,) = torch.autograd.grad(
        (channels_last(theirs) * their_gy).sum(), their_x, create_graph=True
    )
    case.compare(gx, their_gx)
