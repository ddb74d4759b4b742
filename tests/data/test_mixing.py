"""Check CutMix, its choice beside mixup, and the share of mixed images, against plain loops."""

import numpy as np
import pytest
from standin import counting

from minicnn import backend
from minicnn.data.augment import Augmentation
from minicnn.data.patches import draw_mixture
from minicnn.errors import OptionError

HEIGHT, WIDTH = 10, 7


def noise(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, HEIGHT, WIDTH, 2), dtype=np.uint8)


def augmented(augmentation, images, labels, num_classes=None, seed=3):
    found = augmentation(
        backend.asarray(images),
        backend.asarray(labels),
        np.random.default_rng(seed),
        num_classes=num_classes,
    )
    return tuple(map(backend.to_numpy, found))


def numbered(count):
    """Return images of one grey level each, which tells their number, and the numbers."""
    images = np.arange(count, dtype=np.float32).reshape(-1, 1, 1, 1) * np.ones((HEIGHT, WIDTH, 1))
    return images.astype(np.float32), np.arange(count)


def drawn(count, **options):
    settings = {"mixup": 0, "cutmix": 0, "probability": 1, **options}
    rng = np.random.default_rng(0)
    pairs = np.stack([np.ones(count), np.arange(count)], axis=1)
    if settings["mixup"]:
        alpha = settings["mixup"]
        pairs = np.stack([rng.beta(alpha, alpha, count), rng.permutation(count)], axis=1)
    return pairs, draw_mixture(pairs, HEIGHT, WIDTH, rng=rng, **settings)


def mixed_in_loops(images, labels, mixture):
    """Mix pixel by pixel, in double precision."""
    new_images, new_labels = images.astype(np.float64), labels.astype(np.float64)
    for i, (own, partner, _, top, left, height, width) in enumerate(mixture):
        other = int(partner)
        inside = 0
        for row in range(HEIGHT):
            for column in range(WIDTH):
                if top <= row < top + height and left <= column < left + width:
                    inside += 1
                    new_images[i, row, column] = (
                        own * images[i, row, column] + (1 - own) * images[other, row, column]
                    )
        given_away = (1 - own) * inside / (HEIGHT * WIDTH)
        new_labels[i] = (1 - given_away) * labels[i] + given_away * labels[other]
    return new_images, new_labels


# -- CutMix alone


def test_cutmix_lays_one_rectangle_of_another_image_over_each_and_labels_by_its_pixels():
    count = 200
    found, labels = augmented(Augmentation(cutmix=1), *numbered(count), num_classes=count)
    assert labels.dtype == np.float32 and labels.shape == (count, count)
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)
    partners = []
    for number, image in enumerate(found[..., 0]):
        foreign = image != number
        shares = np.zeros(count)
        for value in image.ravel():
            shares[int(value)] += 1 / (HEIGHT * WIDTH)
        np.testing.assert_allclose(labels[number], shares, atol=1e-6)
        if foreign.any():
            rows, columns = np.flatnonzero(foreign.any(1)), np.flatnonzero(foreign.any(0))
            assert foreign.sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)  # full
            (partner,) = np.unique(image[foreign])
            partners.append(partner)
    assert len(np.unique(partners)) == len(partners) > count / 2
    pasted = found[..., 0] != np.arange(count)[:, None, None]
    assert pasted[:, 0].any() and pasted[:, -1].any()  # it reaches every edge
    assert pasted[:, :, 0].any() and pasted[:, :, -1].any()


def test_cutmix_keeps_about_the_share_that_the_beta_distribution_says():
    # In the paper the rectangle is cut off at the edges: what is kept is the larger of the two.
    _, mixture = drawn(20000, cutmix=1)
    again = np.random.default_rng(0)
    again.random((4, 20000))
    shares = again.beta(1, 1, 20000)
    own, label_weight, (height, width) = mixture[:, 0], mixture[:, 2], mixture[:, 5:].T
    assert (own == 0).all()
    np.testing.assert_allclose(label_weight, 1 - height * width / (HEIGHT * WIDTH))
    assert (label_weight >= shares - 1e-9).all()
    middle = (mixture[:, 3] > 0) & (mixture[:, 3] + height < HEIGHT)
    side = np.sqrt(1 - shares[middle]) * HEIGHT
    assert (height[middle] <= side).all() and (height[middle] > side - 3).all()
    assert abs(shares.mean() - 0.5) < 0.01


@pytest.mark.parametrize(
    "options",
    [{"cutmix": 1}, {"mixup": 0.4, "cutmix": 0.7}, {"mixup": 1, "cutmix": 1, "probability": 0.5}],
)
def test_images_and_labels_are_those_of_a_loop_over_pixels(options):
    count = 30
    images, labels = noise(count), np.eye(5, dtype=np.float32)[np.arange(count) % 5]
    recipe = {**options}
    probability = recipe.pop("probability", 1)
    found = augmented(Augmentation(**recipe, mixing_probability=probability), images, labels)
    rng = np.random.default_rng(3)
    rng.random((13, count))  # what is drawn for all other options
    pairs = np.stack([np.ones(count), np.arange(count)], axis=1)
    if "mixup" in recipe:
        alpha = recipe["mixup"]
        pairs = np.stack([rng.beta(alpha, alpha, count), rng.permutation(count)], axis=1)
    mixture = draw_mixture(
        *(pairs, HEIGHT, WIDTH),
        mixup=recipe.get("mixup", 0),
        cutmix=recipe["cutmix"],
        probability=probability,
        rng=rng,
    )
    for new, expected in zip(found, mixed_in_loops(images, labels, mixture), strict=True):
        np.testing.assert_allclose(new, expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(found[1].sum(axis=1), 1, rtol=1e-6)


# -- both, and how often


def test_of_mixup_and_cutmix_each_image_has_one_by_equal_chance():
    pairs, mixture = drawn(4000, mixup=0.4, cutmix=1)
    cut = mixture[:, 0] == 0
    assert 1850 < cut.sum() < 2150
    np.testing.assert_array_equal(mixture[~cut, :2], pairs[~cut])
    np.testing.assert_array_equal(mixture[~cut, 2], pairs[~cut, 0])
    np.testing.assert_array_equal(mixture[~cut, 3:], [[0, 0, HEIGHT, WIDTH]] * (~cut).sum())


@pytest.mark.parametrize("options", [{"mixup": 0.4}, {"cutmix": 1}, {"mixup": 0.4, "cutmix": 1}])
def test_the_share_of_the_images_that_are_mixed_is_the_one_asked_for(options):
    count = 2000
    images, labels = numbered(count)
    found, _ = augmented(
        Augmentation(**options, mixing_probability=0.3), images, labels, num_classes=count
    )
    whole, _ = augmented(Augmentation(**options), images, labels, num_classes=count)
    changed = (found != images).any(axis=(1, 2, 3))
    possible = (whole != images).any(axis=(1, 2, 3)).mean()  # some rectangles are empty
    assert abs(changed.mean() / possible - 0.3) < 0.04
    np.testing.assert_allclose(found[changed], whole[changed], rtol=1e-6)


@pytest.mark.parametrize("options", [{"mixup": 0.4}, {"cutmix": 1}, {"mixup": 0.4, "cutmix": 1}])
def test_a_probability_of_0_leaves_images_and_labels_as_they_are(options):
    recipe = Augmentation(**options, mixing_probability=0)
    assert not recipe.mixes
    found, labels = augmented(recipe, noise(9), np.arange(9))
    np.testing.assert_array_equal(found, noise(9))
    np.testing.assert_array_equal(labels, np.arange(9))
    assert labels.dtype == np.int64


# -- draws


def test_cutmix_changes_nothing_that_is_drawn_for_erasing_and_mixup():
    # With images of one level each, what is neither noise nor cut out is mixup's.
    images, labels = numbered(300)
    mixed = {"mixup": 0.4, "rotation": 0, "random_erasing": 0}
    alone, _ = augmented(Augmentation(**mixed), images, labels, num_classes=300)
    both, _ = augmented(Augmentation(**mixed, cutmix=1), images, labels, num_classes=300)
    same = (alone == both).all(axis=(1, 2, 3))
    assert 110 < same.sum() < 190
    erasing = {"random_erasing": 0.5}
    alone, _ = augmented(Augmentation(**erasing), images, labels)
    both, _ = augmented(Augmentation(**erasing, cutmix=1), images, labels, num_classes=300)
    assert (alone == both).mean() > 0.5  # noise is where it was, and the same


def test_without_cutmix_the_numbers_are_those_from_before_there_was_one():
    rng = np.random.default_rng(3)
    rng.random((13, 6))
    own, partner = rng.beta(0.4, 0.4, 6), rng.permutation(6)
    images, labels = numbered(6)
    expected = own * np.arange(6) + (1 - own) * np.arange(6)[partner]
    found, _ = augmented(Augmentation(mixup=0.4), images, labels, num_classes=6)
    np.testing.assert_allclose(found[:, 0, 0, 0], expected, rtol=1e-5)


@pytest.mark.standin
def test_both_backends_give_the_same_numbers_in_one_transfer():
    recipe = Augmentation(mixup=0.4, cutmix=1, mixing_probability=0.8)
    images, labels = noise(20), np.arange(20) % 7
    on_host = recipe(images, labels, np.random.default_rng(3), num_classes=7)
    arrays = backend.asarray(images), backend.asarray(labels)
    with counting() as counts:
        on_device = recipe(*arrays, np.random.default_rng(3), num_classes=7)
    assert (counts.to_device, counts.to_host, counts.synchronizations) == (1, 0, 0)
    for device, host in zip(on_device, on_host, strict=True):
        np.testing.assert_allclose(backend.to_numpy(device), host, rtol=1e-6, atol=1e-4)


# -- options


@pytest.mark.host
@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"cutmix": -1}, "cutmix: expected 0 or more .*an alpha.*got -1"),
        ({"cutmix": float("inf")}, "cutmix"),
        ({"mixing_probability": 1.1}, "mixing_probability.*probability.*1.1"),
        ({"mixing_probability": True}, "mixing_probability.*True"),
    ],
)
def test_nonsense_is_refused_by_name(options, match):
    with pytest.raises(OptionError, match=match):
        Augmentation(**options)


def test_cutmix_of_integers_needs_the_number_of_classes():
    with pytest.raises(OptionError, match="num_classes"):
        augmented(Augmentation(cutmix=1), noise(4), np.arange(4))
