"""Grad-CAM: by hand on a network with a linear head, and its parts against loops."""

from __future__ import annotations

import numpy as np
import pytest
from explained import CLASSES, SIZE, Seen, put
from planted import planted

from minicnn import backend, explain
from minicnn.autograd import Tensor
from minicnn.errors import OptionError, ShapeError
from minicnn.explain import cam, resampling
from minicnn.explain.resampling import blur, enlarge
from minicnn.nn.activation import ReLU
from minicnn.nn.committee import Committee
from minicnn.nn.containers import Sequential
from minicnn.nn.conv import Conv2d
from minicnn.nn.linear import Linear
from minicnn.nn.module import Module
from minicnn.nn.pool import GlobalAvgPool2d, MaxPool2d
from minicnn.nn.residual import Residual
from minicnn.nn.shape import Flatten


def host(array):
    return backend.to_numpy(array)


@pytest.fixture
def with_linear_head(rng):
    """Return maps, their means and a linear layer: there Grad-CAM is CAM (Zhou et al., 2016)."""
    return Sequential(
        maps=Sequential(conv=Conv2d(1, 4, 3, padding=1, rng=rng), relu=ReLU(), pool=MaxPool2d(2)),
        mean=GlobalAvgPool2d(),
        flat=Flatten(),
        scores=Linear(4, CLASSES, rng=rng),
    ).to("float64")


def test_with_a_linear_head_it_is_the_maps_weighted_by_the_head(with_linear_head, images):
    model = with_linear_head
    maps = host(explain.feature_maps(model, images, "maps.pool"))
    weights = model.scores.weight.numpy()  # (4, classes)
    expected = (maps * weights[:, 2]).sum(axis=3) / (3 * 3)  # d mean / d map is 1 / (h w)
    found = explain.grad_cam(model, images, "maps.pool", 2, relu=False, upsample=False)
    np.testing.assert_allclose(host(found), expected, rtol=1e-10)
    assert (expected < 0).any()
    positive = explain.grad_cam(model, images, "maps.pool", 2, upsample=False)
    np.testing.assert_allclose(host(positive), np.maximum(expected, 0), rtol=1e-10)


def test_a_filter_that_alone_speaks_for_a_class_shows_where_it_answers(rng):
    model = Sequential(
        conv=Conv2d(1, 2, 1, bias=False), mean=GlobalAvgPool2d(), flat=Flatten(), out=Linear(2, 2)
    ).to("float64")
    put(model.conv.weight, np.array([1.0, 0.0]).reshape(1, 1, 1, 2))
    put(model.out.weight, np.eye(2))
    x = rng.uniform(0, 1, (1, 4, 4, 1))
    cam_ = host(explain.grad_cam(model, backend.asarray(x), target=0))
    np.testing.assert_allclose(cam_[0], x[0, :, :, 0] / 16, rtol=1e-12)
    assert not host(explain.grad_cam(model, backend.asarray(x), target=1)).any()


def test_the_last_convolution_is_taken_unless_another_layer_is_named(with_linear_head, images):
    np.testing.assert_array_equal(
        host(explain.grad_cam(with_linear_head, images)),
        host(explain.grad_cam(with_linear_head, images, "maps.conv")),
    )


def test_the_map_has_the_size_of_the_images(with_linear_head, images):
    found = host(explain.grad_cam(with_linear_head, images, "maps.pool", 2, relu=False))
    small = host(
        explain.grad_cam(with_linear_head, images, "maps.pool", 2, relu=False, upsample=False)
    )
    assert found.shape == (5, SIZE, SIZE)
    for large, map_ in zip(found, small, strict=True):
        np.testing.assert_allclose(large, enlarged(map_, (SIZE, SIZE)), rtol=1e-10)


def test_the_model_sees_a_chunk_at_a_time_and_the_numbers_are_the_same(network, images):
    whole = host(explain.grad_cam(network, images))
    seen = Seen(network)
    found = host(explain.grad_cam(network, images, batch_size=2))
    assert seen == [2, 2, 1] * 2  # once for the classes, once for the maps
    np.testing.assert_allclose(found, whole, rtol=1e-10, atol=1e-14)


def test_layers_without_maps_are_refused(network, images):
    with pytest.raises(ShapeError, match=r"layer flat gives the shape \(5, 36\).*\(N, h, w, c\)"):
        explain.grad_cam(network, images, "flat")
    dense = Sequential(Flatten(), Linear(36, 2)).to("float64")
    with pytest.raises(OptionError, match="layer: Sequential has no convolution to take"):
        explain.grad_cam(dense, images)
    which = "layer: member 1 of the committee, a Sequential has no convolution to take"
    with pytest.raises(OptionError, match=which):
        explain.grad_cam(Committee([network, dense]), images)


# Enlarging and blurring.


def enlarged(map_, size):
    """Bilinear interpolation by loops; the centre of pixel i lies at i + 0.5."""
    result = np.empty(size)
    h, w = map_.shape
    for i, j in np.ndindex(*size):
        y = min(max((i + 0.5) * h / size[0] - 0.5, 0), h - 1)
        x = min(max((j + 0.5) * w / size[1] - 0.5, 0), w - 1)
        top, left = int(y), int(x)
        bottom, right = min(top + 1, h - 1), min(left + 1, w - 1)
        upper = map_[top, left] * (1 - (x - left)) + map_[top, right] * (x - left)
        lower = map_[bottom, left] * (1 - (x - left)) + map_[bottom, right] * (x - left)
        result[i, j] = upper * (1 - (y - top)) + lower * (y - top)
    return result


@pytest.mark.parametrize("size", [(6, 6), (7, 5), (3, 4), (12, 2), (2, 3)])
def test_enlarging_is_bilinear_by_loops(rng, size):
    maps = rng.standard_normal((2, 3, 4))
    found = host(enlarge(backend.asarray(maps), size))
    for large, map_ in zip(found, maps, strict=True):
        np.testing.assert_allclose(large, enlarged(map_, size), atol=1e-14)


def test_a_committee_has_the_maps_of_all_its_members(with_linear_head, images, rng):
    # Its score is the log of a mean of probabilities, log((p + q) / 2): a member's share of the
    # gradient is p / (p + q) times the gradient of its log p.
    other = Sequential(
        maps=Conv2d(1, 3, 3, padding=1, rng=rng),
        mean=GlobalAvgPool2d(),
        scores=Linear(3, CLASSES, rng=rng),
    ).to("float64")
    members = [with_linear_head, other]
    whole = Committee(members)
    size: dict = {"relu": False, "upsample": False}
    found = host(explain.grad_cam(whole, images, None, 1, **size))
    logs = [Committee([member]).eval() for member in members]  # log p of each
    chances = np.stack([np.exp(each(Tensor(images)).numpy()[:, 1]) for each in logs])
    shares = chances / chances.sum(axis=0)
    expected = sum(
        share[:, None, None] * host(explain.grad_cam(each, images, None, 1, **size))
        for share, each in zip(shares, logs, strict=True)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    assert np.abs(found - host(explain.grad_cam(logs[0], images, None, 1, **size))).max() > 1e-3


def test_members_with_maps_of_different_sizes_have_no_common_ones(images):
    members = [
        Sequential(Conv2d(1, 2, kernel, rng=0), GlobalAvgPool2d()).to("float64")
        for kernel in (3, 5)
    ]
    with pytest.raises(ShapeError, match=r"members\.0\.0 and members\.1\.0 give pictures of diff"):
        explain.grad_cam(Committee(members), images)


def test_layers_of_which_one_follows_from_the_other_are_refused(with_linear_head, images):
    after = r"layer: maps\.relu comes after maps\.conv, and"
    with pytest.raises(OptionError, match=after):
        explain.grad_cam(with_linear_head, images, "maps.conv+maps.relu")
    # Also where something else leads around the second one, so that the first has a gradient.
    around = Sequential(
        first=Conv2d(1, 2, 3, padding=1, rng=0),
        block=Residual(Conv2d(2, 2, 3, padding=1, rng=1)),
        mean=GlobalAvgPool2d(),
    ).to("float64")
    for layer in ("first+block.body", "block.body+first"):
        with pytest.raises(OptionError, match=r"layer: block\.body comes after first, and"):
            explain.grad_cam(around, images, layer)


def test_a_layer_may_have_a_gradient_of_its_own(with_linear_head, images):
    class Weighted(Module):
        def __init__(self):
            super().__init__()
            self.held = [Tensor(backend.asarray(np.ones(1)), requires_grad=True)]  # not frozen

        def forward(self, x):
            return x * self.held[0]

    expected = explain.grad_cam(with_linear_head, images, "maps.pool")
    head = with_linear_head.maps
    head.append(Weighted())
    found = explain.grad_cam(with_linear_head, images, f"maps.{len(head) - 1}")
    np.testing.assert_allclose(host(found), host(expected))


def test_enlarging_keeps_a_constant_map_and_a_single_number(rng):
    maps = np.full((1, 1, 1), 3.0)
    np.testing.assert_allclose(host(enlarge(backend.asarray(maps), (4, 5))), np.full((1, 4, 5), 3))


def test_blurring_weighs_neighbours_by_a_gaussian(rng):
    images = rng.standard_normal((2, 5, 6, 2))
    found = host(blur(backend.asarray(images), 1.3))
    for n, i, j, c in np.ndindex(*images.shape):
        y, x = np.mgrid[:5, :6]
        weights = np.exp(-((y - i) ** 2 + (x - j) ** 2) / (2 * 1.3**2))
        expected = (weights * images[n, :, :, c]).sum() / weights.sum()
        np.testing.assert_allclose(found[n, i, j, c], expected, rtol=1e-10)


# Faults that the tests above must find.


@pytest.mark.host
@pytest.mark.parametrize(
    ("module", "name", "right", "wrong", "test"),
    [
        (cam, "_weighted", ".mean(axis=(1, 2)", ".sum(axis=(1, 2)", "head"),
        (cam, "grad_cam", "xp.maximum(cams, 0)", "cams", "head"),
        (cam, "_weighted", "(weights * maps.data)", "maps.data", "head"),
        (resampling, "_interpolation", "+ 0.5) * before / after - 0.5", ") * before / after",
         "loops"),
        (resampling, "_gaussian", "-0.5 *", "-1.0 *", "blur"),
    ],
)  # fmt: skip
def test_planted_faults_are_found(module, name, right, wrong, test, monkeypatch, rng, request):
    faulty = planted(getattr(module, name), right, wrong)
    monkeypatch.setattr(module, name, faulty)
    if name == "grad_cam":
        monkeypatch.setattr(explain, name, faulty)
    tests = {
        "head": lambda: test_with_a_linear_head_it_is_the_maps_weighted_by_the_head(
            request.getfixturevalue("with_linear_head"), request.getfixturevalue("images")
        ),
        "loops": lambda: test_enlarging_is_bilinear_by_loops(rng, (6, 6)),
        "blur": lambda: test_blurring_weighs_neighbours_by_a_gaussian(rng),
    }
    with pytest.raises(AssertionError):
        tests[test]()
