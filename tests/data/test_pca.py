"""Principal components: problem sheet 1's figures, the eigenvectors of the covariance, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.data.pca import principal_components
from minicnn.errors import OptionError, ShapeError

pytestmark = pytest.mark.host

POINTS = [
    *[(1, 2, 3), (4, 8, 5), (3, 12, 9), (1, 8, 5), (5, 14, 2)],
    *[(7, 4, 1), (9, 8, 9), (3, 8, 1), (11, 5, 6), (10, 11, 7)],
]


def test_axes_projections_and_error_of_problem_sheet_1():
    found = principal_components(POINTS, 2)
    np.testing.assert_allclose(found.axes[0], (0.6166, 0.5888, 0.5226), atol=5e-5)
    np.testing.assert_allclose(found.axes[1], (-0.6782, 0.7344, -0.0273), atol=5e-5)
    projections = found.project(POINTS)
    np.testing.assert_allclose(projections[0], (-7.18658682, -1.37323947), atol=5e-9)
    np.testing.assert_allclose(projections[9], (5.75249521, -0.97648096), atol=5e-9)
    assert found.error(POINTS) == pytest.approx(5.472, abs=5e-4)


@given(
    n=st.integers(2, 12),
    d=st.integers(1, 5),
    seed=st.integers(0, 1000),
    data=st.data(),
)
def test_axes_are_eigenvectors_of_the_covariance_and_the_error_is_the_rest(n, d, seed, data):
    k = data.draw(st.integers(1, min(n, d)))
    points = np.random.default_rng(seed).normal(3, 2, (n, d))
    found = principal_components(points, k)
    covariance = np.cov(points.T, bias=True).reshape(d, d)
    values = np.linalg.eigvalsh(covariance)[::-1]
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(k), atol=1e-12)
    np.testing.assert_allclose(
        covariance @ found.axes.T, found.axes.T * found.variances, atol=1e-10
    )
    np.testing.assert_allclose(found.variances, values[:k], atol=1e-10)
    assert found.error(points) == pytest.approx(values[k:].sum(), abs=1e-10)
    assert (found.axes[np.arange(k), np.abs(found.axes).argmax(axis=1)] > 0).all()


def test_with_all_components_the_points_come_back():
    found = principal_components(POINTS, 3)
    np.testing.assert_allclose(found.reconstruct(found.project(POINTS)), POINTS, atol=1e-12)


@pytest.mark.parametrize(
    ("points", "components", "error", "message"),
    [
        ([1.0, 2.0], 1, ShapeError, r"expected points \(N, D\), got \(2,\)"),
        (np.zeros((0, 3)), 1, ShapeError, r"got \(0, 3\)"),
        (POINTS, 0, OptionError, "1 to 3 components, got 0"),
        (POINTS, 4, OptionError, "1 to 3 components, got 4"),
        ([[1.0, np.nan]], 1, OptionError, "finite"),
    ],
)
def test_what_has_no_components_is_refused(points, components, error, message):
    with pytest.raises(error, match=message):
        principal_components(points, components)
