"""Show what a trained network looks at, as figures in its run folder: ``minicnn explain``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from minicnn import backend, zoo
from minicnn.commands.arguments import Parser, path, whole
from minicnn.commands.exits import guarded, printer
from minicnn.commands.explained_run import explain_run, refuse_to_replace
from minicnn.commands.explaining import Settings, resolve_layers
from minicnn.commands.models import (
    NAME_HELP,
    default_weights,
    load_network,
    packaged_name,
    refuse_experiment,
    refuse_other_faces,
)
from minicnn.commands.run_folder import EXPLANATIONS, RunFolder
from minicnn.commands.tables import text_table
from minicnn.commands.train_data import DRAWN, load_faces
from minicnn.commands.train_options import Options
from minicnn.commands.trained_run import Part, shown_faces, shown_part
from minicnn.errors import DataError
from minicnn.explain.inputs import BATCH_SIZE
from minicnn.report.figures import require_matplotlib
from minicnn.training.interrupt import terminable
from minicnn.zoo.packaged import known

__all__ = ["main"]

MOST_FACES = 50  # in one figure; with more, it is too wide to be looked at


class _Asked(NamedTuple):
    """What is explained: a network of the package, or that of a run."""

    name: str | None  # in the package
    run: RunFolder  # whose configuration names the faces
    weights: Path
    target: RunFolder  # gets the explanations

    def __str__(self) -> str:
        return str(self.run) if self.name is None else f"{self.name} of the package"


def main(arguments: Sequence[str] | None = None, *, program: str = "explain_fer") -> int:
    """Explain as a command line says.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.
    program : str
        How it is called, for messages.

    Returns
    -------
    int
        The exit code: 0, 2 for an error (one line on stderr says what it is), 130 where a signal
        ended it.
    """

    def job() -> int:
        with terminable():
            _run(vars(_parser(program).parse_args(arguments)))
        return 0

    return guarded(program, job, again=lambda: "nothing was written")


def _run(given: dict[str, Any]) -> None:
    say = printer(quiet=given["quiet"])
    require_matplotlib()
    asked = _asked(given)
    refuse_to_replace(asked.target.explanations, overwrite=given["overwrite"])
    with backend.use(given["backend"]):
        network = load_network(asked.weights)
        layer, features = resolve_layers(network, given["layer"], given["features"])
        part = _part(asked, given["data"], say)
        refuse_other_faces(network, part.images, part.source)
        chosen = ("faces", "filters", "samples", "steps", "seed", "batch_size")
        settings = Settings(
            layer, features, measured=given["measure"], **{name: given[name] for name in chosen}
        )
        say(f"network: {network.name} of {asked}")
        found = explain_run(asked.target, network, part, settings, say, weights=asked.weights)
    say(_table(found.content))


def _asked(given: dict[str, Any]) -> _Asked:
    """Return what the command line asks to be explained."""
    if given["run"] is None:
        name, weights = zoo.DEFAULT, default_weights()
    elif packaged_name(given["run"]):
        name, weights = given["run"], zoo.trained_file(given["run"])
    else:
        run = RunFolder(given["run"])
        _require_whole(run, needs_config=given["data"] is None)
        return _Asked(None, run, run.weights, RunFolder(given["out"] or run.path))
    target = RunFolder(given["out"] or Path("runs") / name)
    return _Asked(name, target, weights, target)


def _part(asked: _Asked, data: str | None, say: Callable[[str], None]) -> Part:
    """Return the faces: those that are named, or else of the run, or else drawn ones."""
    if asked.name is None or data is not None:
        return shown_faces(asked.run, data)[0]
    say("no --data: explaining by drawn faces, which are built in and not real faces")
    return shown_part(load_faces(Options(limit=DRAWN["validation"])))


def _require_whole(run: RunFolder, *, needs_config: bool) -> None:
    """Refuse a folder that lacks something of a trained run, and say what."""
    if not run.path.is_dir():
        raise DataError(
            f"{run}: there is no such folder; give the folder of a training run ({known()})"
        )
    needed = [run.weights, *([run.config] if needs_config else [])]
    missing = [file.name for file in needed if not file.is_file()]
    if missing:
        refuse_experiment(run)
        hint = " (or name the faces with --data)" if missing == [run.config.name] else ""
        raise DataError(
            f"{run}: the run is incomplete, it lacks {' and '.join(missing)}{hint}; let it end an "
            "epoch, or train a network into the folder"
        )


def _table(numbers: dict[str, Any]) -> str:
    rows = [
        (name, *("-" if value is None else f"{value:.3f}" for value in values.values()))
        for name, values in numbers["methods"].items()
    ]
    table = text_table(("method", "mass in the middle", "deletion", "insertion"), rows)
    uniform = numbers["uniform_central_mass"]
    return (
        f"\n{table}\n\na uniform map has {uniform:.3f} of its mass in the middle; deletion: lower "
        "is better, insertion: higher is\n"
        f"integrated gradients: completeness error {numbers['completeness_error']:.2g} at most\n"
    )


def _parser(program: str) -> Parser:
    parser = Parser(
        prog=program,
        description="Show what a trained network looks at: maps by seven methods, deletion and "
        "insertion curves, masked pictures, feature maps, filters, pictures by gradient ascent, "
        f"and the faces that activate filters most. Everything goes into RUN/{EXPLANATIONS}.",
        examples=(
            "runs/b",
            "runs/b --features relu2 --features pool4 --filters 32",
            "--data fer2013.csv.gz --out runs/shown",
        ),
    )
    add = parser.add_argument
    add(
        "run",
        metavar="RUN|NAME",
        nargs="?",
        type=path,
        help=f"the folder of a training run, or {NAME_HELP}; {zoo.DEFAULT} by default",
    )
    add(
        "--data",
        metavar="PATH",
        type=path,
        help="the faces (those that the run validated on; drawn ones for a network of the package)",
    )
    add(
        "--out",
        metavar="DIR",
        type=path,
        help=f"the folder that gets {EXPLANATIONS} (RUN; runs/NAME for a network of the package)",
    )
    add(
        "--faces",
        type=whole(1, MOST_FACES),
        default=7,
        metavar="N",
        help=f"faces in the figures (7; at most {MOST_FACES})",
    )
    add(
        "--measure",
        type=whole(1),
        default=64,
        metavar="N",
        help="faces over which the methods are compared (64; no fewer than --faces)",
    )
    add(
        "--layer",
        metavar="NAME",
        help="of Grad-CAM (the last convolution, or that of each member); A+B for two as one",
    )
    add(
        "--features",
        action="append",
        default=[],
        metavar="NAME",
        help="layer whose maps and filters are shown; may be repeated (the second pooling layer)",
    )
    add("--filters", type=whole(1), default=16, metavar="N", help="filters of each layer (16)")
    add("--samples", type=whole(1), default=50, metavar="N", help="of SmoothGrad (50)")
    add("--steps", type=whole(1), default=200, metavar="N", help="of gradient ascent (200)")
    add("--seed", type=whole(0), default=0, metavar="S", help="of faces, noise and jitter (0)")
    add(
        "--batch-size",
        type=whole(1),
        default=BATCH_SIZE,
        metavar="N",
        help=f"images at once ({BATCH_SIZE})",
    )
    add("--overwrite", action="store_true", help=f"replace the {EXPLANATIONS} that are there")
    add("--backend", choices=(*backend.NAMES, "auto"), help="(MINICNN_BACKEND, else numpy)")
    add("--quiet", action="store_true", help="print nothing but errors")
    return parser
