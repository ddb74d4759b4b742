"""Explanations by gradients, against difference quotients, loops, axioms and hand-made networks."""

from __future__ import annotations

import numpy as np
import pytest
from explained import CLASSES, SIZE, Seen, make_linear, make_network, put, score
from planted import planted

from minicnn import backend, explain, ops
from minicnn.errors import DTypeError, OptionError, ShapeError
from minicnn.explain import gradients
from minicnn.nn.activation import LeakyReLU, ReLU, Tanh
from minicnn.nn.containers import Sequential
from minicnn.nn.linear import Linear
from minicnn.nn.module import Module
from minicnn.nn.pool import GlobalAvgPool2d
from minicnn.nn.shape import Flatten

PIXEL = (2, 3, 0)


def host(array):
    return backend.to_numpy(array)


def quotients(model, image, target, step=1e-6):
    """Return the gradient of a score by central difference quotients, pixel by pixel."""
    found = np.empty_like(image)
    for place in np.ndindex(*image.shape):
        moved = np.zeros_like(image)
        moved[place] = step
        found[place] = (
            score(model, image + moved, target) - score(model, image - moved, target)
        ) / (2 * step)
    return found


# Saliency.


def test_saliency_is_the_gradient_by_difference_quotients(smooth_network, pictures, images):
    found = host(explain.saliency(smooth_network, images, [0, 1, 2, 0, 1], absolute=False))
    for image, gradient, target in zip(pictures, found, [0, 1, 2, 0, 1], strict=True):
        np.testing.assert_allclose(gradient, quotients(smooth_network, image, target), atol=1e-7)


def test_saliency_is_absolute_unless_asked_otherwise(network, images):
    signed = host(explain.saliency(network, images, 1, absolute=False))
    assert (signed < 0).any()
    np.testing.assert_array_equal(host(explain.saliency(network, images, 1)), np.abs(signed))


def test_without_a_target_the_class_with_the_highest_score_is_explained(network, pictures, images):
    best = [np.argmax([score(network, image, k) for k in range(CLASSES)]) for image in pictures]
    assert len(set(best)) > 1
    np.testing.assert_array_equal(
        host(explain.saliency(network, images)), host(explain.saliency(network, images, best))
    )


@pytest.mark.parametrize("target", [1, np.int64(1), [1] * 5, np.full(5, 1)])
def test_a_target_is_one_class_or_one_for_each_image(network, images, target):
    expected = host(explain.saliency(network, images, [1, 1, 1, 1, 1]))
    np.testing.assert_array_equal(host(explain.saliency(network, images, target)), expected)


def test_targets_may_live_where_the_images_do(network, images):
    target = backend.asarray(np.array([0, 1, 2, 0, 1]))
    expected = host(explain.saliency(network, images, [0, 1, 2, 0, 1]))
    np.testing.assert_array_equal(host(explain.saliency(network, images, target)), expected)


@pytest.mark.parametrize(
    ("target", "error", "match"),
    [
        (3, OptionError, "no class 3; the model gives 3 scores, 0 to 2"),
        (-1, OptionError, "0 or more"),
        (0.5, OptionError, "0 or more"),
        ([0, 1], ShapeError, r"each of 5 images, got shape \(2,\)"),
    ],
)
def test_targets_that_do_not_exist_are_refused(network, images, target, error, match):
    with pytest.raises(error, match=match):
        explain.saliency(network, images, target)


def test_images_that_are_none_are_refused(network, pictures):
    with pytest.raises(DTypeError, match="uint8; normalise"):
        explain.saliency(network, backend.asarray(pictures.astype(np.uint8)))
    with pytest.raises(DTypeError, match="list"):
        explain.saliency(network, pictures.tolist())
    with pytest.raises(ShapeError, match=r"image\[None\]"):
        explain.saliency(network, backend.asarray(pictures[0]))
    with pytest.raises(ShapeError, match="none of them 0"):
        explain.saliency(network, backend.asarray(pictures[:0]))


def test_a_model_that_gives_no_scores_is_refused(images):
    with pytest.raises(ShapeError, match=r"scores \(N, K\), got \(5, 6, 6, 1\)"):
        explain.saliency(ReLU(), images)
    with pytest.raises(OptionError, match=r"minicnn\.nn\.Module, got ReLU"):
        explain.saliency(ReLU, images)


# Gradient times input.


def test_of_a_linear_model_the_attributions_are_the_pixels_shares_of_the_score(
    rng, pictures, images
):
    weights = rng.standard_normal((SIZE, SIZE, 1, CLASSES))
    found = host(explain.input_x_gradient(make_linear(weights), images, 2))
    np.testing.assert_allclose(found, pictures * weights[..., 2], rtol=1e-12)


# Guided backpropagation.


class ByHand(Module):
    """relu(x @ a) @ b by a module, for hand-made arrays."""

    def __init__(self, activation, a, b):
        self.layers = Sequential(Flatten(), Linear(2, 3, bias=False), activation, Linear(3, 1))
        self.layers.to("float64")
        put(self.layers[1].weight, a)
        put(self.layers[3].weight, b)

    def forward(self, x):
        return self.layers(x)


A = np.array([[1.0, -1.0, 2.0], [1.0, 1.0, 1.0]])
B = np.array([[3.0], [5.0], [-7.0]])
X = np.array([2.0, 1.0]).reshape(1, 1, 2, 1)  # x @ A = (3, -1, 5)


@pytest.mark.parametrize(
    ("activation", "plain", "guided"),
    [
        # Of the hidden gradients (3, 5, -7) the ReLU passes the first and the third, ...
        (ReLU(), A @ [3, 0, -7], A @ [3, 0, 0]),  # ... guided only the first, which is positive.
        (LeakyReLU(0.5), A @ [3, 2.5, -7], A @ [3, 2.5, 0]),
    ],
)
def test_guided_backpropagation_by_hand(activation, plain, guided):
    model, x = ByHand(activation, A, B), backend.asarray(X)
    np.testing.assert_allclose(host(explain.saliency(model, x, 0, absolute=False)).ravel(), plain)
    np.testing.assert_allclose(host(explain.guided_backprop(model, x, 0)).ravel(), guided)
    # Nothing of it stays behind.
    np.testing.assert_allclose(host(explain.saliency(model, x, 0, absolute=False)).ravel(), plain)


def test_where_all_gradients_are_positive_guidance_changes_nothing(rng):
    model = ByHand(ReLU(), rng.uniform(0.1, 1, (2, 3)), rng.uniform(0.1, 1, (3, 1)))
    x = backend.asarray(X)
    np.testing.assert_array_equal(
        host(explain.guided_backprop(model, x, 0)), host(explain.saliency(model, x, 0))
    )


def test_guidance_reaches_every_call_of_a_module_and_nested_ones(rng):
    relu = ReLU()

    class Twice(Module):
        def __init__(self):
            self.relu = relu
            self.inner = Sequential(relu, Linear(4, 4, rng=rng), relu, Linear(4, 2, rng=rng))

        def forward(self, x):
            return self.inner(self.relu(x.reshape(len(x), -1) - 0.1))

    class Separate(Module):
        def __init__(self, twice):
            self.layers = Sequential(ReLU(), ReLU(), twice.inner[1], ReLU(), twice.inner[3])

        def forward(self, x):
            return self.layers(x.reshape(len(x), -1) - 0.1)

    twice = Twice().to("float64")
    x = backend.asarray(rng.standard_normal((6, 2, 2, 1)))
    np.testing.assert_array_equal(
        host(explain.guided_backprop(twice, x, 1)),
        host(explain.guided_backprop(Separate(twice), x, 1)),
    )


def test_a_model_without_rectifiers_cannot_be_guided(smooth_network, images):
    with pytest.raises(OptionError, match=r"no ReLU or LeakyReLU module.*use saliency"):
        explain.guided_backprop(smooth_network, images)


# SmoothGrad.


def test_smoothgrad_is_the_mean_over_noisy_copies(smooth_network, pictures, images):
    found = host(
        explain.smooth_grad(
            smooth_network, images, [0, 1, 2, 0, 1], rng=3, samples=4, noise=0.2, absolute=False
        )
    )
    drawn = np.random.default_rng(3).standard_normal((5, 4, SIZE, SIZE, 1))
    for n, (image, target) in enumerate(zip(pictures[:2], [0, 1], strict=True)):
        deviation = 0.2 * (image.max() - image.min())
        noisy = [quotients(smooth_network, image + deviation * z, target) for z in drawn[n]]
        np.testing.assert_allclose(found[n], np.mean(noisy, axis=0), atol=1e-7)


def test_smoothgrad_without_noise_and_of_a_linear_model_is_the_gradient(rng, network, images):
    plain = host(explain.saliency(network, images))
    smooth = host(explain.smooth_grad(network, images, rng=rng, samples=3, noise=0))
    np.testing.assert_allclose(smooth, plain, rtol=1e-12, atol=1e-15)
    weights = rng.standard_normal((SIZE, SIZE, 1, CLASSES))
    smooth = host(explain.smooth_grad(make_linear(weights), images, 1, rng=rng, samples=3))
    np.testing.assert_allclose(smooth, np.abs(np.broadcast_to(weights[..., 1], smooth.shape)))


def test_smoothgrad_asks_for_the_class_of_the_clean_image(images):
    network = make_network()
    options = {"rng": 0, "samples": 20, "noise": 2.0}
    clean = explain.smooth_grad(network, images, **options)
    from minicnn.autograd import Tensor

    best = network.eval()(Tensor(images)).numpy().argmax(axis=1)
    np.testing.assert_array_equal(
        host(clean), host(explain.smooth_grad(network, images, best, **options))
    )


def test_equal_seeds_give_equal_maps_and_others_do_not(network, images):
    a, b, c = (
        host(explain.smooth_grad(network, images, rng=seed, samples=2)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(a, b)
    assert not np.allclose(a, c)


# Integrated gradients.


def test_attributions_add_up_to_the_difference_of_the_scores(smooth_network, pictures, images, rng):
    baseline = rng.standard_normal((SIZE, SIZE, 1))
    found, error = explain.integrated_gradients(smooth_network, images, 1, baselines=baseline)
    risen = [score(smooth_network, x, 1) - score(smooth_network, baseline, 1) for x in pictures]
    np.testing.assert_allclose(host(found).sum(axis=(1, 2, 3)), risen, atol=1e-7)
    assert np.abs(error).max() < 1e-7


def test_the_completeness_error_is_what_is_missing(smooth_network, pictures, images):
    found, error = explain.integrated_gradients(smooth_network, images, 0, steps=1)
    zero = np.zeros_like(pictures[0])
    risen = [score(smooth_network, x, 0) - score(smooth_network, zero, 0) for x in pictures]
    np.testing.assert_allclose(error, host(found).sum(axis=(1, 2, 3)) - risen, atol=1e-12)
    assert np.abs(error).max() > 1e-3
    finer = explain.integrated_gradients(smooth_network, images, 0, steps=8).completeness_error
    assert np.abs(finer).max() < np.abs(error).max() / 10


def test_attributions_are_the_integral_by_a_fine_sum(smooth_network, pictures, images):
    found = host(explain.integrated_gradients(smooth_network, images[:1], 2).attributions)[0]
    points = (np.arange(200) + 0.5) / 200
    gradients_there = explain.saliency(
        smooth_network,
        backend.asarray(points[:, None, None, None] * pictures[0]),
        2,
        absolute=False,
    )
    expected = pictures[0] * host(gradients_there).mean(axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


class Symmetric(Module):
    """A score in which two pixels may be swapped, and another pixel plays no role."""

    def forward(self, x):
        a, b, c = x[:, 0, 0, 0], x[:, 1, 2, 0], x[:, 3, 3, 0]
        result = ops.tanh(a * b) * c + (a + b) ** 2
        return ops.stack([result, -result], 1)


def test_symmetric_pixels_get_equal_and_idle_pixels_no_attributions(pictures):
    pictures[:, 1, 2] = pictures[:, 0, 0]
    found = explain.integrated_gradients(Symmetric(), backend.asarray(pictures), 0).attributions
    found = host(found)[..., 0]
    np.testing.assert_allclose(found[:, 0, 0], found[:, 1, 2], rtol=1e-12)
    assert (np.abs(found[:, 0, 0]) > 1e-4).all()
    idle = np.ones((SIZE, SIZE), bool)
    idle[[0, 1, 3], [0, 2, 3]] = False
    assert not found[:, idle].any()


class MeanTwice(Module):
    """The mean over all pixels and its square: written out, in place of a pooling layer."""

    def forward(self, x):
        mean = x.sum(axis=(1, 2, 3)) / (SIZE * SIZE)
        return ops.stack([mean, mean * mean], 1)


class MeanByPooling(Module):
    def __init__(self):
        self.pool = GlobalAvgPool2d()

    def forward(self, x):
        mean = self.pool(x).reshape(len(x), 1)
        return ops.concatenate([mean, mean**2], 1)


@pytest.mark.parametrize(
    "method",
    [
        explain.saliency,
        explain.input_x_gradient,
        lambda *inputs: explain.smooth_grad(*inputs, rng=0, samples=3),
        lambda *inputs: explain.integrated_gradients(*inputs)[0],
    ],
)
@pytest.mark.parametrize("target", [0, 1])
def test_two_implementations_of_one_function_get_equal_maps(images, method, target):
    np.testing.assert_allclose(
        host(method(MeanTwice(), images, target)),
        host(method(MeanByPooling(), images, target)),
        rtol=1e-12,
        atol=1e-15,
    )


def test_baselines_are_a_number_an_image_or_one_for_each(network, images):
    number = host(explain.integrated_gradients(network, images, 0, baselines=0.5).attributions)
    for shape in ((SIZE, SIZE, 1), (5, SIZE, SIZE, 1)):
        array = backend.asarray(np.full(shape, 0.5))
        found = explain.integrated_gradients(network, images, 0, baselines=array).attributions
        np.testing.assert_array_equal(host(found), number)
    with pytest.raises(ShapeError, match=r"baselines of shape \(4, 1, 1, 1\) does not fit"):
        explain.integrated_gradients(network, images, baselines=np.zeros((4, 1, 1, 1)))


# What all have in common.

METHODS = {
    "saliency": lambda *inputs, **options: explain.saliency(*inputs, **options),
    "input_x_gradient": explain.input_x_gradient,
    "guided_backprop": explain.guided_backprop,
    "smooth_grad": lambda *i, **o: explain.smooth_grad(*i, rng=4, samples=3, **o),
    "integrated": lambda *i, **o: explain.integrated_gradients(*i, steps=4, **o)[0],
}
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


@each_method
def test_an_important_pixel_is_found(method):
    """Of two classes, one hangs on a single pixel, through a ReLU."""

    class OnePixel(Module):
        def __init__(self):
            self.relu = ReLU()

        def forward(self, x):
            return ops.stack([self.relu(x[:, 2, 3, 0]), x.mean(axis=(1, 2, 3))], 1)

    x = np.random.default_rng(0).uniform(0.5, 1, (3, SIZE, SIZE, 1))
    maps = host(method(OnePixel(), backend.asarray(x), 0))
    assert (np.abs(maps[:, 2, 3, 0]) > 0.4).all()
    maps[:, 2, 3] = 0
    assert not maps.any()


@each_method
def test_the_model_sees_a_chunk_at_a_time_and_the_numbers_are_the_same(method, network, images):
    whole = host(method(network, images, [0, 1, 2, 0, 1]))
    seen = Seen(network)
    chunked = host(method(network, images, [0, 1, 2, 0, 1], batch_size=2))
    np.testing.assert_allclose(chunked, whole, rtol=1e-10, atol=1e-14)
    assert max(seen) == 2
    assert min(seen[:-1]) >= 1


def test_the_number_of_calls_is_that_of_the_chunks(network, images):
    for method, variants, scored in ((METHODS["smooth_grad"], 3, 0), (METHODS["integrated"], 4, 2)):
        seen = Seen(network)
        method(network, images, 0, batch_size=4)
        assert len(seen) == -(-5 * variants // 4) + scored * 2
        assert sum(seen) == 5 * variants + scored * 5


@each_method
def test_the_images_stay_as_they_are_and_the_type_is_kept(method, rng):
    network = make_network().to("float32")
    x = rng.standard_normal((2, SIZE, SIZE, 1)).astype(np.float32)
    images = backend.asarray(x.copy())
    maps = method(network, images)
    assert maps.shape == images.shape
    assert maps.dtype == np.float32
    assert backend.name_of(maps) == backend.name_of(images)
    np.testing.assert_array_equal(host(images), x)


@pytest.mark.parametrize("size", [0, 2.0, True, -1])
def test_a_batch_size_that_is_none_is_refused(network, images, size):
    with pytest.raises(OptionError, match="batch_size: expected an integer of 1 or more"):
        explain.saliency(network, images, batch_size=size)


# Faults that the tests above must find.

FAULTS = [
    (test_smoothgrad_is_the_mean_over_noisy_copies, "smooth_grad", "(1 / samples)", "0.2"),
    (test_smoothgrad_is_the_mean_over_noisy_copies, "smooth_grad", "(x.max(axis=(1, 2, 3)) - x",
     "(x.max() - x"),
    (test_smoothgrad_asks_for_the_class_of_the_clean_image, "smooth_grad", "noisy, classes[rows]",
     "noisy, classes[rows] if target is not None else classes_of(model, noisy, None, 64)"),
    (test_attributions_are_the_integral_by_a_fine_sum, "integrated_gradients",
     "weight * score_gradients", "0.02 * score_gradients"),
    (test_the_completeness_error_is_what_is_missing, "integrated_gradients",
     "sums - np.concatenate(risen)", "sums + np.concatenate(risen)"),
    (test_attributions_add_up_to_the_difference_of_the_scores, "integrated_gradients",
     "(x - start) * totals", "x * totals"),
    (test_guided_backpropagation_by_hand, "_guide", "(gradient.data > 0)", "(gradient.data < 0)"),
]  # fmt: skip


@pytest.mark.host
@pytest.mark.parametrize(("test", "name", "right", "wrong"), FAULTS)
def test_planted_faults_are_found(test, name, right, wrong, monkeypatch, rng):
    import inspect

    monkeypatch.setattr(gradients, name, planted(getattr(gradients, name), right, wrong))
    if hasattr(explain, name):
        monkeypatch.setattr(explain, name, getattr(gradients, name))
    x = rng.standard_normal((5, SIZE, SIZE, 1))
    given = {
        "network": make_network(),
        "smooth_network": make_network(Tanh),
        "pictures": x,
        "images": x.copy(),
        "rng": rng,
        "activation": ReLU(),
        "plain": A @ [3, 0, -7],
        "guided": A @ [3, 0, 0],
    }
    with pytest.raises(AssertionError):
        test(**{each: given[each] for each in inspect.signature(test).parameters})
