"""The options of a training run: read from a command line, stored, and compared on resume."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from minicnn import backend, zoo
from minicnn.commands.arguments import Parser, above, at_least, between, path, whole
from minicnn.errors import OptionError

__all__ = [
    "REQUEST",
    "Options",
    "Request",
    "add_options",
    "checked",
    "command",
    "flag",
    "merge",
    "parse",
]

NORMALIZATIONS = ("pixel", "image", "global", "none")
AUGMENTATIONS = ("flip", "mild", "strong", "none")
SCHEDULES = ("one-cycle", "cosine", "step", "plateau", "constant")
# The learning rate that each optimiser gets unless one is named.
LEARNING_RATES = {
    "adam": 1e-3,
    "adamw": 4e-3,
    "sgd": 0.05,
    "rmsprop": 1e-3,
    "adagrad": 1e-2,
    "adadelta": 1.0,
}
# Networks without batch normalisation diverge, or stand still, at rates that suit the others.
WITHOUT_NORM = ("deep_vgg", "wide_cnn", "plain_dnn", "deep_dnn")
# Of drawn faces there are fewer, and the whole run shall take less than three minutes on two cores.
WITH_DRAWN_FACES = {"epochs": 5, "batch_size": 32}


@dataclass(frozen=True)
class Options:
    """What a training run is made with; see ``--help`` for the meanings.

    Those of :data:`MAY_CHANGE` may differ when a run is resumed.
    """

    data: str | None = None
    validation_fraction: float = 0.1
    limit: int | None = None
    drop_duplicates: bool = False
    normalize: str = "image"
    augment: str = "flip"
    model: str = "avgpool_cnn"
    epochs: int = 8
    batch_size: int = 64
    optimizer: str = "adamw"
    learning_rate: float = LEARNING_RATES["adamw"]
    weight_decay: float = 0.01
    schedule: str = "one-cycle"
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    average: float | None = None
    patience: int | None = None
    folds: int | None = None
    seed: int = 0
    backend: str = "numpy"
    prefetch: bool = True


MAY_CHANGE = ("data", "epochs", "patience", "prefetch")
REQUEST = ("out", "resume", "overwrite", "quiet", "report")  # of a command line, not of a run


@dataclass(frozen=True)
class Request:
    """A command line: the options that were named in it, and what to do with the folder.

    Attributes
    ----------
    given : dict
        Options that were named, by their names in :class:`Options`.
    out : str or None
    resume, overwrite, quiet : bool
    report : bool
        Write a page at the end.
    """

    given: dict[str, Any]
    out: str | None
    resume: bool
    overwrite: bool
    quiet: bool
    report: bool


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
    run = {name: given.pop(name) for name in REQUEST}
    if run["resume"] and run["overwrite"]:
        raise OptionError("--resume and --overwrite cannot be had together; choose one of them")
    return Request(given, **run)


def merge(given: dict[str, Any], stored: dict[str, Any] | None = None) -> Options:
    """Complete the options that were named: by those of a stored run, else by defaults.

    Parameters
    ----------
    given : dict
    stored : dict, optional
        All options of the run that is to be resumed.

    Raises
    ------
    OptionError
        A named option differs from the stored run's, and is not one that may change.
    """
    if "backend" in given or stored is None:
        given = {**given, "backend": backend.choose(given.get("backend")).name}
    if stored is not None:
        known = {field.name for field in fields(Options)}
        options = Options(**{name: value for name, value in stored.items() if name in known})
        for name, value in given.items():
            if name not in MAY_CHANGE and value != getattr(options, name):
                raise OptionError(
                    f"{flag(name)} {value}: the run was begun with {getattr(options, name)}; "
                    "resume it without this option, or choose another --out"
                )
        if given.get("epochs", options.epochs) < options.epochs:
            raise OptionError(
                f"--epochs {given['epochs']}: the run is one of {options.epochs} epochs; it can be "
                "made longer, not shorter"
            )
        return replace(options, **given)
    optimizer = given.get("optimizer", Options.optimizer)
    quarter = optimizer != "adadelta" and given.get("model", Options.model) in WITHOUT_NORM
    adaptive: dict[str, Any] = {
        "learning_rate": LEARNING_RATES[optimizer] * (0.25 if quarter else 1),
        "weight_decay": Options.weight_decay if optimizer == "adamw" else 0.0,
        **({} if given.get("data") else WITH_DRAWN_FACES),
    }
    return Options(**{**adaptive, **given})


def checked(stored: dict[str, Any]) -> dict[str, Any]:
    """Return stored options with every value checked, as if they stood on a command line.

    Raises
    ------
    OptionError
        One has a value that is not possible.
    """
    known = {field.name for field in fields(Options)}
    values = {name: value for name, value in stored.items() if name in known}
    try:
        words = command("", Options(**values), "-")
    except AttributeError:
        raise OptionError("an option is no text or number") from None
    given = parse(words, "").given
    return {**values, **{name: value for name, value in given.items() if name in values}}


def command(program: str, options: Options, out: str) -> list[str]:
    """Return the command line that repeats a run with all its options, as a list of words."""
    words = [*program.split(), "--out", out]
    for name, value in asdict(options).items():
        if name == "augment" and value == "none":
            words.append("--no-augment")
        elif isinstance(value, bool):
            words += [flag(name)] if value != getattr(Options, name) else []
        elif value is not None:
            words += [flag(name), str(value)]
    return words


def flag(name: str) -> str:
    """Return how an option is called on the command line."""
    return "--no-prefetch" if name == "prefetch" else "--" + name.replace("_", "-")


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
        type=between(0, 1),
        metavar="F",
        help="share of the training images to validate on, where the data has no PublicTest or "
        "validation images of its own (0.1)",
    )
    add("--limit", type=whole(1), metavar="N", help="use at most N images of each split")
    add(
        "--drop-duplicates",
        action="store_true",
        help="leave out training images that are blank, repeated, or in an evaluation split",
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
        help="random changes of images: flips; mild or strong rotations, shifts and zooms as well, "
        f"which slow the training down and help long ones ({Options.augment})",
    )
    add(
        "--no-augment",
        dest="augment",
        action="store_const",
        const="none",
        help="the same as --augment none",
    )


def _add_training_options(add: Callable[..., None]) -> None:
    add(
        "--model",
        choices=zoo.names(),
        metavar="NAME",
        help=f"one of {', '.join(zoo.names())} ({Options.model})",
    )
    add(
        "--epochs",
        type=whole(1),
        metavar="N",
        help=f"({Options.epochs}; with drawn faces {WITH_DRAWN_FACES['epochs']})",
    )
    add(
        "--batch-size",
        type=whole(1),
        metavar="N",
        help=f"({Options.batch_size}; with drawn faces {WITH_DRAWN_FACES['batch_size']})",
    )
    add("--optimizer", choices=tuple(LEARNING_RATES), help=f"({Options.optimizer})")
    add(
        "--learning-rate",
        type=above(0),
        metavar="X",
        help="the highest one of the schedule ("
        + ", ".join(f"{name} {rate:g}" for name, rate in LEARNING_RATES.items())
        + "; a quarter of it for networks without batch norm)",
    )
    add(
        "--weight-decay",
        type=at_least(0),
        metavar="X",
        help=f"({Options.weight_decay} for adamw, else 0)",
    )
    add("--schedule", choices=SCHEDULES, help=f"of the learning rate ({Options.schedule})")
    add("--label-smoothing", type=at_least(0, 1), metavar="X", help=f"({Options.label_smoothing})")
    add("--clip-norm", type=above(0), metavar="X", help="clip the gradients' norm (not clipped)")
    add(
        "--average",
        type=between(0, 1),
        metavar="D",
        help="evaluate the moving average of the weights with decay D, such as 0.999 (none)",
    )
    add(
        "--patience",
        type=whole(1),
        metavar="N",
        help="stop when the validation loss has not improved for N epochs (never)",
    )
    add("--folds", type=whole(2), metavar="K", help="cross-validate on K stratified folds")
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
        help="go on with the run in DIR, with its options; with more --epochs, prolong it",
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
