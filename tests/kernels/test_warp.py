"""Check the affine warp against textbook loops, NumPy's own moves, and SciPy."""

import importlib.util
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn import backend
from minicnn.errors import BackendError, DTypeError, OptionError, ShapeError
from minicnn.kernels import warp
from minicnn.kernels.warp import FILL_MODES, affine_warp

FILL = 77.0


def warped(images, matrices, **options):
    result = affine_warp(backend.asarray(images), backend.asarray(np.asarray(matrices)), **options)
    return backend.to_numpy(result)


def matrix(row=(1, 0, 0), column=(0, 1, 0), count=1):
    return np.array([[row, column]] * count, dtype=np.float64)


def neighbour(image, row, column, mode):
    """Return a pixel at whole coordinates anywhere, by walking back into the image."""
    place = []
    for i, size in ((row, image.shape[0]), (column, image.shape[1])):
        if mode == "constant" and not 0 <= i < size:
            return np.full(image.shape[2], FILL)
        while not 0 <= i < size:
            if mode == "nearest":
                i = 0 if i < 0 else size - 1
            elif mode == "wrap":
                i += size if i < 0 else -size
            else:  # the mirrors stand before the first and behind the last pixel
                i = -1 - i if i < 0 else 2 * size - 1 - i
        place.append(i)
    return image[tuple(place)].astype(np.float64)


def textbook_warp(images, matrices, mode, size=None):
    n, *shape, c = images.shape
    result = np.zeros((n, *(size or shape), c))
    for n, r, c in np.ndindex(result.shape[:3]):
        y, x = matrices[n] @ (r, c, 1.0)
        i, j = math.floor(y), math.floor(x)
        for di, wi in ((0, 1 - (y - i)), (1, y - i)):
            for dj, wj in ((0, 1 - (x - j)), (1, x - j)):
                result[n, r, c] += wi * wj * neighbour(images[n], i + di, j + dj, mode)
    return result


@pytest.mark.parametrize("mode", FILL_MODES)
def test_equals_textbook_loops_at_random_matrices(mode, rng):
    images = rng.uniform(0, 255, (6, 5, 7, 2))
    matrices = rng.normal(0, 1, (6, 2, 3)) * (1, 1, 8)  # most of them lead far outside
    expected = textbook_warp(images, matrices, mode)
    found = warped(images, matrices, fill_mode=mode, fill_value=FILL)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("mode", FILL_MODES)
@pytest.mark.parametrize("size", [(3, 9), (8, 1), (1, 1)])
def test_what_comes_out_may_have_another_size(mode, size, rng):
    images = rng.uniform(0, 255, (6, 5, 7, 2))
    matrices = rng.normal(0, 1, (6, 2, 3)) * (1, 1, 8)
    found = warped(images, matrices, size=size, fill_mode=mode, fill_value=FILL)
    expected = textbook_warp(images, matrices, mode, size)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@given(
    height=st.integers(1, 4),
    width=st.integers(1, 4),
    mode=st.sampled_from(FILL_MODES),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_textbook_loops_at_small_sizes(height, width, mode, seed):
    rng = np.random.default_rng(seed)
    images = rng.uniform(0, 255, (2, height, width, 1))
    matrices = rng.normal(0, 1, (2, 2, 3)) * (1, 1, 3)
    expected = textbook_warp(images, matrices, mode)
    found = warped(images, matrices, fill_mode=mode, fill_value=FILL)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("mode", FILL_MODES)
def test_float32_of_uint8_stays_within_a_hundredth_of_a_grey_level(mode, rng):
    images = rng.integers(0, 256, (3, 12, 12, 1), dtype=np.uint8)
    matrices = rng.normal(0, 1, (3, 2, 3))
    expected = textbook_warp(images, matrices, mode)
    found = warped(images, matrices, fill_mode=mode, fill_value=FILL)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.01)


@pytest.mark.host
@pytest.mark.skipif(importlib.util.find_spec("scipy") is None, reason="SciPy is not installed")
@pytest.mark.parametrize("mode", FILL_MODES)
def test_equals_scipy(mode, rng):
    from scipy import ndimage

    images = rng.uniform(0, 255, (4, 9, 8, 1))
    matrices = rng.normal(0, 1, (4, 2, 3)) * (1, 1, 6)
    name = {"wrap": "grid-wrap", "constant": "grid-constant"}.get(mode, mode)
    expected = [
        ndimage.affine_transform(i[:, :, 0], m[:, :2], m[:, 2], order=1, mode=name, cval=FILL)
        for i, m in zip(images, matrices, strict=True)
    ]
    found = warped(images, matrices, fill_mode=mode, fill_value=FILL)[:, :, :, 0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("mode", FILL_MODES)
def test_identity_returns_the_picture(mode, rng):
    images = rng.integers(0, 256, (2, 6, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(warped(images, matrix(count=2), fill_mode=mode), images)


def test_whole_shift_equals_slicing(rng):
    images = rng.integers(0, 256, (1, 6, 7, 2), dtype=np.uint8)
    found = warped(images, matrix(row=(1, 0, 2), column=(0, 1, -3)))
    np.testing.assert_array_equal(found[:, :-2, 3:], images[:, 2:, :-3])


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("nearest", [1, 1, 1, 2, 3]),
        ("constant", [77, 77, 1, 2, 3]),
        ("reflect", [2, 1, 1, 2, 3]),
        ("wrap", [4, 5, 1, 2, 3]),
    ],
)
def test_fill_modes_are_as_keras_draws_them(mode, expected):
    row = np.array([1, 2, 3, 4, 5], dtype=np.uint8).reshape(1, 1, 5, 1)
    found = warped(row, matrix(column=(0, 1, -2)), fill_mode=mode, fill_value=FILL)
    assert found.ravel().tolist() == expected


def test_quarter_turn_equals_rot90(rng):
    images = rng.integers(0, 256, (1, 6, 6, 2), dtype=np.uint8)
    # rot90 puts pixel (c, 5 - r) at (r, c).
    found = warped(images, matrix(row=(0, 1, 0), column=(-1, 0, 5)))
    np.testing.assert_array_equal(found, np.rot90(images, axes=(1, 2)))


def test_negative_scales_equal_flips(rng):
    images = rng.integers(0, 256, (1, 6, 5, 1), dtype=np.uint8)
    found = warped(images, matrix(column=(0, -1, 4)))
    np.testing.assert_array_equal(found, images[:, :, ::-1])
    found = warped(images, matrix(row=(-1, 0, 5)))
    np.testing.assert_array_equal(found, images[:, ::-1])


def test_every_image_has_its_own_matrix(rng):
    images = np.repeat(rng.integers(0, 256, (1, 5, 5, 1), dtype=np.uint8), 3, axis=0)
    matrices = np.concatenate([matrix(), matrix(row=(1, 0, 1)), matrix(row=(1, 0, 2))])
    found = warped(images, matrices)
    np.testing.assert_array_equal(found[0], images[0])
    np.testing.assert_array_equal(found[1, :-1], images[0, 1:])
    np.testing.assert_array_equal(found[2, :-2], images[0, 2:])


@pytest.mark.parametrize("mode", FILL_MODES)
def test_block_size_does_not_change_bits(mode, rng, monkeypatch):
    images = rng.integers(0, 256, (7, 6, 5, 1), dtype=np.uint8)
    matrices = rng.normal(0, 1, (7, 2, 3))
    whole = warped(images, matrices, fill_mode=mode)
    monkeypatch.setattr(warp, "PIXELS_PER_BLOCK", 60)
    np.testing.assert_array_equal(warped(images, matrices, fill_mode=mode), whole)


def test_inputs_are_unchanged_and_may_be_strided(rng):
    images = rng.uniform(0, 255, (4, 8, 6, 2))
    matrices = rng.normal(0, 1, (4, 2, 3))
    strided = backend.asarray(images)[::2, ::-1, 1:, :]
    moved = backend.asarray(matrices)[::2]
    found = backend.to_numpy(affine_warp(strided, moved))
    expected = textbook_warp(images[::2, ::-1, 1:], matrices[::2], "nearest")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(backend.to_numpy(strided), images[::2, ::-1, 1:])
    np.testing.assert_array_equal(backend.to_numpy(moved), matrices[::2])


def test_no_images_give_no_images():
    assert warped(np.zeros((0, 4, 4, 1), np.uint8), np.zeros((0, 2, 3))).shape == (0, 4, 4, 1)


@pytest.mark.parametrize(
    ("shape", "matrices", "dtype", "options", "error", "match"),
    [
        ((2, 4, 4), (2, 2, 3), "uint8", {}, ShapeError, r"\(N, H, W, C\).*\(2, 4, 4\)"),
        ((2, 0, 4, 1), (2, 2, 3), "uint8", {}, ShapeError, "zero"),
        ((2, 4, 4, 1), (3, 2, 3), "uint8", {}, ShapeError, r"\(2, 2, 3\), got \(3, 2, 3\)"),
        ((2, 4, 4, 1), (2, 3, 3), "uint8", {}, ShapeError, r"got \(2, 3, 3\)"),
        ((2, 4, 4, 1), (2, 2, 3), "bool", {}, DTypeError, "bool"),
        ((2, 4, 4, 1), (2, 2, 3), "uint8", {"fill_mode": "mirror"}, OptionError, "'mirror'.*wrap"),
    ],
)
def test_refuses_what_it_cannot_warp(shape, matrices, dtype, options, error, match):
    with pytest.raises(error, match=match):
        warped(np.zeros(shape, dtype), np.zeros(matrices), **options)


@pytest.mark.standin
def test_arrays_of_two_backends_are_refused():
    with pytest.raises(BackendError, match="meet"):
        affine_warp(np.zeros((1, 4, 4, 1)), backend.asarray(matrix()))
