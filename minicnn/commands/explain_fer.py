"""Show what a trained network looks at, as figures in its run folder: ``minicnn explain``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minicnn import backend
from minicnn.commands.arguments import Parser, path, whole
from minicnn.commands.exits import guarded
from minicnn.commands.explained_run import explain_run, refuse_to_replace
from minicnn.commands.explaining import Settings, resolve_layers
from minicnn.commands.models import load_network, refuse_other_faces
from minicnn.commands.run_folder import EXPLANATIONS, RunFolder
from minicnn.commands.tables import text_table
from minicnn.commands.trained_run import shown_faces
from minicnn.errors import DataError
from minicnn.report.figures import require_matplotlib
from minicnn.training.interrupt import terminable

__all__ = ["main"]


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
    def say(text: str) -> None:
        if not given["quiet"]:
            print(text, flush=True)

    require_matplotlib()
    run = RunFolder(given["run"])
    _require_whole(run, needs_config=given["data"] is None)
    refuse_to_replace(run.explanations, overwrite=given["overwrite"])
    with backend.use(given["backend"]):
        network = load_network(run.path)
        layer, features = resolve_layers(network, given["layer"], given["features"])
        part, _ = shown_faces(run, given["data"])
        refuse_other_faces(network, part.images, part.source)
        chosen = ("faces", "filters", "samples", "steps", "seed", "batch_size")
        settings = Settings(
            layer, features, measured=given["measure"], **{name: given[name] for name in chosen}
        )
        say(f"network: {network.name} of {run}")
        found = explain_run(run, network, part, settings, say)
    say(_table(found.content))


def _require_whole(run: RunFolder, *, needs_config: bool) -> None:
    """Refuse a folder that lacks something of a trained run, and say what."""
    if not run.path.is_dir():
        raise DataError(f"{run}: there is no such folder; give the folder of a training run")
    needed = [run.weights, *([run.config] if needs_config else [])]
    missing = [file.name for file in needed if not file.is_file()]
    if missing:
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
        examples=("runs/b", "runs/b --features relu2 --features pool4 --filters 32"),
    )
    add = parser.add_argument
    add("run", metavar="RUN", type=path, help="the folder of a training run")
    add("--data", metavar="PATH", type=path, help="the faces (those that the run validated on)")
    add("--faces", type=whole(1), default=7, metavar="N", help="faces in the figures (7)")
    add(
        "--measure",
        type=whole(1),
        default=64,
        metavar="N",
        help="faces over which the methods are compared (64)",
    )
    add("--layer", metavar="NAME", help="of Grad-CAM (the last convolution)")
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
    add("--batch-size", type=whole(1), default=64, metavar="N", help="images at once (64)")
    add("--overwrite", action="store_true", help=f"replace RUN/{EXPLANATIONS}")
    add("--backend", choices=(*backend.NAMES, "auto"), help="(MINICNN_BACKEND, else numpy)")
    add("--quiet", action="store_true", help="print nothing but errors")
    return parser
