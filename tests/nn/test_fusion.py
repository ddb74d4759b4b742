"""Neighbours that are computed together give what they give one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn import backend, nn, tensor
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


@pytest.mark.parametrize(
    "following", [nn.Tanh, lambda: nn.LeakyReLU(-0.1), lambda: nn.LeakyReLU(1.5)]
)
def test_other_activations_stay_by_themselves(following):
    assert fuse([nn.Conv2d(1, 1, 3), following()])[1] == 1


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

    class Plain(nn.ReLU):
        """Adds nothing."""

    assert fuse([nn.Conv2d(1, 1, 3), Twice()])[1] == 1
    assert fuse([nn.Conv2d(1, 1, 3), Plain()])[1] == 2


def test_errors_name_the_layer_at_which_they_show(rng):
    net = nn.Sequential(a=nn.Conv2d(1, 1, 3), b=nn.ReLU())
    with pytest.raises(Exception, match="layer a"):
        net(backend.asarray(rng.standard_normal((1, 5, 5, 2)).astype(np.float32)))
