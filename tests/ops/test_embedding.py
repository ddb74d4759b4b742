"""Embedding: rows that are taken, gradients that add up, indices that are refused."""

from __future__ import annotations

import numpy as np
import pytest
import standin

import minicnn
from minicnn.errors import DTypeError, OptionError, ShapeError
from minicnn.ops.embedding import embedding


def table(rows=4, dimensions=3):
    values = np.arange(rows * dimensions, dtype=float).reshape(rows, dimensions)
    return minicnn.tensor(values, requires_grad=True)


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (2, 1, 2), (0,)])
@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_each_index_takes_its_row(shape, dtype, rng):
    indices = rng.integers(0, 4, shape).astype(dtype)
    y = embedding(minicnn.tensor(indices), table())
    np.testing.assert_array_equal(y.numpy(), np.arange(12.0).reshape(4, 3)[indices])


def test_gradients_of_a_row_taken_several_times_add_up():
    weight = table()
    y = embedding(minicnn.tensor([[1, 3], [1, 1]]), weight)
    y.backward(minicnn.tensor(np.arange(12.0).reshape(2, 2, 3)))
    expected = [[0, 0, 0], [0 + 6 + 9, 1 + 7 + 10, 2 + 8 + 11], [0, 0, 0], [3, 4, 5]]
    np.testing.assert_array_equal(weight.grad.numpy(), expected)


def test_first_and_second_derivatives(rng):
    weight = minicnn.tensor(rng.standard_normal((4, 2)), requires_grad=True)
    indices = minicnn.tensor([[1, 3, 1], [0, 1, 3]])
    assert minicnn.gradcheck(embedding, [indices, weight])
    assert minicnn.gradgradcheck(lambda i, w: embedding(i, w) ** 3, [indices, weight])


@pytest.mark.parametrize(
    ("index", "named"), [(4, "index 4 "), (-1, "index -1 "), (99, "index 99 ")]
)
def test_an_index_out_of_range_is_named(index, named):
    with pytest.raises(OptionError, match=f"embedding: {named}.*4 rows has 0 to 3"):
        embedding(minicnn.tensor([0, index, 2]), table())


def test_indices_of_floats_are_refused():
    with pytest.raises(DTypeError, match="integers, got float32"):
        embedding(minicnn.tensor([0.0, 1.0]), table())


def test_a_table_that_is_no_matrix_is_refused():
    with pytest.raises(ShapeError, match="table"):
        embedding(minicnn.tensor([0, 1]), minicnn.tensor([1.0, 2.0]))


@pytest.mark.standin
def test_the_check_reads_the_device_once_and_the_gradient_never(rng):
    indices, weight = minicnn.tensor([0, 1]), table()
    with standin.counting() as transfers:
        y = embedding(indices, weight)
    assert transfers.synchronizations == 1
    with standin.no_transfers():
        y.sum().backward()
