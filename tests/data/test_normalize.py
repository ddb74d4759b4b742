"""Check the normalisations against NumPy's own mean and standard deviation."""

import json

import numpy as np
import pytest
from standin import counting

from minicnn import backend
from minicnn.data import normalize
from minicnn.data.normalize import (
    GlobalNormalization,
    ImageNormalization,
    NoNormalization,
    PixelNormalization,
    make_normalization,
    normalization_from_state,
)
from minicnn.errors import CheckpointError, DTypeError, OptionError, ShapeError

NAMES = ("pixel", "image", "global", "none")


@pytest.fixture
def faces(rng):
    return rng.integers(20, 240, (50, 6, 5, 2), dtype=np.uint8)


def normalized(normalization, images):
    return backend.to_numpy(normalization(backend.asarray(images)))


def by_numpy(name, images):
    images = images.astype(np.float64)
    if name == "none":
        return images / 255
    axes = {"pixel": 0, "image": (1, 2, 3), "global": None}[name]
    return (images - images.mean(axes, keepdims=True)) / images.std(axes, keepdims=True)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_equals_numpy(name, dtype, faces):
    found = normalized(make_normalization(name).fit(faces), faces.astype(dtype))
    assert found.dtype == np.float32 and found.shape == faces.shape
    np.testing.assert_allclose(found, by_numpy(name, faces), atol=2e-6)


@pytest.mark.parametrize("name", NAMES)
def test_input_is_unchanged(name, faces):
    images = backend.asarray(faces.astype(np.float32))
    make_normalization(name).fit(faces)(images)
    np.testing.assert_array_equal(backend.to_numpy(images), faces)


@pytest.mark.parametrize("name", ["pixel", "global"])
def test_new_images_are_scaled_by_the_statistics_of_the_set(name, faces, rng):
    others = rng.integers(0, 256, (3, 6, 5, 2), dtype=np.uint8)
    together = np.concatenate([faces, others])
    found = normalized(make_normalization(name).fit(together), others)
    np.testing.assert_allclose(found, by_numpy(name, together)[50:], atol=2e-6)


@pytest.mark.host
def test_statistics_do_not_depend_on_the_size_of_blocks(faces, monkeypatch):
    whole = PixelNormalization().fit(faces).statistics
    monkeypatch.setattr(normalize, "ROWS_PER_BLOCK", 7)
    parts = PixelNormalization().fit(faces).statistics
    for name in ("mean", "std"):
        np.testing.assert_array_equal(whole[name], parts[name])


@pytest.mark.host
def test_shapes_of_statistics(faces):
    assert PixelNormalization().fit(faces).statistics["std"].shape == (6, 5, 2)
    assert GlobalNormalization().fit(faces).statistics["std"].shape == ()
    assert ImageNormalization().fit(faces).statistics == {}


@pytest.mark.host
def test_sums_of_many_bright_images_do_not_overflow():
    images = np.full((70_000, 1, 1, 1), 255, np.uint8)  # squares add up to more than 2**32
    images[::2] = 253
    statistics = GlobalNormalization().fit(images).statistics
    np.testing.assert_allclose([statistics["mean"], statistics["std"]], [254, 1], rtol=1e-6)


def test_constant_pixels_become_zero_and_do_not_blow_up_elsewhere(faces):
    faces[:, 0, 0] = 100
    normalization = PixelNormalization().fit(faces)
    assert (normalized(normalization, faces)[:, 0, 0] == 0).all()
    faces[:, 0, 0] = 103
    np.testing.assert_allclose(normalized(normalization, faces)[:, 0, 0], 3)


def test_a_blank_image_becomes_zero():
    blank = np.full((2, 6, 5, 1), 77, np.uint8)
    assert (normalized(ImageNormalization(), blank) == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_state_restores_the_same_bits(name, faces):
    original = make_normalization(name).fit(faces)
    config, arrays = original.state()
    assert all(array.dtype == np.float32 for array in arrays.values())
    restored = normalization_from_state(json.loads(json.dumps(config)), arrays)
    assert type(restored) is type(original)
    np.testing.assert_array_equal(normalized(restored, faces), normalized(original, faces))


@pytest.mark.standin
@pytest.mark.parametrize("name", NAMES)
def test_statistics_are_moved_to_the_device_once(name, faces):
    normalization = make_normalization(name).fit(faces)
    images = backend.asarray(faces)
    normalization(images)
    with counting() as counts:
        normalization(images)
    assert (counts.to_device, counts.to_host, counts.synchronizations) == (0, 0, 0)


def test_fitting_again_replaces_what_was_moved(faces):
    normalization = GlobalNormalization().fit(faces)
    normalized(normalization, faces)
    darker = faces // 2
    np.testing.assert_allclose(
        normalized(normalization.fit(darker), darker), by_numpy("global", darker), atol=2e-6
    )


@pytest.mark.parametrize("name", ["pixel", "global"])
def test_statistics_must_be_taken_first(name, faces):
    normalization = make_normalization(name)
    with pytest.raises(OptionError, match=r"no statistics yet; call fit"):
        normalized(normalization, faces)
    with pytest.raises(OptionError, match=r"no statistics yet"):
        normalization.state()


def test_images_of_another_size_are_refused(faces):
    normalization = PixelNormalization().fit(faces)
    with pytest.raises(ShapeError, match=r"\(6, 5, 2\), got \(5, 6, 2\)"):
        normalized(normalization, faces.reshape(50, 5, 6, 2))


@pytest.mark.host
def test_fit_refuses_what_are_no_uint8_images(faces):
    with pytest.raises(DTypeError, match=r"uint8.*float32"):
        PixelNormalization().fit(faces.astype(np.float32))
    with pytest.raises(ShapeError, match=r"\(N, H, W, C\)"):
        PixelNormalization().fit(faces[0])
    with pytest.raises(ShapeError, match="zero"):
        PixelNormalization().fit(faces[:0])


@pytest.mark.host
def test_unknown_names_and_incomplete_states_are_refused(faces):
    with pytest.raises(OptionError, match="'zca' is unknown; choose one of pixel, image, global"):
        make_normalization("zca")
    with pytest.raises(CheckpointError, match="lack std"):
        normalization_from_state({"name": "pixel"}, {"mean": faces[0]})
    with pytest.raises(CheckpointError, match="no name"):
        normalization_from_state({}, {})


@pytest.mark.host
def test_repr_tells_whether_statistics_are_there(faces):
    assert repr(PixelNormalization()) == "PixelNormalization(not fitted)"
    assert repr(PixelNormalization().fit(faces)) == "PixelNormalization()"
    assert repr(NoNormalization()) == "NoNormalization()"
