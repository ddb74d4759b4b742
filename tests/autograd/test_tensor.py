"""What a tensor is: how it is made, read, compared, changed in place, and met by other numbers."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn import backend
from minicnn.autograd import Tensor
from minicnn.errors import BackendError, DTypeError, GradientError, ShapeError


def array(*values, dtype="float32"):
    return backend.asarray(np.array(values, dtype=dtype))


# Making one.


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (1.5, "float32"),
        ([1.0, 2.0], "float32"),
        ([[1, 2], [3, 4]], "int64"),
        ([True, False], "bool"),
        (np.float64(2.0), "float64"),
        (np.zeros(2, np.float16), "float16"),
        (np.zeros(2), "float64"),
    ],
)
def test_tensor_of_python_floats_is_float32_and_arrays_keep_their_type(values, dtype):
    made = minicnn.tensor(values)
    assert made.dtype == dtype
    assert made.backend == backend.current().name


def test_tensor_takes_a_type_by_name_and_copies():
    values = np.arange(3.0)
    made = minicnn.tensor(values, dtype="float32")
    values[0] = 9
    assert made.dtype == np.float32
    assert made.tolist() == [0, 1, 2]
    again = minicnn.tensor(made)
    again[0] = 7
    assert made.tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", ["f4", "f8", "i8"])
def test_numbers_of_the_other_order_of_bytes_get_that_of_the_machine(kind):
    values = np.arange(3, dtype=np.dtype(kind).newbyteorder("S"))
    for made in (minicnn.tensor(values), minicnn.tensor([0, 1, 2], dtype=values.dtype)):
        assert made.dtype == np.dtype(kind) and made.dtype.isnative
        assert made.tolist() == [0, 1, 2]


def test_tensor_refuses_ragged_lists_and_what_is_no_number():
    with pytest.raises(ShapeError, match="common shape"):
        minicnn.tensor([[1, 2], [3]])
    with pytest.raises(DTypeError, match="expected real numbers, got elements of type <U3"):
        minicnn.tensor(["one"])
    with pytest.raises(TypeError, match=r"minicnn\.tensor"):
        Tensor([1, 2])


def test_wrapping_shares_the_memory_of_an_array():
    values = array(1, 2)
    wrapped = Tensor(values)
    values[0] = 5
    assert wrapped.tolist() == [5, 2]


def test_only_floats_can_require_a_gradient():
    with pytest.raises(DTypeError, match=r"int64.*astype"):
        minicnn.tensor([1, 2], requires_grad=True)
    made = minicnn.tensor([1.0])
    assert made.requires_grad_() is made
    assert made.requires_grad
    assert not made.requires_grad_(False).requires_grad


# Reading one.


def test_properties_are_those_of_the_array():
    made = minicnn.tensor(np.zeros((2, 3)))
    assert (made.shape, made.ndim, made.size, made.dtype) == ((2, 3), 2, 6, np.float64)
    assert len(made) == 2
    assert made.is_leaf


def test_single_elements_become_python_numbers_and_others_are_refused():
    one = minicnn.tensor([[2.5]])
    assert (one.item(), float(one), int(one), bool(one)) == (2.5, 2.5, 2, True)
    two = minicnn.tensor([1.0, 2.0])
    for read in (float, int, bool, Tensor.item):
        with pytest.raises(ShapeError, match=r"one element, got shape \(2,\)"):
            read(two)


def test_iterating_gives_the_parts_along_the_first_axis():
    parts = list(minicnn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert [part.tolist() for part in parts] == [[1, 2], [3, 4]]
    with pytest.raises(ShapeError, match="without axes"):
        len(minicnn.tensor(1.0))


def test_repr_shows_values_type_place_and_origin(backend_name):
    place = ", backend='cupy'" if backend_name == "standin" else ""
    x = minicnn.tensor([1.0, 2.0], requires_grad=True)
    assert repr(x) == f"tensor([1., 2.]{place}, requires_grad=True)"
    assert repr(x * 2) == f"tensor([2., 4.]{place}, operation='multiply')"
    assert repr(minicnn.tensor([1])) == f"tensor([1], dtype=int64{place})"


def test_comparisons_give_booleans_without_gradient():
    x = minicnn.tensor([1.0, 2.0, 3.0], requires_grad=True)
    for found, expected in [
        (x > 2, [False, False, True]),
        (x >= minicnn.tensor([2.0, 2.0, 2.0]), [False, True, True]),
        (x < array(2, 2, 2), [True, False, False]),
        (2 >= x, [True, True, False]),
        (array(2, 2, 2) > x, [True, False, False]),
        (x == 2, [False, True, False]),
        (x != 2, [True, False, True]),
    ]:
        assert isinstance(found, Tensor)
        assert found.tolist() == expected
        assert not found.requires_grad


def test_tensors_are_told_apart_by_identity_in_sets_and_dicts():
    x, y = minicnn.tensor([1.0, 2.0]), minicnn.tensor([1.0, 2.0])
    assert len({x, y, x}) == 2
    assert {x: 1}[x] == 1
    assert (x == None) is False  # noqa: E711  what a list's `in` asks


# Meeting others.


def test_numbers_and_arrays_on_the_left_ask_the_tensor():
    x = minicnn.tensor([1.0, 2.0], requires_grad=True)
    left = array(3, 5)
    for found, expected in [
        (2 + x, [3, 4]),
        (2 - x, [1, 0]),
        (2 * x, [2, 4]),
        (2 / x, [2, 1]),
        (2**x, [2, 4]),
        (left + x, [4, 7]),
        (left - x, [2, 3]),
        (left * x, [3, 10]),
        (left / x, [3, 2.5]),
        (left**x, [3, 25]),
        (np.float64(3) - x, [2, 1]),
        (np.int64(3) * x, [3, 6]),
    ]:
        assert isinstance(found, Tensor)
        assert found.requires_grad
        assert found.dtype == np.float32
        assert found.tolist() == expected
    assert (left @ x).item() == 13


def test_what_is_no_number_is_refused_with_a_remedy():
    with pytest.raises(TypeError, match=r"multiply: .*list.*minicnn\.tensor"):
        minicnn.tensor([1.0]) * [1.0]


def test_types_of_floats_are_not_mixed_in_silence():
    x = minicnn.tensor([1.0])
    with pytest.raises(DTypeError, match=r"multiply: float32 and float64 are mixed.*astype"):
        x * minicnn.tensor([1.0], dtype="float64")
    with pytest.raises(DTypeError, match="would give float64"):
        x + minicnn.tensor([1])
    assert (x * (minicnn.tensor([2.0]) > 1)).dtype == np.float32  # booleans are harmless


@pytest.mark.standin
def test_arrays_of_two_backends_are_not_mixed_in_silence():
    x = minicnn.tensor([1.0])
    host = minicnn.tensor([1.0], backend="numpy")
    assert (x.backend, host.backend) == ("cupy", "numpy")
    with pytest.raises(BackendError, match=r"add: .*\.to\('cupy'\)"):
        x + host
    with pytest.raises(BackendError, match="multiply: "):
        host.numpy() * x


# Changing one.


def test_detach_shares_memory_but_not_the_tape():
    x = minicnn.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    cut = y.detach()
    assert cut.is_leaf
    assert not cut.requires_grad
    assert (cut * x).sum().backward() is None
    assert x.grad.tolist() == [3, 6]  # the values of y, as constants
    cut[0] = 10
    assert y.tolist() == [10, 6]


def test_copy_and_assignment_change_the_values_in_place():
    x = minicnn.tensor([[1.0, 2.0], [3.0, 4.0]])
    view = x[0]
    assert x.copy_(5) is x
    x[1] = array(6, 7)
    x[:, 1] = minicnn.tensor([8.0, 9.0])
    x[minicnn.tensor([True, False]), 0] = 0.5
    assert x.tolist() == [[0.5, 8], [6, 9]]
    assert view.tolist() == [0.5, 8]


def test_assignment_moves_values_from_the_other_backend():
    x = minicnn.tensor([1.0, 2.0])
    x.copy_(np.array([3.0, 4.0], np.float32))
    x[:1] = minicnn.tensor([7.0], backend="numpy")
    assert x.tolist() == [7, 4]


def test_assignment_of_a_wrong_shape_names_both():
    with pytest.raises(ShapeError, match=r"\(3,\).*\(2,\)"):
        minicnn.tensor([1.0, 2.0]).copy_(array(1, 2, 3))


def test_a_tensor_with_gradient_changes_only_where_nothing_is_recorded():
    x = minicnn.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(GradientError, match="no_grad"):
        x[0] = 5
    with pytest.raises(GradientError, match="no_grad"):
        x.copy_(5)
    with minicnn.no_grad():
        x[0] = 5
    assert x.tolist() == [5, 2]


def test_requires_grad_of_a_result_cannot_be_switched_off():
    y = minicnn.tensor([1.0], requires_grad=True) * 2
    with pytest.raises(GradientError, match="detach"):
        y.requires_grad_(False)


def test_numpy_reads_a_tensor_of_its_own_and_refuses_others(backend_name):
    x = minicnn.tensor([1.0, 2.0])
    if backend_name == "numpy":
        np.testing.assert_array_equal(np.asarray(x), np.array([1, 2], np.float32))
        assert np.asarray(x).dtype == np.float32
    else:
        with pytest.raises(TypeError, match=r"use \.detach\(\) and \.numpy\(\)"):
            np.asarray(x)
    with pytest.raises(TypeError, match=r"use \.detach\(\) and \.numpy\(\)"):
        np.asarray(minicnn.tensor([1.0], requires_grad=True))
