"""Pooling as users call it: options, ties, adaptive and global windows, errors."""

from __future__ import annotations

import re

import numpy as np
import pytest
import standin
import textbook

import minicnn
from minicnn import Tensor, backend
from minicnn.errors import DTypeError, OptionError, ShapeError
from minicnn.ops import pool

WINDOWS = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
FUNCTIONS = {
    "max_pool2d": lambda x: pool.max_pool2d(x, 2),
    "avg_pool2d": lambda x: pool.avg_pool2d(x, 2),
    "adaptive_avg_pool2d": lambda x: pool.adaptive_avg_pool2d(x, 2),
    "global_avg_pool2d": pool.global_avg_pool2d,
    "global_max_pool2d": pool.global_max_pool2d,
}

each_function = pytest.mark.parametrize("name", FUNCTIONS)


def draw(*shape, dtype="float64", requires_grad=True, seed=1):
    """Return a tensor of random numbers on the current backend."""
    values = np.random.default_rng(seed).uniform(-1, 1, shape).astype(dtype)
    return minicnn.tensor(values, requires_grad=requires_grad)


def means(x, **options):
    """Average-pool with the matrix of the means."""
    n, h, w, c = x.shape
    matrix = textbook.average_matrix((h, w), **options)
    return matrix, matrix @ x.numpy().reshape(n, h * w, c)


# Options.


@pytest.mark.parametrize("padding", [1, (1, 1), ((1, 1), (1, 1)), "same", np.int64(1)])
@pytest.mark.parametrize("stride", [1, (1, 1), [1, 1]])
@pytest.mark.parametrize("kernel", [3, (3, 3)])
def test_options_can_be_said_in_several_ways(kernel, stride, padding):
    x = draw(2, 5, 6, 2)
    largest, _ = textbook.max_pool(
        x.numpy(), kernel=(3, 3), **{**WINDOWS, "padding": ((1, 1), (1, 1))}
    )
    np.testing.assert_array_equal(pool.max_pool2d(x, kernel, stride, padding).numpy(), largest)
    options = {"kernel": (3, 3), "stride": (1, 1), "padding": ((1, 1), (1, 1))}
    _, expected = means(x, **options, include_pad=True)
    found = pool.avg_pool2d(x, kernel, stride, padding).numpy()
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("function", [pool.max_pool2d, pool.avg_pool2d])
def test_stride_is_the_kernel_size_unless_given(function):
    x = draw(2, 7, 9, 2)
    assert function(x, (2, 4)).shape == (2, 3, 2, 2)
    np.testing.assert_array_equal(function(x, (2, 4)).numpy(), function(x, (2, 4), (2, 4)).numpy())


def test_max_pooling_has_its_own_options_along_each_axis_and_padding_on_each_side():
    x = draw(2, 7, 9, 2)
    options = {
        "kernel": (2, 3),
        "stride": (1, 3),
        "padding": ((1, 0), (0, 2)),
        "dilation": (3, 2),
    }
    y = pool.max_pool2d(x, (2, 3), (1, 3), ((1, 0), (0, 2)), (3, 2))
    expected, index = textbook.max_pool(x.numpy(), **options)
    np.testing.assert_array_equal(y.numpy(), expected)
    gy = draw(*y.shape, seed=2)
    y.backward(gy)
    expected = textbook.max_pool_gradient(index, gy.numpy(), (7, 9), **options)
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("count_include_pad", [True, False])
def test_average_pooling_has_its_own_options_along_each_axis_and_each_side(count_include_pad):
    x = draw(2, 7, 9, 2)
    options = {"kernel": (2, 3), "stride": (1, 3), "padding": ((1, 0), (0, 1))}
    y = pool.avg_pool2d(x, (2, 3), (1, 3), ((1, 0), (0, 1)), count_include_pad)
    matrix, expected = means(x, **options, include_pad=count_include_pad)
    np.testing.assert_allclose(y.numpy().reshape(expected.shape), expected, rtol=1e-12, atol=1e-12)
    gy = draw(*y.shape, seed=2)
    y.backward(gy)
    expected = (matrix.T @ gy.numpy().reshape(2, -1, 2)).reshape(x.shape)
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("function", [pool.max_pool2d, pool.avg_pool2d])
@pytest.mark.parametrize("kernel", [2, 3, (1, 4)])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_gives_the_size_divided_by_the_stride_rounded_up(function, kernel, stride):
    y = function(draw(1, 7, 8, 2), kernel, stride, "same")
    assert y.shape == (1, -(-7 // stride), -(-8 // stride), 2)


def test_padding_never_wins_against_negative_pixels():
    x = minicnn.tensor(-np.ones((1, 2, 2, 1)))
    y = pool.max_pool2d(x, 2, 1, 1)
    np.testing.assert_array_equal(y.numpy(), -np.ones((1, 3, 3, 1)))


# Gradients.


def test_max_pool_routes_gradient_to_first_maximum():
    x = minicnn.tensor(np.full((1, 3, 3, 1), 2.0), requires_grad=True)
    pool.max_pool2d(x, 2, 1).sum().backward()
    expected = [[1, 1, 0], [1, 1, 0], [0, 0, 0]]  # four windows, each gives to its first pixel
    np.testing.assert_array_equal(x.grad.numpy()[0, :, :, 0], expected)


def test_gradient_reaches_pixels_of_minus_infinity_beside_padding():
    x = minicnn.tensor(np.full((1, 2, 2, 1), -np.inf), requires_grad=True)
    pool.max_pool2d(x, 2, 2, 1).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.ones((1, 2, 2, 1)))


def test_nan_of_one_pixel_stays_in_its_window():
    x = draw(1, 4, 4, 2)
    broken = x.numpy().copy()
    broken[0, 3, 2, 1] = np.nan
    for function in (pool.max_pool2d, pool.avg_pool2d):
        found = function(minicnn.tensor(broken), 2).numpy()
        assert np.argwhere(np.isnan(found)).tolist() == [[0, 1, 1, 1]]


def test_global_max_pool_shares_gradient_among_equal_maxima():
    x = minicnn.tensor([[[[1.0], [3.0]], [[3.0], [0.0]]]], requires_grad=True)
    pool.global_max_pool2d(x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy()[0, :, :, 0], [[0, 0.5], [0.5, 0]])


@each_function
@pytest.mark.parametrize("shape", [(2, 3, 5, 2), (1, 4, 4, 1)])
def test_first_and_second_gradients_equal_difference_quotients(name, shape):
    x = draw(*shape, seed=5)
    assert minicnn.gradcheck(FUNCTIONS[name], [x])
    assert minicnn.gradgradcheck(lambda x: FUNCTIONS[name](x) ** 2, [x])


# Adaptive and global windows.


@pytest.mark.parametrize("output", [1, 2, 3, 5, 7, 9, (2, 4), (6, 1), (3, 12)])
@pytest.mark.parametrize("size", [(6, 6), (5, 9), (1, 3)])
def test_adaptive_pool_averages_from_floor_to_ceiling(size, output):
    x = draw(2, *size, 3)
    height, width = (output, output) if isinstance(output, int) else output
    values, gy = x.numpy(), draw(2, height, width, 3, seed=2)
    expected, gradient = np.zeros((2, height, width, 3)), np.zeros(x.shape)
    for i, j in np.ndindex(height, width):
        rows = slice(int(np.floor(i * size[0] / height)), -int(-(i + 1) * size[0] // height))
        columns = slice(int(np.floor(j * size[1] / width)), -int(-(j + 1) * size[1] // width))
        window = values[:, rows, columns]
        expected[:, i, j] = window.mean(axis=(1, 2))
        share = gy.numpy()[:, i, j] / (window.shape[1] * window.shape[2])
        gradient[:, rows, columns] += share[:, None, None]
    y = pool.adaptive_avg_pool2d(x, output)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-12)
    y.backward(gy)
    np.testing.assert_allclose(x.grad.numpy(), gradient, rtol=1e-12, atol=1e-12)


def test_global_pools_take_each_channel_of_each_image_by_itself():
    x = draw(3, 4, 5, 2)
    mean, largest = pool.global_avg_pool2d(x).numpy(), pool.global_max_pool2d(x).numpy()
    assert mean.shape == largest.shape == (3, 2)
    for n, c in np.ndindex(3, 2):
        pixels = [float(v) for row in x.numpy()[n] for v in row[:, c]]
        np.testing.assert_allclose(mean[n, c], sum(pixels) / 20)
        assert largest[n, c] == max(pixels)


# Types and places.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@each_function
def test_element_type_is_kept_by_results_and_gradients(name, dtype):
    x = draw(2, 5, 6, 3, dtype=dtype)
    y = FUNCTIONS[name](x)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == dtype


@each_function
def test_plain_arrays_are_constants(name):
    x = draw(2, 5, 6, 3)
    y = FUNCTIONS[name](x.data)
    assert isinstance(y, Tensor) and not y.requires_grad
    np.testing.assert_array_equal(y.numpy(), FUNCTIONS[name](x).numpy())


@each_function
def test_batch_without_images_gives_none(name):
    x = draw(0, 4, 6, 3)
    y = FUNCTIONS[name](x)
    assert y.shape[0] == 0 and y.shape[-1] == 3
    y.sum().backward()
    assert x.grad.shape == x.shape


@pytest.mark.parametrize("name", ["max_pool2d", "global_max_pool2d"])
def test_maxima_of_integers_are_integers(name):
    x = minicnn.tensor(np.arange(16, dtype="uint8").reshape(1, 4, 4, 1))
    y = FUNCTIONS[name](x)
    assert y.dtype == np.uint8 and y.numpy().max() == 15


@pytest.mark.parametrize("name", ["avg_pool2d", "adaptive_avg_pool2d", "global_avg_pool2d"])
@pytest.mark.parametrize("size", [4, 5])
def test_means_of_integers_are_refused(name, size):
    x = minicnn.tensor(np.full((1, size, size, 1), 200, "uint8"))
    with pytest.raises(DTypeError, match=r"uint8; convert them with \.astype"):
        FUNCTIONS[name](x)


@pytest.mark.standin
@each_function
def test_nothing_is_moved_between_host_and_device(name):
    x = draw(2, 5, 6, 3)
    with standin.no_transfers():
        y = FUNCTIONS[name](x)
        y.backward(Tensor(backend.xp(y.data).ones_like(y.data)))


# What is refused.


def refuses(kind, message, function, *inputs):
    with pytest.raises(kind, match=f"^{re.escape(message)}") as caught:
        function(*inputs)
    assert "\n" not in str(caught.value)


@each_function
def test_what_is_no_batch_of_images_is_refused_by_name(name):
    message = f"{name}: expected images of shape (N, H, W, C), got (5, 6, 3)"
    refuses(ShapeError, message, FUNCTIONS[name], draw(5, 6, 3))
    message = f"{name}: expected a Tensor or an array, got list"
    refuses(TypeError, message, FUNCTIONS[name], [[[[1.0]]]])


@each_function
def test_empty_images_are_refused(name):
    with pytest.raises(ShapeError, match=f"{name}|mean|max") as caught:
        FUNCTIONS[name](draw(2, 0, 6, 3))
    assert "empty" in str(caught.value) or "no elements" in str(caught.value)


HALF = "is more than half of the kernel"
REFUSED = [
    (((3, 1),), ShapeError, "max_pool2d: a kernel of height 3 is larger than the image of height"),
    ((2, 1, 0, (1, 7)), ShapeError, "max_pool2d: a kernel of width 2 (dilated to 8) is larger"),
    ((2, 2, 2), OptionError, f"padding: 2 {HALF} (2, 2), so that windows would lie outside the im"),
    ((3, 1, (1, 2)), OptionError, f"padding: (1, 2) {HALF} (3, 3), so that windows would lie outs"),
    ((2, 1, (2, 0), (3, 1)), ShapeError, "max_pool2d: images of size (2, 6) with the padding ((2,"),
    ((0,), OptionError, "kernel_size: must be 1 or more, got 0"),
    (("2",), OptionError, "kernel_size: expected an integer or two of them (height, width), got '"),
    ((2, 0), OptionError, "stride: must be 1 or more, got 0"),
    ((2, 2, None), OptionError, "padding: expected an integer, two of them (height, width), two"),
    ((2, 2, -1), OptionError, "padding: must be 0 or more, got -1"),
    ((2, 2, 0, 0), OptionError, "dilation: must be 1 or more, got 0"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "kind", "message"), REFUSED)
def test_options_that_do_not_fit_are_refused(options, kind, message):
    x = draw(1, 2, 6, 1)
    refuses(kind, message, pool.max_pool2d, x, *options)
    if len(options) < 4:
        refuses(kind, message.replace("max_", "avg_"), pool.avg_pool2d, x, *options)


@pytest.mark.parametrize("output_size", [0, (1, -2), "2", (1, 2, 3)])
def test_output_size_out_of_range_is_refused(output_size):
    refuses(OptionError, "output_size: ", pool.adaptive_avg_pool2d, draw(1, 4, 4, 1), output_size)
