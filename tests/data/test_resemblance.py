"""The closest pictures against loops, planted copies and the known figures of the real data."""

import os

import numpy as np
import pytest

from minicnn.data.auditing import drop_duplicates
from minicnn.data.faces import drawn_faces
from minicnn.data.fer2013 import load
from minicnn.data.resemblance import CHUNK, SAME_PICTURE, closest_pictures
from minicnn.errors import OptionError, ShapeError

pytestmark = pytest.mark.host


def noise(count, size=24, *, seed=0, channels=1):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, channels), np.uint8)


def smooth(count, size=60, *, seed=0):
    """Make pictures of a few soft spots, which do not change much within a pixel."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    pictures = np.zeros((count, size, size))
    for picture in pictures:
        for _ in range(12):
            v, u = rng.uniform(0, size, 2)
            spot = np.exp(-((y - v) ** 2 + (x - u) ** 2) / (2 * rng.uniform(3, 8) ** 2))
            picture += rng.uniform(-1, 1) * spot
    low, high = pictures.min(axis=(1, 2), keepdims=True), pictures.max(axis=(1, 2), keepdims=True)
    return ((pictures - low) / (high - low) * 200 + 20).astype(np.uint8)[..., None]


def by_loops(image, other):
    """Compare two images of 24 pixels: the largest correlation over moves and mirroring."""
    return max(
        np.corrcoef(
            image[3:21, 3:21, 0][:, ::step].ravel(), other[top : top + 18, left : left + 18].ravel()
        )[0, 1]
        for top in range(7)
        for left in range(7)
        for step in (1, -1)
    )


def test_the_correlations_are_those_of_loops():
    images, among = noise(4), noise(5, seed=1)
    expected = np.array([[by_loops(image, other) for other in among] for image in images])
    rows, correlations = closest_pictures(images, among)
    assert rows.tolist() == expected.argmax(axis=1).tolist()
    assert correlations == pytest.approx(expected.max(axis=1), abs=1e-6)


@pytest.mark.parametrize("dy, dx", [(0, 0), (6, -6), (-6, 6), (3, 5), (-1, -4)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_picture_that_was_moved_mirrored_and_lit_otherwise_is_found(dy, dx, mirrored):
    pictures = smooth(20)
    among = pictures[:, 6:54, 6:54]
    moved = pictures[:, 6 + dy : 54 + dy, 6 + dx : 54 + dx]
    images = (moved[:, :, ::-1] if mirrored else moved) // 2 + 90
    rows, correlations = closest_pictures(images, among)
    assert rows.tolist() == list(range(20))
    assert correlations.min() > SAME_PICTURE


def test_other_pictures_are_not_the_same():
    _, correlations = closest_pictures(smooth(20)[:, 6:54, 6:54], smooth(20, seed=1)[:, 6:54, 6:54])
    assert correlations.max() < SAME_PICTURE


def test_colours_count_as_their_mean_and_larger_images_as_smaller_ones():
    grey = noise(3)
    rgb = np.concatenate([grey // 2, grey, 255 - (255 - grey) // 2], axis=3)
    large = np.repeat(np.repeat(rgb, 2, axis=1), 2, axis=2)
    rows, correlations = closest_pictures(large, large[::-1])
    assert rows.tolist() == [2, 1, 0]
    assert correlations == pytest.approx(1)


@pytest.mark.parametrize("height, width", [(1, 1), (5, 9), (8, 24), (24, 60), (50, 49)])
def test_images_of_any_shape_find_themselves(height, width):
    images = np.random.default_rng(0).integers(0, 256, (5, height, width, 1), np.uint8)
    rows, correlations = closest_pictures(images, images)
    if height * width == 1:  # one grey value is no picture
        assert correlations.tolist() == [0] * 5
    else:
        assert rows.tolist() == list(range(5))
        assert correlations == pytest.approx(1)
        assert correlations.max() <= 1


def test_images_that_show_nothing_are_like_none():
    plain = np.full((2, 48, 48, 1), 77, np.uint8)
    assert closest_pictures(plain, noise(3, 48))[1].tolist() == [0, 0]
    rows, correlations = closest_pictures(noise(3, 48), plain)
    assert (rows.tolist(), correlations.tolist()) == ([0] * 3, [0] * 3)
    assert closest_pictures(plain, plain)[1].tolist() == [0, 0]


def test_it_looks_through_all_chunks_and_takes_the_first_of_equals():
    among = noise(2 * CHUNK + 3)
    among[CHUNK + 1] = among[7]
    rows, _ = closest_pictures(among[[7, 2 * CHUNK + 2, CHUNK]], among)
    assert rows.tolist() == [7, 2 * CHUNK + 2, CHUNK]


def test_no_images_have_no_closest_pictures():
    rows, correlations = closest_pictures(noise(0), noise(3))
    assert (rows.shape, correlations.shape) == ((0,), (0,))


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ShapeError, match=r"got \(2, 24, 24, 1\) and \(2, 24, 24, 3\)"):
        closest_pictures(noise(2), noise(2, channels=3))
    with pytest.raises(ShapeError, match=r"got \(24, 24, 1\) and"):
        closest_pictures(noise(1)[0], noise(1))
    with pytest.raises(OptionError, match="no images to compare with"):
        closest_pictures(noise(2), noise(0))


def test_nothing_is_written_into_the_images():
    images = drawn_faces(4, np.random.default_rng(0))[0]
    before = images.copy()
    closest_pictures(images, images)
    assert (images == before).all()


@pytest.mark.real_faces
def test_a_seventh_of_the_real_public_test_are_photographs_of_the_training_part(
    tmp_path_factory,
):
    dataset = load(os.environ["MINICNN_FER2013"], cache=tmp_path_factory.getbasetemp())
    kept, _ = drop_duplicates(dataset)
    train, public_test = kept.split("train"), kept.split("public_test")
    rows, correlations = closest_pictures(public_test.images, train.images)
    near = correlations >= SAME_PICTURE
    assert near.sum() == pytest.approx(520, abs=2)  # another BLAS may round on the other side
    same = train.labels[rows] == public_test.labels
    assert same[near].mean() == pytest.approx(432 / 520, abs=0.005)
