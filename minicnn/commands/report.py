"""Write the page of a training run or of an experiment: ``minicnn report``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from minicnn import backend
from minicnn.commands.arguments import Parser, path, whole
from minicnn.commands.exits import guarded, printer
from minicnn.commands.explained_run import explain_run, refuse_to_replace
from minicnn.commands.explaining import Settings, resolve_layers
from minicnn.commands.reporting import (
    MISTAKES,
    Shown,
    gather,
    require_report,
    stored_explanations,
    write_experiment_report,
    write_report,
)
from minicnn.commands.run_folder import EXPLANATIONS, RunFolder
from minicnn.commands.trained_run import stored_options
from minicnn.errors import DataError, MinicnnError, OptionError
from minicnn.explain.inputs import BATCH_SIZE
from minicnn.report.run_files import read_experiment, read_run
from minicnn.training.interrupt import terminable
from minicnn.zoo.network import Network

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None, *, program: str = "report") -> int:
    """Write a page as a command line says; return the exit code: 0, 2 for an error, 130."""

    def job() -> int:
        with terminable():
            given = vars(_parser(program).parse_args(arguments))
            say = printer(quiet=given["quiet"])
            page = _write(given, say)
            say(f"report: {page} ({page.stat().st_size / 1e6:.1f} MB)")
        return 0

    return guarded(program, job, again=lambda: "the page is as it was")


def _write(given: dict[str, Any], say: Callable[[str], None]) -> Path:
    require_report()
    folder = RunFolder(given["run"])
    experiment = read_experiment(folder.path)
    if experiment is not None:
        if given["explain"] or given["data"]:
            names = ", ".join(experiment.plan["runs"])
            raise OptionError(
                f"{folder}: is an experiment; --explain and --data are for one of its runs: {names}"
            )
        first = RunFolder(folder.path / experiment.plan["runs"][0])
        return write_experiment_report(folder.path, first)
    with backend.use(given["backend"]):
        network = read_run(folder.path).network
        shown, missing = _shown(folder, network, given)
        _explain(folder, network, shown, given, say)
        with folder.hold():
            return write_report(
                folder,
                network,
                shown,
                missing=missing,
                mistakes=given["faces"],
                batch_size=given["batch_size"] or BATCH_SIZE,
            )


def _shown(folder: RunFolder, network: Network, given: dict[str, Any]) -> tuple[Shown | None, str]:
    """Return the faces; where those of the run cannot be had, why, and a page without them."""
    data = given["data"]
    if data is None:
        stored_options(folder)  # a damaged configuration is an error, data that are gone are none
    try:
        return gather(folder, network, data=data, batch_size=given["batch_size"]), ""
    except MinicnnError as error:
        if data is not None or given["explain"]:
            raise
        if folder.report.exists():
            raise DataError(
                f"{error}; the page that is there stays as it is: move {folder.report.name} away "
                "for one without faces"
            ) from None
        print(f"warning: the page is without faces: {error}", file=sys.stderr)
        return None, str(error)


def _explain(
    folder: RunFolder,
    network: Network,
    shown: Shown | None,
    given: dict[str, Any],
    say: Callable[[str], None],
) -> None:
    """Explain the run where that is asked for, and was not done."""
    found = stored_explanations(folder)
    if given["explain"] and shown is not None and (found is None or given["overwrite"]):
        refuse_to_replace(folder.explanations, overwrite=given["overwrite"])
        layer, features = resolve_layers(network, None, ())
        settings = Settings(layer, features, batch_size=given["batch_size"] or BATCH_SIZE)
        explain_run(folder, network, shown.part, settings, say, weights=folder.weights)
    elif found is None and folder.explanations.is_dir():
        say(
            f"note: {folder.explanations} is damaged or of other weights; a quick look takes its "
            "place (--explain --overwrite renews it)"
        )


def _parser(program: str) -> Parser:
    parser = Parser(
        prog=program,
        description="Write RUN/report.html: one file, which opens offline, with all that is known "
        "of a training run or of an experiment. An old page is replaced, unless the faces cannot "
        f"be read any more; the folder's {EXPLANATIONS} are shown where there are some, else a "
        "quick look.",
        examples=("runs/b", "runs/b --explain", "runs/compare-b"),
    )
    add = parser.add_argument
    add("run", metavar="RUN", type=path, help="the folder of a training run or of an experiment")
    add("--data", metavar="PATH", type=path, help="the faces (those that the run validated on)")
    add(
        "--faces",
        type=whole(1),
        default=MISTAKES,
        metavar="N",
        help=f"mistakes that are shown ({MISTAKES})",
    )
    add(
        "--explain",
        action="store_true",
        help="first do what the command explain does, unless it was done",
    )
    add("--overwrite", action="store_true", help="with --explain: do it anew")
    add(
        "--batch-size",
        type=whole(1),
        metavar="N",
        help=f"images at once ({BATCH_SIZE}, or as the run)",
    )
    add("--backend", choices=(*backend.NAMES, "auto"), help="(MINICNN_BACKEND, else numpy)")
    add("--quiet", action="store_true", help="print nothing but errors")
    return parser
