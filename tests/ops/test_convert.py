"""Converting to other element types and backends, with gradients that come back."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn.errors import BackendError, DTypeError, OptionError
from minicnn.ops import astype, clone, to


@pytest.fixture
def x():
    return minicnn.tensor([1.5, -2.5], requires_grad=True)


def test_astype_converts_and_casts_the_gradient_back(x):
    for y in (x.astype("float64"), x.double(), x.to("float64"), x.to(np.float64), astype(x, "d")):
        assert y.dtype == np.float64
        x.grad = None
        (y * y).sum().backward()
        assert x.grad.dtype == np.float32
        assert x.grad.tolist() == [3, -5]
    assert x.double().float().dtype == np.float32


def test_tensor_of_that_type_is_returned_itself(x):
    assert x.astype("float32") is x
    assert x.float() is x
    assert x.to(x.dtype) is x


def test_integers_get_no_gradient(x):
    assert x.astype("int64").tolist() == [1, -2]
    assert not x.astype("int64").requires_grad
    assert (x > 0).astype("float32").tolist() == [1, 0]


@pytest.mark.parametrize("dtype", ["float33", "U3", "complex64", "object"])
def test_what_is_no_type_of_numbers_is_refused(x, dtype):
    with pytest.raises(DTypeError):
        x.astype(dtype)


def test_clone_has_memory_of_its_own_and_passes_gradients_on(x):
    y = clone(x)
    y.sum().backward()
    with minicnn.no_grad():
        y.copy_(0)
    assert x.tolist() == [1.5, -2.5]
    assert x.grad.tolist() == [1, 1]
    assert minicnn.tensor([1, 2]).clone().tolist() == [1, 2]


def test_tensor_that_lives_there_is_returned_itself(x):
    assert x.to(x.backend) is x
    assert x.to("auto").backend == x.backend


@pytest.mark.standin
def test_gradients_come_back_from_the_other_backend(x):
    assert x.backend == "cupy"
    y = x.to("numpy")
    assert y.backend == "numpy"
    z = (to(y * y, "cupy") * x).sum()
    assert z.backend == "cupy"
    z.backward()
    assert x.grad.backend == "cupy"
    assert x.grad.tolist() == pytest.approx([3 * 1.5**2, 3 * 2.5**2])


@pytest.mark.host
def test_backend_that_does_not_work_is_named(x):
    with pytest.raises(BackendError, match="not installed"):
        x.to("cupy")


def test_what_is_neither_backend_nor_type_is_refused(x):
    with pytest.raises(OptionError, match="'gpu'"):
        x.to("gpu")
    with pytest.raises(TypeError, match="expected a Tensor or an array, got list"):
        to([1.0], "float64")
