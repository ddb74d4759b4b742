"""Targets that adapt to what the network says: the formula, the training with them, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn import backend
from minicnn.autograd import Tensor, tensor
from minicnn.errors import BackendError, CheckpointError, OptionError, ShapeError
from minicnn.training.callbacks import Callback, Checkpoint
from minicnn.training.checkpoint import read_checkpoint
from minicnn.training.interrupt import Interrupted
from minicnn.training.self_adaptive import SelfAdaptiveTargets

LABELS = np.array([1, 0, 2, 1])
FIRST = np.full((4, 3), 0.1) + 0.7 * np.eye(3)[LABELS]


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def host(array):
    return backend.to_numpy(array)


def test_targets_move_towards_the_probabilities(rng):
    targets = SelfAdaptiveTargets(FIRST, LABELS, momentum=0.8)
    expected = FIRST.copy()
    for rows in ([3, 0], [0, 1]):
        logits = 3 * rng.standard_normal((2, 3))
        targets.adapt(tensor(rows), tensor(logits.astype(np.float32)), epoch=0)
        expected[rows] = 0.8 * expected[rows] + 0.2 * softmax(logits)
    np.testing.assert_allclose(host(targets.targets), expected, rtol=1e-5)
    found, labels = targets.of(tensor([2, 0]))
    np.testing.assert_allclose(found.numpy(), expected[[2, 0]], rtol=1e-5)
    np.testing.assert_array_equal(labels.numpy(), LABELS[[2, 0]])


def test_they_stay_before_the_start(rng):
    targets = SelfAdaptiveTargets(FIRST, LABELS, start=2)
    rows, logits = tensor([0, 1]), tensor(rng.standard_normal((2, 3)).astype(np.float32))
    targets.adapt(rows, logits, epoch=1)
    np.testing.assert_array_equal(host(targets.targets), FIRST.astype(np.float32))
    targets.adapt(rows, logits, epoch=2)
    assert not np.allclose(host(targets.targets)[:2], FIRST[:2])


def test_what_was_given_is_not_changed():
    given = FIRST.astype(np.float32)
    SelfAdaptiveTargets(given, LABELS).adapt(tensor([0]), tensor(np.float32([[9, 0, 0]])), epoch=0)
    np.testing.assert_array_equal(given, FIRST.astype(np.float32))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"targets": FIRST[0]}, r"targets of shape \(N, K\)"),
        ({"labels": LABELS[:3]}, "N integer labels"),
        ({"labels": LABELS.astype(float)}, "N integer labels, got .* float64"),
        ({"momentum": 1.1}, "momentum: expected a number from 0 to 1, got 1.1"),
        ({"momentum": float("nan")}, "momentum"),
        ({"momentum": "0.9"}, "momentum"),
        ({"labels": np.array([0, 1, 3, 0])}, "labels go from 0 to 3, the targets are of 3 classes"),
        ({"start": -1}, "start: expected an integer of 0 or more, got -1"),
        ({"start": 2.0}, "start"),
        ({"targets": FIRST + 1}, "expected targets from 0 to 1"),
        ({"targets": FIRST * np.nan}, "expected targets from 0 to 1"),
    ],
)
def test_bad_options_are_refused(options, match):
    with pytest.raises((OptionError, ShapeError), match=match):
        SelfAdaptiveTargets(**{"targets": FIRST, "labels": LABELS, **options})


# -- in a training -------------------------------------------------------------------------------


def given_rows(run, **options):
    """Let a run have adaptive targets, and its loader the rows."""
    labels = run.train_loader.labels
    run.trainer.targets = SelfAdaptiveTargets(np.eye(3)[labels], labels, **options)
    run.train_loader.labels = np.arange(len(labels))
    return run


class Notes(Callback):
    """Writes down what the targets are adapted to."""

    def __init__(self):
        self.seen = []

    def on_fit_start(self, trainer):
        adapt = trainer.targets.adapt

        def note(rows, logits, epoch):
            self.seen.append((rows.numpy(), logits.numpy(), epoch))
            adapt(rows, logits, epoch)

        trainer.targets.adapt = note


def test_each_image_that_was_learned_moves_its_own_target(make_run):
    notes = Notes()
    run = given_rows(make_run(notes), momentum=0.7, start=1)
    labels = host(run.trainer.targets.targets).argmax(axis=1)
    expected = np.eye(3)[labels]
    run.fit(3)
    for rows, logits, epoch in notes.seen:
        if epoch >= 1:
            expected[rows] = 0.7 * expected[rows] + 0.3 * softmax(logits.astype(np.float64))
    assert sorted({epoch for _, _, epoch in notes.seen}) == [0, 1, 2]
    np.testing.assert_allclose(host(run.trainer.targets.targets), expected, rtol=1e-4, atol=1e-6)


def test_until_they_adapt_the_training_is_that_by_labels(make_run):
    plain, own = make_run(), given_rows(make_run(), start=2)
    for one, other in zip(plain.fit(2), own.fit(2), strict=True):
        assert one["train_accuracy"] == other["train_accuracy"]
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=1e-5)
        assert one["validation_loss"] == pytest.approx(other["validation_loss"], rel=1e-4)


def test_the_loss_is_that_of_the_targets_and_the_accuracy_that_of_the_labels(make_run):
    run = given_rows(make_run(), momentum=1.0)
    wrong = np.roll(host(run.trainer.targets.targets), 1, axis=1)
    run.trainer.targets.load_state({"targets": wrong, "start": 0})
    history = run.fit(4)
    assert history[-1]["train_loss"] < 0.8 * history[0]["train_loss"]
    assert history[-1]["train_accuracy"] < 0.2


@pytest.mark.parametrize("place", [(1, 2), (2, 3), (3, 0)])
def test_a_run_that_was_broken_off_goes_on_to_the_same_targets(make_run, stop_at, tmp_path, place):
    path = tmp_path / "checkpoint.safetensors"
    whole = given_rows(make_run(), start=1)
    whole.fit(4)
    with pytest.raises(Interrupted):
        given_rows(make_run(Checkpoint(path), stop_at(*place)), start=1).fit(4)
    resumed = given_rows(make_run(Checkpoint(path)), start=1)
    resumed.fit(4, resume=path)
    np.testing.assert_array_equal(
        host(resumed.trainer.targets.targets), host(whole.trainer.targets.targets)
    )
    assert "targets" in read_checkpoint(path)


def test_a_checkpoint_with_other_targets_or_none_is_refused(make_run, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    given_rows(make_run(Checkpoint(path))).fit(1)
    with pytest.raises(CheckpointError, match="only the checkpoint has targets of its own"):
        make_run().fit(2, resume=path)
    run = given_rows(make_run())
    run.trainer.targets = SelfAdaptiveTargets(np.full((22, 2), 0.5), np.zeros(22, np.int64))
    with pytest.raises(CheckpointError, match=r"'targets' is float32 of shape \(22, 3\)"):
        run.fit(2, resume=path)
    make_run(Checkpoint(path)).fit(1)
    with pytest.raises(CheckpointError, match="only this run has targets of its own"):
        given_rows(make_run()).fit(2, resume=path)


def test_a_run_that_was_prolonged_goes_on_adapting(make_run, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    given_rows(make_run(Checkpoint(path)), start=1).fit(2)
    run = given_rows(make_run(), start=3)
    run.fit(4, resume=path)
    assert run.trainer.targets.start == 1


def test_a_loaded_state_is_a_copy():
    targets = SelfAdaptiveTargets(FIRST, LABELS)
    other = SelfAdaptiveTargets(FIRST, LABELS)
    other.load_state(targets.state())
    other.adapt(tensor([0]), tensor(np.float32([[9, 0, 0]])), epoch=0)
    np.testing.assert_array_equal(host(targets.targets), FIRST.astype(np.float32))


def test_a_loader_that_gives_no_rows_is_refused(make_run):
    run = given_rows(make_run())
    rows = run.train_loader.labels
    for labels in (rows % 3, rows[::-1].copy(), np.eye(3, dtype=np.float32)[rows % 3]):
        run.train_loader.labels = labels
        with pytest.raises(OptionError, match="the training loader must give the images' rows"):
            run.fit(1)
    batches = [(tensor(np.zeros((2, 8, 8, 1), np.float32)), tensor(np.eye(2, dtype=np.float32)))]
    with pytest.raises(OptionError, match=r"in the place of labels, got float32 of shape \(2, 2\)"):
        run.trainer.fit(batches, epochs=1)


@pytest.mark.parametrize("rows", [[0, len(LABELS)], [-1, 0]])
def test_rows_that_do_not_exist_are_refused_or_give_nan(rows, backend_name):
    targets = SelfAdaptiveTargets(FIRST, LABELS)
    if backend_name != "numpy":
        found = targets.of(tensor(np.array(rows)))[0].numpy()
        assert np.isnan(found).all(axis=1).tolist() == [
            row not in range(len(LABELS)) for row in rows
        ]
        return
    with pytest.raises(OptionError, match=f"gives rows from {rows[0]} to {rows[1]}, there are"):
        targets.of(tensor(np.array(rows)))


@pytest.mark.parametrize(
    ("state", "match"),
    [({}, "lacks the array 'targets'"), ({"targets": FIRST, "start": -3}, "start")],
)
def test_a_state_that_does_not_fit_is_refused(state, match):
    targets = SelfAdaptiveTargets(FIRST, LABELS)
    if state:
        state["targets"] = targets.targets * 0
    with pytest.raises(CheckpointError, match=match):
        targets.load_state(state)
    np.testing.assert_array_equal(backend.to_numpy(targets.targets), np.float32(FIRST))


@pytest.mark.standin
def test_rows_on_another_backend_are_refused():
    targets = SelfAdaptiveTargets(FIRST, LABELS)
    with pytest.raises(BackendError):
        targets.of(Tensor(np.array([0, 1])))
