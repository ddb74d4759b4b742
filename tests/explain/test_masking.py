"""Reading maps: scaling, the masked picture, and the share of a map's mass in a region."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn import backend, explain
from minicnn.autograd import Tensor
from minicnn.errors import DTypeError, OptionError, ShapeError


def host(array):
    return backend.to_numpy(array)


def test_each_map_is_scaled_from_its_own_lowest_to_its_highest_number(rng):
    maps = rng.standard_normal((3, 4, 5)) * [[[1]], [[100]], [[0.01]]]
    found = host(explain.scaled(backend.asarray(maps)))
    for scaled, map_ in zip(found, maps, strict=True):
        expected = (map_ - map_.min()) / (map_.max() - map_.min())
        np.testing.assert_allclose(scaled, expected, rtol=1e-12)


def test_with_a_percentile_a_few_outstanding_pixels_do_not_hide_the_others(rng):
    maps = rng.uniform(0, 1, (2, 10, 10))
    maps[:, 3, 3] = 1000
    found = host(explain.scaled(backend.asarray(maps), percentile=90))
    for scaled, map_ in zip(found, maps, strict=True):
        top = np.percentile(map_, 90)
        expected = np.minimum((map_ - map_.min()) / (top - map_.min()), 1)
        np.testing.assert_allclose(scaled, expected, rtol=1e-12)
        assert (scaled == 1).sum() == 10
    kept = explain.masked_picture(
        backend.asarray(rng.uniform(1, 2, (2, 10, 10, 1))), backend.asarray(maps), percentile=90
    )
    assert (np.ptp(host(kept), axis=(1, 2, 3)) > 0.5).all()


def test_of_several_channels_the_largest_number_counts(rng):
    maps = rng.uniform(0, 1, (2, 4, 5, 3))
    np.testing.assert_array_equal(
        host(explain.scaled(backend.asarray(maps))),
        host(explain.scaled(backend.asarray(maps.max(axis=3)))),
    )


def test_a_map_that_is_the_same_everywhere_becomes_zero():
    assert not host(explain.scaled(backend.asarray(np.full((1, 3, 3), 7.0)))).any()


def masked(image, map_, threshold):
    """Return the masked picture by a loop."""
    result = image.astype(np.float64)
    low, high = map_.min(), map_.max()
    for i, j in np.ndindex(*map_.shape):
        if (map_[i, j] - low) / (high - low) < threshold:
            result[i, j] = image.reshape(-1, image.shape[2]).mean(axis=0)
    return result


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
def test_pixels_below_the_threshold_become_the_pictures_mean(rng, threshold):
    images, maps = rng.standard_normal((2, 5, 4, 3)), rng.uniform(0, 3, (2, 5, 4))
    found = host(
        explain.masked_picture(
            backend.asarray(images), Tensor(backend.asarray(maps)), threshold=threshold
        )
    )
    for n in range(2):
        np.testing.assert_allclose(found[n], masked(images[n], maps[n], threshold), rtol=1e-12)


def test_a_picture_of_grey_levels_stays_one(rng):
    images = rng.integers(0, 256, (2, 6, 6, 1)).astype(np.uint8)
    maps = rng.uniform(0, 1, (2, 6, 6, 1))
    found = host(explain.masked_picture(backend.asarray(images), backend.asarray(maps)))
    assert found.dtype == np.uint8
    for n in range(2):
        expected = np.rint(masked(images[n], maps[n, :, :, 0], 0.5))
        np.testing.assert_array_equal(found[n], expected)


def test_pictures_and_maps_that_do_not_fit_are_refused(rng):
    images = backend.asarray(rng.uniform(size=(2, 6, 6, 1)))
    with pytest.raises(ShapeError, match=r"shape \(2, 6, 6\), one number for each pixel"):
        explain.masked_picture(images, images[:, :3])
    with pytest.raises(ShapeError, match=r"\(N, H, W, C\), got \(6, 6, 1\)"):
        explain.masked_picture(images[0], images)
    with pytest.raises(DTypeError, match="list"):
        explain.masked_picture([], images)
    with pytest.raises(OptionError, match="percentile: expected a number from 0 to 100"):
        explain.scaled(images, percentile=101)
    with pytest.raises(OptionError, match="threshold: expected a number from 0 to 1"):
        explain.masked_picture(images, images, threshold=1.5)


# The share of the mass.


def test_the_share_is_that_of_absolute_values_and_channels_add_up(rng):
    maps = rng.standard_normal((3, 6, 8, 2))
    found = explain.mass_share(backend.asarray(maps), (1, 4, 2, 7))
    expected = np.abs(maps[:, 1:4, 2:7]).sum(axis=(1, 2, 3)) / np.abs(maps).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(found.share, expected, rtol=1e-12)
    assert found.uniform == pytest.approx(15 / 48)


def test_a_uniform_map_has_the_uniform_share_and_one_in_the_middle_all():
    maps = np.zeros((3, 8, 8))
    maps[0] = 4.0
    maps[1, 2:6, 2:6] = 1.0
    found = explain.mass_share(backend.asarray(maps))
    assert found.uniform == 0.25
    np.testing.assert_array_equal(found.share, [0.25, 1.0, np.nan])


@pytest.mark.parametrize(
    ("size", "region"),
    [
        (0.5, (12, 36, 12, 36)),
        (2 / 3, (8, 40, 8, 40)),
        (1.0, (0, 48, 0, 48)),
        (0, (23, 24, 23, 24)),
    ],
)
def test_the_central_region_lies_in_the_middle(size, region):
    assert explain.central_region(48, 48, size) == region


@pytest.mark.parametrize("region", [(0, 0, 0, 4), (2, 1, 0, 4), (-1, 3, 0, 4), (0, 5, 0, 4)])
def test_a_region_that_is_none_is_refused(region):
    with pytest.raises(OptionError, match="empty or not within maps of 4x6"):
        explain.mass_share(backend.asarray(np.ones((1, 4, 6))), region)


def test_what_is_no_map_is_refused():
    with pytest.raises(
        ShapeError, match=r"maps of shape \(N, H, W\) or \(N, H, W, C\), got \(4,\)"
    ):
        explain.mass_share(backend.asarray(np.ones(4)))


@pytest.mark.parametrize("percentile", [100, 98])
def test_a_map_of_one_pixel_keeps_it_with_any_percentile(percentile):
    map_ = np.zeros((1, 10, 10), np.float32)
    map_[0, 3, 3] = 0.3
    found = host(explain.scaled(backend.asarray(map_), percentile=percentile))
    assert found[0, 3, 3] == 1
    assert found.sum() == 1


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64", "bool"])
def test_maps_of_any_numbers_are_scaled_as_floats_are(dtype):
    values = np.array([[[0, 1, 2, 7], [3, 1, 0, 100]]]).astype(dtype)
    maps = [values, -values] if dtype.startswith("int") else [values]
    for map_ in maps:
        np.testing.assert_array_equal(
            host(explain.scaled(backend.asarray(map_), percentile=60)),
            host(explain.scaled(backend.asarray(map_.astype(float)), percentile=60)),
        )
