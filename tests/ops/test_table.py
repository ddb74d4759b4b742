"""Every operation of the table, on every sample that it declares, must pass every check."""

from __future__ import annotations

import numpy as np
import operation_checks as checks
import pytest
from operation_checks import ERRORS, SAMPLES, name_of

from minicnn import backend
from minicnn.autograd import Tensor
from minicnn.errors import BackendError, DTypeError

FLOATS = [np.float32, np.float64]
DIFFERENTIABLE = [pair for pair in SAMPLES if checks.differentiable(*pair)]
OF_SEVERAL_FLOATS = [
    (kind, sample)
    for kind, sample in SAMPLES
    if sum(isinstance(a, np.ndarray) and a.dtype.kind == "f" for a in checks.draw(sample)) > 1
]
each_sample = pytest.mark.parametrize(("kind", "sample"), SAMPLES, ids=name_of)
each_differentiable_sample = pytest.mark.parametrize(
    ("kind", "sample"), DIFFERENTIABLE, ids=name_of
)
several_floats = pytest.mark.parametrize(("kind", "sample"), OF_SEVERAL_FLOATS, ids=name_of)


@pytest.mark.parametrize("dtype", FLOATS)
@each_sample
def test_forward_equals_reference_in_shape_type_and_values(kind, sample, dtype):
    checks.check_forward(kind, sample, dtype)


@each_differentiable_sample
def test_gradients_equal_difference_quotients(kind, sample):
    checks.check_gradients(kind, sample)


@each_differentiable_sample
def test_second_gradients_equal_difference_quotients(kind, sample):
    checks.check_second_gradients(kind, sample)


@pytest.mark.parametrize("dtype", FLOATS)
@each_differentiable_sample
def test_recorded_and_unrecorded_gradients_agree(kind, sample, dtype):
    checks.check_kernel(kind, sample, dtype)


@pytest.mark.parametrize("layout", [checks.strided, checks.transposed])
@each_sample
def test_strides_do_not_matter(kind, sample, layout):
    checks.check_layout(kind, sample, layout)


@each_sample
def test_inputs_and_incoming_gradient_are_not_overwritten(kind, sample):
    checks.check_nothing_is_overwritten(kind, sample)


@pytest.mark.parametrize(
    ("kind", "sample"), [pair for pair in SAMPLES if not pair[0].view], ids=name_of
)
def test_output_has_memory_of_its_own(kind, sample):
    checks.check_memory_is_its_own(kind, sample)


@each_differentiable_sample
def test_only_inputs_that_need_a_gradient_get_one(kind, sample):
    checks.check_needs(kind, sample)


@each_sample
def test_watcher_sees_all_that_is_needed_to_repeat_the_operation(kind, sample):
    checks.check_watch(kind, sample)


@each_sample
def test_plain_arrays_are_constants(kind, sample):
    checks.check_constants(kind, sample)


@pytest.mark.host
@pytest.mark.parametrize(
    ("kind", "sample"), [pair for pair in SAMPLES if not pair[0].uncounted], ids=name_of
)
def test_cost_is_what_counting_scalars_count(kind, sample):
    checks.check_cost(kind, sample)


@pytest.mark.host
@pytest.mark.parametrize(
    "kind", [kind for kind in checks.OPERATIONS.values() if kind.uncounted], ids=name_of
)
def test_operations_said_to_be_uncountable_cannot_be_counted(kind):
    with pytest.raises(Exception):  # noqa: B017  whatever comes of it: a count that is right raises nothing
        for sample in kind.samples:
            checks.check_cost(kind, sample)


@pytest.mark.parametrize(("kind", "error"), ERRORS, ids=name_of)
def test_what_does_not_fit_is_refused_in_one_line_with_the_operations_name(kind, error):
    inputs = checks.tensors(checks.draw(error.sample))
    with pytest.raises(error.error, match=error.match) as caught:
        kind.apply(*inputs, **error.sample.options)
    assert "\n" not in str(caught.value)


@several_floats
def test_floating_point_types_are_not_mixed_in_silence(kind, sample):
    inputs = checks.tensors(checks.draw(sample))
    floats = [place for place, each in enumerate(inputs) if getattr(each, "requires_grad", False)]
    for place in floats:
        mixed = list(inputs)
        mixed[place] = inputs[place].astype("float32")
        with pytest.raises(DTypeError, match=rf"{kind.name}: .*float.* mixed"):
            kind.apply(*mixed, **sample.options)


@pytest.mark.standin
@several_floats
def test_backends_are_not_mixed_in_silence(kind, sample):
    inputs = checks.tensors(checks.draw(sample))
    place = max(i for i, each in enumerate(inputs) if getattr(each, "requires_grad", False))
    inputs[place] = Tensor(backend.to_numpy(inputs[place].data))
    with pytest.raises(BackendError, match=f"{kind.name}: .*NumPy and CuPy"):
        kind.apply(*inputs, **sample.options)
