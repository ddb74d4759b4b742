"""Run folders read back: what is there, and what is said of what is not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from minicnn import zoo
from minicnn.errors import DataError
from minicnn.io import WeightsMetadata, save_weights
from minicnn.report.run_files import experiment_around, read_experiment, read_run
from minicnn.training.history import COLUMNS, FOLD_COLUMNS, History, write_rows

pytestmark = pytest.mark.host

FILES = ("config.json", "history.csv", "weights.safetensors")


def row(epoch, loss=1.0):
    return dict.fromkeys(COLUMNS, loss) | {"epoch": epoch}


def make_run(folder, accuracy=1):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"options": {}, "data": {}}')
    History([row(1), row(2)]).write_csv(folder / "history.csv")
    model = zoo.build("plain_dnn", input_shape=(8, 8, 1))
    metadata = WeightsMetadata(model=model.name, arguments=model.arguments)
    save_weights(folder / "weights.safetensors", model, metadata=metadata)
    scores = {"confusion_matrix": [[accuracy, 0], [0, 1]], "loss": 0.5}
    metrics = {"splits": {"validation": scores}, "data": "faces.csv"}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run")


def test_a_run_is_read_whole(run):
    files = read_run(run)
    assert files.network.name == "plain_dnn"
    assert [len(history) for history in files.histories] == [2]
    np.testing.assert_array_equal(files.scores.confusion, np.eye(2))


@pytest.mark.parametrize(
    ("gone", "listed"),
    [
        (FILES, "config.json, history.csv and weights.safetensors"),
        (FILES[1:], "history.csv and weights.safetensors"),
        (FILES[:1], "config.json"),
    ],
)
def test_what_is_missing_is_listed(run, gone, listed):
    for name in gone:
        (run / name).unlink()
    with pytest.raises(DataError, match=f"the run is incomplete, it lacks {listed};"):
        read_run(run)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        read_run(tmp_path / "nothing")


def test_a_run_that_has_not_ended_has_no_scores(run):
    (run / "metrics.json").unlink()
    assert read_run(run).scores is None


def test_each_fold_has_its_history(run):
    rows = [{"fold": fold, **row(epoch, fold)} for fold in (1, 2) for epoch in (1, 2, 3)]
    write_rows(run / "history.csv", FOLD_COLUMNS, rows)
    histories = read_run(run).histories
    assert [history.column("train_loss") for history in histories] == [[1.0] * 3, [2.0] * 3]


@pytest.mark.parametrize("name", ["config.json", "metrics.json"])
@pytest.mark.parametrize("text", ["", "[]", "{}", "\x00"])
def test_damaged_files_are_named(run, name, text):
    (run / name).write_text(text)
    with pytest.raises(DataError, match=f"{name}: damaged"):
        read_run(run)


@pytest.fixture
def experiment(tmp_path):
    for number, name in enumerate(("cnn", "dnn"), 1):
        make_run(tmp_path / name, number)
    plan = {"kind": "compare_dnn", "runs": ["cnn", "dnn"], "settings": {}, "given": {}}
    (tmp_path / "experiment.json").write_text(json.dumps(plan))
    (tmp_path / "comparison.json").write_text('{"runs": []}')
    return tmp_path


def test_an_experiment_is_read_with_its_runs(experiment):
    found = read_experiment(experiment)
    assert found.kind == "compare_dnn"
    assert [scores.count for scores in found.scores.values()] == [2, 3]
    assert [len(history) for history in found.histories.values()] == [2, 2]
    assert found.source == "faces.csv"


def test_another_folder_is_no_experiment(run):
    assert read_experiment(run) is None
    assert experiment_around(run) is None


def test_an_experiment_that_goes_on_says_so(experiment):
    (experiment / "comparison.json").unlink()
    with pytest.raises(DataError, match=r"it lacks comparison\.json; go on with it by --resume"):
        read_experiment(experiment)
    assert experiment_around(experiment / "cnn") is None


def test_an_unknown_experiment_is_refused(experiment):
    (experiment / "experiment.json").write_text('{"kind": "magic", "runs": []}')
    with pytest.raises(DataError, match="unknown experiment, 'magic'"):
        read_experiment(experiment)


def test_a_run_knows_the_experiment_around_it(experiment):
    assert experiment_around(experiment / "cnn").kind == "compare_dnn"
    make_run(experiment / "other")
    assert experiment_around(experiment / "other") is None
