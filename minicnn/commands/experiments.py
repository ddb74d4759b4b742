"""Experiments: several training runs in one folder that are compared with each other."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from minicnn import backend
from minicnn.commands.exits import refuse_existing
from minicnn.commands.experiment_plan import Plan
from minicnn.commands.models import load_network
from minicnn.commands.reporting import gather_trained, write_report
from minicnn.commands.run_folder import RunFolder, versions
from minicnn.commands.tables import write_csv
from minicnn.commands.train_data import Faces, loading_once
from minicnn.commands.train_fer import Prepared, prepare, train
from minicnn.commands.train_options import Options, Request, words_of
from minicnn.commands.train_run import predicted
from minicnn.errors import OptionError
from minicnn.files import atomic_write, write_json
from minicnn.inspect.summarize import summary
from minicnn.report.page import build_experiment_report
from minicnn.report.run_files import PLAN, read_run
from minicnn.training.history import History

__all__ = ["Finished", "train_all", "write_reports", "write_table"]

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
    prepared = {}
    for name, own in runs.items():
        folder = RunFolder(plan.out / name)
        resume = plan.resume and folder.config.exists()
        if plan.resume and not resume and (found := folder.files()):
            raise OptionError(
                f"{folder}: holds {found[0].name}, but no {folder.config.name} to go on by; move "
                "the folder away, and --resume trains it anew"
            )
        # Its page shows the comparison too, and so is written when that is there.
        request = Request(
            {**plan.given, **own}, str(folder), resume, plan.overwrite, plan.quiet, report=False
        )
        prepared[name] = prepare(request, folder, faces_of)
    # All that could be checked was: now the folder is this experiment's.
    plan.out.mkdir(parents=True, exist_ok=True)
    if plan.overwrite:
        for name in results:
            (plan.out / name).unlink(missing_ok=True)
    write_json(plan.out / PLAN, _described(plan, tuple(runs)))
    finished = []
    for number, (name, run) in enumerate(prepared.items(), 1):
        plan.say(f"== run {number} of {len(runs)}: {name}")
        train(run, TRAIN)
        finished.append(_finished(name, run))
    return finished


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
        folder = RunFolder(plan.out / run.name)
        with backend.use(run.options.backend), folder.hold():
            network = load_network(folder.path)
            probabilities = predicted(network, run.faces.require_validation(), run.options)
            write_report(folder, network, gather_trained(run.faces, probabilities))
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


def _finished(name: str, run: Prepared) -> Finished:
    """Read back what a run brought."""
    files = read_run(run.folder.path)
    metrics, (history,) = files.metrics or {}, files.histories
    found, trained = files.splits["validation"], files.splits["train"]
    counts = summary(files.network).total.counts()
    row = {
        "run": name,
        **{key: value for key, value in asdict(run.options).items() if key in COLUMNS},
        **{key: counts[key] for key in ("parameters", "trainable", "flops")},
        "epochs": metrics["epochs"],
        "best_epoch": metrics["best_epoch"],
        "accuracy": found.accuracy,
        "standard_error": found.standard_error,
        "macro_f1": found.macro_f1,
        "loss": found.loss,
        "train_accuracy": trained.accuracy,
        "train_loss": trained.loss,
        "seconds": sum(history.column("seconds")),
    }
    row = {column: row[column] for column in COLUMNS}
    return Finished(name, run.options, run.faces, history, row)


def write_table(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of equal columns as csv."""
    with atomic_write(file) as stream:
        write_csv(stream, tuple(rows[0]), [tuple(row.values()) for row in rows])
