"""Networks whose weights are in the package: found by name, and installed with it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

import minicnn
from minicnn import zoo
from minicnn.errors import CheckpointError
from minicnn.io.weights import WeightsMetadata, save_weights
from minicnn.zoo import packaged

pytestmark = pytest.mark.host

ROOT = Path(minicnn.__file__).parents[1]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Put an empty folder in the place of the package's, and another one below our feet."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    found = tmp_path / "weights"
    found.mkdir()
    monkeypatch.setattr(packaged, "FOLDER", found)
    return found


def write(path, seed=0):
    network = zoo.build("plain_dnn", input_shape=(4, 4, 1), num_classes=3, seed=seed)
    metadata = WeightsMetadata(model=network.name, arguments=network.arguments)
    save_weights(path, network, metadata=metadata)
    return network


def first_weights(network):
    return network.dense1.weight.numpy()


def test_networks_of_the_package_are_listed_and_loaded_by_name(folder):
    networks = {name: write(folder / f"{name}.safetensors", i) for i, name in enumerate("ba")}
    (folder / "README.md").write_text("no weights")
    assert zoo.trained() == ("a", "b")
    assert zoo.trained_file("a") == folder / "a.safetensors"
    for name, network in networks.items():
        loaded = zoo.load(name)
        assert (first_weights(loaded) == first_weights(network)).all()
        assert not loaded.training


def test_without_a_name_the_default_is_loaded(folder):
    network = write(folder / f"{zoo.DEFAULT}.safetensors")
    assert (first_weights(zoo.load()) == first_weights(network)).all()
    assert zoo.trained_file() == folder / f"{zoo.DEFAULT}.safetensors"


def test_a_file_of_that_name_comes_first_but_a_folder_does_not(folder):
    network = write(folder / "a.safetensors", 0)
    Path("a").mkdir()
    assert (first_weights(zoo.load("a")) == first_weights(network)).all()
    Path("a").rmdir()
    other = write("a", 1)
    assert (first_weights(zoo.load("a")) == first_weights(other)).all()


def test_without_weights_in_the_package_every_way_to_them_says_so(folder):
    folder.rmdir()
    assert zoo.trained() == ()
    with pytest.raises(
        CheckpointError, match=f"{zoo.DEFAULT}: .*no weights are in this package yet"
    ):
        zoo.load()
    with pytest.raises(CheckpointError, match="faces: there is no such file, and no weights are"):
        zoo.load("faces")
    with pytest.raises(CheckpointError, match=f"{zoo.DEFAULT}: no weights are in this package yet"):
        zoo.trained_file()


def test_an_unknown_name_lists_the_known_ones(folder):
    for name in "ab":
        write(folder / f"{name}.safetensors")
    with pytest.raises(CheckpointError, match=r"c: .*the package has the weights of a, b"):
        zoo.load("c")
    for path in ("c.safetensors", "here/c"):  # a path, not a name
        with pytest.raises(CheckpointError, match=rf"{path}: there is no such file$"):
            zoo.load(path)
    with pytest.raises(CheckpointError):
        zoo.trained_file("../weights/a")


def test_the_folder_is_in_the_package_and_is_installed_with_it():
    found = resources.files("minicnn.zoo") / "weights"
    assert found.is_dir()
    assert Path(str(found)) == packaged.FOLDER
    tomllib = pytest.importorskip("tomllib")  # from Python 3.11 on
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = table["tool"]["setuptools"]["package-data"]["minicnn"]
    example = packaged.FOLDER.relative_to(ROOT / "minicnn") / "some.safetensors"
    assert any(example.match(pattern) for pattern in patterns)


@pytest.mark.skipif(not zoo.trained(), reason="no weights are in this package yet")
def test_what_is_in_the_package_can_be_loaded_and_has_the_default():
    assert zoo.DEFAULT in zoo.trained()
    for name in zoo.trained():
        assert zoo.load(name).class_names is not None
