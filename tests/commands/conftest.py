"""What tests of commands share: a run that was trained, and how they call commands."""

from __future__ import annotations

import importlib
import shutil
from contextlib import contextmanager

import pytest

from minicnn import zoo
from minicnn.commands import train_data, train_fer, train_run
from minicnn.zoo import packaged

FAST = (
    *("--model", "plain_dnn", "--limit", "28", "--batch-size", "8", "--epochs", "1"),
    *("--no-report", "--quiet"),
)


def no_figure(*arguments, **options):
    """Stand in for a figure, which takes most of the time of a tiny run."""
    path = arguments[1] if "best_epoch" in options else arguments[2]
    path.write_bytes(b"figure")


@pytest.fixture
def no_figures(monkeypatch):
    monkeypatch.setattr(train_run, "plot_history", no_figure)
    monkeypatch.setattr(train_run, "plot_confusion", no_figure)


@pytest.fixture
def stopped_after(monkeypatch):
    """Return a context in which each training is asked to stop after so many batches."""

    @contextmanager
    def context(batches):
        make = train_run.make_trainer

        def make_and_stop(*arguments):
            trainer = make(*arguments)
            step, done = trainer._step, []

            def stop(images, labels):
                step(images, labels)
                done.append(None)
                trainer._request.requested = len(done) == batches

            trainer._step = stop
            return trainer

        with monkeypatch.context() as patch:
            patch.setattr(train_run, "make_trainer", make_and_stop)
            yield

    return context


@pytest.fixture
def batches(monkeypatch):
    """Return a list that gets the epoch, the images and the labels of each training step."""
    seen, step = [], train_run.Trainer._step

    def note_and_step(trainer, images, labels):
        seen.append((trainer.epoch, images.numpy(), labels.numpy()))
        step(trainer, images, labels)

    monkeypatch.setattr(train_run.Trainer, "_step", note_and_step)
    return seen


@pytest.fixture(scope="session")
def same_results():
    """Return a function that compares the results of two runs, bit for bit."""

    def compare(one, other):
        for name in ("weights.safetensors", "metrics.json", "predictions.csv"):
            assert (one / name).read_bytes() == (other / name).read_bytes()

    return compare


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Train a tiny network on drawn faces; the folder of the run. Tests leave it as it is."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_run, "plot_history", no_figure)
        patch.setattr(train_run, "plot_confusion", no_figure)
        assert train_fer.main([*FAST, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def drawn(monkeypatch):
    """Return a list that gets the seed each time faces are drawn."""
    seeds, draw = [], train_data.drawn_faces_dataset

    def note_and_draw(seed, **options):
        seeds.append(seed)
        return draw(seed, **options)

    monkeypatch.setattr(train_data, "drawn_faces_dataset", note_and_draw)
    return seeds


@pytest.fixture
def no_weights(tmp_path, monkeypatch):
    """Let the package have no weights, and a folder of its own be the current one."""
    for name in ("package", "current"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(packaged, "FOLDER", tmp_path / "package")
    monkeypatch.chdir(tmp_path / "current")
    return tmp_path / "package"


@pytest.fixture
def in_package(no_weights, trained):
    """Let the tiny trained network be the package's default; its file."""
    return shutil.copy(trained / "weights.safetensors", no_weights / f"{zoo.DEFAULT}.safetensors")


@pytest.fixture(scope="session")
def reported(tmp_path_factory):
    """Train a tiny convolutional network, with its page; the folder. Tests leave it as it is."""
    for name in ("jinja2", "matplotlib", "PIL"):
        pytest.importorskip(name)
    folder = tmp_path_factory.mktemp("reported") / "cnn"
    words = ("--model", "avgpool_cnn", "--limit", "42", "--batch-size", "21", "--epochs", "2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_run, "plot_history", no_figure)
        patch.setattr(train_run, "plot_confusion", no_figure)
        assert train_fer.main([*words, "--quiet", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def command(capsys):
    """Return a function that runs a command: its exit code, what it printed, and its errors."""

    def run(name, *words):
        module = importlib.import_module(f"minicnn.commands.{name}")
        code = module.main([str(word) for word in words], program=f"minicnn {name}")
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def refused(command):
    """Return a function that runs what must fail, and gives the one line that says why."""

    def run(name, *words):
        code, out, error = command(name, *words)
        assert code == 2
        assert out == ""
        lines = error.splitlines()
        assert len(lines) == 1, error
        assert lines[0].startswith(f"minicnn {name}: error: ")
        return lines[0]

    return run
