"""The script as a person runs it, in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.host

pytest.importorskip("matplotlib")

EXAMPLES = Path(__file__).parents[2] / "examples"
TRAIN, EXPLAIN = (str(EXAMPLES / f"{name}.py") for name in ("train_fer", "explain_fer"))
TINY = ("--faces", "1", "--measure", "1", "--samples", "2", "--steps", "2", "--filters", "1")


def test_the_script_explains_what_the_other_trained(python, tmp_path):
    run = tmp_path / "run"
    options = ("--model", "plain_dnn", "--limit", "28", "--epochs", "1", "--no-report", "--quiet")
    done = python(TRAIN, *options, "--out", str(run))
    assert done.returncode == 0, done.stderr
    done = python(EXPLAIN, str(run), *TINY)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "4 figures and the numbers are in" in done.stdout
    for name in ("explanations.png", "masked.png", "curves.png", "classes.png"):
        assert (run / "explanations" / name).stat().st_size > 5000


def test_errors_are_one_line_and_exit_code_2(python, tmp_path):
    done = python(EXPLAIN, str(tmp_path))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("explain_fer: error: ")
    assert "it lacks weights.safetensors and config.json" in done.stderr
    assert done.stderr.count("\n") == 1
