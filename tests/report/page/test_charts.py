"""Charts: where lines, bars and ticks lie, worked out by hand."""

from __future__ import annotations

import pytest

from minicnn.errors import OptionError
from minicnn.report.page.charts import (
    BOTTOM,
    COLORS,
    FEW_MARKS,
    GREY,
    HEIGHT,
    LEFT,
    MOST_MARKS,
    RIGHT,
    TOP,
    WIDTH,
    Series,
    bar_chart,
    line_chart,
    tick_texts,
    ticks,
)

pytestmark = pytest.mark.host

TEXTS = {"title": "Loss", "x_label": "Epoch", "y_label": "loss"}


def points(part):
    return [tuple(map(float, each.split(","))) for each in part.split()]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (1, 8, [0, 2, 4, 6, 8]),
        (0.253, 0.56, [0.2, 0.3, 0.4, 0.5, 0.6]),
        (-3, 4, [-4, -2, 0, 2, 4]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round_and_reach_over_the_numbers(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("places", "percent", "expected"),
    [
        ([1, 1.5, 2], False, ["1.0", "1.5", "2.0"]),
        ([0, 5, 10], False, ["0", "5", "10"]),
        ([0.12, 0.125, 0.13], True, ["12.0%", "12.5%", "13.0%"]),
        ([0.2, 0.4], True, ["20%", "40%"]),
        ([0, 1e-7], False, ["0", "1e-07"]),
        ([0, 2e9], False, ["0", "2e+09"]),
    ],
)
def test_ticks_have_as_many_decimals_as_tell_them_apart(places, percent, expected):
    assert tick_texts(places, percent=percent) == expected


def test_shares_are_told_in_percent():
    chart = line_chart([Series("one", [1, 2], [0.123, 0.456])], y_percent=True, **TEXTS)
    assert chart.lines[0].marks[0][2] == "one, epoch 1: 12.3%"
    assert "one from 12.3% to 45.6%" in chart.told
    assert chart.y_ticks[0][1] == "10%"


def test_a_line_runs_from_corner_to_corner_of_the_plot():
    chart = line_chart([Series("one", [1, 2, 3], [0.0, 0.5, 1.0])], **TEXTS)
    (line,) = chart.lines
    left, right, low, high = LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM, TOP
    middle = ((left + right) / 2, (low + high) / 2)
    assert points(line.parts[0]) == [(left, low), middle, (right, high)]
    assert [text for _, text in chart.x_ticks] == ["1", "2", "3"]  # epochs have no halves
    assert chart.x_ticks[1][0] == middle[0]
    assert chart.y_ticks[-1] == (high, "1.0")
    assert line.marks[2][2] == "one, epoch 3: 1"
    assert "one from 0 to 1" in chart.told


def test_where_there_is_no_value_the_line_has_a_gap():
    values = [1.0, 2.0, None, 3.0, 4.0, float("nan"), 1.0]
    (line,) = line_chart([Series("one", range(7), values)], **TEXTS).lines
    assert [len(points(part)) for part in line.parts] == [2, 2]
    assert len(line.marks) == 5  # also a point by itself, which no line reaches


def test_single_numbers_stand_in_the_middle():
    chart = line_chart([Series("one", [1], [0.5])], **TEXTS)
    assert chart.lines[0].marks[0][:2] == ((LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2)


def test_of_many_points_a_few_are_marked_and_many_lines_differ():
    many = range(MOST_MARKS + 1)
    series = [Series(str(look), many, list(many), look=look) for look in range(2 * COLORS)]
    chart = line_chart([*series, Series("usual", many, list(many), yardstick=True)], **TEXTS)
    for line in chart.lines:
        assert FEW_MARKS <= len(line.marks) <= FEW_MARKS + 2
    assert chart.lines[0].marks[0][:2] != chart.lines[-1].marks[0][:2]
    assert len(line_chart([Series("few", many[1:], list(many[1:]))], **TEXTS).lines[0].marks) == 40
    assert len({(line.color, line.marker) for line in chart.lines[:-1]}) == 2 * COLORS
    assert chart.lines[-1].color == GREY


def test_nothing_cannot_be_drawn():
    for series in ([], [Series("one", [1, 2], [None, None])]):
        with pytest.raises(OptionError, match="nothing to draw"):
            line_chart(series, **TEXTS)


def test_bars_stand_on_the_axis_in_their_places():
    chart = bar_chart([0.0, 1.0, 0.5, 0.0], ["a", "b", "c", "d"], **TEXTS)
    full, half = chart.bars  # none where the height is 0
    width = (WIDTH - RIGHT - LEFT) / 4
    assert (full.title, half.title) == ("b", "c")
    assert full.x == pytest.approx(LEFT + width + 1)
    assert full.width == pytest.approx(width - 2)
    assert (full.y, full.y + full.height) == (TOP, HEIGHT - BOTTOM)
    assert half.height == pytest.approx(full.height / 2)
    assert half.y + half.height == HEIGHT - BOTTOM
    assert chart.diagonal
