"""Products that are computed part by part, and which are worth it."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn import backend
from minicnn.kernels.matmul import Product, deferrable


def zeros(shape, dtype="float32"):
    return backend.asarray(np.zeros(shape, dtype))


@pytest.mark.parametrize(
    "part", [(0, 12), (0, 4), (4, 8), (3, 5), (5, 6), (2, 11), (11, 12), (0, 0), (12, 12)]
)
def test_any_part_of_a_product_is_that_of_the_whole(part, rng):
    x, y = (backend.asarray(rng.standard_normal(shape)) for shape in ((3, 5), (5, 4)))
    product = Product(x, y)
    assert product.shape == (3, 4)
    assert product.dtype == np.float64
    expected = backend.to_numpy(x) @ backend.to_numpy(y)
    np.testing.assert_allclose(backend.to_numpy(product.whole()), expected, rtol=1e-12)
    found = backend.to_numpy(product.part(slice(*part)))
    np.testing.assert_allclose(found, expected.reshape(-1)[slice(*part)], rtol=1e-12)


@pytest.mark.host
@pytest.mark.parametrize(
    ("rows", "terms", "columns", "dtype", "expected"),
    [
        (2304, 32, 600, "float32", True),  # plain_dnn
        (2304, 128, 820, "float32", True),  # avgpool_dnn
        (2304, 512, 820, "float32", False),  # the product is what takes time
        (2304, 32, 600, "float64", False),
        (600, 32, 7, "float32", False),  # small
        (10**5, 32, 7, "float32", False),  # a copy would be larger than the product
        (512, 1, 256, "float32", True),
        (512, 1, 255, "float32", False),
    ],
)
def test_large_products_of_few_terms_are_deferred(rows, terms, columns, dtype, expected):
    assert deferrable(zeros((rows, terms), dtype), zeros((terms, columns), dtype)) is expected


@pytest.mark.standin
def test_nothing_is_deferred_on_a_gpu():
    assert not deferrable(zeros((2304, 32)), zeros((32, 600)))
