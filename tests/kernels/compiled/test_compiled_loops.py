"""Compiled loops against NumPy's way to the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn import nn, no_grad, optim, tensor
from minicnn.errors import OptionError
from minicnn.kernels import compiled, halve, norm, random
from minicnn.optim.workspace import Change, Workspaces

pytest.importorskip("numba")
pytestmark = pytest.mark.host


@pytest.fixture
def both(monkeypatch):
    """Call a function with compiled code for arrays of any size, and without any."""

    def call(function):
        monkeypatch.setattr(compiled, "LEAST", 0)
        monkeypatch.setattr(compiled, "enabled", lambda: True)
        fast = function()
        monkeypatch.setattr(compiled, "enabled", lambda: False)
        slow = function()
        monkeypatch.undo()
        return fast, slow

    return call


def check_close(fast, slow, tolerance=1e-5):
    for found, expected in zip(fast, slow, strict=True):
        if expected is None:
            assert found is None
            continue
        assert found.dtype == expected.dtype
        scale = np.abs(expected).max(initial=1e-30)
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


def draw(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(1, 3), (70, 5), (257, 33)])
def test_moments(both, rng, shape):
    x = draw(rng, *shape)
    check_close(*both(lambda: norm.moments(x)))


def test_moments_of_values_far_from_zero(both, rng):
    x = draw(rng, 1000, 3) + np.float32(1000)
    x[0] = 0  # an outlier where one might look first
    middle, variance = both(lambda: norm.moments(x))[0]
    np.testing.assert_allclose(middle, x.mean(axis=0, dtype=np.float64), rtol=1e-7)
    np.testing.assert_allclose(variance, x.var(axis=0, dtype=np.float64), rtol=1e-4)


def test_moments_keep_nan(both, rng):
    x = draw(rng, 70, 2)
    x[65, 1] = np.nan
    middle, variance = both(lambda: norm.moments(x))[0]
    assert np.isnan([middle[1], variance[1]]).all()
    assert np.isfinite([middle[0], variance[0]]).all()


def test_scale_and_shift_and_combine(both, rng):
    x, gy = draw(rng, 70, 5), draw(rng, 70, 5)
    a, b, c = draw(rng, 3, 5)
    check_close(*both(lambda: [norm.scale_shift(x, a, b), norm.scale_shift(x, a)]))
    check_close(*both(lambda: [norm.combine(gy, x, a, b, c)]))


@pytest.mark.parametrize("with_centre", [True, False])
def test_sums_of_gradients(both, rng, with_centre):
    x, gy = draw(rng, 131, 5), draw(rng, 131, 5)
    centre = rng.standard_normal(5) if with_centre else None
    check_close(*both(lambda: norm.gradient_sums(gy, x, centre)))


@pytest.mark.parametrize("p", [0.0, 0.4])
@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("size", [(4, 6), (5, 7)])
def test_halving_and_its_gradients(both, rng, size, largest, p):
    x = draw(rng, 3, *size, 9)
    scale, shift, weight = draw(rng, 3, 9)
    gy = draw(rng, 3, size[0] // 2, size[1] // 2, 9)
    middle, inverse = rng.standard_normal(9), rng.uniform(0.5, 2, 9)
    options = {"largest": largest, "p": p}

    def run():
        y, code = halve.forward(x, scale, shift, seed=(5, 6), **options)
        plain, plain_code = halve.forward(x, None, None, seed=(5, 6), **options)
        assert y.shape == gy.shape
        return [
            y,
            plain,
            code.astype(np.float32),
            plain_code.astype(np.float32),
            halve.plain_gradient(gy, code, size=size, **options),
            *halve.gradients(
                gy, code, x, weight, middle, inverse, needs=(True, True, True), **options
            ),
            *halve.gradients(
                gy, code, x, None, middle, inverse, needs=(True, False, False), **options
            ),
        ]

    check_close(*both(run))


def test_halving_finds_the_first_of_equal_values_and_nan(both):
    x = np.zeros((1, 2, 4, 1), np.float32)
    x[0, 1, 2, 0] = np.nan
    options = {"largest": True, "p": 0.0, "seed": (0, 0)}
    fast, slow = both(lambda: halve.forward(x, None, None, **options))
    for y, code in (fast, slow):
        assert y[0, 0, 0, 0] == 0
        assert np.isnan(y[0, 0, 1, 0])
        assert code.ravel().tolist() == [0, 2]


@pytest.mark.parametrize("kind", [optim.Adam, optim.AdamW])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_steps_of_adam(both, rng, kind, weight_decay):
    start, gradients = draw(rng, 7, 11), draw(rng, 20, 7, 11)

    def run():
        w = nn.Parameter(start.copy())
        optimizer = kind([w], lr=0.01, weight_decay=weight_decay)
        for gradient in gradients:
            w.grad = tensor(gradient)
            optimizer.step()
        state = optimizer.state[w]
        return [w.numpy(), state["exp_avg"], state["exp_avg_sq"]]

    check_close(*both(run))


def test_steps_of_a_moving_average(both, rng):
    values = draw(rng, 20, 7, 11)

    def run():
        w = nn.Parameter(np.zeros((7, 11), np.float32))
        average = optim.ExponentialMovingAverage([w], 0.7, warmup=True)
        for value in values:
            w.copy_(value)
            average.update()
        return [average.average["0"]]

    with no_grad():
        check_close(*both(run))


def test_compiled_code_serves_big_float32_arrays_only(monkeypatch):
    monkeypatch.setattr(compiled, "enabled", lambda: True)
    big = np.zeros(compiled.LEAST, np.float32)
    assert compiled.usable(big)
    assert compiled.usable(big, np.zeros(3, np.float32))
    assert not compiled.usable(big[1:])
    assert compiled.usable(big[1:], size=compiled.LEAST)
    assert not compiled.usable(big.astype(np.float64))
    assert not compiled.usable(big, np.zeros(3))


@pytest.mark.parametrize(
    ("sizes", "dtype", "expected"),
    [
        ((compiled.LEAST, 3), "float32", ["loop", "loop"]),  # by all numbers together
        ((compiled.LEAST - 4, 3), "float32", ["update", "update"]),
        ((compiled.LEAST, 3), "float64", ["update", "update"]),
    ],
)
def test_all_arrays_of_a_change_are_changed_by_compiled_code_or_none(
    monkeypatch, sizes, dtype, expected
):
    monkeypatch.setattr(compiled, "enabled", lambda: True)
    called = []

    def compiled_update():
        return lambda *arrays: called.append("loop")

    changes = [
        Change([np.zeros(size, dtype)], lambda parts: called.append("update"), compiled_update)
        for size in sizes
    ]
    Workspaces().change(changes)
    assert called == expected


@pytest.mark.parametrize(("value", "expected"), [("0", False), ("1", True), (" ", True)])
def test_numba_can_be_switched_off(monkeypatch, value, expected):
    monkeypatch.setenv(compiled.ENVIRONMENT_VARIABLE, value)
    assert compiled.enabled.__wrapped__() is expected


def test_another_value_of_the_switch_is_refused(monkeypatch):
    monkeypatch.setenv(compiled.ENVIRONMENT_VARIABLE, "yes")
    with pytest.raises(OptionError, match="expected 0 or 1, got 'yes'"):
        compiled.enabled.__wrapped__()


@pytest.mark.parametrize("p", [0.0, 0.3, 0.99])
def test_dropout(both, rng, p):
    x = draw(rng, 40, 33)
    fast, slow = both(lambda: random.drop(x, p, (3, 4)))
    check_close(fast[:1], slow[:1])
    np.testing.assert_array_equal(fast[1], slow[1])
