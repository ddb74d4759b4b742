"""What a page says at its top: the facts in numbers, and in sentences what is to be seen below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minicnn.inspect.table import Summary
from minicnn.report.explained import RANDOM
from minicnn.report.page.texts import duration, words
from minicnn.training.metrics import Scores

__all__ = ["Fact", "facts_of", "findings_of"]

ALMOST = 0.03  # a smaller gap between confidence and accuracy is none


class Fact(NamedTuple):
    """A number, what it is, and what has to be known of it."""

    name: str
    value: str
    note: str = ""


def facts_of(
    scores: Scores | None, summary: Summary, calibration: dict[str, Any] | None, seconds: float
) -> list[Fact]:
    """Return the numbers that come first."""
    facts = []
    if scores is not None:
        facts += [
            Fact("accuracy", f"{scores.accuracy:.1%}", f"± {scores.standard_error:.1%}"),
            Fact("macro F1", f"{scores.macro_f1:.3f}"),
        ]
        if scores.loss is not None:
            facts.append(Fact("cross-entropy", f"{scores.loss:.3f}"))
    if calibration is not None:
        facts.append(Fact("calibration error", f"{calibration['error']:.3f}"))
    return [
        *facts,
        Fact("parameters", _millions(summary.parameters), f"{summary.trainable:,} learned"),
        Fact("operations", _millions(summary.cost.flops), "for one face"),
        Fact("training", duration(seconds)),
    ]


def _millions(count: int) -> str:
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def findings_of(
    scores: Scores | None,
    names: Sequence[str],
    *,
    confusion: dict[str, Any] | None,
    calibration: dict[str, Any] | None,
    explained: dict[str, Any] | None,
    data: dict[str, Any] | None,
    comparison: dict[str, Any] | None,
    source: str = "",
) -> list[tuple[str, str]]:
    """Return sentences, each with the section that shows more; None where there is none.

    `source` is what the faces are called.
    """
    found = []
    if scores is not None and confusion is not None:
        found += [("confusions", each) for each in _recognised(scores, names, confusion)]
    if explained is not None:
        found += [("explanations", each) for each in _explained(explained)]
    if calibration is not None:
        found.append(("calibration", _calibrated(calibration)))
    if comparison is not None:
        found.append(("comparison", comparison["sentence"]))
    if data is not None:
        found += [("data", each) for each in _of_data(data, source)]
    return found


def _recognised(scores: Scores, names: Sequence[str], confusion: dict[str, Any]) -> list[str]:
    there = np.flatnonzero(scores.support)
    if not there.size:
        return []
    recall = scores.recall
    best, worst = (there[pick(recall[there])] for pick in (np.argmax, np.argmin))
    most = int(scores.support.argmax())
    told = [
        f"{scores.accuracy:.1%} of {scores.count:,} faces are recognised; always answering "
        f"{names[most]} would be right on {scores.support[most] / scores.count:.1%}.",
    ]
    if recall[best] > recall[worst]:
        told.append(
            f"{names[best]} is recognised best ({recall[best]:.0%} of its faces), {names[worst]} "
            f"worst ({recall[worst]:.0%})."
        )
    pairs = [
        f"{names[cell['true']]} for {names[cell['predicted']]} ({cell['share']:.0%})"
        for cell in confusion["most"][:3]
    ]
    return [*told, f"Most often it takes {', '.join(pairs)}."] if pairs else told


def _explained(explained: dict[str, Any]) -> list[str]:
    methods, uniform = explained["methods"], explained["uniform"]
    share = methods["SmoothGrad"]["central_mass"]
    told = []
    if share is not None:
        told.append(
            f"{share:.0%} of the saliency (SmoothGrad) lies in the middle of the picture, where "
            f"brows, eyes, nose and mouth are, over {explained['faces_of']}; a uniform map would "
            f"have {uniform:.0%} there."
        )
    areas = {
        name: each["deletion_area"]
        for name, each in methods.items()
        if each["deletion_area"] is not None
    }
    random = areas.pop(RANDOM, None)  # the yardstick, no method
    if areas and random is not None:
        best = min(areas, key=lambda name: areas[name])
        told.append(
            f"By deletion, {best} finds best which pixels matter: while they are taken away, "
            f"the mean probability is {areas[best]:.2f}, in a random order "
            f"{random:.2f}."
        )
    return told


def _calibrated(calibration: dict[str, Any]) -> str:
    gap = calibration["confidence"] - calibration["accuracy"]
    how = "fits" if abs(gap) < ALMOST else "is above" if gap > 0 else "is below"
    return (
        f"Its confidence {how} its accuracy: {calibration['confidence']:.0%} in the mean, and "
        f"{calibration['accuracy']:.0%} are right (expected calibration error "
        f"{calibration['error']:.3f})."
    )


def _of_data(data: dict[str, Any], source: str) -> list[str]:
    audit = data["audit"]
    told = [
        f"{leak['count']:,} {'face' if leak['count'] == 1 else 'faces'} of "
        f"{words(leak['split'])} can be found in {words(leak['other'])} as well."
        for leak in data["leaks"]
        if leak["count"]
    ]
    if audit.conflicting_groups:
        count = len(audit.conflicting_groups)
        told.append(f"{count:,} picture{'s have' if count > 1 else ' has'} two labels or more.")
    return [f"In {source}, {each}" for each in told] if source else told
