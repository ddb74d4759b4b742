"""Dropout: what is dropped and how the rest is scaled, gradients, seeds, errors."""

from __future__ import annotations

import numpy as np
import pytest
import standin

import minicnn
from minicnn.errors import OptionError, ShapeError
from minicnn.ops.dropout import dropout, dropout2d


def ones(*shape, dtype="float64", requires_grad=False):
    return minicnn.tensor(np.ones(shape), dtype=dtype, requires_grad=requires_grad)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kept_elements_are_divided_by_what_is_kept(p, dtype, rng):
    y = dropout(ones(50, 40, dtype=dtype), p, rng=rng).numpy()
    assert y.dtype == dtype
    kept = y != 0
    np.testing.assert_allclose(y[kept], 1 / (1 - p), rtol=1e-6)
    assert abs(kept.mean() - (1 - p)) < 4 * np.sqrt(p * (1 - p) / kept.size)


def test_dropout_equals_recorded_values():
    """The mask belongs to the seed for ever: a run that is resumed must meet the same ones."""
    y = dropout(ones(4, 8), rng=np.random.default_rng(1)).numpy()
    recorded = ["10011010", "10000100", "10000001", "00010000"]
    assert ["".join("01"[int(value != 0)] for value in row) for row in y] == recorded


def test_equal_generators_give_equal_masks_and_draws_go_on(rng):
    first, second = np.random.default_rng(3), np.random.default_rng(3)
    drawn = [dropout(ones(8, 8), rng=generator).numpy() for generator in (first, second)]
    np.testing.assert_array_equal(*drawn)
    assert (dropout(ones(8, 8), rng=first).numpy() != drawn[0]).any()


def test_dropout2d_drops_whole_channels_of_single_images(rng):
    y = dropout2d(ones(40, 3, 4, 25), 0.3, rng=rng).numpy()
    kept = y[:, 0, 0, :] != 0
    np.testing.assert_array_equal(y != 0, np.broadcast_to(kept[:, None, None, :], y.shape))
    np.testing.assert_allclose(y[y != 0], 1 / 0.7)
    assert abs(kept.mean() - 0.7) < 4 * np.sqrt(0.21 / kept.size)
    assert (kept[0] != kept[1]).any()


@pytest.mark.parametrize("function", [dropout, dropout2d])
def test_the_gradient_passes_where_the_values_passed(function, rng):
    x = ones(3, 2, 2, 5, requires_grad=True)
    y = function(x, 0.4, rng=rng)
    gy = rng.standard_normal(x.shape)
    y.backward(minicnn.tensor(gy))
    np.testing.assert_allclose(x.grad.numpy(), gy * y.numpy())


@pytest.mark.parametrize("function", [dropout, dropout2d])
def test_first_and_second_derivatives(function, rng):
    x = minicnn.tensor(rng.standard_normal((2, 2, 2, 3)), requires_grad=True)

    def drop(x):
        return function(x, 0.4, rng=np.random.default_rng(5))

    assert minicnn.gradcheck(drop, [x])
    assert minicnn.gradgradcheck(lambda x: drop(x) ** 2, [x])


@pytest.mark.parametrize("function", [dropout, dropout2d])
def test_evaluation_and_p_0_return_the_tensor_itself_and_draw_nothing(function, rng):
    x = ones(2, 2, 2, 2)
    before = rng.bit_generator.state
    assert function(x, 0.5, training=False, rng=rng) is x
    assert function(x, 0.0, rng=rng) is x
    assert rng.bit_generator.state == before


def test_p_1_gives_zeros_and_a_gradient_of_zeros(rng):
    x = ones(3, 4, requires_grad=True)
    y = dropout(x, 1.0, rng=rng)
    y.sum().backward()
    assert not y.numpy().any()
    assert not x.grad.numpy().any()


def test_a_strided_input_gets_the_mask_of_its_copy(rng):
    x = ones(6, 8)
    np.testing.assert_array_equal(
        dropout(x.T, rng=np.random.default_rng(1)).numpy(),
        dropout(ones(8, 6), rng=np.random.default_rng(1)).numpy(),
    )


def test_nothing_moves_between_host_and_device(rng):
    x, gy = ones(4, 4, 4, 3, requires_grad=True), ones(4, 4, 4, 3)
    with standin.no_transfers():
        dropout(x, rng=rng).backward(gy)
        dropout2d(x, rng=rng).backward(gy)


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
@pytest.mark.parametrize("function", [dropout, dropout2d])
@pytest.mark.parametrize("training", [True, False])
def test_a_probability_outside_0_to_1_is_refused(function, p, training, rng):
    with pytest.raises(OptionError, match=f"{function.__name__}.*between 0 and 1, got {p}"):
        function(ones(2, 2, 2, 2), p, training=training, rng=rng)


def test_a_seed_in_place_of_a_generator_is_refused():
    with pytest.raises(OptionError, match="default_rng"):
        dropout(ones(2, 2), rng=7)


def test_dropout2d_refuses_what_is_no_batch_of_images(rng):
    with pytest.raises(ShapeError, match=r"\(N, H, W, C\), got \(2, 3\)"):
        dropout2d(ones(2, 3), rng=rng)
