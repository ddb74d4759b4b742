"""The export command: a small file that is loaded as the run is, and says where it is from."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest

from minicnn import zoo
from minicnn.io import read_weights, save_weights

pytestmark = pytest.mark.host


def exported(command, *words):
    code, out, error = command("export", *words)
    assert (code, error) == (0, "")
    return out


def test_a_run_is_exported_with_where_it_is_from(tmp_path, trained, command):
    path = tmp_path / "faces.safetensors"
    out = exported(command, trained, "--output", path)
    assert out == f"{path}: plain_dnn, 1,387,207 numbers, {path.stat().st_size / 1e6:.1f} MB\n"
    before, was = read_weights(trained / "weights.safetensors")
    after, now = read_weights(path)
    for name, array in before.items():
        assert after[name].tobytes() == array.tobytes()
    assert (now.model, now.arguments, now.class_names) == (
        was.model,
        was.arguments,
        was.class_names,
    )
    assert now.normalization.state()[0] == was.normalization.state()[0]
    training = dict(now.training)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", training.pop("exported"))
    recipe, scores = training.pop("recipe"), training.pop("scores")
    assert training == was.training
    options = json.loads((trained / "config.json").read_text())["options"]
    assert {"backend", "prefetch"} | set(recipe) == set(options)
    assert (recipe["model"], recipe["data"], recipe["limit"]) == ("plain_dnn", None, 28)
    splits = json.loads((trained / "metrics.json").read_text())["splits"]
    assert set(scores) == set(splits)
    assert scores["validation"] == {
        name: splits["validation"][name] for name in ("count", "accuracy", "macro_f1", "loss")
    }


def test_half_the_space_gives_nearly_the_same_network(tmp_path, trained, command):
    path = tmp_path / "faces.safetensors"
    assert "1,387,207 numbers, float16, 2.8 MB" in exported(
        command, trained, "--output", path, "--float16"
    )
    one, other = zoo.load(trained / "weights.safetensors"), zoo.load(path)
    weights, rounded = one.dense1.weight.numpy(), other.dense1.weight.numpy()
    assert rounded.dtype == np.float32
    np.testing.assert_array_equal(rounded, weights.astype(np.float16))


def test_the_path_of_the_data_stays_on_this_machine(tmp_path, trained, command):
    run = shutil.copytree(trained, tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    config["options"]["data"] = "/home/me/secret/fer2013.csv.gz"
    (run / "config.json").write_text(json.dumps(config))
    path = tmp_path / "faces.safetensors"
    exported(command, run, "--output", path)
    assert read_weights(path)[1].training["recipe"]["data"] == "fer2013.csv.gz"
    assert b"secret" not in path.read_bytes()


def test_of_a_cross_validated_run_the_scores_are_those_of_the_fold_it_is_of(
    tmp_path, trained, command
):
    run = shutil.copytree(trained, tmp_path / "run")
    metrics = json.loads((run / "metrics.json").read_text())
    fold = {**metrics["splits"]["validation"], "accuracy": 0.5}
    metrics |= {"weights_of_fold": 2, "folds": [metrics["splits"]["validation"], fold]}
    (run / "metrics.json").write_text(json.dumps(metrics))
    path = tmp_path / "faces.safetensors"
    exported(command, run, "--output", path)
    scores = read_weights(path)[1].training["scores"]
    assert list(scores) == ["validation"]
    assert scores["validation"]["accuracy"] == 0.5


def test_a_file_of_weights_keeps_what_it_knows(tmp_path, trained, command):
    first, second = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    exported(command, trained, "--output", first)
    exported(command, first, "--output", second, "--float16")
    known, again = (read_weights(path)[1].training for path in (first, second))
    assert known == again


def test_an_exported_file_is_known_by_its_name_once_it_is_in_the_package(
    no_weights, trained, command
):
    exported(command, trained, "--output", no_weights / "small.safetensors", "--float16")
    assert zoo.trained() == ("small",)
    code, out, _ = command("summary", "small")
    assert code == 0 and "1,387,207" in out


def test_the_files_of_the_run_are_never_written_over(trained, refused):
    for name in ("weights.safetensors", "checkpoint.safetensors"):
        before = (trained / name).read_bytes()
        line = refused("export", trained, "--output", trained / name, "--overwrite", "--float16")
        assert f"{name}: belongs to what is read here; give another file" in line
        assert (trained / name).read_bytes() == before


def test_what_cannot_be_exported_is_refused_and_nothing_is_lost(tmp_path, trained, refused):
    path = tmp_path / "faces.safetensors"
    assert "required: --output" in refused("export", trained)
    assert "ends in .safetensors" in refused("export", trained, "--output", tmp_path / "faces")
    line = refused("export", tmp_path / "nothing", "--output", path)
    assert "nothing: there is no such file or folder" in line
    path.write_bytes(b"mine")
    line = refused("export", trained, "--output", path)
    assert "faces.safetensors: is there already; add --overwrite" in line
    arrays, metadata = read_weights(trained / "weights.safetensors")
    arrays["dense1.weight"][0, 0] = np.nan
    broken = tmp_path / "broken.safetensors"
    save_weights(broken, arrays, metadata=metadata)
    words = ("export", broken, "--output", path, "--overwrite", "--float16")
    assert "dense1.weight holds NaN" in refused(*words)
    assert path.read_bytes() == b"mine"
