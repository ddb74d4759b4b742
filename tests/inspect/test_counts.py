"""Sizes and counts from integers: the problem sheets' figures, loops, and counting scalars."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from counting import Tally, counted, values
from hypothesis import given
from hypothesis import strategies as st

from minicnn import Tensor
from minicnn.errors import OptionError, ShapeError
from minicnn.inspect import (
    ConvLayer,
    conv_cost,
    conv_output_size,
    conv_parameters,
    pool_output_size,
    total_conv_operations,
)
from minicnn.nn import Conv2d, Sequential
from minicnn.ops.conv import conv2d

pytestmark = pytest.mark.host

# Problem sheet 1: 5 channels, then 6 filters of 2x2 on 3x3 positions, then 4 of 2x2 on one.
LAYERS = (ConvLayer(2, 6, stride=3), ConvLayer(2, 4, stride=3))


def test_parameters_of_problem_sheet_1():
    assert conv_parameters(5, 6, 2) == 126
    assert conv_parameters(6, 4, 2) == 100


def test_multiplications_and_additions_of_problem_sheet_1():
    first, second = conv_cost(5, 6, 2, 3), conv_cost(6, 4, 2, 1)
    assert (first.multiplications, first.additions) == (1080, 1026)
    assert (second.multiplications, second.additions) == (96, 92)
    assert first.comparisons == first.functions == 0


def test_image_of_8_with_stride_3_gives_the_sizes_of_problem_sheet_1():
    size = conv_output_size(8, 2, stride=3)
    assert size == 3
    assert conv_output_size(size, 2, stride=3) == 1


def test_total_is_the_sum_of_problem_sheet_1():
    assert total_conv_operations(8, 5, LAYERS) == 1080 + 1026 + 96 + 92


@given(
    size=st.integers(1, 60),
    channels=st.integers(1, 5),
    layers=st.lists(
        st.tuples(st.integers(1, 5), st.integers(1, 8), st.integers(1, 3), st.integers(0, 3)),
        max_size=5,
    ),
)
def test_total_equals_the_formula_of_problem_sheet_1(size, channels, layers):
    expected, n, before = 0, size, channels
    for k, c, s, p in layers:
        n = math.floor((n + 2 * p - k) / s) + 1
        if n < 1:
            with pytest.raises(ShapeError, match="larger than the image"):
                total_conv_operations(size, channels, layers)
            return
        expected += (2 * before * k**2 - 1) * c * n**2
        before = c
    assert total_conv_operations(size, channels, layers) == expected


def test_total_of_an_oblong_image_takes_each_axis_by_itself():
    layers = [ConvLayer((3, 1), 4, stride=(2, 1), padding=(1, 0)), ConvLayer((1, 5), 2)]
    # (9, 12) -> (5, 12) with 3 * 2 terms -> (5, 8) with 5 * 4 terms
    expected = (2 * 6 - 1) * 4 * 5 * 12 + (2 * 20 - 1) * 2 * 5 * 8
    assert total_conv_operations((9, 12), 2, layers) == expected


def test_problem_sheet_1_run_on_counting_scalars(rng):
    tally = Tally()
    x = counted(rng.normal(size=(1, 8, 8, 5)), tally)
    costs = []
    for channels, layer in zip((5, 6), LAYERS, strict=True):
        w = counted(rng.normal(size=(2, 2, channels, layer.out_channels)), tally)
        before = tally.cost
        x = conv2d(Tensor(x), Tensor(w), stride=layer.stride).data
        made = tally.cost
        costs.append(
            (made.multiplications - before.multiplications, made.additions - before.additions)
        )
    assert x.shape == (1, 1, 1, 4)
    assert costs == [(1080, 1026), (96, 92)]
    assert tally.cost.flops == total_conv_operations(8, 5, LAYERS)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("groups", [1, 2])
def test_cost_equals_what_a_layer_does_to_counting_scalars(rng, groups, bias):
    layer = Conv2d(4, 6, (3, 2), stride=(1, 2), padding=(1, 0), groups=groups, bias=bias, rng=0)
    images = rng.normal(size=(1, 4, 5, 4))
    expected = layer(Tensor(images.astype(np.float32))).numpy()
    tally = Tally()
    for parameter in layer.parameters():
        parameter.data = counted(parameter.data, tally)
    output = layer(Tensor(counted(images, tally)))
    np.testing.assert_allclose(values(output.data), expected, rtol=1e-5, atol=1e-6)
    size = conv_output_size((4, 5), (3, 2), stride=(1, 2), padding=(1, 0))
    assert size == output.shape[1:3]
    assert conv_cost(4, 6, (3, 2), size, groups=groups, bias=bias) == tally.cost


def test_bias_adds_one_addition_for_each_output_number():
    without, with_bias = conv_cost(3, 4, 5, (6, 7)), conv_cost(3, 4, 5, (6, 7), bias=True)
    assert with_bias.additions - without.additions == 4 * 6 * 7
    assert with_bias.multiplications == without.multiplications


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("bias", [False, True])
def test_parameters_equal_those_of_a_layer(groups, bias):
    layer = Conv2d(4, 8, (3, 5), groups=groups, bias=bias, rng=0)
    found = conv_parameters(4, 8, (3, 5), groups=groups, bias=bias)
    assert found == layer.num_parameters()


AXIS = st.tuples(st.integers(1, 20), st.integers(1, 6), st.integers(1, 4), st.integers(0, 3))


@given(height=AXIS, width=AXIS)
def test_each_axis_of_problem_sheet_2_has_its_own_kernel_stride_and_padding(height, width):
    expected = [math.floor((n + 2 * p - k) / s) + 1 for n, k, s, p in (height, width)]
    (n1, k1, s1, p1), (n2, k2, s2, p2) = height, width
    if k1 > n1 + 2 * p1 or k2 > n2 + 2 * p2:
        with pytest.raises(ShapeError, match="larger than the image"):
            conv_output_size((n1, n2), (k1, k2), (s1, s2), (p1, p2))
        return
    assert conv_output_size((n1, n2), (k1, k2), (s1, s2), (p1, p2)) == tuple(expected)


@given(axis=AXIS, dilation=st.integers(1, 3))
def test_output_size_counts_the_positions_of_the_window(axis, dilation):
    n, k, s, p = axis
    last = dilation * (k - 1)
    positions = sum(start + last < n + 2 * p for start in range(0, n + 2 * p, s))
    if positions:
        assert conv_output_size(n, k, s, p, dilation) == positions
        if 2 * p <= last + 1:
            assert pool_output_size(n, k, s, p, dilation) == positions


def test_pooling_has_the_kernel_size_for_a_stride():
    assert pool_output_size(48, 2) == 24
    assert pool_output_size((7, 9), (2, 3)) == (3, 3)
    assert pool_output_size(7, 3, stride=2, padding=1) == 4


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_divides_the_size_by_the_stride_and_rounds_up(stride):
    for size, kernel in itertools.product(range(1, 12), range(1, 6)):
        assert conv_output_size(size, kernel, stride, "same") == math.ceil(size / stride)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: conv_output_size(3, 5), ShapeError, "kernel of height 5 .* image of height 3"),
        (lambda: conv_output_size((9, 3), 5), ShapeError, "kernel of width 5 .* image of width 3"),
        (lambda: conv_output_size(8, 0), OptionError, "kernel_size: must be 1 or more, got 0"),
        (lambda: conv_output_size(8.5, 3), OptionError, "size: expected an integer .* got 8.5"),
        (lambda: conv_output_size(8, 3, stride=0), OptionError, "stride: must be 1 or more"),
        (lambda: conv_output_size(8, 3, padding="full"), OptionError, "'same' or 'valid'"),
        (lambda: pool_output_size(1, 2), ShapeError, "larger than the image"),
        (lambda: pool_output_size(8, 2, padding=2), OptionError, "more than half of the kernel"),
        (lambda: conv_parameters(0, 4, 3), OptionError, "in_channels: .* 1 or more, got 0"),
        (lambda: conv_parameters(4, 2.0, 3), OptionError, "out_channels: .* got 2.0"),
        (lambda: conv_parameters(4, 6, 3, groups=0), OptionError, "groups: .* got 0"),
        (lambda: conv_parameters(4, 6, 3, groups=4), OptionError, "out_channels: 6 .* groups=4"),
        (lambda: conv_cost(4, 6, 3, 0), OptionError, "output_size: must be 1 or more, got 0"),
        (lambda: conv_cost(4, 6, 3, (1, 2, 3)), OptionError, "output_size: expected an integer"),
        (
            lambda: total_conv_operations(8, 1, [(3, 2), (9, 2)]),
            ShapeError,
            "layer 2: a kernel of height 9 .* image of height 6",
        ),
        (lambda: total_conv_operations(8, 0, [(3, 2)]), OptionError, "layer 1: in_channels"),
        (lambda: total_conv_operations(8, 1, [7]), OptionError, "layer 1: expected a ConvLayer"),
        (lambda: total_conv_operations(8, 1, [(3,)]), OptionError, "layer 1: expected a ConvLayer"),
    ],
)
def test_what_is_impossible_is_refused_with_the_value_and_the_reason(call, error, match):
    with pytest.raises(error, match=match) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_chain_of_layers_costs_what_it_does_to_counting_scalars(rng):
    tally = Tally()
    net = Sequential(
        Conv2d(2, 3, 3, padding="same", bias=False, rng=0),
        Conv2d(3, 2, 2, stride=2, bias=False, rng=0),
    )
    for parameter in net.parameters():
        parameter.data = counted(parameter.data, tally)
    net(Tensor(counted(rng.normal(size=(1, 6, 6, 2)), tally)))
    layers = [ConvLayer(3, 3, padding="same"), ConvLayer(2, 2, stride=2)]
    assert tally.cost.flops == total_conv_operations(6, 2, layers)
