"""What the convolutions refuse, and in which words."""

from __future__ import annotations

import re

import pytest
from drawing import draw

from minicnn.autograd import tensor
from minicnn.errors import DTypeError, OptionError, ShapeError
from minicnn.ops.conv import conv2d, conv_transpose2d

LAYOUT = "filters are (KH, KW, C / groups, O) and images (N, H, W, C)"
REFUSED = [
    (((2, 5, 6), (3, 3, 2, 4)), {}, "conv2d: expected images of shape (N, H, W, C), got (2, 5, 6)"),
    (((5,), (3, 3, 2, 4)), {"padding": "same"}, "conv2d: expected images of shape (N, H, W, C)"),
    (((2, 5, 6, 3), (3, 4)), {"padding": "same"}, "conv2d: expected filters of shape (KH, KW, C,"),
    (
        ((2, 5, 6, 3), (3, 3, 2, 4)),
        {},
        "conv2d: the filters (3, 3, 2, 4) expect 2 channels, the images (2, 5, 6, 3) have 3; "
        + LAYOUT,
    ),
    (
        ((2, 5, 6, 4), (3, 3, 1, 6)),
        {"groups": 3},
        "conv2d: the filters (3, 3, 1, 6) expect 3 channels (1 in each of 3 groups), "
        "the images (2, 5, 6, 4) have 4; " + LAYOUT,
    ),
    (
        ((2, 5, 6, 4), (3, 3, 2, 5)),
        {"groups": 2},
        "conv2d: the last axis of the filters (3, 3, 2, 5) cannot be split into 2 groups",
    ),
    (((2, 5, 6, 3), (3, 0, 3, 4)), {}, "conv2d: the filters (KH, KW, C, O) of shape (3, 0, 3, 4)"),
    (
        ((2, 5, 6, 3), (3, 3, 3, 4), (3,)),
        {},
        "conv2d: the bias must have the shape (4,), one for a filter, got (3,)",
    ),
    (
        ((2, 5, 6, 3), (3, 4, 3, 4)),
        {"padding": 1, "dilation": 3},
        "conv2d: a kernel of width 4 (dilated to 10) is larger than the image of width 6 (padded "
        "to 8); use a smaller kernel, more padding or larger images",
    ),
    (((2, 0, 6, 3), (3, 3, 3, 4)), {"padding": 2}, "conv2d: images of height 0 are empty; expect"),
]  # fmt: skip
REFUSED_OPTIONS = [
    ({"stride": 0}, "stride: must be 1 or more, got 0"),
    ({"stride": (1, 2, 3)}, "stride: expected an integer or two of them (height, width), got (1,"),
    ({"dilation": 1.5}, "dilation: expected an integer or two of them (height, width), got 1.5"),
    ({"padding": "full"}, "padding: expected an integer, two of them (height, width), two pairs"),
    ({"padding": (-1, 0)}, "padding: must be 0 or more, got (-1, 0)"),
    ({"groups": 0}, "groups: expected an integer of 1 or more, got 0"),
    ({"groups": True}, "groups: expected an integer of 1 or more, got True"),
    ({"algorithm": "fft"}, "algorithm: 'fft' is unknown; choose one of auto, direct, im2col"),
]
TRANSPOSED_REFUSED = [
    (((2, 5, 6), (3, 3, 2, 4)), {}, "expected images of shape (N, H, W, C), got (2, 5, 6)"),
    (((2, 5, 6, 3), (3, 3, 3)), {}, "expected filters of shape (KH, KW, C, O), got (3, 3, 3)"),
    (
        ((2, 5, 6, 3), (3, 3, 3, 4)),
        {},
        "the filters (3, 3, 3, 4) expect 4 channels, the images (2, 5, 6, 3) have 3; "
        "filters are (KH, KW, O / groups, C) and images (N, H, W, C)",
    ),
    (
        ((2, 5, 6, 3), (3, 3, 2, 3)),
        {"groups": 2},
        "the last axis of the filters (3, 3, 2, 3) cannot be split into 2 groups",
    ),
    (
        ((2, 5, 6, 4), (3, 3, 2, 4), (2,)),
        {"groups": 2},
        "the bias must have the shape (4,), one for a filter, got (2,)",
    ),
    (
        ((2, 1, 6, 3), (3, 3, 2, 3)),
        {"padding": ((2, 1), (0, 0))},
        "the padding (2, 1) takes away all of the transposed convolution's height of 3; "
        "use less padding",
    ),
]


def refuses(kind, message, function, *inputs, **options):
    with pytest.raises(kind, match=f"^{re.escape(message)}") as caught:
        function(*inputs, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("shapes", "options", "message"), REFUSED)
def test_convolution_refuses_shapes_that_do_not_fit(shapes, options, message):
    refuses(ShapeError, message, conv2d, *draw(*shapes), **options)


@pytest.mark.parametrize(("shapes", "options", "message"), TRANSPOSED_REFUSED)
def test_transposed_convolution_refuses_shapes_that_do_not_fit(shapes, options, message):
    message = f"conv_transpose2d: {message}"
    refuses(ShapeError, message, conv_transpose2d, *draw(*shapes), **options)


@pytest.mark.parametrize("function", [conv2d, conv_transpose2d])
@pytest.mark.parametrize(("options", "message"), REFUSED_OPTIONS)
def test_options_out_of_range_are_refused(function, options, message):
    if function is conv_transpose2d and options == {"padding": "full"}:
        message = "padding: a transposed convolution takes numbers, got 'full'"
    refuses(OptionError, message, function, *draw((2, 5, 6, 3), (3, 3, 3, 3)), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_padding": 1}, "output_padding: 1 must be smaller than the stride 1"),
        ({"stride": 2, "output_padding": (1, 2)}, "output_padding: 2 must be smaller than the st"),
        ({"output_padding": -1}, "output_padding: must be 0 or more, got -1"),
        ({"output_padding": "1"}, "output_padding: expected an integer or two of them (height, "),
    ],
)
def test_output_padding_that_fits_no_size_is_refused(options, message):
    inputs = draw((2, 5, 6, 3), (3, 3, 3, 3))
    refuses(OptionError, message, conv_transpose2d, *inputs, **options)


@pytest.mark.parametrize("function", [conv2d, conv_transpose2d])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_element_types_are_not_mixed_or_widened(function, place):
    inputs = draw((2, 5, 6, 3), (3, 3, 3, 3), (3,), requires_grad=False)
    inputs[place] = inputs[place].astype("float32")
    with pytest.raises(DTypeError, match=r"float.* are mixed; convert one of them"):
        function(*inputs)
    inputs[place] = (inputs[place] * 100).astype("int64")
    with pytest.raises(DTypeError, match=r"int64.*convert th.* with \.astype"):
        function(*inputs)


@pytest.mark.parametrize("function", [conv2d, conv_transpose2d])
def test_what_is_no_array_is_refused_by_name(function):
    x, w = draw((2, 5, 6, 3), (3, 3, 3, 3))
    message = f"{function.__name__}: expected a Tensor or an array, got list; make a tensor with"
    refuses(TypeError, message, function, x.tolist(), w)
    refuses(TypeError, message, function, x, w.tolist())


def test_number_is_no_bias():
    x, w = draw((2, 5, 6, 3), (3, 3, 3, 3))
    refuses(ShapeError, "conv2d: the bias must have the shape (3,)", conv2d, x, w, 1.0)


def test_winograd_refuses_float16_whose_range_its_transforms_leave(rng):
    x, w = (tensor(rng.standard_normal(s), dtype="float16") for s in ((1, 8, 8, 4), (3, 3, 4, 4)))
    with pytest.raises(OptionError, match=r"winograd.*got float16"):
        conv2d(x, w, algorithm="winograd")
    assert conv2d(x, w).dtype == "float16"


def test_a_slope_that_is_no_number_is_refused(rng):
    x, w = (tensor(rng.standard_normal(s)) for s in ((1, 8, 8, 4), (3, 3, 4, 4)))
    with pytest.raises(OptionError, match="negative_slope: expected a number from 0 to 1"):
        conv2d(x, w, negative_slope="a")
