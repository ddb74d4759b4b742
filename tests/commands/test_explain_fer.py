"""The command that explains a run: what it writes, whole or not at all, and what it refuses."""

from __future__ import annotations

import csv
import functools
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from drawn_panels import panels, read, squares
from faces_csv import write_faces

from minicnn import explain, zoo
from minicnn.commands import explain_fer as command
from minicnn.commands import explain_figures, train_fer, train_run

pytestmark = pytest.mark.host

pytest.importorskip("matplotlib")

FAST = ("--faces", "2", "--measure", "3", "--samples", "2", "--steps", "2", "--filters", "2")
FILES = [
    "ascent-pool2.png",
    "classes.png",
    "curves.png",
    "explanations.json",
    "explanations.png",
    "explanations.safetensors",
    "filters.png",
    "maps-pool2.png",
    "masked.png",
    "top-pool2.png",
]
DRAWN = (
    *("plot_explanations", "plot_masked", "plot_score_curves"),
    *("plot_ascent", "plot_feature_maps", "plot_filters", "plot_top_faces"),
)


def stub(*arguments, **options):
    """Write a file in place of a figure, which takes most of the time."""
    next(each for each in arguments if isinstance(each, Path)).write_bytes(b"figure")


def train(out, *words):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("plot_history", "plot_confusion"):
            patch.setattr(train_run, name, stub)
        given = (
            "--limit",
            "14",
            "--batch-size",
            "7",
            "--epochs",
            "1",
            "--no-report",
            "--quiet",
            *words,
        )
        assert train_fer.main([*given, "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train(tmp_path_factory.mktemp("runs") / "cnn", "--model", "avgpool_cnn")


@pytest.fixture
def run(trained, tmp_path):
    """Return a copy of a run folder, which a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Draw no figures, and measure coarsely."""
    monkeypatch.setenv("MINICNN_CACHE", str(tmp_path / "cache"))
    for name in DRAWN:
        monkeypatch.setattr(explain_figures, name, stub)
    coarse = {
        "deletion": {"steps": 4},
        "insertion": {"steps": 4},
        "integrated_gradients": {"steps": 4},
        "occlusion": {"window": 16, "stride": 16},
    }
    for name, options in coarse.items():
        monkeypatch.setattr(explain, name, functools.partial(getattr(explain, name), **options))


def explained(*words):
    return command.main([*FAST, *map(str, words)])


def refused(capsys, *words):
    """Run what must fail; return the one line that says why."""
    assert explained("--quiet", *words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("explain_fer: error: ")
    return captured.err


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_every_figure_is_drawn_and_the_numbers_are_written_and_said(run, capsys):
    assert explained(run) == 0
    text = capsys.readouterr().out
    folder = run / "explanations"
    assert names(folder) == FILES
    # Faces, and maps by seven methods; three rows of faces; two panels; three seeds of each class;
    # all filters; a face and all maps; a face and two filters, each beside its map; eight faces.
    counts = {
        "explanations": 2 * 8,
        "masked": 3 * 2,
        "classes": 7 * 3,
        "filters": 32,
        "maps-pool2": 1 + 64,
        "ascent-pool2": 1 + 2 * 2,
        "top-pool2": 2 * 8,
    }
    for name, count in counts.items():
        picture = read(folder / f"{name}.png")
        assert picture.std() > 0.05, name
        assert len(squares(picture)) == count, name
    assert len(panels(read(folder / "curves.png"), 300)) == 2
    content = json.loads((folder / "explanations.json").read_text())
    assert content["faces"] == 3
    assert len(content["shown"]) == 2
    assert (content["layer"], content["features"]) == ("conv4", ["pool2"])
    assert content["uniform_central_mass"] == pytest.approx(4 / 9)
    methods = content["methods"]
    assert len(methods) == 8
    assert methods["Random order"]["central_mass"] == pytest.approx(4 / 9)
    for name, values in methods.items():
        assert name in text
        assert 0 <= values["central_mass"] <= 1
        assert 0 < values["deletion_area"] < 1
        assert 0 < values["insertion_area"] < 1
    assert "8 figures and the numbers are in" in text
    assert not list(run.glob(".explanations*"))


def test_the_numbers_are_those_of_the_functions(run, quick):
    """Follow one number all the way, with the class and the faces taken apart by hand."""
    from minicnn.autograd import Tensor
    from minicnn.commands.train_data import load_faces
    from minicnn.commands.train_options import Options

    assert explained(run, "--measure", "14", "--quiet") == 0
    content = json.loads((run / "explanations" / "explanations.json").read_text())
    options = json.loads((run / "config.json").read_text())["options"]
    faces = load_faces(Options(**options)).validation
    network = zoo.load(run / "weights.safetensors")
    x = network.normalization(faces.images)
    best = network(Tensor(x)).numpy().argmax(axis=1)
    maps = explain.saliency(network, x, best)
    share = np.abs(maps)[:, 8:40, 8:40].sum(axis=(1, 2, 3)) / np.abs(maps).sum(axis=(1, 2, 3))
    assert content["methods"]["Saliency"]["central_mass"] == pytest.approx(share.mean(), rel=1e-5)
    areas = explain.deletion(network, x, maps, best).areas
    # Pixels of nearly equal saliency change places with the last bits, which batch sizes decide.
    assert content["methods"]["Saliency"]["deletion_area"] == pytest.approx(areas.mean(), rel=0.02)
    assert set(content["shown"]) <= set(faces.ids.tolist())


def test_the_shown_faces_are_of_different_classes_and_blank_pictures_are_left_out(run, quick):
    path = write_faces(run.parent / "faces.csv", {"PublicTest": 21}, blank=(3, 10, 17))
    assert explained(run, "--data", path, "--faces", "6", "--measure", "6", "--quiet") == 0
    content = json.loads((run / "explanations" / "explanations.json").read_text())
    assert content["left_out_as_blank"] == 3
    assert sorted(int(each) % 7 for each in content["shown"]) == [0, 1, 2, 4, 5, 6]
    assert (content["data"], content["split"]) == (str(path), "public_test")


def test_equal_seeds_give_equal_numbers_and_others_do_not(run, quick):
    found = []
    for seed in (1, 1, 2):
        assert explained(run, "--seed", seed, "--overwrite", "--quiet") == 0
        found.append((run / "explanations" / "explanations.json").read_bytes())
    assert found[0] == found[1] != found[2]


def test_layers_may_be_chosen(run, quick):
    words = ("--layer", "norm3", "--features", "relu2", "--features", "dense1")
    assert explained(run, *words, "--quiet") == 0
    written = names(run / "explanations")
    assert {"maps-relu2.png", "ascent-relu2.png", "top-relu2.png"} <= set(written)
    assert {"ascent-dense1.png", "top-dense1.png"} <= set(written)
    assert "maps-dense1.png" not in written  # a dense layer has none
    content = json.loads((run / "explanations" / "explanations.json").read_text())
    assert (content["layer"], content["features"]) == ("norm3", ["relu2", "dense1"])


def test_a_dense_network_is_explained_without_what_it_does_not_have(tmp_path, quick, capsys):
    out = train(tmp_path / "dnn", "--model", "plain_dnn")
    assert explained(out) == 0
    assert "layers: none for Grad-CAM, none for filters" in capsys.readouterr().out
    written = names(out / "explanations")
    assert written == ["classes.png", "curves.png", *FILES[3:6], "masked.png"]
    content = json.loads((out / "explanations" / "explanations.json").read_text())
    assert "Grad-CAM" not in content["methods"]
    assert "Occlusion" in content["methods"]


def test_a_cross_validated_run_is_explained_on_held_out_faces(tmp_path, quick, capsys):
    out = train(tmp_path / "folds", "--model", "plain_dnn", "--folds", "2")
    assert explained(out) == 0
    assert "faces: validation of drawn faces" in capsys.readouterr().out


# Networks of the package.


@pytest.fixture
def in_package(trained, no_weights):
    """Let the tiny convolutional network be the package's default."""
    return shutil.copy(trained / "weights.safetensors", no_weights / f"{zoo.DEFAULT}.safetensors")


def test_without_a_run_the_packages_network_is_explained_by_drawn_faces(
    in_package, quick, capsys, monkeypatch
):
    monkeypatch.setattr(command, "DRAWN", {"validation": 14})
    assert explained() == 0
    out = capsys.readouterr().out
    assert f"network: avgpool_cnn of {zoo.DEFAULT} of the package" in out
    assert "no --data: explaining by drawn faces, which are built in and not real faces" in out
    folder = Path("runs") / zoo.DEFAULT
    assert names(folder) == ["explanations"]
    assert names(folder / "explanations") == FILES
    content = json.loads((folder / "explanations" / "explanations.json").read_text())
    digest = hashlib.sha256(Path(in_package).read_bytes()).hexdigest()
    assert (content["weights_sha256"], content["faces"]) == (digest, 3)
    assert "is there already; add --overwrite" in refused(capsys)
    assert explained("--overwrite", "--quiet") == 0


def test_the_packages_network_can_be_named_and_explained_by_other_faces(in_package, quick):
    path = write_faces(Path("faces.csv"), {"PublicTest": 14})
    assert explained(zoo.DEFAULT, "--data", path, "--out", "shown", "--quiet") == 0
    content = json.loads(Path("shown/explanations/explanations.json").read_text())
    assert (content["data"], content["split"]) == ("faces.csv", "public_test")


def test_a_run_can_be_explained_into_another_folder(run, quick, tmp_path):
    assert explained(run, "--out", tmp_path / "elsewhere", "--quiet") == 0
    assert names(tmp_path / "elsewhere") == ["explanations"]
    assert not (run / "explanations").exists()


def test_without_weights_in_the_package_a_run_must_be_named(no_weights, capsys):
    line = refused(capsys)
    assert "no network is named, and no weights are in this package yet; name a run" in line
    line = refused(capsys, zoo.DEFAULT)
    assert "there is no such folder; give the folder of a training run (no weights are" in line
    assert not Path("runs").exists()


# Whole or not at all.


def test_what_is_there_is_replaced_only_when_asked(run, quick, capsys):
    assert explained(run, "--quiet") == 0
    (run / "explanations" / "maps-old.png").write_bytes(b"of another layer")
    assert "is there already; add --overwrite" in refused(capsys, run)
    assert explained(run, "--overwrite", "--quiet") == 0
    assert names(run / "explanations") == FILES


def test_files_of_others_are_never_removed(run, quick, capsys):
    folder = run / "explanations"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    for words in ((), ("--overwrite",)):
        assert "holds other files (notes.txt)" in refused(capsys, run, *words)
    assert names(folder) == ["notes.txt"]
    shutil.rmtree(folder)
    folder.write_text("a file")
    assert "is no folder" in refused(capsys, run, "--overwrite")


@pytest.mark.parametrize("last", [KeyboardInterrupt, RuntimeError])
def test_what_is_not_completed_leaves_nothing_behind(run, quick, monkeypatch, capsys, last):
    def fail(*arguments, **options):
        raise last

    monkeypatch.setattr(explain_figures, "plot_top_faces", fail)
    before = names(run)
    for there in (False, True):
        if there:
            (run / "explanations").mkdir()
            (run / "explanations" / "curves.png").write_bytes(b"old")
        if last is KeyboardInterrupt:
            assert explained(run, "--overwrite", "--quiet") == 130
            assert "nothing was written" in capsys.readouterr().err
        else:
            with pytest.raises(RuntimeError):
                explained(run, "--overwrite", "--quiet")
        assert names(run) == sorted(before + ["explanations"] * there)
    assert (run / "explanations" / "curves.png").read_bytes() == b"old"


def test_what_a_killed_process_left_is_removed(run, quick):
    rest = run / ".explanations.new.tmp"
    rest.mkdir()
    (rest / "curves.png").write_bytes(b"half")
    assert explained(run, "--quiet") == 0
    assert not rest.exists()
    assert names(run / "explanations") == FILES


# What is refused.


@pytest.mark.parametrize(
    ("gone", "words", "message"),
    [
        (["config.json"], (), "it lacks config.json (or name the faces with --data)"),
        (["weights.safetensors"], (), "it lacks weights.safetensors;"),
        (
            ["weights.safetensors", "config.json"],
            (),
            "it lacks weights.safetensors and config.json;",
        ),
    ],
)
def test_an_incomplete_run_says_what_is_missing(run, quick, capsys, gone, words, message):
    for name in gone:
        (run / name).unlink()
    line = refused(capsys, run, *words)
    assert "the run is incomplete" in line
    assert message in line


def test_with_data_of_its_own_a_run_needs_no_configuration(run, quick):
    (run / "config.json").unlink()
    path = write_faces(run.parent / "faces.csv", {"Training": 7, "PrivateTest": 7})
    assert explained(run, "--data", path, "--quiet") == 0
    content = json.loads((run / "explanations" / "explanations.json").read_text())
    assert content["split"] == "private_test"  # rather than what may have been trained on


def test_a_folder_that_is_not_there_and_damaged_files_are_refused(run, quick, capsys):
    assert "there is no such folder" in refused(capsys, run / "nothing")
    (run / "weights.safetensors").write_bytes(b"damaged")
    assert "weights.safetensors" in refused(capsys, run)
    (run / "config.json").write_text("{")
    shutil.copy(run / "checkpoint.safetensors", run / "weights.safetensors")
    assert "safetensors" in refused(capsys, run)


@pytest.mark.parametrize("option", ["--layer", "--features"])
def test_an_unknown_layer_lists_the_known_ones(run, quick, capsys, option):
    line = refused(capsys, run, option, "conv9")
    assert "there is no 'conv9'; did you mean conv" in line
    assert "conv1, relu1, norm1, pool1, dropout1, conv2" in line
    assert not (run / "explanations").exists()


def test_layers_that_do_not_fit_are_refused(run, quick, capsys):
    assert "Grad-CAM needs a layer that gives maps" in refused(capsys, run, "--layer", "dense1")


def test_data_that_do_not_fit_are_refused(run, quick, capsys, tmp_path):
    assert "nothing.csv" in refused(capsys, run, "--data", tmp_path / "nothing.csv")
    path = write_faces(tmp_path / "blank.csv", {"PublicTest": 4}, blank=range(4))
    assert "none of 4 pictures shows a face" in refused(capsys, run, "--data", path)
    with open(tmp_path / "test.csv", "w", newline="") as file:
        rows = [("id", "feature"), *((i, " ".join(["7"] * 2304)) for i in range(3))]
        csv.writer(file).writerows(rows)
    assert "no faces with labels" in refused(capsys, run, "--data", tmp_path / "test.csv")


def test_other_data_than_those_of_the_run_are_refused_without_being_named(run, quick, capsys):
    config = json.loads((run / "config.json").read_text())
    config["data"]["sha256"] = "0" * 64
    (run / "config.json").write_text(json.dumps(config))
    assert "the run was begun with other data" in refused(capsys, run)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--faces", "0"), "--faces: expected a whole number from 1 to 50, got '0'"),
        (("--faces", "51"), "--faces: expected a whole number from 1 to 50, got '51'"),
        (("--features", "bla"), "--features: there is no 'bla'"),
        (("--layer", "bla"), "--layer: there is no 'bla'"),
        (("--steps", "many"), "--steps: expected a whole number"),
        (("--layers", "pool2"), "unrecognized arguments: --layers pool2"),
    ],
)
def test_options_that_are_none_are_refused(run, quick, capsys, words, message):
    assert message in refused(capsys, run, *words)


def test_the_folder_is_held_while_it_is_written_into(run, quick, capsys):
    from minicnn.commands.run_folder import RunFolder

    with RunFolder(run).hold():
        assert "another run is writing into it" in refused(capsys, run)
