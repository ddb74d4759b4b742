"""Effects of two options on the validation accuracy, from runs with all their combinations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

__all__ = ["Effect", "effects_of"]

FACTORS = ("normalize", "augment")
# System A's effects on the accuracy of PublicTest, each without the other.
REPORTED = {
    ("deep_vgg", "normalize", "pixel"): 0.66035 - 0.65645,
    ("deep_vgg", "augment", "strong"): 0.69545 - 0.65645,
}


@dataclass(frozen=True)
class Effect:
    """What a change of one option does to the validation.

    Attributes
    ----------
    factor, level, against : str
        The option, its value, and the value that it is compared with.
    where : str
        The other option's value, or "all" for the mean over its values.
    accuracy, macro_f1 : float
        How much higher they are; the mean over the repeats.
    standard_error : float
        Of the accuracy, from counting the validation images, as if each run had its own; another
        seed may move more.
    reported : float or None
        What system A reports of its accuracy.
    """

    factor: str
    level: str
    against: str
    where: str
    accuracy: float
    standard_error: float
    macro_f1: float
    reported: float | None = None

    @property
    def sign(self) -> str:
        """The sign of the accuracy's change: "+", "-" or "0"."""
        return "+" if self.accuracy > 0 else "-" if self.accuracy < 0 else "0"

    @property
    def clear(self) -> bool:
        """Whether the accuracy changes by more than two standard errors."""
        return abs(self.accuracy) > 2 * self.standard_error

    @property
    def name(self) -> str:
        """What is changed, and where."""
        other = FACTORS[1 - FACTORS.index(self.factor)]
        place = f"mean over {other}" if self.where == "all" else f"{other} {self.where}"
        return f"{self.factor} {self.against} -> {self.level}, {place}"


def effects_of(
    rows: Sequence[dict[str, Any]],
    normalizations: Sequence[str],
    augmentations: Sequence[str],
    *,
    real: bool = False,
) -> list[Effect]:
    """Return the effect of each value of the two options against the first one.

    Parameters
    ----------
    rows : sequence of dict
        Of the runs: model, normalize, augment, seed, accuracy, standard_error and macro_f1.
    normalizations, augmentations : sequence of str
        The first of each is what the others are compared with.
    real : bool
        Of real faces: then what system A reports of them stands beside.

    Returns
    -------
    list of Effect
        Of each value for each value of the other option, and the mean over these.
    """
    seeds = sorted({row["seed"] for row in rows})
    levels = {"normalize": normalizations, "augment": augmentations}
    effects = []
    for factor, other in (FACTORS, FACTORS[::-1]):
        base, *changed = levels[factor]
        for level in changed:
            parts = []
            for where in levels[other]:
                pairs = [
                    tuple(
                        _row(rows, {factor: value, other: where, "seed": seed})
                        for value in (level, base)
                    )
                    for seed in seeds
                ]
                reported = None
                if (base, where) == ("none", "none") and real:
                    reported = REPORTED.get((rows[0]["model"], factor, level))
                parts.append(_effect(factor, level, base, where, pairs, reported))
            effects += parts
            if len(parts) > 1:
                effects.append(_mean(parts))
    return effects


def _row(rows: Sequence[dict[str, Any]], values: dict[str, Any]) -> dict[str, Any]:
    return next(row for row in rows if all(row[name] == values[name] for name in values))


def _effect(
    factor: str,
    level: str,
    against: str,
    where: str,
    pairs: Sequence[tuple[dict[str, Any], ...]],
    reported: float | None,
) -> Effect:
    gains = {
        name: fmean(with_it[name] - without[name] for with_it, without in pairs)
        for name in ("accuracy", "macro_f1")
    }
    squares = sum(row["standard_error"] ** 2 for pair in pairs for row in pair)
    spread = squares**0.5 / len(pairs)
    return Effect(factor, level, against, where, standard_error=spread, reported=reported, **gains)


def _mean(parts: Sequence[Effect]) -> Effect:
    first = parts[0]
    return Effect(
        first.factor,
        first.level,
        first.against,
        "all",
        accuracy=fmean(part.accuracy for part in parts),
        standard_error=sum(part.standard_error**2 for part in parts) ** 0.5 / len(parts),
        macro_f1=fmean(part.macro_f1 for part in parts),
    )
