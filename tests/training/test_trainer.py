"""The training loop: it learns, validates, averages, schedules, tells its callbacks, and stops."""

from __future__ import annotations

import gc
import math
import weakref

import numpy as np
import pytest

from minicnn import backend, zoo
from minicnn.autograd import tensor
from minicnn.errors import NotANumberError, OptionError
from minicnn.io import WeightsMetadata
from minicnn.nn.linear import Linear
from minicnn.ops.class_loss import cross_entropy
from minicnn.optim.average import ExponentialMovingAverage
from minicnn.optim.plateau import ReduceLROnPlateau
from minicnn.optim.schedules import StepLR
from minicnn.optim.sgd import SGD
from minicnn.training import trainer as trainer_module
from minicnn.training.callbacks import (
    BestModel,
    Callback,
    Checkpoint,
    EarlyStopping,
    HistoryWriter,
)
from minicnn.training.evaluation import evaluate, predict, scores_of
from minicnn.training.history import COLUMNS
from minicnn.training.interrupt import Interrupted
from minicnn.training.symmetry import MirrorSymmetry
from minicnn.training.trainer import Trainer

PLAIN = {"schedule": None, "average": None, "clip_norm": None}


class Recorder(Callback):
    """Writes down what it is told."""

    def __init__(self):
        self.events = []

    def on_fit_start(self, trainer):
        self.events.append("fit start")

    def on_epoch_start(self, trainer):
        self.events.append(f"epoch {trainer.epoch + 1}")

    def on_batch_end(self, trainer):
        self.events.append(trainer.batch)

    def on_epoch_end(self, trainer):
        self.events.append(f"end {trainer.history[-1]['epoch']}")

    def on_epoch_saved(self, trainer):
        self.events.append(f"saved {trainer.epoch}")

    def on_interrupt(self, trainer):
        self.events.append("interrupt")

    def on_fit_end(self, trainer):
        self.events.append("fit end")


def weights_of(model):
    return {name: backend.to_numpy(value) for name, value in model.state_dict().items()}


def test_it_learns_and_keeps_a_row_for_each_epoch(make_run):
    run = make_run(epochs=6)
    history = run.fit(6)
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5, 6]
    assert all(set(row) == set(COLUMNS) for row in history)
    assert history[-1]["train_loss"] < 0.6 * history[0]["train_loss"]
    assert history[-1]["validation_accuracy"] > 0.8
    assert history[-1]["images_per_second"] > 0


def test_a_step_is_the_one_written_out_by_hand(make_run):
    run, other = make_run(**PLAIN), make_run(**PLAIN)
    losses, count = [], 0
    other.trainer.model.train()
    for images, labels in other.train_loader:
        loss = cross_entropy(other.trainer.model(images), labels)
        loss.backward()
        other.trainer.optimizer.step()
        other.trainer.optimizer.zero_grad()
        losses.append(loss.item() * len(labels))
        count += len(labels)
    history = run.fit(1)
    assert history[0]["train_loss"] == pytest.approx(sum(losses) / count, rel=1e-6)
    expected = weights_of(other.trainer.model)
    for name, value in weights_of(run.trainer.model).items():
        np.testing.assert_array_equal(value, expected[name])


def test_callbacks_are_told_in_order_and_the_last_ones_last(make_run):
    recorder = Recorder()

    class Late(Recorder):
        last = True

        def on_epoch_end(self, trainer):
            recorder.events.append("late")

    make_run(Late(), recorder).fit(1)
    assert recorder.events == [
        "fit start", "epoch 1", 1, 2, 3, 4, 5, 6, "end 1", "late", "saved 1", "fit end",
    ]  # fmt: skip


def test_the_validation_uses_the_average_and_leaves_the_model_as_it_was(make_run):
    run = make_run()
    history = run.fit(1)
    trained = weights_of(run.trainer.model)
    with run.trainer.average.average_weights():
        averaged = weights_of(run.trainer.model)
        scores = evaluate(run.trainer.model, run.validation_loader)
    assert scores.loss == pytest.approx(history[0]["validation_loss"], rel=1e-6)
    assert np.abs(trained["0.weight"] - averaged["0.weight"]).max() > 0
    np.testing.assert_array_equal(
        backend.to_numpy(run.trainer.validated_weights()["0.weight"]), averaged["0.weight"]
    )


def test_schedules_are_stepped_after_what_their_interval_says(make_run):
    run = make_run(**PLAIN)
    optimizer = run.trainer.optimizer
    run.trainer.schedule = StepLR(optimizer, 1, 0.5, interval="epoch")
    assert run.fit(3).column("learning_rate") == [0.01, 0.005, 0.0025]
    run = make_run(**PLAIN)
    run.trainer.schedule = StepLR(run.trainer.optimizer, 1, 0.5, interval="batch")
    # Six batches an epoch: the last one of the first is taken after five steps of the schedule.
    assert run.fit(2).column("learning_rate") == [0.01 / 2**5, 0.01 / 2**11]


def test_a_plateau_schedule_goes_by_the_validation_loss(make_run):
    run = make_run(**PLAIN)
    plateau = ReduceLROnPlateau(run.trainer.optimizer, patience=0, threshold=100.0)
    run.trainer.schedule = plateau
    history = run.fit(3)
    assert plateau.best == history[0]["validation_loss"]
    assert history.column("learning_rate") == pytest.approx([0.01, 0.01, 0.001])


@pytest.mark.host
def test_a_plateau_schedule_of_batches_is_refused(make_run):
    run = make_run(**PLAIN)
    plateau = ReduceLROnPlateau(run.trainer.optimizer, interval="batch")
    with pytest.raises(OptionError, match="interval='epoch'"):
        Trainer(run.trainer.model, run.trainer.optimizer, schedule=plateau)


@pytest.mark.host
def test_gradients_are_clipped_to_the_norm(make_run):
    norms = []

    class Watch(SGD):
        def step(self):
            gradients = [p.grad.numpy() for group in self.param_groups for p in group["params"]]
            norms.append(math.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradients)))
            super().step()

    run = make_run(**{**PLAIN, "clip_norm": 1e-3})
    run.trainer.optimizer = Watch(run.trainer.model.parameters(), lr=0.1)
    run.fit(1)
    assert np.allclose(norms, 1e-3, rtol=1e-2)


@pytest.mark.parametrize("interval", [1, 4, 100])
def test_a_nan_stops_with_its_epoch_and_batch_however_seldom_one_looks(
    make_run, monkeypatch, tmp_path, interval
):
    monkeypatch.setattr(trainer_module, "CHECK_INTERVAL", interval)
    path = tmp_path / "checkpoint.safetensors"
    calls = []

    def loss(logits, labels):
        if run.trainer.model.training:
            calls.append(None)
        factor = float("nan") if len(calls) == 6 + 3 else 1.0
        return cross_entropy(logits, labels) * tensor(factor)

    run = make_run(Checkpoint(path), loss=loss)
    kept = make_run(Checkpoint(tmp_path / "kept.safetensors"))
    kept.fit(1)
    with pytest.raises(NotANumberError, match=r"epoch 2, batch 3 of 6: the loss is nan"):
        run.fit(4)
    assert len(run.trainer.history) == 1
    state = trainer_module.read_checkpoint(path)
    assert state["epoch"] == 1
    expected = trainer_module.read_checkpoint(tmp_path / "kept.safetensors")["model"]
    for name, value in state["model"].items():
        np.testing.assert_array_equal(value, expected[name])


def test_weights_that_the_last_step_spoiled_are_noticed_in_the_validation(make_run):
    class Spoil(Callback):
        def on_batch_end(self, trainer):
            if trainer.batch == 6:
                weight = next(trainer.model.parameters())
                weight.data[...] = float("nan")

    run = make_run(Spoil(), **PLAIN)
    with pytest.raises(NotANumberError, match="epoch 1: the validation loss is nan"):
        run.fit(1)


def test_early_stopping_ends_after_its_patience(make_run):
    stopping = EarlyStopping(2, monitor="validation_accuracy", min_delta=1.0)
    run = make_run(stopping, epochs=9)
    history = run.fit(9)
    assert len(history) == 3
    assert "epoch 1" in run.trainer.stop_reason


def test_the_best_model_is_that_of_the_first_best_epoch(make_run):
    kept = []

    class Keep(Callback):
        def on_epoch_end(self, trainer):
            kept.append(trainer.validated_weights())

    best = BestModel(monitor="validation_loss")
    run = make_run(best, Keep())
    losses = run.fit(4).column("validation_loss")
    assert best.epoch == 1 + int(np.argmin(losses))
    assert best.value == min(losses)
    best.restore(run.trainer.model)
    for name, value in weights_of(run.trainer.model).items():
        np.testing.assert_array_equal(value, backend.to_numpy(kept[best.epoch - 1][name]))


@pytest.mark.host
def test_options_that_make_no_sense_are_refused(make_run):
    with pytest.raises(OptionError, match="epochs: expected an integer of 1 or more, got 0"):
        make_run().fit(0)
    with pytest.raises(OptionError, match="patience: expected 1 or more, got 0"):
        EarlyStopping(0)
    with pytest.raises(OptionError, match="'accuracy' is unknown"):
        BestModel(monitor="accuracy")
    with pytest.raises(OptionError, match="pass WeightsMetadata"):
        BestModel("weights.safetensors")
    with pytest.raises(OptionError, match="no best epoch yet"):
        BestModel().restore(make_run().trainer.model)
    run = make_run(BestModel())
    with pytest.raises(OptionError, match="no validation loader"):
        run.trainer.fit(run.train_loader, epochs=1)


def test_without_validation_its_columns_are_empty(make_run):
    run = make_run(BestModel(monitor="train_loss"))
    history = run.trainer.fit(run.train_loader, epochs=1)
    assert history[0]["validation_loss"] is None
    assert history[0]["validation_accuracy"] is None


@pytest.mark.standin
def test_an_epoch_reads_from_the_device_only_when_it_must(make_run):
    import standin

    run = make_run()
    run.fit(1)
    images, labels = next(iter(run.train_loader))
    run.trainer.model.train()
    with standin.no_transfers():
        run.trainer._step(images, labels)


def test_evaluation_records_nothing_and_leaves_each_modules_mode(make_run):
    run = make_run()
    model = run.trainer.model
    model.train()
    model[1].eval()
    before = weights_of(model)
    scores = evaluate(model, run.validation_loader)
    assert [module.training for module in model] == [True, False, True, True, True, True, True]
    for name, value in weights_of(model).items():
        np.testing.assert_array_equal(value, before[name])
    probabilities = predict(model, run.validation_loader)
    assert probabilities.shape == (9, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    again = scores_of(probabilities, run.validation_loader.labels)
    np.testing.assert_array_equal(again.confusion, scores.confusion)
    assert again.loss == pytest.approx(scores.loss, rel=1e-5)


@pytest.mark.host
def test_a_request_to_stop_ends_after_the_batch_and_then_fit_starts_the_epoch_anew(make_run):
    recorder = Recorder()

    class Stop(Callback):
        def on_batch_end(self, trainer):
            if trainer.epoch == 1 and trainer.batch == 2 and not self.done:
                self.done = True
                trainer._request.requested = True

        done = False

    run = make_run(recorder, Stop(), **PLAIN)
    with pytest.raises(Interrupted, match="epoch 2, after batch 2"):
        run.fit(3)
    assert recorder.events[-5:] == ["epoch 2", 1, 2, "interrupt", "fit end"]
    assert len(run.fit(3)) == 3
    assert recorder.events.count("epoch 2") == 2


def test_nothing_of_a_batch_is_alive_after_it(make_run):
    alive = []

    class Watch(Callback):
        def on_batch_end(self, trainer):
            alive.append(sum(reference() is not None for reference in outputs))
            outputs.clear()

    outputs = []
    run = make_run(Watch())
    for module in run.trainer.model:
        module.register_forward_hook(
            lambda module, inputs, output: outputs.append(weakref.ref(output))
        )
    gc.disable()  # nothing may wait for the collector of cycles
    try:
        run.fit(1)
    finally:
        gc.enable()
    assert alive == [0] * 6


def test_parts_that_could_not_train_are_refused_at_once():
    model, other = Linear(2, 2, rng=0), Linear(2, 2, rng=0)
    own = SGD(model.parameters())
    with pytest.raises(OptionError, match=r"no parameter of the model; .*model\.parameters\(\)"):
        Trainer(model, SGD(other.parameters()))
    with pytest.raises(TypeError, match="model: expected a Module, got SGD"):
        Trainer(own, model)
    with pytest.raises(TypeError, match="optimizer: expected a Optimizer, got Linear"):
        Trainer(model, other)
    network = zoo.build("residual_cnn", widths=(2, 2), blocks=(0, 0), dropout=(0, 0), seed=0)
    with pytest.raises(TypeError, match="symmetry: expected a MirrorSymmetry, got bool"):
        Trainer(model, own, symmetry=True)
    with pytest.raises(OptionError, match="symmetry is of another model"):
        Trainer(model, own, symmetry=MirrorSymmetry(network))
    with pytest.raises(TypeError, match="targets: expected SelfAdaptiveTargets, got ndarray"):
        Trainer(model, own, targets=np.eye(2))
    with pytest.raises(OptionError, match="schedule is of another optimizer"):
        Trainer(model, own, schedule=StepLR(SGD(model.parameters()), 1))
    with pytest.raises(OptionError, match="average is of another model"):
        Trainer(model, own, average=ExponentialMovingAverage(other))
    Trainer(model, own, average=ExponentialMovingAverage(model.parameters()))
    plateau = ReduceLROnPlateau(own)
    with pytest.raises(OptionError, match=r"the schedule: monitor 'val_loss' is unknown; .*valid"):
        Trainer(model, own, schedule=plateau, schedule_metric="val_loss")
    with pytest.raises(
        OptionError, match=r"the schedule: monitors validation_loss, .* no validation loader"
    ):
        Trainer(model, own, schedule=plateau).fit([(1, 2)], epochs=1)
    for callbacks in (Callback(), [Callback]):
        with pytest.raises(TypeError, match="a list of Callback objects"):
            Trainer(model, own, callbacks=callbacks)
    for loader in (None, []):
        with pytest.raises(OptionError, match="of one batch or more"):
            Trainer(model, own).fit(loader, epochs=1)


def test_killed_before_the_checkpoint_a_run_leaves_no_weights_that_it_could_not_go_on_from(
    make_run, tmp_path
):
    class Killed(Checkpoint):
        def on_epoch_end(self, trainer):
            raise KeyboardInterrupt

    best = BestModel(tmp_path / "weights.safetensors", metadata=WeightsMetadata("net", {}))
    run = make_run(best, HistoryWriter(tmp_path / "history.csv"), Killed(tmp_path / "checkpoint"))
    with pytest.raises(KeyboardInterrupt):
        run.fit(1)
    assert not list(tmp_path.iterdir())
    make_run(best, HistoryWriter(tmp_path / "history.csv")).fit(1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "history.csv", "weights.safetensors",
    ]  # fmt: skip
