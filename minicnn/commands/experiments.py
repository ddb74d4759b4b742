"""Experiments: several training runs in one folder that are compared with each other."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minicnn import backend, zoo
from minicnn.commands.exits import refuse_existing
from minicnn.commands.experiment_plan import PLAN, Plan
from minicnn.commands.models import load_network
from minicnn.commands.reporting import gather_trained, stored_explanations, write_report
from minicnn.commands.run_folder import RunFolder, versions
from minicnn.commands.tables import write_csv
from minicnn.commands.train_data import Faces, loading_once
from minicnn.commands.train_fer import train
from minicnn.commands.train_options import Options, Request, merge, words_of
from minicnn.commands.train_run import predicted
from minicnn.commands.trained_run import refuse_other_data, stored_options
from minicnn.errors import OptionError
from minicnn.files import atomic_write, write_json
from minicnn.inspect.summarize import summary
from minicnn.report.page import build_experiment_report
from minicnn.training.history import History

__all__ = ["Finished", "standard_error", "train_all", "write_reports", "write_table"]

TRAIN = "python -m minicnn train"  # repeats a single run
COLUMNS = (
    *("run", "model", "normalize", "augment", "seed", "parameters", "trainable", "flops"),
    *("epochs", "best_epoch", "accuracy", "standard_error", "macro_f1", "loss"),
    *("train_accuracy", "train_loss", "seconds"),
)


@dataclass(frozen=True, eq=False)
class Finished:
    """A run that was trained.

    Attributes
    ----------
    name : str
        Of its folder.
    options : Options
    faces : Faces
    history : History
    row : dict
        What is compared, by column; see :data:`COLUMNS`.
    """

    name: str
    options: Options
    faces: Faces
    history: History
    row: dict[str, Any]


def train_all(
    plan: Plan, runs: Mapping[str, Mapping[str, Any]], results: Sequence[str]
) -> list[Finished]:
    """Train a network for each run of an experiment, or go on where it was broken off.

    Parameters
    ----------
    plan : Plan
    runs : mapping
        The name of each run's folder to the options that it has besides the plan's.
    results : sequence of str
        Files in the experiment's folder that are going to be written.

    Raises
    ------
    OptionError
        Something in the folder would be lost.
    """
    if not plan.resume and not plan.overwrite:
        _refuse_existing(plan, results)
    faces_of = loading_once()
    prepared = {name: _prepared(plan, name, own, faces_of) for name, own in runs.items()}
    # All that could be checked was: now the folder is this experiment's.
    plan.out.mkdir(parents=True, exist_ok=True)
    if plan.overwrite:
        for name in results:
            (plan.out / name).unlink(missing_ok=True)
    write_json(plan.out / PLAN, _described(plan, tuple(runs)))
    finished = []
    for number, (name, (request, faces)) in enumerate(prepared.items(), 1):
        plan.say(f"== run {number} of {len(runs)}: {name}")
        folder = RunFolder(plan.out / name)
        train(request, folder, TRAIN, faces=faces)
        finished.append(_finished(name, folder, faces))
    return finished


def _prepared(
    plan: Plan, name: str, own: Mapping[str, Any], faces_of: Callable[[Options], Faces]
) -> tuple[Request, Faces]:
    """Return what is asked of a run, and its faces."""
    folder = RunFolder(plan.out / name)
    resume = plan.resume and folder.config.exists()
    folder.check(resume=resume, overwrite=plan.overwrite)
    given = {**plan.given, **own}
    config, before = stored_options(folder) if resume else (None, None)
    options = merge(given, before)
    faces = faces_of(options)
    if config is not None:
        remedy = "resume it with the same, or choose another --out"
        refuse_other_data(faces, options, config, remedy)
    # Its page shows the comparison too, and so is written when that is there.
    request = Request(given, str(folder), resume, plan.overwrite, plan.quiet, report=False)
    return request, faces


def _refuse_existing(plan: Plan, results: Sequence[str]) -> None:
    if (plan.out / PLAN).exists():
        raise OptionError(
            f"{plan.out}: holds an experiment; add --resume to go on with it (--epochs to prolong "
            "it), --overwrite to replace it, or choose another --out"
        )
    files = [plan.out / name for name in results]
    refuse_existing([file for file in files if file.exists()], overwrite=False)


def write_reports(plan: Plan, finished: Sequence[Finished]) -> None:
    """Write the page of each run of an experiment that has come to its end, and its own."""
    if not plan.report:
        return
    for run in finished:
        folder, validation = RunFolder(plan.out / run.name), run.faces.require_validation()
        with backend.use(run.options.backend), folder.hold():
            network = load_network(folder.path)
            probabilities = predicted(network, validation, run.options, network.normalization)
            shown = gather_trained(run.faces, probabilities)
            found = stored_explanations(folder)
            write_report(folder, network, shown, explanations=found)
    page = build_experiment_report(plan.out, dataset=finished[0].faces.together())
    plan.say(f"report: {page}")


def _described(plan: Plan, runs: Sequence[str]) -> dict[str, Any]:
    return {
        "kind": plan.kind,
        "command": shlex.join(_words(plan)),
        "settings": plan.settings,
        "given": plan.given,
        "runs": list(runs),
        "report": plan.report,
        "versions": versions(),
    }


def _words(plan: Plan) -> list[str]:
    # The command line that repeats the experiment.
    words = [*plan.program.split(), "--out", str(plan.out)]
    for name, value in {**plan.settings, **plan.given}.items():
        words += words_of(name, ",".join(value) if isinstance(value, list) else value)
    return words if plan.report else [*words, "--no-report"]


def _finished(name: str, folder: RunFolder, faces: Faces) -> Finished:
    """Read back what a run brought."""
    options = Options(**folder.stored()["options"])
    metrics = json.loads(folder.metrics.read_text(encoding="utf-8"))
    history = History.read_csv(folder.history)
    counts = summary(zoo.load(folder.weights)).total.counts()
    found, trained = metrics["splits"]["validation"], metrics["splits"]["train"]
    row = {
        "run": name,
        **{key: value for key, value in asdict(options).items() if key in COLUMNS},
        **{key: counts[key] for key in ("parameters", "trainable", "flops")},
        "epochs": metrics["epochs"],
        "best_epoch": metrics["best_epoch"],
        "accuracy": found["accuracy"],
        "standard_error": standard_error(found["accuracy"], found["count"]),
        "macro_f1": found["macro_f1"],
        "loss": found["loss"],
        "train_accuracy": trained["accuracy"],
        "train_loss": trained["loss"],
        "seconds": sum(history.column("seconds")),
    }
    return Finished(name, options, faces, history, {column: row[column] for column in COLUMNS})


def standard_error(accuracy: float, count: int) -> float:
    """Return the standard error of an accuracy that was counted on so many images."""
    return float(np.sqrt(accuracy * (1 - accuracy) / max(count, 1)))


def write_table(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of equal columns as csv."""
    with atomic_write(file) as stream:
        write_csv(stream, tuple(rows[0]), [tuple(row.values()) for row in rows])
