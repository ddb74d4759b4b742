"""Check what augmentation draws, from which ranges, and what it does to images and labels."""

import json

import numpy as np
import pytest
from standin import counting

from minicnn import backend
from minicnn.data.affine import affine_matrices
from minicnn.data.augment import Augmentation
from minicnn.errors import OptionError, ShapeError
from minicnn.kernels.warp import affine_warp

EVERYTHING = Augmentation(
    rotation=20,
    width_shift=0.1,
    height_shift=2,
    shear=10,
    zoom=(0.8, 1.1),
    horizontal_flip=True,
    vertical_flip=True,
    brightness=(0.7, 1.3),
    contrast=(0.6, 1.2),
    fill_mode="reflect",
    random_erasing=0.5,
    mixup=0.4,
    cutmix=1.0,
    mixing_probability=0.9,
)


def faces(count=4, height=10, width=8, channels=1, seed=0):
    return np.random.default_rng(seed).integers(
        0, 256, (count, height, width, channels), dtype=np.uint8
    )


def augmented(augmentation, images, labels=None, seed=3, num_classes=None):
    labels = np.zeros(len(images), np.int64) if labels is None else labels
    new_images, new_labels = augmentation(
        backend.asarray(images),
        backend.asarray(labels),
        np.random.default_rng(seed),
        num_classes=num_classes,
    )
    return backend.to_numpy(new_images), backend.to_numpy(new_labels)


def matrices_of(augmentation, monkeypatch, height=10, width=8, count=4000):
    """Return the maps that are handed to the warp, to tell what was drawn."""
    seen = []

    def spy(images, matrices, **_):
        seen.append(backend.to_numpy(matrices))
        return images

    monkeypatch.setattr("minicnn.data.augment.affine_warp", spy)
    augmented(augmentation, np.zeros((count, height, width, 1), np.uint8))
    return seen[0].astype(np.float64)


def assert_uniform(values, low, high):
    span = high - low
    assert low - 1e-4 * span <= values.min() < low + 0.01 * span
    assert high - 0.01 * span < values.max() <= high + 1e-4 * span
    assert abs(values.mean() - (low + high) / 2) < 0.02 * span
    assert abs(values.std() - span / np.sqrt(12)) < 0.02 * span


# -- what is drawn


def test_nothing_asked_for_changes_nothing():
    images = faces()
    found, labels = augmented(Augmentation(), images, np.arange(4))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, images)
    np.testing.assert_array_equal(labels, np.arange(4))


def test_rotation_is_uniform_in_degrees(monkeypatch):
    matrices = matrices_of(Augmentation(rotation=30), monkeypatch)
    assert_uniform(np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0])), -30, 30)


def test_shifts_below_one_are_fractions_of_the_axis(monkeypatch):
    matrices = matrices_of(Augmentation(height_shift=0.2, width_shift=0.5), monkeypatch)
    assert_uniform(matrices[:, 0, 2], -2, 2)  # of 10 rows
    assert_uniform(matrices[:, 1, 2], -4, 4)  # of 8 columns


def test_shifts_from_one_on_are_pixels(monkeypatch):
    matrices = matrices_of(Augmentation(height_shift=3, width_shift=1), monkeypatch)
    assert_uniform(matrices[:, 0, 2], -3, 3)
    assert_uniform(matrices[:, 1, 2], -1, 1)


def test_shear_is_uniform_in_degrees(monkeypatch):
    matrices = matrices_of(Augmentation(shear=12), monkeypatch)
    np.testing.assert_allclose(matrices[:, :, 0], [[1, 0]] * len(matrices), atol=1e-6)
    assert_uniform(np.degrees(np.arctan2(-matrices[:, 0, 1], matrices[:, 1, 1])), -12, 12)


@pytest.mark.parametrize(("zoom", "low", "high"), [(0.2, 0.8, 1.2), ((0.5, 0.9), 0.5, 0.9)])
def test_zoom_draws_a_factor_for_each_axis(zoom, low, high, monkeypatch):
    matrices = matrices_of(Augmentation(zoom=zoom), monkeypatch)
    assert_uniform(matrices[:, 0, 0], low, high)
    assert_uniform(matrices[:, 1, 1], low, high)
    assert abs(np.corrcoef(matrices[:, 0, 0], matrices[:, 1, 1])[0, 1]) < 0.05


@pytest.mark.parametrize(("option", "axis"), [("vertical_flip", 1), ("horizontal_flip", 2)])
def test_flips_mirror_every_second_image(option, axis):
    images = faces(400)
    found, _ = augmented(Augmentation(**{option: True}), images)
    mirrored = (found == np.flip(images, axis)).all(axis=(1, 2, 3))
    same = (found == images).all(axis=(1, 2, 3))
    assert (mirrored ^ same).all()
    assert 160 < mirrored.sum() < 240


def test_one_option_does_not_change_what_is_drawn_for_another(monkeypatch):
    alone = matrices_of(Augmentation(rotation=30), monkeypatch)
    with_more = matrices_of(
        Augmentation(rotation=30, horizontal_flip=True, random_erasing=0.5, brightness=(0.5, 1)),
        monkeypatch,
    )
    np.testing.assert_array_equal(alone[:, :, 0], with_more[:, :, 0])


def test_two_images_of_a_batch_are_changed_differently():
    images = np.repeat(faces(1), 6, axis=0)
    found, _ = augmented(Augmentation.system_a(), images)
    assert len(np.unique(found.reshape(6, -1), axis=0)) == 6


def test_same_seed_gives_same_bits_and_another_seed_others():
    images, labels = faces(), np.arange(4)
    first = augmented(EVERYTHING, images, labels, seed=5, num_classes=7)
    second = augmented(EVERYTHING, images, labels, seed=5, num_classes=7)
    third = augmented(EVERYTHING, images, labels, seed=6, num_classes=7)
    for a, b, c in zip(first, second, third, strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()


@pytest.mark.standin
def test_both_backends_give_the_same_numbers():
    images, labels = faces(9), np.arange(9) % 7
    on_device = augmented(EVERYTHING, images, labels, num_classes=7)
    on_host = EVERYTHING(images, labels, np.random.default_rng(3), num_classes=7)
    for device, host in zip(on_device, on_host, strict=True):
        np.testing.assert_allclose(device, host, rtol=1e-6, atol=1e-4)


@pytest.mark.standin
def test_draws_reach_the_device_in_one_transfer_and_nothing_comes_back():
    images, labels = backend.asarray(faces(9)), backend.asarray(np.arange(9))
    recipe = Augmentation(**{**EVERYTHING.to_dict(), "random_erasing": 0})
    with counting() as counts:
        recipe(images, labels, np.random.default_rng(3), num_classes=9)
    assert (counts.to_device, counts.to_host, counts.synchronizations) == (1, 0, 0)


# -- what it does


def test_all_moves_are_one_warp_with_keras_matrix_and_fill(monkeypatch):
    images = faces(5)
    recipe = Augmentation(
        rotation=25, width_shift=0.3, zoom=0.3, shear=8, fill_mode="constant", fill_value=40
    )
    found, _ = augmented(recipe, images)
    matrices = matrices_of(recipe, monkeypatch, count=5)
    expected = affine_warp(images, matrices, fill_mode="constant", fill_value=40)
    np.testing.assert_allclose(found, expected, atol=0.01)
    linear = matrices[:, :, :2]
    again = affine_matrices(
        10,
        8,
        rotation=np.degrees(np.arctan2(linear[:, 1, 0], linear[:, 0, 0])),
        row_shift=np.zeros(5),
        column_shift=np.zeros(5),
        shear=np.degrees(
            np.arctan2(-linear[:, 0, 1], linear[:, 1, 1])
            - np.arctan2(linear[:, 1, 0], linear[:, 0, 0])
        ),
        row_zoom=np.hypot(linear[:, 0, 0], linear[:, 1, 0]),
        column_zoom=np.hypot(linear[:, 0, 1], linear[:, 1, 1]),
    )
    np.testing.assert_allclose(linear, again[:, :, :2], atol=1e-6)


def test_brightness_multiplies_and_clips():
    images = faces(50)
    found, _ = augmented(Augmentation(brightness=(0.5, 2.0)), images)
    dark = images.max(axis=(1, 2, 3), initial=0, where=images < 100)  # not clipped by 2
    factors = np.array([f[i == d].max() / d for f, i, d in zip(found, images, dark, strict=True)])
    expected = np.clip(images * factors[:, None, None, None], 0, 255)
    np.testing.assert_allclose(found, expected, atol=0.01)
    assert 0.5 <= factors.min() < 0.7 and 1.7 < factors.max() <= 2.0
    assert found.max() == 255


def test_contrast_scales_the_distance_from_each_channels_mean():
    images = faces(50, channels=2).astype(np.float32)
    images = 100 + images / 8  # so that nothing is clipped
    found, _ = augmented(Augmentation(contrast=(0.5, 1.5)), images)
    np.testing.assert_allclose(found.mean(axis=(1, 2)), images.mean(axis=(1, 2)), rtol=1e-5)
    ratios = found.std(axis=(1, 2)) / images.std(axis=(1, 2))
    np.testing.assert_allclose(ratios[:, 0], ratios[:, 1], rtol=1e-4)
    assert 0.5 <= ratios.min() < 0.6 and 1.4 < ratios.max() <= 1.5 + 1e-4


def test_contrast_clips_to_grey_levels():
    found, _ = augmented(Augmentation(contrast=(4, 5)), faces())
    assert found.min() == 0 and found.max() == 255


def test_erasing_replaces_one_rectangle_of_the_asked_size_by_noise():
    images = np.full((600, 24, 20, 2), 300.0, np.float32)  # no noise is that bright
    recipe = Augmentation(random_erasing=0.5, erasing_area=(0.1, 0.3), erasing_aspect=(0.5, 2))
    found, _ = augmented(recipe, images)
    erased = found != 300
    assert (erased[..., 0] == erased[..., 1]).all()
    hit = erased[..., 0].any(axis=(1, 2))
    assert 240 < hit.sum() < 360
    for mask in erased[hit, :, :, 0]:
        height, width = mask.any(axis=1).sum(), mask.any(axis=0).sum()
        assert mask.sum() == height * width  # a full rectangle
        # Half a pixel of rounding on either side.
        assert (height - 0.5) * (width - 0.5) <= 0.3 * 480 and (height + 0.5) * (width + 0.5) >= 48
        assert (height - 0.5) / (width + 0.5) <= 2 and (height + 0.5) / (width - 0.5) >= 0.5
    noise = found[erased]
    assert_uniform(noise, 0, 255)
    assert erased[:, 0].any() and erased[:, -1].any()  # it reaches every edge
    assert erased[:, :, 0].any() and erased[:, :, -1].any()


def test_a_size_makes_the_same_pictures_in_that_size():
    images = np.kron(faces(height=3, width=2), np.ones((1, 8, 12, 1), np.uint8))  # 24 x 24
    found, _ = augmented(Augmentation(size=12), images)
    assert found.shape == (4, 12, 12, 1)
    # Pixels of the half size lie between two of the full one, which have one level here.
    np.testing.assert_allclose(found, images[:, ::2, ::2], atol=1e-3)


@pytest.mark.parametrize("before", [(48, 48), (10, 8)])
def test_the_moves_of_a_size_are_those_of_the_full_one(before, monkeypatch):
    moves = {"rotation": 20, "width_shift": 0.1, "zoom": 0.2, "horizontal_flip": True}
    full = matrices_of(Augmentation(**moves), monkeypatch, *before, count=50)
    small = matrices_of(Augmentation(**moves, size=6), monkeypatch, *before, count=50)
    for corner in np.ndindex(2, 2):  # of the pictures' edges, half a pixel out of the first centre
        first, second = (
            each @ (*(np.multiply(corner, size) - 0.5), 1)
            for each, size in ((full, before), (small, (6, 6)))
        )
        np.testing.assert_allclose(first, second, atol=1e-4)


def test_erasing_and_mixing_work_in_the_new_size():
    recipe = Augmentation(random_erasing=1, cutmix=1.0, size=6)
    found, labels = augmented(recipe, faces(), np.arange(4), num_classes=4)
    assert found.shape == (4, 6, 6, 1)
    shares = labels * 36  # of 36 pixels
    np.testing.assert_allclose(shares, np.round(shares), atol=1e-4)


def test_mixup_mixes_images_and_labels_with_the_same_weights():
    count, classes = 64, 64
    images = np.zeros((count, 8, 8, 1), np.float32)
    images[np.arange(count), np.arange(count) // 8, np.arange(count) % 8] = 200  # one pixel each
    found, labels = augmented(
        Augmentation(mixup=0.5), images, np.arange(count), num_classes=classes
    )
    assert labels.dtype == np.float32 and labels.shape == (count, classes)
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(found.reshape(count, -1) / 200, labels, atol=1e-6)
    assert ((labels > 0).sum(axis=1) <= 2).all()
    own = labels[np.arange(count), np.arange(count)]
    partners = np.where(np.eye(count, dtype=bool), 0, labels).argmax(axis=1)
    assert len(np.unique(partners)) > count / 2
    assert len(np.unique(own.round(4))) > count / 2  # a weight for every image


def test_mixup_weights_follow_the_beta_distribution():
    labels = np.eye(2, dtype=np.float32)[np.zeros(20000, int)]
    labels[10000:] = (0, 1)
    images = np.zeros((20000, 1, 1, 1), np.float32)
    _, mixed = augmented(Augmentation(mixup=2.0), images, labels)
    # Half of the partners are of the other class; there, own weights are Beta(2, 2): variance 1/20.
    own = np.where(labels[:, 0] == 1, mixed[:, 0], mixed[:, 1])
    other = own[own < 1 - 1e-6]
    assert abs(len(other) - 10000) < 400
    assert abs(other.mean() - 0.5) < 0.01 and abs(other.var() - 0.05) < 0.002


def test_inputs_are_unchanged():
    images, labels = backend.asarray(faces()), backend.asarray(np.arange(4))
    EVERYTHING(images, labels, np.random.default_rng(0), num_classes=4)
    np.testing.assert_array_equal(backend.to_numpy(images), faces())
    np.testing.assert_array_equal(backend.to_numpy(labels), np.arange(4))


# -- options


@pytest.mark.host
def test_system_a_is_what_its_report_says():
    assert Augmentation.system_a() == Augmentation(
        zoom=0.2, shear=0.2, rotation=30, width_shift=0.2, height_shift=0.2, horizontal_flip=True
    )


@pytest.mark.host
def test_options_survive_json():
    assert Augmentation(**json.loads(json.dumps(EVERYTHING.to_dict()))) == EVERYTHING


@pytest.mark.host
def test_repr_shows_what_was_asked_for_and_can_be_evaluated():
    assert (
        repr(Augmentation(rotation=5, zoom=(0.5, 1))) == "Augmentation(rotation=5, zoom=(0.5, 1))"
    )
    assert eval(repr(EVERYTHING)) == EVERYTHING


@pytest.mark.host
@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"rotation": -1}, "rotation: expected 0 or more .*got -1"),
        ({"rotation": "30"}, "rotation"),
        ({"rotation": float("nan")}, "rotation.*nan"),
        ({"rotation": True}, "rotation.*True"),
        ({"width_shift": -0.1}, "width_shift"),
        ({"height_shift": float("inf")}, "height_shift"),
        ({"shear": 90}, "shear.*below 90.*got 90"),
        ({"zoom": 1}, "zoom.*below 1.*got 1"),
        ({"zoom": -0.2}, "zoom"),
        ({"zoom": (0, 1)}, "zoom.*above 0"),
        ({"zoom": (1.2, 0.8)}, r"zoom.*\(low, high\)"),
        ({"brightness": 0.2}, r"brightness.*pair \(low, high\).*got 0.2"),
        ({"brightness": (-0.5, 1)}, "brightness"),
        ({"contrast": (1, 2, 3)}, "contrast"),
        ({"fill_mode": "edge"}, "fill_mode 'edge' is unknown; choose one of nearest"),
        ({"fill_value": None}, "fill_value: expected a grey level, got None"),
        ({"random_erasing": 1.5}, "random_erasing.*probability.*1.5"),
        ({"erasing_area": (0.1, 1.2)}, "erasing_area.*over 1"),
        ({"erasing_aspect": (0, 1)}, "erasing_aspect.*above 0"),
        ({"mixup": -1}, "mixup"),
        ({"size": 0}, "size: expected pixels, 1 or more, got 0"),
        ({"size": 32.0}, "size.*32.0"),
    ],
)
def test_nonsense_is_refused_by_name(options, match):
    with pytest.raises(OptionError, match=match):
        Augmentation(**options)


def test_mixup_of_integers_needs_the_number_of_classes():
    with pytest.raises(OptionError, match="num_classes"):
        augmented(Augmentation(mixup=1), faces())


def test_images_without_a_channel_axis_are_refused():
    with pytest.raises(ShapeError, match=r"\(N, H, W, C\).*\(4, 10, 8\)"):
        augmented(Augmentation(), faces()[..., 0])
