"""Check the composed maps against the products of Keras's 3x3 matrices."""

import numpy as np
import pytest

from minicnn.data.affine import affine_matrices

pytestmark = pytest.mark.host


def keras_matrix(height, width, theta, tx, ty, shear, zx, zy):
    """Multiply as ``apply_affine_transform`` and ``transform_matrix_offset_center`` do."""
    theta, shear = np.deg2rad(theta), np.deg2rad(shear)
    rotation = [[np.cos(theta), -np.sin(theta), 0], [np.sin(theta), np.cos(theta), 0], [0, 0, 1]]
    shift = [[1, 0, tx], [0, 1, ty], [0, 0, 1]]
    skew = [[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1]]
    zoom = [[zx, 0, 0], [0, zy, 0], [0, 0, 1]]
    o_x, o_y = height / 2 - 0.5, width / 2 - 0.5
    offset = [[1, 0, o_x], [0, 1, o_y], [0, 0, 1]]
    reset = [[1, 0, -o_x], [0, 1, -o_y], [0, 0, 1]]
    product = np.eye(3)
    for factor in (offset, rotation, shift, skew, zoom, reset):
        product = product @ np.array(factor)
    return product


def composed(height, width, **values):
    names = ("rotation", "row_shift", "column_shift", "shear", "row_zoom", "column_zoom")
    standard = {name: 1.0 if "zoom" in name else 0.0 for name in names}
    return affine_matrices(
        height, width, **{name: np.atleast_1d(value) for name, value in (standard | values).items()}
    )


def test_equals_the_product_of_keras_matrices(rng):
    n, height, width = 20, 48, 31
    rotation, shear = rng.uniform(-180, 180, (2, n))
    row_shift, column_shift = rng.uniform(-20, 20, (2, n))
    row_zoom, column_zoom = rng.uniform(0.5, 1.5, (2, n))
    found = affine_matrices(
        height,
        width,
        rotation=rotation,
        row_shift=row_shift,
        column_shift=column_shift,
        shear=shear,
        row_zoom=row_zoom,
        column_zoom=column_zoom,
    )
    values = (rotation, row_shift, column_shift, shear, row_zoom, column_zoom)
    expected = [keras_matrix(height, width, *each)[:2] for each in zip(*values, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_without_any_change_it_is_the_identity():
    np.testing.assert_array_equal(composed(48, 31)[0], [[1, 0, 0], [0, 1, 0]])


def test_a_negative_zoom_mirrors_after_the_rest_as_keras_flips(rng):
    values = dict(
        zip(("rotation", "row_shift", "column_shift", "shear"), (20.0, 3.0, -2.0, 9.0), strict=True)
    )
    plain = composed(6, 9, **values, row_zoom=0.8, column_zoom=1.3)[0]
    flipped = composed(6, 9, **values, row_zoom=0.8, column_zoom=-1.3)[0]
    for row, column in rng.uniform(0, 6, (5, 2)):
        # Keras reads the finished picture backwards: column 8 - c of it is shown at c.
        np.testing.assert_allclose(flipped @ (row, column, 1), plain @ (row, 8 - column, 1))


def test_signs_are_those_of_keras():
    # The map leads from an output pixel to where its value is read.
    centre = np.array([2.5, 2.5, 1.0])
    np.testing.assert_allclose(composed(6, 6, row_shift=2.0)[0] @ centre, [4.5, 2.5])
    np.testing.assert_allclose(composed(6, 6, column_shift=2.0)[0] @ centre, [2.5, 4.5])
    np.testing.assert_allclose(composed(6, 6, rotation=90.0)[0] @ (2.5, 3.5, 1), [1.5, 2.5])
    np.testing.assert_allclose(composed(6, 6, row_zoom=2.0)[0] @ (3.5, 3.5, 1), [4.5, 3.5])
    np.testing.assert_allclose(composed(6, 6, shear=90.0)[0] @ (2.5, 3.5, 1), [1.5, 2.5])
