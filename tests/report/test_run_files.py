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


def result(name):
    return {
        "run": name, "parameters": 1, "best_epoch": 1, "epochs": 2, "accuracy": 0.5, "seconds": 1,
        "standard_error": 0.1, "macro_f1": 0.5, "train_accuracy": 0.6,
    }  # fmt: skip


def compared(*names):
    difference = {"accuracy": 0.1, "standard_error": 0.01}
    return {"runs": [result(name) for name in names], "difference": difference}


def make_run(folder, accuracy=1):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"options": {}, "data": {}}')
    History([row(1), row(2)]).write_csv(folder / "history.csv")
    model = zoo.build("plain_dnn", input_shape=(8, 8, 1), num_classes=2)
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


def change(file, **values):
    content = json.loads(file.read_text()) | values
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("config.json", {"options": 3}),
        ("config.json", {"machine": 5}),
        ("config.json", {"command": ["python"]}),
        ("metrics.json", {"splits": 3}),
        ("metrics.json", {"splits": {}}),
        ("metrics.json", {"splits": {"validation": None}}),
        ("metrics.json", {"best_epoch": "x"}),
        ("metrics.json", {"folds": [{}]}),
    ],
)
def test_values_of_another_type_are_a_damage(run, name, values):
    change(run / name, **values)
    with pytest.raises(DataError, match=f"{name}: damaged"):
        read_run(run)


@pytest.mark.parametrize("matrix", [[], "a", [[1, 2], [3]], [[1.5, 0], [0, 1]], [[-1, 0], [0, 1]]])
def test_what_is_no_confusion_matrix_is_a_damage(run, matrix):
    change(run / "metrics.json", splits={"validation": {"confusion_matrix": matrix, "loss": 1}})
    with pytest.raises(DataError, match=r"metrics\.json: damaged"):
        read_run(run)


def test_a_file_nested_without_end_is_a_damage(run):
    (run / "metrics.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match=r"metrics\.json: damaged"):
        read_run(run)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("config.json", {"options": {"model": "vgg16_bn"}}, "is of vgg16_bn, .* of plain_dnn"),
        ("metrics.json", {"model": "vgg16_bn"}, "is of vgg16_bn, .* of plain_dnn"),
        (
            "metrics.json",
            {"splits": {"validation": {"confusion_matrix": [[1] * 3] * 3, "loss": None}}},
            r"has 3 classes \(validation\), .* 2",
        ),
        ("metrics.json", {"best_epoch": 3}, "calls epoch 3 the best, history.csv has 2"),
    ],
)
def test_files_of_several_runs_are_refused(run, name, values, message):
    change(run / name, **values)
    with pytest.raises(DataError, match=f"{name} {message}; put back the files of one run"):
        read_run(run)


def test_each_fold_has_its_scores(run):
    fold = {"confusion_matrix": [[2, 0], [0, 0]], "loss": None}
    change(run / "metrics.json", folds=[fold, fold], weights_of_fold=2)
    splits = read_run(run).splits
    assert list(splits) == ["validation", "fold 1", "fold 2"]
    assert splits["fold 2"].count == 2


@pytest.fixture
def experiment(tmp_path):
    for number, name in enumerate(("cnn", "dnn"), 1):
        make_run(tmp_path / name, number)
    plan = {"kind": "compare_dnn", "runs": ["cnn", "dnn"], "settings": {}, "given": {}}
    (tmp_path / "experiment.json").write_text(json.dumps(plan))
    (tmp_path / "comparison.json").write_text(json.dumps(compared("cnn", "dnn")))
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


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("experiment.json", {"runs": 3}, r"experiment\.json: damaged"),
        ("comparison.json", {"difference": {}}, r"comparison\.json: damaged"),
        ("comparison.json", {"runs": [{"run": "cnn"}]}, r"comparison\.json: damaged"),
        ("comparison.json", {"runs": [result("cnn"), result("other")]}, "the runs cnn, other, "),
        ("comparison.json", {"runs": []}, "the runs none, "),
    ],
)
def test_a_damaged_experiment_is_refused(experiment, name, values, message):
    change(experiment / name, **values)
    with pytest.raises(DataError, match=message):
        read_experiment(experiment)


def test_an_experiment_has_one_set_of_classes(experiment):
    scores = {"confusion_matrix": [[1] * 3] * 3, "loss": None}
    change(experiment / "dnn" / "metrics.json", splits={"validation": scores})
    with pytest.raises(DataError, match="its runs differ in their classes"):
        read_experiment(experiment)


def test_a_damaged_effect_is_refused(experiment):
    (experiment / "experiment.json").write_text('{"kind": "ablation", "runs": ["cnn", "dnn"]}')
    content = {"runs": [result("cnn"), result("dnn")], "effects": [{"factor": "augment"}]}
    (experiment / "ablation.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"ablation\.json: damaged"):
        read_experiment(experiment)
