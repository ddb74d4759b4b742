"""Options: defaults that follow from others, refusals, and what a resumed run may change."""

from __future__ import annotations

import shlex
from dataclasses import asdict

import pytest

from minicnn import zoo
from minicnn.commands.train_arguments import checked, parse
from minicnn.commands.train_options import (
    BEFORE,
    DEFAULTS_OF_MODEL,
    OF_ANY_SIZE,
    WITH_DRAWN_FACES,
    Options,
    command,
    merge,
)
from minicnn.errors import OptionError
from minicnn.nn.pool import GlobalAvgPool2d

pytestmark = pytest.mark.host


def options(*words):
    return merge(parse(words, "train").given)


def test_without_arguments_the_recipe_of_the_default_network_holds():
    recipe = DEFAULTS_OF_MODEL[Options.model]
    assert options("--data", "faces.csv") == Options(data="faces.csv", **recipe)
    assert options() == Options(**{**recipe, **WITH_DRAWN_FACES})


def test_networks_without_a_recipe_have_the_defaults():
    found = options("--data", "faces.csv", "--model", "avgpool_cnn")
    assert found == Options(data="faces.csv", model="avgpool_cnn")
    assert (found.epochs, found.average, found.drop_duplicates) == (8, None, False)
    assert found.clip_norm == 1


def test_gradients_may_be_left_unclipped_also_in_the_command_that_repeats_it():
    assert options("--data", "faces.csv").clip_norm is None  # the recipe's
    found = options("--model", "avgpool_cnn", "--clip-norm", "none")
    assert found.clip_norm is None
    assert merge(parse(command("", found, "-"), "train").given) == found


def test_what_is_named_goes_before_the_recipe_also_in_the_command_that_repeats_it():
    words = (
        "--no-drop-duplicates",
        "--average",
        "none",
        "--augment",
        "flip",
        "--grow-from",
        "none",
    )
    found = options("--data", "faces.csv", *words)
    assert (found.drop_duplicates, found.average, found.augment) == (False, None, "flip")
    assert merge(parse(command("", found, "-"), "train").given) == found
    assert options("--optimizer", "sgd").weight_decay == 0


def test_the_recipes_images_do_not_grow_where_each_pixel_has_its_mean_unless_it_is_named():
    assert options("--data", "faces.csv").grow_from == 32
    assert options("--data", "faces.csv", "--normalize", "pixel").grow_from is None
    with pytest.raises(OptionError, match="--grow-from: not with --normalize pixel"):
        options("--data", "faces.csv", "--normalize", "pixel", "--grow-from", "32")


def test_learning_rate_and_weight_decay_follow_the_optimizer_unless_named():
    assert (
        options("--optimizer", "sgd").learning_rate,
        options("--optimizer", "sgd").weight_decay,
    ) == (0.05, 0)
    assert options("--optimizer", "adadelta", "--learning-rate", "0.1").learning_rate == 0.1
    assert options("--model", "deep_vgg").learning_rate == options().learning_rate / 4
    assert options("--model", "vgg16_bn").learning_rate == options().learning_rate / 4
    assert options("--model", "deep_vgg", "--learning-rate", "0.1").learning_rate == 0.1


def test_the_backend_is_chosen_once_and_stored(monkeypatch):
    assert options("--backend", "auto").backend == "numpy"
    monkeypatch.setenv("MINICNN_BACKEND", "nonsense")
    with pytest.raises(OptionError, match="set by MINICNN_BACKEND"):
        options()
    assert options("--backend", "numpy").backend == "numpy"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--epochs", "0"), "argument --epochs: expected a whole number of 1 or more, got '0'"),
        (("--epochs", "two"), "got 'two'"),
        (("--batch-size", "1.5"), "got '1.5'"),
        (("--learning-rate", "nan"), "expected a number above 0, got 'nan'"),
        (("--learning-rate", "0"), "above 0"),
        (("--weight-decay", "-1"), "of 0 or more"),
        (("--label-smoothing", "1"), "of 0 or more, below 1, got '1'"),
        (("--validation-fraction", "1"), "between 0 and 1"),
        (("--folds", "1"), "whole number of 2 or more"),
        (("--model", "vgg99"), "invalid choice: 'vgg99'"),
        (("--normalize", "zscore"), "choose from"),
        (("--mixup", "-0.1"), "argument --mixup: expected a number of 0 or more, got '-0.1'"),
        (("--cutmix", "inf"), "argument --cutmix: expected a number of 0 or more, got 'inf'"),
        (("--erasing", "1.1"), "argument --erasing: expected a number from 0 to 1, got '1.1'"),
        (("--class-weights", "log"), "invalid choice: 'log'"),
        (("--grow-from", "7"), "argument --grow-from: expected a whole number from 8 to 47"),
        (("--grow-from", "48"), "argument --grow-from: expected a whole number from 8 to 47"),
        (("--plain-tail", "-1"), "argument --plain-tail: expected a whole number of 0 or more"),
        (("--speed", "9"), "unrecognized arguments: --speed 9"),
        (("--epoch", "9"), "unrecognized arguments"),
        (("--data",), "expected one argument"),
        (("--data", ""), "expected a path"),
        (("--resume", "--overwrite"), "choose one"),
    ],
)
def test_what_is_not_possible_is_refused_with_its_value(words, message):
    with pytest.raises(OptionError, match=message) as caught:
        parse(words, "train")
    assert "\n" not in str(caught.value)


def test_an_epoch_must_come_before_the_plain_tail():
    words = ("--epochs", "5", "--plain-tail")
    assert options(*words, "4").plain_tail == 4
    with pytest.raises(OptionError, match="--plain-tail 5: the run has 5 epochs, and some of them"):
        options(*words, "5")
    stored = asdict(options(*words, "4"))
    assert merge({"epochs": 6}, stored).plain_tail == 4


def test_only_networks_that_take_any_size_can_have_growing_images():
    words = ("--grow-from", "32", "--model")
    assert options(*words, "residual_cnn").grow_from == 32
    with pytest.raises(
        OptionError, match=r"--grow-from: avgpool_cnn .* choose one of residual_cnn"
    ):
        options(*words, "avgpool_cnn")
    with pytest.raises(OptionError, match=r"--grow-from: not with --normalize pixel"):
        options("--grow-from", "32", "--normalize", "pixel")
    for name in zoo.names():
        network = zoo.build(name)
        free = any(isinstance(layer, GlobalAvgPool2d) for layer in network.modules())
        assert free == (name in OF_ANY_SIZE)


def test_a_resumed_run_takes_its_options_from_the_stored_one():
    stored = asdict(options("--model", "small_cnn", "--seed", "3", "--epochs", "4"))
    assert asdict(merge({}, stored)) == stored
    assert merge({"epochs": 6, "model": "small_cnn"}, stored).epochs == 6
    assert merge({"patience": 2, "prefetch": False}, stored).patience == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "plain_dnn"}, "--model plain_dnn: the run was begun with small_cnn"),
        ({"seed": 4}, "--seed 4: the run was begun with 3"),
        ({"batch_size": 64}, "--batch-size 64: the run was begun with 32"),
        ({"augment": "none"}, "--augment none: the run was begun with flip"),
        ({"epochs": 2}, "longer, not shorter"),
        ({"mixup": 0.2}, "--mixup 0.2: the run was begun with 0.0"),
        ({"decay_all": True}, "--decay-all yes: the run was begun with no"),
        ({"plain_tail": 1}, "--plain-tail 1: the run was begun with 0"),
        ({"grow_from": 32}, "--grow-from 32: the run was begun with none"),
    ],
)
def test_what_would_make_it_another_run_is_refused_with_both_values(given, message):
    stored = asdict(options("--model", "small_cnn", "--seed", "3", "--epochs", "4"))
    with pytest.raises(OptionError, match=message):
        merge(given, stored)


def test_a_run_from_before_an_option_goes_on_as_it_was_begun():
    stored = asdict(options("--model", "small_cnn", "--seed", "3"))
    old = {name: value for name, value in stored.items() if name not in BEFORE}
    assert len(old) < len(stored)
    for found in (merge({}, old), Options(**checked(old))):
        assert asdict(found) == {**stored, "decay_all": True}
    with pytest.raises(OptionError, match=r"--cutmix 1.0: the run was begun with 0.0"):
        merge({"cutmix": 1.0}, old)


@pytest.mark.parametrize(
    ("name", "value"),
    [("cutmix", "x"), ("erasing", 2), ("class_weights", "log"), ("plain_tail", 1.5), ("mixup", [])],
)
def test_a_stored_option_that_is_not_possible_is_named(name, value):
    with pytest.raises(OptionError, match="--" + name.replace("_", "-")):
        checked({**asdict(options()), name: value})


@pytest.mark.parametrize(
    "words",
    [
        (),
        (
            *("--augment", "medium", "--mixup", "0.2", "--cutmix", "1", "--erasing", "0.25"),
            *("--plain-tail", "2", "--class-weights", "sqrt", "--decay-all"),
        ),
        ("--grow-from", "32"),
        ("--grow-from", "none", "--data", "faces.csv"),
        ("--data", "my faces.csv", "--no-augment", "--no-prefetch", "--drop-duplicates"),
        (
            "--folds",
            "3",
            "--limit",
            "9",
            "--average",
            "0.99",
            "--clip-norm",
            "1",
            "--patience",
            "2",
        ),
    ],
)
def test_the_stored_command_gives_the_same_options_again(words):
    wanted = options(*words)
    line = shlex.join(command("python train.py", wanted, "a folder"))
    again = shlex.split(line)
    assert again[:2] == ["python", "train.py"]
    request = parse(again[2:], "train")
    assert merge(request.given) == wanted
    assert checked(asdict(wanted)) == asdict(wanted)
    assert request.out == "a folder"


def test_help_groups_the_options_and_names_the_models(capsys):
    with pytest.raises(SystemExit) as ended:
        parse(["--help"], "train")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for word in (
        "--mixup ALPHA",
        "--cutmix ALPHA",
        "--erasing P",
        "--plain-tail N",
        "--grow-from PIXELS",
    ):
        assert word in text
    for word in ("data:", "model and training:", "run:", "avgpool_cnn", "not real"):
        assert word in text
