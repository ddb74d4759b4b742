"""Runs whose targets adapt: where they begin, what they go to, going on, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn import zoo
from minicnn.commands import train_fer, train_run
from minicnn.commands.train_data import load_faces
from minicnn.commands.train_options import merge
from minicnn.ops.softmax import softmax
from minicnn.training.checkpoint import read_checkpoint
from minicnn.training.self_adaptive import SelfAdaptiveTargets

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("no_figures")]

FAST = (
    *("--model", "small_cnn", "--limit", "28", "--batch-size", "8", "--epochs", "4"),
    *("--no-report", "--quiet"),
)


def run(*words, out):
    return train_fer.main([*FAST, *map(str, words), "--out", str(out)])


def targets_of(folder):
    return read_checkpoint(folder / "checkpoint.safetensors")["targets"]["targets"]


@pytest.fixture
def made(monkeypatch):
    """Return a list that gets the targets of each run as they were at first, and their start."""
    seen, make = [], SelfAdaptiveTargets.__init__

    def note(self, targets, labels, **options):
        seen.append((np.array(targets), labels, options))
        make(self, targets, labels, **options)

    monkeypatch.setattr(SelfAdaptiveTargets, "__init__", note)
    return seen


def test_targets_begin_as_smoothed_labels_and_move_late(tmp_path, made, batches):
    words = ("--self-adaptive", 0.7, "--label-smoothing", 0.1)
    assert run(*words, out=tmp_path / "run") == 0
    labels = load_faces(merge({"limit": 28})).train.labels
    [(targets, given, options)] = made
    np.testing.assert_allclose(targets, 0.9 * np.eye(7)[labels] + 0.1 / 7, rtol=1e-6)
    np.testing.assert_array_equal(given, labels)
    assert options == {"momentum": 0.7, "start": 1}  # after 30% of four epochs
    for epoch in range(4):
        rows = np.concatenate([rows for number, _, rows in batches if number == epoch])
        np.testing.assert_array_equal(np.sort(rows), np.arange(28))
    found = targets_of(tmp_path / "run")
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert np.abs(found - targets).max(axis=1).min() > 1e-3


def test_without_a_step_that_adapts_the_run_is_that_by_labels(tmp_path):
    assert run("--self-adaptive", 1, "--label-smoothing", 0.1, out=tmp_path / "own") == 0
    assert run("--label-smoothing", 0.1, out=tmp_path / "plain") == 0
    own, plain = (
        [row.split(",") for row in (tmp_path / name / "history.csv").read_text().split()]
        for name in ("own", "plain")
    )
    assert len(own) == 5
    # The accuracies: the validation's loss is without smoothing here.
    assert [row[2::2][:2] for row in own] == [row[2::2][:2] for row in plain]


def test_targets_begin_with_what_the_teacher_says(tmp_path, made, trained):
    words = ("--teacher", trained, "--distillation", 1, "--self-adaptive", 0.9)
    assert run(*words, out=tmp_path / "run") == 0
    [(targets, labels, _)] = made
    faces = load_faces(merge({"limit": 28})).train
    network = zoo.load(trained / "weights.safetensors")
    both = (network.normalization(faces.images[:, :, ::step].copy()) for step in (1, -1))
    expected = sum(softmax(network(images), axis=1).numpy() for images in both) / 2
    np.testing.assert_allclose(targets, expected, rtol=1e-3, atol=1e-6)
    np.testing.assert_array_equal(labels, faces.labels)


@pytest.mark.parametrize("count", [3, 8, 14])  # before they adapt, at an epoch's end, within one
def test_an_adaptive_run_goes_on_to_the_same_bits(tmp_path, stopped_after, same_results, count):
    words = ("--self-adaptive", 0.8, "--augment", "mild", "--erasing", 0.5)
    assert run(*words, out=tmp_path / "whole") == 0
    with stopped_after(count):
        assert run(*words, out=tmp_path / "run") == 130
    assert run("--resume", out=tmp_path / "run") == 0
    same_results(tmp_path / "whole", tmp_path / "run")
    np.testing.assert_array_equal(targets_of(tmp_path / "whole"), targets_of(tmp_path / "run"))


def test_folds_have_targets_of_their_own(tmp_path, made, monkeypatch):
    parts, train = [], train_run.training_loader

    def note(dataset, *others):
        parts.append(dataset)
        return train(dataset, *others)

    monkeypatch.setattr(train_run, "training_loader", note)
    assert run("--self-adaptive", 0.8, "--folds", 2, out=tmp_path / "run") == 0
    one, other = parts
    assert not set(one.ids) & set(other.ids)
    for part, (targets, labels, _) in zip(parts, made, strict=True):
        np.testing.assert_array_equal(labels, part.labels)
        np.testing.assert_array_equal(targets.argmax(axis=1), part.labels)


def test_what_cannot_be_is_refused(tmp_path, capsys):
    for words in (("--mixup", 0.4), ("--cutmix", 1)):
        assert run("--self-adaptive", 0.9, *words, out=tmp_path / "run") == 2
        assert "--self-adaptive: not with --mixup or --cutmix" in capsys.readouterr().err
    for value in (-0.1, 1.5, "nan"):
        assert run("--self-adaptive", value, out=tmp_path / "run") == 2
        assert "--self-adaptive: expected" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert run("--self-adaptive", 0.9, out=tmp_path / "run") == 0
    assert run("--resume", "--self-adaptive", "none", out=tmp_path / "run") == 2
    assert "--self-adaptive none: the run was begun with 0.9" in capsys.readouterr().err
