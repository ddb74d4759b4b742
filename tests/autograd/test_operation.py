"""How operations are declared, and what applying one does to types, saved arrays and views."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn import backend
from minicnn.autograd import OPERATIONS, Cost, Operation, Sample, Tensor
from minicnn.errors import DTypeError, GradientError, ShapeError


def parts(**changed):
    """Return the body of a declaration that doubles numbers."""
    body = {
        "samples": (Sample(((3,),)),),
        "errors": (),
        "shape": lambda x: x,
        "cost": lambda x: Cost(),
        "reference": lambda x: 2 * x,
        "forward": lambda ctx, x: 2 * x,
        "backward": lambda ctx, gy: 2 * gy,
    }
    body.update(changed)
    return {name: part for name, part in body.items() if part is not None}


@pytest.fixture
def declare():
    """Return a function that declares an operation; it is taken from the table at the end."""
    before = set(OPERATIONS)
    yield lambda **changed: type(Operation)("Double", (Operation,), parts(**changed), name="double")
    for name in set(OPERATIONS) - before:
        del OPERATIONS[name]


def test_declaration_enters_the_table_and_works(declare):
    double = declare()
    assert OPERATIONS["double"] is double
    x = minicnn.tensor([1.0, 2.0], requires_grad=True)
    y = double.apply(x)
    y.sum().backward()
    assert (y.tolist(), x.grad.tolist()) == ([2, 4], [2, 2])


@pytest.mark.parametrize("part", list(parts()))
def test_declaration_without_a_part_fails_at_once(declare, part):
    with pytest.raises(TypeError, match=f"'double' is declared without {part}"):
        declare(**{part: None})
    assert "double" not in OPERATIONS


def test_name_cannot_be_declared_twice(declare):
    declare()
    with pytest.raises(TypeError, match="twice"):
        declare()


def test_gradient_of_a_wrong_shape_is_named(declare):
    double = declare(backward=lambda ctx, gy: gy.sum())
    x = minicnn.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(GradientError, match=r"double: .*shape \(\) for input 0 of shape \(2,\)"):
        double.apply(x).sum().backward()


def test_shape_errors_carry_the_name(declare):
    def shape(x):
        raise ShapeError("that does not fit")

    with pytest.raises(ShapeError, match=r"^double: that does not fit$"):
        declare(shape=shape).apply(minicnn.tensor([1.0]))


def test_widened_floats_are_refused_unless_the_operation_converts(declare):
    def forward(ctx, x):
        return x.astype("float64")

    x = minicnn.tensor([1.0])
    with pytest.raises(DTypeError, match=r"double: .*would give float64"):
        declare(forward=forward).apply(x)
    del OPERATIONS["double"]
    assert declare(forward=forward, converts=True).apply(x).dtype == np.float64


def test_kernel_is_used_only_where_no_gradient_is_recorded(declare):
    used = []

    def kernel(ctx, gy):
        used.append(1)
        return 2 * gy

    double = declare(backward_kernel=kernel)
    x = minicnn.tensor([1.0], requires_grad=True)
    double.apply(x).backward(create_graph=True)
    assert used == []
    double.apply(x).backward()
    assert used == [1]


def test_kernel_gives_arrays_even_where_numpy_makes_scalars(declare):
    double = declare(backward_kernel=lambda ctx, gy: gy + gy)
    x = minicnn.tensor(1.0, requires_grad=True)
    double.apply(x).backward()
    assert backend.is_array(x.grad.data)
    assert not isinstance(x.grad.data, np.generic)
    assert x.grad.shape == ()


def test_saved_arrays_are_connected_where_they_came_from(declare):
    found = {}

    def forward(ctx, x):
        y = 2 * x
        ctx.save(x, y, 3 * x, None, 1.5)
        return y

    def backward(ctx, gy):
        found["saved"] = ctx.saved
        found["arrays"] = ctx.saved_arrays
        return 2 * gy

    x = minicnn.tensor([1.0, 2.0], requires_grad=True)
    y = declare(forward=forward, backward=backward).apply(x)
    y.sum().backward(create_graph=True)
    given, output, constant, nothing, number = found["saved"]
    assert given is x
    assert output.requires_grad
    assert output.data is y.data
    assert isinstance(constant, Tensor)
    assert not constant.requires_grad
    assert (nothing, number) == (None, 1.5)
    assert found["arrays"][0] is x.data


def test_integers_are_not_recorded(declare):
    double = declare()
    assert not double.apply(minicnn.tensor([1, 2])).requires_grad


def test_views_share_their_version_and_copies_do_not():
    x = minicnn.tensor([1.0, 2.0], requires_grad=True)
    w = minicnn.tensor([3.0, 4.0], requires_grad=True)
    view, copy = x.reshape(2, 1), x * 1
    used = (view.reshape(2) * w).sum()
    with minicnn.no_grad():
        copy.copy_(0)
    used.backward(retain_graph=True)
    with minicnn.no_grad():
        x.copy_(0)
    with pytest.raises(GradientError, match="changed in place"):
        used.backward()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_every_floating_point_type_is_kept(dtype):
    x = minicnn.tensor([1.0, 2.0], dtype=dtype, requires_grad=True)
    y = ((x * 2 + 1) / 3).sum()
    y.backward()
    assert (y.dtype, x.grad.dtype) == (dtype, dtype)
