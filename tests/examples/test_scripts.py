"""The example scripts as a person runs them, each in a process of its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.host

EXAMPLES = Path(__file__).parents[2] / "examples"
TINY = ("--limit", "21", "--epochs", "1", "--batch-size", "8", "--no-report", "--quiet")


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.py")))
def test_every_script_has_a_help_with_an_example(name, python):
    script = EXAMPLES / f"{name}.py"
    done = python(str(script), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"usage: python {script}" in done.stdout.replace("\n       ", " ")
    assert "example" in done.stdout


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.py")))
def test_every_script_complains_in_one_line(name, python):
    done = python(str(EXAMPLES / f"{name}.py"), "--nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{name}: error: ")
    assert done.stderr.count("\n") == 1


def test_the_problem_sheets_agree(python):
    done = python(str(EXAMPLES / "math_problems.py"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "mean squared reconstruction error: 5.47203291 (published: 5.472): agrees" in done.stdout


def test_a_picture_is_told_by_the_weights_of_a_comparison(python, tmp_path):
    out = tmp_path / "compare"
    done = python(str(EXAMPLES / "compare_dnn.py"), *TINY, "--output", str(out))
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads((out / "comparison.json").read_text())["runs"]
    assert [row["run"] for row in rows] == ["avgpool_cnn", "avgpool_dnn"]
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, (70, 50, 4), np.uint8)
    image.fromarray(pixels).save(tmp_path / "face.png")
    words = (str(out / "avgpool_dnn"), str(tmp_path / "face.png"), str(tmp_path / "no.png"))
    done = python(str(EXAMPLES / "predict.py"), *words)
    assert done.returncode == 1
    assert done.stderr.startswith(f"warning: skipped {tmp_path / 'no.png'}: cannot be read")
    assert "face.png (50x70, centre square)" in done.stdout
    assert (tmp_path / "face.png.prediction.png").stat().st_size > 1000


def test_an_ablation_in_seconds(python, tmp_path):
    words = ("--model", "plain_dnn", *TINY, "--out", str(tmp_path / "run"))
    done = python(str(EXAMPLES / "ablation.py"), *words)
    assert (done.returncode, done.stderr) == (0, "")
    effects = json.loads((tmp_path / "run" / "ablation.json").read_text())["effects"]
    assert len(effects) == 6
