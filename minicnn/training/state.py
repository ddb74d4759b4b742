"""The state of a training run: taken from a trainer, and put into one that was made alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minicnn.errors import CheckpointError
from minicnn.random import generator_state, set_generator_state
from minicnn.training.history import History

if TYPE_CHECKING:
    from minicnn.training.trainer import Trainer

__all__ = ["restore", "snapshot"]


def snapshot(trainer: Trainer) -> dict[str, Any]:
    """Return all that a resumed run needs, between two batches or two epochs.

    Returns
    -------
    dict
        A tree of numbers, texts and arrays, some of them live: write it before the next step.

    Raises
    ------
    CheckpointError
        The training loader cannot tell where it stands.
    """
    if not hasattr(trainer.train_loader, "state"):
        raise CheckpointError(
            f"Trainer: a {type(trainer.train_loader).__name__} cannot be saved as the training "
            "loader; use a DataLoader"
        )
    return {
        "epoch": trainer.epoch,
        "history": trainer.history.rows,
        "model": trainer.model.state_dict(),
        "generators": [generator_state(rng) for rng in trainer.model.generators()],
        "optimizer": trainer.optimizer.state_dict(),
        "schedule": None if trainer.schedule is None else trainer.schedule.state(),
        "average": None if trainer.average is None else trainer.average.state(),
        "targets": None if trainer.targets is None else trainer.targets.state(),
        "symmetry": None if trainer.symmetry is None else True,
        "loader": trainer.train_loader.state(),
        "callbacks": [
            [type(each).__name__, state] for each in trainer.callbacks if (state := each.state())
        ],
        "batch": trainer.batch,
        "metrics": trainer.metrics.state(),
        "learning_rate": trainer.learning_rate,
        "training_seconds": trainer.training_seconds,
        "seconds": trainer.seconds,
    }


def restore(trainer: Trainer, state: dict[str, Any]) -> None:
    """Continue where :func:`snapshot` was taken.

    Raises
    ------
    CheckpointError
        The state is of another model, optimiser, schedule or data set, or incomplete.
    """
    try:
        _restore(trainer, state)
    except (KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise CheckpointError(f"checkpoint: it is no state of a training run ({reason})") from error


def _restore(trainer: Trainer, state: dict[str, Any]) -> None:
    tied = None if trainer.symmetry is None else True
    state = {"targets": None, "symmetry": tied, **state}  # older checkpoints do not tell
    _restore_callbacks(trainer, state["callbacks"])  # one may know better why this does not fit
    parts = (
        ("schedule", "a schedule"),
        ("average", "an average"),
        ("targets", "targets of its own"),
        ("symmetry", "weights tied by mirror symmetry"),
    )
    for name, phrase in parts:
        if (state[name] is None) != (getattr(trainer, name) is None):
            where = "this run" if state[name] is None else "the checkpoint"
            raise CheckpointError(
                f"checkpoint: only {where} has {phrase}; resume with the same options"
            )
    generators = list(trainer.model.generators())
    if len(generators) != len(state["generators"]):
        raise CheckpointError(
            f"checkpoint: it has the states of {len(state['generators'])} random generators, the "
            f"model has {len(generators)}"
        )
    trainer.model.load_state_dict(state["model"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    for rng, saved in zip(generators, state["generators"], strict=True):
        set_generator_state(rng, saved)
    if trainer.schedule is not None:
        trainer.schedule.load_state(state["schedule"])
    if trainer.average is not None:
        trainer.average.load_state(state["average"])
    if trainer.targets is not None:
        trainer.targets.load_state(state["targets"])
    trainer.train_loader.load_state(state["loader"])
    trainer.history = History(state["history"])
    trainer.epoch = state["epoch"]
    trainer.batch = state["batch"]
    trainer.metrics.load_state(state["metrics"], _home(trainer))
    trainer.learning_rate = state["learning_rate"]
    trainer.training_seconds = state["training_seconds"]
    trainer.seconds = state["seconds"]


def _restore_callbacks(trainer: Trainer, saved: list[Any]) -> None:
    # By class, in order. One that is new, or not there any more, does no harm.
    waiting: dict[str, list[Any]] = {}
    for name, state in saved:
        waiting.setdefault(name, []).append(state)
    for callback in trainer.callbacks:
        states = waiting.get(type(callback).__name__)
        if states:
            callback.load_state(states.pop(0))


def _home(trainer: Trainer) -> str | None:
    """Return the backend on which the model is."""
    first = next(trainer.model.parameters(), None)
    return None if first is None else first.backend
