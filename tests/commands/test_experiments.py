"""Experiments: several runs in one folder, compared, refused, broken off and gone on with."""

from __future__ import annotations

import csv
import json
import shlex

import numpy as np
import pytest
from faces_csv import write_faces
from html_pages import read_page

from minicnn.commands import ablation, compare_dnn, experiments
from minicnn.report import comparison
from minicnn.training.interrupt import Interrupted

pytestmark = pytest.mark.host

TINY = ("--limit", "21", "--batch-size", "8", "--epochs", "1", "--no-report")
PAIR = {"C": {"small_cnn": 0.6, "plain_dnn": 0.2}}


@pytest.fixture(autouse=True)
def small_world(monkeypatch, tmp_path, no_figures):
    monkeypatch.setenv("MINICNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(compare_dnn, "SYSTEMS", PAIR | compare_dnn.SYSTEMS | PAIR)


@pytest.fixture
def compare(command, tmp_path):
    def run(*words, out=tmp_path / "out"):
        return command("compare_dnn", "--system", "C", *TINY, *words, "--out", out)

    return run


def read(path):
    return json.loads(path.read_text())


def content_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_both_networks_are_trained_alike_and_compared(compare, tmp_path):
    code, out, error = compare()
    assert (code, error) == (0, "")
    content = read(tmp_path / "out" / "comparison.json")
    runs = {row["run"]: row for row in content["runs"]}
    assert list(runs) == ["small_cnn", "plain_dnn"]
    for name, row in runs.items():
        folder = tmp_path / "out" / name
        metrics, options = read(folder / "metrics.json"), read(folder / "config.json")["options"]
        assert options["model"] == name
        assert options["epochs"] == 1
        assert row["accuracy"] == metrics["splits"]["validation"]["accuracy"]
        assert row["train_accuracy"] == metrics["splits"]["train"]["accuracy"]
        share = row["accuracy"]
        assert row["standard_error"] == pytest.approx((share * (1 - share) / 21) ** 0.5)
    assert (runs["small_cnn"]["parameters"], runs["plain_dnn"]["parameters"]) == (
        *(796_679, 1_387_207),
    )
    difference = content["difference"]
    gain = runs["small_cnn"]["accuracy"] - runs["plain_dnn"]["accuracy"]
    assert difference["accuracy"] == pytest.approx(gain)
    with open(tmp_path / "out" / "comparison.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["accuracy"]) for row in rows] == [row["accuracy"] for row in runs.values()]
    assert "== run 2 of 2: plain_dnn" in out
    which = "ahead of" if gain > 0 else "behind" if gain < 0 else "level with"
    assert f"small_cnn is {which} plain_dnn by {abs(gain):.4f}" in out
    image = pytest.importorskip("matplotlib.image").imread(
        tmp_path / "out" / "figures" / "comparison.png"
    )
    assert image.shape[:2] == (690, 1650)
    for color in comparison.COLORS[:2]:
        wanted = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        assert (np.abs(image[:, :, :3] - wanted).max(axis=2) < 0.02).sum() > 50


def test_an_experiment_is_no_network_but_names_those_that_it_has(compare, refused, tmp_path):
    assert compare("--quiet")[0] == 0
    for words in (
        ("summary",),
        ("explain_fer",),
        ("export", "--output", tmp_path / "faces.safetensors"),
    ):
        line = refused(*words, tmp_path / "out")
        assert "out: is an experiment; give one of its runs: " in line
        assert str(tmp_path / "out" / "plain_dnn") in line


def test_an_experiment_is_not_overwritten_unasked(compare, tmp_path):
    assert compare("--quiet")[0] == 0
    before = content_of(tmp_path / "out")
    code, out, error = compare("--seed", "1")
    assert (code, out) == (2, "")
    assert "out: holds an experiment; add --resume to go on with it" in error
    assert error.count("\n") == 1
    assert content_of(tmp_path / "out") == before
    assert compare("--seed", "1", "--overwrite", "--quiet")[0] == 0
    assert read(tmp_path / "out" / "comparison.json")["runs"][0]["seed"] == 1


def test_results_whose_runs_are_gone_are_not_overwritten_either(compare, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "comparison.csv").write_text("mine")
    code, _, error = compare()
    assert code == 2
    assert "comparison.csv: is there already" in error
    assert (tmp_path / "out" / "comparison.csv").read_text() == "mine"


def test_a_run_in_the_way_is_not_overwritten_either(compare, tmp_path):
    assert compare("--quiet")[0] == 0
    for name in ("experiment.json", *compare_dnn.RESULTS):
        (tmp_path / "out" / name).unlink(missing_ok=True)
    code, _, error = compare("--seed", "1")
    assert code == 2
    assert "small_cnn: holds a finished run" in error
    assert not (tmp_path / "out" / "experiment.json").exists()


def test_bad_data_leave_nothing_behind(compare, tmp_path):
    code, out, error = compare("--data", tmp_path / "nothing.csv")
    assert (code, out) == (2, "")
    assert error.startswith("minicnn compare_dnn: error: ")
    assert "nothing.csv: no such file" in error
    assert not (tmp_path / "out").exists()


def test_a_broken_off_experiment_goes_on_to_the_same_results(
    compare, command, tmp_path, monkeypatch
):
    assert compare("--quiet", out=tmp_path / "whole")[0] == 0
    train, trained = experiments.train, []

    def broken(*arguments):
        if len(trained) == 1:
            raise Interrupted("stopped in epoch 1")
        trained.append(arguments)
        train(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(experiments, "train", broken)
        code, _, error = compare("--quiet")
    assert code == 130
    out = tmp_path / "out"
    assert f"go on with: minicnn compare_dnn --resume --out {out}" in error
    assert not (out / "comparison.json").exists()
    assert (out / "small_cnn" / "metrics.json").exists()
    assert "holds an experiment" in compare()[2]
    # Without any option but the folder: they are stored.
    assert command("compare_dnn", "--resume", "--quiet", "--out", out)[0] == 0
    one, other = (read(each / "comparison.json") for each in (out, tmp_path / "whole"))
    for row in (*one["runs"], *other["runs"]):
        row.pop("seconds")
    assert one == other
    name = "plain_dnn/weights.safetensors"
    assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_an_experiment_can_be_prolonged_but_not_changed(compare, command, tmp_path):
    assert compare("--quiet", "--schedule", "constant")[0] == 0
    out = ("--out", tmp_path / "out")
    code, _, error = command("compare_dnn", "--resume", "--seed", "3", *out)
    assert code == 2
    assert "--seed 3: the run was begun with 0" in error
    code, _, error = command("compare_dnn", "--resume", "--system", "B", *out)
    assert code == 2
    assert "--system B: the experiment" in error
    assert "was begun with C" in error
    code, _, error = command("compare_dnn", "--resume", "--data", tmp_path / "no.csv", *out)
    assert code == 2
    assert "no.csv: no such file" in error
    assert command("compare_dnn", "--resume", "--epochs", "2", "--quiet", *out)[0] == 0
    rows = read(tmp_path / "out" / "comparison.json")["runs"]
    assert [row["epochs"] for row in rows] == [2, 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "holds no experiment to resume"),
        ("{}", "experiment.json: damaged, or of another program"),
        ('{"kind": "compare_dnn", "settings": 3, "given": {}}', "damaged"),
        ('{"kind": "ablation", "settings": {}, "given": {}}', "holds an experiment ablation, not"),
    ],
)
def test_what_cannot_be_resumed_is_refused(content, message, refused, tmp_path):
    if content is not None:
        (tmp_path / "experiment.json").write_text(content)
    line = refused("compare_dnn", "--resume", "--out", tmp_path)
    assert message in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--system", "E"), "invalid choice: 'E'"),
        (("--model", "small_cnn"), "unrecognized arguments: --model"),
        (("--folds", "2"), "unrecognized arguments: --folds"),
        (("--resume", "--overwrite"), "cannot be had together"),
        (("--epochs", "0"), "expected a whole number of 1 or more"),
    ],
)
def test_command_lines_that_cannot_be_are_refused(words, message, refused, tmp_path):
    assert message in refused("compare_dnn", *words, "--out", tmp_path / "out")


def test_the_run_folders_can_be_repeated_one_by_one(compare, tmp_path):
    assert compare("--quiet")[0] == 0
    line = read(tmp_path / "out" / "plain_dnn" / "config.json")["command"]
    assert line.startswith("python -m minicnn train --out ")
    assert "--model plain_dnn" in line


def test_every_run_and_the_whole_have_a_page(command, tmp_path, monkeypatch, drawn):
    for name in ("jinja2", "PIL"):
        pytest.importorskip(name)
    monkeypatch.setattr("minicnn.commands.explaining.SMALL", 0)
    out = tmp_path / "out"
    words = ("--system", "C", *TINY[:-1], "--out", out)
    code, text, _ = command("compare_dnn", *words)
    assert code == 0
    assert text.splitlines()[-1] == f"report: {out / 'report.html'}"
    assert drawn == [0]  # the faces are got once for both networks and all pages
    page = read_page(out / "report.html")
    rows = page.table("The runs")[1:]
    runs = read(out / "comparison.json")["runs"]
    assert [row[:2] for row in rows] == [
        [run["run"], f"{100 * run['accuracy']:.1f}%"] for run in runs
    ]
    assert len(page.every("table", "matrix")) == 2
    assert "--system C" in page.first("code").text
    links = [link["href"] for link in page.every("a") if not link["href"].startswith("#")]
    assert links == ["small_cnn/report.html", "plain_dnn/report.html"]
    for link in links:
        own = read_page(out / link)
        comparison = own.by_id("comparison")
        assert comparison.first("tr", "here").text.startswith(link.split("/")[0])
        assert comparison.first("a")["href"] == "../report.html"
        assert "is ahead of" in own.text or "is behind" in own.text or "is level with" in own.text
    # A page is rebuilt from the folder alone.
    before = (out / "report.html").read_text()
    (out / "report.html").unlink()
    assert command("report", out)[0] == 0
    assert (out / "report.html").read_text() == before
    for option in ("--explain", ("--data", "x.csv")):
        words = [option] if isinstance(option, str) else option
        _, _, error = command("report", out, *words)
        assert "is an experiment; --explain and --data are for one of its runs: small_cnn" in error
    (out / "comparison.json").unlink()
    assert "has not come to its end, it lacks comparison.json" in command("report", out)[2]
    assert command("compare_dnn", "--resume", "--no-report", "--quiet", "--out", out)[0] == 0


def test_an_ablation_has_a_page_with_its_effects(command, tmp_path):
    pytest.importorskip("jinja2")
    words = ("--model", "plain_dnn", *TINY, "--out", tmp_path / "out")
    assert command("ablation", *words)[0] == 0
    assert not (tmp_path / "out" / "report.html").exists()
    assert command("report", tmp_path / "out")[0] == 0
    page = read_page(tmp_path / "out" / "report.html")
    effects = read(tmp_path / "out" / "ablation.json")["effects"]
    rows = page.first("ul", "effects").every("li")
    assert len(rows) == len(effects) == 6
    for row, effect in zip(rows, effects, strict=True):
        points = f"{100 * effect['accuracy']:+.1f}".replace("-", "\N{MINUS SIGN}")
        value = row.first("span", "value").text
        assert value.startswith("0.0" if points[1:] == "0.0" else points)
        assert ("within the noise" in value) == (not effect["clear"])
        at = float(row.first("line", "point")["x1"])
        assert (at > 50) == (effect["accuracy"] > 0) or at == 50
    assert len(page.every("table", "matrix")) == 4
    assert not [link for link in page.every("a") if not link["href"].startswith("#")]


def test_overwriting_leaves_no_old_page(compare, tmp_path):
    assert compare("--quiet")[0] == 0
    page = tmp_path / "out" / "report.html"
    page.write_text("old")
    assert compare("--overwrite", "--quiet")[0] == 0
    assert not page.exists()


@pytest.fixture
def ablate(command, tmp_path):
    def run(*words, out=tmp_path / "out"):
        return command("ablation", "--model", "plain_dnn", *TINY, *words, "--out", out)

    return run


def test_four_runs_tell_the_effect_of_normalisation_and_augmentation(ablate, tmp_path):
    code, out, error = ablate()
    assert (code, error) == (0, "")
    content = read(tmp_path / "out" / "ablation.json")
    accuracy = {(x["normalize"], x["augment"]): x["accuracy"] for x in content["runs"]}
    assert set(accuracy) == {(n, a) for n in ("none", "pixel") for a in ("none", "strong")}
    for (normalize, augment), value in accuracy.items():
        folder = tmp_path / "out" / f"normalize-{normalize}_augment-{augment}"
        assert read(folder / "metrics.json")["splits"]["validation"]["accuracy"] == value
        options = read(folder / "config.json")["options"]
        assert (options["normalize"], options["augment"]) == (normalize, augment)
    effects = {(x["factor"], x["where"]): x for x in content["effects"]}
    alone = effects["augment", "none"]
    assert alone["accuracy"] == pytest.approx(accuracy["none", "strong"] - accuracy["none", "none"])
    assert alone["sign"] == "+" if alone["accuracy"] > 0 else alone["sign"] in "-0"
    with open(tmp_path / "out" / "effects.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["sign"] for row in rows] == [each["sign"] for each in content["effects"]]
    assert len(rows) == 6
    assert "augment none -> strong, mean over normalize" in out
    read_image = pytest.importorskip("matplotlib.image").imread
    for name, least in (("ablation.png", 600), ("effects.png", 500)):
        image = read_image(tmp_path / "out" / "figures" / name)
        assert min(image.shape[:2]) > least
        assert image[:, :, :3].std() > 0.05


def test_with_statistics_of_pixels_images_grow_in_no_run(command, tmp_path):
    faces = write_faces(tmp_path / "faces.csv", {"Training": 14, "PublicTest": 7})
    words = ("--model", "residual_cnn", "--augmentations", "none", "--data", faces, *TINY)
    code, out, _ = command("ablation", *words, "--out", tmp_path / "out")
    assert code == 0
    assert "note: images keep their size in all runs" in out
    for name in ("none", "pixel"):
        folder = tmp_path / "out" / f"normalize-{name}_augment-none"
        assert read(folder / "config.json")["options"]["grow_from"] is None


def test_a_run_without_its_configuration_is_not_lost_for_the_others(compare, tmp_path):
    assert compare("--quiet")[0] == 0
    (tmp_path / "out" / "plain_dnn" / "config.json").unlink()
    code, _, error = compare("--resume", "--quiet")
    assert code == 2
    assert "move the folder away, and --resume trains it anew" in error
    (tmp_path / "out" / "plain_dnn").rename(tmp_path / "away")
    assert compare("--resume", "--quiet")[0] == 0


def test_repeats_differ_in_their_seed_and_resume_without_options(ablate, command, tmp_path):
    words = ("--normalizations", "image", "--augmentations", "none,flip", "--repeats", "2")
    assert ablate(*words, "--seed", "4", "--quiet")[0] == 0
    before = read(tmp_path / "out" / "ablation.json")
    assert [(x["augment"], x["seed"]) for x in before["runs"]] == [
        *(("none", 4), ("none", 5), ("flip", 4), ("flip", 5))
    ]
    assert len(before["effects"]) == 1
    folder = tmp_path / "out" / "normalize-image_augment-flip_seed-5"
    assert read(folder / "config.json")["options"]["seed"] == 5
    assert command("ablation", "--resume", "--quiet", "--out", tmp_path / "out")[0] == 0
    assert read(tmp_path / "out" / "ablation.json") == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--normalizations", "none", "--augmentations", "none"), "two values or more"),
        (("--normalizations", "none,none"), "expected different ones of pixel, image"),
        (("--augmentations", "none,wild"), "got 'none,wild'"),
        (("--repeats", "0"), "whole number of 1 or more"),
        (("--normalize", "none"), "unrecognized arguments"),
        (("--no-augment",), "unrecognized arguments"),
    ],
)
def test_ablations_that_cannot_be_are_refused(words, message, refused, tmp_path):
    assert message in refused("ablation", *words, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_system_a_is_what_is_ablated_by_default(capsys):
    with pytest.raises(SystemExit):
        ablation.main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "(deep_vgg)" in text
    assert "(none,pixel)" in text
    assert "(none,strong)" in text


@pytest.mark.parametrize(
    "words",
    [
        ("--no-drop-duplicates", "--average", "none", "--no-augment"),
        ("--drop-duplicates", "--average", "0.9", "--decay-all", "--no-prefetch"),
    ],
)
def test_the_stored_command_names_the_same_options(compare, tmp_path, words):
    assert compare(*words)[0] == 0
    named = shlex.split(read(tmp_path / "out" / "experiment.json")["command"])
    assert set(words) <= set(named) and "--no-report" in named
    assert ("--drop-duplicates" in named) == ("--drop-duplicates" in words)
