"""Score a trained network on a split of the data: ``minicnn evaluate``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minicnn import backend
from minicnn.commands.arguments import Parser, path, whole
from minicnn.commands.exits import guarded, refuse_existing
from minicnn.commands.models import find_weights, load_network, refuse_other_faces
from minicnn.commands.run_folder import RunFolder, versions
from minicnn.commands.tables import text_table
from minicnn.commands.train_data import VALIDATION_SPLITS, labelled, limited
from minicnn.commands.train_options import Options
from minicnn.commands.train_run import predicted
from minicnn.commands.trained_run import Part, stored_faces
from minicnn.data.fer2013 import load
from minicnn.data.predictions import write_predictions
from minicnn.errors import DataError, OptionError
from minicnn.files import write_json
from minicnn.random import Streams
from minicnn.report.figures import plot_confusion, require_matplotlib
from minicnn.training.calibration import Calibration, calibration
from minicnn.training.evaluation import scores_of
from minicnn.training.metrics import Scores
from minicnn.zoo.network import Network

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None, *, program: str = "evaluate") -> int:
    """Evaluate as a command line says; return the exit code, 0 or 2."""
    return guarded(program, lambda: _run(arguments, program))


def _run(arguments: Sequence[str] | None, program: str) -> int:
    given = vars(_parser(program).parse_args(arguments))
    outputs = [given[name] for name in ("output", "predictions", "figure") if given[name]]
    refuse_existing(outputs, overwrite=given["overwrite"])
    if given["figure"]:
        require_matplotlib()
    with backend.use(given["backend"]):
        network = load_network(given["weights"])
        part = _part(given)
        refuse_other_faces(network, part.images, part.source)
        options = Options(batch_size=given["batch_size"])
        probabilities = predicted(network, part.images, options, network.normalization)
    if given["predictions"]:
        write_predictions(given["predictions"], part.images.ids, probabilities.argmax(axis=1))
    if not labelled(part.images):
        if not given["predictions"]:
            raise DataError(
                f"{part.source}: the images of {part.split} have no labels to compare with; "
                "--predictions FILE.csv writes what the network takes them for"
            )
        print(f"{part.split} of {part.source} has no labels; wrote {given['predictions']}")
        return 0
    labels = part.images.require_labels()
    scores, reliability = scores_of(probabilities, labels), calibration(probabilities, labels)
    content = _content(given, network, part, scores, reliability)
    if given["output"]:
        write_json(Path(given["output"]), content)
    if given["figure"]:
        title = f"{network.name}: confusion matrix, {part.split}"
        plot_confusion(scores.confusion, part.images.class_names, given["figure"], title=title)
    names = part.images.class_names
    print(
        json.dumps(content, indent=2)
        if given["json"]
        else _text(network, part, names, scores, reliability)
    )
    return 0


def _part(given: dict[str, Any]) -> Part:
    """Return the images that the command line asks for."""
    if given["data"] is not None:
        data = load(given["data"])
        parts = {name: data.split(name) for name in data.splits}
        default = next((name for name in VALIDATION_SPLITS if name in parts), None)
        source, seed = given["data"], 0
    else:
        folder = RunFolder(given["weights"])
        if not folder.config.is_file():
            raise OptionError(
                f"{folder}: is no run folder with a {folder.config.name} that names the data; "
                "give --data"
            )
        options, faces = stored_faces(folder)
        parts = {"train": faces.train, **faces.others}
        default, source, seed = "validation", faces.source, options.seed
        if faces.validation is not None:
            parts["validation"] = faces.validation
            if faces.validation_source in VALIDATION_SPLITS:  # and not a part of "train"
                parts[faces.validation_source] = faces.validation
    split = given["split"] or default
    if split is None and len(parts) == 1:
        split = next(iter(parts))
    if split not in parts:
        asked = "which split? " if given["split"] is None else f"--split {split}: there is none; "
        raise OptionError(f"{source}: {asked}give one of --split {', '.join(sorted(parts))}")
    images = parts[split]
    if given["limit"] is not None:
        images = limited(images, given["limit"], Streams(seed)[f"limit: {split}"])
    return Part(images, split, source)


def _content(
    given: dict[str, Any],
    network: Network,
    part: Part,
    scores: Scores,
    reliability: Calibration,
) -> dict[str, Any]:
    return {
        "weights": str(find_weights(given["weights"])),
        "model": network.name,
        "data": part.source,
        "sha256": part.images.sha256,
        "split": part.split,
        "limit": given["limit"],
        "scores": scores.to_dict(part.images.class_names),
        "calibration": reliability.to_dict(),
        "versions": versions(),
    }


def _text(
    network: Network,
    part: Part,
    names: Sequence[str],
    scores: Scores,
    reliability: Calibration,
) -> str:
    spread = np.sqrt(scores.accuracy * (1 - scores.accuracy) / scores.count)
    per_class = [
        (name, f"{precision:.3f}", f"{recall:.3f}", f"{f1:.3f}", int(support))
        for name, precision, recall, f1, support in zip(
            names, scores.precision, scores.recall, scores.f1, scores.support, strict=True
        )
    ]
    confusion = [(name, *map(int, row)) for name, row in zip(names, scores.confusion, strict=True)]
    note = ["note: the network was trained on these images"] * (part.split == "train")
    return "\n".join(
        [
            f"{network.name} on {part.split} of {part.source}: {scores.count:,} images",
            *note,
            f"accuracy {scores.accuracy:.4f} (standard error {spread:.4f}), macro F1 "
            f"{scores.macro_f1:.4f}, loss {scores.loss:.4f}, expected calibration error "
            f"{reliability.error:.4f}",
            "",
            text_table(("class", "precision", "recall", "F1", "images"), per_class),
            "",
            text_table(("true \\ predicted", *names), confusion),
        ]
    )


def _parser(program: str) -> Parser:
    parser = Parser(
        prog=program,
        description="Evaluate a trained network: accuracy, macro F1, precision, recall and F1 of "
        "each class, the confusion matrix and the expected calibration error.",
        examples=(
            "runs/b",
            "runs/b --split train --output train.json",
            "runs/b/weights.safetensors --data fer2013.csv.gz --split public_test",
        ),
    )
    add = parser.add_argument
    add("weights", metavar="RUN|WEIGHTS", help="a run folder (its best epoch), or a weights file")
    add(
        "--data",
        metavar="PATH",
        type=path,
        help="the images; by default those of the run, divided and limited as it did",
    )
    add(
        "--split",
        metavar="NAME",
        help="train, validation, public_test, private_test or test; by default what the run "
        "validated on, or with --data public_test or validation",
    )
    add("--limit", type=whole(1), metavar="N", help="use at most N images")
    add("--output", metavar="FILE.json", type=path, help="write the scores there")
    add("--predictions", metavar="FILE.csv", type=path, help="write id,label of each image there")
    add("--figure", metavar="FILE.png", type=path, help="draw the confusion matrix there")
    add("--overwrite", action="store_true", help="replace these files where they exist")
    add("--json", action="store_true", help="print everything as JSON")
    add("--batch-size", type=whole(1), default=256, metavar="N", help="(256)")
    add("--backend", choices=(*backend.NAMES, "auto"), help="(MINICNN_BACKEND, else numpy)")
    return parser
