"""Gradient ascent: against steps by hand, a known summit, and difference quotients."""

from __future__ import annotations

import numpy as np
import pytest
from explained import CLASSES, SIZE, Seen, make_linear, score
from planted import planted

import minicnn
from minicnn import backend, explain, zoo
from minicnn.autograd import Tensor, gradcheck
from minicnn.errors import OptionError, ShapeError
from minicnn.explain import ascent
from minicnn.nn.module import Module

SHAPE = (SIZE, SIZE, 1)


def host(array):
    return backend.to_numpy(array)


@pytest.fixture
def weights(rng):
    return rng.standard_normal((*SHAPE, CLASSES))


@pytest.fixture
def linear(weights):
    return make_linear(weights)


# What rises.


@pytest.mark.parametrize(
    ("layer", "index", "position"),
    [
        ("conv", [0, 2], None),
        ("pool", 3, None),
        ("pool", [1, 2], (2, 0)),
        ("pool", None, None),
        ("scores", [0, 1, 2], None),
        (None, 1, None),
        (None, None, None),
    ],
)
def test_the_activation_of_a_filter_neuron_layer_or_class_rises(network, layer, index, position):
    found = explain.gradient_ascent(
        network, layer, index, rng=0, shape=SHAPE, position=position, noise=1.0, seeds=2, steps=15
    )
    goals = len(np.atleast_1d(0 if index is None else index))
    assert host(found.images).shape == (goals, 2, *SHAPE)
    assert found.values.shape == (16, goals, 2)
    assert (found.values[-1] > found.values[0] + 0.05).all()
    # The last values are the activations of the pictures that are given back.
    flat = found.images.reshape(-1, *SHAPE)
    outputs = host(explain.feature_maps(network, flat, layer or "scores"))
    outputs = outputs.reshape(goals, 2, *outputs.shape[1:])
    for goal, seed in np.ndindex(goals, 2):
        output = outputs[goal, seed]
        if index is not None:
            output = output[..., np.atleast_1d(index)[goal]]
        output = output[position] if position is not None else output.mean()
        np.testing.assert_allclose(found.values[-1, goal, seed], output, rtol=1e-9)


def test_a_class_rises_whose_probability_was_low(network, pictures):
    lowest = int(np.argmin([score(network, pictures[0], k) for k in range(CLASSES)]))
    found = explain.gradient_ascent(
        network, None, lowest, rng=0, start=pictures[0], noise=0, steps=40, step_size=0.1
    )
    scores = [score(network, host(found.images)[0, 0], k) for k in range(CLASSES)]
    assert int(np.argmax(scores)) == lowest


# How it steps.


def test_a_step_follows_the_normalised_gradient(linear, weights, rng):
    start = rng.standard_normal(SHAPE)
    found = explain.gradient_ascent(
        linear, None, [2, 0], rng=0, start=start, noise=0, steps=3, step_size=0.1
    )
    for goal, k in enumerate((2, 0)):
        direction = weights[..., k] / np.sqrt(np.mean(weights[..., k] ** 2))
        np.testing.assert_allclose(
            host(found.images)[goal, 0], start + 3 * 0.1 * direction, rtol=1e-10
        )
        before = score(linear, start, k)
        np.testing.assert_allclose(found.values[0, goal, 0], before, rtol=1e-10)


@pytest.mark.parametrize("clip_norm", [0.5, 1e6])
@pytest.mark.parametrize("normalize", [True, False])
def test_the_gradient_is_shortened_to_the_norm_if_it_is_longer(
    linear, weights, clip_norm, normalize
):
    found = explain.gradient_ascent(
        linear, None, 1, rng=0, start=np.zeros(SHAPE), noise=0, steps=1, step_size=2.0,
        normalize=normalize, clip_norm=clip_norm,
    )  # fmt: skip
    gradient = weights[..., 1]
    if normalize:
        gradient = gradient / np.sqrt(np.mean(gradient**2))
    length = np.sqrt((gradient**2).sum())
    expected = 2 * gradient * min(1, clip_norm / length)
    np.testing.assert_allclose(host(found.images)[0, 0], expected, rtol=1e-10)


def test_with_a_penalty_on_the_square_the_summit_is_known(linear, weights):
    """W x - l2 mean(x^2) is highest at w n / (2 l2)."""
    found = explain.gradient_ascent(
        linear, None, 2, rng=0, shape=SHAPE, steps=400, step_size=0.8, normalize=False, l2=8.0
    )
    summit = weights[..., 2] * (SIZE * SIZE) / (2 * 8.0)
    np.testing.assert_allclose(host(found.images)[0, 0], summit, rtol=1e-6, atol=1e-6)


class Nothing(Module):
    """A class whose score no pixel moves."""

    def forward(self, x):
        return (x * 0).sum(axis=(2, 3))


def test_without_anything_to_gain_the_picture_stays_as_it_is(rng):
    start = rng.standard_normal(SHAPE)
    for normalize in (True, False):
        found = explain.gradient_ascent(
            Nothing(), None, 1, rng=0, start=start, noise=0, steps=3, normalize=normalize
        )
        np.testing.assert_array_equal(host(found.images)[0, 0], start)


def test_a_penalty_alone_pulls_the_picture_down(rng):
    start = rng.standard_normal(SHAPE)
    options = {"rng": 0, "start": start, "noise": 0, "normalize": False}
    square = explain.gradient_ascent(
        Nothing(), None, 1, **options, steps=1, step_size=1.0, l2=3.0
    ).images
    np.testing.assert_allclose(host(square)[0, 0], start - 3.0 * 2 * start / start.size)
    smooth = explain.gradient_ascent(
        Nothing(), None, 1, **options, steps=50, step_size=0.05, variation=2.0
    ).images
    assert variation_by_hand(host(smooth)[0, 0]) < 0.7 * variation_by_hand(start)


# The penalties.


def variation_by_hand(image):
    h, w, c = image.shape
    total = 0.0
    for i, j, k in np.ndindex(h, w, c):
        if i + 1 < h:
            total += abs(image[i + 1, j, k] - image[i, j, k])
        if j + 1 < w:
            total += abs(image[i, j + 1, k] - image[i, j, k])
    return total / (h * w * c)


def test_total_variation_is_that_of_a_loop_and_its_gradient_that_of_quotients(rng):
    x = rng.standard_normal((3, 4, 5, 2))
    found = explain.total_variation(Tensor(backend.asarray(x))).numpy()
    np.testing.assert_allclose(found, [variation_by_hand(image) for image in x], rtol=1e-12)
    assert gradcheck(explain.total_variation, [minicnn.tensor(x, requires_grad=True)])


def test_the_step_against_both_penalties_is_that_of_quotients(rng):
    start = rng.standard_normal(SHAPE)

    def penalty(image):
        return 1.5 * np.mean(image**2) + 2.5 * variation_by_hand(image)

    found = explain.gradient_ascent(
        Nothing(), None, 0, rng=0, start=start, noise=0, steps=1, step_size=1.0, normalize=False,
        l2=1.5, variation=2.5,
    )  # fmt: skip
    change = host(found.images)[0, 0] - start
    for place in np.ndindex(*SHAPE):
        moved = np.zeros(SHAPE)
        moved[place] = 1e-6
        quotient = (penalty(start + moved) - penalty(start - moved)) / 2e-6
        np.testing.assert_allclose(change[place], -quotient, atol=1e-8)


# Beginnings, noise and jitter.


def test_it_begins_with_noise_with_a_picture_or_with_both(network, rng):
    still = {"steps": 1, "step_size": 0}
    noise = host(explain.gradient_ascent(
        network, "conv", [0, 1], rng=7, shape=SHAPE, noise=0.3, seeds=3, **still
    ).images)  # fmt: skip
    drawn = np.random.default_rng(7).standard_normal((2, 3, *SHAPE))
    np.testing.assert_allclose(noise, 0.3 * drawn, rtol=1e-12)
    start = rng.standard_normal((3, *SHAPE))
    both = explain.gradient_ascent(
        network, "conv", [0, 1], rng=7, start=start, noise=0.3, seeds=3, **still
    ).images
    np.testing.assert_allclose(host(both), start + 0.3 * drawn, rtol=1e-12)
    alone = explain.gradient_ascent(
        network, "conv", 0, rng=7, start=backend.asarray(start[0]), noise=0, **still
    ).images
    np.testing.assert_allclose(host(alone)[0, 0], start[0], rtol=1e-12)


def test_with_jitter_the_gradient_comes_back_to_where_it_belongs(linear, weights, rng):
    """Of a linear score, a step adds the weights, moved back by what the picture was moved."""
    start, reach = rng.standard_normal(SHAPE), range(-2, 3)
    found = explain.gradient_ascent(
        linear, None, 1, rng=5, start=start, noise=0, steps=1, step_size=1.0,
        normalize=False, jitter=2, seeds=6,
    )  # fmt: skip
    shifts = [(down, right) for down in reach for right in reach]
    scores = np.array([score(linear, np.roll(start, each, axis=(0, 1)), 1) for each in shifts])
    taken = set()
    for image, value in zip(host(found.images)[0], found.values[0, 0], strict=True):
        nearest = int(np.abs(scores - value).argmin())
        assert abs(scores[nearest] - value) < 1e-9
        down, right = shifts[nearest]
        back = np.roll(weights[..., 1], (-down, -right), axis=(0, 1))
        np.testing.assert_allclose(image - start, back, atol=1e-12)
        taken.add(nearest)
    assert len(taken) > 2
    assert any(shifts[each][0] != shifts[each][1] for each in taken)


def test_equal_seeds_give_equal_pictures_and_others_do_not(network):
    options = {"shape": SHAPE, "steps": 3, "jitter": 1}
    a, b, c = (
        host(explain.gradient_ascent(network, "pool", 0, rng=seed, **options).images)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(a, b)
    assert not np.allclose(a, c)


def test_the_model_sees_a_chunk_at_a_time_and_the_pictures_are_the_same(network):
    options = {"rng": 3, "shape": SHAPE, "seeds": 2, "steps": 4, "jitter": 2}
    whole = explain.gradient_ascent(network, "pool", [0, 1, 2], **options)
    seen = Seen(network.conv)
    chunked = explain.gradient_ascent(network, "pool", [0, 1, 2], batch_size=4, **options)
    assert seen == [4] * 5 + [2] * 5
    np.testing.assert_allclose(host(chunked.images), host(whole.images), rtol=1e-9)
    np.testing.assert_allclose(chunked.values, whole.values, rtol=1e-9)


def test_a_network_of_the_zoo_knows_the_shape_and_its_type_is_kept():
    network = zoo.build("plain_dnn", num_classes=3, input_shape=(8, 8, 1))
    found = explain.gradient_ascent(network, None, 2, rng=0, steps=1)
    assert found.images.shape == (1, 1, 8, 8, 1)
    assert found.images.dtype == np.float32
    assert found.values.dtype == np.float32


@pytest.mark.parametrize(
    ("arguments", "options", "error", "match"),
    [
        (("conv", 4), {}, OptionError, "layer conv has 4 filters.* no 4"),
        ((None, 3), {}, OptionError, "the model's output has 3 filters, features or classes"),
        (("conv", -1), {}, OptionError, "0 or more, or None, got -1"),
        (("conv", 0.5), {}, OptionError, "0 or more, or None"),
        (("conv", []), {}, OptionError, "0 or more, or None"),
        (("conv", np.array([], int)), {}, OptionError, "0 or more, or None"),
        (("pool", 0), {"position": (3, 0)}, ShapeError, r"maps of 3x3, so there is no \(3, 0\)"),
        (("scores", 0), {"position": (0, 0)}, ShapeError, "a position needs maps"),
        (("pool", None), {"position": (0, 0)}, ShapeError, "the index of a filter"),
        (("conv", 0), {"shape": None}, OptionError, "give a start, or the shape"),
        (("conv", 0), {"start": np.zeros((2, *SHAPE))}, ShapeError, "each of 1 seeds"),
        (("conv", 0), {"start": np.zeros((6, 6))}, ShapeError, r"\(H, W, C\)"),
        (("conv", 0), {"steps": 0}, OptionError, "steps"),
        (("conv", 0), {"seeds": 0}, OptionError, "seeds"),
        (("conv", 0), {"jitter": 1.5}, OptionError, "jitter"),
        (("conv", 0), {"jitter": -1}, OptionError, "jitter"),
        (("conv", 0), {"noise": -0.1}, OptionError, "noise"),
        (("conv", 0), {"l2": -1}, OptionError, "l2"),
        (("conv", 0), {"variation": np.nan}, OptionError, "variation"),
        (("conv", 0), {"clip_norm": -1}, OptionError, "clip_norm"),
    ],
)
def test_what_cannot_be_climbed_is_refused(network, arguments, options, error, match):
    with pytest.raises(error, match=match):
        explain.gradient_ascent(network, *arguments, **{"rng": 0, "shape": SHAPE, **options})


# Faults that the tests above must find.


JITTER = ("linear", "weights", "rng")


@pytest.mark.host
@pytest.mark.parametrize(
    ("name", "right", "wrong", "test", "given"),
    [
        ("_climb", "-shift", "shift", "jitter", JITTER),
        ("_climb", "pictures + step", "pictures - step", "normalised", JITTER),
        ("total_variation", "(down + right)", "down", "total_variation", ("rng",)),
        ("_moved", "np.arange(h) - shift[:, :1]", "np.arange(h) - shift[:, 1:]", "jitter",
         JITTER),
    ],
)  # fmt: skip
def test_planted_faults_are_found(name, right, wrong, test, given, monkeypatch, request):
    tests = {
        "jitter": test_with_jitter_the_gradient_comes_back_to_where_it_belongs,
        "normalised": test_a_step_follows_the_normalised_gradient,
        "total_variation": (
            test_total_variation_is_that_of_a_loop_and_its_gradient_that_of_quotients
        ),
    }
    monkeypatch.setattr(ascent, name, planted(getattr(ascent, name), right, wrong))
    monkeypatch.setattr(explain, "total_variation", ascent.total_variation)
    with pytest.raises(AssertionError):
        tests[test](*[request.getfixturevalue(each) for each in given])
