"""What a page says at its top: sentences whose numbers are known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from minicnn import zoo
from minicnn.inspect import summary
from minicnn.report.page.findings import facts_of, findings_of
from minicnn.report.page.results import confusion_of
from minicnn.training.metrics import Scores

pytestmark = pytest.mark.host

NAMES = ("Angry", "Happy")
SCORES = Scores(np.array([[30, 10], [0, 60]]), 0.5)
NOTHING = dict.fromkeys(("confusion", "calibration", "explained", "data", "comparison"))


def said(scores=None, **sections):
    return findings_of(scores, NAMES, **{**NOTHING, **sections})


def test_of_nothing_nothing_is_said():
    assert said() == []
    empty = Scores(np.zeros((2, 2), int))
    assert said(empty, confusion=confusion_of(empty, NAMES, None)) == []


def test_accuracy_stands_beside_that_of_always_the_same_answer():
    texts = said(SCORES, confusion=confusion_of(SCORES, NAMES, None))
    assert {id for id, _ in texts} == {"confusions"}
    first, second, third = (text for _, text in texts)
    assert "90.0% of 100 faces" in first
    assert "always answering Happy would be right on 60.0%" in first
    assert second == "Happy is recognised best (100% of its faces), Angry worst (75%)."
    assert third == "Most often it takes Angry for Happy (25%)."


def test_no_class_is_the_best_where_all_are_alike():
    alike = Scores(np.array([[3, 3], [5, 5]]), 0.5)
    texts = said(alike, confusion=confusion_of(alike, NAMES, None))
    assert len(texts) == 2
    assert not any("recognised best" in text for _, text in texts)


@pytest.mark.parametrize(
    ("count", "start"),
    [(1, "1 face of public test can be found"), (1234, "1,234 faces of public test can be found")],
)
def test_faces_that_are_in_two_splits_are_counted(count, start):
    leaks = [
        {"count": count, "split": "public_test", "other": "train"},
        {"count": 0, "split": "private_test", "other": "train"},
    ]
    data = {"audit": SimpleNamespace(conflicting_groups=()), "leaks": leaks}
    ((where, text),) = said(data=data)
    assert where == "data"
    assert text == f"{start} in train as well."
    ((_, text),) = said(data=data, source="faces.csv")
    assert text == f"In faces.csv, {start} in train as well."


@pytest.mark.parametrize(
    ("confidence", "word"), [(0.9, "is above"), (0.79, "fits"), (0.6, "is below")]
)
def test_confidence_is_compared_with_accuracy(confidence, word):
    ((where, text),) = said(
        calibration={"confidence": confidence, "accuracy": 0.78, "error": 0.1234}
    )
    assert where == "calibration"
    assert text.startswith(f"Its confidence {word} its accuracy: {confidence:.0%} in the mean")
    assert "0.123" in text


@pytest.mark.parametrize("of_random", [0.05, None])
def test_the_random_order_is_never_named_as_the_best_method(of_random):
    methods = {
        "SmoothGrad": {"central_mass": 0.7, "deletion_area": 0.3},
        "Occlusion": {"central_mass": 0.5, "deletion_area": 0.1},
    }
    if of_random is not None:
        methods["Random order"] = {"central_mass": 0.4, "deletion_area": of_random}
    found = said(explained={"methods": methods, "uniform": 0.44, "faces_of": "3 faces"})
    assert all("Random order finds" not in text for _, text in found)
    assert any("Occlusion finds best" in text for _, text in found) == (of_random is not None)


def test_saliency_in_the_middle_stands_beside_a_uniform_map():
    methods = {
        "SmoothGrad": {"central_mass": 0.7, "deletion_area": 0.3},
        "Occlusion": {"central_mass": 0.5, "deletion_area": 0.1},
        "Random order": {"central_mass": 0.44, "deletion_area": 0.4},
    }
    explained = {"methods": methods, "uniform": 0.44, "faces_of": "3 faces of train, a.csv"}
    (_, mass), (_, best) = said(explained=explained)
    assert "70% of the saliency" in mass
    assert "are, over 3 faces of train, a.csv; a uniform map would have 44%" in mass
    assert best.startswith("By deletion, Occlusion finds best which pixels matter")
    assert "0.10, in a random order 0.40" in best
    for each in methods.values():
        each["deletion_area"] = None
    assert len(said(explained=explained)) == 1  # a quick look has no curves


def test_facts_are_short():
    facts = facts_of(SCORES, summary(zoo.build("small_cnn")), None, 4000)
    told = {fact.name: fact.value for fact in facts}
    assert told == {
        "accuracy": "90.0%", "macro F1": "0.890", "cross-entropy": "0.500", "parameters": "797 k",
        "operations": "259 M", "training": "67 min",
    }  # fmt: skip
    assert facts[0].note == "± 3.0%"
    assert SCORES.standard_error == pytest.approx((0.9 * 0.1 / 100) ** 0.5)
