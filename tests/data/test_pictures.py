"""Picture files of every kind, read upright and in colour, and cut to a network's input."""

from __future__ import annotations

import io
import os
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.data import pictures
from minicnn.data.image_folders import decode_image
from minicnn.data.pictures import (
    Box,
    centre_square,
    decode_picture,
    network_input,
    read_picture,
)
from minicnn.errors import DataError, ShapeError

Image = pytest.importorskip("PIL.Image")

pytestmark = pytest.mark.host

RNG = np.random.default_rng(4)
GREY = RNG.integers(0, 256, (20, 30), np.uint8)
COLOUR = RNG.integers(0, 256, (20, 30, 3), np.uint8)


def encoded(image, kind="png", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def in_three(grey):
    return np.repeat(grey[:, :, None], 3, axis=2)


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff", "ppm"])
def test_colours_are_read_to_the_bit(kind):
    np.testing.assert_array_equal(decode_picture(encoded(Image.fromarray(COLOUR), kind)), COLOUR)


def test_grey_becomes_three_equal_colours():
    found = decode_picture(encoded(Image.fromarray(GREY)))
    np.testing.assert_array_equal(found, in_three(GREY))


def test_black_and_white_becomes_0_and_255():
    found = decode_picture(encoded(Image.fromarray(GREY > 127)))
    np.testing.assert_array_equal(found, in_three((GREY > 127) * np.uint8(255)))


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_16_bits_are_scaled_and_not_clipped(kind):
    deep = GREY.astype(np.uint16) * 256 + 200
    found = decode_picture(encoded(Image.fromarray(deep), kind))
    np.testing.assert_array_equal(found, in_three(GREY))


def test_transparent_pixels_show_white_and_half_transparent_ones_mix():
    alpha = np.zeros((20, 30), np.uint8)
    alpha[5:], alpha[10:] = 128, 255
    found = decode_picture(encoded(Image.fromarray(np.dstack([COLOUR, alpha]))))
    assert (found[:5] == 255).all()
    mixed = (128 * COLOUR[5:10].astype(float) + 127 * 255) / 255
    assert np.abs(found[5:10] - mixed).max() <= 1
    np.testing.assert_array_equal(found[10:], COLOUR[10:])


def test_a_transparent_colour_of_a_palette_shows_white():
    image = Image.fromarray((GREY > 127).astype(np.uint8)).convert("P")
    image.putpalette([0, 0, 0, 200, 10, 10])
    found = decode_picture(encoded(image, "gif", transparency=0))
    expected = np.where((GREY > 127)[:, :, None], [200, 10, 10], 255)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("orientation", "seen"),
    [
        (1, lambda x: x),
        (2, lambda x: x[:, ::-1]),
        (3, lambda x: x[::-1, ::-1]),
        (4, lambda x: x[::-1]),
        (5, lambda x: x.swapaxes(0, 1)),
        (6, lambda x: np.rot90(x, -1)),
        (7, lambda x: x.swapaxes(0, 1)[::-1, ::-1]),
        (8, lambda x: np.rot90(x)),
    ],
)
@pytest.mark.parametrize("pixels", [COLOUR, GREY.astype(np.uint16) * 256], ids=["rgb", "16 bit"])
def test_the_rotation_that_a_camera_noted_is_applied(orientation, seen, pixels):
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decode_picture(encoded(Image.fromarray(pixels), exif=exif))
    upright = COLOUR if pixels.ndim == 3 else in_three(GREY)
    np.testing.assert_array_equal(found, seen(upright))


@pytest.mark.parametrize("kind", ["gif", "png", "webp", "tiff"])
def test_of_an_animation_the_first_frame_is_taken(kind):
    frames = [Image.new("RGB", (8, 6), color) for color in ("#ff0000", "#0000ff")]
    options = {"lossless": True} if kind == "webp" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert Image.open(io.BytesIO(data)).n_frames == 2
    assert (decode_picture(data) == [255, 0, 0]).all()


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
def test_other_colour_spaces_become_red_green_and_blue(mode):
    image = Image.new("RGB", (4, 4), (200, 40, 40)).convert(mode)
    found = decode_picture(encoded(image, "tiff"))
    assert found.shape == (4, 4, 3)
    assert np.abs(found - np.array([200, 40, 40])).max() <= 6


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (GREY.astype(np.float32), "floating-point numbers; save it with 8 or 16 bits"),
        (GREY.astype(np.int32) * 65536, "32 bits; save it with 8 or 16"),
        (-GREY.astype(np.int32) - 1, "32 bits"),
    ],
)
def test_values_that_nobody_can_scale_are_refused(pixels, message):
    with pytest.raises(DataError, match=message):
        decode_picture(encoded(Image.fromarray(pixels), "tiff"))


def test_a_picture_that_would_fill_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr(pictures, "MOST_PIXELS", 599)
    with pytest.raises(DataError, match=r"a picture of 30x20 is too large; .* at most 599 pixels"):
        decode_picture(encoded(Image.fromarray(GREY)))


def test_one_that_pillow_takes_for_a_bomb_is_called_too_large(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match="the picture is too large; scale it down to at most"):
        decode_picture(encoded(Image.fromarray(GREY)))


@pytest.mark.parametrize("content", [b"", b"hello", encoded(Image.fromarray(COLOUR))[:200]])
def test_what_is_no_picture_is_named(tmp_path, content):
    path = tmp_path / "face.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"face\.png: not an image, or a damaged one") as caught:
        read_picture(path)
    assert "\n" not in str(caught.value)
    assert "<" not in str(caught.value)


def test_files_that_are_not_there_or_are_folders_are_named(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.png: cannot be read \(No such file"):
        read_picture(tmp_path / "nothing.png")
    with pytest.raises(DataError, match="cannot be read"):
        read_picture(tmp_path)


def test_missing_pillow_is_an_error_that_tells_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match=r'Pillow: pip install "minicnn\[fer\]"'):
        decode_picture(b"")


@pytest.mark.parametrize(
    ("shape", "box"),
    [((20, 30), (5, 0, 25, 20)), ((31, 20), (0, 5, 20, 25)), ((7, 7), (0, 0, 7, 7))],
)
def test_the_centre_square_is_as_large_as_can_be_and_in_the_middle(shape, box):
    assert centre_square(np.zeros((*shape, 3), np.uint8)) == box


def test_a_part_of_the_right_size_is_taken_to_the_bit():
    box = Box(3, 2, 19, 18)
    np.testing.assert_array_equal(network_input(COLOUR, (16, 16, 3), box), COLOUR[2:18, 3:19])
    grey = network_input(in_three(GREY), (16, 16, 1), box)
    np.testing.assert_array_equal(grey[:, :, 0], GREY[2:18, 3:19])


def test_colours_become_grey_as_the_eye_sees_them():
    found = network_input(COLOUR, (20, 30, 1))[:, :, 0]
    expected = COLOUR @ np.array([0.299, 0.587, 0.114])  # ITU-R 601
    assert np.abs(found - expected).max() <= 1


def test_a_larger_part_is_averaged_and_not_sampled():
    stripes = np.zeros((96, 96, 3), np.uint8)
    stripes[:, ::2] = 200
    assert np.abs(network_input(stripes, (12, 12, 1)).astype(int) - 100).max() <= 5


@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 3]))
def test_any_size_gives_the_shape_that_was_asked_for(height, width, channels):
    picture = np.full((height, width, 3), 77, np.uint8)
    found = network_input(picture, (9, 11, channels), centre_square(picture))
    assert found.shape == (9, 11, channels)
    assert (found == 77).all()


def test_channels_and_boxes_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="1 or 3 channels, the network takes 2"):
        network_input(COLOUR, (8, 8, 2))
    with pytest.raises(ShapeError, match="does not lie in a picture of 30x20"):
        network_input(COLOUR, (8, 8, 1), Box(0, 0, 31, 20))


def test_data_sets_of_image_files_are_read_the_same_way():
    exif = Image.Exif()
    exif[0x0112] = 6
    square = RNG.integers(0, 256, (48, 48), np.uint8)
    data = encoded(Image.fromarray(square), exif=exif)
    found = decode_image(data).reshape(48, 48)
    np.testing.assert_array_equal(found, np.rot90(square, -1))
    np.testing.assert_array_equal(
        found[:, :, None], network_input(decode_picture(data), (48, 48, 1))
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: is no regular file"):
        read_picture(tmp_path / "a.png")
