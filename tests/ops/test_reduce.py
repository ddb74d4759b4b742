"""Reductions as users call them: axes, ties, infinities, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minicnn
from minicnn.errors import DTypeError, OptionError, ShapeError
from minicnn.ops import argmax, argmin, logsumexp, max, mean, min, std, sum, var

VALUES = np.random.default_rng(3).permutation(np.arange(24.0)).reshape(2, 3, 4) - 8
REDUCTIONS = {"sum": sum, "mean": mean, "max": max, "min": min}
AXES = st.none() | st.integers(-3, 2) | st.sets(st.integers(0, 2)).map(tuple)


def leaf(values, dtype="float64"):
    return minicnn.tensor(np.array(values, dtype), requires_grad=True)


@pytest.mark.parametrize("name", REDUCTIONS)
@given(axis=AXES, keepdims=st.booleans())
def test_axes_and_keepdims_mean_what_they_mean_in_numpy(name, axis, keepdims):
    expected = getattr(VALUES, name)(axis=axis, keepdims=keepdims)
    x = leaf(VALUES)
    for found in (
        REDUCTIONS[name](x, axis, keepdims),
        getattr(x, name)(axis=axis, keepdims=keepdims),
    ):
        assert found.shape == expected.shape
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-14)


@given(axis=AXES, correction=st.sampled_from([0, 1, 0.5]), keepdims=st.booleans())
def test_variance_divides_by_the_count_less_the_correction(axis, correction, keepdims):
    if axis == () and correction:
        return
    expected = VALUES.var(axis=axis, ddof=correction, keepdims=keepdims)
    found = var(leaf(VALUES), axis, correction, keepdims)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13)
    deviation = leaf(VALUES).std(axis=axis, correction=correction, keepdims=keepdims)
    np.testing.assert_allclose(deviation.numpy(), np.sqrt(expected), rtol=1e-13)


def test_variance_is_that_of_a_sample_unless_told_otherwise():
    assert var(leaf([1.0, 2.0, 3.0])).item() == 1
    assert var(leaf([1.0, 2.0, 3.0]), correction=0).item() == pytest.approx(2 / 3)


def test_variance_of_large_numbers_keeps_its_digits():
    x = minicnn.tensor(np.array([1e4, 1e4 + 1, 1e4 + 2], np.float32))
    assert var(x).item() == pytest.approx(1, rel=1e-6)


def test_gradient_of_the_standard_deviation_of_equal_numbers_is_zero():
    x = leaf([[2.0, 2.0], [1.0, 3.0]])
    deviation = std(x, axis=1)
    deviation.sum().backward()
    assert deviation.numpy() == pytest.approx([0, math.sqrt(2)])
    np.testing.assert_allclose(x.grad.numpy()[0], [0, 0])
    np.testing.assert_allclose(x.grad.numpy()[1], [-math.sqrt(0.5), math.sqrt(0.5)])
    y = leaf([2.0, 2.0])
    std(y).backward()
    assert y.grad.tolist() == [0, 0]


@pytest.mark.parametrize("extremum", [max, min])
def test_equal_extrema_share_the_gradient(extremum):
    x = leaf([[1.0, 1.0, 1.0], [0.0, 5.0, -5.0]])
    extremum(x, axis=1).sum().backward()
    assert x.grad.tolist()[0] == pytest.approx([1 / 3] * 3)
    assert x.grad.tolist()[1] == ([0, 1, 0] if extremum is max else [0, 0, 1])


def test_nan_is_the_extremum_and_has_no_gradient():
    x = leaf([1.0, np.nan])
    y = max(x)
    y.backward()
    assert math.isnan(y.item())
    assert x.grad.tolist() == [0, 0]


def test_sum_of_booleans_counts_them():
    found = sum(minicnn.tensor([[True, False], [True, True]]), axis=0)
    assert found.tolist() == [2, 1]
    assert found.dtype.kind == "i"


def test_integers_have_extrema_but_no_mean():
    x = minicnn.tensor([[1, 5], [7, 2]])
    assert x.max().item() == 7
    assert x.min(axis=0).tolist() == [1, 2]
    for function in (mean, var, std, logsumexp):
        with pytest.raises(DTypeError, match=r"int64.*astype\('float32'\)"):
            function(x)


def test_logsumexp_neither_overflows_nor_chokes_on_infinities():
    x = leaf([[1000.0, 1000.0], [-1000.0, -1000.0], [-np.inf, 3.0], [-np.inf, -np.inf]])
    y = logsumexp(x, axis=1)
    assert y.tolist() == pytest.approx([1000 + math.log(2), -1000 + math.log(2), 3, -math.inf])
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [[0.5, 0.5], [0.5, 0.5], [0, 1], [0, 0]])
    assert logsumexp(leaf([math.inf, 1.0])).item() == math.inf


def test_positions_of_extrema_are_the_first_ones():
    x = minicnn.tensor([[1.0, 3.0, 3.0], [0.0, -1.0, -1.0]], requires_grad=True)
    assert argmax(x).item() == 1
    assert argmin(x).item() == 4
    assert x.argmax(axis=1).tolist() == [1, 0]
    assert x.argmin(axis=-1, keepdims=True).tolist() == [[0], [1]]
    assert argmax(x, keepdims=True).tolist() == [[1]]
    assert argmax(x, axis=0).dtype == np.int64
    assert not argmax(x).requires_grad


@pytest.mark.parametrize("name", ["sum", "mean", "var", "std", "max", "min", "logsumexp"])
@pytest.mark.parametrize(
    ("axis", "message"),
    [(2, "axis 2 is out of range"), (-3, r"axis -1 .*\(given as -3\)"), ((0, -2), "axis twice")],
)
def test_wrong_axes_are_refused(name, axis, message):
    operation = "var" if name == "std" else name
    with pytest.raises(ShapeError, match=rf"^{operation}: .*{message}"):
        getattr(leaf(np.zeros((2, 3))), name)(axis=axis)


def test_axes_that_are_no_integers_are_refused():
    with pytest.raises(TypeError, match=r"sum: expected an axis, .* got 1\.5"):
        leaf([1.0]).sum(axis=1.5)
    with pytest.raises(TypeError, match=r"sum: expected a Tensor.*list.*minicnn\.tensor"):
        sum([1.0])


def test_reductions_of_nothing_are_refused_except_the_sum():
    x = leaf(np.zeros((2, 0)))
    assert x.sum(axis=1).tolist() == [0, 0]
    assert x.max(axis=0).shape == (0,)
    for function in (mean, max, min, logsumexp, argmax):
        with pytest.raises(ShapeError, match=r"no elements along axes .* of shape \(2, 0\)"):
            function(x, axis=1)


def test_variance_of_too_few_numbers_is_refused_with_a_remedy():
    with pytest.raises(ShapeError, match=r"1 element.*correction=1; pass correction=0"):
        var(leaf([[1.0, 2.0]]), axis=0)
    with pytest.raises(OptionError, match="0 or more, not -1"):
        var(leaf([1.0, 2.0]), correction=-1)


def test_sums_of_half_precision_are_made_in_float32(rng):
    values = rng.standard_normal(100_000).astype("float16")
    x = minicnn.tensor(values)
    assert var(x).dtype == "float16"
    assert var(x).item() == pytest.approx(values.astype(float).var(), rel=1e-3)
    ones = minicnn.tensor(np.ones((20, 2000, 1), "float16"))
    assert sum(ones, axis=0).dtype == "float16"
    assert sum(ones).item() == 40_000
