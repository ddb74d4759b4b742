"""Gradients of dense layers' weights that are computed only when somebody looks at them."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import minicnn
from minicnn import detect_anomaly, grad, ops, optim, tensor
from minicnn.autograd import Deferred
from minicnn.errors import NotANumberError, ShapeError
from minicnn.kernels import compiled
from minicnn.kernels.matmul import Product
from minicnn.optim import workspace

pytestmark = pytest.mark.host

SIZES = 8, 600, 400  # rows, inputs, outputs


def draw(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.fixture
def layer(rng):
    """Give inputs, weights, and the factors of a loss that is linear in the outputs."""
    rows, inputs, outputs = SIZES
    x, w, c = draw(rng, rows, inputs), draw(rng, inputs, outputs), draw(rng, rows, outputs)
    return x, tensor(w, requires_grad=True), c


def back(x, w, c):
    (ops.linear(x, w) * c).sum().backward()


def expected(x, c):
    return x.T.astype(np.float64) @ c


def check(found, values, scale=1.0):
    np.testing.assert_allclose(found, values, rtol=0, atol=1e-5 * np.abs(values).max() * scale)


def test_it_is_computed_when_its_values_are_asked_for(layer):
    x, w, c = layer
    back(x, w, c)
    assert isinstance(w.grad, Deferred)
    assert (w.grad.shape, w.grad.dtype) == (w.shape, np.float32)
    assert (w.grad.ndim, w.grad.size, len(w.grad)) == (2, w.size, len(w))
    assert w.grad.source is not None
    check(w.grad.numpy(), expected(x, c))
    assert w.grad.source is None
    assert w.grad.data is w.grad.data


def test_arrays_that_are_changed_after_the_pass_do_not_change_it(layer):
    x, w, c = layer
    values = expected(x, c)
    hidden = tensor(x) * 1
    factors = tensor(c)
    (ops.linear(hidden, w) * factors).sum().backward()
    x[...] = hidden.data[...] = c[...] = factors.data[...] = 0
    check(w.grad.numpy(), values)


def test_a_gradient_that_is_given_may_be_changed_after_the_pass(layer):
    x, w, c = layer
    values = expected(x, c)
    given = tensor(c)
    ops.linear(x, w).backward(given)
    given.data[...] = 0
    check(w.grad.numpy(), values)


def test_two_passes_add_up(layer):
    x, w, c = layer
    back(x, w, c)
    back(2 * x, w, c)
    assert not isinstance(w.grad, Deferred)
    check(w.grad.numpy(), 3 * expected(x, c))


def test_two_uses_in_one_pass_add_up(layer):
    x, w, c = layer
    ((ops.linear(x, w) + ops.linear(2 * x, w)) * c).sum().backward()
    check(w.grad.numpy(), 3 * expected(x, c))


def test_grad_and_a_graph_that_is_kept_give_it_as_well(layer):
    x, w, c = layer
    loss = (ops.linear(x, w) * c).sum()
    (found,) = grad(loss, w, retain_graph=True)
    check(found.numpy(), expected(x, c))
    loss.backward()
    check(w.grad.numpy(), expected(x, c))


def test_a_gradient_that_has_a_gradient_is_not_deferred(layer):
    x, w, c = layer
    (found,) = grad((ops.linear(x, w) ** 2 * c).sum(), w, create_graph=True)
    assert not isinstance(found, Deferred)
    (found**2).sum().backward()
    assert np.isfinite(w.grad.numpy()).all()


def test_weights_that_are_a_result_get_an_array_at_once(layer, monkeypatch):
    x, w, c = layer
    monkeypatch.setattr("minicnn.ops.linalg.Product", None)
    (ops.linear(x, w * 3.0) * c).sum().backward()
    assert not isinstance(w.grad, Deferred)
    check(w.grad.numpy(), 3 * expected(x, c))


def test_a_hook_sees_and_replaces_it(layer):
    x, w, c = layer
    seen = []
    w.register_hook(lambda gradient: seen.append(gradient.numpy().copy()) or gradient * 2)
    back(x, w, c)
    check(seen[0], expected(x, c))
    check(w.grad.numpy(), 2 * expected(x, c))


def test_no_two_tensors_share_it(layer):
    x, w, c = layer
    back(x, w, c)
    first, second = (tensor(np.zeros(w.shape, np.float32), requires_grad=True) for _ in range(2))
    (first + second).backward(w.grad)
    first.grad.data[...] = 0
    for each in (second, w):
        check(each.grad.numpy(), expected(x, c))


@pytest.mark.parametrize("looked_at", [True, False])
def test_no_two_tensors_share_what_a_hook_gives_them(layer, looked_at):
    x, w, c = layer
    other, seen = tensor(w.numpy(), requires_grad=True), []

    def keep(gradient):
        seen.append(gradient)
        if looked_at:
            gradient.numpy()

    w.register_hook(keep)
    other.register_hook(lambda gradient: seen[0] if seen else None)
    ((ops.linear(x, other) + ops.linear(x, w)) * c).sum().backward()
    assert w.grad is seen[0]
    other.grad.data[...] = 0
    check(w.grad.numpy(), expected(x, c))


def test_its_values_can_be_replaced(layer):
    x, w, c = layer
    back(x, w, c)
    w.grad.data = np.zeros(w.shape, np.float32)
    assert not w.grad.numpy().any()
    back(x, w, c)
    check(w.grad.numpy(), expected(x, c))


def test_a_copy_has_the_same_values(layer):
    x, w, c = layer
    back(x, w, c)
    check(copy.deepcopy(w.grad).numpy(), expected(x, c))


def test_anomaly_mode_looks_at_it(layer):
    x, w, c = layer
    with (
        np.errstate(over="ignore", invalid="ignore"),
        pytest.raises(NotANumberError, match=r"linear: .* input 1 \(shape \(600, 400\)"),
        detect_anomaly(),
    ):
        ops.linear(x * np.float32(1e30), w).backward(tensor(c * np.float32(1e30)))


MAKERS = {
    "sgd": lambda p: optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": lambda p: optim.Adam(p, 0.1, weight_decay=0.1),
    "amsgrad": lambda p: optim.Adam(p, 0.1, amsgrad=True),
    "adamw": lambda p: optim.AdamW(p, 0.1),
    "rmsprop": lambda p: optim.RMSprop(p, momentum=0.9, centered=True),
    "adagrad": lambda p: optim.Adagrad(p, 0.1),
    "adadelta": lambda p: optim.Adadelta(p, weight_decay=0.1),
}


@pytest.mark.parametrize("piece", [1000, 2**18])  # pieces that end within rows, and one for all
@pytest.mark.parametrize("with_numba", [False, True])
@pytest.mark.parametrize("name", MAKERS)
def test_an_optimiser_steps_by_it_as_by_its_array(layer, name, with_numba, piece, monkeypatch):
    if with_numba:
        pytest.importorskip("numba")
    monkeypatch.setattr(compiled, "enabled", lambda: with_numba)
    monkeypatch.setattr(workspace, "_PIECE", piece)
    x, w, c = layer
    by_array, by_parts = (
        [tensor(w.numpy(), requires_grad=True), tensor(c[0], requires_grad=True)] for _ in range(2)
    )
    one, other = (MAKERS[name](each) for each in (by_array, by_parts))
    for factor in (1.0, -0.3, 0.7):
        for weights, bias in (by_array, by_parts):
            weights.grad = bias.grad = None
            (ops.linear(x, weights, bias) * (factor * c)).sum().backward()
        by_array[0].grad.data  # noqa: B018, computes it
        one.step()
        other.step()
        assert by_parts[0].grad.source is not None  # it was never there as a whole
    for first, second in zip(by_array, by_parts, strict=True):
        check(first.numpy(), second.numpy(), 10)  # small gradients are divided by their size
    for key, state in one.state_dict()["arrays"].items():
        check(other.state_dict()["arrays"][key], state)


def test_a_step_asks_for_parts_that_stay_in_the_cache(layer, monkeypatch):
    asked, part = [], Product.part

    def recording(self, numbers):
        asked.append((numbers.start, numbers.stop))
        return part(self, numbers)

    monkeypatch.setattr(Product, "part", recording)
    monkeypatch.setattr(workspace, "_PIECE", 70_000)
    x, w, c = layer
    back(x, w, c)
    optim.SGD([w], 0.1).step()
    asked.sort()
    assert max(stop - start for start, stop in asked) <= 70_000
    edges = [0, *(stop for _, stop in asked)]
    assert [start for start, _ in asked] == edges[:-1]
    assert edges[-1] == w.size


def test_one_of_another_source_is_looked_at():
    class Source:
        shape, dtype = (3,), np.dtype(np.float32)

        def whole(self):
            return np.array([3, 0, 4], np.float32)

    for clipped in (False, True):
        w = tensor(np.zeros(3, np.float32), requires_grad=True)
        w.grad = Deferred(Source())
        if clipped:
            assert optim.clip_grad_norm_([w], 0.5).item() == 5
        optim.SGD([w], 1.0).step()
        np.testing.assert_allclose(w.numpy(), np.array([-3, 0, -4]) * (0.1 if clipped else 1), 1e-5)


@pytest.mark.parametrize("norm_type", [1.0, 2.0, np.inf])
@pytest.mark.parametrize("cheap", [False, True])
@pytest.mark.parametrize("looked_at", [False, True])
def test_clipping_by_norm_is_that_of_its_values(layer, norm_type, looked_at, cheap, monkeypatch):
    x, w, c = layer
    monkeypatch.setattr(Product, "has_cheap_norm", lambda self: cheap)
    other = tensor(c, requires_grad=True)
    (ops.linear(x, w) * other).sum().backward()
    if looked_at:
        w.grad.numpy()
    kept = w.grad
    values, beside = expected(x, c), other.grad.numpy().astype(np.float64)
    together = np.concatenate([values.ravel(), beside.ravel()])
    norm = np.linalg.norm(together, norm_type)
    found = optim.clip_grad_norm_([w, other], 2.0, norm_type=norm_type)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.numpy(), norm, rtol=1e-5)
    # Whoever holds the gradient of before has its values still.
    check(kept.numpy(), values)
    check(w.grad.numpy(), values * 2 / norm)
    check(other.grad.numpy(), beside * 2 / norm)


def test_clipping_by_a_norm_that_is_cheap_does_not_look_at_it(layer, monkeypatch):
    x, w, c = layer
    monkeypatch.setattr(Product, "has_cheap_norm", lambda self: True)
    for largest in (1e9, 1.0):
        w.grad = None
        back(x, w, c)
        optim.clip_grad_norm_([w], largest)
        assert w.grad.source is not None
    before = w.numpy().copy()
    optim.SGD([w], 1.0).step()
    assert w.grad.source is not None
    check(before - w.numpy(), expected(x, c) / np.linalg.norm(expected(x, c)), 100)


@pytest.mark.parametrize("cheap", [False, True])
def test_clipping_makes_nan_of_no_more_than_an_infinity_was_in(layer, cheap, monkeypatch):
    x, w, c = layer
    monkeypatch.setattr(Product, "has_cheap_norm", lambda self: cheap)
    other = tensor(np.ones(3, np.float32), requires_grad=True)
    x[0, 0] = np.inf
    with np.errstate(invalid="ignore"):
        back(x, w, c)
        other.sum().backward()
        assert optim.clip_grad_norm_([w, other], 1.0).item() == np.inf
        assert not other.grad.numpy().any()
        assert np.isnan(w.grad.numpy()).any(axis=1).tolist() == [True] + [False] * (len(w) - 1)


@pytest.mark.parametrize("cheap", [False, True])
def test_clipping_passes_a_nan_on(layer, cheap, monkeypatch):
    x, w, c = layer
    monkeypatch.setattr(Product, "has_cheap_norm", lambda self: cheap)
    c[0, 0] = np.nan
    back(x, w, c)
    assert np.isnan(optim.clip_grad_norm_([w], 1.0).numpy())
    assert np.isnan(w.grad.numpy()).all()


def test_a_gradient_that_does_not_fit_its_parameter_is_refused(layer):
    x, w, c = layer
    back(x, w, c)
    w.data = np.zeros((3, 4), np.float32)
    with pytest.raises(ShapeError, match=r"shape \(3, 4\) has a gradient of shape \(600, 400\)"):
        optim.SGD([w]).step()


def test_a_network_trains_as_without_it(rng, monkeypatch):
    def losses():
        net = minicnn.nn.Sequential(
            minicnn.nn.Linear(600, 400, rng=1),
            minicnn.nn.ReLU(),
            minicnn.nn.Linear(400, 500, rng=2),
            minicnn.nn.Sigmoid(),
            minicnn.nn.Linear(500, 5, rng=3),
        )
        optimiser, found = optim.Adam(net.parameters()), []
        for _ in range(8):
            optimiser.zero_grad()
            loss = ops.cross_entropy(net(x), labels)
            loss.backward()
            optimiser.step()
            found.append(loss.item())
        return found, [isinstance(each.grad, Deferred) for each in net.parameters()]

    x, labels = draw(rng, 16, 600), np.arange(16) % 5
    found, deferred = losses()
    assert deferred == [True, False, True, False, False, False]
    monkeypatch.setattr("minicnn.ops.linalg.deferrable", lambda x, y: False)
    expected, deferred = losses()
    assert not any(deferred)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert found[-1] < found[0] / 2
