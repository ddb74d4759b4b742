"""The predict command: scores by the run's own preprocessing, pictures drawn, files skipped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from minicnn import Tensor, backend, zoo
from minicnn.commands import predict
from minicnn.commands.train_data import load_faces
from minicnn.commands.train_options import Options
from minicnn.data.face_dataset import CLASS_NAMES
from minicnn.data.pictures import Box, network_input, read_picture
from minicnn.errors import OptionError
from minicnn.io import WeightsMetadata, save_weights
from minicnn.training import Views

Image = pytest.importorskip("PIL.Image")

pytestmark = pytest.mark.host


@pytest.fixture
def portrait(tmp_path):
    """Save a colour picture of 60x40."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    path = tmp_path / "portrait.png"
    Image.fromarray(pixels).save(path)
    return path


def scores(command, *words):
    code, out, error = command("predict", *words, "--json", "--no-picture")
    assert (code, error) == (0, "")
    (found,) = json.loads(out)["pictures"]
    (face,) = found["faces"]
    return face


def test_a_face_of_the_data_gets_the_scores_that_the_run_gave_it(tmp_path, trained, command):
    faces = load_faces(Options(limit=28, batch_size=8)).require_validation()
    rows = (trained / "predictions.csv").read_text().splitlines()[1:]
    model = zoo.load(trained / "weights.safetensors")
    logits = model(Tensor(model.normalization(faces.images))).numpy()
    for number in (0, 5, 11):
        path = tmp_path / f"{number}.png"
        Image.fromarray(faces.images[number, :, :, 0]).save(path)
        face = scores(command, trained, path)
        assert CLASS_NAMES.index(face["prediction"]) == int(rows[number].split(",")[1])
        expected = np.exp(logits[number] - logits[number].max())
        np.testing.assert_allclose(
            list(face["scores"].values()), expected / expected.sum(), rtol=1e-4
        )


def test_a_fault_in_the_preprocessing_would_be_seen(portrait, trained, command, monkeypatch):
    right = scores(command, trained, portrait)

    def without_normalisation(path):
        network = zoo.load(trained / "weights.safetensors")
        network.normalization = None
        return network

    monkeypatch.setattr(predict, "load_network", without_normalisation)
    assert scores(command, trained, portrait)["scores"] != right["scores"]


def test_of_an_oblong_picture_the_centre_square_is_taken(portrait, tmp_path, trained, command):
    face = scores(command, trained, portrait)
    assert face["box"] == [10, 0, 50, 40]
    Image.open(portrait).crop((10, 0, 50, 40)).save(tmp_path / "square.png")
    assert scores(command, trained, tmp_path / "square.png")["scores"] == face["scores"]


def test_a_picture_without_contrast_is_said_to_show_nothing(tmp_path, trained, command):
    Image.new("L", (60, 60), 130).save(tmp_path / "grey.png")
    _, out, _ = command("predict", trained, tmp_path / "grey.png", "--no-picture")
    assert "(60x60, centre square, hardly any contrast: such scores say nothing)" in out


def test_scores_are_printed_and_drawn_beside_the_picture(portrait, trained, command):
    code, out, error = command("predict", trained, portrait)
    assert (code, error) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"{portrait} (60x40, centre square)"
    shown = {line.split()[0]: float(line.split()[1]) for line in lines[2:9]}
    assert tuple(shown) == CLASS_NAMES
    assert sum(shown.values()) == pytest.approx(1, abs=0.005)
    best = max(shown, key=shown.get)
    assert lines[1].startswith(f"  {best} (")
    drawn = portrait.with_name("portrait.png.prediction.png")
    assert lines[9] == f"  drawn: {drawn}"
    pixels = np.asarray(Image.open(drawn).convert("RGB"))
    assert pixels.shape == (540, 1650, 3)
    assert pixels.std() > 20


def test_drawings_go_into_a_folder_and_are_not_replaced_unasked(
    portrait, tmp_path, trained, command, refused
):
    words = (trained, portrait, "--output", tmp_path / "drawn" / "here")
    assert command("predict", *words)[0] == 0
    (drawn,) = (tmp_path / "drawn" / "here").iterdir()
    drawn.write_bytes(b"mine")
    assert f"{drawn}: is there already; add --overwrite" in refused("predict", *words)
    assert drawn.read_bytes() == b"mine"
    assert command("predict", *words, "--overwrite")[0] == 0
    assert drawn.stat().st_size > 1000
    assert not portrait.with_name("portrait.png.prediction.png").exists()


def test_files_that_are_no_pictures_are_named_and_skipped_with_exit_code_1(
    portrait, tmp_path, trained, command
):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(portrait.read_bytes()[:500])
    words = (trained, bad, portrait, tmp_path / "missing.png")
    code, out, error = command("predict", *words, "--no-picture")
    assert code == 1
    assert str(portrait) in out
    first, second = error.splitlines()
    assert first.startswith(f"warning: skipped {bad}: not an image, or a damaged one")
    assert second.startswith(f"warning: skipped {tmp_path / 'missing.png'}: cannot be read")
    code, out, _ = command("predict", *words, "--no-picture", "--json")
    content = json.loads(out)
    assert code == 1
    assert [each["file"] for each in content["skipped"]] == [str(bad), str(words[-1])]
    assert [each["file"] for each in content["pictures"]] == [str(portrait)]


def test_where_no_picture_can_be_read_the_exit_code_is_2(tmp_path, trained, command):
    (tmp_path / "a.png").write_text("hello")
    code, out, error = command("predict", trained, tmp_path / "a.png")
    assert (code, out) == (2, "")
    assert error.splitlines()[-1] == "minicnn predict: error: none of 1 pictures could be read"


def test_two_pictures_are_not_drawn_into_one_file(portrait, tmp_path, trained, refused):
    (tmp_path / "b").mkdir()
    other = tmp_path / "b" / "portrait.png"
    other.write_bytes(portrait.read_bytes())
    line = refused("predict", trained, portrait, other, "--output", tmp_path / "out")
    assert "would both be drawn into" in line
    assert "is named twice" in refused("predict", trained, portrait, portrait)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nothing", "a.png"), "nothing: there is no such file or folder; give a run folder"),
        (("nothing",), "required: IMAGE"),
        (("nothing", ""), "expected a path, got an empty text"),
    ],
)
def test_command_lines_that_cannot_be_are_refused(words, message, refused):
    assert message in refused("predict", *words)


def test_detection_without_opencv_is_refused_before_any_work(
    portrait, trained, refused, monkeypatch
):
    def missing():
        raise OptionError('finding faces needs OpenCV; run: pip install "minicnn[detect]"')

    monkeypatch.setattr(predict, "require_detector", missing)
    assert 'pip install "minicnn[detect]"' in refused("predict", trained, portrait, "--detect")


def test_every_face_that_is_found_gets_its_scores(portrait, trained, command, monkeypatch):
    boxes = [Box(0, 0, 30, 30), Box(30, 10, 60, 40)]
    monkeypatch.setattr(predict, "require_detector", lambda: None)
    monkeypatch.setattr(predict, "find_faces", lambda picture: boxes)
    code, out, _ = command("predict", trained, portrait, "--detect", "--json")
    assert code == 0
    (found,) = json.loads(out)["pictures"]
    assert [face["box"] for face in found["faces"]] == [list(box) for box in boxes]
    first, second = (face["scores"] for face in found["faces"])
    assert first != second
    pixels = np.asarray(Image.open(found["drawn"]))
    assert pixels.shape[0] > 700  # a row for each
    code, out, _ = command("predict", trained, portrait, "--detect", "--overwrite")
    assert "(60x40, 2 found)" in out
    assert "  face 2 at 30,10: " in out


def test_where_no_face_is_found_the_centre_square_is_taken_and_said_so(
    portrait, trained, command, monkeypatch
):
    monkeypatch.setattr(predict, "require_detector", lambda: None)
    monkeypatch.setattr(predict, "find_faces", lambda picture: [])
    _, out, _ = command("predict", trained, portrait, "--detect", "--no-picture")
    assert "(60x40, no face found: centre square)" in out


def test_networks_for_colours_get_colours_and_unnamed_classes_are_numbered(
    portrait, tmp_path, command
):
    model = zoo.build("plain_dnn", num_classes=3, input_shape=(40, 40, 3), seed=1).eval()
    path = tmp_path / "w.safetensors"
    metadata = WeightsMetadata(model=model.name, arguments=model.arguments)
    save_weights(path, model, metadata=metadata)
    face = scores(command, path, portrait)
    assert tuple(face["scores"]) == ("class 0", "class 1", "class 2")
    pixels = np.asarray(Image.open(portrait))[None, :, 10:50].astype(np.float32)
    logits = model(Tensor(pixels)).numpy()[0].astype(np.float64)
    expected = np.exp(logits - logits.max())
    np.testing.assert_allclose(list(face["scores"].values()), expected / expected.sum(), atol=1e-5)


def test_the_backend_of_before_comes_back(portrait, trained, command):
    before = backend.current()
    scores(command, trained, portrait, "--backend", "numpy")
    assert backend.current() is before


# Several views, and networks of the package.


def test_views_are_averaged_where_that_is_asked_for(portrait, trained, command):
    model = zoo.load(trained / "weights.safetensors")
    pixels = network_input(read_picture(portrait), (48, 48, 1), Box(10, 0, 50, 40))
    expected = []
    for view in Views()(Tensor(model.normalization(pixels[None]))):
        logits = model(view).numpy()[0].astype(np.float64)
        exponentials = np.exp(logits - logits.max())
        expected.append(exponentials / exponentials.sum())
    # Options may stand between the network and its pictures.
    code, out, _ = command("predict", trained, "--tta", portrait, "--json", "--no-picture")
    assert code == 0
    content = json.loads(out)
    assert list(content) == ["averaged", "pictures", "skipped"]
    assert content["averaged"]["networks"] == 1
    assert content["averaged"]["views"]["count"] == 10
    found = list(content["pictures"][0]["faces"][0]["scores"].values())
    np.testing.assert_allclose(found, np.mean(expected, axis=0), rtol=1e-4)
    assert found != list(scores(command, trained, portrait)["scores"].values())
    _, out, _ = command("predict", trained, portrait, "--tta", "--no-picture")
    assert "(60x40, centre square, mean over 10 views of each image)" in out.splitlines()[0]


def test_without_views_nothing_is_said_of_them(portrait, trained, command):
    _, out, _ = command("predict", trained, portrait, "--json", "--no-picture")
    assert list(json.loads(out)) == ["pictures", "skipped"]


def test_without_a_network_the_packages_own_is_taken(portrait, in_package, trained, command):
    _, out, _ = command("predict", portrait, "--no-picture")
    lines = out.splitlines()
    assert lines[0] == f"network: {zoo.DEFAULT} of the package (plain_dnn)"
    _, named, _ = command("predict", trained, portrait, "--no-picture")
    assert lines[1:] == named.splitlines()
    code, out, _ = command("predict", portrait, portrait.parent / "b.png", "--json", "--no-picture")
    content = json.loads(out)
    assert (code, content["network"]) == (1, zoo.DEFAULT)
    assert [each["file"] for each in content["pictures"]] == [str(portrait)]
    assert [each["file"] for each in content["skipped"]] == [str(portrait.parent / "b.png")]


def test_a_network_of_the_package_can_be_named(portrait, in_package, trained, command):
    assert scores(command, zoo.DEFAULT, portrait) == scores(command, trained, portrait)
    # A folder of that name with data and no weights does not stand in its way, a run does.
    Path(zoo.DEFAULT).mkdir()
    assert scores(command, zoo.DEFAULT, portrait) == scores(command, trained, portrait)
    Path(zoo.DEFAULT, "weights.safetensors").write_bytes(b"damaged")
    code, _, error = command("predict", zoo.DEFAULT, portrait, "--no-picture")
    assert code == 2
    assert f"{zoo.DEFAULT}/weights.safetensors: not a whole safetensors file" in error


@pytest.mark.parametrize("name", ["photo.jpg", "gone.jpg", "noted"])
def test_a_picture_as_the_first_word_is_no_network(name, in_package, portrait, command):
    """It is no network either where it cannot be read, as long as it looks like a file."""
    if name != "gone.jpg":
        Path(name).write_bytes(portrait.read_bytes() if name == "photo.jpg" else b"12345")
    code, out, error = command("predict", name, portrait, "--no-picture")
    assert str(portrait) in out
    assert (code, name in error) == ((0, False) if name == "photo.jpg" else (1, True))


def test_weights_are_known_by_what_is_in_them(portrait, trained, no_weights, command):
    Path("best").write_bytes((trained / "weights.safetensors").read_bytes())
    assert scores(command, "best", portrait) == scores(command, trained, portrait)


def test_without_weights_in_the_package_a_network_must_be_named(no_weights, portrait, refused):
    line = refused("predict", portrait)
    assert "no network is named, and no weights are in this package yet; name a run folder" in line
    line = refused("predict", "portraits", portrait)
    assert "portraits: there is no such file or folder; give a run folder" in line
    assert "(no weights are in this package yet)" in line


def test_a_network_without_pictures_is_refused(in_package, trained, refused):
    for word in (zoo.DEFAULT, trained, trained / "weights.safetensors", "nothing"):
        assert "required: IMAGE" in refused("predict", word)
