"""The training command: what it writes, what it refuses, and how it goes on."""

from __future__ import annotations

import csv
import json
import shlex
import shutil

import numpy as np
import pytest
from faces_csv import write_faces

from minicnn import zoo
from minicnn.commands import train_fer as command
from minicnn.commands import train_run
from minicnn.commands.run_folder import RunFolder
from minicnn.data.face_dataset import CLASS_NAMES
from minicnn.report import figures
from minicnn.training.checkpoint import read_checkpoint
from minicnn.training.history import History
from minicnn.training.interrupt import Interrupted

pytestmark = pytest.mark.host

FILES = [
    "checkpoint.safetensors",
    "config.json",
    "figures/confusion.png",
    "figures/history.png",
    "history.csv",
    "metrics.json",
    "predictions.csv",
    "report.html",
    "weights.safetensors",
]
FAST = ("--model", "plain_dnn", "--limit", "28", "--batch-size", "8", "--quiet")


@pytest.fixture(autouse=True)
def small_world(monkeypatch, tmp_path):
    """Keep the cache here; draw no figures and no page unless asked: they take most of the time."""
    monkeypatch.setenv("MINICNN_CACHE", str(tmp_path / "cache"))

    def draw(*arguments, **options):
        path = arguments[1] if "best_epoch" in options else arguments[2]
        path.write_bytes(b"figure")

    monkeypatch.setattr(train_run, "plot_history", draw)
    monkeypatch.setattr(train_run, "plot_confusion", draw)

    def write(folder, *arguments, **options):
        folder.report.write_text("page")
        return folder.report

    monkeypatch.setattr(command, "write_report", write)


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def run(*words, out):
    return command.main([*FAST, *map(str, words), "--out", str(out)])


def refused(capsys, *words, out):
    """Run what must fail; return the one line that says why."""
    assert run(*words, out=out) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("train_fer: error: ")
    return lines[0]


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_writes_every_file_and_says_what_it_is(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(train_run, "plot_history", figures.plot_history)
    monkeypatch.setattr(train_run, "plot_confusion", figures.plot_confusion)
    out = tmp_path / "run"
    words = [word for word in FAST if word != "--quiet"]
    assert command.main([*words, "--epochs", "2", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "not real faces" in text
    assert "epoch 2/2" in text
    assert files(out) == FILES
    config = json.loads((out / "config.json").read_text())
    assert config["options"]["seed"] == 0
    assert config["data"]["images"] == {"train": 28, "validation": 28}
    assert len(config["data"]["sha256"]) == 64
    assert set(config["versions"]) >= {"minicnn", "numpy", "python"}
    history = History.read_csv(out / "history.csv")
    assert len(history) == 2
    metrics = json.loads((out / "metrics.json").read_text())
    best = metrics["best_epoch"]
    scores = metrics["splits"]["validation"]
    assert scores["accuracy"] == pytest.approx(history[best - 1]["validation_accuracy"])
    assert set(scores["classes"]) == set(CLASS_NAMES)
    assert set(scores["classes"]["Fear"]) == {"precision", "recall", "f1", "support"}
    assert np.sum(scores["confusion_matrix"]) == 28
    rows = rows_of(out / "predictions.csv")
    assert len(rows) == 28
    assert all(list(row) == ["id", "label"] and 0 <= int(row["label"]) < 7 for row in rows)


def test_the_weights_file_alone_repeats_the_predictions(tmp_path):
    faces = write_faces(tmp_path / "faces.csv", {"Training": 35, "PublicTest": 14})
    assert run("--data", faces, "--epochs", "3", out=tmp_path / "run") == 0
    from minicnn.autograd import Tensor
    from minicnn.data.fer2013 import load

    model = zoo.load(tmp_path / "run" / "weights.safetensors")
    assert model.class_names == CLASS_NAMES
    images = load(faces, cache=None).split("public_test").images
    found = model(Tensor(model.normalization(images))).numpy().argmax(axis=1)
    rows = rows_of(tmp_path / "run" / "predictions.csv")
    assert [int(row["label"]) for row in rows] == found.tolist()


def test_the_same_seed_gives_the_same_files_and_another_one_does_not(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run("--epochs", "1", "--seed", seed, out=tmp_path / name) == 0
    content = {
        name: (tmp_path / name / "weights.safetensors").read_bytes() for name in ("a", "b", "c")
    }
    assert content["a"] == content["b"] != content["c"]
    for name in ("metrics.json", "predictions.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_stored_command_repeats_the_run(tmp_path):
    assert run("--epochs", "1", "--no-augment", out=tmp_path / "a") == 0
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    words = shlex.split(config["command"])
    words = [word.replace(str(tmp_path / "a"), str(tmp_path / "b")) for word in words]
    start = words.index("--out")
    assert command.main([*words[start:], "--quiet"]) == 0
    assert (tmp_path / "a" / "weights.safetensors").read_bytes() == (
        tmp_path / "b" / "weights.safetensors"
    ).read_bytes()


def test_validation_is_public_test_where_there_is_one_and_else_a_stratified_split(tmp_path):
    with_public = write_faces(
        tmp_path / "a.csv", {"Training": 28, "PublicTest": 14, "PrivateTest": 7}
    )
    assert run("--data", with_public, "--epochs", "1", out=tmp_path / "a") == 0
    metrics = json.loads((tmp_path / "a" / "metrics.json").read_text())
    assert metrics["validation_source"] == "public_test"
    counts = {name: each["count"] for name, each in metrics["splits"].items()}
    assert counts == {"train": 28, "validation": 14, "private_test": 7}
    assert len((tmp_path / "a" / "predictions.csv").read_text().splitlines()) == 1 + 7
    without = write_faces(tmp_path / "b.csv", {"Training": 28})
    words = ("--data", without, "--epochs", "1", "--validation-fraction", "0.25")
    assert run(*words, out=tmp_path / "b") == 0
    metrics = json.loads((tmp_path / "b" / "metrics.json").read_text())
    assert metrics["validation_source"] == "train"
    supports = [each["support"] for each in metrics["splits"]["validation"]["classes"].values()]
    assert supports == [1] * 7


def test_predictions_are_of_images_without_labels_where_there_are_some(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "data").mkdir()
    for name, first, count in (("train.csv", "label", 21), ("test.csv", "id", 5)):
        with open(tmp_path / "data" / name, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow((first, "feature"))
            for i in range(count):
                pixels = " ".join(map(str, rng.integers(0, 256, 2304)))
                writer.writerow((i % 7 if first == "label" else 100 + i, pixels))
    words = ("--data", tmp_path / "data", "--epochs", "1", "--validation-fraction", "0.34")
    assert run(*words, out=tmp_path / "run") == 0
    rows = rows_of(tmp_path / "run" / "predictions.csv")
    assert [row["id"] for row in rows] == ["100", "101", "102", "103", "104"]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert set(metrics["splits"]) == {"train", "validation"}


def test_a_finished_run_is_refused_and_left_as_it_is(tmp_path, capsys):
    out = tmp_path / "run"
    assert run("--epochs", "1", out=out) == 0
    before = {name: (out / name).read_bytes() for name in FILES}
    line = refused(capsys, "--epochs", "1", out=out)
    assert "holds a finished run" in line
    assert "--overwrite" in line
    assert "--seed 9" in refused(capsys, "--resume", "--seed", "9", out=out)
    assert {name: (out / name).read_bytes() for name in FILES} == before
    assert run("--epochs", "1", "--seed", "9", "--overwrite", out=out) == 0
    assert files(out) == FILES
    assert (out / "weights.safetensors").read_bytes() != before["weights.safetensors"]


def test_an_error_before_the_training_leaves_what_was_to_be_overwritten(tmp_path, capsys):
    out = tmp_path / "run"
    assert run("--epochs", "1", out=out) == 0
    before = {name: (out / name).read_bytes() for name in FILES}
    line = refused(capsys, "--overwrite", "--data", tmp_path / "missing.csv", out=out)
    assert "missing.csv: no such file" in line
    refused(capsys, "--overwrite", "--folds", "50", out=out)
    assert {name: (out / name).read_bytes() for name in FILES} == before


def test_a_prolonged_run_is_the_one_that_was_longer_from_the_start(tmp_path):
    words = ("--schedule", "constant", "--average", "0.9")
    assert run(*words, "--epochs", "4", out=tmp_path / "long") == 0
    assert run(*words, "--epochs", "2", out=tmp_path / "short") == 0
    assert (
        command.main(["--resume", "--quiet", "--epochs", "4", "--out", str(tmp_path / "short")])
        == 0
    )
    for name in ("weights.safetensors", "metrics.json", "predictions.csv"):
        assert (tmp_path / "long" / name).read_bytes() == (tmp_path / "short" / name).read_bytes()
    config = json.loads((tmp_path / "short" / "config.json").read_text())
    assert config["options"]["epochs"] == 4
    assert len(History.read_csv(tmp_path / "short" / "history.csv")) == 4


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    out = tmp_path / "run"
    assert run("--epochs", "1", out=out) == 0
    before = {name: (out / name).read_bytes() for name in FILES}
    assert run("--resume", out=out) == 0
    assert {name: (out / name).read_bytes() for name in FILES} == before


def test_an_interrupted_run_says_how_to_go_on_and_goes_on_within_the_epoch(
    tmp_path, capsys, stopped_after
):
    assert run("--epochs", "2", out=tmp_path / "whole") == 0
    out = tmp_path / "a folder"
    with stopped_after(6):  # four batches are an epoch
        assert run("--epochs", "2", out=out) == 130
    error = capsys.readouterr().err
    assert "stopped in epoch 2, after batch 2" in error
    assert f"--resume --out '{out}'" in error
    assert read_checkpoint(out / "checkpoint.safetensors")["batch"] == 2
    assert "holds an unfinished run" in refused(capsys, out=out)
    assert run("--resume", out=out) == 0
    for name in ("weights.safetensors", "metrics.json", "predictions.csv"):
        assert (tmp_path / "whole" / name).read_bytes() == (out / name).read_bytes()


def test_an_interruption_before_the_training_leaves_nothing_behind(tmp_path, capsys, monkeypatch):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "load_faces", interrupted)
    assert run(out=tmp_path / "run") == 130
    assert "nothing was trained yet" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_nan_ends_with_one_line_and_the_checkpoint_of_the_last_whole_epoch(tmp_path, capsys):
    out = tmp_path / "run"
    words = ("--optimizer", "sgd", "--learning-rate", "1e30", "--schedule", "constant")
    line = refused(capsys, *words, "--epochs", "3", out=out)
    assert "epoch 1, batch" in line
    assert "lower the learning rate" in line
    assert not (out / "checkpoint.safetensors").exists()


def test_resuming_with_other_data_is_refused(tmp_path, capsys):
    first = write_faces(tmp_path / "a.csv", {"Training": 28, "PublicTest": 7})
    other = write_faces(tmp_path / "b.csv", {"Training": 28, "PublicTest": 7}, seed=1)
    out = tmp_path / "run"
    assert run("--data", first, "--epochs", "1", out=out) == 0
    line = refused(capsys, "--resume", "--data", other, out=out)
    assert "begun with other data" in line
    assert str(first) in line
    # The same content under another name is the same data.
    shutil.copy(first, tmp_path / "c.csv")
    assert run("--resume", "--data", tmp_path / "c.csv", out=out) == 0


def test_bad_input_is_one_line_without_a_traceback(tmp_path, capsys, monkeypatch):
    bad = tmp_path / "bad.csv"
    bad.write_text("emotion,pixels,Usage\n9,1 2 3,Training\n")
    assert "bad.csv" in refused(capsys, "--data", bad, out=tmp_path / "run")
    only_test = write_faces(tmp_path / "t.csv", {"PublicTest": 7})
    assert "no training images" in refused(capsys, "--data", only_test, out=tmp_path / "run")
    assert "holds no run" in refused(capsys, "--resume", out=tmp_path / "run")
    (tmp_path / "file").write_text("")
    assert "is a file" in refused(capsys, out=tmp_path / "file")
    line = refused(capsys, out=tmp_path / "file" / "below")
    assert "cannot be made" in line
    monkeypatch.setattr(figures, "find_spec", lambda name: None)
    assert 'pip install "minicnn[fer]"' in refused(capsys, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_duplicates_are_dropped_and_counted(tmp_path):
    faces = write_faces(tmp_path / "a.csv", {"Training": 21, "PublicTest": 7})
    lines = faces.read_text().splitlines()
    faces.write_text("\n".join([*lines, lines[1], lines[1]]) + "\n")
    words = ("--data", faces, "--epochs", "1", "--drop-duplicates")
    assert run(*words, out=tmp_path / "run") == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["data"]["dropped"]["repeated"] == 2
    assert config["data"]["images"]["train"] == 21


def test_folds_validate_every_training_image_once_and_resume_at_the_fold(tmp_path, monkeypatch):
    faces = write_faces(tmp_path / "a.csv", {"Training": 28, "PrivateTest": 7})
    out = tmp_path / "run"
    words = ("--data", faces, "--epochs", "1", "--folds", "2")
    assert run(*words, out=tmp_path / "whole") == 0
    trained = []
    original = train_run.Trainer.fit

    def fit(self, *arguments, **options):
        trained.append(None)
        if len(trained) == 2:
            raise Interrupted("stopped")
        return original(self, *arguments, **options)

    monkeypatch.setattr(train_run.Trainer, "fit", fit)
    assert run(*words, out=out) == 130
    assert run("--resume", out=out) == 0
    assert len(trained) == 3
    assert files(out) == files(tmp_path / "whole")
    own = [name for name in files(out) if "/" not in name or name.startswith("figures")]
    assert own == [name for name in FILES if name != "checkpoint.safetensors"]
    assert "fold-2/weights.safetensors" in files(out)
    for name in ("metrics.json", "predictions.csv", "weights.safetensors"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    metrics = json.loads((out / "metrics.json").read_text())
    assert np.sum(metrics["splits"]["validation"]["confusion_matrix"], axis=1).tolist() == [4] * 7
    total = sum(np.array(each["confusion_matrix"]) for each in metrics["folds"])
    np.testing.assert_array_equal(total, metrics["splits"]["validation"]["confusion_matrix"])
    assert len((out / "predictions.csv").read_text().splitlines()) == 1 + 7
    assert (out / "history.csv").read_text().startswith("fold,epoch,train_loss")


def test_folds_can_be_prolonged(tmp_path):
    words = ("--epochs", "1", "--folds", "2", "--schedule", "constant")
    assert run(*words, out=tmp_path / "run") == 0
    assert run("--resume", "--epochs", "2", out=tmp_path / "run") == 0
    for fold in (1, 2):
        assert len(History.read_csv(tmp_path / "run" / f"fold-{fold}" / "history.csv")) == 2
    rows = rows_of(tmp_path / "run" / "predictions.csv")
    assert len(rows) == 28


def test_weights_without_a_checkpoint_are_not_trained_over_on_resume(tmp_path, capsys):
    out = tmp_path / "run"
    assert run("--epochs", 1, out=out) == 0
    (out / "checkpoint.safetensors").unlink()
    before = (out / "weights.safetensors").read_bytes()
    message = refused(capsys, "--resume", "--epochs", 2, out=out)
    assert "no checkpoint.safetensors to go on from" in message
    assert (out / "weights.safetensors").read_bytes() == before


def test_the_checkpoint_of_another_run_is_refused(tmp_path, capsys):
    for seed in (0, 7):
        assert run("--epochs", 1, "--seed", seed, out=tmp_path / str(seed)) == 0
    name = "checkpoint.safetensors"
    shutil.copy(tmp_path / "7" / name, tmp_path / "0" / name)
    message = refused(capsys, "--resume", "--epochs", 2, out=tmp_path / "0")
    assert "it is of a run with seed 7 instead of 0" in message


def test_two_runs_do_not_write_into_one_folder(tmp_path, capsys):
    out = tmp_path / "run"
    with RunFolder(out).hold():
        message = refused(capsys, "--epochs", 1, "--overwrite", out=out)
    assert "another run is writing into it" in message
    assert run("--epochs", 1, out=out) == 0
    assert files(out) == FILES  # no lock is left behind


def test_a_run_that_left_only_its_configuration_can_be_begun_again(tmp_path, capsys):
    out = tmp_path / "run"
    message = refused(capsys, "--epochs", 1, "--learning-rate", "1e30", out=out)
    assert "NaN" in message or "the loss is" in message
    assert files(out) == ["config.json"]
    assert run("--epochs", 1, out=out) == 0


def test_a_foreign_configuration_is_not_overwritten(tmp_path, capsys):
    out = tmp_path / "run"
    out.mkdir()
    (out / "config.json").write_text('{"mine": 1}')
    assert "holds" in refused(capsys, "--epochs", 1, out=out)
    assert (out / "config.json").read_text() == '{"mine": 1}'


@pytest.mark.parametrize("value", ["x", [1], {}, -1])
def test_a_damaged_option_in_the_configuration_is_named(tmp_path, capsys, value):
    out = tmp_path / "run"
    assert run("--epochs", 1, out=out) == 0
    config = json.loads((out / "config.json").read_text())
    config["options"]["epochs"] = value
    (out / "config.json").write_text(json.dumps(config))
    message = refused(capsys, "--resume", out=out)
    assert "config.json: damaged" in message and "--epochs" in message


def test_another_number_of_threads_on_resume_is_told(tmp_path, capsys):
    out = tmp_path / "run"
    assert run("--epochs", 1, out=out) == 0
    config = json.loads((out / "config.json").read_text())
    config["machine"]["threads_used"] = 77
    (out / "config.json").write_text(json.dumps(config))
    loud = [word for word in FAST if word != "--quiet"]
    assert command.main([*loud, "--resume", "--epochs", "2", "--out", str(out)]) == 0
    assert "note: the run was begun with threads 77, this is" in capsys.readouterr().out
