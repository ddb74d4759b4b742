"""Tell the expressions on pictures, by a trained network: ``minicnn predict``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minicnn import backend, zoo
from minicnn.autograd import Tensor
from minicnn.commands.arguments import Parser, path
from minicnn.commands.averaging import add_tta_option, averaged, averaged_text
from minicnn.commands.exits import guarded, refuse_existing
from minicnn.commands.explaining import FAINT
from minicnn.commands.models import NAME_HELP, default_weights, is_network, load_network
from minicnn.data.face_detection import find_faces, require_detector
from minicnn.data.pictures import Box, centre_square, network_input, read_picture
from minicnn.errors import DataError, OptionError
from minicnn.report.figures import require_matplotlib
from minicnn.report.predictions import plot_predictions
from minicnn.training.ensemble import Views
from minicnn.training.evaluation import predict
from minicnn.zoo.network import Network

__all__ = ["main"]

SKIPPED = 1  # the exit code where some pictures could not be read
BAR = 30  # characters


@dataclass(frozen=True, eq=False)
class _Found:
    """What was found on one picture."""

    picture: np.ndarray  # (H, W, 3)
    boxes: list[Box]
    where: str
    inputs: np.ndarray  # (N, h, w, C)
    probabilities: np.ndarray  # (N, K)


def main(arguments: Sequence[str] | None = None, *, program: str = "predict") -> int:
    """Predict as a command line says.

    Returns
    -------
    int
        The exit code: 0; 1 where pictures were skipped because they cannot be read; 2 for an error,
        and where no picture could be read.
    """
    return guarded(program, lambda: _run(arguments, program))


def _run(arguments: Sequence[str] | None, program: str) -> int:
    given = _given(arguments, program)
    views = Views() if given["tta"] else None
    targets = {} if given["no_picture"] else _targets(given)
    refuse_existing(
        [target for target in targets.values() if target.parent.exists()],
        overwrite=given["overwrite"],
    )
    if targets:
        require_matplotlib()
    if given["detect"]:
        require_detector()
    done: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []
    with backend.use(given["backend"]):
        network = load_network(given["weights"] or default_weights())
        packaged = {} if given["weights"] else {"network": zoo.DEFAULT}
        if packaged and not given["json"]:
            print(f"network: {zoo.DEFAULT} of the package ({network.name})")
        names = network.class_names or tuple(
            f"class {number}" for number in range(network.arguments["num_classes"])
        )
        for file in given["pictures"]:
            try:
                picture = read_picture(file)
            except DataError as error:
                skipped.append({"file": file, "reason": str(error)})
                print(f"warning: skipped {error}", file=sys.stderr)
                continue
            found = _found(network, picture, views, detect=given["detect"])
            target = targets.get(file)
            if target is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
                plot_predictions(
                    found.picture,
                    found.boxes,
                    found.inputs,
                    found.probabilities,
                    names,
                    target,
                    title=f"{Path(file).name}, by {network.name}",
                )
            done.append(_entry(file, found, names, target))
            if not given["json"]:
                print(_text(file, found, names, target), flush=True)
    if given["json"]:
        content = {**packaged, **averaged(1, views), "pictures": done, "skipped": skipped}
        print(json.dumps(content, indent=2))
    if not done:
        raise DataError(f"none of {len(skipped)} pictures could be read")
    return SKIPPED if skipped else 0


def _given(arguments: Sequence[str] | None, program: str) -> dict[str, Any]:
    """Return what the command line gives; ``weights`` is None where it begins with a picture."""
    parser = _parser(program)
    given = vars(parser.parse_intermixed_args(arguments))
    words = [*([given["weights"]] if given["weights"] else []), *given["pictures"]]
    given["weights"] = words.pop(0) if is_network(words[0]) else None
    given["pictures"] = words
    if not words:
        parser.error("the following arguments are required: IMAGE")
    return given


def _targets(given: dict[str, Any]) -> dict[str, Path]:
    """Return the file that is drawn for each picture; no two pictures have the same."""
    targets: dict[str, Path] = {}
    for file in given["pictures"]:
        folder = Path(file).parent if given["output"] is None else Path(given["output"])
        if folder.exists() and not folder.is_dir():
            raise OptionError(f"--output {folder}: is a file; give the name of a folder")
        target = folder / f"{Path(file).name}.prediction.png"
        other = next((name for name, taken in targets.items() if taken == target), None)
        if other == file:
            raise OptionError(f"{file} is named twice; name each picture once")
        if other is not None:
            raise OptionError(
                f"{other} and {file} would both be drawn into {target}; name one of them at a "
                "time, or choose --no-picture"
            )
        targets[file] = target
    return targets


def _found(network: Network, picture: np.ndarray, views: Views | None, *, detect: bool) -> _Found:
    boxes, where = [centre_square(picture)], "centre square"
    if detect:
        faces = find_faces(picture)
        where = f"{len(faces)} found" if faces else "no face found: centre square"
        boxes = faces or boxes
    inputs = np.stack([network_input(picture, network.input_shape, box) for box in boxes])
    images = backend.asarray(inputs)
    if network.normalization is not None:
        images = network.normalization(images)
    if any(shown.std() < FAINT for shown in inputs):
        where += ", hardly any contrast: such scores say nothing"
    batch = Tensor(images.astype("float32", copy=False))
    probabilities = predict(network, [(batch, batch)], tta=views)  # nothing looks at the labels
    if views is not None:
        where = f"{where}, {averaged_text(1, views)}"
    return _Found(picture, boxes, where, inputs, probabilities)


def _entry(file: str, found: _Found, names: Sequence[str], target: Path | None) -> dict[str, Any]:
    return {
        "file": file,
        "faces": [
            {
                "box": list(box),
                "prediction": names[int(row.argmax())],
                "scores": {name: float(score) for name, score in zip(names, row, strict=True)},
            }
            for box, row in zip(found.boxes, found.probabilities, strict=True)
        ],
        "drawn": None if target is None else str(target),
    }


def _text(file: str, found: _Found, names: Sequence[str], target: Path | None) -> str:
    height, width = found.picture.shape[:2]
    lines = [f"{file} ({width}x{height}, {found.where})"]
    longest = max(map(len, names))
    for number, (box, row) in enumerate(zip(found.boxes, found.probabilities, strict=True), 1):
        best = int(row.argmax())
        face = f"face {number} at {box.left},{box.top}: " if len(found.boxes) > 1 else ""
        lines.append(f"  {face}{names[best]} ({row[best]:.1%})")
        for name, score in zip(names, row, strict=True):
            bar = "#" * round(BAR * float(score))
            lines.append(f"    {name.ljust(longest)}  {score:.3f}  {bar}".rstrip())
    if target is not None:
        lines.append(f"  drawn: {target}")
    return "\n".join(lines)


def _parser(program: str) -> Parser:
    parser = Parser(
        prog=program,
        description="Tell the expressions on pictures of any size and kind, by a trained network. "
        "Prints every class's score, and draws beside each picture what was seen and said, as "
        "NAME.prediction.png.",
        notes=(
            "The first word is the network if it is a folder, a weights file, or the name of a",
            "network of the package, and also if it has no suffix and nothing of that name exists.",
            f"Otherwise it is a picture, and the network is {zoo.DEFAULT} of the package.",
            "",
            "exit code: 0; 1 where pictures could not be read and were skipped; 2 for an",
            "error, and where none could be read",
        ),
        examples=(
            "portrait.jpg",
            "runs/b portrait.jpg",
            "runs/b --detect --tta --output out photos/*.jpg",
        ),
    )
    add = parser.add_argument
    add(
        "weights",
        metavar="RUN|WEIGHTS|NAME",
        nargs="?",
        type=path,
        help=f"a run folder (its best epoch), a weights file, or {NAME_HELP}; {zoo.DEFAULT} by "
        "default",
    )
    add("pictures", metavar="IMAGE", nargs="+", type=path, help="picture files")
    add_tta_option(parser)
    add(
        "--detect",
        action="store_true",
        help='find the faces with OpenCV (pip install "minicnn[detect]"); else, and where there is '
        "none, the square in the middle is taken",
    )
    add("--output", metavar="DIR", type=path, help="where to draw (beside each picture)")
    add("--overwrite", action="store_true", help="replace what was drawn before")
    add("--no-picture", action="store_true", help="only print the scores")
    add("--json", action="store_true", help="print everything as JSON")
    add("--backend", choices=(*backend.NAMES, "auto"), help="(MINICNN_BACKEND, else numpy)")
    return parser
