"""Output sizes: windows are counted one by one, and every wrong option is refused in words."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.errors import OptionError, ShapeError
from minicnn.kernels import sizes

pytestmark = pytest.mark.host

AXIS = st.tuples(st.integers(1, 30), st.integers(1, 7), st.integers(1, 5), st.integers(1, 4))
PAD = st.tuples(st.integers(0, 4), st.integers(0, 4))


def count(size, kernel, stride, dilation, padding=(0, 0)):
    """Count the positions at which every place of a window is on the padded image."""
    padded = range(-padding[0], size + padding[1])
    found, start = 0, -padding[0]
    while all(start + dilation * i in padded for i in range(kernel)):
        found, start = found + 1, start + stride
    return found


@given(axes=st.tuples(AXIS, AXIS), padding=st.tuples(PAD, PAD))
def test_output_size_counts_the_positions_of_the_window_along_each_axis(axes, padding):
    expected = tuple(count(*axis, pads) for axis, pads in zip(axes, padding, strict=True))
    size, kernel, stride, dilation = zip(*axes, strict=True)
    if 0 in expected:
        with pytest.raises(ShapeError, match="larger than the image"):
            sizes.conv_output_size(size, kernel, stride, padding, dilation)
        return
    assert sizes.conv_output_size(size, kernel, stride, padding, dilation) == expected


@given(axis=AXIS, padding=st.integers(0, 4))
def test_one_number_stands_for_both_axes_or_for_a_single_one(axis, padding):
    size, kernel, stride, dilation = axis
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    expected = count(size, kernel, stride, dilation, (padding, padding))
    if expected:
        assert sizes.conv_output_size(size, kernel, **options) == expected
        assert sizes.conv_output_size((size, size), kernel, **options) == (expected, expected)
    else:
        with pytest.raises(ShapeError, match="larger than the image"):
            sizes.conv_output_size(size, kernel, **options)


def test_height_and_width_have_their_own_kernel_stride_padding_and_dilation():
    found = sizes.conv_output_size((10, 20), (3, 2), (2, 5), (1, 0), (2, 3))
    assert found == ((10 + 2 - 5) // 2 + 1, (20 - 4) // 5 + 1)


@given(axes=st.tuples(AXIS, AXIS))
def test_same_padding_gives_the_size_divided_by_the_stride_rounded_up(axes):
    size, kernel, stride, dilation = zip(*axes, strict=True)
    found = sizes.conv_output_size(size, kernel, stride, "same", dilation)
    assert found == tuple(-(-n // s) for n, s in zip(size, stride, strict=True))
    pads = sizes.pad_pairs("same", size, kernel, stride, dilation)
    for (before, after), n, k, s, d in zip(pads, size, kernel, stride, dilation, strict=True):
        assert after - before in (0, 1)
        assert before + after == 0 or count(n, k, s, d, (before, after - 1)) < -(-n // s)


@given(axes=st.tuples(AXIS, AXIS))
def test_valid_padding_is_none(axes):
    size, kernel, stride, dilation = zip(*axes, strict=True)
    assert sizes.pad_pairs("valid", size, kernel, stride, dilation) == ((0, 0), (0, 0))


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        (2, ((2, 2), (2, 2))),
        (np.int64(2), ((2, 2), (2, 2))),
        ((1, 2), ((1, 1), (2, 2))),
        ([0, np.int32(3)], ((0, 0), (3, 3))),
        (((1, 2), (3, 4)), ((1, 2), (3, 4))),
        ([[1, 0], (0, 1)], ((1, 0), (0, 1))),
    ],
)
def test_padding_can_be_said_in_several_ways(padding, expected):
    found = sizes.pad_pairs(padding, (9, 9), (3, 3), (1, 1))
    assert found == expected
    assert all(type(number) is int for axis in found for number in axis)


@given(axes=st.tuples(AXIS, AXIS), padding=st.tuples(PAD, PAD), data=st.data())
def test_transposed_size_with_the_right_output_padding_is_the_inverse(axes, padding, data):
    size, kernel, stride, dilation = zip(*axes, strict=True)
    extra = tuple(data.draw(st.integers(0, s - 1)) for s in stride)
    try:
        image = sizes.transposed_output_size(size, kernel, stride, padding, dilation, extra)
    except ShapeError as error:
        assert "padding" in str(error)
        return
    assert sizes.conv_output_size(image, kernel, stride, padding, dilation) == size
    remainders = [
        (n + sum(p) - d * (k - 1) - 1) % s
        for n, k, s, p, d in zip(image, kernel, stride, padding, dilation, strict=True)
    ]
    assert tuple(remainders) == extra


ONE = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "output_padding": (0, 0)}
REFUSED_SHAPES = [
    (
        lambda: sizes.conv_output_size((5, 9), (7, 3)),
        "a kernel of height 7 is larger than the image of height 5; "
        "use a smaller kernel, more padding or larger images",
    ),
    (
        lambda: sizes.conv_output_size((9, 5), 4, padding=((0, 0), (1, 0)), dilation=(1, 3)),
        "a kernel of width 4 (dilated to 10) is larger than the image of width 5 (padded to 6); "
        "use a smaller kernel, more padding or larger images",
    ),
    (
        lambda: sizes.conv_output_size((3, 0), 1, padding=1),
        "images of width 0 are empty; expected a width of 1 or more",
    ),
    (
        lambda: sizes.transposed_output_size(
            (3, 2), (3, 3), **{**ONE, "padding": ((0, 0), (2, 2))}
        ),
        "the padding (2, 2) takes away all of the transposed convolution's width of 4; "
        "use less padding",
    ),
    (
        lambda: sizes.transposed_output_size((0, 2), (3, 3), **ONE),
        "images of height 0 are empty; expected a height of 1 or more",
    ),
]
TWO = "expected an integer or two of them (height, width), got"
PADDING = (
    "padding: expected an integer, two of them (height, width), two pairs ((top, bottom), "
    "(left, right)), 'same' or 'valid', got"
)
REFUSED_OPTIONS = [
    (lambda: sizes.conv_output_size("9", 3), f"size: {TWO} '9'"),
    (lambda: sizes.conv_output_size((9, 9, 9), 3), f"size: {TWO} (9, 9, 9)"),
    (lambda: sizes.conv_output_size(-1, 3), "size: must be 0 or more, got -1"),
    (lambda: sizes.conv_output_size(9, 3.0), f"kernel_size: {TWO} 3.0"),
    (lambda: sizes.conv_output_size(9, True), f"kernel_size: {TWO} True"),
    (lambda: sizes.conv_output_size(9, 0), "kernel_size: must be 1 or more, got 0"),
    (lambda: sizes.conv_output_size(9, (3, None)), f"kernel_size: {TWO} (3, None)"),
    (lambda: sizes.conv_output_size(9, 3, stride="22"), f"stride: {TWO} '22'"),
    (lambda: sizes.conv_output_size(9, 3, stride=(1, 0)), "stride: must be 1 or more, got (1, 0)"),
    (lambda: sizes.conv_output_size(9, 3, dilation=0), "dilation: must be 1 or more, got 0"),
    (lambda: sizes.conv_output_size(9, 3, padding=-1), "padding: must be 0 or more, got -1"),
    (
        lambda: sizes.conv_output_size((9, 9), 3, padding=((0, 1), (-1, 0))),
        "padding: must be 0 or more, got ((0, 1), (-1, 0))",
    ),
    (lambda: sizes.conv_output_size(9, 3, padding="half"), f"{PADDING} 'half'"),
    (lambda: sizes.conv_output_size(9, 3, padding=None), f"{PADDING} None"),
    (lambda: sizes.conv_output_size(9, 3, padding=True), f"{PADDING} True"),
    (lambda: sizes.conv_output_size(9, 3, padding=1.0), f"{PADDING} 1.0"),
    (lambda: sizes.conv_output_size(9, 3, padding=(1, (1, 1))), f"{PADDING} (1, (1, 1))"),
    (lambda: sizes.conv_output_size(9, 3, padding=((1, 1), 1)), f"{PADDING} ((1, 1), 1)"),
    (lambda: sizes.conv_output_size(9, 3, padding=(1, 2, 3)), f"{PADDING} (1, 2, 3)"),
    (
        lambda: sizes.conv_output_size(9, 3, padding=((1, 1, 1), (1, 1))),
        f"{PADDING} ((1, 1, 1), (1, 1))",
    ),
    (
        lambda: sizes.conv_output_size(9, 3, padding=np.array([1, 1])),
        f"{PADDING} array([1, 1])",
    ),
    (
        lambda: sizes.conv_output_size(9, (3, 5)),
        "size: 9 is for one axis, but kernel_size is 3 for the height and 5 for the width; "
        "give the size as (height, width)",
    ),
    (
        lambda: sizes.conv_output_size(9, 3, padding=(1, 0)),
        "size: 9 is for one axis, but padding is (1, 1) for the height and (0, 0) for the width; "
        "give the size as (height, width)",
    ),
    (lambda: sizes.integer(2.0, "groups"), "groups: expected an integer of 1 or more, got 2.0"),
    (lambda: sizes.integer(True, "groups"), "groups: expected an integer of 1 or more, got True"),
    (
        lambda: sizes.integer(-1, "extra", least=0),
        "extra: expected an integer of 0 or more, got -1",
    ),
    (
        lambda: sizes.transposed_output_size(
            (3, 3),
            (3, 3),
            **{**ONE, "stride": (2, 1), "dilation": (1, 2), "output_padding": (1, 1)},
        ),
        "output_padding: 1 must be smaller than the stride 1",
    ),
]


@pytest.mark.parametrize(
    ("kind", "call", "message"),
    [(ShapeError, *case) for case in REFUSED_SHAPES]
    + [(OptionError, *case) for case in REFUSED_OPTIONS],
)
def test_refusal_names_the_value_and_what_was_expected(kind, call, message):
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        call()


def test_integers_of_numpy_are_integers():
    assert sizes.conv_output_size((np.int64(9), 8), np.uint8(3), np.int32(2)) == (4, 3)
    assert type(sizes.integer(np.int64(3), "groups")) is int
