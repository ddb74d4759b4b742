"""The summary command: the table, options of a network, trained networks."""

from __future__ import annotations

import json

import pytest

from minicnn import inspect, zoo

pytestmark = pytest.mark.host


def test_the_table_of_a_network_is_printed_below_what_it_is(command):
    code, out, _ = command("summary", "plain_dnn")
    assert code == 0
    assert out.startswith("plain_dnn: System C's dense network")
    assert out.endswith(f"{inspect.summary(zoo.build('plain_dnn'))}\n")


def test_json_holds_the_whole_summary_and_how_the_network_is_built(command):
    _, out, _ = command(
        "summary", "plain_dnn", "--input", "8x6x3", "--classes", "4", "--option", "dropout=0.25",
        "--json",
    )  # fmt: skip
    content = json.loads(out)
    assert content["arguments"] == {"num_classes": 4, "input_shape": [8, 6, 3], "dropout": 0.25}
    assert content["total"]["parameters"] == (8 * 6 * 3 + 1) * 600 + 601 * 4


def test_options_that_are_lists_or_texts_are_understood(command):
    option = 'paddings=["same","same","same","same"]'
    _, out, _ = command("summary", "avgpool_cnn", "--option", option)
    assert "3,415,175 parameters" in out


@pytest.mark.parametrize("what", ["run", "run/weights.safetensors"])
def test_a_trained_network_can_be_named_by_its_run_or_its_weights(what, trained, command):
    code, out, _ = command("summary", trained.parent / what)
    assert code == 0
    assert "1,387,207 parameters" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("smal_cnn",), "'smal_cnn' is unknown; did you mean small_cnn?"),
        (("plain_dnn", "--option", "dropout"), "expected NAME=VALUE, got 'dropout'"),
        (("plain_dnn", "--option", "dropout=high"), "dropout"),
        (("plain_dnn", "--option", "depth=3"), "the option 'depth' is unknown; it takes dropout"),
        (("vgg16_bn", "--input", "16x16x1"), "too small"),
        (("plain_dnn", "--input", "1000000000x1000000000x1"), "cannot be built in that size"),
        (("plain_dnn", "--classes", "1"), "expected a whole number of 2 or more, got '1'"),
        (("nothing.safetensors",), "nothing.safetensors: there is no such file or folder"),
    ],
)
def test_what_cannot_be_built_is_refused(words, message, refused):
    assert message in refused("summary", *words)


def test_a_network_of_the_package_can_be_named(in_package, command, refused):
    code, out, _ = command("summary", zoo.DEFAULT)
    assert code == 0
    assert "1,387,207 parameters" in out
    assert "a trained network is as it is" in refused("summary", zoo.DEFAULT, "--classes", "3")
    in_package.unlink()
    assert f"model: '{zoo.DEFAULT}' is unknown" in refused("summary", zoo.DEFAULT)


def test_a_trained_network_is_not_built_otherwise(trained, refused):
    assert "a trained network is as it is" in refused("summary", trained, "--classes", "3")


def test_a_folder_without_weights_says_what_it_has(tmp_path, refused):
    assert "holds no weights.safetensors, but nothing of a run" in refused("summary", tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "history.csv").write_text("")
    line = refused("summary", tmp_path)
    assert "holds no weights.safetensors, but history.csv, config.json" in line


def test_damaged_weights_are_named(tmp_path, trained, refused):
    content = (trained / "weights.safetensors").read_bytes()
    (tmp_path / "w.safetensors").write_bytes(content[:-100])
    assert "w.safetensors: not a whole safetensors" in refused(
        "summary", tmp_path / "w.safetensors"
    )
