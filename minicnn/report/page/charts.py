"""Where the lines, bars, ticks and labels of a chart lie; the templates draw them as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from minicnn.errors import OptionError

__all__ = ["Bar", "Chart", "Line", "Series", "bar_chart", "line_chart", "tick_texts", "ticks"]

WIDTH, HEIGHT = 360, 250
LEFT, RIGHT, TOP, BOTTOM = 50, 10, 12, 38  # what is left free around the plot, for the labels
MOST_MARKS = 40  # with more points, markers would hide the line:
FEW_MARKS = 6  # then there are about so many, which tell the lines apart without their colours
COLORS, MARKERS = 7, 6  # that can be told apart; after them, other combinations come
MOST_DECIMALS, HUGE = 4, 100_000  # else ticks are written with an exponent, as they are wide
GREY = 7  # the colour of what the others are compared with


class Series(NamedTuple):
    """What a line shows.

    Attributes
    ----------
    name : str
    x : sequence of float
    y : sequence of float or None
        None where there is no value: the line has a gap.
    look : int
        Which colour and marker.
    dashed, faint, yardstick : bool
        A yardstick is what the others are compared with.
    listed : bool
        In the legend.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    look: int = 0
    dashed: bool = False
    faint: bool = False
    yardstick: bool = False
    listed: bool = True


class Line(NamedTuple):
    """A series as it is drawn, in the units of the drawing."""

    name: str
    parts: list[str]  # the points of each part without a gap
    marks: list[tuple[float, float, str]]  # with what is told of them
    color: int
    marker: int
    dashed: bool
    faint: bool
    listed: bool
    told: str  # where it begins and ends


class Bar(NamedTuple):
    """A rectangle as it is drawn, and what is told of it."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True)
class Chart:
    """All that a chart consists of, in the units of the drawing.

    Attributes
    ----------
    title, x_label, y_label : str
    box : (left, top, right, bottom)
        Of the plot.
    x_ticks, y_ticks : list of (place, text)
    lines : list of Line
    bars : list of Bar
    mark : (place, text) or None
        A vertical line.
    diagonal : bool
        From the lower left to the upper right corner.
    """

    title: str
    x_label: str
    y_label: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    lines: list[Line] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    mark: tuple[float, str] | None = None
    diagonal: bool = False
    width: int = WIDTH
    height: int = HEIGHT
    box: tuple[int, int, int, int] = (LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM)

    @property
    def told(self) -> str:
        """The chart in words, for those who do not see it."""
        ends = [line.told for line in self.lines if not line.faint]
        return f"{self.title}. {'; '.join([*ends, *(bar.title for bar in self.bars)])}."


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str,
    y_label: str,
    x_percent: bool = False,
    y_percent: bool = False,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    mark: tuple[float, str] | None = None,
) -> Chart:
    """Lay out lines.

    Parameters
    ----------
    series : sequence of Series
        One or more, with a number in one of them.
    title, x_label, y_label : str
    x_percent, y_percent : bool
        The numbers are shares.
    x_range, y_range : (float, float), optional
        Of the axes; by default those of the numbers.
    mark : (float, str), optional
        A place on the horizontal axis to be marked, and why.

    Returns
    -------
    Chart

    Raises
    ------
    OptionError
        There is no number.
    """
    known = [
        (x, y)
        for each in series
        for x, y in zip(each.x, each.y, strict=True)
        if y is not None and math.isfinite(y)
    ]
    if not known:
        raise OptionError(f"chart {title!r}: there is nothing to draw")
    x_low, x_high = x_range or (min(x for x, _ in known), max(x for x, _ in known))
    y_low, y_high = y_range or (min(y for _, y in known), max(y for _, y in known))
    y_ticks = ticks(y_low, y_high)
    if y_range is None:
        y_low, y_high = min(y_low, y_ticks[0]), max(y_high, y_ticks[-1])
    whole = all(float(x).is_integer() for each in series for x in each.x)
    x_ticks = [x for x in ticks(x_low, x_high) if not whole or float(x).is_integer()]
    across = _scale(x_low, x_high, LEFT, WIDTH - RIGHT)
    up = _scale(y_low, y_high, HEIGHT - BOTTOM, TOP)

    def where(x: float) -> str:
        return f"{x_label.lower()} {f'{x:.0%}' if x_percent else f'{x:g}'}"

    def value(y: float) -> str:
        return f"{y:.1%}" if y_percent else f"{y:.3g}"

    lines = [
        _line(each, number / len(series), lambda x, y: (across(x), up(y)), where, value)
        for number, each in enumerate(series)
    ]
    return Chart(
        title,
        x_label,
        y_label,
        _placed([x for x in x_ticks if x_low <= x <= x_high], across, percent=x_percent),
        _placed([y for y in y_ticks if y_low <= y <= y_high], up, percent=y_percent),
        lines=lines,
        mark=None if mark is None else (across(mark[0]), mark[1]),
    )


def _line(
    series: Series,
    turn: float,
    place: Callable[[float, float], tuple[float, float]],
    where: Callable[[float], str],
    value: Callable[[float], str],
) -> Line:
    parts: list[list[str]] = [[]]  # a new one after each gap
    marks, values = [], []
    for x, y in zip(series.x, series.y, strict=True):
        if y is None or not math.isfinite(y):
            parts.append([])
            continue
        across, up = place(x, y)
        parts[-1].append(f"{across:g},{up:g}")
        values.append(value(y))
        marks.append((across, up, f"{series.name}, {where(x)}: {values[-1]}"))
    # Of many points only some are marked, in each line others, so that no mark hides another.
    every = 1 if len(marks) <= MOST_MARKS else len(marks) // FEW_MARKS
    return Line(
        series.name,
        [" ".join(part) for part in parts if len(part) > 1],
        [] if series.faint else marks[int(turn * every) :: every],
        GREY if series.yardstick else series.look % COLORS,
        (series.look + series.look // COLORS) % MARKERS,
        series.dashed,
        series.faint,
        series.listed,
        series.name + (f" from {values[0]} to {values[-1]}" if values else ": nothing"),
    )


def bar_chart(
    heights: Sequence[float],
    titles: Sequence[str],
    *,
    title: str,
    x_label: str,
    y_label: str,
) -> Chart:
    """Lay out bars side by side in a square from 0 to 1, with its diagonal.

    Parameters
    ----------
    heights : sequence of float
        Of 0 to 1; of no bar where it is 0.
    titles : sequence of str
        What is told of each.
    title, x_label, y_label : str
    """
    across, up = _scale(0, 1, LEFT, WIDTH - RIGHT), _scale(0, 1, HEIGHT - BOTTOM, TOP)
    count = len(heights)
    bars = [
        Bar(
            across(place / count) + 1,
            up(height),
            (WIDTH - RIGHT - LEFT) / count - 2,
            up(0) - up(height),
            told,
        )
        for place, (height, told) in enumerate(zip(heights, titles, strict=True))
        if height > 0
    ]
    places = [0.0, 0.25, 0.5, 0.75, 1.0]
    return Chart(
        title,
        x_label,
        y_label,
        _placed(places, across, percent=True),
        _placed(places, up, percent=True),
        bars=bars,
        diagonal=True,
    )


def ticks(low: float, high: float) -> list[float]:
    """Return about five round numbers that reach from about `low` to about `high`."""
    if not high > low:
        return [low]
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in (1, 2, 2.5, 5, 10) if power * each >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def tick_texts(places: Sequence[float], *, percent: bool = False) -> list[str]:
    """Return ticks as texts with as many decimals as the finest of them needs."""
    values = [100 * place if percent else place for place in places]
    unit = "%" if percent else ""
    for digits in range(MOST_DECIMALS + 1):
        if all(abs(round(value, digits) - value) <= 1e-9 * abs(value) for value in values):
            if max(map(abs, values), default=0) < HUGE:
                return [f"{value:.{digits}f}{unit}" for value in values]
    return [f"{value:g}{unit}" for value in values]


def _placed(
    places: Sequence[float], scale: Callable[[float], float], *, percent: bool
) -> list[tuple[float, str]]:
    texts = tick_texts(places, percent=percent)
    return [(scale(place), text) for place, text in zip(places, texts, strict=True)]


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    # A single number stands in the middle.
    if high == low:
        return lambda value: (start + end) / 2
    return lambda value: round(start + (value - low) / (high - low) * (end - start), 2)
