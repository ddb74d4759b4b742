"""Runs that learn from trained networks: what they learn, what they refuse, and going on."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from minicnn import zoo
from minicnn.commands import train_fer
from minicnn.commands.train_data import load_faces
from minicnn.commands.train_options import Options, merge
from minicnn.commands.train_teacher import soft_targets
from minicnn.files import hash_of
from minicnn.io.weights import WeightsMetadata, read_weights, save_weights

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("no_figures")]

FAST = (
    *("--model", "small_cnn", "--limit", "28", "--batch-size", "8", "--epochs", "2"),
    *("--no-report", "--quiet"),
)


def run(*words, out):
    return train_fer.main([*FAST, *map(str, words), "--out", str(out)])


def test_targets_are_a_mean_of_smoothed_labels_and_probabilities():
    found = soft_targets(
        np.array([1, 0]),
        np.array([[0.2, 0.3, 0.5, 0], [0.25, 0.25, 0.25, 0.25]]),
        share=0.75,
        label_smoothing=0.2,
    )
    # Of the first: 0.25 (0.05, 0.85, 0.05, 0.05) + 0.75 (0.2, 0.3, 0.5, 0).
    expected = [[0.1625, 0.4375, 0.3875, 0.0125], [0.4, 0.2, 0.2, 0.2]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found.dtype == np.float32


@pytest.fixture
def teacher(tmp_path, trained):
    """Copy a trained network: the folder of its run, which the test may change."""
    return shutil.copytree(trained, tmp_path / "teacher")


def probabilities(folder, images, step):
    network = zoo.load(folder / "weights.safetensors")
    images = np.ascontiguousarray(network.normalization(images)[:, :, ::step])
    logits = network(images).numpy().astype(np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_a_run_learns_what_its_teachers_say_of_faces_and_their_mirror_images(
    tmp_path, teacher, batches
):
    other = tmp_path / "other"
    assert run("--seed", 1, "--normalize", "pixel", out=other) == 0
    batches.clear()
    words = ("--teacher", teacher, other, "--distillation", 0.6, "--label-smoothing", 0.1)
    assert run(*words, "--no-augment", out=tmp_path / "run") == 0
    faces = load_faces(merge({"limit": 28})).train
    views = [probabilities(each, faces.images, x) for each in (teacher, other) for x in (1, -1)]
    mean = sum(views) / 4
    expected = 0.6 * mean + 0.4 * (0.9 * np.eye(7)[faces.labels] + 0.1 / 7)
    for epoch in (0, 1):  # each in its own order
        found = np.concatenate([labels for number, _, labels in batches if number == epoch])
        both = (each[np.argsort(each[:, 0])] for each in (found, expected))
        np.testing.assert_allclose(*both, rtol=1e-4)
    _, metadata = read_weights(tmp_path / "run" / "weights.safetensors")
    files = (folder / "weights.safetensors" for folder in (teacher, other))
    assert metadata.training["teacher"] == [hash_of(file) for file in files]


def test_the_validation_goes_by_labels_alone(tmp_path, teacher):
    assert run("--teacher", teacher, "--label-smoothing", 0.3, out=tmp_path / "run") == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    row = dict(zip(rows[0].split(","), rows[metrics["best_epoch"]].split(","), strict=True))
    loss = metrics["splits"]["validation"]["loss"]  # of the probabilities, without smoothing
    assert float(row["validation_loss"]) == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("count", [2, 4, 6])  # within the first epoch, at its end, in the second
def test_a_run_with_a_teacher_goes_on_to_the_same_bits(
    tmp_path, teacher, stopped_after, same_results, count
):
    words = ("--teacher", teacher, "--augment", "mild", "--mixup", 0.4)
    assert run(*words, out=tmp_path / "whole") == 0
    with stopped_after(count):
        assert run(*words, out=tmp_path / "run") == 130
    moved = teacher.rename(tmp_path / "moved")
    assert run("--resume", "--teacher", moved, out=tmp_path / "run") == 0
    same_results(tmp_path / "whole", tmp_path / "run")


def test_another_teacher_is_refused_on_resume(tmp_path, teacher, capsys):
    assert run("--teacher", teacher, out=tmp_path / "run") == 0
    assert run(out=tmp_path / "plain") == 0
    other = ("--teacher", tmp_path / "plain", "--epochs", 3)
    assert run("--resume", *other, out=tmp_path / "run") == 2
    assert "it is of a run with teacher ['" in capsys.readouterr().err
    before = (tmp_path / "plain" / "config.json").read_bytes()
    assert run("--resume", "--teacher", teacher, "--epochs", 3, out=tmp_path / "plain") == 2
    assert "it is of a run with teacher None" in capsys.readouterr().err
    assert (tmp_path / "plain" / "config.json").read_bytes() == before
    assert run("--resume", "--epochs", 3, out=tmp_path / "plain") == 0
    assert run("--resume", "--distillation", 0.5, out=tmp_path / "run") == 2
    assert "--distillation 0.5: the run was begun with 0.7" in capsys.readouterr().err


def test_a_share_of_no_teacher_is_refused(tmp_path, capsys):
    assert run("--distillation", 0.5, out=tmp_path / "run") == 2
    assert "--distillation 0.5: there is no teacher to learn from" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert run("--distillation", Options.distillation, out=tmp_path / "run") == 0
    again = ("--resume", "--epochs", 3, "--distillation", Options.distillation)
    assert run(*again, out=tmp_path / "run") == 0


def test_teachers_that_cannot_teach_are_refused(tmp_path, teacher, capsys):
    assert run("--teacher", tmp_path / "nothing", out=tmp_path / "run") == 2
    assert "--teacher: " + str(tmp_path / "nothing") in capsys.readouterr().err
    assert run("--teacher", teacher, teacher, out=tmp_path / "run") == 2
    assert "is named twice" in capsys.readouterr().err
    assert run("--teacher", teacher, "--folds", 2, out=tmp_path / "run") == 2
    assert "--teacher: not with --folds" in capsys.readouterr().err
    before = (teacher / "weights.safetensors").read_bytes()
    assert run("--overwrite", "--teacher", teacher, out=teacher) == 2
    assert "is the run that is to be trained" in capsys.readouterr().err
    assert (teacher / "weights.safetensors").read_bytes() == before
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("classes", "size", "reason"),
    [
        (7, 32, "the images are 48x48x1, the network takes 32x32x1"),
        (5, 48, "the images are of 7 classes, the network tells 5 apart"),
    ],
)
def test_teachers_of_other_images_or_classes_are_refused(tmp_path, capsys, classes, size, reason):
    network = zoo.build("small_cnn", num_classes=classes, input_shape=(size, size, 1), seed=0)
    metadata = WeightsMetadata(model="small_cnn", arguments=network.arguments)
    save_weights(tmp_path / "other.safetensors", network, metadata=metadata)
    assert run("--teacher", tmp_path / "other.safetensors", out=tmp_path / "run") == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
