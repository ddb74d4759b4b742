"""Convolutions against PyTorch, on shapes and options that hypothesis draws."""

from __future__ import annotations

import numpy as np
import pytest
import pytorch_images
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn
from minicnn.ops.conv import conv2d, conv_transpose2d

pytestmark = pytest.mark.oracle


@st.composite
def axes(draw, *, transposed=False):
    """Draw for one axis the size of the images, kernel, stride, padding and dilation that fit."""
    kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    dilation = draw(st.integers(1, 3))
    extent = dilation * (kernel - 1) + 1
    before = draw(st.integers(0, 3))
    after = draw(st.one_of(st.just(before), st.integers(0, 3)))
    if transposed:
        size = draw(st.integers(1, 5))
        full = (size - 1) * stride + extent
        before = min(before, full - 1)
        after = min(after, full - 1 - before)
    else:
        size = max(1, extent - before - after) + draw(st.integers(0, 6))
    return size, kernel, stride, (before, after), dilation


@st.composite
def convolutions(draw, *, transposed=False):
    """Draw arrays (images, filters, bias or None) and options of a convolution."""
    size, kernel, stride, padding, dilation = zip(
        draw(axes(transposed=transposed)), draw(axes(transposed=transposed)), strict=True
    )
    groups = draw(st.integers(1, 3))
    channels, outputs = (groups * draw(st.integers(1, 3)) for _ in range(2))
    filters = (outputs // groups, channels) if transposed else (channels // groups, outputs)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    arrays = [
        rng.standard_normal((draw(st.integers(1, 3)), *size, channels)),
        rng.standard_normal((*kernel, *filters)),
        rng.standard_normal(outputs) if draw(st.booleans()) else None,
    ]
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if transposed:
        options["output_padding"] = tuple(draw(st.integers(0, s - 1)) for s in stride)
    return arrays, options


@settings(max_examples=200)
@given(drawn=convolutions())
def test_conv2d(drawn):
    pytorch_images.compare(conv2d, pytorch_images.conv2d, *drawn)


@settings(max_examples=100)
@given(drawn=convolutions(transposed=True))
def test_conv_transpose2d(drawn):
    pytorch_images.compare(conv_transpose2d, pytorch_images.conv_transpose2d, *drawn)


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # which tells of a copy
@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
)
def test_same_padding(seed, size, kernel, dilation):
    import torch

    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((2, *size, 2)), rng.standard_normal((*kernel, 2, 3))

    def theirs(x, w):
        images, filters = x.movedim(-1, 1), w.permute(3, 2, 0, 1)
        y = torch.nn.functional.conv2d(images, filters, padding="same", dilation=dilation)
        return y.movedim(1, -1)

    def ours(x, w):
        return conv2d(x, w, padding="same", dilation=dilation)

    pytorch_images.compare(ours, theirs, [x, w], {})


@settings(max_examples=40)
@given(drawn=convolutions())
def test_gradients_of_the_gradients_of_conv2d(drawn):
    import torch

    (x, w, _), options = drawn

    def penalty(convolve, grad):
        def function(x, w):
            gx, gw = grad((convolve(x, w, None, **options) ** 2).sum(), [x, w], create_graph=True)
            return (gx**2).sum() + (gw * w).sum()

        return function

    ours = penalty(conv2d, minicnn.grad)
    theirs = penalty(pytorch_images.conv2d, torch.autograd.grad)
    pytorch_images.compare(ours, theirs, [x, w], {})
