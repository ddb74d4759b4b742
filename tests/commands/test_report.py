"""The page of a run: each section says what the run's files say; what is missing is told."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
from itertools import pairwise

import numpy as np
import pytest
from faces_csv import write_faces
from html_pages import read_page

from minicnn import Tensor, zoo
from minicnn.commands import report, reporting
from minicnn.commands.run_folder import RunFolder
from minicnn.commands.train_data import load_faces
from minicnn.commands.train_options import Options
from minicnn.data import CLASS_NAMES, audit
from minicnn.inspect import summary
from minicnn.report.page import render

pytestmark = pytest.mark.host

SECTIONS = (
    *("short", "confusions", "mistakes", "calibration", "curves", "explanations", "layers"),
    *("comparison", "network", "data", "repeat"),
)


@pytest.fixture(scope="module")
def page(reported):
    return read_page(reported / "report.html")


@pytest.fixture(scope="module")
def metrics(reported):
    return json.loads((reported / "metrics.json").read_text())


@pytest.fixture
def run(reported, tmp_path):
    """Return a copy of the run, which a test may change."""
    return RunFolder(shutil.copytree(reported, tmp_path / "cnn"))


def section(page, name):
    found = page.by_id(name)
    assert found.tag == "section"
    return found


def percent(share, digits=0):
    return f"{100 * share:.{digits}f}%"


# The page as a whole.


def test_a_page_asks_nothing_of_any_network(reported):
    text = (reported / "report.html").read_text()
    policy = read_page(reported / "report.html").every("meta")[3]["content"]
    assert policy.startswith("default-src 'none'; img-src data:;")
    without_data = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", text)
    assert not re.search(r"https?:|url\(|@import|<script[^>]+src|fetch\(", without_data)
    assert len(text) < 8_000_000


def test_every_picture_is_inside_and_has_a_text(page):
    pictures = page.every("img")
    assert len(pictures) > 200
    for picture in pictures:
        assert picture["src"].startswith("data:image/png;base64,")
        assert picture["alt"].strip()
    for drawing in page.every("svg"):
        assert drawing.get("aria-hidden") == "true" or drawing["aria-label"].strip()


def test_every_link_leads_somewhere_and_every_id_is_one(page):
    ids = [each["id"] for each in page.every() if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    links = [each["href"] for each in page.every("a")]
    assert len(links) > 20
    assert {link for link in links if link[1:] not in ids} == set()
    named = [each.get("aria-labelledby") for each in page.every("section")]
    assert set(named) <= set(ids)


def test_every_section_is_there_with_a_heading_and_in_the_list(page):
    assert [each["id"] for each in page.every("section")] == list(SECTIONS)
    listed = [each["href"][1:] for each in page.first("nav").every("a")]
    assert listed == list(SECTIONS)
    levels = [int(each.tag[1]) for each in page.every() if re.fullmatch("h[1-6]", each.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_tables_name_their_columns_and_rows(page):
    tables = page.every("table")
    assert len(tables) >= 9
    for table in tables:
        assert table.first("caption").text
        for cell in table.every("th"):
            assert cell.get("scope") in ("row", "col") or "corner" in cell.classes


# Its sections.


def test_the_title_is_the_result(page, metrics):
    accuracy = percent(metrics["splits"]["validation"]["accuracy"], 1)
    assert page.first("h1").text == f"avgpool_cnn recognises {accuracy} of the expressions"
    assert "42 faces of validation, drawn faces (built in, not real faces)" in page.text
    facts = {each.first("dt").text: each.first("dd").text for each in
             page.first("dl", "facts").every("div")}  # fmt: skip
    assert facts["accuracy"] == accuracy
    assert facts["macro F1"] == f"{metrics['splits']['validation']['macro_f1']:.3f}"
    assert facts["parameters"] == "2.1 M"


def test_the_confusion_matrix_has_counts_and_shares(page, metrics):
    matrix = np.array(metrics["splits"]["validation"]["confusion_matrix"])
    table = section(page, "confusions").first("table", "matrix")
    rows = table.first("tbody").every("tr")
    for name, row, counts in zip(CLASS_NAMES, rows, matrix, strict=True):
        assert row.first("th").text == f"{name} {counts.sum()}"
        for cell, count in zip(row.every(of_class="cell"), counts, strict=True):
            share = count / max(counts.sum(), 1)
            assert cell.text.startswith(f"{percent(share)} {count}")
            assert (cell.tag == "a") == (count > 0)


def test_each_cell_leads_to_faces_of_its_classes(page, reported):
    faces = load_faces(Options(limit=42)).validation
    network = zoo.load(reported / "weights.safetensors")
    scores = network(Tensor(network.normalization(faces.images))).numpy()
    predicted = dict(zip(faces.ids.tolist(), scores.argmax(axis=1).tolist(), strict=True))
    labels = dict(zip(faces.ids.tolist(), faces.labels.tolist(), strict=True))
    shown = 0
    for panel in section(page, "confusions").every(of_class="cell-faces"):
        true, taken = map(int, panel["id"].split("-")[1:])
        for picture in panel.every("img"):
            id = picture["alt"].split("face ")[1]
            assert (labels[id], predicted[id]) == (true, taken)
            shown += 1
        assert 1 <= len(panel.every("img")) <= 4
    assert shown >= 20


def test_classes_and_splits_have_their_scores(page, metrics):
    rows = section(page, "confusions").table("Scores of each class")[1:]
    expected = metrics["splits"]["validation"]["classes"]
    assert [row[0] for row in rows] == list(expected)
    for row, scores in zip(rows, expected.values(), strict=True):
        numbers = [f"{scores[name]:.3f}" for name in ("precision", "recall", "f1")]
        assert row[1:] == [*numbers, str(scores["support"])]
    splits = section(page, "confusions").table("What the run achieved on each split, by")[1:]
    train = metrics["splits"]["train"]
    assert splits[0][:3] == ["train", "42", percent(train["accuracy"], 1)]
    assert splits[0][4] == f"{train['loss']:.3f}"


def test_drawn_faces_are_not_compared_with_what_is_reported_of_real_ones(page):
    assert "What others report" not in page.text


def test_mistakes_have_the_score_of_every_class(page):
    cards = section(page, "mistakes").every("article")
    assert len(cards) == 12
    for card in cards:
        true, taken = card.first("h3").text.split(", taken for ")
        rows = card.first("ul", "scores").every("li")
        assert [row.first("span", "name").text.split(" (")[0] for row in rows] == list(CLASS_NAMES)
        by_class = dict(zip(CLASS_NAMES, rows, strict=True))
        assert "true" in by_class[true].classes
        assert "predicted" in by_class[taken].classes
        values = {
            name: float(row.first("span", "fill")["style"].removeprefix("width:").rstrip("%"))
            for name, row in by_class.items()
        }
        assert taken != true
        assert values[taken] == max(values.values())
        assert sum(values.values()) == pytest.approx(100, abs=0.5)


def test_calibration_has_its_bars_and_numbers(page):
    part = section(page, "calibration")
    rows = part.table("Faces by confidence")[1:]
    assert sum(int(row[1]) for row in rows) == 42
    right = sum(int(row[1]) * float(row[3].rstrip("%")) / 100 for row in rows)
    bars = part.every("rect", "bar")
    assert len(bars) == sum(row[3] != "0.0%" for row in rows)
    accuracy = float(re.search(r"its accuracy ([\d.]+)%", part.text)[1])
    assert accuracy == pytest.approx(100 * right / 42, abs=0.2)


def test_every_epoch_is_in_the_curves_and_in_the_table(page, reported):
    with open(reported / "history.csv", newline="") as file:
        history = list(csv.DictReader(file))
    rows = section(page, "curves").table("History")[1:]
    for row, epoch in zip(rows, history, strict=True):
        assert row[0] == epoch["epoch"]
        assert row[1] == f"{float(epoch['train_loss']):.3f}"
        assert row[4] == percent(float(epoch["validation_accuracy"]), 1)
    charts = section(page, "curves").every("figure", "chart")
    assert [chart.first("figcaption").text for chart in charts] == ["Accuracy", "Loss"]
    for chart in charts:
        assert len(chart.every("polyline")) == 2
        assert len(chart.every(of_class="dot")) == 4
        assert chart.first("text", "tick").text
    told = charts[1].first("svg")["aria-label"]
    assert f"training from {float(history[0]['train_loss']):.3g} to" in told


def test_a_small_network_is_explained_by_every_method(page):
    part = section(page, "explanations")
    rows = part.table("Methods")[1:]
    methods = [row[0] for row in rows]
    assert len(methods) == 8
    assert methods[-1] == "Random order"
    assert rows[-1][1] == "44.4%"  # a square of two thirds of the sides
    cards = part.every("article")
    assert len(cards) == 6
    for card in cards:
        assert len(card.every("img")) == 1 + 7 + 1  # the face, its maps, the masked picture
        assert len(card.every("li")) == 7
    assert len(part.every(of_class="region")) == 1 + 7
    assert len(part.every("figure", "chart")) == 2
    assert len(part.every("figure", "chart")[0].every(of_class="line")) == 8
    assert "Integrated gradients add up to the score" in part.text


def test_layers_show_filters_maps_ascent_and_strongest_faces(page):
    part = section(page, "layers")
    goals = [goal.first("h4").text for goal in part.every(of_class="goal")]
    assert goals == [*CLASS_NAMES, *(f"filter {number}" for number in range(16))]
    small, maps = part.every(of_class="maps")
    assert len(small.every("img")) == 32
    assert len(maps.every("img")) == 64
    strips = part.every(of_class="strip")
    assert len(strips) == 8
    for strip in strips:
        values = [float(each.text) for each in strip.every("b")]
        assert values == sorted(values, reverse=True)
        assert len(strip.every(of_class="ring")) == 8


def test_the_network_has_its_diagram_and_its_table(page):
    part = section(page, "network")
    table = summary(zoo.build("avgpool_cnn"))
    rows = part.table("Layers")[1:]
    assert [row[0] for row in rows] == [layer.name for layer in table.layers]
    total = sum(int(row[3].replace(",", "")) for row in rows if row[3] != "\N{EN DASH}")
    assert total == table.parameters
    stages = part.first("ol", "stages").every("li")
    assert len(stages) == 14
    assert all(len(stage.every("polygon")) == 3 for stage in stages)
    assert "conv1" in stages[1].text
    assert "448 parameters" in stages[1].text


def test_the_faces_are_counted_and_audited(page):
    faces = load_faces(Options(limit=42))
    found = audit(faces.together())
    part = section(page, "data")
    balance = part.every("figure", "balance")
    assert [each.first("figcaption").text for each in balance] == [
        "train: 42 faces", "validation: 42 faces"
    ]  # fmt: skip
    for figure, counts in zip(balance, found.class_counts.values(), strict=True):
        values = [row.first("span", "value").text.split()[0] for row in figure.every("li")]
        assert values == [str(counts[name]) for name in CLASS_NAMES]
    audited = {each.first("dd").text: each.first("dt").text for each in
               part.first("dl", "audit").every("div")}  # fmt: skip
    assert audited["pictures show nothing"] == str(len(found.blank))
    assert audited["faces of validation stand in train as well"] == "0"


def test_the_command_the_options_and_the_versions_are_told(page, reported):
    config = json.loads((reported / "config.json").read_text())
    part = section(page, "repeat")
    assert part.first("code").text.replace(" \\", "") == config["command"]
    options = dict(part.table("Configuration")[1:])
    assert options["epochs"] == "2"
    assert options["learning rate"] == str(config["options"]["learning_rate"])
    assert dict(part.table("Versions")[1:]) == config["versions"]
    assert config["data"]["sha256"] in part.text


def test_a_run_by_itself_has_no_comparison(page):
    assert "This run stands alone" in section(page, "comparison").first("p", "missing").text


# The command.


def test_a_page_is_rebuilt_and_says_the_same(run, command, reported):
    run.report.write_text("old")
    code, out, error = command("report", run)
    assert (code, error) == (0, "")
    assert out == f"report: {run.report} ({run.report.stat().st_size / 1e6:.1f} MB)\n"
    assert run.report.read_text() == (reported / "report.html").read_text()


def test_what_is_missing_is_said_by_name(run, refused):
    for name in ("config.json", "history.csv", "weights.safetensors"):
        (run.path / name).unlink()
    run.report.unlink()
    line = refused("report", run)
    assert "it lacks config.json, history.csv and weights.safetensors" in line
    assert not run.report.exists()
    assert "there is no such folder" in refused("report", run.path / "nothing")


@pytest.fixture
def quick(monkeypatch):
    """Explain nothing: it takes most of the time."""

    def refuse(*arguments, **options):
        raise reporting.DataError("not now")

    monkeypatch.setattr(reporting, "explanations_of", refuse)


def test_a_run_that_was_broken_off_has_a_page(run, command, quick):
    (run.path / "metrics.json").unlink()
    assert command("report", run)[0] == 0
    page = read_page(run.report)
    assert "recognises" in page.first("h1").text  # the faces are there to be predicted
    assert "best epoch" not in section(page, "curves").text
    assert "There are no explanations: not now." in section(page, "explanations").text


def test_without_its_faces_a_page_has_the_numbers_of_the_run(run, command, metrics):
    config = json.loads(run.config.read_text())
    config["options"]["data"] = "nothing.csv"
    run.config.write_text(json.dumps(config))
    before = run.report.read_bytes()
    code, _, refused = command("report", run)
    assert code == 2
    assert "the page that is there stays as it is: move report.html away" in refused
    assert run.report.read_bytes() == before
    run.report.unlink()
    code, _, warned = command("report", run)
    assert code == 0
    assert warned.startswith("warning: the page is without faces: ")
    page = read_page(run.report)
    accuracy = metrics["splits"]["validation"]["accuracy"]
    assert percent(accuracy, 1) in page.first("h1").text
    assert not page.every("img")
    for name in ("confusions", "mistakes", "calibration", "explanations", "layers", "data"):
        missing = section(page, name).first("p", "missing").text
        assert (
            "nothing.csv: no such file or folder; it is named in the run's config.json" in missing
        )
    assert section(page, "network").every("polygon")
    assert "What others report" in page.text  # of real faces, as the options say


def test_without_faces_and_result_a_page_says_so(run, command):
    config = json.loads(run.config.read_text())
    config["options"]["data"] = "nothing.csv"
    run.config.write_text(json.dumps(config))
    (run.path / "metrics.json").unlink()
    run.report.unlink()
    run.history.write_text(run.history.read_text().splitlines()[0] + "\n")
    assert command("report", run)[0] == 0
    page = read_page(run.report)
    assert page.first("h1").text == "avgpool_cnn"
    assert len(page.every("p", "missing")) >= 9
    assert "The history has no epochs yet." in page.text


def test_other_faces_may_be_named(run, command, quick, tmp_path, monkeypatch):
    monkeypatch.setenv("MINICNN_CACHE", str(tmp_path / "cache"))
    write_faces(tmp_path / "faces.csv", {"Training": 7, "PrivateTest": 7})
    assert command("report", run, "--data", tmp_path / "faces.csv", "--faces", "3")[0] == 0
    page = read_page(run.report)
    assert f"7 faces of private test, {tmp_path / 'faces.csv'}" in page.text
    assert len(section(page, "mistakes").every("article")) == 3
    assert "train: 7 faces" in page.text


def test_explanations_of_other_faces_say_so(run, command, tmp_path, monkeypatch):
    monkeypatch.setenv("MINICNN_CACHE", str(tmp_path / "cache"))
    explained = ("--faces", "1", "--measure", "7", "--samples", "1", "--steps", "1")
    assert command("explain_fer", run, *explained)[0] == 0
    write_faces(tmp_path / "faces.csv", {"Training": 7})
    assert command("report", run, "--data", tmp_path / "faces.csv")[0] == 0
    page = read_page(run.report)
    assert "7 faces of train, " in page.text
    assert "may have been trained on these faces" in page.text
    source = json.loads((run.explanations / "explanations.json").read_text())["data"]
    heading = section(page, "explanations").text
    assert f"In the mean over 7 faces of validation, {source}" in heading
    assert "faces.csv" not in heading
    assert f"over 7 faces of validation, {source}" in section(page, "short").text


def test_the_command_repeats_an_older_run_without_what_came_later(run, command, quick):
    config = json.loads(run.config.read_text())
    words = config["command"].split()
    place = words.index("--grow-from")
    config["command"] = " ".join(words[:place] + words[place + 2 :])
    del config["options"]["grow_from"]
    run.config.write_text(json.dumps(config))
    assert command("report", run)[0] == 0
    told = section(read_page(run.report), "repeat").first("code").text.replace(" \\", "")
    assert "--grow-from none" in told
    assert sorted(told.split()) == sorted(words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--faces", "0"), "expected a whole number of 1 or more"),
        (("--data", "nothing.csv"), "nothing.csv: no such file"),
        (("--steps", "3"), "unrecognized arguments: --steps 3"),
    ],
)
def test_command_lines_that_cannot_be_are_refused(words, message, run, refused):
    before = run.report.read_text()
    assert message in refused("report", run, *words)
    assert run.report.read_text() == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_the_old_page_stays_until_the_new_one_is_whole(run, quick, monkeypatch, capsys, error):
    def fail(*arguments):
        raise error

    before = sorted(path.name for path in run.path.iterdir())
    monkeypatch.setattr("minicnn.report.page.building.rendered", fail)
    if error is KeyboardInterrupt:
        assert report.main([str(run)]) == 130
        assert "the page is as it was" in capsys.readouterr().err
    else:
        with pytest.raises(error):
            report.main([str(run)])
    assert run.report.stat().st_size > 100_000
    assert sorted(path.name for path in run.path.iterdir()) == before


def test_the_folder_is_held_while_the_page_is_written(run, refused):
    with run.hold():
        assert "another run is writing into it; wait for its end, or name" in refused("report", run)


# Explanations.


def test_explanations_are_made_once_and_used(run, command, monkeypatch):
    monkeypatch.setattr("minicnn.commands.report.Settings", tiny_settings)
    monkeypatch.setattr("minicnn.commands.explained_run.draw_explanations", lambda *a: 0)
    assert command("report", run, "--explain")[0] == 0
    folder = run.explanations
    assert sorted(path.name for path in folder.iterdir()) == [
        "explanations.json", "explanations.safetensors"
    ]  # fmt: skip
    part = section(read_page(run.report), "explanations")
    assert len(part.every("article")) == 2
    assert len(section(read_page(run.report), "layers").every(of_class="goal")) == 7 + 3
    stamp = (folder / "explanations.safetensors").stat().st_mtime_ns

    def refuse(*arguments, **options):
        raise AssertionError("explained anew")

    with monkeypatch.context() as patch:
        for module in ("reporting", "explained_run"):
            patch.setattr(f"minicnn.commands.{module}.explanations_of", refuse)
        assert command("report", run)[0] == 0  # with those of the folder
        assert command("report", run, "--explain")[0] == 0
    assert (folder / "explanations.safetensors").stat().st_mtime_ns == stamp
    assert len(section(read_page(run.report), "explanations").every("article")) == 2
    assert command("report", run, "--explain", "--overwrite")[0] == 0
    assert (folder / "explanations.safetensors").stat().st_mtime_ns > stamp


def test_explanations_of_other_weights_are_left_aside(run, command, quick):
    run.explanations.mkdir()
    (run.explanations / "explanations.json").write_text('{"methods": {}}')
    code, out, _ = command("report", run)
    assert code == 0
    assert "is damaged or of other weights; a quick look takes its place" in out
    assert (run.explanations / "explanations.json").exists()


def tiny_settings(layer, features, **options):
    from minicnn.commands.explaining import Settings

    return Settings(
        layer, features, faces=2, measured=2, filters=3, samples=2, steps=2, curve_steps=3,
        **options,
    )  # fmt: skip


def test_a_large_network_is_explained_by_gradients_alone(run, command, monkeypatch):
    monkeypatch.setattr("minicnn.commands.explaining.SMALL", 0)
    assert command("report", run)[0] == 0
    page = read_page(run.report)
    part = section(page, "explanations")
    assert [row[0] for row in part.table("Methods")[1:]] == [
        *("Saliency", "SmoothGrad", "Gradient x input", "Guided backpropagation", "Grad-CAM")
    ]
    assert "This is a quick look" in part.text
    assert not part.every("figure", "chart")
    assert "They take longer than a quick look" in section(page, "layers").text
    assert section(page, "layers").every(of_class="ring")


# Other kinds of runs.


def test_a_dense_network_says_what_it_does_not_have(trained, tmp_path, command):
    run = RunFolder(shutil.copytree(trained, tmp_path / "dnn"))
    assert command("report", run)[0] == 0
    page = read_page(run.report)
    assert "A dense network has none." in section(page, "layers").text
    methods = [row[0] for row in section(page, "explanations").table("Methods")[1:]]
    assert "Occlusion" in methods
    assert "Grad-CAM" not in methods


def test_a_cross_validated_run_is_told_by_the_faces_outside_each_fold(
    tmp_path, command, no_figures, quick
):
    words = ("--model", "plain_dnn", "--limit", "28", "--epochs", "2", "--folds", "2", "--quiet")
    out = tmp_path / "folds"
    assert command("train_fer", *words, "--out", out)[0] == 0
    page = read_page(out / "report.html")
    metrics = json.loads((out / "metrics.json").read_text())
    assert "28 faces of all 2 folds" in page.text
    matrix = metrics["splits"]["validation"]["confusion_matrix"]
    cells = section(page, "confusions").first("table", "matrix").first("tbody").every("small")
    counts = [int(each.text) for each in cells]
    assert counts == [n for row in matrix for n in (sum(row), *row)]
    assert len(section(page, "mistakes").every("article")) > 3
    chart = section(page, "curves").first("figure", "chart")
    assert len(chart.every(of_class="faint")) == 2
    assert "the mean of 2 folds" in section(page, "curves").text
    best = metrics["weights_of_fold"]
    assert f"the weights are those of fold {best}, which was the best" in page.text
    rows = section(page, "confusions").table("What the run achieved on each split and fold")[1:]
    assert [row[:2] for row in rows] == [["validation", "28"], ["fold 1", "14"], ["fold 2", "14"]]
    # Where a fold is gone, the faces of a plain run take their place, and the page says so.
    shutil.rmtree(out / "fold-2")
    assert command("report", out)[0] == 0
    assert "28 faces of validation" in read_page(out / "report.html").text


def test_training_without_a_report_writes_none(trained):
    assert not (trained / "report.html").exists()


@pytest.mark.parametrize("name", ["jinja2", "PIL"])
def test_what_a_page_needs_is_asked_for_before_the_training(name, tmp_path, refused, monkeypatch):
    if name == "jinja2":
        monkeypatch.setattr(render, "find_spec", lambda name: None)
    else:
        monkeypatch.setitem(sys.modules, "PIL", None)
    line = refused("train_fer", "--out", tmp_path / "run")
    assert 'run: pip install "minicnn[fer]"' in line
    assert not (tmp_path / "run").exists()
