"""Convolution as users call it: ways to say the options, and derivatives of derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import standin
import textbook
from drawing import draw

import minicnn
from minicnn import Tensor, backend
from minicnn.ops.activation import relu
from minicnn.ops.conv import ALGORITHMS, conv2d, conv_transpose2d
from minicnn.ops.pool import avg_pool2d, max_pool2d

LOOPS = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}


def expect(y, x, w, b=None, **options):
    """Compare a convolution with the loops."""
    b = None if b is None else b.numpy()
    expected = textbook.conv2d(x.numpy(), w.numpy(), b, **{**LOOPS, **options})
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-12)


# Options.


@pytest.mark.parametrize("padding", [1, (1, 1), [1, 1], ((1, 1), (1, 1)), "same", np.int64(1)])
@pytest.mark.parametrize("stride", [1, (1, 1)])
@pytest.mark.parametrize("dilation", [1, [1, 1]])
def test_options_can_be_said_in_several_ways(padding, stride, dilation):
    x, w, b = draw((2, 5, 6, 3), (3, 3, 3, 2), (2,))
    y = conv2d(x, w, b, stride=stride, padding=padding, dilation=dilation)
    expect(y, x, w, b, padding=((1, 1), (1, 1)))


def test_each_axis_has_its_own_stride_padding_and_dilation():
    x, w = draw((2, 7, 9, 2), (3, 2, 2, 4))
    y = conv2d(x, w, stride=(2, 1), padding=(0, 3), dilation=(1, 4))
    expect(y, x, w, stride=(2, 1), padding=((0, 0), (3, 3)), dilation=(1, 4))


def test_each_side_has_its_own_padding():
    x, w, b = draw((2, 4, 5, 2), (3, 3, 2, 3), (3,))
    y = conv2d(x, w, b, padding=((0, 2), (3, 1)))
    assert y.shape == (2, 4, 7, 3)
    expect(y, x, w, b, padding=((0, 2), (3, 1)))


@pytest.mark.parametrize("kernel", [(1, 2), (3, 4), (2, 5)])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_keeps_the_size_and_puts_the_odd_row_at_the_end(kernel, stride):
    x, w = draw((1, 6, 8, 2), (*kernel, 2, 3))
    y = conv2d(x, w, stride=stride, padding="same")
    sizes = [-(-n // stride) for n in (6, 8)]
    assert y.shape == (1, *sizes, 3)
    pads = []
    for m, k, n in zip(sizes, kernel, (6, 8), strict=True):
        missing = max((m - 1) * stride + k - n, 0)
        pads.append((missing // 2, (missing + 1) // 2))
    expect(y, x, w, stride=(stride, stride), padding=pads)


def test_valid_padding_is_none():
    x, w = draw((1, 6, 8, 2), (3, 4, 2, 3))
    expect(conv2d(x, w, padding="valid"), x, w)


@pytest.mark.parametrize("groups", [2, np.int32(2)])
def test_groups_do_not_see_each_other(groups):
    x, w, b = draw((2, 5, 6, 4), (3, 2, 2, 6), (6,))
    y = conv2d(x, w, b, groups=groups)
    expect(y, x, w, b, groups=2)
    alone = conv2d(x[..., 2:], w[..., 3:], b[3:])
    np.testing.assert_allclose(y.numpy()[..., 3:], alone.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_gives_the_same(algorithm):
    x, w, b = draw((2, 5, 6, 3), (3, 3, 3, 4), (4,))
    options = {"stride": (1, 1), "padding": ((1, 1), (1, 0))}
    expect(conv2d(x, w, b, **options, algorithm=algorithm), x, w, b, **options)


def test_plain_arrays_are_constants():
    x, w, b = draw((2, 5, 6, 3), (3, 3, 3, 4), (4,))
    y = conv2d(x.data, w.data, b.data)
    assert isinstance(y, Tensor) and not y.requires_grad
    expect(y, x, w, b)
    y = conv_transpose2d(x.data, draw((2, 2, 4, 3))[0].data, b.data)
    assert isinstance(y, Tensor) and not y.requires_grad


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_element_type_is_kept_by_results_and_gradients(dtype):
    x, w, b = draw((2, 5, 6, 3), (3, 3, 3, 3), (3,), dtype=dtype)
    y = conv_transpose2d(conv2d(x, w, b, padding=1), w, b, stride=2)
    y.sum().backward()
    assert {each.dtype.name for each in (y, x.grad, w.grad, b.grad)} == {dtype}


def test_batch_without_images_gives_none_and_zero_gradients():
    x, w, b = draw((0, 5, 6, 3), (3, 3, 3, 4), (4,))
    y = conv2d(x, w, b, padding="same")
    assert y.shape == (0, 5, 6, 4)
    y.sum().backward()
    assert x.grad.shape == x.shape
    assert not w.grad.numpy().any() and not b.grad.numpy().any()


@pytest.mark.standin
def test_nothing_is_moved_between_host_and_device():
    x, w, b = draw((2, 5, 6, 4), (3, 3, 2, 4), (4,))
    with standin.no_transfers():
        y = conv_transpose2d(conv2d(x, w, b, groups=2, padding=1), w, b, groups=2, stride=2)
        y.backward(Tensor(backend.xp(y.data).ones_like(y.data)))


# Derivatives through a network, and of derivatives.


def network(x, w1, b1, w2, b2):
    """Two convolutions with two poolings and a relu, to one number for each image."""
    h = max_pool2d(relu(conv2d(x, w1, b1, padding="same")), 2)
    h = avg_pool2d(conv2d(h, w2, b2, stride=(1, 2), groups=2) ** 2, (2, 1))
    return h.sum(axis=(1, 2, 3))


SHAPES = [(2, 6, 6, 1), (3, 3, 1, 4), (4,), (2, 2, 2, 2), (2,)]


def test_gradients_of_a_network_equal_difference_quotients():
    assert minicnn.gradcheck(network, draw(*SHAPES, seed=3))


def test_second_gradients_of_a_network_equal_difference_quotients():
    assert minicnn.gradgradcheck(network, draw(*SHAPES, seed=3))


def test_gradient_of_a_gradient_penalty_has_its_closed_form():
    # The score <a, conv(x, w)> has the gradient gx(a, w) in x, and |gx|^2 has 2 gw(gx, a) in w.
    x, w, a = draw((2, 5, 6, 3), (3, 2, 3, 4), (2, 2, 3, 4))
    options = {"stride": (2, 2), "padding": ((1, 0), (0, 1))}
    score = (a * conv2d(x, w, **options)).sum()
    (gx,) = minicnn.grad(score, x, create_graph=True)
    (gx * gx).sum().backward()
    host = x.numpy(), w.numpy(), a.numpy()
    expected_gx, _ = textbook.conv2d_gradients(*host, **{**LOOPS, **options})
    _, expected = textbook.conv2d_gradients(expected_gx, *host[1:], **{**LOOPS, **options})
    np.testing.assert_allclose(w.grad.numpy(), 2 * expected, rtol=1e-12, atol=1e-12)


def test_training_step_with_a_gradient_penalty_equals_difference_quotients():
    # As in WGAN-GP: the norm of the gradient in the images is drawn towards 1.
    values = draw(*SHAPES, seed=4)
    images, *parameters = values

    def loss(*parameters):
        score = network(images, *parameters)
        (gx,) = minicnn.grad(score.sum(), images, create_graph=True)
        norms = (gx**2).sum(axis=(1, 2, 3)) ** 0.5
        return ((norms - 1) ** 2).mean() - score.mean()

    assert minicnn.gradcheck(loss, parameters)
    loss(*parameters).backward()
    assert all(each.grad is not None for each in parameters)
