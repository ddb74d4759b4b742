"""Score a trained network, or several together, on a split of the data: ``minicnn evaluate``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from minicnn import backend
from minicnn.commands.arguments import Parser, path, whole
from minicnn.commands.averaging import add_tta_option, averaged, averaged_text
from minicnn.commands.exits import guarded, refuse_existing
from minicnn.commands.models import NAME_HELP, find_weights, load_networks, refuse_other_faces
from minicnn.commands.run_folder import RunFolder, versions
from minicnn.commands.seen_pictures import SeenPictures, seen_pictures
from minicnn.commands.tables import text_table
from minicnn.commands.train_data import VALIDATION_SPLITS, Faces, labelled, limited, loading_once
from minicnn.commands.train_options import Options
from minicnn.commands.train_run import predicted
from minicnn.commands.trained_run import Part, fold_of, stored_faces
from minicnn.data.face_dataset import FaceDataset
from minicnn.data.fer2013 import load
from minicnn.data.predictions import write_predictions
from minicnn.errors import DataError, OptionError
from minicnn.files import write_json
from minicnn.random import Streams
from minicnn.report.figures import plot_confusion, require_matplotlib
from minicnn.training.calibration import Calibration, calibration
from minicnn.training.ensemble import Views, mean_probabilities
from minicnn.training.evaluation import scores_of
from minicnn.training.metrics import Scores
from minicnn.zoo.network import Network

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None, *, program: str = "evaluate") -> int:
    """Evaluate as a command line says; return the exit code, 0 or 2."""
    return guarded(program, lambda: _run(arguments, program))


def _run(arguments: Sequence[str] | None, program: str) -> int:
    given = vars(_parser(program).parse_intermixed_args(arguments))
    outputs = [given[name] for name in ("output", "predictions", "figure") if given[name]]
    files = [find_weights(each) for each in given["weights"]]
    inputs = [*files, *(own for file in files for own in RunFolder(file.parent).files())]
    inputs += [] if given["data"] is None else [given["data"]]
    refuse_existing(outputs, overwrite=given["overwrite"], inputs=inputs)
    if len({Path(each).resolve() for each in outputs}) < len(outputs):
        raise OptionError("--output, --predictions and --figure: expected different files")
    if given["figure"]:
        if Path(given["figure"]).suffix.lower() != ".png":
            raise OptionError(f"--figure {given['figure']}: is drawn as PNG; name a file .png")
        require_matplotlib()
    views = Views() if given["tta"] else None
    with backend.use(given["backend"]):
        networks = load_networks(given["weights"])
        part = _part(given)
        train = _training_images(part) if given["near_duplicates"] else None
        refuse_other_faces(networks[0], part.images, part.source)
        options = Options(batch_size=given["batch_size"])
        # Each network gets the images by its own normalisation.
        probabilities = mean_probabilities(
            predicted(network, part.images, options, tta=views) for network in networks
        )
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
    seen = None if train is None else seen_pictures(part.images, train, probabilities)
    content = _content(given, networks, part, scores, reliability, views, seen)
    if given["output"]:
        write_json(Path(given["output"]), content)
    if given["figure"]:
        title = f"{_names(networks)}: confusion matrix, {part.split}"
        plot_confusion(scores.confusion, part.images.class_names, given["figure"], title=title)
    names = part.images.class_names
    print(
        json.dumps(content, indent=2)
        if given["json"]
        else _text(given, networks, part, names, scores, reliability, views, seen)
    )
    return 0


def _part(given: dict[str, Any]) -> Part:
    """Return the images that the command line asks for; those of several runs must be the same."""
    first, *others = given["weights"]
    faces_of = loading_once()
    part = _part_of(first, given, faces_of)
    if given["data"] is None:
        digest = part.images.content_hash() if others else ""
        for other in others:
            if _part_of(other, given, faces_of).images.content_hash() != digest:
                raise OptionError(
                    f"{other}: its images of {part.split} are not those of {first}, and either "
                    "may have been trained on what the other has kept back; name the images that "
                    "none was trained on by --data"
                )
    return part


def _part_of(weights: str, given: dict[str, Any], faces_of: Callable[[Options], Faces]) -> Part:
    if given["data"] is not None:
        data = load(given["data"])
        parts = {name: data.split(name) for name in data.splits}
        default = next((name for name in VALIDATION_SPLITS if name in parts), None)
        source, seed, folded = given["data"], 0, False
    else:
        folder = RunFolder(weights)
        if fold_of(folder) is None and not folder.config.is_file():
            raise OptionError(
                f"{folder}: is no run folder with a {folder.config.name} that names the data; "
                "give --data"
            )
        options, faces = stored_faces(folder, faces_of)
        parts = {"train": faces.train, **faces.others}
        default, source, seed = "validation", faces.source, options.seed
        folded = faces.validation is None
        if faces.validation is not None:
            parts["validation"] = faces.validation
            if faces.validation_source in VALIDATION_SPLITS:  # and not a part of "train"
                parts[faces.validation_source] = faces.validation
    split = given["split"] or default
    if split is None and len(parts) == 1:
        split = next(iter(parts))
    if split not in parts:
        choose = f"give one of --split {', '.join(sorted(parts))}"
        if given["split"] is not None:
            raise OptionError(f"{source}: --split {split}: there is none; {choose}")
        why = "no images were kept back from all folds" if folded else "which split?"
        raise OptionError(f"{source}: {why}; {choose}")
    images = parts[split]
    if given["limit"] is not None:
        images = limited(images, given["limit"], Streams(seed)[f"limit: {split}"])
    return Part(images, split, source, parts.get("train"))


def _training_images(part: Part) -> FaceDataset:
    if part.split == "train":
        raise OptionError(
            "--near-duplicates: compares images with those of the training split; choose another "
            "with --split"
        )
    if part.train is None:
        raise OptionError(
            f"--near-duplicates: {part.source} has no training images to compare with"
        )
    return part.train


def _names(networks: Sequence[Network]) -> str:
    return " + ".join(network.name for network in networks)


def _content(
    given: dict[str, Any],
    networks: Sequence[Network],
    part: Part,
    scores: Scores,
    reliability: Calibration,
    views: Views | None,
    seen: SeenPictures | None,
) -> dict[str, Any]:
    weights = [str(find_weights(each)) for each in given["weights"]]
    models = [network.name for network in networks]
    return {
        "weights": weights if len(weights) > 1 else weights[0],
        "model": models if len(models) > 1 else models[0],
        **averaged(len(networks), views),
        "data": part.source,
        "sha256": part.images.sha256,
        "split": part.split,
        "limit": given["limit"],
        "scores": scores.to_dict(part.images.class_names),
        "standard_error": scores.standard_error,
        "calibration": reliability.to_dict(),
        **({} if seen is None else {"pictures": seen.to_dict()}),
        "versions": versions(),
    }


def _text(
    given: dict[str, Any],
    networks: Sequence[Network],
    part: Part,
    names: Sequence[str],
    scores: Scores,
    reliability: Calibration,
    views: Views | None,
    seen: SeenPictures | None,
) -> str:
    per_class = [
        (name, f"{precision:.3f}", f"{recall:.3f}", f"{f1:.3f}", int(support))
        for name, precision, recall, f1, support in zip(
            names, scores.precision, scores.recall, scores.f1, scores.support, strict=True
        )
    ]
    confusion = [(name, *map(int, row)) for name, row in zip(names, scores.confusion, strict=True)]
    subject, was = ("the network", "was") if len(networks) == 1 else ("the networks", "were")
    was = was if given["data"] is None else "may have been"
    note = [f"note: {subject} {was} trained on these images"] * (part.split == "train")
    mean = averaged_text(len(networks), views)
    return "\n".join(
        [
            f"{_names(networks)} on {part.split} of {part.source}: {scores.count:,} images",
            *[mean] * bool(mean),
            *note,
            f"accuracy {scores.accuracy:.4f} (standard error {scores.standard_error:.4f}), "
            f"macro F1 {scores.macro_f1:.4f}, loss {scores.loss:.4f}, expected calibration error "
            f"{reliability.error:.4f}",
            *([] if seen is None else ["", str(seen)]),
            "",
            text_table(("class", "precision", "recall", "F1", "images"), per_class),
            "",
            text_table(("true \\ predicted", *names), confusion),
        ]
    )


def _parser(program: str) -> Parser:
    parser = Parser(
        prog=program,
        description="Evaluate a trained network, or the mean of what several say: accuracy, macro "
        "F1, precision, recall and F1 of each class, the confusion matrix and the expected "
        "calibration error.",
        examples=(
            "runs/b",
            "runs/b --split train --output train.json",
            "runs/b/weights.safetensors --data fer2013.csv.gz --split public_test",
            "runs/b runs/e --tta --data fer2013.csv.gz --split private_test",
        ),
    )
    add = parser.add_argument
    add(
        "weights",
        metavar="RUN|WEIGHTS|NAME",
        nargs="+",
        type=path,
        help=f"a run folder (its best epoch), a weights file, or {NAME_HELP}; the probabilities "
        "of several are averaged, each of them given the images by its own normalisation",
    )
    add_tta_option(parser)
    add(
        "--data",
        metavar="PATH",
        type=path,
        help="the images; by default those of the run, divided and limited as it did (of several "
        "runs, where they are the same)",
    )
    add(
        "--split",
        metavar="NAME",
        help="train, validation, public_test, private_test or test; by default what the run "
        "validated on, or with --data public_test or validation",
    )
    add("--limit", type=whole(1), metavar="N", help="use at most N images")
    add(
        "--near-duplicates",
        action="store_true",
        help="give the accuracy of images whose picture stands in the training split too, in every "
        "pixel or changed a little, and of the others by themselves (takes a minute for FER-2013)",
    )
    add("--output", metavar="FILE.json", type=path, help="write the scores there")
    add("--predictions", metavar="FILE.csv", type=path, help="write id,label of each image there")
    add("--figure", metavar="FILE.png", type=path, help="draw the confusion matrix there")
    add("--overwrite", action="store_true", help="replace these files where they exist")
    add("--json", action="store_true", help="print everything as JSON")
    add("--batch-size", type=whole(1), default=256, metavar="N", help="(256)")
    add("--backend", choices=(*backend.NAMES, "auto"), help="(MINICNN_BACKEND, else numpy)")
    return parser
