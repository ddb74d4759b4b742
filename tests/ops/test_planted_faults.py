"""The checks of the table catch wrong operations: a fault is planted in each, and must be found."""

from __future__ import annotations

import numpy as np
import operation_checks as checks
import pytest
from operation_checks import SAMPLES, name_of

from minicnn import backend
from minicnn.autograd import OPERATIONS, Cost, Operation, Tensor
from minicnn.errors import DTypeError, GradientError

pytestmark = pytest.mark.host  # the checks are the same on both backends


def first_gradients(kind, sample):
    """Return the gradients of a sample's inputs, those that are not None."""
    inputs = checks.tensors(checks.draw(sample))
    output = kind.apply(*inputs, **sample.options)
    if not output.requires_grad:
        return []
    return [found for found in checks.gradients(output, inputs) if found is not None]


def with_gradients():
    """Return each operation once, with its first sample that has a gradient other than 0."""
    chosen = {}
    for kind, sample in SAMPLES:
        if kind not in chosen and any(found.any() for found in first_gradients(kind, sample)):
            chosen[kind] = sample
    return list(chosen.items())


def with_two_alike():
    """Return the operations with two inputs of one shape that have different gradients."""
    chosen = {}
    for kind, sample in SAMPLES:
        found = first_gradients(kind, sample)
        if len(found) > 1 and found[0].shape == found[1].shape and (found[0] != found[1]).any():
            chosen.setdefault(kind, sample)
    return list(chosen.items())


def with_repeated_inputs():
    """Return the elementwise operations with a sample that repeats an input along an axis."""
    chosen = {}
    for kind, sample in SAMPLES:
        if kind.gradients.__func__ is not Operation.gradients.__func__:
            shape = kind.apply(*checks.tensors(checks.draw(sample)), **sample.options).shape
            if any(found.shape != shape for found in first_gradients(kind, sample)):
                chosen.setdefault(kind, sample)
    return list(chosen.items())


DIFFERENTIABLE = with_gradients()
each_operation = pytest.mark.parametrize(("kind", "sample"), DIFFERENTIABLE, ids=name_of)


@pytest.fixture
def plant(monkeypatch):
    """Return a function that replaces an operation's gradients by what ``change`` makes of them."""

    def replace(kind, change):
        right = kind.gradients
        monkeypatch.setattr(kind, "gradients", lambda node, gy: change(node, right(node, gy)))

    return replace


def scaled(factor):
    """Return a change that multiplies the first gradient that is wanted."""

    def change(node, found):
        place = next(i for i, each in enumerate(found) if node.needs[i] and each is not None)
        wrong = Tensor(found[place].data * factor)
        return (*found[:place], wrong, *found[place + 1 :])

    return change


def test_table_has_operations_to_plant_faults_in():
    without = set(OPERATIONS.values()) - {kind for kind, _ in DIFFERENTIABLE}
    assert len(DIFFERENTIABLE) > 40
    assert not without, f"no sample with a gradient: {sorted(kind.name for kind in without)}"


@pytest.mark.parametrize("factor", [1.01, 2.001 / 2, 0.0, -1.0])
@each_operation
def test_gradient_times_a_wrong_factor_is_caught(kind, sample, factor, plant):
    plant(kind, scaled(factor))
    with pytest.raises(GradientError, match="difference quotient"):
        checks.check_gradients(kind, sample)


@each_operation
def test_gradient_of_the_right_factor_passes(kind, sample, plant):
    plant(kind, scaled(1.0))
    checks.check_gradients(kind, sample)


@each_operation
def test_gradient_wrong_in_one_element_is_caught(kind, sample, plant):
    def change(node, found):
        place = next(i for i, each in enumerate(found) if node.needs[i] and each is not None)
        wrong = found[place].numpy().copy()
        wrong.flat[-1] += 1e-3
        wrong = Tensor(backend.asarray(wrong, found[place].backend))
        return (*found[:place], wrong, *found[place + 1 :])

    plant(kind, change)
    with pytest.raises(GradientError, match="1 of"):
        checks.check_gradients(kind, sample)


@pytest.mark.parametrize(("kind", "sample"), with_two_alike(), ids=name_of)
def test_swapped_gradients_are_caught(kind, sample, plant):
    def change(node, found):
        first, second = [i for i, needed in enumerate(node.needs) if needed][:2]
        swapped = list(found)
        swapped[first], swapped[second] = found[second], found[first]
        return tuple(swapped)

    plant(kind, change)
    with pytest.raises(GradientError, match="difference quotient"):
        checks.check_gradients(kind, sample)


@pytest.mark.parametrize(("kind", "sample"), with_repeated_inputs(), ids=name_of)
def test_gradient_not_summed_over_repeated_axes_is_caught(kind, sample, monkeypatch):
    monkeypatch.setattr(kind, "gradients", classmethod(Operation.gradients.__func__))
    with pytest.raises(GradientError, match=f"{kind.name}: .*gradient of shape"):
        checks.check_gradients(kind, sample)


@each_operation
def test_gradient_that_forgets_how_it_was_made_is_caught(kind, sample, plant):
    def change(node, found):
        return tuple([None if each is None else each.detach() for each in found])

    plant(kind, change)
    checks.check_gradients(kind, sample)
    with pytest.raises(GradientError):
        checks.check_second_gradients(kind, sample)


def test_second_gradient_that_takes_the_output_for_a_constant_is_caught(monkeypatch):
    def backward(ctx, gy):
        (y,) = ctx.saved_arrays
        return gy * (1 - y * y)

    kind = OPERATIONS["tanh"]
    monkeypatch.setattr(kind, "backward", staticmethod(backward))
    checks.check_gradients(kind, kind.samples[0])
    with pytest.raises(GradientError, match="difference quotient"):
        checks.check_second_gradients(kind, kind.samples[0])


@pytest.mark.parametrize(
    ("kind", "sample"), [pair for pair in DIFFERENTIABLE if pair[0].backward_kernel], ids=name_of
)
def test_kernel_that_differs_from_the_recorded_gradient_is_caught(kind, sample, monkeypatch):
    right = kind.backward_kernel

    def wrong(ctx, gy):
        found = right(ctx, gy)
        several = found if isinstance(found, tuple) else (found,)
        return tuple([None if each is None else each * (1 + 1e-9) for each in several])

    monkeypatch.setattr(kind, "backward_kernel", staticmethod(wrong))
    with pytest.raises(AssertionError):
        checks.check_kernel(kind, sample, np.float64)


@pytest.mark.parametrize(("kind", "sample"), DIFFERENTIABLE, ids=name_of)
def test_wrong_result_is_caught(kind, sample, monkeypatch):
    right = kind.forward
    monkeypatch.setattr(
        kind, "forward", staticmethod(lambda *args, **options: right(*args, **options) * 1.001)
    )
    for dtype in (np.float32, np.float64):
        with pytest.raises(AssertionError):
            checks.check_forward(kind, sample, dtype)


# Faults of other kinds, each in one operation.


@pytest.fixture
def negative_with(monkeypatch):
    """Return a function that gives negation another forward."""

    def replace(forward):
        kind = OPERATIONS["negative"]
        monkeypatch.setattr(kind, "forward", staticmethod(forward))
        return kind, kind.samples[0]

    return replace


def test_widened_type_is_caught(negative_with):
    kind, sample = negative_with(lambda ctx, x: (-x).astype("float64"))
    with pytest.raises(DTypeError, match="would give float64"):
        checks.check_forward(kind, sample, np.float32)


def test_other_shape_than_announced_is_caught(negative_with):
    kind, sample = negative_with(lambda ctx, x: (-x)[None])
    with pytest.raises(AssertionError):
        checks.check_forward(kind, sample, np.float64)


def test_result_in_the_order_of_memory_is_caught(negative_with):
    def forward(ctx, x):
        lies_backwards = x.ndim > 0 and x.strides[0] < 0
        return -(x[::-1] if lies_backwards else x)

    kind, sample = negative_with(forward)
    checks.check_layout(kind, sample, checks.transposed)
    with pytest.raises(AssertionError):
        checks.check_layout(kind, sample, checks.strided)


def test_overwritten_input_is_caught(negative_with):
    def forward(ctx, x):
        x *= 2
        return -x

    with pytest.raises(AssertionError):
        checks.check_nothing_is_overwritten(*negative_with(forward))


def test_overwritten_incoming_gradient_is_caught(monkeypatch):
    kind = OPERATIONS["softmax"]

    def kernel(ctx, gy):
        gy *= 2
        return gy

    monkeypatch.setattr(kind, "backward_kernel", staticmethod(kernel))
    with pytest.raises(AssertionError):
        checks.check_nothing_is_overwritten(kind, kind.samples[0])


def test_result_that_is_the_input_is_caught(negative_with):
    with pytest.raises(AssertionError):
        checks.check_memory_is_its_own(*negative_with(lambda ctx, x: x))


def test_gradient_that_depends_on_who_else_wants_one_is_caught(plant):
    def change(node, found):
        return tuple([each * sum(node.needs) for each in found])

    kind = OPERATIONS["add"]
    plant(kind, change)
    with pytest.raises(AssertionError):
        checks.check_needs(kind, kind.samples[0])


@pytest.mark.parametrize("extra", ["multiplications", "additions", "comparisons", "functions"])
def test_cost_that_is_one_too_high_is_caught(extra, monkeypatch):
    kind = OPERATIONS["softmax"]
    right = kind.cost
    wrong = staticmethod(lambda *shapes, **options: right(*shapes, **options) + Cost(**{extra: 1}))
    monkeypatch.setattr(kind, "cost", wrong)
    with pytest.raises(AssertionError, match="counted"):
        checks.check_cost(kind, kind.samples[0])
