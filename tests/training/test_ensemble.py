"""Averages over models and views, against NumPy; invariances, gradients, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, backend, explain
from minicnn.autograd import gradcheck
from minicnn.data.loader import DataLoader
from minicnn.errors import OptionError, ShapeError
from minicnn.nn.activation import ReLU
from minicnn.nn.containers import Sequential
from minicnn.nn.conv import Conv2d
from minicnn.nn.dropout import Dropout
from minicnn.nn.linear import Linear
from minicnn.nn.loss import CrossEntropyLoss
from minicnn.nn.module import Module
from minicnn.nn.norm import BatchNorm2d
from minicnn.nn.shape import Flatten
from minicnn.training import (
    Ensemble,
    Views,
    evaluate,
    mean_probabilities,
    predict,
    scores_of,
)

HEIGHT, WIDTH, CLASSES = 6, 5, 3


def network(seed=0, classes=CLASSES):
    rng = np.random.default_rng(seed)
    return Sequential(
        Conv2d(1, 3, 3, padding=1, rng=rng),
        BatchNorm2d(3),
        ReLU(),
        Flatten(),
        Dropout(0.5, rng=np.random.default_rng(1)),
        Linear(HEIGHT * WIDTH * 3, classes, rng=rng),
    )


def batches(rng, count=10, batch_size=4):
    images = rng.integers(0, 256, (count, HEIGHT, WIDTH, 1), np.uint8)
    return images, DataLoader(images, np.arange(count) % CLASSES, batch_size=batch_size)


def probabilities(model, images):
    """Return what an evaluated model says of a NumPy batch, by NumPy from its logits on."""
    model.eval()
    logits = model(Tensor(backend.asarray(images.astype(np.float32)))).numpy().astype(np.float64)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def views_by_hand(images, shifts, flip):
    """Move and mirror pixel by pixel: each takes its value from the nearest pixel there is."""
    found = []
    rows, columns = np.arange(HEIGHT), np.arange(WIDTH)
    for down, right in shifts:
        source_rows = np.clip(rows - down, 0, HEIGHT - 1)
        source_columns = np.clip(columns - right, 0, WIDTH - 1)
        view = images[:, source_rows][:, :, source_columns]
        found += [view, view[:, :, ::-1]] if flip else [view]
    return found


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("shifts", [((0, 0),), ((0, 0), (-1, 0), (2, 3)), ((5, -4), (0, 1))])
def test_views_are_the_moved_and_mirrored_images(rng, shifts, flip):
    images = rng.standard_normal((2, HEIGHT, WIDTH, 2)).astype(np.float32)
    views = Views(flip=flip, shifts=shifts)
    found = list(views(minicnn.tensor(images)))
    expected = views_by_hand(images, shifts, flip)
    assert len(found) == len(views) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.numpy(), other)


def test_the_default_views_are_ten_and_begin_with_the_image_itself(rng):
    images = rng.standard_normal((1, HEIGHT, WIDTH, 1))
    found = [view.numpy() for view in Views()(backend.asarray(images))]
    assert len(found) == len(Views()) == 10
    assert len({view.tobytes() for view in found}) == 10
    np.testing.assert_array_equal(found[0], images)


def test_an_ensemble_gives_the_log_of_the_mean_probability_over_models_and_views(rng):
    models = [network(0), network(1)]
    images, loader = batches(rng)
    views = Views(shifts=((0, 0), (1, -2)))
    seen = views_by_hand(images, views.shifts, True)
    expected = np.mean([probabilities(m, view) for view in seen for m in models], axis=0)
    ensemble = Ensemble(models, views).eval()
    x = Tensor(backend.asarray(images.astype(np.float32)))
    np.testing.assert_allclose(np.exp(ensemble(x).numpy()), expected, rtol=1e-5)
    np.testing.assert_allclose(predict(models, loader, tta=views), expected, rtol=1e-5)
    scores = evaluate(models, loader, tta=views)
    labels = np.arange(10) % CLASSES
    assert scores.loss == pytest.approx(-np.log(expected[range(10), labels]).mean(), rel=1e-5)
    assert scores.accuracy == (expected.argmax(axis=1) == labels).mean()


@pytest.mark.parametrize("tta", [None, True])
def test_the_order_of_models_and_views_does_not_matter(rng, tta):
    models = [network(seed) for seed in range(3)]
    _, loader = batches(rng)
    one, other = predict(models, loader, tta=tta), predict(models[::-1], loader, tta=tta)
    np.testing.assert_allclose(one, other, rtol=1e-5)
    if tta:
        reverse = Views(shifts=Views().shifts[::-1])
        np.testing.assert_allclose(predict(models, loader, tta=reverse), one, rtol=1e-5)


class Symmetric(Module):
    """Scores by pointwise features summed over all pixels: mirroring changes nothing."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.features = Conv2d(1, 4, 1, rng=rng)
        self.scores = Linear(4, CLASSES, rng=rng)

    def forward(self, x):
        return self.scores((self.features(x) * 0.01).tanh().mean(axis=(1, 2)))


def test_views_by_mirroring_change_nothing_for_a_model_that_does_not_see_it(rng):
    _, loader = batches(rng)
    alone = predict(Symmetric(), loader)
    mirrored = predict(Symmetric(), loader, tta=Views(shifts=((0, 0),)))
    np.testing.assert_allclose(mirrored, alone, rtol=1e-5)
    moved = predict(Symmetric(), loader, tta=Views(flip=False, shifts=((0, 2),)))
    assert np.abs(moved - alone).max() > 1e-4  # so the views do reach the model


def test_one_model_without_views_gives_the_same_bits_as_ever(rng):
    images, loader = batches(rng)
    model = network().eval()
    parts = [images[start : start + 4].astype(np.float32) for start in (0, 4, 8)]
    expected = [minicnn.ops.softmax(model(minicnn.tensor(part))).numpy() for part in parts]
    for models in (model, [model], (model,)):
        for tta in (None, False):
            np.testing.assert_array_equal(
                predict(models, loader, tta=tta), np.concatenate(expected)
            )
    assert evaluate([model], loader).loss == evaluate(model, loader).loss


def test_a_loss_of_the_callers_gets_logits(rng):
    _, loader = batches(rng)
    models = [network(0), network(1)]
    smooth = CrossEntropyLoss(label_smoothing=0.1)
    found = evaluate(models, loader, loss=smooth).loss
    logs = np.log(predict(models, loader).astype(np.float64))
    target = np.full((10, CLASSES), 0.1 / CLASSES)
    target[range(10), np.arange(10) % CLASSES] += 0.9
    assert found == pytest.approx(-(target * logs).sum(axis=1).mean(), rel=1e-5)


def test_models_are_evaluated_and_then_as_before(rng):
    _, loader = batches(rng)
    training, evaluated = network(0).train(), network(1).eval()
    training[4].eval()
    before = [module.training for model in (training, evaluated) for module in model.modules()]
    running = backend.to_numpy(training[1].running_mean.data).copy()
    first = predict([training, evaluated], loader, tta=True)
    np.testing.assert_array_equal(predict([training, evaluated], loader, tta=True), first)
    evaluate([training, evaluated], loader, tta=True)
    after = [module.training for model in (training, evaluated) for module in model.modules()]
    assert after == before
    np.testing.assert_array_equal(backend.to_numpy(training[1].running_mean.data), running)


def test_one_view_is_made_at_a_time():
    views = Views()(minicnn.tensor(np.zeros((1, HEIGHT, WIDTH, 1), np.float32)))
    assert next(views).shape == next(views).shape  # an iterator, and no list
    assert iter(views) is views


def test_gradients_through_models_and_views_agree_with_difference_quotients(rng):
    models = [network(seed).to("float64").eval() for seed in range(2)]
    ensemble = Ensemble(models, Views(shifts=((0, 0), (1, -1)))).eval()
    x = minicnn.tensor(rng.standard_normal((2, HEIGHT, WIDTH, 1)), requires_grad=True)
    assert gradcheck(lambda x: ensemble(x), [x])
    minicnn.ops.cross_entropy(ensemble(x), minicnn.tensor([0, 2])).backward()
    assert all(parameter.grad is not None for parameter in ensemble.parameters())


@pytest.mark.host
def test_explanations_take_an_ensemble_for_a_model(rng):
    images = rng.standard_normal((2, HEIGHT, WIDTH, 1)).astype(np.float32)
    ensemble = Ensemble([network(0), network(1)], True).eval()
    maps = explain.saliency(ensemble, images, np.array([0, 1]))
    assert maps.shape == images.shape
    assert np.abs(maps).max() > 0


def test_the_mean_of_predictions_is_that_of_numpy_and_of_one_the_same_bits(rng):
    one, other = rng.random((2, 4, CLASSES)).astype(np.float32)
    assert mean_probabilities([one]).tobytes() == one.tobytes()
    found = mean_probabilities(iter([one, other]))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, (one.astype(np.float64) + other) / 2, rtol=1e-6)
    labels = np.arange(4) % CLASSES
    assert scores_of(found, labels).count == 4


@pytest.mark.host
def test_views_can_be_compared_printed_and_written_as_json():
    assert Views(shifts=[[0, 0], (np.int64(1), 2)]) == Views(True, ((0, 0), (1, 2)))
    views = Views(False, ((0, 1),))
    assert repr(Ensemble([ReLU()], views)).startswith("Ensemble(\n  views=Views(flip=False, shif")
    assert json.loads(json.dumps(views.to_dict())) == {"flip": False, "shifts": [[0, 1]]}


@pytest.mark.host
@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"flip": 1}, "flip: expected True or False, got 1"),
        ({"shifts": ()}, r"at least one, such as \(0, 0\)"),
        ({"shifts": 2}, "shifts: expected a sequence, got 2"),
        ({"shifts": "here"}, "shifts: expected a sequence, got 'here'"),
        ({"shifts": ((0, 0), (0, 0.5))}, r"pairs of whole pixels.*got \(0, 0.5\)"),
        ({"shifts": (0, 1)}, "pairs of whole pixels.*got 0"),
        ({"shifts": ((0, True),)}, "pairs of whole pixels"),
        ({"shifts": ((1, 2, 3),)}, "pairs of whole pixels"),
        ({"shifts": ((1, 2), (0, 0), (1, 2))}, r"\(1, 2\) comes twice"),
    ],
)
def test_views_that_cannot_be_are_refused(options, match):
    with pytest.raises(OptionError, match=match):
        Views(**options)


@pytest.mark.host
def test_what_cannot_be_averaged_is_refused(rng):
    _, loader = batches(rng)
    with pytest.raises(OptionError, match="expected at least one model"):
        predict([], loader)
    with pytest.raises(OptionError, match="models: expected a sequence, got 3"):
        Ensemble(3)
    with pytest.raises(TypeError, match="must be a Module, got int"):
        Ensemble([3])
    with pytest.raises(OptionError, match="tta: expected None, True or a Views, got 10"):
        evaluate(network(), loader, tta=10)
    with pytest.raises(ShapeError, match=r"logits of shapes \(4, 3\) and \(4, 5\)"):
        predict([network(), network(classes=5)], loader)
    with pytest.raises(ShapeError, match=r"\(0, 5\) leaves nothing of images of 6x5"):
        predict(network(), loader, tta=Views(shifts=((0, 5),)))
    with pytest.raises(ShapeError, match=r"expected images \(N, H, W, C\), got shape \(2, 3\)"):
        next(Views()(np.zeros((2, 3))))
    with pytest.raises(OptionError, match="at least one prediction"):
        mean_probabilities([])
    with pytest.raises(ShapeError, match=r"shapes \(2, 3\) and \(2, 4\)"):
        mean_probabilities([np.zeros((2, 3)), np.zeros((2, 4))])
