"""How numbers are written."""

from __future__ import annotations

import pytest

from minicnn.report.page import texts

pytestmark = pytest.mark.host

MINUS = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (99.4, "99 s"), (100, "2 min"), (7100, "118 min"), (7300, "2 h 2 min")],
)
def test_times_are_written_as_people_say_them(seconds, text):
    assert texts.duration(seconds) == text


def test_numbers_are_written_with_true_signs_and_dashes_for_none():
    assert texts.count(28709) == "28,709"
    assert texts.percent(0.1234) == "12%"
    assert texts.percent(0.1234, 1) == "12.3%"
    assert texts.points(-0.0123) == f"{MINUS}1.2"
    assert texts.points(0.0123) == "+1.2"
    assert texts.points(-0.0004) == "0.0"
    assert texts.decimal(-1.5) == f"{MINUS}1.500"
    assert texts.decimal(None) == "\N{EN DASH}"
    assert texts.short(0.000123456) == "0.000123"
    assert [texts.short(value) for value in (24, 2.5, 123)] == ["24.0", "2.50", "123"]


def test_an_epoch_without_validation_has_dashes():
    row = dict.fromkeys(
        ("epoch", "train_loss", "train_accuracy", "learning_rate", "seconds"), 1.0
    ) | {"validation_loss": None, "validation_accuracy": None}
    assert texts.epoch_row(row)[3:5] == ("\N{EN DASH}", "\N{EN DASH}")
