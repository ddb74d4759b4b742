"""Clipping keeps to the norm and the range, replaces gradients, and does not wait for a device."""

from __future__ import annotations

import math

import numpy as np
import pytest
import standin

import minicnn
from minicnn import Tensor, backend
from minicnn.errors import BackendError, OptionError
from minicnn.optim.clip import clip_grad_norm_, clip_grad_value_


def with_gradients(*values: np.ndarray) -> list[Tensor]:
    parameters = []
    for each in values:
        parameter = minicnn.tensor(np.zeros_like(each), requires_grad=True)
        parameter.grad = minicnn.tensor(each)
        parameters.append(parameter)
    return parameters


def two_gradients(dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
    return np.array([[3.0, -1.0], [2.0, 0.5]], dtype), np.array([-4.0, 1.0, 2.0], dtype)


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.5, math.inf])
def test_clipped_gradients_have_the_largest_norm_and_their_directions(norm_type: float) -> None:
    values = two_gradients()
    parameters = with_gradients(*values)
    together = np.concatenate([each.ravel() for each in values])
    norm = np.linalg.norm(together, norm_type)
    found = clip_grad_norm_(parameters, 0.7, norm_type=norm_type)
    assert found.shape == ()
    np.testing.assert_allclose(found.numpy(), norm, rtol=1e-12)
    for parameter, value in zip(parameters, values, strict=True):
        np.testing.assert_allclose(parameter.grad.numpy(), value * 0.7 / (norm + 1e-6), rtol=1e-12)


def test_gradients_below_the_largest_norm_stay() -> None:
    values = two_gradients("float32")
    parameters = with_gradients(*values)
    norm = clip_grad_norm_(iter(parameters), 100.0)
    assert norm.dtype == np.float32
    for parameter, value in zip(parameters, values, strict=True):
        np.testing.assert_array_equal(parameter.grad.numpy(), value)


def test_gradients_are_replaced_and_their_arrays_left_alone() -> None:
    values = two_gradients()
    parameters = with_gradients(*values)
    before = [parameter.grad for parameter in parameters]
    clip_grad_norm_(parameters, 0.1)
    clip_grad_value_(parameters, 0.01)
    for gradient, value in zip(before, values, strict=True):
        np.testing.assert_array_equal(gradient.numpy(), value)


def test_clip_by_norm_keeps_the_type_of_each_gradient() -> None:
    parameters = with_gradients(two_gradients("float32")[0], two_gradients("float64")[1])
    clip_grad_norm_(parameters, 0.1)
    assert [parameter.grad.dtype for parameter in parameters] == [np.float32, np.float64]


def test_norm_of_a_million_float32_numbers_is_exact_to_a_hundred_thousandth() -> None:
    values = np.random.default_rng(0).standard_normal(1_000_000).astype("float32") + 3
    norm = clip_grad_norm_(with_gradients(values), 1e9)
    expected = np.linalg.norm(values.astype("float64"))
    np.testing.assert_allclose(norm.numpy(), expected, rtol=1e-5)


def test_a_nan_is_passed_on() -> None:
    values, other = two_gradients()
    values[0, 1] = np.nan
    parameters = with_gradients(values, other)
    assert math.isnan(clip_grad_norm_(parameters, 1.0).item())
    assert np.isnan(parameters[1].grad.numpy()).all()


def test_parameters_without_gradients_are_passed_over() -> None:
    with_one = with_gradients(np.array([3.0, 4.0]))
    without = minicnn.tensor([1.0], requires_grad=True)
    assert clip_grad_norm_([without, *with_one], 1.0).item() == 5.0
    clip_grad_value_([without, *with_one], 1.0)
    assert without.grad is None
    assert clip_grad_norm_(without, 1.0).item() == 0.0


def test_clip_by_value_keeps_elements_in_the_range() -> None:
    parameters = with_gradients(*two_gradients())
    clip_grad_value_(parameters, 1.5)
    assert parameters[0].grad.tolist() == [[1.5, -1.0], [1.5, 0.5]]
    assert parameters[1].grad.tolist() == [-1.5, 1.0, 1.5]


@pytest.mark.standin
@pytest.mark.parametrize("norm_type", [1.0, 2.0, math.inf])
def test_clipping_neither_moves_anything_nor_waits_for_the_device(norm_type: float) -> None:
    parameters = with_gradients(*two_gradients("float32"))
    with standin.no_transfers():
        norm = clip_grad_norm_(parameters, 0.7, norm_type=norm_type)
        clip_grad_value_(parameters, 0.1)
    assert norm.backend == "cupy"


@pytest.mark.standin
def test_gradients_of_two_backends_are_refused() -> None:
    parameters = with_gradients(*two_gradients())
    parameters[0].grad = Tensor(backend.to_numpy(parameters[0].grad.data))
    with pytest.raises(BackendError, match="clip_grad_norm_: arrays of NumPy and CuPy"):
        clip_grad_norm_(parameters, 1.0)


def test_bad_options_are_refused() -> None:
    parameters = with_gradients(*two_gradients())
    with pytest.raises(OptionError, match=r"clip_grad_norm_: max_norm: .* got -1"):
        clip_grad_norm_(parameters, -1)
    with pytest.raises(OptionError, match=r"clip_grad_norm_: norm_type: .* got 0"):
        clip_grad_norm_(parameters, 1, norm_type=0)
    with pytest.raises(OptionError, match=r"clip_grad_value_: clip_value: .* got nan"):
        clip_grad_value_(parameters, math.nan)
    with pytest.raises(TypeError, match="clip_grad_value_: parameter 0: expected a Tensor"):
        clip_grad_value_([np.ones(3)], 1)


@pytest.mark.oracle
@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.5, math.inf])
@pytest.mark.parametrize("max_norm", [0.0, 0.5, 6.0, 100.0])
def test_clip_by_norm_equals_pytorchs(norm_type: float, max_norm: float) -> None:
    import torch

    values = two_gradients()
    ours = with_gradients(*values)
    theirs = [torch.zeros(value.shape, dtype=torch.float64) for value in values]
    for each, value in zip(theirs, values, strict=True):
        each.grad = torch.tensor(value)
    norm = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    found = clip_grad_norm_(ours, max_norm, norm_type=norm_type)
    np.testing.assert_allclose(found.numpy(), norm.numpy(), rtol=1e-12)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one.grad.numpy(), other.grad.numpy(), rtol=1e-12)


def test_the_norm_of_half_precision_does_not_overflow() -> None:
    parameters = with_gradients(np.full(4, 150.0, "float16"))
    assert clip_grad_norm_(parameters, 1.0).item() == pytest.approx(300)
    assert parameters[0].grad.dtype == "float16"
    np.testing.assert_allclose(parameters[0].grad.numpy(), 0.5, rtol=1e-3)
