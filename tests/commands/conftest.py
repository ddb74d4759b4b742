"""What tests of commands share: a run that was trained, and how they call commands."""

from __future__ import annotations

import importlib

import pytest

from minicnn.commands import train_fer, train_run

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


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Train a tiny network on drawn faces; the folder of the run. Tests leave it as it is."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_run, "plot_history", no_figure)
        patch.setattr(train_run, "plot_confusion", no_figure)
        assert train_fer.main([*FAST, "--out", str(folder)]) == 0
    return folder


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
