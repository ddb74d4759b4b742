"""Mirror symmetry: what networks say of mirror images, before, in and after training."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn import backend, ops, optim, zoo
from minicnn.autograd import Tensor, no_grad
from minicnn.errors import OptionError
from minicnn.nn.activation import LeakyReLU, ReLU
from minicnn.nn.committee import Committee
from minicnn.nn.containers import Sequential
from minicnn.nn.conv import Conv2d
from minicnn.nn.dropout import Dropout
from minicnn.nn.linear import Linear
from minicnn.nn.norm import BatchNorm1d, BatchNorm2d
from minicnn.nn.pool import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from minicnn.nn.residual import Residual
from minicnn.nn.shape import Flatten
from minicnn.training import MirrorSymmetry


def network(seed=0, padding: object = "same", bias=True):
    rng = np.random.default_rng(seed)
    block = Sequential(Conv2d(6, 6, 3, padding=1, rng=rng), LeakyReLU(0.1), BatchNorm2d(6))
    return Sequential(
        Conv2d(1, 4, (3, 5), padding=padding, bias=bias, rng=rng),
        ReLU(),
        BatchNorm2d(4),
        MaxPool2d(2),
        Dropout(0.1, rng=np.random.default_rng(1)),
        Conv2d(4, 6, 2, padding="valid", rng=rng),
        Residual(block),
        AvgPool2d(2),
        GlobalAvgPool2d(),
        Linear(6, 8, rng=rng),
        BatchNorm1d(8) if bias else ReLU(),
        Linear(8, 3, rng=rng),
    )


def both(model, images):
    """Return what a model says of images, and of their mirror images."""
    model.eval()
    with no_grad():
        found = [model(backend.asarray(x)).numpy() for x in (images, images[:, :, ::-1].copy())]
    model.train()
    return found


def pictures(rng, count=6):
    # Of such a width that every pooling has an even one to work on.
    return rng.standard_normal((count, 9, 10, 1)).astype(np.float32)


@pytest.mark.parametrize(("padding", "bias"), [("same", True), ((1, 2), False)])
def test_mirror_images_have_the_same_result_from_the_beginning(rng, padding, bias):
    model, images = network(padding=padding, bias=bias), pictures(rng)
    one, other = both(model, images)
    assert np.abs(one - other).max() > 1e-3
    MirrorSymmetry(model)
    one, other = both(model, images)
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert np.abs(one - one[:1]).max() > 1e-4  # it still tells images apart


OPTIMISERS = {
    "adamw": lambda groups: optim.AdamW(groups, lr=0.02, weight_decay=0.1),
    "sgd": lambda groups: optim.SGD(groups, lr=0.05, momentum=0.9, nesterov=True),
    "adagrad": lambda groups: optim.Adagrad(groups, lr=0.02),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_they_have_it_still_after_training(rng, name):
    model, images, labels = network(), pictures(rng), np.arange(6) % 3
    symmetry = MirrorSymmetry(model)
    optimizer = OPTIMISERS[name](optim.decay_groups(model, 0.1))
    before, _ = both(model, images)
    for _ in range(12):
        optimizer.zero_grad()
        loss = ops.cross_entropy(model(backend.asarray(images)), backend.asarray(labels))
        loss.backward()
        symmetry.project()
        optimizer.step()
    after, mirrored = both(model, images)
    assert np.abs(after - before).max() > 0.1
    np.testing.assert_allclose(after, mirrored, rtol=1e-3, atol=1e-5)
    for module in model.modules():
        if isinstance(module, BatchNorm2d):
            mean = module.running_mean.numpy()
            assert (mean[: len(mean) // 2] == mean[len(mean) // 2 :]).all()
            assert (mean != 0).all()


def test_gradients_become_the_means_of_counterparts(rng):
    model = network()
    symmetry = MirrorSymmetry(model)
    ops.cross_entropy(
        model(backend.asarray(pictures(rng))), backend.asarray([0, 1, 2] * 2)
    ).backward()
    second = model[5]
    before = {name: each.grad.numpy().copy() for name, each in model.named_parameters()}
    symmetry.project()
    weight, first = before["5.weight"], before["0.weight"]
    kh, kw, c, o = weight.shape
    expected = np.empty_like(weight)
    for i, j, k, m in np.ndindex(kh, kw, c, o):
        counterpart = weight[i, kw - 1 - j, (k + c // 2) % c, (m + o // 2) % o]
        expected[i, j, k, m] = (weight[i, j, k, m] + counterpart) / 2
    np.testing.assert_allclose(second.weight.grad.numpy(), expected, rtol=1e-6)
    mean = (first + np.roll(first, 2, axis=3)[:, ::-1]) / 2
    np.testing.assert_allclose(model[0].weight.grad.numpy(), mean, rtol=1e-6)
    for name, half in (("0.bias", 2), ("2.weight", 2), ("5.bias", 3), ("9.weight", 3)):
        mean = (before[name] + np.roll(before[name], half, axis=0)) / 2
        found = dict(model.named_parameters())[name].grad.numpy()
        np.testing.assert_allclose(found, mean, rtol=1e-6)
    # What comes after the sums over both halves is as it was.
    for name in ("9.bias", "10.weight", "11.weight"):
        found = dict(model.named_parameters())[name].grad.numpy()
        np.testing.assert_array_equal(found, before[name])


def test_a_gradient_that_others_share_is_not_changed_in_place(rng):
    model = network()
    symmetry = MirrorSymmetry(model)
    gradient = backend.asarray(rng.standard_normal(model[5].weight.shape).astype(np.float32))
    model[5].weight.grad = Tensor(gradient)
    before = backend.to_numpy(gradient).copy()
    symmetry.project()  # of the others there is none
    np.testing.assert_array_equal(backend.to_numpy(gradient), before)
    assert model[0].weight.grad is None


@pytest.mark.parametrize(
    ("name", "options"),
    [("residual_cnn", {"widths": (4, 6, 8, 10)}), ("residual_committee", {"members": 3})],
)
def test_networks_of_the_zoo_can_have_it(rng, name, options):
    model = zoo.build(name, input_shape=(16, 16, 1), seed=0, **options)
    MirrorSymmetry(model)
    images = rng.standard_normal((3, 16, 16, 1)).astype(np.float32)
    np.testing.assert_allclose(*both(model, images), rtol=1e-4, atol=1e-6)


def test_the_channels_of_images_are_their_own_mirror_images(rng):
    layers = (Conv2d(4, 6, 3, rng=0), Conv2d(6, 4, 3, rng=1))
    model = Sequential(*layers, GlobalAvgPool2d(), Linear(4, 2, rng=2))
    MirrorSymmetry(model)
    images = rng.standard_normal((3, 8, 8, 4)).astype(np.float32)
    np.testing.assert_allclose(*both(model, images), rtol=1e-4, atol=1e-6)


GLOBAL = (GlobalAvgPool2d(), Linear(4, 2, rng=0))


@pytest.mark.parametrize(
    ("layers", "match"),
    [
        (
            (Committee([Sequential(Conv2d(1, 4, 3, rng=0), GlobalAvgPool2d())]),),
            r"0\.members\.0 has no dense layer after a global average",
        ),
        ((Conv2d(1, 4, 3, rng=0), Committee([ReLU()]), *GLOBAL), "1: of a Committee for channels"),
        ((Conv2d(1, 4, 3, rng=0), Flatten(), Linear(4, 2, rng=0)), "1: of a Flatten for channels"),
        ((Linear(1, 4, rng=0), *GLOBAL), "0: of a Linear for images"),
        ((Residual(Conv2d(2, 2, 3, rng=0)), *GLOBAL), "0: of a Residual for images"),
        ((BatchNorm2d(2), Conv2d(2, 4, 3, rng=0), *GLOBAL), "0: of a BatchNorm2d for images"),
        ((Conv2d(1, 4, 3, rng=0), *GLOBAL, Conv2d(2, 4, 3, rng=0)), "3: of a Conv2d for features"),
        ((Conv2d(1, 5, 3, rng=0), *GLOBAL), "0: expected a convolution with an even"),
        ((Conv2d(1, 4, 3, rng=0), Conv2d(4, 5, 3, rng=0), *GLOBAL), "1: expected a convolution"),
        ((Conv2d(1, 4, 3, rng=0), MaxPool2d(3, 2, padding=1), *GLOBAL), "1: expected a pooling"),
        ((Conv2d(1, 4, 3, rng=0), AvgPool2d(3, 2), *GLOBAL), "side by side"),
        ((Conv2d(1, 4, 3, rng=0), MaxPool2d(2, dilation=2), *GLOBAL), "side by side"),
        ((Conv2d(1, 4, 3, stride=2, rng=0), *GLOBAL), "neither a horizontal stride"),
        ((Conv2d(2, 4, 3, groups=2, rng=0), *GLOBAL), "nor groups"),
        ((Conv2d(1, 4, 2, padding="same", rng=0), *GLOBAL), "padding on one side"),
        ((Conv2d(1, 4, 3, padding=((1, 1), (0, 1)), rng=0), *GLOBAL), "padding on one side"),
        ((Conv2d(1, 4, 3, rng=0), GlobalAvgPool2d()), "no dense layer"),
    ],
)
def test_networks_without_a_known_mirror_image_are_refused(layers, match):
    with pytest.raises(OptionError, match=match):
        MirrorSymmetry(Sequential(*layers))
