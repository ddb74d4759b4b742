"""Confusions, mistakes, classes and calibration: what is chosen, and in which order."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest

from minicnn.data.face_dataset import CLASS_NAMES, FaceDataset
from minicnn.report.page.results import (
    CELL_FACES,
    REPORTED,
    Evaluated,
    calibration_of,
    classes_of,
    confusion_of,
    mistakes_of,
    reported_beside,
)
from minicnn.report.page.texts import NONE, class_row, reported_row
from minicnn.training.evaluation import scores_of
from minicnn.training.metrics import Scores

pytestmark = pytest.mark.host

image = pytest.importorskip("PIL.Image")

NAMES = ("Angry", "Happy", "Sad")


def level(face):
    """Return the grey level of a face, which names it."""
    data = base64.b64decode(face["uri"].split(",")[1])
    return int(np.asarray(image.open(io.BytesIO(data)))[0, 0])


def evaluated(labels, probabilities):
    """Return faces whose grey levels are their numbers."""
    count = len(labels)
    images = np.broadcast_to(np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1),
                             (count, 4, 4, 1)).copy()  # fmt: skip
    ids, usage = np.arange(count).astype(str), np.full(count, "test")
    faces = FaceDataset(images, np.array(labels), ids, usage, NAMES)
    return Evaluated(faces, np.array(probabilities, np.float32), "test", "somewhere")


@pytest.fixture
def seen():
    """Return six faces: two Happy ones taken for Sad, one Sad for Angry, three right."""
    return evaluated(
        [0, 1, 1, 1, 2, 2],
        [[.8, .1, .1], [.2, .3, .5], [.1, .2, .7], [.1, .8, .1], [.6, .1, .3], [.2, .3, .5]],
    )  # fmt: skip


def test_each_cell_has_its_count_its_share_and_its_surest_faces(seen):
    scores = scores_of(seen.probabilities, seen.labels)
    found = confusion_of(scores, NAMES, seen)
    cell = found["cells"][1][2]
    assert (cell["count"], cell["share"]) == (2, pytest.approx(2 / 3))
    assert [level(face) for face in cell["examples"]] == [2, 1]
    assert [face["id"] for face in cell["examples"]] == ["2", "1"]
    assert [face["confidence"] for face in cell["examples"]] == pytest.approx([0.7, 0.5])
    assert found["cells"][0][1]["examples"] == []
    assert found["support"] == [1, 3, 2]
    pairs = [(each["true"], each["predicted"]) for each in found["most"]]
    assert pairs == [(1, 2), (2, 0)]  # what is right is no confusion


def test_a_cell_shows_few_of_many_faces():
    labels = np.zeros(20, int)
    many = evaluated(labels, np.tile([0.2, 0.7, 0.1], (20, 1)))
    cells = confusion_of(scores_of(many.probabilities, many.labels), NAMES, many)["cells"]
    assert [level(face) for face in cells[0][1]["examples"]] == list(range(CELL_FACES))


def test_without_faces_there_are_the_numbers_alone():
    scores = Scores(np.array([[1, 2], [0, 0]]))
    cells = confusion_of(scores, NAMES[:2], None)["cells"]
    assert [cell["count"] for cell in cells[0]] == [1, 2]
    assert cells[1][1]["share"] == 0  # a class without faces divides by nothing
    assert not any(cell["examples"] for row in cells for cell in row)


def test_mistakes_are_of_each_class_in_turn_the_surest_first(seen):
    found = mistakes_of(seen, NAMES, 12)
    assert [(face["true"], face["predicted"]) for face in found["faces"]] == [
        *(("Happy", "Sad"), ("Sad", "Angry"), ("Happy", "Sad"))
    ]
    assert [level(face) for face in found["faces"]] == [2, 4, 1]
    assert (found["count"], found["all"]) == (3, 6)
    first = found["faces"][0]["scores"]
    assert [score.name for score in first] == list(NAMES)
    assert [score.value for score in first] == pytest.approx([0.1, 0.2, 0.7])
    assert [score.true for score in first] == [False, True, False]
    assert [score.predicted for score in first] == [False, False, True]
    assert len(mistakes_of(seen, NAMES, 2)["faces"]) == 2


def test_classes_have_their_precision_and_recall(seen):
    rows = classes_of(scores_of(seen.probabilities, seen.labels), NAMES)
    sad = rows[2]
    assert (sad["precision"], sad["recall"], sad["support"]) == (1 / 3, 0.5, 2)


def test_calibration_is_told_by_bars_and_numbers(seen):
    found = calibration_of(seen)
    assert found["accuracy"] == 0.5
    assert found["confidence"] == pytest.approx((0.8 + 0.5 + 0.7 + 0.8 + 0.6 + 0.5) / 6)
    assert sum(row["count"] for row in found["rows"]) == 6
    # Of the bins, those of 0.8 and of one half have something right in them.
    assert len(found["chart"].bars) == 2


def test_what_others_report_stands_beside_only_for_the_same_classes():
    confusion = np.eye(7, dtype=int) * 3
    confusion[1, 0] = 1
    rows = reported_beside(Scores(confusion), CLASS_NAMES)
    assert [(row["true"], row["predicted"]) for row in rows] == [pair[:2] for pair in REPORTED]
    assert rows[0]["here"] == 0.25
    assert reported_beside(Scores(np.eye(3)), NAMES) == []


def test_a_class_without_faces_has_no_scores():
    confusion = np.eye(7, dtype=int)
    confusion[1] = 0
    found = Scores(confusion)
    row = classes_of(found, CLASS_NAMES)[1]
    assert (row["name"], row["recall"], row["f1"], row["support"]) == ("Disgust", None, None, 0)
    assert class_row(row) == ("Disgust", "0.000", NONE, NONE, "0")
    beside = reported_beside(found, CLASS_NAMES)[0]
    assert (beside["true"], beside["here"]) == ("Disgust", None)
    assert reported_row(beside)[-1] == NONE
