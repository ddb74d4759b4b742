"""Deletion and insertion curves against loops, and on networks whose important pixels are known."""

from __future__ import annotations

import numpy as np
import pytest
from explained import CLASSES, SIZE, Seen, make_linear, score
from planted import planted

from minicnn import backend, explain
from minicnn.autograd import Tensor
from minicnn.errors import OptionError, ShapeError
from minicnn.explain import curves
from minicnn.explain.resampling import blur


def host(array):
    return backend.to_numpy(array)


@pytest.fixture
def maps(rng):
    return rng.standard_normal((5, SIZE, SIZE))


def probability(model, image, target):
    scores = np.array([score(model, image, k) for k in range(CLASSES)])
    weights = np.exp(scores - scores.max())
    return weights[target] / weights.sum()


def by_loop(before, after, map_, steps, measure):
    """Change pixel after pixel, the most important first; measure at equal steps."""
    places = sorted(np.ndindex(*map_.shape), key=lambda place: -map_[place])
    image = before.copy()
    edges = np.rint(np.linspace(0, len(places), steps + 1)).astype(int)
    found, done = [], 0
    for edge in edges:
        for place in places[done:edge]:
            image[place] = after[place]
        done = edge
        found.append(measure(image))
    return edges / len(places), np.array(found)


@pytest.mark.parametrize("steps", [1, 4, 7, 36])
def test_deletion_equals_the_loop(network, pictures, images, maps, steps):
    target = [0, 1, 2, 0, 1]
    found = explain.deletion(network, images, maps, target, baseline=0.3, steps=steps)
    for n in (0, 4):
        fractions, expected = by_loop(
            pictures[n],
            np.full_like(pictures[n], 0.3),
            maps[n],
            steps,
            lambda image, k=target[n]: probability(network, image, k),
        )
        np.testing.assert_allclose(found.fractions, fractions)
        np.testing.assert_allclose(found.scores[n], expected, rtol=1e-9)
        widths = np.diff(fractions)
        area = (widths * (expected[1:] + expected[:-1]) / 2).sum()
        np.testing.assert_allclose(found.areas[n], area, rtol=1e-9)


def test_insertion_equals_the_loop_from_the_blurred_picture(network, pictures, images, maps):
    found = explain.insertion(network, images, maps, 1, steps=5, probability=False)
    blurred = host(blur(images, 5.0))
    for n in (0, 3):
        _, expected = by_loop(
            blurred[n], pictures[n], maps[n], 5, lambda image: score(network, image, 1)
        )
        np.testing.assert_allclose(found.scores[n], expected, rtol=1e-9)


def test_insertion_into_a_baseline_is_deletion_of_the_other_pixels(network, images, maps):
    steps = SIZE * SIZE
    put_in = explain.insertion(network, images, maps, 1, baseline=0.0, steps=steps)
    taken = explain.deletion(network, images, -maps, 1, baseline=0.0, steps=steps)
    np.testing.assert_allclose(put_in.scores, taken.scores[:, ::-1], rtol=1e-9)


def test_the_true_order_has_the_best_areas(rng):
    """Of a linear model, the pixels' shares of the score are known."""
    weights = rng.standard_normal((SIZE, SIZE, 1, CLASSES))
    model, pictures = make_linear(weights), rng.standard_normal((4, SIZE, SIZE, 1))
    images, shares = backend.asarray(pictures), pictures * weights[..., 0]
    options = {"baseline": 0.0, "probability": False}
    best_in = explain.insertion(model, images, shares, 0, **options).areas
    best_out = explain.deletion(model, images, shares, 0, **options).areas
    for seed in range(5):
        other = np.random.default_rng(seed).permutation(shares.reshape(4, -1), axis=1)
        other = other.reshape(shares.shape)
        assert (explain.insertion(model, images, other, 0, **options).areas < best_in).all()
        assert (explain.deletion(model, images, other, 0, **options).areas > best_out).all()


def test_of_equal_pixels_the_upper_left_one_comes_first(images, network):
    flat = explain.deletion(network, images, np.zeros((5, SIZE, SIZE)), 0, steps=36)
    falling = np.arange(SIZE * SIZE, 0, -1.0).reshape(1, SIZE, SIZE).repeat(5, axis=0)
    ordered = explain.deletion(network, images, falling, 0, steps=36)
    np.testing.assert_array_equal(flat.scores, ordered.scores)


def test_channels_add_up_and_maps_may_be_tensors_of_either_backend(network, images, maps):
    split = np.stack([maps * 0.25, maps * 0.75], axis=-1)
    plain = explain.deletion(network, images, maps, 0, steps=3).scores
    for given in (split, backend.asarray(split), Tensor(backend.asarray(maps))):
        found = explain.deletion(network, images, given, 0, steps=3).scores
        np.testing.assert_array_equal(found, plain)


def test_the_model_sees_a_chunk_at_a_time_and_the_numbers_are_the_same(network, images, maps):
    whole = explain.deletion(network, images, maps, 0, steps=3)
    seen = Seen(network)
    found = explain.deletion(network, images, maps, 0, steps=3, batch_size=6)
    assert seen == [6, 6, 6, 2]
    np.testing.assert_allclose(found.scores, whole.scores, rtol=1e-10)


def test_the_class_is_that_of_the_whole_image(network, images, maps):
    best = network.eval()(Tensor(images)).numpy().argmax(axis=1)
    assert len(set(best.tolist())) > 1
    np.testing.assert_array_equal(
        explain.insertion(network, images, maps, steps=4).scores,
        explain.insertion(network, images, maps, best, steps=4).scores,
    )


def test_maps_that_do_not_fit_are_refused(network, images, maps):
    with pytest.raises(ShapeError, match=r"\(5, 6, 6\), one number for each pixel.*\(4, 6, 6\)"):
        explain.deletion(network, images, maps[:4])
    with pytest.raises(OptionError, match="steps: expected an integer of 1 or more"):
        explain.insertion(network, images, maps, steps=0)


@pytest.mark.host
@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("_ranks", "-values", "values"),
        ("_curve", "after[chosen], before[chosen]", "before[chosen], after[chosen]"),
        ("_curve", "< edge", "<= edge"),
        ("deletion", "(x, end)", "(end, x)"),
    ],
)
def test_planted_faults_are_found(name, right, wrong, monkeypatch, network, pictures, maps):
    monkeypatch.setattr(curves, name, planted(getattr(curves, name), right, wrong))
    monkeypatch.setattr(explain, "deletion", curves.deletion)
    with pytest.raises(AssertionError):
        test_deletion_equals_the_loop(network, pictures, pictures, maps, 4)


@pytest.mark.parametrize("dtype", ["uint8", "bool"])
def test_maps_of_any_numbers_rank_as_floats_do(network, images, maps, dtype):
    values = (maps * 100).clip(0, 255).astype(dtype)
    for curve in (explain.deletion, explain.insertion):
        np.testing.assert_array_equal(
            curve(network, images, values, 0, steps=5).scores,
            curve(network, images, values.astype(float), 0, steps=5).scores,
        )
