"""How numbers and rows of tables are written on a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from minicnn.inspect.table import LayerSummary
from minicnn.training.metrics import Scores

__all__ = ["FILTERS", "duration", "size"]

MINUS, TIMES, NONE = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}", "\N{EN DASH}"


def count(number: int) -> str:
    """Return a whole number with separators of thousands."""
    return f"{number:,}"


def percent(share: float | None, digits: int = 0) -> str:
    """Return a share in percent, a dash for none."""
    return NONE if share is None else f"{100 * share:.{digits}f}%"


def decimal(value: float | None, digits: int = 3) -> str:
    """Return a number with so many digits, a dash for none."""
    return NONE if value is None else f"{value:.{digits}f}".replace("-", MINUS)


def short(value: float) -> str:
    """Return a number with three digits that count."""
    return f"{value:#.3g}".rstrip(".").replace("-", MINUS)


def points(share: float) -> str:
    """Return a change of a share in percentage points, with its sign."""
    text = f"{100 * share:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", MINUS)


def size(shape: Iterable[Any]) -> str:
    """Return the sizes of an array with signs of multiplication between them."""
    return f" {TIMES} ".join(map(str, shape))


def soft(text: str) -> str:
    """Return a caption that may be broken within its long words."""
    return text.replace("backpropagation", "back\N{SOFT HYPHEN}propagation")


def words(name: str) -> str:
    """Return a name of a program as people write it."""
    return name.replace("_", " ")


def duration(seconds: float) -> str:
    """Return a time as people say it: "1 h 20 min", "12 min", "45 s"."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def confusion_row(cell: Mapping[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    """Return the row of a pair of classes."""
    pair = (names[cell["true"]], names[cell["predicted"]])
    return (*pair, percent(cell["share"], 1), count(cell["count"]))


def reported_row(pair: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the row of a confusion that others report."""
    told = "often" if pair["reported"] is None else percent(pair["reported"])
    return pair["true"], pair["predicted"], told, percent(pair["here"])


def class_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the row of a class."""
    scores = tuple(decimal(row[name]) for name in ("precision", "recall", "f1"))
    return (row["name"], *scores, count(row["support"]))


def split_row(item: tuple[str, Scores]) -> tuple[str, ...]:
    """Return the row of a split, or of a fold."""
    name, scores = item
    numbers = (percent(scores.accuracy, 1), decimal(scores.macro_f1), decimal(scores.loss))
    return (words(name), count(scores.count), *numbers)


def bin_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the row of a bin of confidence."""
    bounds = f"{100 * row['low']:.0f} to {percent(row['high'])}"
    return bounds, count(row["count"]), percent(row["confidence"], 1), percent(row["accuracy"], 1)


def epoch_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the row of an epoch."""
    shares = {
        part: NONE if row[f"{part}_accuracy"] is None else percent(row[f"{part}_accuracy"], 1)
        for part in ("train", "validation")
    }
    return (
        str(row["epoch"]),
        decimal(row["train_loss"]),
        shares["train"],
        decimal(row["validation_loss"]),
        shares["validation"],
        NONE if row["learning_rate"] is None else f"{row['learning_rate']:.2g}",
        NONE if row["seconds"] is None else f"{row['seconds']:.0f}",
    )


def method_row(item: tuple[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the row of a method of explanation."""
    name, numbers = item
    share = numbers["central_mass"]
    areas = (decimal(numbers["deletion_area"]), decimal(numbers["insertion_area"]))
    return (name, NONE if share is None else percent(share, 1), *areas)


def layer_row(layer: LayerSummary) -> tuple[str, ...]:
    """Return the row of a layer."""
    numbers = (
        layer.parameters, layer.trainable, layer.cost.multiplications, layer.cost.additions
    )  # fmt: skip
    shape = size((layer.output_shape or ())[1:]) or NONE
    return (layer.name or "(model)", layer.kind, shape, *(count(n) if n else NONE for n in numbers))


FILTERS: dict[str, Callable[..., Any]] = {
    each.__name__: each
    for each in (
        *(count, percent, decimal, short, points, soft, words, duration),
        *(confusion_row, reported_row, class_row, split_row, bin_row, epoch_row),
        *(method_row, layer_row),
    )
}
