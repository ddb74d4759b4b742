"""The options of a training run: their defaults, as a command, and compared on resume."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from minicnn import backend
from minicnn.data.augment import Augmentation
from minicnn.errors import OptionError

__all__ = ["Options", "Request", "command", "completed", "flag", "merge", "word", "words_of"]

NORMALIZATIONS = ("pixel", "image", "global", "none")
AUGMENTATIONS = {
    "flip": Augmentation(horizontal_flip=True),
    "mild": Augmentation(
        rotation=10, width_shift=0.1, height_shift=0.1, zoom=0.1, horizontal_flip=True
    ),
    "medium": Augmentation(
        rotation=15, width_shift=0.1, height_shift=0.1, zoom=0.15, horizontal_flip=True
    ),
    "strong": Augmentation.system_a(),
    "none": None,
}
CLASS_WEIGHTS = ("none", "balanced", "sqrt")
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
# Networks with layers that no batch normalisation follows diverge, or stand still, at rates that
# suit the others.
SLOWLY = ("deep_vgg", "wide_cnn", "plain_dnn", "vgg16_bn", "deep_dnn")
# The share of its epochs after which a run with --self-adaptive begins to adapt its targets.
ADAPT_FROM = 0.3
# Networks that end in a global average, and so take images of any size.
OF_ANY_SIZE = ("residual_cnn", "residual_committee")
# What is done unless it is named, and is not the default below. The network that was made for this
# task has the recipe by which it was made; the others are trained for a while, to look at them.
DEFAULTS_OF_MODEL: dict[str, dict[str, Any]] = {
    "residual_cnn": {
        "drop_duplicates": True,
        "augment": "mild",
        "grow_from": 32,
        "epochs": 72,
        "batch_size": 128,
        "weight_decay": 0.05,
        "label_smoothing": 0.1,
        "clip_norm": None,
        "average": 0.999,
    },
}
# Of drawn faces there are fewer, and the whole run shall take a few minutes on two cores.
WITH_DRAWN_FACES: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 32,
    "augment": "flip",
    "grow_from": None,
}


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
    mixup: float = 0.0
    cutmix: float = 0.0
    erasing: float = 0.0
    plain_tail: int = 0
    grow_from: int | None = None
    model: str = "residual_cnn"
    epochs: int = 8
    batch_size: int = 64
    optimizer: str = "adamw"
    learning_rate: float = LEARNING_RATES["adamw"]
    weight_decay: float = 0.01
    decay_all: bool = False
    schedule: str = "one-cycle"
    label_smoothing: float = 0.0
    teacher: list[str] | None = None
    distillation: float = 0.7
    self_adaptive: float | None = None
    class_weights: str = "none"
    clip_norm: float | None = 1.0  # some networks lose what they learned to one large gradient
    average: float | None = None
    mirror_symmetry: bool = False
    patience: int | None = None
    folds: int | None = None
    tta: bool = False
    seed: int = 0
    backend: str = "numpy"
    prefetch: bool = True


MAY_CHANGE = ("data", "teacher", "epochs", "patience", "tta", "prefetch")
# What was done before there were these options, by which runs of that time are gone on with.
BEFORE: dict[str, Any] = {
    "mixup": 0.0,
    "cutmix": 0.0,
    "erasing": 0.0,
    "plain_tail": 0,
    "grow_from": None,
    "decay_all": True,
    "class_weights": "none",
    "teacher": None,
    "distillation": 0.7,
    "self_adaptive": None,
    "mirror_symmetry": False,
}


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
        A named option differs from the stored run's, and is not one that may change; or two options
        do not go together.
    """
    options = _complete(given, stored)
    if options.plain_tail >= options.epochs:
        raise OptionError(
            f"--plain-tail {options.plain_tail}: the run has {options.epochs} epochs, and some of "
            "them must come before its tail"
        )
    if options.grow_from is not None and options.model not in OF_ANY_SIZE:
        raise OptionError(
            f"--grow-from: {options.model} is built for images of one size; choose one of "
            f"{', '.join(OF_ANY_SIZE)}, or none"
        )
    if options.mirror_symmetry and options.model not in OF_ANY_SIZE:
        raise OptionError(
            f"--mirror-symmetry: not for {options.model}, whose dense layers see where something "
            f"is; choose one of {', '.join(OF_ANY_SIZE)}, or --no-mirror-symmetry"
        )
    if options.grow_from is not None and options.normalize == "pixel":
        raise OptionError(
            "--grow-from: not with --normalize pixel, which has a mean for each pixel of the full "
            "size; choose image, global or none"
        )
    if options.self_adaptive is not None and (options.mixup or options.cutmix):
        raise OptionError(
            "--self-adaptive: not with --mixup or --cutmix; a target is that of one image"
        )
    # The default is in the command of every run, with a teacher or without.
    share = given.get("distillation", Options.distillation)
    if stored is None and options.teacher is None and share != Options.distillation:
        raise OptionError(
            f"--distillation {share}: there is no teacher to learn from; name one with --teacher"
        )
    if options.tta and options.folds is not None:
        raise OptionError(
            "--tta: not with --folds; evaluate the fold that you want with minicnn evaluate --tta"
        )
    if options.teacher is not None and options.folds is not None:
        raise OptionError(
            "--teacher: not with --folds; a network that has seen the faces of all folds would "
            "tell each of them what the faces are that it is validated on"
        )
    return options


def _complete(given: dict[str, Any], stored: dict[str, Any] | None) -> Options:
    if "backend" in given or stored is None:
        given = {**given, "backend": backend.choose(given.get("backend")).name}
    if stored is not None:
        options = Options(**completed(stored))
        for name, value in given.items():
            if name not in MAY_CHANGE and value != getattr(options, name):
                raise OptionError(
                    f"{flag(name)} {word(value)}: the run was begun with "
                    f"{word(getattr(options, name))}; resume it without this option, or choose "
                    "another --out"
                )
        if given.get("epochs", options.epochs) < options.epochs:
            raise OptionError(
                f"--epochs {given['epochs']}: the run is one of {options.epochs} epochs; it can be "
                "made longer, not shorter"
            )
        return replace(options, **given)
    optimizer = given.get("optimizer", Options.optimizer)
    model = given.get("model", Options.model)
    quarter = optimizer != "adadelta" and model in SLOWLY
    adaptive: dict[str, Any] = {
        **DEFAULTS_OF_MODEL.get(model, {}),
        **({"grow_from": None} if given.get("normalize") == "pixel" else {}),
        "learning_rate": LEARNING_RATES[optimizer] * (0.25 if quarter else 1),
        **({} if optimizer == "adamw" else {"weight_decay": 0.0}),
        **({} if given.get("data") else WITH_DRAWN_FACES),
    }
    return Options(**{**adaptive, **given})


def completed(stored: dict[str, Any]) -> dict[str, Any]:
    """Return stored options without unknown ones, and with those that came to be after them."""
    known = {field.name for field in fields(Options)}
    return {**BEFORE, **{name: value for name, value in stored.items() if name in known}}


def command(program: str, options: Options, out: str) -> list[str]:
    """Return the command line that repeats a run with all its options, as a list of words."""
    words = [*program.split(), "--out", out]
    for name, value in asdict(options).items():
        words += words_of(name, value)
    return words


def words_of(name: str, value: Any) -> list[str]:
    """Return how an option is given on the command line; no words where it is the parser's own."""
    if name == "augment" and value == "none":
        return ["--no-augment"]
    if name in ("drop_duplicates", "mirror_symmetry"):
        return [flag(name) if value else flag(f"no_{name}")]
    if name in ("average", "clip_norm", "grow_from"):
        return [flag(name), "none" if value is None else str(value)]
    if name == "teacher" and isinstance(value, list):
        return [flag(name), *map(str, value)]
    if isinstance(value, bool):
        return [flag(name)] if value != getattr(Options, name, False) else []
    return [] if value is None else [flag(name), str(value)]


def flag(name: str) -> str:
    """Return how an option is called on the command line."""
    return "--no-prefetch" if name == "prefetch" else "--" + name.replace("_", "-")


def word(value: Any) -> str:
    """Return the value of an option as messages say it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
