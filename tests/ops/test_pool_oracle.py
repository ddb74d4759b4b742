"""Poolings against PyTorch, on shapes and options that hypothesis draws."""

from __future__ import annotations

import numpy as np
import pytest
import pytorch_images
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn.ops import pool

pytestmark = pytest.mark.oracle


@st.composite
def axes(draw, dilated):
    """Draw for one axis the size of the images, kernel, stride, padding and dilation that fit."""
    kernel, stride = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    dilation = draw(st.integers(1, 3)) if dilated else 1
    extent = dilation * (kernel - 1) + 1
    before = draw(st.integers(0, extent // 2))
    after = draw(st.one_of(st.just(before), st.integers(0, extent // 2)))
    # In fewer pixels than the dilation, a window could see nothing but padding, and is refused.
    size = max(dilation, extent - before - after)
    return size + draw(st.integers(0, 6)), kernel, stride, (before, after), dilation


@st.composite
def poolings(draw, *, dilated=False):
    """Draw images and options of a pooling."""
    size, kernel, stride, padding, dilation = zip(
        draw(axes(dilated)), draw(axes(dilated)), strict=True
    )
    options = {"kernel_size": kernel, "stride": stride, "padding": padding}
    if dilated:
        options["dilation"] = dilation
    return images(draw, size), options


def images(draw, size):
    """Draw a batch of images; their pixels may be few values, so that maxima are there twice."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.standard_normal((draw(st.integers(1, 3)), *size, draw(st.integers(1, 4))))
    return np.round(x) if draw(st.booleans()) else x


@settings(max_examples=120)
@given(drawn=poolings(dilated=True))
def test_max_pool2d(drawn):
    x, options = drawn
    pytorch_images.compare(pool.max_pool2d, pytorch_images.max_pool2d, [x], options)


@settings(max_examples=120)
@given(drawn=poolings(), count_include_pad=st.booleans())
def test_avg_pool2d(drawn, count_include_pad):
    x, options = drawn
    options = {**options, "count_include_pad": count_include_pad}
    pytorch_images.compare(pool.avg_pool2d, pytorch_images.avg_pool2d, [x], options)


@st.composite
def adaptive(draw):
    """Draw images and the size of the output, larger ones too."""
    size = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    return images(draw, size), {"output_size": (draw(st.integers(1, 11)), draw(st.integers(1, 6)))}


@settings(max_examples=60)
@given(drawn=adaptive())
def test_adaptive_avg_pool2d(drawn):
    x, options = drawn
    theirs = pytorch_images.adaptive_avg_pool2d
    pytorch_images.compare(pool.adaptive_avg_pool2d, theirs, [x], options)


@settings(max_examples=30)
@given(drawn=adaptive())
def test_global_pools(drawn):
    x, _ = drawn
    pytorch_images.compare(pool.global_avg_pool2d, lambda x: x.mean(dim=(1, 2)), [x], {})
    pytorch_images.compare(pool.global_max_pool2d, lambda x: x.amax(dim=(1, 2)), [x], {})
