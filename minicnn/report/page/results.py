"""What a network recognises, as a page shows it: confusions, mistakes, each class, calibration."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minicnn.data.face_dataset import CLASS_NAMES, FaceDataset
from minicnn.report.page.charts import bar_chart
from minicnn.report.page.pictures import face_uri
from minicnn.training.calibration import calibration
from minicnn.training.metrics import Scores

__all__ = [
    "REPORTED",
    "Evaluated",
    "calibration_of",
    "classes_of",
    "confusion_of",
    "mistakes_of",
    "reported_beside",
]

CELL_FACES = 4
MOST_CONFUSIONS = 6

# What reports of networks for FER-2013 say of their confusions: true, predicted, share of the true
# class, where one is told.
REPORTED = (
    ("Disgust", "Angry", 0.25),
    ("Fear", "Angry", 0.21),
    ("Sad", "Neutral", 0.17),
    ("Neutral", "Sad", 0.14),
    ("Fear", "Sad", None),
)


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Faces with labels, and what a network says of them.

    Attributes
    ----------
    faces : FaceDataset
        Of one split, each with a label.
    probabilities : float array of shape (N, K)
    split, source : str
        Which faces they are, and where they are from.
    """

    faces: FaceDataset
    probabilities: np.ndarray
    split: str
    source: str

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """The true classes, of shape (N,)."""
        return self.faces.require_labels()

    @functools.cached_property
    def predicted(self) -> np.ndarray:
        """The classes with the highest probability, of shape (N,)."""
        return self.probabilities.argmax(axis=1)

    @functools.cached_property
    def confidence(self) -> np.ndarray:
        """Their probabilities, of shape (N,)."""
        return self.probabilities.max(axis=1)


class Score(NamedTuple):
    """The probability of a class, for a bar."""

    name: str
    value: float
    predicted: bool
    true: bool


def scores_of_face(
    probabilities: np.ndarray, names: Sequence[str], true: int | None
) -> list[Score]:
    """Return every class's score for one face."""
    best = int(probabilities.argmax())
    return [
        Score(name, float(value), place == best, place == true)
        for place, (name, value) in enumerate(zip(names, probabilities, strict=True))
    ]


def confusion_of(
    scores: Scores, names: Sequence[str], evaluated: Evaluated | None
) -> dict[str, Any]:
    """Return the cells of a confusion matrix, with examples where there are faces."""
    matrix, support = scores.confusion, np.maximum(scores.support, 1)
    cells: list[list[dict[str, Any]]] = [
        [
            {
                "true": true,
                "predicted": predicted,
                "count": int(matrix[true, predicted]),
                "share": float(matrix[true, predicted] / support[true]),
                "examples": [] if evaluated is None else _examples(evaluated, true, predicted),
            }
            for predicted in range(len(names))
        ]
        for true in range(len(names))
    ]
    wrong = [cell for row in cells for cell in row if cell["true"] != cell["predicted"]]
    wrong = sorted((cell for cell in wrong if cell["count"]), key=lambda cell: -cell["share"])
    return {
        "names": list(names),
        "support": scores.support.tolist(),
        "cells": cells,
        "most": wrong[:MOST_CONFUSIONS],
    }


def _examples(evaluated: Evaluated, true: int, predicted: int) -> list[dict[str, Any]]:
    # The faces of which the network is surest.
    here = np.flatnonzero((evaluated.labels == true) & (evaluated.predicted == predicted))
    here = here[np.argsort(-evaluated.confidence[here], kind="stable")]
    return [
        {
            "uri": face_uri(evaluated.faces.images[row]),
            "id": str(evaluated.faces.ids[row]),
            "confidence": float(evaluated.confidence[row]),
        }
        for row in here[:CELL_FACES]
    ]


def mistakes_of(evaluated: Evaluated, names: Sequence[str], count: int) -> dict[str, Any]:
    """Return the surest mistakes, of each true class in turn, with every class's score."""
    wrong = np.flatnonzero(evaluated.predicted != evaluated.labels)
    wrong = wrong[np.argsort(-evaluated.confidence[wrong], kind="stable")]
    turn = np.empty(len(wrong), np.int64)
    for label in range(len(names)):
        mine = evaluated.labels[wrong] == label
        turn[mine] = np.arange(mine.sum())
    chosen = wrong[np.argsort(turn, kind="stable")][:count]
    faces = [
        {
            "uri": face_uri(evaluated.faces.images[row]),
            "id": str(evaluated.faces.ids[row]),
            "true": names[evaluated.labels[row]],
            "predicted": names[evaluated.predicted[row]],
            "scores": scores_of_face(
                evaluated.probabilities[row], names, int(evaluated.labels[row])
            ),
        }
        for row in chosen
    ]
    return {"faces": faces, "count": len(wrong), "all": len(evaluated.faces)}


def classes_of(scores: Scores, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of the table of classes; without faces a class has no recall and no F1."""
    columns = zip(names, scores.precision, scores.recall, scores.f1, scores.support, strict=True)
    return [
        {
            "name": name,
            "precision": float(precision),
            "recall": float(recall) if support else None,
            "f1": float(f1) if support else None,
            "support": int(support),
        }
        for name, precision, recall, f1, support in columns
    ]


def calibration_of(evaluated: Evaluated) -> dict[str, Any]:
    """Return the reliability diagram and its numbers."""
    found = calibration(evaluated.probabilities, evaluated.labels)
    bins = len(found.count)
    rows = [
        {
            "low": place / bins,
            "high": (place + 1) / bins,
            "count": int(found.count[place]),
            "confidence": float(found.confidence[place]),
            "accuracy": float(found.accuracy[place]),
        }
        for place in range(bins)
    ]
    chart = bar_chart(
        found.accuracy.tolist(),
        [
            f"confidence {row['low']:.0%} to {row['high']:.0%}: {row['count']:,} faces, "
            f"{row['accuracy']:.0%} of them right"
            for row in rows
        ],
        title="Accuracy by confidence",
        x_label="Probability of the predicted class",
        y_label="Share that is right",
    )
    confidence, accuracy = (
        float(evaluated.confidence.mean()),
        float((evaluated.predicted == evaluated.labels).mean()),
    )
    return {
        "chart": chart,
        "rows": [row for row in rows if row["count"]],
        "error": found.error,
        "confidence": confidence,
        "accuracy": accuracy,
    }


def reported_beside(scores: Scores, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return confusions that others report of FER-2013, beside this network's."""
    if tuple(names) != CLASS_NAMES:
        return []
    share = scores.confusion / np.maximum(scores.support, 1)[:, None]
    place = {name: number for number, name in enumerate(names)}
    return [
        {"true": true, "predicted": wrong, "reported": value,
         "here": float(share[place[true], place[wrong]]) if scores.support[place[true]] else None}
        for true, wrong, value in REPORTED
    ]  # fmt: skip
