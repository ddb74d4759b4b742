"""Curves, comparisons and how to repeat them, from what experiments and runs wrote."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest

from minicnn.report.page.render import _environment
from minicnn.report.page.runs import compared_of, curves_of, repeat_of, run_title, sentence_of
from minicnn.report.run_files import Experiment, RunFiles
from minicnn.training.history import COLUMNS, History
from minicnn.training.metrics import Scores

pytestmark = pytest.mark.host


def history(*accuracies):
    rows = [
        dict.fromkeys(COLUMNS, 1.0) | {"epoch": epoch, "validation_accuracy": accuracy}
        for epoch, accuracy in enumerate(accuracies, 1)
    ]
    return History(rows)


def row(name, accuracy, **more):
    return {
        "run": name, "accuracy": accuracy, "standard_error": 0.01, "macro_f1": 0.5, "epochs": 2,
        "train_accuracy": 0.9, "parameters": 1000, "best_epoch": 2, "seconds": 3.0, **more,
    }  # fmt: skip


def compared(gain=0.2, spread=0.01, data="faces.csv"):
    rows = [row("cnn", 0.5 + gain), row("dnn", 0.5, parameters=1001)]
    return Experiment(
        Path("/nowhere"),
        {"kind": "compare_dnn", "runs": ["cnn", "dnn"], "report": True},
        {
            "runs": rows,
            "data": data,
            "difference": {"accuracy": gain, "standard_error": spread},
            "reported": {"cnn": 0.7, "dnn": None},
        },
        {"cnn": history(0.4, 0.7), "dnn": history(0.3, 0.5)},
        {name: Scores(np.eye(2, dtype=int)) for name in ("cnn", "dnn")},
        "faces.csv",
    )


def effect(factor, level, where, accuracy, *, clear=True, reported=None):
    return {
        "factor": factor, "level": level, "against": "none", "where": where, "accuracy": accuracy,
        "standard_error": 0.01, "macro_f1": 0.0, "reported": reported, "clear": clear,
    }  # fmt: skip


def ablated(*effects):
    names = ["normalize-none_augment-none", "normalize-pixel_augment-none"]
    return Experiment(
        Path("/nowhere"),
        {"kind": "ablation", "runs": names},
        {"runs": [row(name, 0.5) for name in names], "effects": list(effects)},
        {name: history(0.4, 0.5) for name in names},
        {},
        "faces.csv",
    )


@pytest.mark.parametrize(
    ("gain", "spread", "texts"),
    [
        (
            0.2,
            0.01,
            ("cnn (70.0%) is ahead of dnn (50.0%)", "by 20.0 points (standard error 1.0)."),
        ),
        (-0.03, 0.01, ("cnn (47.0%) is behind dnn", "by 3.0 points")),
        (0.01, 0.01, ("is ahead of", "which is within the noise.")),
    ],
)
def test_a_comparison_is_told_in_a_sentence(gain, spread, texts):
    sentence = sentence_of(compared(gain, spread))
    for text in texts:
        assert text in sentence
    assert "1,001 parameters beside 1,000" in sentence


def test_an_ablation_tells_means_where_there_are_some():
    lone = effect("augment", "flip", "none", -0.02, clear=False)
    parts = [effect("normalize", "pixel", where, 0.01) for where in ("none", "flip")]
    mean = effect("normalize", "pixel", "all", 0.03)
    sentence = sentence_of(ablated(lone, *parts, mean))
    assert sentence.count("changes it") == 2
    assert "augment flip instead of none changes it by \N{MINUS SIGN}2.0 points" in sentence
    assert "within the noise" in sentence
    assert "normalize pixel instead of none changes it by +3.0 points" in sentence


def test_every_run_has_its_curves_and_its_row():
    found = compared_of(compared(), "dnn")
    assert [chart.title for chart in found["charts"]] == ["Accuracy", "Loss"]
    lines = found["charts"][0].lines
    assert [(line.name, line.dashed, line.listed) for line in lines] == [
        ("cnn, training", True, False), ("cnn", False, True),
        ("dnn, training", True, False), ("dnn", False, True),
    ]  # fmt: skip
    assert [line.color for line in lines] == [0, 0, 1, 1]
    assert [each["here"] for each in found["rows"]] == [False, True]
    assert [each["reported"] for each in found["rows"]] == [0.7, None]
    assert found["page"] == "../report.html"


def test_what_was_reported_is_not_shown_beside_drawn_faces():
    found = compared_of(compared(data=None))
    assert not found["has_reported"]
    assert [each["reported"] for each in found["rows"]] == [None, None]
    assert found["page"] is None


def test_only_pages_that_are_there_are_linked(tmp_path):
    experiment = Experiment(tmp_path, *list(vars(compared()).values())[1:])
    (tmp_path / "dnn").mkdir()
    (tmp_path / "dnn" / "report.html").write_text("")
    pages = [each["page"] for each in compared_of(experiment)["rows"]]
    assert pages == [None, "dnn/report.html"]


def test_effects_lie_on_their_side_of_zero():
    effects = compared_of(
        ablated(effect("normalize", "pixel", "none", -0.02), effect("augment", "flip", "none", 0.04,
                                                                   reported=0.06))
    )["effects"]  # fmt: skip
    left, right = effects
    assert left["low"] < left["at"] < left["high"] == 50 < right["low"] < right["at"]
    assert right["at"] < right["reported_at"] <= 98
    assert right["reported_at"] - 50 == pytest.approx(1.5 * (right["at"] - 50))
    assert left["reported_at"] is None
    flat = compared_of(ablated(effect("augment", "flip", "none", 0.0) | {"standard_error": 0.0}))
    assert flat["effects"][0]["at"] == 50


def test_effects_within_the_noise_are_called_so():
    pytest.importorskip("jinja2")
    sure = effect("augment", "flip", "none", 0.04)
    unsure = effect("augment", "strong", "none", 0.01, clear=False)
    page = _environment().from_string(
        '{% import "macros.html" as show with context %}{% include "comparison.html" %}'
    )
    text = page.render(comparison=compared_of(ablated(sure, unsure)), told_above=True)
    rows = text.split('<ul class="effects">')[1].split("</li>")
    assert ["within the noise" in row for row in rows[:2]] == [False, True]


def files_of(rows, metrics=None):
    return RunFiles(Path("/nowhere"), {}, [History(rows)], None, metrics, {})


def test_a_training_that_diverged_has_no_curve_of_the_loss():
    nan = float("nan")
    row = dict.fromkeys(COLUMNS, nan) | {"epoch": 1, "validation_accuracy": 0.2}
    found = curves_of(files_of([row]))
    assert [chart.title for chart in found["charts"]] == ["Accuracy"]
    assert found["missing"] == ["loss"]
    assert found["seconds"] == 0
    assert curves_of(files_of([]))["charts"] == []


def test_names_of_runs_are_written_for_people():
    assert run_title("normalize-none_augment-flip_seed-3") == "normalize none, augment flip, seed 3"
    assert run_title("avgpool_cnn") == "avgpool_cnn"


def test_the_command_stands_on_lines_that_can_be_copied():
    command = "python examples/train_fer.py --out 'my runs/b' --epochs 8 --no-prefetch"
    found = repeat_of({"command": command, "options": {"epochs": 8, "prefetch": False}})
    lines = found["command"].splitlines()
    assert lines[0] == "python examples/train_fer.py \\"
    assert lines[1:] == ["  --out 'my runs/b' \\", "  --epochs 8 \\", "  --no-prefetch"]
    assert shlex.split(found["command"].replace("\\\n", " ")) == shlex.split(command)
    assert found["options"] == {"epochs": "8", "prefetch": "no"}


def test_what_no_shell_would_read_stands_as_it_is():
    assert repeat_of({"command": "python 'x", "options": {}})["command"] == "python 'x"


def test_only_variables_that_are_set_are_listed():
    machine = {"cores": 2, "byte_order": "little", "threads": {"A_B": None, "C_D": "1"}}
    assert repeat_of({"machine": machine})["machine"] == {
        "cores": 2, "byte order": "little", "C_D": "1"
    }  # fmt: skip


def test_options_are_written_as_what_they_are():
    found = repeat_of({"given": {"seed": 0, "limit": None}, "settings": {"repeats": 1, "a": ["x"]}})
    assert found["options"] == {"repeats": "1", "a": "x", "seed": "0", "limit": "none"}
    assert found["command"] == ""
