"""Transposed convolution against a convolution of images that zeros were put into."""

from __future__ import annotations

import numpy as np
import pytest
import textbook
from drawing import draw

import minicnn
from minicnn.ops.conv import conv2d, conv_transpose2d

LOOPS = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}


def stuffed(x, stride):
    """Return images with stride - 1 zeros between pixels."""
    n, h, w, c = x.shape
    result = np.zeros((n, (h - 1) * stride[0] + 1, (w - 1) * stride[1] + 1, c))
    result[:, :: stride[0], :: stride[1]] = x
    return result


def transposed_by_stuffing(x, w, b, *, stride, padding, dilation, output_padding, groups):
    """Correlate images that zeros were put into, framed completely, with mirrored filters."""
    pads = []
    for k, d, (before, after), extra in zip(
        w.shape[:2], dilation, padding, output_padding, strict=True
    ):
        reach = d * (k - 1)
        pads.append((reach - before, reach - after + extra))
    x = stuffed(x, stride)
    framed = textbook.frame(x, [(max(a, 0), max(b, 0)) for a, b in pads])
    (top, bottom), (left, right) = [(max(-a, 0), max(-b, 0)) for a, b in pads]
    framed = framed[:, top : framed.shape[1] - bottom, left : framed.shape[2] - right]
    mirrored = w[::-1, ::-1]
    parts = np.split(mirrored, groups, axis=3)  # (KH, KW, O / groups, C / groups) of each group
    filters = np.concatenate([part.swapaxes(2, 3) for part in parts], axis=3)
    options = {**LOOPS, "dilation": dilation, "groups": groups}
    return textbook.conv2d(framed, filters, b, **options)


TRANSPOSED = [
    {},
    {"stride": (2, 3)},
    {"stride": (2, 3), "output_padding": (1, 2)},
    {"stride": (3, 2), "padding": ((1, 1), (2, 2)), "output_padding": (2, 0)},
    {"stride": (2, 2), "padding": ((2, 0), (1, 3)), "output_padding": (0, 1)},
    {"dilation": (2, 3), "padding": ((0, 3), (2, 1))},
    {"stride": (3, 3), "dilation": (2, 1), "output_padding": (2, 1), "groups": 2},
    {"stride": (4, 1), "padding": ((3, 3), (0, 0))},
]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("options", TRANSPOSED, ids=str)
def test_transposed_convolution_correlates_images_with_zeros_between_pixels(options, bias):
    x, w, b = draw((2, 3, 4, 4), (3, 2, 3, 4), (3 * options.get("groups", 1),))
    b = b if bias else None
    expected = transposed_by_stuffing(
        x.numpy(),
        w.numpy(),
        b.numpy() if bias else None,
        **{**LOOPS, "output_padding": (0, 0), **options},
    )
    y = conv_transpose2d(x, w, b, **options)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-12)


def test_options_of_transposed_convolution_can_be_numbers():
    x, w = draw((1, 3, 4, 2), (3, 3, 3, 2))
    y = conv_transpose2d(x, w, stride=2, padding=1, output_padding=1, dilation=2)
    pairs = {"stride": (2, 2), "padding": ((1, 1), (1, 1)), "dilation": (2, 2)}
    expected = conv_transpose2d(x, w, **pairs, output_padding=(1, 1))
    np.testing.assert_array_equal(y.numpy(), expected.numpy())


@pytest.mark.parametrize("options", TRANSPOSED, ids=str)
def test_transposed_convolution_is_the_adjoint_of_the_convolution(options):
    x, w = draw((2, 3, 4, 4), (3, 2, 3, 4), requires_grad=False)
    y = conv_transpose2d(x, w, **options)
    (other,) = draw(y.shape, seed=2, requires_grad=False)
    options = {name: value for name, value in options.items() if name != "output_padding"}
    back = conv2d(other, w, **options)
    np.testing.assert_allclose((y * other).sum().item(), (x * back).sum().item(), rtol=1e-12)


@pytest.mark.parametrize("options", TRANSPOSED[3:7:3], ids=str)
def test_first_and_second_gradients_of_transposed_convolution(options):
    inputs = draw((1, 2, 3, 2), (2, 2, 2, 2), (2 * options.get("groups", 1),))

    def function(x, w, b):
        return conv_transpose2d(x, w, b, **options)

    assert minicnn.gradcheck(function, inputs)
    assert minicnn.gradgradcheck(function, inputs)
