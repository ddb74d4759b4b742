"""Charts: where lines, bars and ticks lie, worked out by hand."""

from __future__ import annotations

import pytest

from minicnn.errors import OptionError
from minicnn.report.page.charts import (
    BOTTOM,
    COLORS,
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


def test_a_line_runs_from_corner_to_corner_of_the_plot():
    chart = line_chart([Series("one", [1, 2, 3], [0.0, 0.5, 1.0])], **TEXTS)
    (line,) = chart.lines
    left, right, low, high = LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM, TOP
    middle = ((left + right) / 2, (low + high) / 2)
    assert points(line.parts[0]) == [(left, low), middle, (right, high)]
    assert [text for _, text in chart.x_ticks] == ["1", "2", "3"]  # epochs have no halves
    assert chart.x_ticks[1][0] == middle[0]
    assert chart.y_ticks[-1] == (high, "1")
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


def test_many_points_have_no_markers_and_many_lines_differ():
    many = range(MOST_MARKS + 1)
    series = [Series(str(look), many, list(many), look=look) for look in range(2 * COLORS)]
    chart = line_chart([*series, Series("usual", many, list(many), yardstick=True)], **TEXTS)
    assert not any(line.marks for line in chart.lines)
    assert len({(line.color, line.marker) for line in chart.lines[:-1]}) == 2 * COLORS
    assert chart.lines[-1].color == GREY


def test_nothing_cannot_be_drawn():
    for series in ([], [Series("one", [1, 2], [None, None])]):
        with pytest.raises(OptionError, match="nothing to draw"):
            line_chart(series, **TEXTS)


def test_bars_stand_on_the_axis_in_their_places():
    texts = {**TEXTS, "text": "{:.0%}".format}
    chart = bar_chart([0.0, 1.0, 0.5, 0.0], ["a", "b", "c", "d"], **texts)
    full, half = chart.bars  # none where the height is 0
    width = (WIDTH - RIGHT - LEFT) / 4
    assert (full.title, half.title) == ("b", "c")
    assert full.x == pytest.approx(LEFT + width + 1)
    assert full.width == pytest.approx(width - 2)
    assert (full.y, full.y + full.height) == (TOP, HEIGHT - BOTTOM)
    assert half.height == pytest.approx(full.height / 2)
    assert half.y + half.height == HEIGHT - BOTTOM
    assert chart.diagonal
