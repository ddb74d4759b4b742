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


def test_the_norm_and_the_multiple_of_a_product_are_those_of_the_whole(rng):
    x, y = (backend.asarray(rng.standard_normal(shape)) for shape in ((30, 5), (5, 40)))
    product = Product(x, y)
    whole = backend.to_numpy(product.whole())
    np.testing.assert_allclose(product.squared_norm(), (whole**2).sum(), rtol=1e-12)
    found = backend.to_numpy(product.scaled(-0.3).whole())
    np.testing.assert_allclose(found, -0.3 * whole, rtol=1e-12)


def test_the_norm_of_a_product_whose_terms_cancel_has_the_digits_of_its_type(rng):
    # Two terms of about 300 in every number, whose sum is about 1.
    x, y = rng.standard_normal((500, 1)), rng.standard_normal((1, 400))
    x = np.hstack([x, x + 1 / 300 * rng.standard_normal(x.shape)]).astype("float32")
    y = np.vstack([300 * y, -300 * y]).astype("float32")
    expected = ((x.astype("float64") @ y.astype("float64")) ** 2).sum()
    squares = Product(backend.asarray(x), backend.asarray(y)).squared_norm()
    np.testing.assert_allclose(squares, expected, rtol=1e-9)


def test_a_product_that_is_rounding_errors_or_more_than_its_type_holds_has_no_cheap_norm(rng):
    x, y = (rng.standard_normal(shape).astype("float32") for shape in ((30, 2), (2, 40)))

    def squares(x, y):
        return Product(backend.asarray(x), backend.asarray(y)).squared_norm()

    same = np.stack([y[0], -y[0]])
    assert squares(x[:, [0, 0]], same) is None  # exactly 0, or what rounding makes of it
    assert squares(x[:, [0, 0]] + np.float32(1e-6) * x, same) is None
    assert squares(x[:, [0, 0]] + np.float32(1e-2) * x, same) is not None
    assert squares(x * np.float32(1e10), y * np.float32(1e10)) is None
    assert squares(x * np.float32(1e-15), y * np.float32(1e-15)) > 0
    assert squares(0 * x, y) == 0
    for wrong in (np.nan, np.inf):
        x[0, 0] = wrong
        assert squares(x, y) is None


@pytest.mark.host
@pytest.mark.parametrize(
    ("rows", "terms", "columns", "expected"),
    [
        (2000, 32, 2000, True),  # deep_dnn
        (2000, 64, 2000, True),
        (2000, 128, 2000, False),
        (2304, 32, 600, False),  # plain_dnn: stays in the cache
        (10**6, 32, 7, False),
    ],
)
def test_the_norm_of_huge_products_of_few_terms_is_cheap(rows, terms, columns, expected):
    product = Product(zeros((rows, terms)), zeros((terms, columns)))
    assert product.has_cheap_norm() is expected


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
