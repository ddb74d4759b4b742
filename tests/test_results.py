"""docs/results.md says what the files of the runs beside it say, and every kept run is in it."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.host

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "results.md").read_text(encoding="utf-8")
RUN_FILES = {"config.json", "history.csv", "metrics.json"}
EXPERIMENT_FILES = {"experiment.json", "comparison.json", "ablation.json"}
RUNS = sorted(path.parent for path in (DOCS / "results").rglob("config.json"))
EXPERIMENTS = sorted(path.parent for path in (DOCS / "results").rglob("experiment.json"))


def name_of(folder):
    return str(folder.relative_to(DOCS))


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def cells_of(folder):
    """Return the cells behind the link to a run's folder in the table that has it."""
    link = re.escape(f"({name_of(folder)}/) |")
    (line,) = re.findall(rf"^\| \[[^\]]+\]{link}(.*)\|$", TEXT, re.M)
    return [cell.strip() for cell in line.split("|")]


def test_nothing_but_small_files_of_runs_is_kept():
    kept = [path for path in (DOCS / "results").rglob("*") if path.is_file()]
    assert {path.name for path in kept} <= RUN_FILES | EXPERIMENT_FILES
    for path in kept:  # 120 bytes for each epoch of a long history, else 20 kB
        lines = path.read_text().count("\n") if path.name == "history.csv" else 0
        assert path.stat().st_size < max(20_000, 120 * lines), path
    assert RUNS
    assert EXPERIMENTS
    for folder in RUNS:
        assert {path.name for path in folder.iterdir()} == RUN_FILES


@pytest.mark.parametrize("folder", RUNS, ids=name_of)
def test_a_row_is_what_its_run_has_written(folder):
    # Behind the name: reported; accuracy, with views, in training; best epoch of epochs; minutes.
    _, accuracy, of_views, in_training, epochs, minutes = cells_of(folder)
    metrics = read(folder / "metrics.json")
    with open(folder / "history.csv", newline="", encoding="utf-8") as file:
        history = list(csv.DictReader(file))
    assert accuracy == f"{metrics['splits']['validation']['accuracy']:.4f}"
    views = metrics.get("splits_of_views")
    assert of_views == ("" if views is None else f"{views['validation']['accuracy']:.4f}")
    assert in_training == f"{metrics['splits']['train']['accuracy']:.4f}"
    assert epochs == f"{metrics['best_epoch']} of {len(history)}"
    assert int(minutes) == round(sum(float(row["seconds"]) for row in history) / 60)


@pytest.mark.parametrize("folder", RUNS, ids=name_of)
def test_a_kept_run_was_made_from_the_data_and_names_no_place_of_a_machine(folder):
    config = read(folder / "config.json")
    assert config["versions"]["minicnn"]
    assert config["data"]["source"] == config["options"]["data"] == "fer2013.csv.gz"
    assert config["data"]["validation"] == "public_test"
    for path in folder.iterdir():
        assert not re.search(r"/(work|home|root|tmp)/", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("folder", EXPERIMENTS, ids=name_of)
def test_an_experiment_is_told_with_its_command_and_its_outcome(folder):
    plan = read(folder / "experiment.json")
    assert set(plan["runs"]) == {path.name for path in folder.iterdir() if path.is_dir()}
    assert plan["command"] in TEXT
    if plan["kind"] == "compare_dnn":
        found = read(folder / "comparison.json")["difference"]
        assert f"{found['accuracy']:.3f} (standard error {found['standard_error']:.3f})" in TEXT
    else:
        for each in read(folder / "ablation.json")["effects"]:
            reported = "" if each["reported"] is None else f"{each['reported']:+.3f}"
            assert (
                f"| {each['factor']}: {each['against']} to {each['level']} | {each['where']} | "
                f"{each['accuracy']:+.3f} | {each['standard_error']:.3f} | {reported} |"
            ) in TEXT
