"""Matrix products for every combination of shapes that NumPy takes, and the linear map."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import minicnn
from minicnn import backend
from minicnn.autograd import gradcheck
from minicnn.errors import ShapeError
from minicnn.ops import linalg, linear, matmul

MATMUL = npst.mutually_broadcastable_shapes(
    signature="(n?,k),(k,m?)->(n?,m?)", max_dims=2, max_side=3
)


def leaf(shape, seed):
    values = np.random.default_rng(seed).normal(size=shape)
    return minicnn.tensor(values, requires_grad=True)


@given(MATMUL)
def test_matmul_has_the_values_and_shapes_of_numpy_and_right_gradients(drawn):
    x, y = (leaf(shape, seed) for seed, shape in enumerate(drawn.input_shapes))
    found = matmul(x, y)
    assert found.shape == drawn.result_shape
    np.testing.assert_allclose(found.numpy(), x.numpy() @ y.numpy(), rtol=1e-12, atol=1e-14)
    assert gradcheck(matmul, [x, y])


def test_operators_take_tensors_and_arrays_on_both_sides():
    x, y = leaf((2, 3), 0), leaf((3, 2), 1)
    expected = x.numpy() @ y.numpy()
    for found in (x @ y, x @ y.data, x.data @ y, x.matmul(y)):
        np.testing.assert_array_equal(found.numpy(), expected)
        assert found.requires_grad


def test_matrices_without_rows_or_without_length():
    assert (leaf((0, 3), 0) @ leaf((3, 2), 0)).shape == (0, 2)
    x, y = leaf((2, 0), 0), leaf((0, 3), 0)
    (x @ y).sum().backward()
    assert (x @ y).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert (x.grad.shape, y.grad.shape) == ((2, 0), (0, 3))


@given(st.lists(st.integers(1, 3), max_size=2), st.integers(1, 3), st.integers(1, 3), st.booleans())
def test_linear_is_a_product_and_a_bias_for_rows_of_any_number_of_axes(rows, k, m, biased):
    x, w, b = leaf((*rows, k), 0), leaf((k, m), 1), leaf((m,), 2) if biased else None
    found = linear(x, w, b)
    expected = x.numpy() @ w.numpy() + (b.numpy() if biased else 0)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    assert gradcheck(linear, [x, w, b] if biased else [x, w])


def test_gradients_of_linear_are_single_products_without_copied_transposes(monkeypatch):
    x, w, b = leaf((4, 3), 0), leaf((3, 2), 1), leaf((2,), 2)
    y, products = linear(x, w, b), []
    product = linalg.product

    def watched(a, c):
        products.append((a.shape, c.shape, a.strides, c.strides))
        return product(a, c)

    monkeypatch.setattr(linalg, "product", watched)
    y.backward(backend.asarray(np.ones((4, 2))))
    assert products == [
        ((4, 2), (2, 3), (16, 8), (8, 16)),  # gy @ w.T
        ((3, 4), (4, 2), (8, 24), (16, 8)),  # x.T @ gy
    ]


def test_shapes_that_clash_are_both_named():
    with pytest.raises(ShapeError, match=r"matmul: shapes \(2, 3\) and \(2, 4\): rows of 3"):
        leaf((2, 3), 0) @ leaf((2, 4), 0)
    with pytest.raises(ShapeError, match=r"use \* for numbers"):
        leaf((2, 3), 0) @ 2.0
    with pytest.raises(ShapeError, match=r"linear: the weights \(4, 2\) take rows of 4"):
        linear(leaf((2, 3), 0), leaf((4, 2), 0))


@pytest.mark.parametrize("sizes", [(3, 4, 0), (3, 0, 2), (0, 4, 2), (200, 4, 0)])
def test_the_linear_map_of_nothing_has_gradients_of_zero(sizes):
    rows, inputs, outputs = sizes
    x, w, b = (leaf(shape, 0) for shape in ((rows, inputs), (inputs, outputs), (outputs,)))
    linear(x, w, b).sum().backward()
    for each in (x, w, b):
        assert each.grad.shape == each.shape
    assert not backend.to_numpy(x.grad.data).any() or outputs
    assert not backend.to_numpy(w.grad.data).any() or rows
    assert b.grad.tolist() == [rows] * outputs
