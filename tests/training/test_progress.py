"""Progress: a bar on a terminal only, and one line for each epoch everywhere."""

from __future__ import annotations

import io

import pytest

from minicnn.errors import NotANumberError
from minicnn.ops.class_loss import cross_entropy
from minicnn.training import progress
from minicnn.training.progress import Progress

pytestmark = pytest.mark.host


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_log_gets_one_line_for_each_epoch(make_run):
    log = io.StringIO()
    history = make_run(Progress(log)).fit(2)
    lines = log.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2 | loss ")
    assert f"accuracy {history[1]['validation_accuracy']:.1%}" in lines[1]
    assert "images/s" in lines[1]
    assert "\r" not in log.getvalue()


def test_a_terminal_gets_a_bar_that_leaves_the_lines(make_run, monkeypatch):
    monkeypatch.setattr(progress, "REFRESH", 0.0)
    screen = Terminal()
    make_run(Progress(screen)).fit(2)
    assert "epoch 1/2:" in screen.getvalue()
    assert "loss " in screen.getvalue()
    assert "\r" in screen.getvalue()
    left = [part for part in screen.getvalue().split("\r") if part.endswith("images/s\n")]
    assert len(left) == 2


def test_the_bar_is_closed_when_training_fails(make_run):
    def loss(logits, labels):
        return cross_entropy(logits, labels) * float("nan")

    shown = Progress(Terminal())
    with pytest.raises(NotANumberError):
        make_run(shown, loss=loss).fit(1)
    assert shown._bar is None


def test_without_validation_the_line_does_not_speak_of_it(make_run):
    log = io.StringIO()
    run = make_run(Progress(log))
    run.trainer.fit(run.train_loader, epochs=1)
    assert "validation" not in log.getvalue()
