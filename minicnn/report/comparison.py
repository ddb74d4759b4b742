"""Figures that compare runs: their curves in one picture, and the effects of what differs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from minicnn.errors import OptionError, ShapeError
from minicnn.report.figures import COLORS, new_figure, require_matplotlib, save_figure
from minicnn.training.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Curves", "plot_curves", "plot_effects"]

MARKERS = "osD^vP"  # one less than colours: with more runs, colours come again in other markers


class Curves(NamedTuple):
    """What is drawn of a run: its name, its history, and its best epoch."""

    label: str
    history: History
    best_epoch: int


def plot_curves(runs: Sequence[Curves], path: str | os.PathLike[str], *, title: str) -> None:
    """Draw accuracy and loss of several runs over their epochs as a PNG file.

    Training is dashed, validation solid; a ring marks each run's best epoch.

    Parameters
    ----------
    runs : sequence of Curves
        One or more, each with an epoch or more.
    path : str or os.PathLike
        The file to make or to replace.
    title : str

    Raises
    ------
    OptionError
        There is nothing to draw, or matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    if not runs or not all(len(run.history) for run in runs):
        raise OptionError("plot_curves: expected runs, each with one epoch or more")
    figure = new_figure(11, 4.6 + 0.22 * max(0, len(runs) - 2))
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)
    for axes, quantity in ((left, "accuracy"), (right, "loss")):
        for number, run in enumerate(runs):
            _draw_run(axes, run, quantity, number)
        axes.set(title=quantity.capitalize(), xlabel="Epoch", ylabel=quantity.capitalize())
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(color="0.9")
        axes.set_axisbelow(True)
    left.yaxis.set_major_formatter(PercentFormatter(1.0))
    right.set_ylabel("Cross-entropy")
    handles = [
        Line2D([], [], color=_color(number), marker=_marker(number), label=run.label)
        for number, run in enumerate(runs)
    ]
    handles += [
        Line2D([], [], color="0.3", linestyle="--", label="training"),
        Line2D([], [], color="0.3", linestyle="-", label="validation"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=9)
    save_figure(figure, path)


def _draw_run(axes: Axes, run: Curves, quantity: str, number: int) -> None:
    epochs = run.history.column("epoch")
    for part, style in (("train", "--"), ("validation", "-")):
        column = run.history.column(f"{part}_{quantity}")
        values = [np.nan if value is None else value for value in column]
        axes.plot(
            epochs, values, style, color=_color(number), marker=_marker(number), markersize=3.5
        )
        if part == "validation" and 1 <= run.best_epoch <= len(values):
            place = (run.best_epoch, values[run.best_epoch - 1])
            axes.plot(*place, "o", markersize=10, markerfacecolor="none", color=_color(number))


def _color(number: int) -> str:
    return COLORS[number % len(COLORS)]


def _marker(number: int) -> str:
    return MARKERS[number % len(MARKERS)]


def plot_effects(
    names: Sequence[str],
    effects: Sequence[float],
    standard_errors: Sequence[float],
    path: str | os.PathLike[str],
    *,
    reported: Sequence[float | None] | None = None,
    title: str,
) -> None:
    """Draw effects on an accuracy as points with two standard errors to each side, as PNG.

    Parameters
    ----------
    names : sequence of str
    effects, standard_errors : sequence of float, of the same length
        Differences of accuracies.
    path : str or os.PathLike
        The file to make or to replace.
    reported : sequence of float or None, of the same length, optional
        Drawn beside as hollow diamonds.
    title : str

    Raises
    ------
    ShapeError
        The sequences are empty or differ in length.
    OptionError
        Matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.ticker import FuncFormatter

    told = [None] * len(names) if reported is None else list(reported)
    if not names or {len(effects), len(standard_errors), len(told)} != {len(names)}:
        raise ShapeError(
            f"plot_effects: expected as many numbers as names, one or more, got {len(names)} "
            f"names, {len(effects)} effects and {len(standard_errors)} standard errors"
        )
    figure = new_figure(9, 2 + 0.45 * len(names))
    axes = figure.subplots()
    places = np.arange(len(names))
    axes.axvline(0, color="0.45", linewidth=1)
    axes.errorbar(
        effects, places, xerr=2 * np.asarray(standard_errors), fmt="o", color=COLORS[0],
        capsize=3, label="measured, with two standard errors",
    )  # fmt: skip
    known = [(value, place) for value, place in zip(told, places, strict=True) if value is not None]
    if known:
        axes.plot(*zip(*known, strict=True), "D", markerfacecolor="none", color=COLORS[1],
                  markersize=8, label="reported")  # fmt: skip
    axes.set_yticks(places, names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set(title=title, xlabel="Change of the accuracy, in percentage points")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:+.3g}"))
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    save_figure(figure, path)
