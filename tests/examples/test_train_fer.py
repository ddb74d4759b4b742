"""The script as a person runs it, in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.host

SCRIPT = Path(__file__).parents[2] / "examples" / "train_fer.py"
TINY = ("--limit", "64", "--epochs", "1", "--batch-size", "32")


def test_the_script_trains_and_writes_into_its_folder(python, tmp_path):
    done = python(str(SCRIPT), *TINY, "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "not real faces" in done.stdout
    assert "\r" not in done.stdout  # no bar in a log
    for name in (
        "config.json",
        "metrics.json",
        "weights.safetensors",
        "figures/confusion.png",
        "report.html",
    ):
        assert (tmp_path / "run" / name).stat().st_size > 100


def test_errors_are_one_line_and_exit_code_2(python, tmp_path):
    done = python(
        str(SCRIPT), "--data", str(tmp_path / "nothing.csv"), "--out", str(tmp_path / "r")
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("train_fer: error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_script_with_130_and_a_word_on_how_to_go_on(tmp_path, number):
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), "--model", "plain_dnn", "--limit", "32", "--epochs", "9999",
         "--out", str(tmp_path / "run")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={"PYTHONPATH": str(SCRIPT.parents[1]), "PATH": ""},
    )  # fmt: skip
    for line in process.stdout:
        if line.startswith("epoch "):
            break
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "go on with: python " in errors
    assert "--resume --out" in errors
    assert "Traceback" not in errors
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()
