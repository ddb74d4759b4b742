"""A run that was broken off anywhere ends with the same bits as one that was not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from minicnn.autograd import Tensor
from minicnn.errors import CheckpointError
from minicnn.training.callbacks import BestModel, Checkpoint, EarlyStopping, HistoryWriter
from minicnn.training.checkpoint import read_checkpoint, write_checkpoint
from minicnn.training.history import History
from minicnn.training.interrupt import Interrupted, stop_requests, terminable

EPOCHS = 4
TIMES = ("seconds", "images_per_second", "training_seconds")


def differences(one, other, where=""):
    """List the places at which two states differ, times apart."""
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return [where]
        return [
            found
            for key in one
            if key not in TIMES
            for found in differences(one[key], other[key], f"{where}/{key}")
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            found
            for i, (a, b) in enumerate(zip(one, other, strict=True))
            for found in differences(a, b, f"{where}/{i}")
        ]
    if isinstance(one, np.ndarray):
        same = one.dtype == other.dtype and one.tobytes() == other.tobytes()
        return [] if same else [where]
    return [] if one == other else [where]


def callbacks(folder):
    return (
        BestModel(),
        EarlyStopping(50),
        HistoryWriter(folder / "history.csv"),
        Checkpoint(folder / "checkpoint.safetensors"),
    )


@pytest.fixture
def uninterrupted(make_run, tmp_path):
    folder = tmp_path / "whole"
    folder.mkdir()
    make_run(*callbacks(folder)).fit(EPOCHS)
    return read_checkpoint(folder / "checkpoint.safetensors")


def test_two_and_two_epochs_are_four(make_run, tmp_path, uninterrupted):
    path = tmp_path / "checkpoint.safetensors"
    make_run(*callbacks(tmp_path)).fit(2)
    make_run(*callbacks(tmp_path)).fit(EPOCHS, resume=path)
    assert differences(uninterrupted, read_checkpoint(path)) == []


@pytest.mark.parametrize(("epoch", "batch"), [(1, 1), (3, 5), (2, 0)])
def test_a_run_stopped_in_mid_epoch_goes_on_within_it(
    make_run, stop_at, tmp_path, uninterrupted, epoch, batch
):
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Interrupted):
        make_run(*callbacks(tmp_path), stop_at(epoch, batch)).fit(EPOCHS)
    state = read_checkpoint(path)
    assert (state["epoch"], state["batch"]) == (epoch - 1, batch or 6)
    make_run(*callbacks(tmp_path)).fit(EPOCHS, resume=path)
    assert differences(uninterrupted, read_checkpoint(path)) == []


@pytest.mark.host
@pytest.mark.parametrize(
    "left_out", ["loader", "generators", "optimizer", "average", "schedule", "model"]
)
def test_the_comparison_notices_whatever_is_not_restored(
    make_run, tmp_path, uninterrupted, left_out, monkeypatch
):
    path = tmp_path / "checkpoint.safetensors"
    make_run(*callbacks(tmp_path)).fit(2)
    run = make_run(*callbacks(tmp_path))
    owner, method = {
        "loader": (run.train_loader, "load_state"),
        "generators": (sys.modules["minicnn.training.state"], "set_generator_state"),
        "optimizer": (run.trainer.optimizer, "load_state_dict"),
        "average": (run.trainer.average, "load_state"),
        "schedule": (run.trainer.schedule, "load_state"),
        "model": (run.trainer.model, "load_state_dict"),
    }[left_out]
    monkeypatch.setattr(owner, method, lambda *state: None, raising=True)
    run.fit(EPOCHS, resume=path)
    assert differences(uninterrupted, read_checkpoint(path)) != []


@pytest.mark.host
def test_the_history_file_of_a_resumed_run_has_each_epoch_once(make_run, tmp_path):
    make_run(*callbacks(tmp_path)).fit(3)
    checkpoint = (tmp_path / "checkpoint.safetensors").read_bytes()
    make_run(*callbacks(tmp_path)).fit(EPOCHS, resume=tmp_path / "checkpoint.safetensors")
    # As if killed after the csv of epoch 4 was written, but before its checkpoint.
    (tmp_path / "checkpoint.safetensors").write_bytes(checkpoint)
    make_run(*callbacks(tmp_path)).fit(EPOCHS, resume=tmp_path / "checkpoint.safetensors")
    history = History.read_csv(tmp_path / "history.csv")
    assert history.column("epoch") == [1, 2, 3, 4]
    state = read_checkpoint(tmp_path / "checkpoint.safetensors")
    assert history.rows == state["history"]


@pytest.mark.host
def test_a_run_that_was_stopped_early_stays_stopped(make_run, tmp_path):
    stopping = {"monitor": "validation_accuracy", "min_delta": 1.0}
    path = tmp_path / "checkpoint.safetensors"
    make_run(EarlyStopping(1, **stopping), Checkpoint(path)).fit(EPOCHS)
    run = make_run(EarlyStopping(1, **stopping), Checkpoint(path))
    assert len(run.fit(EPOCHS, resume=path)) == 2
    run = make_run(EarlyStopping(2, **stopping), Checkpoint(path))
    assert len(run.fit(EPOCHS, resume=path)) == 3


class Untied:
    """A symmetry that leaves weights as they are, so that any model may have it."""

    def project(self):
        pass


def tied(run):
    run.trainer.symmetry = Untied()
    return run


@pytest.mark.host
def test_a_checkpoint_tells_of_a_symmetry(make_run, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    tied(make_run(Checkpoint(path))).fit(1)
    with pytest.raises(CheckpointError, match="only the checkpoint has weights tied by mirror"):
        make_run().fit(2, resume=path)
    older = {key: value for key, value in read_checkpoint(path).items() if key != "symmetry"}
    write_checkpoint(path, older)
    tied(make_run(Checkpoint(path))).fit(2, resume=path)
    tied(make_run()).fit(3, resume=path)


@pytest.mark.host
def test_checkpoints_of_other_runs_are_refused(make_run, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    make_run(Checkpoint(path)).fit(1)
    with pytest.raises(CheckpointError, match="only the checkpoint has a schedule"):
        make_run(schedule=None).fit(2, resume=path)
    with pytest.raises(CheckpointError, match="only the checkpoint has an average"):
        make_run(average=None).fit(2, resume=path)
    with pytest.raises(CheckpointError, match="only this run has weights tied by mirror symmetry"):
        tied(make_run()).fit(2, resume=path)
    state = read_checkpoint(path)
    for name in ("model", "optimizer", "loader", "metrics", "epoch"):
        broken = {key: value for key, value in state.items() if key != name}
        write_checkpoint(path, broken)
        with pytest.raises(CheckpointError, match=name):
            make_run().fit(2, resume=path)
    write_checkpoint(path, {**state, "generators": []})
    with pytest.raises(CheckpointError, match="0 random generators, the model has 1"):
        make_run().fit(2, resume=path)


@pytest.mark.host
def test_a_list_of_batches_trains_but_cannot_be_saved(make_run, tmp_path):
    run = make_run(schedule=None)
    batches = list(run.train_loader)
    run.trainer.fit(batches, epochs=1)
    run = make_run(Checkpoint(tmp_path / "c.safetensors"), schedule=None)
    with pytest.raises(CheckpointError, match="a list cannot be saved"):
        run.trainer.fit(batches, epochs=1)


def test_a_checkpoint_keeps_a_tree_as_it_is(tmp_path):
    path = tmp_path / "tree.safetensors"
    tree = {
        "numbers": [1, 2.5, None, True, 2**127, float("inf")],
        "array": np.arange(6.0).reshape(2, 3),
        "nested": {"a.b": {"c": Tensor(np.ones(2, np.float32))}, "a": {"b.c": np.zeros(1)}},
        "pair": (1, np.float32(0.1)),
    }
    write_checkpoint(path, tree)
    found = read_checkpoint(path)
    assert found["numbers"] == tree["numbers"]
    np.testing.assert_array_equal(found["array"], tree["array"])
    np.testing.assert_array_equal(found["nested"]["a.b"]["c"], np.ones(2, np.float32))
    np.testing.assert_array_equal(found["nested"]["a"]["b.c"], np.zeros(1))
    assert found["pair"] == [1, float(np.float32(0.1))]
    with pytest.raises(CheckpointError, match="what is of type set"):
        write_checkpoint(path, {"what": {1}})
    with pytest.raises(CheckpointError, match="key 3"):
        write_checkpoint(path, {"what": {3: 1}})
    assert read_checkpoint(path)["pair"] == found["pair"]


# Signals and kills, in processes of their own.

SCRIPT = """
import sys, time
sys.path.insert(0, sys.argv[2])
from conftest import Run
from pathlib import Path
from test_resume import callbacks
from minicnn.training.callbacks import Callback

class Slow(Callback):
    def on_batch_end(self, trainer):
        print(trainer.epoch, trainer.batch, flush=True)
        time.sleep(0.05)

folder = Path(sys.argv[1])
path = folder / "checkpoint.safetensors"
Run(Slow(), *callbacks(folder)).fit(4, resume=path if path.exists() else None)
"""


def start(folder):
    here = Path(__file__).parent
    root = str(here.parents[1])
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), str(here)],
        env={**os.environ, "PYTHONPATH": root, "MINICNN_BACKEND": "numpy"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process, line):
    for found in process.stdout:
        if found.strip() == line:
            return
    raise AssertionError(process.stderr.read())


@pytest.mark.host
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_process_that_is_ended_in_mid_epoch_resumes_to_the_same_bits(
    tmp_path, uninterrupted, number
):
    folder = tmp_path / "killed"
    folder.mkdir()
    process = start(folder)
    wait_for(process, "1 3")
    process.send_signal(number)
    process.communicate(timeout=120)
    state = read_checkpoint(folder / "checkpoint.safetensors")
    assert state["epoch"] == 1
    # Only a kill leaves no time to save what the second epoch has done so far.
    assert (state["batch"] == 0) == (number == signal.SIGKILL)
    process = start(folder)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert differences(uninterrupted, read_checkpoint(folder / "checkpoint.safetensors")) == []


@pytest.mark.host
def test_the_second_signal_interrupts_at_once_and_the_handlers_come_back():
    before = signal.getsignal(signal.SIGINT)
    with stop_requests() as request:
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.01)
        assert request.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
            time.sleep(1)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.host
def test_an_ignored_signal_stays_ignored_and_other_threads_catch_none():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_requests() as request:
            signal.raise_signal(signal.SIGINT)
            assert not request.requested
    finally:
        signal.signal(signal.SIGINT, before)
    entered = []

    def elsewhere():
        with stop_requests() as request, terminable():
            entered.append(request.requested)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert entered == [False]


@pytest.mark.host
def test_termination_interrupts_like_ctrl_c():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), terminable():
        signal.raise_signal(signal.SIGTERM)
        time.sleep(1)
    assert signal.getsignal(signal.SIGTERM) is before
