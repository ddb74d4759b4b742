"""Train a network on faces from a command line: checks, the run, and one line for each error."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from minicnn import backend
from minicnn.commands.exits import guarded
from minicnn.commands.models import load_network
from minicnn.commands.reporting import (
    gather,
    gather_trained,
    require_report,
    stored_explanations,
    write_report,
)
from minicnn.commands.run_folder import RunFolder, machine, versions
from minicnn.commands.train_arguments import parse
from minicnn.commands.train_data import Faces, load_faces
from minicnn.commands.train_folds import run_folds
from minicnn.commands.train_options import Options, Request, command, merge
from minicnn.commands.train_run import Result, train_faces, write_outputs
from minicnn.commands.trained_run import refuse_other_data, stored_options
from minicnn.data.splits import stratified_kfold
from minicnn.errors import OptionError
from minicnn.files import write_json
from minicnn.kernels import compiled
from minicnn.random import Streams
from minicnn.training.ensemble import Views
from minicnn.training.interrupt import terminable

__all__ = ["main", "train"]


def main(arguments: Sequence[str] | None = None, *, program: str = "train_fer") -> int:
    """Train as a command line says.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.
    program : str
        How it is called, for messages and for the command that repeats the run.

    Returns
    -------
    int
        The exit code: 0, 2 for an error (one line on stderr says what it is), 130 where a signal
        ended it.
    """
    folder: RunFolder | None = None

    def job() -> int:
        nonlocal folder
        # The training itself looks for NaN and infinity, and says where they arose.
        with terminable(), np.errstate(all="ignore"):
            request = parse(arguments, program)
            folder = _folder(request)
            train(request, folder, program)
        return 0

    def again() -> str:
        if folder is not None and folder.config.exists():
            return f"go on with: {program} --resume --out {shlex.quote(str(folder))}"
        return "nothing was trained yet"

    return guarded(program, job, again=again)


def _folder(request: Request) -> RunFolder:
    model = request.given.get("model", Options.model)
    return RunFolder(request.out if request.out is not None else Path("runs") / model)


def train(request: Request, folder: RunFolder, program: str, *, faces: Faces | None = None) -> None:
    """Train as was asked for: check all that can be checked before anything is written; then train.

    Parameters
    ----------
    request : Request
    folder : RunFolder
        Where the run lies or is to be.
    program : str
        For the command in its configuration that repeats it.
    faces : Faces, optional
        What :func:`load_faces` gives for these options, where it is there already.

    Raises
    ------
    MinicnnError
        Something cannot be done as it was asked for, or the training diverged.
    """

    def say(text: str) -> None:
        if not request.quiet:
            print(text, flush=True)

    require_report(page=request.report)
    folder.check(resume=request.resume, overwrite=request.overwrite)
    stored, before = stored_options(folder) if request.resume else (None, None)
    options = merge(request.given, before)
    with backend.use(options.backend):
        faces = load_faces(options) if faces is None else faces
        _check_run(faces, options, stored)
        _announce(faces, options, stored, folder, say)
        with folder.hold():
            if request.overwrite:
                folder.clear()
                folder.make()
            write_json(folder.config, _config(faces, options, folder, program))
            probabilities = None
            if options.folds is not None:
                _report_folds(faces, folder, options, request, say)
            else:
                result = train_faces(
                    faces,
                    folder,
                    options,
                    seed=options.seed,
                    resume=request.resume,
                    quiet=request.quiet,
                )
                compiling = compiled.compile_seconds()
                if compiling >= 1:
                    say(f"{compiling:.0f} s went into compiling; later runs find the code on disk")
                split = write_outputs(faces, folder, options, result)
                _report(result, folder, split, say)
                probabilities = result.probabilities["validation"]
            if request.report:
                say(f"report: {_write_page(faces, folder, probabilities)}")


def _write_page(faces: Faces, folder: RunFolder, probabilities: np.ndarray | None) -> Path:
    network = load_network(folder.path)
    if probabilities is None:
        shown = gather(folder, network)
    else:
        shown = gather_trained(faces, probabilities)
    found = stored_explanations(folder)
    return write_report(folder, network, shown, explanations=found)


def _check_run(faces: Faces, options: Options, stored: dict[str, Any] | None) -> None:
    """Refuse other data than the stored run's, and more folds than there are images."""
    if stored is not None:
        remedy = "resume it with the same, or choose another --out"
        refuse_other_data(faces, options, stored, remedy)
    if options.folds is not None:
        labels = faces.train.require_labels()
        try:
            stratified_kfold(labels, options.folds, Streams(options.seed)["folds"])
        except OptionError as error:
            raise OptionError(f"--folds {options.folds}: {error}") from None


def _config(faces: Faces, options: Options, folder: RunFolder, program: str) -> dict[str, Any]:
    return {
        "command": shlex.join(command(program, options, str(folder))),
        "options": asdict(options),
        "data": {
            "source": faces.source,
            "sha256": faces.train.sha256,
            "images": faces.counts(),
            "validation": faces.validation_source,
            "dropped": None if faces.dropped is None else faces.dropped.to_dict(),
        },
        "versions": versions(),
        "machine": machine(),
    }


def _announce(
    faces: Faces,
    options: Options,
    stored: dict[str, Any] | None,
    folder: RunFolder,
    say: Callable[[str], None],
) -> None:
    if options.data is None:
        say("no --data: training on drawn faces, which are built in and not real faces")
    if faces.dropped is not None:
        say(str(faces.dropped))
    counts = ", ".join(f"{name} {count:,}" for name, count in faces.counts().items())
    say(f"data: {faces.source}: {counts} (validation: {faces.validation_source})")
    say(f"model: {options.model}, {options.epochs} epochs, seed {options.seed}, into {folder}")
    chosen = backend.current()
    say(f"backend: {chosen.name}")
    if stored is None:
        return
    before, now = dict(stored.get("versions", {})), versions()
    if "threads_used" in (described := stored.get("machine", {})):
        before["threads"], now["threads"] = (
            str(each["threads_used"]) for each in (described, machine())
        )
    for name in sorted(now):
        if before.get(name) != now[name]:
            say(f"note: the run was begun with {name} {before.get(name)}, this is {now[name]}; the "
                "bits may differ from those of an uninterrupted run")  # fmt: skip
    if stored["options"]["epochs"] != options.epochs and options.schedule in (
        *("one-cycle", "cosine"),
        "step",
    ):
        say(f"note: the {options.schedule} schedule is stretched from "
            f"{stored['options']['epochs']} to {options.epochs} epochs")  # fmt: skip
    if stored["options"]["epochs"] != options.epochs and options.plain_tail:
        say(f"note: the plain tail is now the last {options.plain_tail} of {options.epochs} "
            f"epochs, not of {stored['options']['epochs']}")  # fmt: skip
    if stored["options"]["epochs"] != options.epochs and options.grow_from is not None:
        say(f"note: the images now grow in {options.epochs} epochs, not in "
            f"{stored['options']['epochs']}")  # fmt: skip


def _report(result: Result, folder: RunFolder, split: str, say: Callable[[str], None]) -> None:
    if result.stop_reason is not None:
        say(f"stopped early: {result.stop_reason}")
    say(f"best epoch: {result.best_epoch} of {len(result.history)}")
    for name, scores in result.scores.items():
        say(f"{name}: accuracy {scores.accuracy:.4f}, macro F1 {scores.macro_f1:.4f}")
    for name, scores in result.scores_of_views.items():
        say(f"{name}, mean of {len(Views())} views: accuracy {scores.accuracy:.4f}, "
            f"macro F1 {scores.macro_f1:.4f}")  # fmt: skip
    say(f"predictions are of the {split} split; everything is in {folder}")


def _report_folds(
    faces: Faces,
    folder: RunFolder,
    options: Options,
    request: Request,
    say: Callable[[str], None],
) -> None:
    found, split = run_folds(faces, folder, options, resume=request.resume, quiet=request.quiet)
    for fold, scores in enumerate(found.fold_scores, 1):
        say(f"fold {fold}: accuracy {scores.accuracy:.4f}, macro F1 {scores.macro_f1:.4f}")
    scores = found.scores
    say(f"all folds: accuracy {scores.accuracy:.4f}, macro F1 {scores.macro_f1:.4f}")
    say(f"predictions are of the {split} split; everything is in {folder}")
