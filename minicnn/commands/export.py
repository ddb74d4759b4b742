"""Write a trained network as one small file that says where it is from: ``minicnn export``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from minicnn import zoo
from minicnn.commands.arguments import Parser, path
from minicnn.commands.exits import guarded, refuse_existing
from minicnn.commands.models import find_weights
from minicnn.commands.run_folder import RunFolder
from minicnn.errors import OptionError
from minicnn.io.weights import read_weights, save_weights
from minicnn.report.run_files import RunFiles, read_run

__all__ = ["main"]

SUFFIX = ".safetensors"
SCORES = ("count", "accuracy", "macro_f1", "loss")
NOT_OF_THE_RECIPE = ("backend", "prefetch")


def main(arguments: Sequence[str] | None = None, *, program: str = "export") -> int:
    """Export as a command line says; return the exit code, 0 or 2."""
    return guarded(program, lambda: _run(arguments, program))


def _run(arguments: Sequence[str] | None, program: str) -> int:
    given = vars(_parser(program).parse_args(arguments))
    output = Path(given["output"])
    if output.suffix != SUFFIX:
        raise OptionError(f"--output {output}: expected a name that ends in {SUFFIX}")
    weights = find_weights(given["weights"])
    inputs = [weights, *RunFolder(weights.parent).files()]
    refuse_existing([output], overwrite=given["overwrite"], inputs=inputs)
    network = zoo.load(weights)  # refuses what does not fit the zoo
    arrays, metadata = read_weights(weights)
    training = dict(metadata.training)
    if weights == RunFolder(given["weights"]).weights:
        training |= _origin(read_run(given["weights"]))
    training["exported"] = datetime.now(timezone.utc).date().isoformat()
    dtype = "float16" if given["float16"] else None
    save_weights(output, arrays, metadata=replace(metadata, training=training), dtype=dtype)
    count = network.num_parameters(buffers=True)
    print(
        f"{output}: {network.name}, {count:,} numbers{', float16' * given['float16']}, "
        f"{output.stat().st_size / 1e6:.1f} MB"
    )
    return 0


def _origin(run: RunFiles) -> dict[str, Any]:
    """Return how a run trained its network, and what the network achieved; no path of a machine."""
    recipe = {
        name: value
        for name, value in run.config["options"].items()
        if name not in NOT_OF_THE_RECIPE
    }
    if recipe.get("data") is not None:
        recipe["data"] = Path(recipe["data"]).name
    splits = {} if run.metrics is None else run.metrics["splits"]
    if run.metrics is not None and "weights_of_fold" in run.metrics:
        # The other splits' scores are those of all folds' networks, not of this one.
        splits = {"validation": run.metrics["folds"][run.metrics["weights_of_fold"] - 1]}
    scores = {split: {name: each[name] for name in SCORES} for split, each in splits.items()}
    return {"recipe": recipe, "scores": scores}


def _parser(program: str) -> Parser:
    parser = Parser(
        prog=program,
        description="Write a trained network as one small file, with its normalisation, its "
        "classes, and where it is from: the hash of its data, the options and the scores of its "
        "run, and the date. In the folder zoo/weights of the package, the file's name is the "
        "network's.",
        examples=("runs/b --output faces.safetensors --float16",),
    )
    add = parser.add_argument
    add("weights", metavar="RUN|WEIGHTS", type=path, help="a run folder, or a weights file")
    add("--output", metavar=f"FILE{SUFFIX}", type=path, required=True, help="the file to write")
    add("--float16", action="store_true", help="in half the space, with 11 bits for each number")
    add("--overwrite", action="store_true", help="replace the file where it exists")
    return parser
