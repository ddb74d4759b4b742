"""Shape operations as users call them, against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn.errors import DTypeError, ShapeError
from minicnn.ops import (
    concatenate,
    expand,
    flatten,
    flip,
    pad,
    permute,
    reshape,
    squeeze,
    stack,
    sum_to,
    transpose,
    unsqueeze,
)

VALUES = np.arange(24.0).reshape(2, 3, 4)


@pytest.fixture
def x():
    return minicnn.tensor(VALUES)


def same(found, expected):
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found.numpy(), expected)


def test_reshape_takes_sizes_or_a_tuple(x):
    for found in (reshape(x, (4, 6)), reshape(x, 4, 6), x.reshape(-1, 6), x.reshape([4, -1])):
        same(found, VALUES.reshape(4, 6))
    same(minicnn.tensor([[1.0]]).reshape(()), np.array(1.0))


def test_reshape_names_both_shapes(x):
    message = r"reshape: the 24 elements of shape \(2, 3, 4\) do not fit into \(5, -1\)"
    with pytest.raises(ShapeError, match=message):
        x.reshape(5, -1)


def test_flatten_joins_the_axes_between_two(x):
    same(flatten(x), VALUES.ravel())
    same(x.flatten(1), VALUES.reshape(2, 12))
    same(x.flatten(0, 1), VALUES.reshape(6, 4))
    same(x.flatten(-1), VALUES)
    same(flatten(minicnn.tensor(1.0)), np.ones(1))
    with pytest.raises(ShapeError, match="start_axis 2 comes after end_axis 1"):
        x.flatten(2, 1)


def test_squeeze_and_unsqueeze_undo_each_other(x):
    for axis in (0, 1, 3, -1, -4):
        expected = np.expand_dims(VALUES, axis)
        same(unsqueeze(x, axis), expected)
        same(x.unsqueeze(axis).squeeze(axis), VALUES)
    same(squeeze(x.reshape(1, 2, 3, 1, 4)), VALUES)
    same(x.reshape(1, 24, 1).squeeze((0, -1)), VALUES.ravel())
    with pytest.raises(ShapeError, match=r"axis 1 of shape .* has size 3, not 1"):
        x.squeeze(1)
    with pytest.raises(ShapeError, match="unsqueeze: axis 4 is out of range"):
        x.unsqueeze(4)


def test_permute_and_transpose(x):
    same(permute(x, (2, 0, 1)), VALUES.transpose(2, 0, 1))
    same(x.permute(-1, 0, 1), VALUES.transpose(2, 0, 1))
    same(transpose(x), VALUES.T)
    same(x.T, VALUES.T)
    same(transpose(x, (1, 0, 2)), VALUES.transpose(1, 0, 2))
    same(x.transpose(0, -1), VALUES.swapaxes(0, 2))
    same(x.transpose(1, 1), VALUES)
    same(x[0].transpose(0, 1), VALUES[0].T)
    with pytest.raises(ShapeError, match="all 3 axes"):
        x.permute(0, 1)
    with pytest.raises(ShapeError, match="transpose: axis 3"):
        x.transpose(0, 3)


def test_concatenate_and_stack(x):
    parts = [VALUES, VALUES[:, :1], VALUES[:, :2]]
    found = concatenate([minicnn.tensor(part) for part in parts], axis=-2)
    same(found, np.concatenate(parts, axis=1))
    for axis in (0, 1, 3, -1):
        same(stack([x, x * 2], axis), np.stack([VALUES, VALUES * 2], axis))


def test_what_cannot_be_joined_is_refused(x):
    with pytest.raises(ShapeError, match=r"stack: shapes \(2, 3, 4\) and \(3, 4\) differ"):
        stack([x, x[0]])
    for nothing in ([], x):
        with pytest.raises(ShapeError, match="at least one tensor"):
            concatenate(nothing)
    with pytest.raises(DTypeError, match="mixed"):
        concatenate([x, x.float()])


def test_gradients_of_joined_tensors_are_their_parts():
    a, b = (minicnn.tensor(np.zeros(2), requires_grad=True) for _ in range(2))
    weights = minicnn.tensor(np.arange(4.0))
    (concatenate([a, b]) * weights).sum().backward()
    (stack([a, b], axis=1).reshape(4) * weights).sum().backward()
    assert a.grad.tolist() == [0 + 0, 1 + 2]
    assert b.grad.tolist() == [2 + 1, 3 + 3]


def test_pad_takes_a_number_or_pairs(x):
    same(pad(x, 1), np.pad(VALUES, 1))
    widths = ((0, 0), (1, 2), (0, 3))
    same(x.pad(widths, -1.5), np.pad(VALUES, widths, constant_values=-1.5))
    same(x.pad([[0, 0], [0, 0], [0, 0]]), VALUES)
    with pytest.raises(ShapeError, match="1 pairs of widths for the 3 axes"):
        pad(x, [(1, 1)])
    with pytest.raises(ShapeError, match="a pair of widths for each axis"):
        pad(x, [(1, 1, 1)])
    with pytest.raises(ShapeError, match="0 or more"):
        pad(x, -1)


def test_flip_reverses_all_axes_or_some(x):
    same(flip(x), VALUES[::-1, ::-1, ::-1])
    same(x.flip(-1), VALUES[..., ::-1])
    same(x.flip((0, 1)), VALUES[::-1, ::-1])


def test_expand_and_sum_to(x):
    same(expand(x[:, :, :1], (5, 2, -1, 4)), np.broadcast_to(VALUES[:, :, :1], (5, 2, 3, 4)))
    same(sum_to(x, (3, 1)), VALUES.sum(axis=(0, 2)).reshape(3, 1))


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.reshape(4, 6),
        lambda x: x.permute(2, 0, 1),
        lambda x: x.flip(0),
        lambda x: x.expand((2, 2, 3, 4)),
        lambda x: x[:, 1:],
        lambda x: x[1, 2, 3],
    ],
)
def test_views_see_changes_of_the_tensor(x, view):
    seen = view(x)
    before = seen.numpy().sum()
    x.copy_(x + 1)
    assert seen.numpy().sum() == before + (seen.size if seen.ndim else 1)
