"""Indexing by everything that NumPy takes, with its rules, and the gradients of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import minicnn
from minicnn import backend
from minicnn.errors import BackendError, DTypeError, OptionError, ShapeError

VALUES = np.arange(60.0).reshape(3, 4, 5)


def leaf(values=VALUES):
    return minicnn.tensor(values, requires_grad=True)


def on_backend(index):
    """Move the arrays of an index to the current backend."""
    parts = index if isinstance(index, tuple) else (index,)
    moved = [backend.asarray(part) if isinstance(part, np.ndarray) else part for part in parts]
    return tuple(moved) if isinstance(index, tuple) else moved[0]


def check(index):
    """Compare result and gradient of an index with NumPy's."""
    x = leaf()
    found, expected = x[on_backend(index)], VALUES[index]
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found.numpy(), expected)
    weights = np.random.default_rng(1).uniform(1, 2, expected.shape)
    found.backward(backend.asarray(weights))
    gradient = np.zeros_like(VALUES)
    np.add.at(gradient, index, weights)
    np.testing.assert_allclose(x.grad.numpy(), gradient, rtol=1e-14)


@given(npst.basic_indices(VALUES.shape, allow_newaxis=True, allow_ellipsis=True))
def test_integers_slices_none_and_ellipsis(index):
    check(index)


@st.composite
def mixed_indices(draw):
    """Draw an index with at least one array of positions."""
    shape = draw(npst.array_shapes(min_dims=0, max_dims=2, max_side=3))
    parts = []
    for size in VALUES.shape[: draw(st.integers(1, 3))]:
        positions = npst.arrays(np.int64, shape, elements=st.integers(-size, size - 1))
        parts.append(draw(positions | st.integers(-size, size - 1) | npst_slices(size)))
    place = draw(st.integers(0, len(parts) - 1))
    size = VALUES.shape[place]
    parts[place] = draw(npst.arrays(np.int64, shape, elements=st.integers(-size, size - 1)))
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), None)
    if draw(st.booleans()):
        parts.append(Ellipsis)
    return tuple(parts)


def npst_slices(size):
    """Draw a slice of an axis."""
    return st.slices(size)


@given(mixed_indices())
def test_arrays_of_positions_mixed_with_anything(index):
    check(index)


@given(npst.arrays(bool, VALUES.shape[:2]))
def test_mask_of_leading_axes(mask):
    check(mask)
    check((mask, 2))


@given(npst.arrays(bool, VALUES.shape[2:]))
def test_mask_of_the_last_axis(mask):
    check((Ellipsis, mask))
    check((slice(None), 1, mask))


def test_masks_and_positions_together():
    check((np.array([True, False, True]), np.array([3, 0])))
    check((slice(0, 2), np.ones((4, 5), bool)))


def test_element_that_is_taken_twice_collects_both_gradients():
    x = leaf(np.array([1.0, 2.0]))
    (x[[0, 0, 1, 0]] * minicnn.tensor(np.array([1.0, 10.0, 100.0, 1000.0]))).sum().backward()
    assert x.grad.tolist() == [1011, 100]


def test_lists_tensors_ranges_and_numpy_integers_are_taken():
    x = leaf()
    expected = VALUES[[2, 0]]
    for index in ([2, 0], minicnn.tensor([2, 0]), range(2, -1, -2)):
        np.testing.assert_array_equal(x[index].numpy(), expected)
    np.testing.assert_array_equal(x[np.int64(1)].numpy(), VALUES[1])
    np.testing.assert_array_equal(x[[True, False, True]].numpy(), VALUES[[0, 2]])
    assert x[[]].shape == (0, 4, 5)
    np.testing.assert_array_equal(x[x > 30].numpy(), VALUES[VALUES > 30])


def test_positions_changed_in_place_are_noticed():
    x, positions = leaf(), minicnn.tensor([0, 1])
    y = x[positions].sum()
    positions.copy_(2)
    with pytest.raises(minicnn.errors.GradientError, match=r"take: .*changed in place"):
        y.backward()


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (3, r"index: index 3 is out of range for axis 0 of shape \(3, 4, 5\)"),
        ((0, -5), "index -5 is out of range for axis 1"),
        ((0, 0, 0, 0), "4 indices for a tensor of 3 axes"),
        ((..., 0, ...), "only one Ellipsis"),
        (np.ones((3, 3), bool), r"a mask of shape \(3, 3\) stands at axis 0"),
        ((0, np.ones(5, bool)), r"mask of shape \(5,\) stands at axis 1"),
        ((np.array([0, 1]), np.array([0, 1, 2])), r"\(2,\) and \(3,\), do not broadcast"),
        ((np.array([0]), 0, 0, 0), "4 indices"),
    ],
)
def test_what_does_not_fit_is_refused(index, message):
    with pytest.raises(ShapeError, match=message):
        leaf()[on_backend(index)]


@pytest.mark.host
def test_positions_out_of_range_are_refused_where_they_can_be_seen():
    with pytest.raises(ShapeError, match=r"take: .*index 3 is out of bounds"):
        leaf()[[0, 3]]


def test_what_is_no_index_is_refused():
    with pytest.raises(OptionError, match=r"expected integers, slices.*got str"):
        leaf()["a"]
    with pytest.raises(OptionError, match="got bool"):
        leaf()[True]
    with pytest.raises(DTypeError, match="array of float64"):
        leaf()[[0.5]]


@pytest.mark.standin
def test_positions_on_the_other_backend_are_refused():
    with pytest.raises(BackendError, match=r"take: .*\.to\('cupy'\)"):
        leaf()[np.array([0, 1])]
