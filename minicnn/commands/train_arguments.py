"""The options of a training run on a command line: their flags, and how they are read."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Sequence
from typing import Any

from minicnn import backend, zoo
from minicnn.commands.arguments import Parser, or_none, path, real, whole
from minicnn.commands.train_options import (
    ADAPT_FROM,
    AUGMENTATIONS,
    CLASS_WEIGHTS,
    DEFAULTS_OF_MODEL,
    LEARNING_RATES,
    NORMALIZATIONS,
    SCHEDULES,
    SLOWLY,
    WITH_DRAWN_FACES,
    Options,
    Request,
    command,
    completed,
    word,
)
from minicnn.data.face_dataset import SIDE
from minicnn.errors import OptionError

__all__ = ["add_options", "checked", "parse", "take_request"]

ABOVE_0 = real("above 0", lambda x: x > 0)
FROM_0 = real("of 0 or more", lambda x: x >= 0)
FROM_0_BELOW_1 = real("of 0 or more, below 1", lambda x: 0 <= x < 1)
FROM_0_TO_1 = real("from 0 to 1", lambda x: 0 <= x <= 1)
BETWEEN_0_AND_1 = real("between 0 and 1", lambda x: 0 < x < 1)


def parse(arguments: Sequence[str] | None, program: str) -> Request:
    """Read a command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.
    program : str
        What ``--help`` calls the program.

    Raises
    ------
    OptionError
        An option is unknown or has a value that is not possible.
    """
    given = vars(_parser(program).parse_args(arguments))
    return Request(**take_request(given), given=given)


def take_request(given: dict[str, Any]) -> dict[str, Any]:
    """Take what is of a command line and not of a run out of what it gives.

    Raises
    ------
    OptionError
        Its parts do not go together.
    """
    request = {name: given.pop(name) for name in ("out", "resume", "overwrite", "quiet", "report")}
    if request["resume"] and request["overwrite"]:
        raise OptionError("--resume and --overwrite cannot be had together; choose one of them")
    return request


def checked(stored: dict[str, Any]) -> dict[str, Any]:
    """Return stored options with every value checked, as if they stood on a command line.

    Raises
    ------
    OptionError
        One has a value that is not possible.
    """
    values = completed(stored)
    try:
        words = command("", Options(**values), "-")
    except AttributeError:
        raise OptionError("an option is no text or number") from None
    given = parse(words, "").given
    return {**values, **{name: value for name, value in given.items() if name in values}}


def _parser(program: str) -> Parser:
    parser = Parser(
        prog=program,
        usage="%(prog)s [options]",
        description="Train a network to tell the expressions of faces. Without --data it trains on "
        "a built-in set of drawn faces, which are not real ones.",
        argument_default=argparse.SUPPRESS,
        examples=(
            "--data fer2013.csv.gz --model avgpool_cnn --epochs 8 --out runs/b",
            "--resume --out runs/b",
        ),
    )
    add_options(parser)
    return parser


def add_options(parser: Parser, *, omit: Collection[str] = ()) -> None:
    """Add the options of a training run to a parser without defaults, in groups.

    Parameters
    ----------
    parser : Parser
        With ``argument_default=argparse.SUPPRESS``.
    omit : collection of str
        Flags that it does not get, such as ``"--model"``.
    """
    _add_data_options(_adder(parser, "data", omit))
    _add_training_options(_adder(parser, "model and training", omit))
    _add_run_options(_adder(parser, "run", omit))


def _defaults(name: str) -> str:
    # In brackets: that of most networks, and those of the networks that have recipes.
    own = [
        f"{model} {word(defaults[name])}"
        for model, defaults in DEFAULTS_OF_MODEL.items()
        if name in defaults
    ]
    text = ", ".join([word(getattr(Options, name)), *own])
    if name in WITH_DRAWN_FACES:
        text += f"; with drawn faces {word(WITH_DRAWN_FACES[name])}"
    return f" ({text})"


def _adder(parser: Parser, title: str, omit: Collection[str]) -> Callable[..., None]:
    group = parser.add_argument_group(title)

    def add(flag: str, **settings: Any) -> None:
        if flag not in omit:
            group.add_argument(flag, **settings)

    return add


def _add_data_options(add: Callable[..., None]) -> None:
    add(
        "--data",
        metavar="PATH",
        type=path,
        help="FER-2013: a csv (.gz), an archive or a folder of images",
    )
    add(
        "--validation-fraction",
        type=BETWEEN_0_AND_1,
        metavar="F",
        help="share of the training images to validate on, where the data has no PublicTest or "
        "validation images of its own (0.1)",
    )
    add("--limit", type=whole(1), metavar="N", help="use at most N images of each split")
    add(
        "--drop-duplicates",
        action=argparse.BooleanOptionalAction,
        help="leave out training images that are blank, repeated, or in an evaluation split"
        f"{_defaults('drop_duplicates')}",
    )
    add(
        "--normalize",
        choices=NORMALIZATIONS,
        help="mean 0 and deviation 1 of each pixel, of each image, of all grey values, or only "
        f"scale to 0..1 ({Options.normalize})",
    )
    add(
        "--augment",
        choices=AUGMENTATIONS,
        help="random changes of images: flips; mild, medium or strong rotations, shifts and zooms "
        f"as well, which slow the training down and help long ones{_defaults('augment')}",
    )
    add(
        "--no-augment",
        dest="augment",
        action="store_const",
        const="none",
        help="the same as --augment none",
    )
    add(
        "--mixup",
        type=FROM_0,
        metavar="ALPHA",
        help="mix each image and its label with another one, by shares from a Beta distribution "
        "with ALPHA, such as 0.2 (0: not)",
    )
    add(
        "--cutmix",
        type=FROM_0,
        metavar="ALPHA",
        help="lay a piece of another image over each one, with its share of the label, such as 1; "
        "with --mixup as well, each image has one of them (0: not)",
    )
    add(
        "--erasing",
        type=FROM_0_TO_1,
        metavar="P",
        help=f"share of the images in which a rectangle becomes noise{_defaults('erasing')}",
    )
    add(
        "--plain-tail",
        type=whole(0),
        metavar="N",
        help="in the last N epochs images are flipped at most, not moved, mixed or erased (0)",
    )
    add(
        "--grow-from",
        type=or_none(whole(8, SIDE - 1)),
        metavar="PIXELS",
        help="begin with images of this size, which take less time, and let them grow by 8 pixels "
        "at a time, in equal shares of the epochs; for networks that end in a global average "
        f"{_defaults('grow_from').strip()}",
    )


def _add_training_options(add: Callable[..., None]) -> None:
    add(
        "--model",
        choices=zoo.names(),
        metavar="NAME",
        help=f"one of {', '.join(zoo.names())} ({Options.model})",
    )
    add("--epochs", type=whole(1), metavar="N", help=_defaults("epochs").strip())
    add("--batch-size", type=whole(1), metavar="N", help=_defaults("batch_size").strip())
    add("--optimizer", choices=tuple(LEARNING_RATES), help=f"({Options.optimizer})")
    add(
        "--learning-rate",
        type=ABOVE_0,
        metavar="X",
        help="the highest one of the schedule ("
        + ", ".join(f"{name} {rate:g}" for name, rate in LEARNING_RATES.items())
        + f"; a quarter of it for {', '.join(SLOWLY)})",
    )
    add(
        "--weight-decay",
        type=FROM_0,
        metavar="X",
        help=f"for adamw{_defaults('weight_decay')}; else 0",
    )
    add(
        "--decay-all",
        action="store_true",
        help="let biases and the weights of normalisation decay as well",
    )
    add("--schedule", choices=SCHEDULES, help=f"of the learning rate ({Options.schedule})")
    add(
        "--label-smoothing",
        type=FROM_0_BELOW_1,
        metavar="X",
        help=f"share of the labels that goes to all classes alike{_defaults('label_smoothing')}",
    )
    add(
        "--teacher",
        nargs="+",
        metavar="NETWORK",
        help="learn also from what a trained network says of the training images, or the mean of "
        "several: a run folder, a weights file, or a name in the package (none)",
    )
    add(
        "--distillation",
        type=FROM_0_TO_1,
        metavar="F",
        help="share of the teacher in what is learned; the rest are the labels "
        f"({Options.distillation})",
    )
    add(
        "--self-adaptive",
        type=or_none(FROM_0_TO_1),
        metavar="M",
        help="what is learned of a face moves from its label to what the network says of it: from "
        f"{100 * ADAPT_FROM:.0f}%% of the epochs on, M of it stays each time; "
        f"or none{_defaults('self_adaptive')}",
    )
    add(
        "--class-weights",
        choices=CLASS_WEIGHTS,
        help="weight of each class in the loss: the same, inverse to its number of images, or to "
        f"that number's square root ({Options.class_weights})",
    )
    add(
        "--clip-norm",
        type=or_none(ABOVE_0),
        metavar="X",
        help=f"clip the common norm of all gradients to X, or none{_defaults('clip_norm')}",
    )
    add(
        "--average",
        type=or_none(BETWEEN_0_AND_1),
        metavar="D",
        help="evaluate the moving average of the weights with decay D, or that of the last step: "
        f"none{_defaults('average')}",
    )
    add(
        "--mirror-symmetry",
        action=argparse.BooleanOptionalAction,
        help="tie the weights so that an image and its mirror image have the same result, for "
        f"networks that end in a global average{_defaults('mirror_symmetry')}",
    )
    add(
        "--patience",
        type=whole(1),
        metavar="N",
        help="stop when the validation loss has not improved for N epochs (never)",
    )
    add("--folds", type=whole(2), metavar="K", help="cross-validate on K stratified folds")
    add(
        "--tta",
        action="store_true",
        help="at the end, also score the mean over mirrored and moved views of each image",
    )
    add(
        "--seed",
        type=whole(0),
        metavar="S",
        help=f"of weights, shuffling, dropout, augmentation and splits ({Options.seed})",
    )


def _add_run_options(add: Callable[..., None]) -> None:
    add(
        "--out",
        metavar="DIR",
        type=path,
        default=None,
        help="folder for all that is written (runs/NAME)",
    )
    add(
        "--resume",
        action="store_true",
        default=False,
        help="go on with the run in DIR, with its options (but --no-report and --quiet, which are "
        "given anew); with more --epochs, prolong it",
    )
    add("--overwrite", action="store_true", default=False, help="replace the run in DIR")
    add("--backend", choices=(*backend.NAMES, "auto"), help="(MINICNN_BACKEND, else numpy)")
    add(
        "--no-prefetch",
        dest="prefetch",
        action="store_false",
        help="prepare each batch only when it is needed, without a thread",
    )
    add(
        "--no-report",
        dest="report",
        action="store_false",
        default=True,
        help="do not write the page report.html at the end",
    )
    add("--quiet", action="store_true", default=False, help="print nothing but errors")
