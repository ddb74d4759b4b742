"""Train a network on faces from a command line: checks, the run, and one line for each error."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minicnn import backend
from minicnn.commands.exits import guarded, printer
from minicnn.commands.models import load_network
from minicnn.commands.reporting import gather, gather_trained, require_report, write_report
from minicnn.commands.run_folder import RunFolder, machine, versions
from minicnn.commands.train_arguments import parse
from minicnn.commands.train_data import Faces, load_faces
from minicnn.commands.train_folds import run_folds
from minicnn.commands.train_options import Options, Request, command, merge
from minicnn.commands.train_run import train_faces, write_outputs
from minicnn.commands.train_teacher import Teacher, load_teacher
from minicnn.commands.trained_run import refuse_other_data, stored_options
from minicnn.data.splits import stratified_kfold
from minicnn.errors import OptionError
from minicnn.files import write_json
from minicnn.kernels import compiled
from minicnn.random import Streams
from minicnn.training.ensemble import Views
from minicnn.training.interrupt import terminable
from minicnn.training.metrics import Scores

__all__ = ["Prepared", "main", "prepare", "train"]


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
            model = request.given.get("model", Options.model)
            folder = RunFolder(request.out if request.out is not None else Path("runs") / model)
            require_report(page=request.report)
            train(prepare(request, folder, load_faces), program)
        return 0

    def again() -> str:
        if folder is not None and folder.config.exists():
            return f"go on with: {program} --resume --out {shlex.quote(str(folder))}"
        return "nothing was trained yet"

    return guarded(program, job, again=again)


class Prepared(NamedTuple):
    """A run that may begin: all was checked that can be before anything is written."""

    request: Request
    folder: RunFolder
    options: Options
    stored: dict[str, Any] | None  # the configuration of the run that is resumed
    faces: Faces
    teacher: Teacher | None


def prepare(request: Request, folder: RunFolder, faces_of: Callable[[Options], Faces]) -> Prepared:
    """Check a run that is asked for, and load its faces.

    Parameters
    ----------
    request : Request
    folder : RunFolder
        Where the run lies or is to be.
    faces_of : callable
        :func:`load_faces`, or of several runs, what :func:`loading_once` gives.

    Raises
    ------
    MinicnnError
        Something cannot be done as it was asked for.
    """
    folder.check(resume=request.resume, overwrite=request.overwrite)
    stored, before = stored_options(folder) if request.resume else (None, None)
    options = merge(request.given, before)
    with backend.use(options.backend):
        faces = faces_of(options)
        teacher = load_teacher(options, faces, folder)
    if stored is not None:
        remedy = "resume it with the same, or choose another --out"
        refuse_other_data(faces, options, stored, remedy)
    if options.folds is not None:
        labels = faces.train.require_labels()
        try:
            stratified_kfold(labels, options.folds, Streams(options.seed)["folds"])
        except OptionError as error:
            raise OptionError(f"--folds {options.folds}: {error}") from None
    return Prepared(request, folder, options, stored, faces, teacher)


def train(run: Prepared, program: str) -> None:
    """Train what was prepared, and write all its files.

    Parameters
    ----------
    run : Prepared
    program : str
        For the command in its configuration that repeats it.

    Raises
    ------
    MinicnnError
        The training diverged, or a file cannot be written.
    """
    request, folder, options, _, faces, _ = run
    say = printer(quiet=request.quiet)
    with backend.use(options.backend):
        _announce(run, say)
        with folder.hold():
            if request.overwrite:
                folder.clear()
                folder.make()

            def begun() -> None:
                write_json(folder.config, _config(faces, options, folder, program))

            probabilities = None
            if options.folds is not None:
                _train_folds(run, say, begun)
            else:
                probabilities = _train_once(run, say, begun)
            if request.report:
                network = load_network(folder.path)
                if probabilities is None:
                    shown = gather(folder, network)
                else:
                    shown = gather_trained(faces, probabilities)
                say(f"report: {write_report(folder, network, shown)}")


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


def _announce(run: Prepared, say: Callable[[str], None]) -> None:
    _, folder, options, stored, faces, _ = run
    if options.data is None:
        say("no --data: training on drawn faces, which are built in and not real faces")
    if faces.dropped is not None:
        say(str(faces.dropped))
    counts = ", ".join(f"{name} {count:,}" for name, count in faces.counts().items())
    say(f"data: {faces.source}: {counts} (validation: {faces.validation_source})")
    length = "1 epoch" if options.epochs == 1 else f"{options.epochs} epochs"
    say(f"model: {options.model}, {length}, seed {options.seed}, into {folder}")
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
    epochs = stored["options"]["epochs"]
    if epochs == options.epochs:
        return
    if options.schedule in ("one-cycle", "cosine", "step"):
        say(f"note: the {options.schedule} schedule is stretched from {epochs} to "
            f"{options.epochs} epochs")  # fmt: skip
    if options.plain_tail:
        say(f"note: the plain tail is now the last {options.plain_tail} of {options.epochs} "
            f"epochs, not of {epochs}")  # fmt: skip
    if options.grow_from is not None:
        say(f"note: the images now grow in {options.epochs} epochs, not in {epochs}")


def _train_once(run: Prepared, say: Callable[[str], None], begun: Callable[[], None]) -> np.ndarray:
    """Train a single run, and return the probabilities of its validation images."""
    request, folder, options, _, faces, teacher = run
    if teacher is not None:
        say("the teacher looks at the training images")
    result = train_faces(
        faces,
        folder,
        options,
        seed=options.seed,
        resume=request.resume,
        quiet=request.quiet,
        begun=begun,
        teacher=teacher,
    )
    compiling = compiled.compile_seconds()
    if compiling >= 1:
        later = (
            "later runs find the code on disk"
            if compiled.kept()
            else "to keep the code, set NUMBA_CACHE_DIR to a folder that can be written"
        )
        say(f"{compiling:.0f} s went into compiling; {later}")
    split = write_outputs(faces, folder, options, result)
    if result.stop_reason is not None:
        say(f"stopped early: {result.stop_reason}")
    say(f"best epoch: {result.best_epoch} of {len(result.history)}")
    views = {
        f"{name}, mean of {len(Views())} views": s for name, s in result.scores_of_views.items()
    }
    _tell({**result.scores, **views}, split, folder, say)
    return result.probabilities["validation"]


def _train_folds(run: Prepared, say: Callable[[str], None], begun: Callable[[], None]) -> None:
    request, folder, options, _, faces, _ = run
    found, split = run_folds(
        faces, folder, options, resume=request.resume, quiet=request.quiet, begun=begun
    )
    folds = {f"fold {fold}": scores for fold, scores in enumerate(found.fold_scores, 1)}
    _tell({**folds, "all folds": found.scores}, split, folder, say)


def _tell(
    scores: dict[str, Scores], split: str, folder: RunFolder, say: Callable[[str], None]
) -> None:
    for name, each in scores.items():
        say(f"{name}: accuracy {each.accuracy:.4f}, macro F1 {each.macro_f1:.4f}")
    say(f"predictions are of the {split} split; everything is in {folder}")
