"""Reductions, softmax and indexing against PyTorch, on shapes and axes drawn at random."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import minicnn
from minicnn import ops

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

SHAPES = npst.array_shapes(min_dims=1, max_dims=4, max_side=4)


@st.composite
def reductions(draw):
    """Draw a shape, some of its axes, and whether they are kept."""
    shape = draw(SHAPES)
    axes = draw(st.sets(st.integers(-len(shape), len(shape) - 1), min_size=1))
    distinct = {axis % len(shape): axis for axis in axes}
    return shape, tuple(distinct.values()), draw(st.booleans())


def compare(ours, theirs, shape, ties=False):
    """Compare values, gradients and gradients of the squared gradients' sum."""
    rng = np.random.default_rng(len(shape))
    values = rng.integers(-2, 3, shape).astype(float) if ties else rng.normal(size=shape) * 3
    x, expected_x = minicnn.tensor(values, requires_grad=True), torch.tensor(values)
    expected_x.requires_grad_()
    y, expected = ours(x), theirs(expected_x)
    np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), rtol=1e-12, atol=1e-12)
    weights = rng.normal(size=y.shape)
    (gradient,) = minicnn.grad(y, x, minicnn.tensor(weights), create_graph=True)
    (wanted,) = torch.autograd.grad(expected, expected_x, torch.tensor(weights), create_graph=True)
    np.testing.assert_allclose(gradient.numpy(), wanted.detach().numpy(), rtol=1e-10, atol=1e-12)
    if not wanted.requires_grad:
        return
    (gradient**2).sum().backward()
    (wanted**2).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), expected_x.grad.numpy(), rtol=1e-9, atol=1e-10)


PAIRS = {
    "sum": (ops.sum, torch.sum),
    "mean": (ops.mean, torch.mean),
    "logsumexp": (ops.logsumexp, torch.logsumexp),
}


@pytest.mark.parametrize("name", PAIRS)
@settings(max_examples=40)
@given(reductions())
def test_smooth_reductions(name, drawn):
    ours, theirs = PAIRS[name]
    shape, axes, keep = drawn
    compare(
        lambda x: ours(x, axes, keepdims=keep),
        lambda x: theirs(x, dim=axes, keepdim=keep),
        shape,
    )


@pytest.mark.parametrize(("ours", "theirs"), [(ops.max, torch.amax), (ops.min, torch.amin)])
@settings(max_examples=40)
@given(reductions())
def test_extrema_with_ties(ours, theirs, drawn):
    shape, axes, keep = drawn
    values = np.random.default_rng(len(shape)).integers(-2, 3, shape).astype(float)
    x, expected_x = minicnn.tensor(values, requires_grad=True), torch.tensor(values)
    expected_x.requires_grad_()
    y, expected = ours(x, axes, keep), theirs(expected_x, dim=axes, keepdim=keep)
    y.sum().backward()
    expected.sum().backward()
    np.testing.assert_array_equal(y.numpy(), expected.detach().numpy())
    np.testing.assert_allclose(x.grad.numpy(), expected_x.grad.numpy(), rtol=1e-14)


@pytest.mark.parametrize(("ours", "theirs"), [(ops.var, torch.var), (ops.std, torch.std)])
@settings(max_examples=40)
@given(reductions(), st.sampled_from([0, 1, 2]))
def test_variance_and_standard_deviation(ours, theirs, drawn, correction):
    shape, axes, keep = drawn
    count = np.prod([shape[axis] for axis in axes])
    if count <= max(correction, 1):  # PyTorch gives NaN, and a NaN gradient of a deviation of 0
        return
    compare(
        lambda x: ours(x, axes, correction=correction, keepdims=keep),
        lambda x: theirs(x, dim=axes, correction=correction, keepdim=keep),
        shape,
    )


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@settings(max_examples=40)
@given(SHAPES, st.data())
def test_softmax(name, shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    compare(lambda x: getattr(ops, name)(x, axis), lambda x: getattr(x, name)(axis), shape)


@settings(max_examples=60)
@given(npst.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=4), st.data())
def test_arrays_of_positions(shape, data):
    block = data.draw(npst.array_shapes(max_dims=2, max_side=3))
    first, second = (
        data.draw(npst.arrays(np.int64, block, elements=st.integers(-size, size - 1)))
        for size in shape[:2]
    )
    compare(lambda x: x[first] ** 2, lambda x: x[torch.tensor(first)] ** 2, shape)
    compare(
        lambda x: x[first, second].exp(),
        lambda x: x[torch.tensor(first), torch.tensor(second)].exp(),
        shape,
    )


@settings(max_examples=60)
@given(
    npst.mutually_broadcastable_shapes(signature="(n?,k),(k,m?)->(n?,m?)", max_dims=2, max_side=3)
)
def test_matrix_products(drawn):
    rng = np.random.default_rng(0)
    first, second = (rng.normal(size=shape) for shape in drawn.input_shapes)
    other, constant = minicnn.tensor(second), torch.tensor(second)
    compare(lambda x: (x @ other) ** 2, lambda x: (x @ constant) ** 2, first.shape)
    other, constant = minicnn.tensor(first), torch.tensor(first)
    compare(lambda y: (other @ y) ** 2, lambda y: (constant @ y) ** 2, second.shape)
