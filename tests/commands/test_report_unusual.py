"""Pages of unusual runs: damaged files, odd names, other shapes, trainings that diverged."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
from html_pages import read_page

from minicnn import zoo
from minicnn.commands import reporting
from minicnn.commands.explaining import Settings, resolve_layers
from minicnn.commands.run_folder import RunFolder
from minicnn.commands.trained_run import Part
from minicnn.data import FaceDataset
from minicnn.files import hash_of
from minicnn.io import WeightsMetadata, save_weights
from minicnn.report.page import Evaluated
from minicnn.training.history import COLUMNS, History

pytestmark = pytest.mark.host

ODD = ("<script>alert(1)</script>", "A & \"B\" 'c'")


@pytest.fixture
def run(reported, tmp_path):
    """Return a copy of the run, which a test may change."""
    return RunFolder(shutil.copytree(reported, tmp_path / "cnn"))


@pytest.fixture
def quick(monkeypatch):
    """Explain nothing: it takes most of the time."""

    def refuse(*arguments, **options):
        raise reporting.DataError("not now")

    monkeypatch.setattr(reporting, "explanations_of", refuse)


def change(file, **values):
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


# Files that are not as a run writes them.


@pytest.mark.parametrize("values", [{"epochs": "x"}, {"limit": -3}, {"batch_size": 0}])
def test_damaged_options_are_an_error(run, refused, values):
    before = run.report.read_text()
    options = json.loads(run.config.read_text())["options"]
    change(run.config, options=options | values)
    assert "config.json: damaged (" in refused("report", run)
    assert run.report.read_text() == before


def test_the_weights_of_another_network_are_an_error(run, trained, refused):
    shutil.copy(trained / "weights.safetensors", run.weights)
    assert "config.json is of avgpool_cnn, weights.safetensors of plain_dnn" in refused(
        "report", run
    )


@pytest.mark.parametrize("size", [0, 1000])
def test_weights_that_were_not_written_whole_are_an_error(run, refused, size):
    os.truncate(run.weights, size)
    assert "weights.safetensors: not a whole safetensors file" in refused("report", run)


def test_a_place_that_cannot_be_written_is_an_error(run, refused, quick, monkeypatch):
    def refuse(*arguments):
        raise PermissionError(13, "Permission denied", str(run.path / ".report.tmp"))

    monkeypatch.setattr("minicnn.files._create", refuse)
    assert "report.html: cannot be written (Permission denied)" in refused("report", run)


def test_explanations_that_lack_something_are_left_aside(run, command, quick):
    run.explanations.mkdir()
    found = reporting.Explanations({"methods": {}}, {"faces": np.zeros((1, 2, 2, 1), np.uint8)})
    found.content["weights_sha256"] = hash_of(run.weights)
    assert not found.complete
    found.save(run.explanations)
    code, out, _ = command("report", run)
    assert code == 0
    assert "damaged or of other weights" in out


# Other networks and faces.


def make(folder, shape, names, *, model="small_cnn", epochs=1, spoil=None):
    """Write the files of a run that was never trained, and return what a page shows of it."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    network = zoo.build(model, input_shape=shape, num_classes=len(names))
    network.eval()
    for parameter in network.parameters():
        if spoil is not None:
            parameter.data[...] = spoil
    metadata = WeightsMetadata(model=model, arguments=network.arguments, class_names=names)
    save_weights(folder / "weights.safetensors", network, metadata=metadata)
    config = {"options": {"model": model}, "command": f"x --name '{ODD[0]}'"}
    (folder / "config.json").write_text(json.dumps(config))
    rows = [dict.fromkeys(COLUMNS, 0.5) | {"epoch": epoch} for epoch in range(1, epochs + 1)]
    History(rows).write_csv(folder / "history.csv")
    labels = np.arange(20) % len(names)
    labels[16:] = -1
    dataset = FaceDataset(
        images=rng.integers(0, 256, (20, *shape), np.uint8),
        labels=labels,
        ids=np.arange(20).astype(str),
        usage=np.repeat(["train", "validation", "test"], (8, 8, 4)),
        class_names=names,
    )
    faces = dataset.split("validation")
    probabilities = rng.dirichlet(np.ones(len(names)), 8)
    if spoil is not None:
        probabilities[:] = spoil
    part = Part(faces, "validation", ODD[0])
    evaluated = Evaluated(faces, probabilities, part.split, part.source)
    return RunFolder(folder), network, reporting.Shown(part, evaluated, dataset)


@pytest.fixture
def tiny(monkeypatch):
    """Explain a few faces in a few steps."""

    def settings(network, **options):
        layer, features = resolve_layers(network, None, ())
        return Settings(
            layer, features, faces=2, measured=2, filters=2, samples=2, steps=2, curve_steps=3,
            **options,
        )  # fmt: skip

    monkeypatch.setattr(reporting, "quick_settings", settings)


@pytest.mark.parametrize(
    ("shape", "names"),
    [((32, 32, 3), ("a", "b", "c")), ((40, 24, 1), ("a", "b"))],
    ids=["colours", "oblong"],
)
def test_pictures_of_other_shapes_are_shown(tiny, tmp_path, shape, names):
    page = read_page(reporting.write_report(*make(tmp_path / "run", shape, names)))
    assert not page.every("p", "missing") or all(
        "stands alone" in each.text for each in page.every("p", "missing")
    )
    assert len(page.by_id("explanations").every("article")) == 2
    assert len(page.first("table", "matrix").first("tbody").every("tr")) == len(names)
    kind = "values" if shape[2] == 3 else "grey values"
    assert f"Their {kind} have a mean of" in page.by_id("data").text
    assert "test: 4 faces, 4 without a label" in page.by_id("data").text


def test_names_are_shown_as_they_are(tiny, tmp_path):
    run, network, shown = make(tmp_path / "run", (16, 16, 1), ODD, model="plain_dnn")
    page = read_page(reporting.write_report(run, network, shown))
    assert len(page.every("script")) == 1
    headers = page.first("table", "matrix").first("thead").every("th")
    assert [each.text for each in headers[1:]] == list(ODD)
    assert f"8 faces of validation, {ODD[0]}" in page.text
    assert {f"A face labelled {name}" for name in ODD} <= {
        each["alt"] for each in page.by_id("data").every("img")
    }


def test_one_epoch_and_none_have_their_pages(quick, tmp_path):
    for epochs in (0, 1):
        run, network, shown = make(
            tmp_path / str(epochs), (16, 16, 1), ("a", "b"), model="plain_dnn", epochs=epochs
        )
        curves = read_page(reporting.write_report(run, network, shown)).by_id("curves")
        assert ("The history has no epochs yet." in curves.text) == (epochs == 0)
        assert len(curves.every("figure", "chart")) == 2 * epochs
        assert not epochs or "1 epoch." in curves.text


def test_a_network_without_finite_scores_is_said_to_have_diverged(tmp_path):
    run, network, shown = make(
        tmp_path / "run", (16, 16, 1), ("a", "b"), model="plain_dnn", spoil=np.nan
    )
    page = read_page(reporting.write_report(run, network, shown))
    for name in ("mistakes", "calibration", "explanations", "layers"):
        assert "are not finite numbers, its training diverged" in page.by_id(name).text
    assert "train: 8 faces" in page.by_id("data").text


def test_a_network_of_zeros_has_maps_without_mass(tiny, tmp_path):
    run, network, shown = make(tmp_path / "run", (32, 32, 1), ("a", "b"), spoil=0.0)
    shown.evaluated.probabilities[:] = 0.5
    page = read_page(reporting.write_report(run, network, shown))
    rows = page.by_id("explanations").table("Methods")[1:]
    assert rows[0][:2] == ["Saliency", "\N{EN DASH}"]
    assert "of the saliency" not in page.by_id("short").text
