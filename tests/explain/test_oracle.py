"""Explanations against PyTorch's gradients, with the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn import explain
from minicnn.nn.activation import LeakyReLU, ReLU
from minicnn.nn.containers import Sequential
from minicnn.nn.conv import Conv2d
from minicnn.nn.linear import Linear
from minicnn.nn.norm import BatchNorm2d
from minicnn.nn.pool import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from minicnn.nn.shape import Flatten

pytestmark = pytest.mark.oracle

AXES = {4: (2, 3, 1, 0), 2: (1, 0)}  # where PyTorch's axes of weights go
CLASSES = [0, 3, 2]


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch")


@pytest.fixture
def models(torch, rng):
    """Return the same network twice: PyTorch's and ours."""
    n = torch.nn
    torch.manual_seed(7)
    theirs = n.Sequential(
        n.Conv2d(2, 6, 3, padding=1), n.ReLU(), n.BatchNorm2d(6), n.MaxPool2d(2),
        n.Conv2d(6, 8, 3, padding=1), n.LeakyReLU(0.3), n.AvgPool2d(2),
        n.Conv2d(8, 5, 1), n.ReLU(), n.AdaptiveAvgPool2d(1), n.Flatten(), n.Linear(5, 4),
    ).double().eval()  # fmt: skip
    theirs[2].running_mean.normal_()
    theirs[2].running_var.uniform_(0.5, 2)
    ours = Sequential(
        Conv2d(2, 6, 3, padding=1), ReLU(), BatchNorm2d(6), MaxPool2d(2),
        Conv2d(6, 8, 3, padding=1), LeakyReLU(0.3), AvgPool2d(2),
        Conv2d(8, 5, 1), ReLU(), GlobalAvgPool2d(), Flatten(), Linear(5, 4),
    ).to("float64")  # fmt: skip
    state = {}
    for name, value in theirs.state_dict().items():
        if "num_batches_tracked" not in name:
            array = value.numpy()
            state[name] = array.transpose(AXES[array.ndim]) if array.ndim in AXES else array
    ours.load_state_dict(state)
    return theirs, ours


@pytest.fixture
def x(rng):
    return rng.standard_normal((3, 12, 8, 2))


def their_gradient(torch, model, x, classes=CLASSES):
    """Return the gradient of the classes' scores, as images (N, H, W, C)."""
    t = torch.tensor(x.transpose(0, 3, 1, 2).copy(), requires_grad=True)
    model(t)[torch.arange(len(x)), torch.tensor(classes)].sum().backward()
    return t.grad.numpy().transpose(0, 2, 3, 1)


def test_saliency_and_gradient_times_input(torch, models, x):
    theirs, ours = models
    expected = their_gradient(torch, theirs, x)
    np.testing.assert_allclose(
        explain.saliency(ours, x, CLASSES, absolute=False), expected, rtol=1e-9, atol=1e-13
    )
    np.testing.assert_allclose(
        explain.input_x_gradient(ours, x, CLASSES), x * expected, rtol=1e-9, atol=1e-13
    )


def test_the_class_with_the_highest_score_is_theirs(torch, models, x):
    theirs, ours = models
    best = theirs(torch.tensor(x.transpose(0, 3, 1, 2).copy())).argmax(1).tolist()
    np.testing.assert_allclose(
        explain.saliency(ours, x, absolute=False),
        their_gradient(torch, theirs, x, best),
        rtol=1e-9,
        atol=1e-13,
    )


def test_guided_backpropagation(torch, models, x):
    """PyTorch's gradient, with what arrives at each activation clipped from below."""
    theirs, ours = models

    def clip(module, inputs, output):
        output.register_hook(lambda gradient: gradient.clamp(min=0))

    for module in theirs:
        if isinstance(module, (torch.nn.ReLU, torch.nn.LeakyReLU)):
            module.register_forward_hook(clip)
    expected = their_gradient(torch, theirs, x)
    np.testing.assert_allclose(
        explain.guided_backprop(ours, x, CLASSES), expected, rtol=1e-9, atol=1e-13
    )
    assert not np.allclose(explain.saliency(ours, x, CLASSES, absolute=False), expected)


def test_smoothgrad(torch, models, x):
    theirs, ours = models
    drawn = np.random.default_rng(2).standard_normal((3, 5, *x.shape[1:]))
    deviation = 0.1 * (x.max(axis=(1, 2, 3)) - x.min(axis=(1, 2, 3)))
    noisy = x[:, None] + deviation.reshape(3, 1, 1, 1, 1) * drawn
    expected = [
        their_gradient(torch, theirs, noisy[n], [CLASSES[n]] * 5).mean(axis=0) for n in range(3)
    ]
    found = explain.smooth_grad(
        ours, x, CLASSES, rng=2, samples=5, noise=0.1, absolute=False, batch_size=4
    )
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-13)


def test_integrated_gradients(torch, models, x):
    theirs, ours = models
    points, weights = np.polynomial.legendre.leggauss(20)
    total = sum(
        weight / 2 * their_gradient(torch, theirs, x * (point + 1) / 2)
        for point, weight in zip(points, weights, strict=True)
    )
    found = explain.integrated_gradients(ours, x, CLASSES, steps=20, batch_size=7)
    np.testing.assert_allclose(found.attributions, x * total, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize(("layer", "size"), [("3", (6, 4)), ("7", (3, 2)), ("0", (12, 8))])
def test_grad_cam(torch, models, x, layer, size):
    theirs, ours = models
    kept = []
    theirs[int(layer)].register_forward_hook(lambda module, inputs, output: kept.append(output))
    t = torch.tensor(x.transpose(0, 3, 1, 2).copy())
    score = theirs(t)[torch.arange(3), torch.tensor(CLASSES)].sum()
    (gradient,) = torch.autograd.grad(score, kept[0])
    cam = (gradient.mean((2, 3), keepdim=True) * kept[0]).sum(1, keepdim=True).relu()
    assert tuple(cam.shape[2:]) == size
    large = torch.nn.functional.interpolate(cam, (12, 8), mode="bilinear")
    np.testing.assert_allclose(
        explain.grad_cam(ours, x, layer, CLASSES), large.detach().numpy()[:, 0], rtol=1e-9,
        atol=1e-13,
    )  # fmt: skip
    np.testing.assert_allclose(
        explain.grad_cam(ours, x, layer, CLASSES, upsample=False),
        cam.detach().numpy()[:, 0],
        rtol=1e-9,
        atol=1e-13,
    )


def test_feature_maps_and_filters(torch, models, x):
    theirs, ours = models
    with torch.no_grad():
        expected = theirs[:7](torch.tensor(x.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(
        explain.feature_maps(ours, x, "6"), expected.transpose(0, 2, 3, 1), rtol=1e-9, atol=1e-13
    )
    np.testing.assert_array_equal(
        explain.convolution_filters(ours, "4"),
        theirs[4].weight.detach().numpy().transpose(0, 2, 3, 1),
    )


def test_gradient_ascent(torch, models, x):
    """Three steps of PyTorch's on a filter, with both penalties and without normalisation."""
    theirs, ours = models
    t = torch.tensor(x[:1].transpose(0, 3, 1, 2).copy())
    values = []
    for _ in range(3):
        t = t.detach().requires_grad_()
        value = theirs[:7](t)[0, 4].mean()
        down = (t[:, :, 1:] - t[:, :, :-1]).abs().sum()
        right = (t[:, :, :, 1:] - t[:, :, :, :-1]).abs().sum()
        goal = value - 0.3 * (t * t).mean() - 0.7 * (down + right) / t.numel()
        (gradient,) = torch.autograd.grad(goal, t)
        values.append(value.item())
        t = t + 2.0 * gradient
    found = explain.gradient_ascent(
        ours, "6", 4, rng=0, start=x[0], noise=0, steps=3, step_size=2.0, normalize=False, l2=0.3,
        variation=0.7,
    )  # fmt: skip
    expected = t.detach().numpy().transpose(0, 2, 3, 1)[0]
    np.testing.assert_allclose(found.images[0, 0], expected, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(found.values[:3, 0, 0], values, rtol=1e-9)
