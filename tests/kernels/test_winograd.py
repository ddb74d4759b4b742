"""Winograd's convolution: its matrices, its results against im2col, and when it is chosen."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn import backend
from minicnn.errors import OptionError
from minicnn.kernels import conv, cook_toom, im2col, winograd
from minicnn.kernels.sizes import conv_output_size
from minicnn.ops import conv2d

# (images, height, width, channels, filters, kernel, padding)
CASES = {
    "exact tiles": (3, 12, 8, 5, 7, 3, ((1, 1), (1, 1))),
    "tiles of three": (2, 6, 6, 4, 3, 3, ((1, 1), (1, 1))),
    "one tile": (2, 6, 6, 4, 3, 3, ((0, 0), (0, 0))),
    "tiles stand over": (2, 13, 7, 4, 3, 3, ((1, 1), (1, 1))),
    "wide kernel": (2, 12, 7, 3, 4, 5, ((2, 2), (2, 2))),
    "kernel of two": (2, 7, 7, 3, 4, 2, ((1, 0), (0, 1))),
    "kernel of four": (1, 9, 8, 2, 3, 4, ((1, 2), (2, 1))),
    "uneven padding": (2, 8, 9, 3, 2, 3, ((0, 2), (1, 0))),
    "smaller than a tile": (2, 3, 2, 3, 4, 3, ((1, 1), (1, 1))),
    "filters shared by the threads": (3, 8, 7, 128, 130, 3, ((1, 1), (1, 1))),
    "several chunks": (40, 12, 12, 33, 34, 3, ((1, 1), (1, 1))),
    "no images": (0, 12, 12, 3, 4, 3, ((1, 1), (1, 1))),
}


def draw(case, rng, dtype=np.float64):
    n, h, w, c, o, r, padding = case
    output = conv_output_size((h, w), r, 1, padding)
    shapes = ((n, h, w, c), (r, r, c, o), (o,), (n, *output, o))
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes], output


def on_backend(arrays):
    return [backend.asarray(array) for array in arrays]


def plain(padding):
    return {"stride": (1, 1), "padding": padding, "dilation": (1, 1), "groups": 1}


@pytest.mark.parametrize(
    ("m", "r"), [(6, 3), (4, 3), (3, 3), (4, 5), (2, 5), (1, 5), (7, 2), (5, 4), (1, 3)]
)
def test_matrices_correlate_exactly(m, r, rng):
    b, g, a = cook_toom.transforms(m, r)
    d, f = rng.integers(-9, 10, m + r - 1), rng.integers(-9, 10, r)
    expected = [sum(d[k + j] * f[j] for j in range(r)) for k in range(m)]
    np.testing.assert_allclose(a @ ((g @ f) * (b @ d)), expected, rtol=0, atol=1e-11)


def test_matrices_of_f_4_3_are_those_of_the_article():
    b, _, a = cook_toom.transforms(4, 3)
    assert b[0].tolist() == [4, 0, -5, 0, 1, 0]
    assert np.abs(b[1]).tolist() == [0, 4, 4, 1, 1, 0]
    assert a.tolist() == [
        [1, 1, 1, 1, 1, 0],
        [0, 1, -1, 2, -2, 0],
        [0, 1, 1, 4, 4, 0],
        [0, 1, -1, 8, -8, 1],
    ]


@pytest.mark.parametrize("name", CASES)
def test_results_and_gradients_equal_im2col(name, rng):
    case = CASES[name]
    padding = case[6]
    arrays, output = draw(case, rng)
    x, w, b, gy = on_backend(arrays)
    size = case[1:3]
    kernel = (case[5], case[5])
    pairs = [
        (
            winograd.conv2d(x, w, b, padding=padding, output=output),
            im2col.conv2d(x, w, b, output=output, **plain(padding)),
        ),
        (
            winograd.gradients(None, w, gy, size=size, kernel=case[5], padding=padding)[0],
            im2col.input_gradient(gy, w, size=size, **plain(padding)),
        ),
        (
            winograd.gradients(x, None, gy, size=size, kernel=case[5], padding=padding)[1],
            im2col.filter_gradient(x, gy, kernel=kernel, **plain(padding)),
        ),
    ]
    for found, expected in pairs:
        found, expected = backend.to_numpy(found), backend.to_numpy(expected)
        assert found.shape == expected.shape
        scale = np.abs(expected).max(initial=1e-300)
        np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=1e-12)


# Layers of the zoo's networks that it computes: the first five at batches for which its transforms
# are compiled, the others at smaller ones.
LAYERS = [
    (8, 24, 24, 32, 64, 3, ((1, 1), (1, 1))),
    (16, 12, 12, 64, 128, 3, ((1, 1), (1, 1))),
    (2, 48, 48, 64, 64, 3, ((1, 1), (1, 1))),
    (2, 48, 48, 32, 32, 5, ((2, 2), (2, 2))),
    (4, 24, 24, 64, 64, 5, ((2, 2), (2, 2))),
    (2, 6, 6, 128, 256, 3, ((0, 0), (0, 0))),
    (1, 12, 12, 512, 512, 3, ((1, 1), (1, 1))),
    (1, 6, 6, 512, 512, 3, ((1, 1), (1, 1))),
    (1, 24, 24, 32, 64, 3, ((1, 1), (1, 1))),
]


@pytest.mark.host
@pytest.mark.parametrize("case", LAYERS, ids=str)
def test_float32_is_within_1e_4_of_direct_float64(case, rng):
    padding = case[6]
    (x, w, _, gy), output = draw(case, rng, np.float32)
    x8, w8, gy8 = (array.astype(np.float64) for array in (x, w, gy))
    size, kernel = case[1:3], (case[5], case[5])
    pairs = [
        (
            conv.conv2d(x, w, None, output=output, **plain(padding)),
            im2col.conv2d(x8, w8, None, output=output, **plain(padding)),
        ),
        (
            conv.input_gradient(gy, w, size=size, **plain(padding)),
            im2col.input_gradient(gy8, w8, size=size, **plain(padding)),
        ),
        (
            conv.filter_gradient(x, gy, kernel=kernel, **plain(padding)),
            im2col.filter_gradient(x8, gy8, kernel=kernel, **plain(padding)),
        ),
    ]
    for found, expected in pairs:
        assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def choice(filters, output, dtype=np.float32, on_cpu=True, with_numba=True, **changed):
    options = {**plain(((1, 1), (1, 1))), **changed}
    return conv.choose(
        filters, 32, output, np.dtype(dtype), on_cpu=on_cpu, with_numba=with_numba, **options
    )


@pytest.mark.host
def test_winograd_is_chosen_for_wide_layers_of_float32_on_a_cpu_only():
    assert choice((3, 3, 64, 64), (48, 48)) == "winograd"
    assert choice((5, 5, 64, 64), (48, 48), padding=((2, 2), (2, 2))) == "winograd"
    assert choice((3, 3, 64, 64), (48, 48), dtype=np.float64) == "im2col"
    assert choice((3, 3, 64, 64), (48, 48), on_cpu=False) == "im2col"
    assert choice((3, 3, 1, 64), (48, 48), with_numba=False) == "im2col"
    assert choice((3, 3, 4, 300), (48, 48)) == "im2col"
    assert choice((3, 3, 64, 7), (48, 48)) == "im2col"
    assert choice((1, 1, 64, 64), (48, 48), padding=((0, 0), (0, 0))) == "im2col"
    assert choice((3, 3, 64, 64), (1, 1)) == "im2col"
    assert choice((3, 5, 64, 64), (48, 48)) == "im2col"
    assert choice((3, 3, 64, 64), (24, 24), stride=(2, 2)) == "im2col"
    assert choice((3, 3, 64, 64), (44, 44), dilation=(2, 2)) == "im2col"
    assert choice((3, 3, 32, 64), (48, 48), groups=2) == "im2col"
    assert choice((3, 3, 64, 64), (52, 52), padding=((3, 3), (3, 3))) == "im2col"


@pytest.mark.host
def test_the_direct_way_is_chosen_for_small_patches_where_there_is_code_for_them():
    assert choice((3, 3, 1, 64), (48, 48)) == "direct"
    assert choice((5, 5, 1, 64), (48, 48), padding=((2, 2), (2, 2))) == "direct"
    assert choice((3, 3, 3, 128), (24, 24), stride=(2, 2)) == "direct"
    assert choice((3, 3, 1, 64), (9, 9)) == "im2col"  # not worth compiling
    assert choice((3, 3, 1, 64), (48, 48), with_numba=False) == "im2col"
    assert choice((3, 3, 1, 64), (48, 48), on_cpu=False) == "im2col"
    assert choice((3, 3, 1, 64), (48, 48), dtype=np.float64) == "im2col"
    assert choice((3, 3, 1, 64), (44, 44), dilation=(2, 2)) == "im2col"
    assert choice((3, 3, 1, 64), (48, 48), groups=2) == "im2col"
    assert choice((3, 3, 4, 64), (48, 48)) != "direct"


@pytest.mark.host
@pytest.mark.parametrize(
    ("kernel", "output", "images", "m"),
    [
        (3, (48, 48), 32, 6),
        (3, (12, 12), 8, 4),  # F(6x6) would need fewer products, but larger filters
        (3, (12, 12), 32, 6),
        (3, (6, 6), 16, 3),
        (3, (6, 6), 32, 6),
        (3, (4, 4), 128, 4),
        (3, (3, 3), 32, 3),
        (5, (48, 48), 32, 4),
    ],
)
def test_tiles_suit_the_output_and_the_batch(kernel, output, images, m):
    assert cook_toom.tile_size(kernel, output, images) == m


@pytest.mark.parametrize(
    "options", [{"stride": 2}, {"dilation": 2}, {"groups": 2}, {"padding": 3}, {"kernel": (3, 2)}]
)
def test_winograd_by_name_is_refused_where_it_does_not_fit(options, rng):
    options = dict(options)
    kernel = options.pop("kernel", (3, 3))
    channels = 4 // options.get("groups", 1)
    x, w = on_backend(
        [rng.standard_normal((1, 9, 9, 4)), rng.standard_normal((*kernel, channels, 4))]
    )
    with pytest.raises(OptionError, match="use 'auto' or 'im2col'"):
        conv2d(x, w, algorithm="winograd", **options)
