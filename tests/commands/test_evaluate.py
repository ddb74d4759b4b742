"""The evaluate command: a run's own splits, other data, what it writes, what it refuses."""

from __future__ import annotations

import csv
import json
import os
import shutil

import numpy as np
import pytest
from faces_csv import write_faces

from minicnn import Tensor, zoo
from minicnn.commands import models, train_fer
from minicnn.commands.run_folder import RunFolder
from minicnn.data.fer2013 import load
from minicnn.data.normalize import GlobalNormalization
from minicnn.io import WeightsMetadata, read_weights, save_weights
from minicnn.training import Views

pytestmark = pytest.mark.host


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("MINICNN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def faces(tmp_path):
    """Write a csv in the published layout: 14 Training, 21 PublicTest and 7 PrivateTest rows."""
    counts = {"Training": 14, "PublicTest": 21, "PrivateTest": 7}
    return write_faces(tmp_path / "faces.csv", counts, seed=5)


def evaluated(command, *words):
    code, out, error = command("evaluate", *words, "--json")
    assert (code, error) == (0, "")
    return json.loads(out)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_the_scores_of_a_run_are_those_that_it_wrote(split, trained, command):
    found = evaluated(command, trained, "--split", split)
    wrote = json.loads((trained / "metrics.json").read_text())["splits"][split]
    assert found["scores"] == wrote
    assert found["split"] == split


def test_by_default_a_run_is_evaluated_on_what_it_validated_on(trained, command):
    assert evaluated(command, trained)["split"] == "validation"


def test_other_data_are_evaluated_whole_and_by_the_weights_normalisation(faces, trained, command):
    weights = trained / "weights.safetensors"
    found = evaluated(command, weights, "--data", faces, "--split", "public_test")
    model, part = zoo.load(weights), load(faces, cache=None).split("public_test")
    logits = model(Tensor(model.normalization(part.images))).numpy().astype(np.float64)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    confusion = np.zeros((7, 7), int)
    np.add.at(confusion, (part.labels, logits.argmax(axis=1)), 1)
    assert found["scores"]["confusion_matrix"] == confusion.tolist()
    assert found["scores"]["accuracy"] == np.trace(confusion) / 21
    chosen = probabilities[np.arange(21), part.labels]
    assert found["scores"]["loss"] == pytest.approx(-np.log(chosen).mean(), rel=1e-4)
    confidence, right = probabilities.max(axis=1), logits.argmax(axis=1) == part.labels
    gaps = [
        abs((right[inside] * 1.0 - confidence[inside]).sum()) / 21
        for low in np.arange(15) / 15
        if (inside := (confidence > low) & (confidence <= low + 1 / 15)).any()
    ]
    error = found["calibration"]["expected_calibration_error"]
    assert error == pytest.approx(sum(gaps), abs=1e-4)


def test_a_fault_in_the_preprocessing_would_be_seen(faces, trained, command, monkeypatch):
    words = (trained / "weights.safetensors", "--data", faces)
    right = evaluated(command, *words)

    def without_normalisation(path):
        network = zoo.load(path)
        network.normalization = None
        return network

    monkeypatch.setattr(models, "load_network", without_normalisation)
    assert evaluated(command, *words)["scores"] != right["scores"]


def test_of_other_data_the_public_test_is_the_default_and_a_limit_keeps_the_classes(
    faces, trained, command
):
    found = evaluated(command, trained, "--data", faces, "--limit", "14")
    assert found["split"] == "public_test"
    supports = [each["support"] for each in found["scores"]["classes"].values()]
    assert supports == [2] * 7


def test_the_table_shows_every_class_and_the_confusion(trained, command):
    code, out, _ = command("evaluate", trained, "--split", "train")
    assert code == 0
    scores = json.loads((trained / "metrics.json").read_text())["splits"]["train"]
    assert "note: the network was trained on these images" in out
    assert f"accuracy {scores['accuracy']:.4f} (standard error " in out
    lines = [line.split() for line in out.splitlines()]
    fear = scores["classes"]["Fear"]
    shown = [f"{fear[name]:.3f}" for name in ("precision", "recall", "f1")]
    assert ["Fear", *shown, str(fear["support"])] in lines
    assert ["Fear", *map(str, scores["confusion_matrix"][2])] in lines


@pytest.fixture
def copied(faces, tmp_path):
    """Write the faces again: 3 of the public test as training faces, and 5 mirrored and moved."""
    with open(faces, newline="") as file:
        header, *rows = csv.reader(file)
    for n in range(8):
        label, pixels, _ = rows[n]
        image = np.array(pixels.split(), int).reshape(48, 48)
        if n >= 3:
            image, label = np.roll(image[:, ::-1], 2, axis=1), str((int(label) + n) % 7)
        rows[14 + 2 * n] = [label, " ".join(map(str, image.ravel())), "PublicTest"]
    path = tmp_path / "copied.csv"
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_images_whose_picture_is_in_the_training_split_are_scored_apart(
    copied, trained, command, tmp_path
):
    written = tmp_path / "predicted.csv"
    words = (trained / "weights.safetensors", "--data", copied, "--predictions", written)
    found = evaluated(command, *words, "--near-duplicates")
    with open(written, newline="") as file:
        predicted = np.array([int(row["label"]) for row in csv.DictReader(file)])
    right = predicted == load(copied, cache=None).split("public_test").labels
    equal, near = 2 * np.arange(3), 2 * np.arange(3, 8)
    others = np.setdiff1d(np.arange(21), [*equal, *near])
    for name, rows, same in (
        ("identical", equal, 1.0),
        ("near_duplicates", near, 0.2),  # only the label that was moved by 7 is as before
        ("others", others, None),
    ):
        share = right[rows].mean()
        assert found["pictures"][name] == {
            "count": len(rows),
            "same_label": same,
            "accuracy": pytest.approx(share),
            "standard_error": pytest.approx((share * (1 - share) / len(rows)) ** 0.5),
        }
    assert found["pictures"]["threshold"] == 0.92

    code, out, _ = command("evaluate", *words[:3], "--near-duplicates")
    lines = [line.split("  ") for line in out.splitlines()]
    shown = [[cell.strip() for cell in line if cell] for line in lines if line[0].startswith("in ")]
    assert code == 0
    assert [line[:3] for line in shown] == [
        ["in train, every pixel", "3", "1.0000"],
        ["in train, changed a little", "5", "0.2000"],
    ]


def test_without_that_option_pictures_are_not_compared(copied, trained, command):
    assert "pictures" not in evaluated(command, trained, "--data", copied)


def test_a_run_is_compared_with_its_own_training_images(trained, command):
    pictures = evaluated(command, trained, "--near-duplicates")["pictures"]
    count = json.loads((trained / "metrics.json").read_text())["splits"]["validation"]["count"]
    groups = ("identical", "near_duplicates", "others")
    assert sum(pictures[name]["count"] for name in groups) == count
    assert pictures["identical"] == {
        "count": 0, "same_label": None, "accuracy": None, "standard_error": None
    }  # fmt: skip


def test_near_duplicates_are_refused_where_there_is_nothing_to_compare(trained, tmp_path, refused):
    words = ("--near-duplicates", "--split", "train")
    assert "choose another with --split" in refused("evaluate", trained, *words)
    alone = write_faces(tmp_path / "alone.csv", {"PublicTest": 7})
    error = refused("evaluate", trained, "--data", alone, "--near-duplicates")
    assert "alone.csv has no training images to compare with" in error


@pytest.mark.parametrize("flag", ["--output", "--predictions", "--figure"])
def test_what_is_read_is_never_written_over(flag, trained, faces, refused):
    for path in (faces, trained / "weights.safetensors", trained / "predictions.csv"):
        before = path.read_bytes()
        words = ("--data", faces, flag, path, "--overwrite")
        assert "belongs to what is read here" in refused("evaluate", trained, *words)
        assert path.read_bytes() == before


def test_files_are_written_and_read_back_and_never_overwritten_unasked(
    tmp_path, trained, command, refused
):
    names = {"--output": "scores.json", "--predictions": "labels.csv", "--figure": "matrix.png"}
    words = [word for flag, name in names.items() for word in (flag, tmp_path / name)]
    assert command("evaluate", trained, *words)[0] == 0
    content = json.loads((tmp_path / "scores.json").read_text())
    assert content["model"] == "plain_dnn"
    assert content["weights"] == str(trained / "weights.safetensors")
    assert content["scores"]["count"] == 28
    assert (tmp_path / "labels.csv").read_bytes() == (trained / "predictions.csv").read_bytes()
    image = pytest.importorskip("matplotlib.image").imread(tmp_path / "matrix.png")
    assert min(image.shape[:2]) > 400
    assert image[:, :, :3].std() > 0.1
    before = {name: (tmp_path / name).read_bytes() for name in names.values()}
    for flag, name in names.items():
        line = refused("evaluate", trained, flag, tmp_path / name)
        assert f"{name}: is there already; add --overwrite" in line
    assert {name: (tmp_path / name).read_bytes() for name in names.values()} == before
    other = ("--split", "train", "--output", tmp_path / "scores.json", "--overwrite")
    assert command("evaluate", trained, *other)[0] == 0
    assert json.loads((tmp_path / "scores.json").read_text())["split"] == "train"


def test_images_without_labels_are_predicted_only(tmp_path, trained, command, refused):
    rng = np.random.default_rng(0)
    with open(tmp_path / "test.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "feature"))
        for number in range(3):
            writer.writerow((100 + number, " ".join(map(str, rng.integers(0, 256, 2304)))))
    words = (trained, "--data", tmp_path / "test.csv")
    assert "have no labels to compare with; --predictions" in refused("evaluate", *words)
    code, out, _ = command("evaluate", *words, "--predictions", tmp_path / "labels.csv")
    assert code == 0
    assert "has no labels; wrote" in out
    rows = (tmp_path / "labels.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["id", "100", "101", "102"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--split", "public_test"), "--split public_test: there is none; give one of --split tra"),
        (("--data", "nothing.csv"), "nothing.csv: no such file"),
        (("--limit", "0"), "expected a whole number of 1 or more"),
        (("--output", "/nowhere/a.json"), "there is no folder /nowhere"),
        (("--output", "a", "--predictions", "./a"), "expected different files"),
        (("--backend", "cupy"), "backend: cupy (asked for by name): not installed"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(words, message, trained, refused):
    assert message in refused("evaluate", trained, *words)


def test_weights_without_their_run_need_data(trained, refused):
    line = refused("evaluate", trained / "weights.safetensors")
    assert "is no run folder with a config.json that names the data; give --data" in line


def test_a_run_whose_data_changed_is_refused(tmp_path, faces, no_figures, refused):
    words = ["--model", "plain_dnn", "--epochs", "1", "--quiet", "--data", str(faces)]
    assert train_fer.main([*words, "--out", str(tmp_path / "run")]) == 0
    lines = faces.read_text().splitlines()
    faces.write_text("\n".join(lines[:-1]) + "\n")
    line = refused("evaluate", tmp_path / "run")
    assert "the run was begun with other data" in line
    assert "put the run's own back, or name faces with --data" in line
    faces.unlink()
    assert "faces.csv: no such file" in refused("evaluate", tmp_path / "run")


def test_a_run_is_evaluated_under_the_names_of_its_data(tmp_path, faces, no_figures, command):
    words = ["--model", "plain_dnn", "--epochs", "1", "--quiet", "--data", str(faces)]
    assert train_fer.main([*words, "--out", str(tmp_path / "run")]) == 0
    one, other, private = (
        evaluated(command, tmp_path / "run", "--split", name)
        for name in ("public_test", "validation", "private_test")
    )
    assert one["scores"] == other["scores"]
    assert private["scores"]["count"] == 7


def test_images_of_another_size_are_refused(tmp_path, faces, trained, refused):
    folder = RunFolder(tmp_path / "other")
    folder.make()
    model = zoo.build("plain_dnn", input_shape=(24, 24, 1))
    metadata = WeightsMetadata(model=model.name, arguments=model.arguments)
    save_weights(folder.weights, model, metadata=metadata)
    line = refused("evaluate", folder, "--data", faces)
    assert "the images are 48x48x1, the network takes 24x24x1" in line


def test_other_classes_are_refused(tmp_path, faces, refused):
    model = zoo.build("plain_dnn", num_classes=2)
    path = tmp_path / "w.safetensors"
    metadata = WeightsMetadata(
        model=model.name, arguments=model.arguments, class_names=("cat", "dog")
    )
    save_weights(path, model, metadata=metadata)
    line = refused("evaluate", path, "--data", faces)
    assert "the classes are Angry, Disgust" in line
    assert "the network's are cat, dog" in line


def test_a_damaged_configuration_is_named(tmp_path, trained, refused):
    shutil.copytree(trained, tmp_path / "run")
    config = tmp_path / "run" / "config.json"
    content = json.loads(config.read_text())
    content["options"]["limit"] = "many"
    config.write_text(json.dumps(content))
    assert "config.json: damaged (argument --limit" in refused("evaluate", tmp_path / "run")


# Several networks, several views, networks of the package.


@pytest.fixture
def other(tmp_path, trained):
    """Return weights of another network, which normalises images in a way of its own."""
    model = zoo.build("small_cnn", seed=3)
    images = np.random.default_rng(0).integers(0, 200, (9, 48, 48, 1), np.uint8)
    metadata = WeightsMetadata(
        model=model.name,
        arguments=model.arguments,
        class_names=read_weights(trained / "weights.safetensors")[1].class_names,
        normalization=GlobalNormalization().fit(images),
    )
    save_weights(tmp_path / "other.safetensors", model, metadata=metadata)
    return tmp_path / "other.safetensors"


def by_hand(path, images, views=()):
    """Return the mean probabilities of one network, by its own normalisation."""
    model = zoo.load(path)
    x = model.normalization(images)
    found = []
    for view in views or (x,):
        logits = model(Tensor(view(x) if views else view)).numpy().astype(np.float64)
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        found.append(exponentials / exponentials.sum(axis=1, keepdims=True))
    return np.mean(found, axis=0)


def loss_of(probabilities, labels):
    return -np.log(probabilities[np.arange(len(labels)), labels]).mean()


def test_several_networks_are_averaged_each_by_its_own_normalisation(
    faces, trained, other, command
):
    part = load(faces, cache=None).split("public_test")
    weights = trained / "weights.safetensors"
    expected = (by_hand(weights, part.images) + by_hand(other, part.images)) / 2
    words = ("--data", faces, "--batch-size", "8")
    found = evaluated(command, trained, other, *words)
    assert found["scores"]["loss"] == pytest.approx(loss_of(expected, part.labels), rel=1e-4)
    assert found["scores"]["accuracy"] == (expected.argmax(axis=1) == part.labels).mean()
    assert found["weights"] == [str(weights), str(other)]
    assert found["model"] == ["plain_dnn", "small_cnn"]
    assert found["averaged"] == {"networks": 2, "views": None}
    reverse = evaluated(command, other, *words, trained)
    assert reverse["scores"]["confusion_matrix"] == found["scores"]["confusion_matrix"]
    alone = evaluated(command, trained, *words)
    assert "averaged" not in alone and alone["weights"] == str(weights)
    assert alone["scores"]["loss"] != found["scores"]["loss"]


def test_views_are_averaged_where_that_is_asked_for(faces, trained, command):
    part = load(faces, cache=None).split("public_test")
    views = [
        lambda x, flip=flip, down=down, right=right: np.pad(
            x, ((0, 0), (2, 2), (2, 2), (0, 0)), "edge"
        )[:, 2 - down : 50 - down, 2 - right : 50 - right][:, :, :: -1 if flip else 1]
        for flip in (False, True)
        for down, right in ((0, 0), (0, 2), (0, -2), (2, 0), (-2, 0))
    ]
    expected = by_hand(trained / "weights.safetensors", part.images, views)
    found = evaluated(command, trained, "--tta", "--data", faces)
    assert found["scores"]["loss"] == pytest.approx(loss_of(expected, part.labels), rel=1e-4)
    shifts = [list(shift) for shift in Views().shifts]
    assert found["averaged"] == {
        "networks": 1,
        "views": {"count": 10, "flip": True, "shifts": shifts},
    }


def test_the_text_says_what_was_averaged(faces, trained, other, command):
    _, out, _ = command("evaluate", trained, other, "--tta", "--data", faces)
    assert out.splitlines()[:2] == [
        f"plain_dnn + small_cnn on public_test of {faces}: 21 images",
        "mean over 2 networks and 10 views of each image",
    ]
    _, out, _ = command("evaluate", trained, other, "--data", faces, "--split", "train")
    assert out.splitlines()[1:3] == [
        "mean over 2 networks",
        "note: the networks may have been trained on these images",
    ]
    _, out, _ = command("evaluate", trained, "--data", faces)
    assert out.splitlines()[1].startswith("accuracy ")


def test_runs_that_kept_back_the_same_images_need_no_data(tmp_path, faces, no_figures, command):
    words = ["--model", "plain_dnn", "--epochs", "1", "--quiet", "--no-report"]
    runs = [tmp_path / name for name in "ab"]
    for seed, run in enumerate(runs):
        data = ["--data", str(faces), "--seed", str(seed)]
        assert train_fer.main([*words, *data, "--out", str(run)]) == 0
    found = evaluated(command, *runs)
    assert (found["split"], found["scores"]["count"]) == ("validation", 21)


def test_runs_on_the_same_images_load_them_once(tmp_path, trained, command, drawn):
    runs = [trained, *(shutil.copytree(trained, tmp_path / name) for name in "ab")]
    found = evaluated(command, *runs)
    assert drawn == [0]
    assert found["scores"]["accuracy"] == evaluated(command, trained)["scores"]["accuracy"]


def test_runs_that_kept_back_other_images_need_data(tmp_path, trained, no_figures, refused):
    words = ["--model", "plain_dnn", "--limit", "28", "--epochs", "1", "--quiet", "--no-report"]
    run = tmp_path / "other-seed"
    assert train_fer.main([*words, "--seed", "1", "--out", str(run)]) == 0
    line = refused("evaluate", trained, run)
    assert f"{run}: its images of validation are not those of {trained}" in line
    assert "by --data" in line


def test_networks_that_cannot_be_averaged_are_refused(tmp_path, faces, trained, refused):
    names = read_weights(trained / "weights.safetensors")[1].class_names
    for name, options, classes in (
        ("small", {"input_shape": (24, 24, 1)}, names),
        ("two", {"num_classes": 2}, ("cat", "dog")),
    ):
        model = zoo.build("plain_dnn", **options)
        metadata = WeightsMetadata(model=model.name, arguments=model.arguments, class_names=classes)
        save_weights(tmp_path / f"{name}.safetensors", model, metadata=metadata)
    words = ("evaluate", "--data", faces, trained)
    line = refused(*words, tmp_path / "small.safetensors")
    assert f"its images are 24x24x1, those of {trained} are 48x48x1" in line
    line = refused(*words, tmp_path / "two.safetensors")
    assert "its classes are cat, dog, those of" in line
    weights = trained / "weights.safetensors"
    assert f"{weights} is named twice" in refused(*words, weights)


def test_a_network_of_the_package_is_evaluated_by_its_name(faces, in_package, trained, command):
    found = evaluated(command, zoo.DEFAULT, "--data", faces)
    assert found["weights"] == str(in_package)
    assert found["scores"] == evaluated(command, trained, "--data", faces)["scores"]


def test_a_network_of_the_package_needs_data_and_must_be_there(in_package, faces, refused):
    assert "give --data" in refused("evaluate", zoo.DEFAULT)
    line = refused("evaluate", "nothing", "--data", faces)
    assert "nothing: there is no such file or folder" in line
    assert f"(the package has the weights of {zoo.DEFAULT})" in line
    in_package.unlink()
    line = refused("evaluate", zoo.DEFAULT, "--data", faces)
    assert f"{zoo.DEFAULT}: there is no such" in line
    assert "(no weights are in this package yet)" in line


@pytest.mark.parametrize("name", ["x.jpg", "x"])
def test_a_figure_is_a_png(name, trained, refused, tmp_path):
    line = refused("evaluate", trained, "--figure", tmp_path / name)
    assert "is drawn as PNG; name a file .png" in line
    assert not list(tmp_path.glob("x*"))


def test_what_is_no_file_is_not_waited_for(refused, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "pipe: neither a file nor a folder" in refused("evaluate", tmp_path / "pipe")


def test_a_run_of_folds_says_why_it_has_to_be_told_the_split(
    tmp_path, faces, no_figures, refused, command
):
    words = ["--model", "plain_dnn", "--epochs", "1", "--quiet", "--folds", "2"]
    out = tmp_path / "run"
    assert train_fer.main([*words, "--data", str(faces), "--out", str(out)]) == 0
    assert "no images were kept back from all folds; give one of --split" in refused(
        "evaluate", out
    )
    assert evaluated(command, out, "--split", "private_test")["scores"]["count"] == 7
    for number in (1, 2):
        fold = out / f"fold-{number}"
        wrote = json.loads((fold / "metrics.json").read_text())["splits"]
        found = evaluated(command, fold)
        assert found["split"] == "validation"
        assert found["scores"] == wrote["validation"]
        assert evaluated(command, fold, "--split", "train")["scores"] == wrote["train"]
    assert evaluated(command, fold, "--tta")["averaged"]["views"]["count"] == 10
    (out / "fold-2").rename(out / "fold-3")
    assert "has no fold 3, by its config.json; name faces" in refused("evaluate", out / "fold-3")
