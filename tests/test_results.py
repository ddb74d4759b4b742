"""The tables of docs/results.md say what the files of the runs beside them say."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.host

DOCS = Path(__file__).parents[1] / "docs"
FILES = {"config.json", "history.csv", "metrics.json"}
ROW = re.compile(r"^\| \[(?P<name>[^\]]+)\]\(results/(?P<folder>[\w-]+)/?\) \|(?P<rest>.*)\|$", re.M)


def rows():
    text = (DOCS / "results.md").read_text(encoding="utf-8")
    return [
        pytest.param(
            match["folder"],
            [cell.strip() for cell in match["rest"].split("|")],
            id=match["folder"],
        )
        for match in ROW.finditer(text)
    ]


def test_every_kept_run_is_complete_and_has_its_row():
    folders = {path.name for path in (DOCS / "results").iterdir()}
    assert folders == {each.id for each in rows()}
    for folder in folders:
        assert {path.name for path in (DOCS / "results" / folder).iterdir()} == FILES


@pytest.mark.parametrize(("folder", "cells"), rows())
def test_a_row_is_what_its_run_has_written(folder, cells):
    # Columns behind the name: reported; accuracy, with views; best epoch of epochs; minutes.
    _, accuracy, of_views, epochs, minutes, *_ = cells
    files = DOCS / "results" / folder
    metrics = json.loads((files / "metrics.json").read_text())
    with open(files / "history.csv", newline="") as file:
        history = list(csv.DictReader(file))
    assert accuracy.strip("*") == f"{metrics['splits']['validation']['accuracy']:.4f}"
    views = metrics.get("splits_of_views")
    assert of_views == ("" if views is None else f"{views['validation']['accuracy']:.4f}")
    assert epochs == f"{metrics['best_epoch']} of {len(history)}"
    assert int(minutes) == round(sum(float(row["seconds"]) for row in history) / 60)


@pytest.mark.parametrize(("folder", "cells"), rows())
def test_a_kept_run_was_made_by_minicnn_from_the_data_and_names_no_place_of_a_machine(
    folder, cells
):
    files = DOCS / "results" / folder
    config = json.loads((files / "config.json").read_text())
    assert config["versions"]["minicnn"]
    assert config["data"]["source"] == config["options"]["data"] == "fer2013.csv.gz"
    assert config["data"]["validation"] == "public_test"
    for file in files.iterdir():
        assert not re.search(r"/(work|home|root|tmp)/", file.read_text())
