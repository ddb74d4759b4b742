"""Metrics against scikit-learn and against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn import backend, ops
from minicnn.autograd import Tensor
from minicnn.errors import OptionError, ShapeError
from minicnn.training.metrics import Metrics, Scores

CLASSES = 5


def test_scores_of_a_stream_of_batches_equal_those_of_scikit_learn(rng):
    learn = pytest.importorskip("sklearn.metrics")
    logits = rng.standard_normal((60, CLASSES)).astype(np.float32)
    labels = rng.integers(0, CLASSES - 1, 60)  # the last class has no samples
    metrics = Metrics()
    for start in range(0, 60, 16):
        part = slice(start, start + 16)
        metrics.update(backend.asarray(logits[part]), backend.asarray(labels[part]))
    scores = metrics.result()
    predicted = logits.argmax(axis=1)
    classes = list(range(CLASSES))
    np.testing.assert_array_equal(
        scores.confusion, learn.confusion_matrix(labels, predicted, labels=classes)
    )
    precision, recall, f1, support = learn.precision_recall_fscore_support(
        labels, predicted, labels=classes, zero_division=0
    )
    np.testing.assert_allclose(scores.precision, precision)
    np.testing.assert_allclose(scores.recall, recall)
    np.testing.assert_allclose(scores.f1, f1)
    np.testing.assert_array_equal(scores.support, support)
    assert scores.accuracy == pytest.approx(learn.accuracy_score(labels, predicted))
    assert scores.macro_f1 == pytest.approx(f1.mean())
    assert scores.count == 60
    assert scores.loss is None


@pytest.mark.host
def test_rows_are_the_truth_and_columns_the_prediction():
    metrics = Metrics()
    metrics.update(np.array([[0.1, 0.9], [0.2, 0.8], [1.0, 0.0]]), np.array([0, 1, 0]))
    assert metrics.result().confusion.tolist() == [[1, 1], [0, 1]]


@pytest.mark.host
def test_a_class_that_is_never_predicted_and_one_without_samples_score_zero():
    scores = Scores(np.array([[2, 0, 0], [1, 0, 0], [0, 0, 0]]))
    assert scores.precision.tolist() == [2 / 3, 0, 0]
    assert scores.recall.tolist() == [1, 0, 0]
    assert scores.f1.tolist() == [0.8, 0, 0]
    assert Scores(np.zeros((2, 2), np.int64)).accuracy == 0
    assert Scores(np.zeros((2, 2), np.int64)).standard_error == 0


def test_the_loss_is_the_mean_over_samples_and_not_over_batches():
    metrics = Metrics()
    for size, loss in ((3, 1.0), (1, 5.0)):
        logits = Tensor(backend.asarray(np.zeros((size, 2), np.float32)))
        labels = Tensor(backend.asarray(np.zeros(size, np.int64)))
        metrics.update(logits, labels, Tensor(backend.asarray(np.float32(loss))))
    assert metrics.result().loss == 2.0


def test_of_probabilities_as_labels_the_largest_counts():
    metrics = Metrics()
    logits = backend.asarray(np.array([[0.0, 1.0], [0.0, 1.0]], np.float32))
    labels = backend.asarray(np.array([[0.7, 0.3], [0.4, 0.6]], np.float32))
    metrics.update(logits, labels)
    assert metrics.result().confusion.tolist() == [[0, 1], [0, 1]]


@pytest.mark.standin
def test_nothing_is_read_from_the_device_before_the_result(rng):
    import standin

    logits = backend.asarray(rng.standard_normal((8, 3)).astype(np.float32))
    labels = backend.asarray(rng.integers(0, 3, 8))
    loss = backend.asarray(np.float32(1.5))
    metrics = Metrics()
    metrics.update(logits, labels, loss)
    with standin.no_transfers():
        metrics.update(logits, labels, loss)
    assert metrics.result().count == 16


def test_a_state_continues_the_sums(rng):
    logits = backend.asarray(rng.standard_normal((8, 3)).astype(np.float32))
    labels = backend.asarray(rng.integers(0, 3, 8))
    loss = backend.asarray(np.float32(0.3))
    whole, first, second = Metrics(), Metrics(), Metrics()
    whole.update(logits, labels, loss)
    whole.update(logits, labels, loss)
    first.update(logits, labels, loss)
    second.load_state(first.state())
    second.update(logits, labels, loss)
    assert second.result().loss == whole.result().loss
    np.testing.assert_array_equal(second.result().confusion, whole.result().confusion)


@pytest.mark.host
def test_shapes_that_do_not_fit_are_refused():
    metrics = Metrics()
    with pytest.raises(ShapeError, match=r"\(3, 2\) and \(2,\)"):
        metrics.update(np.zeros((3, 2)), np.zeros(2, np.int64))
    metrics.update(np.zeros((3, 2)), np.zeros(3, np.int64))
    with pytest.raises(ShapeError, match="had 2 classes, this has 4"):
        metrics.update(np.zeros((3, 4)), np.zeros(3, np.int64))
    with pytest.raises(ShapeError, match=r"\(3, 2\) and \(3, 1\)"):
        metrics.update(np.zeros((3, 2)), np.zeros((3, 1), np.int64))
    with pytest.raises(OptionError, match="before the first batch"):
        Metrics().result()


def test_labels_that_a_loss_ignores_are_not_in_its_mean(rng):
    z, labels = rng.standard_normal((6, 3)), np.array([0, -1, 2, -1, -1, 1])
    metrics = Metrics()
    for part in (slice(0, 2), slice(2, 6)):
        batch = minicnn.tensor(z[part]), minicnn.tensor(labels[part])
        metrics.update(*batch, ops.cross_entropy(*batch, ignore_index=-1))
    whole = ops.cross_entropy(minicnn.tensor(z), minicnn.tensor(labels), ignore_index=-1)
    assert metrics.result().loss == pytest.approx(whole.item())


@pytest.mark.host
def test_scores_as_a_dict_name_the_classes():
    found = Scores(np.array([[3, 1], [0, 4]]), 0.5).to_dict(("cat", "dog"))
    assert found["accuracy"] == 7 / 8
    assert found["loss"] == 0.5
    assert found["classes"]["cat"] == {"precision": 1.0, "recall": 0.75, "f1": 6 / 7, "support": 4}
    assert found["confusion_matrix"] == [[3, 1], [0, 4]]
