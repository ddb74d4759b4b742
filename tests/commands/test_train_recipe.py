"""The recipe of a training run: mixtures, a plain tail, class weights, decay, the average."""

from __future__ import annotations

import json

import numpy as np
import pytest

from minicnn import zoo
from minicnn.autograd import Tensor
from minicnn.commands import train_fer, train_run
from minicnn.commands.train_arguments import parse
from minicnn.commands.train_data import load_faces
from minicnn.commands.train_options import BEFORE, merge
from minicnn.data.face_dataset import FaceDataset
from minicnn.report.run_files import read_run
from minicnn.training.checkpoint import read_checkpoint, write_checkpoint
from minicnn.training.evaluation import evaluate
from minicnn.zoo.network import Network

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("no_figures")]

FAST = ("--model", "plain_dnn", "--limit", "28", "--batch-size", "8", "--no-report", "--quiet")
RICH = (
    *("--augment", "medium", "--mixup", "0.4", "--cutmix", "1", "--erasing", "0.5"),
    *("--plain-tail", "1", "--class-weights", "sqrt", "--label-smoothing", "0.1"),
    *("--average", "0.9", "--model", "small_cnn", "--schedule", "constant"),
)


def run(*words, out):
    return train_fer.main([*FAST, *map(str, words), "--out", str(out)])


@pytest.mark.parametrize("count", [2, 4, 6])  # within the first epoch, at its end, in the tail
def test_a_run_with_mixtures_and_a_plain_tail_goes_on_to_the_same_bits(
    tmp_path, stopped_after, same_results, count
):
    words = (*RICH, "--epochs", "2")
    assert run(*words, out=tmp_path / "whole") == 0
    with stopped_after(count):
        assert run(*words, out=tmp_path / "run") == 130
    assert run("--resume", "--model", "small_cnn", out=tmp_path / "run") == 0
    same_results(tmp_path / "whole", tmp_path / "run")


def test_the_plain_tail_sees_whole_faces_with_labels_of_one_class(tmp_path, batches):
    assert run(*RICH, "--epochs", "3", out=tmp_path / "run") == 0
    seen = [(epoch, labels.ndim) for epoch, _, labels in batches]
    assert seen == [(0, 2)] * 4 + [(1, 2)] * 4 + [(2, 1)] * 4


GROWING = ("--model", "residual_cnn", "--grow-from", "32", "--average", "0.9", "--limit", "16")


def test_images_grow_and_the_network_is_evaluated_at_their_full_size(
    tmp_path, monkeypatch, batches
):
    evaluated, forward = [], Network.forward

    def watch_network(self, x):
        if not self.training:
            evaluated.append(x.shape[1])
        return forward(self, x)

    monkeypatch.setattr(Network, "forward", watch_network)
    assert run(*GROWING, "--epochs", "3", out=tmp_path / "run") == 0
    seen = [(epoch, images.shape[1]) for epoch, images, _ in batches]
    assert seen == [(0, 32)] * 2 + [(1, 40)] * 2 + [(2, 48)] * 2
    assert set(evaluated) == {48}


@pytest.mark.parametrize("count", [1, 2, 3])  # within the first epoch, at its end, in the second
def test_a_run_with_growing_images_goes_on_to_the_same_bits(
    tmp_path, stopped_after, same_results, count
):
    words = (*GROWING, "--epochs", "2")
    assert run(*words, out=tmp_path / "whole") == 0
    with stopped_after(count):
        assert run(*words, out=tmp_path / "run") == 130
    assert run("--resume", "--limit", "16", "--model", "residual_cnn", out=tmp_path / "run") == 0
    same_results(tmp_path / "whole", tmp_path / "run")


def test_folds_with_mixtures_and_a_plain_tail_go_on_to_the_same_bits(tmp_path, stopped_after):
    words = (*RICH, "--epochs", "2", "--folds", "2")
    assert run(*words, out=tmp_path / "whole") == 0
    with stopped_after(3):  # two batches are an epoch
        assert run(*words, out=tmp_path / "run") == 130
    assert run("--resume", "--model", "small_cnn", out=tmp_path / "run") == 0
    for name in ("metrics.json", "weights.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()


def test_a_prolonged_run_says_that_its_tail_moves(tmp_path, capsys):
    out = tmp_path / "run"
    assert run("--plain-tail", "1", "--epochs", "2", out=out) == 0
    loud = [word for word in FAST if word != "--quiet"]
    assert train_fer.main([*loud, "--resume", "--epochs", "3", "--out", str(out)]) == 0
    assert "the plain tail is now the last 1 of 3 epochs, not of 2" in capsys.readouterr().out


def test_a_prolonged_run_says_that_its_images_grow_more_slowly(tmp_path, capsys):
    out = tmp_path / "run"
    assert run(*GROWING, "--epochs", "2", out=out) == 0
    words = ("--model", "residual_cnn", "--limit", "16", "--batch-size", "8", "--no-report")
    assert train_fer.main([*words, "--resume", "--epochs", "3", "--out", str(out)]) == 0
    assert "the images now grow in 3 epochs, not in 2" in capsys.readouterr().out


def forget(path, names):
    """Make a run's files those of a program that had none of these options."""
    config = json.loads((path / "config.json").read_text())
    config["options"] = {k: v for k, v in config["options"].items() if k not in names}
    (path / "config.json").write_text(json.dumps(config))
    state = read_checkpoint(path / "checkpoint.safetensors")
    for kind, values in state["callbacks"]:
        if kind == "Identity":
            for name in names:
                values.pop(name)
    write_checkpoint(path / "checkpoint.safetensors", state)


def test_a_run_from_before_the_options_is_gone_on_with_as_it_was_begun(tmp_path, capsys):
    words = ("--schedule", "constant", "--average", "0.9")
    assert run(*words, "--decay-all", "--epochs", 4, out=tmp_path / "long") == 0
    assert run(*words, "--epochs", 4, out=tmp_path / "new") == 0
    assert run(*words, "--decay-all", "--epochs", 2, out=tmp_path / "old") == 0
    forget(tmp_path / "old", BEFORE)
    assert run("--resume", "--mixup", "0.5", out=tmp_path / "old") == 2
    assert "--mixup 0.5: the run was begun with 0.0" in capsys.readouterr().err
    assert run("--resume", "--epochs", 4, out=tmp_path / "old") == 0
    long, old, new = (
        read_checkpoint(tmp_path / name / "checkpoint.safetensors")["model"]
        for name in ("long", "old", "new")
    )
    assert all((old[name] == long[name]).all() for name in long)
    assert any((new[name] != long[name]).any() for name in long)


def trainer_of(*words, labels=(0, 0, 0, 1)):
    """Return the trainer that a command line asks for, of a small network."""
    options = merge(parse(["--model", "small_cnn", *words], "train").given)
    images = np.zeros((len(labels), 48, 48, 1), np.uint8)
    train = FaceDataset(images, np.array(labels), np.arange(len(labels)).astype(str),
                        np.full(len(labels), "train"))  # fmt: skip
    model = zoo.build("small_cnn", num_classes=7, input_shape=(48, 48, 1), seed=0)
    loss = train_run.make_loss(train, options, options.label_smoothing)
    return model, train_run.make_trainer(model, options, (), 4, loss)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop", "adagrad", "adadelta"])
@pytest.mark.parametrize("schedule", ["one-cycle", "plateau"])
def test_biases_and_norms_decay_only_if_asked_to(optimizer, schedule):
    words = ("--optimizer", optimizer, "--weight-decay", "0.25", "--schedule", schedule)
    model, trainer = trainer_of(*words)
    decays = {
        id(each): group["weight_decay"]
        for group in trainer.optimizer.param_groups
        for each in group["params"]
    }
    assert {name: decays[id(each)] for name, each in model.named_parameters()} == {
        name: 0.25 if each.ndim > 1 else 0 for name, each in model.named_parameters()
    }
    _, trainer = trainer_of(*words, "--decay-all")
    assert [group["weight_decay"] for group in trainer.optimizer.param_groups] == [0.25]


def test_the_average_forgets_the_first_weights_soon():
    _, trainer = trainer_of("--average", "0.999")
    assert (trainer.average.decay, trainer.average.warmup) == (0.999, True)


@pytest.mark.parametrize(("name", "ratio"), [("balanced", 3), ("sqrt", 3**0.5)])
def test_class_weights_are_those_of_the_training_images(name, ratio):
    _, trainer = trainer_of("--class-weights", name)
    weight = trainer.loss.weight.numpy()
    assert weight[1] / weight[0] == pytest.approx(ratio)
    assert (3 * weight[0] + weight[1]) / 4 == pytest.approx(1)
    logits = Tensor(np.random.default_rng(0).standard_normal((4, 7)).astype(np.float32))
    logarithms = np.log(np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True))
    mixed = np.eye(7, dtype=np.float32)[[0, 0, 0, 1]] * 0.75 + np.eye(7, dtype=np.float32)[1] * 0.25
    expected = -(mixed * weight * logarithms).sum() / 4
    assert trainer.loss(logits, Tensor(mixed)).item() == pytest.approx(expected, rel=1e-5)
    assert trainer_of()[1].loss.weight is None


def test_views_are_scored_beside_the_images_and_change_nothing_else(tmp_path):
    assert run("--epochs", "1", out=tmp_path / "plain") == 0
    assert run("--epochs", "1", "--tta", out=tmp_path / "views") == 0
    plain, views = (
        json.loads((tmp_path / folder / "metrics.json").read_text())
        for folder in ("plain", "views")
    )
    assert views.pop("views")["flip"] is True
    of_views = views.pop("splits_of_views")
    assert views == plain
    network = zoo.load(tmp_path / "views" / "weights.safetensors")
    options = merge({"limit": 28, "tta": True})
    part = train_run.evaluation_loader(
        load_faces(options).require_validation(), options, network.normalization
    )
    expected = evaluate(network, part, tta=True)
    assert of_views.keys() == {"validation"}
    assert of_views["validation"]["confusion_matrix"] == expected.confusion.tolist()
    assert of_views["validation"] != plain["splits"]["validation"]


def test_views_are_refused_with_folds(tmp_path, capsys):
    assert run("--tta", "--folds", "2", out=tmp_path / "run") == 2
    assert "--tta: not with --folds" in capsys.readouterr().err


def test_views_may_be_asked_for_on_resume(tmp_path):
    assert run("--epochs", "1", out=tmp_path / "run") == 0
    assert run("--epochs", "2", "--resume", "--tta", out=tmp_path / "run") == 0
    of_views = json.loads((tmp_path / "run" / "metrics.json").read_text())["splits_of_views"]
    found = read_run(tmp_path / "run").views
    assert list(found) == ["validation, mean over views"]
    assert found["validation, mean over views"].accuracy == of_views["validation"]["accuracy"]


MIRRORED = ("--grow-from", "none", "--limit", "16", "--average", "0.9", "--model")


@pytest.mark.parametrize(
    ("model", "count"),  # within the first epoch, at its end
    [("residual_cnn", 1), ("residual_cnn", 2), ("residual_committee", 1)],
)
def test_a_symmetric_network_is_one_for_mirror_images_and_goes_on_to_the_same_bits(
    tmp_path, stopped_after, same_results, model, count
):
    words = (*MIRRORED, model, "--mirror-symmetry", "--epochs", "2")
    assert run(*words, out=tmp_path / "whole") == 0
    with stopped_after(count):
        assert run(*words, out=tmp_path / "run") == 130
    assert run("--resume", *MIRRORED, model, out=tmp_path / "run") == 0
    same_results(tmp_path / "whole", tmp_path / "run")
    network = zoo.load(tmp_path / "run" / "weights.safetensors")
    images = np.random.default_rng(0).standard_normal((2, 48, 48, 1)).astype(np.float32)
    found = [network(each).numpy() for each in (images, images[:, :, ::-1].copy())]
    np.testing.assert_allclose(*found, rtol=1e-3, atol=1e-5)


def test_with_symmetry_the_statistics_of_pixels_are_those_of_faces_and_their_mirror_images(
    tmp_path,
):
    words = (*MIRRORED, "residual_cnn", "--mirror-symmetry", "--normalize", "pixel")
    assert run(*words, "--epochs", "1", out=tmp_path / "run") == 0
    network = zoo.load(tmp_path / "run" / "weights.safetensors")
    images = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 1)).astype(np.uint8)
    prepared = [network.normalization(each) for each in (images, images[:, :, ::-1].copy())]
    np.testing.assert_allclose(prepared[0][:, :, ::-1], prepared[1], rtol=1e-5, atol=1e-6)
    found = [network(each).numpy() for each in prepared]
    np.testing.assert_allclose(*found, rtol=1e-3, atol=1e-5)


def test_symmetry_is_refused_where_dense_layers_see_places(tmp_path, capsys):
    assert run("--model", "small_cnn", "--mirror-symmetry", out=tmp_path / "run") == 2
    assert "--mirror-symmetry: not for small_cnn" in capsys.readouterr().err
