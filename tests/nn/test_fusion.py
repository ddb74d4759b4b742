"""Neighbours that are computed together give what they give one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn import backend, nn, no_grad, tensor
from minicnn.nn.fusion import fuse


def chain(net, x):
    for module in net:  # one after the other
        x = module(x)
    return x


def run(net, values, forward):
    x = tensor(values, requires_grad=True)
    y = forward(net, x)
    net.zero_grad()
    (y * y).sum().backward()
    return [y.numpy(), x.grad.numpy(), *(p.grad.numpy() for p in net.parameters())]


RECTIFIERS = {
    "relu": nn.ReLU,
    "leaky": lambda: nn.LeakyReLU(0.3),
    "slope 0": lambda: nn.LeakyReLU(0.0),
    "slope 1": lambda: nn.LeakyReLU(1.0),
}


@pytest.mark.parametrize("algorithm", ["im2col", "winograd"])
@pytest.mark.parametrize("name", RECTIFIERS)
def test_convolution_and_rectifier_are_one_operation_with_the_same_numbers(name, algorithm, rng):
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding="same", rng=1, algorithm=algorithm), RECTIFIERS[name]()
    )
    assert fuse(list(net))[1] == 2
    values = rng.standard_normal((2, 7, 6, 3)).astype(np.float32)
    for found, expected in zip(
        run(net, values, nn.Sequential.__call__), run(net, values, chain), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", RECTIFIERS)
def test_infinities_and_nan_come_out_the_same_together_and_apart(name):
    net = nn.Sequential(nn.Linear(1, 4, rng=1), RECTIFIERS[name]())
    with no_grad():
        net[0].bias.copy_(tensor(np.array([-np.inf, np.inf, np.nan, -1], np.float32)))
    x = tensor(np.ones((2, 1), np.float32))
    np.testing.assert_array_equal(net(x).numpy(), chain(net, x).numpy())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 6), (2, 3, 6), (6,)])
@pytest.mark.parametrize("name", RECTIFIERS)
def test_dense_layer_and_rectifier_are_one_operation_with_the_same_numbers(name, shape, bias, rng):
    net = nn.Sequential(nn.Linear(6, 4, bias, rng=1), RECTIFIERS[name]())
    assert fuse(list(net))[1] == 2
    values = rng.standard_normal(shape).astype(np.float32)
    for found, expected in zip(
        run(net, values, nn.Sequential.__call__), run(net, values, chain), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


POOLINGS = {"largest": nn.MaxPool2d, "mean": nn.AvgPool2d}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("p", [None, 0.0, 0.5])
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("norm", [True, False])
def test_norm_pooling_and_dropout_are_one_operation_with_the_same_numbers(
    norm, pooling, p, training, rng
):
    def build():
        layers = [nn.BatchNorm2d(3)] if norm else []
        layers.append(POOLINGS[pooling](2))
        if p is not None:
            layers.append(nn.Dropout(p, rng=7))
        return nn.Sequential(*layers).train(training)

    values = rng.standard_normal((3, 5, 6, 3)).astype(np.float32)
    together, apart = build(), build()
    assert fuse(list(together))[1] == len(together)
    found = run(together, values, nn.Sequential.__call__)
    expected = run(apart, values, chain)
    found += [buffer.numpy() for buffer in together.buffers()]
    expected += [buffer.numpy() for buffer in apart.buffers()]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_two_steps_of_a_network_are_the_same_together_and_apart(rng):
    def build():
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding="same", rng=1),
            nn.LeakyReLU(0.1),
            nn.BatchNorm2d(4),
            nn.MaxPool2d(2),
            nn.Dropout(0.3, rng=2),
            nn.Conv2d(4, 8, 3, padding="same", rng=3),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(32, 3, rng=4),
        )

    values = rng.standard_normal((4, 9, 9, 1)).astype(np.float32)
    for found, expected in zip(
        run(build(), values, nn.Sequential.__call__), run(build(), values, chain), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["relu", "leaky"])  # else the gradient in the bias is 0
def test_arrays_large_enough_for_compiled_code_are_the_same_together_and_apart(name, rng):
    def build():
        return nn.Sequential(
            nn.Conv2d(32, 64, 3, padding="same", rng=1, algorithm="winograd"),
            RECTIFIERS[name](),
            nn.BatchNorm2d(64),
            nn.MaxPool2d(2),
            nn.Dropout(0.3, rng=2),
        )

    values = rng.standard_normal((8, 24, 24, 32)).astype(np.float32)
    for found, expected in zip(
        run(build(), values, nn.Sequential.__call__), run(build(), values, chain), strict=True
    ):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize(
    "pooling",
    [
        lambda: nn.MaxPool2d(3),
        lambda: nn.MaxPool2d(2, stride=1),
        lambda: nn.AvgPool2d(2, padding=1),
        lambda: nn.MaxPool2d(2, dilation=2),
        nn.GlobalAvgPool2d,
    ],
)
def test_other_poolings_stay_by_themselves(pooling):
    assert fuse([nn.BatchNorm2d(3), pooling()])[1] == 1
    assert fuse([pooling(), nn.Dropout(0.5, rng=1)])[1] == 1


@pytest.mark.parametrize(
    "following", [nn.Tanh, lambda: nn.LeakyReLU(-0.1), lambda: nn.LeakyReLU(1.5)]
)
def test_other_activations_stay_by_themselves(following):
    assert fuse([nn.Conv2d(1, 1, 3), following()])[1] == 1
    assert fuse([nn.Linear(1, 1), following()])[1] == 1


@pytest.mark.parametrize("position", [0, 1])
def test_a_module_with_a_hook_sees_its_own_output(position, rng):
    net = nn.Sequential(nn.Conv2d(1, 2, 3, rng=1), nn.ReLU())
    seen = []
    hook = net[position].register_forward_hook(lambda module, inputs, y: seen.append(y.numpy()))
    x = tensor(rng.standard_normal((1, 5, 5, 1)).astype(np.float32))
    net(x)
    expected = net[0](x)
    seen = seen[:1]
    if position == 1:
        expected = net[1](expected)
    np.testing.assert_array_equal(seen[0], expected.numpy())
    hook.remove()
    assert fuse(list(net))[1] == 2


def test_a_subclass_with_its_own_forward_is_left_alone():
    class Twice(nn.ReLU):
        def forward(self, x):
            return super().forward(x) * 2

    class Called(nn.Linear):
        def __call__(self, x):
            return super().__call__(x) * 2

    assert fuse([Called(1, 1), nn.ReLU()])[1] == 1

    class Plain(nn.ReLU):
        """Adds nothing."""

    class Mapped(nn.Linear):
        def forward(self, x):
            return super().forward(x) * 2

    assert fuse([Mapped(1, 1), nn.ReLU()])[1] == 1
    assert fuse([nn.Linear(1, 1), Twice()])[1] == 1
    assert fuse([nn.Linear(1, 1), Plain()])[1] == 2
    assert fuse([nn.Conv2d(1, 1, 3), Twice()])[1] == 1
    assert fuse([nn.Conv2d(1, 1, 3), Plain()])[1] == 2


def test_errors_name_the_layer_at_which_they_show(rng):
    net = nn.Sequential(a=nn.Conv2d(1, 1, 3), b=nn.ReLU())
    with pytest.raises(Exception, match="layer a"):
        net(backend.asarray(rng.standard_normal((1, 5, 5, 2)).astype(np.float32)))
