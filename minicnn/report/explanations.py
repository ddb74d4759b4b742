"""Figures of explanations: maps of importance beside faces, masked pictures, and curves."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from minicnn.errors import OptionError, ShapeError
from minicnn.explain.inputs import flat_maps
from minicnn.report.explained import CURVE_TEXTS, RANDOM
from minicnn.report.figures import COLORS, new_figure, require_matplotlib, save_figure
from minicnn.report.panels import color_bar, draw_face, draw_map, draw_scores, require_shape

if TYPE_CHECKING:
    from minicnn.explain.curves import ScoreCurve

__all__ = ["plot_explanations", "plot_masked", "plot_score_curves"]

STYLES = ("-", "--", "-.", (0, (5, 1, 1, 1, 1, 1)))  # for grey print


def plot_explanations(
    faces: Any,
    maps: Mapping[str, Any],
    probabilities: Any,
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    labels: Any = None,
    title: str = "What the network looks at",
) -> None:
    """Draw a grid as PNG: a face in each row, beside it a map by each method and all scores.

    Parameters
    ----------
    faces : array of shape (N, H, W, C)
        As people look at them: grey levels or colours of 0 to 255.
    maps : mapping of str to array of shape (N, H, W) or (N, H, W, C)
        By the method's name; channels are added up. Those with a negative number are drawn with a
        sign, each map by its own scale.
    probabilities : array of shape (N, K)
    class_names : sequence of str, of length K
    path : str or os.PathLike
        The file to make or to replace.
    labels : int array of shape (N,), optional
        The true classes.
    title : str

    Raises
    ------
    ShapeError
        Faces, maps, scores and names do not fit together.
    OptionError
        There is no map, or matplotlib is not installed.
    """
    require_matplotlib()
    name = "plot_explanations"
    faces = require_shape(name, "faces", faces, (None,) * 4)
    n = len(faces)
    probabilities = require_shape(name, "scores", probabilities, (n, len(class_names)))
    if labels is not None:
        labels = require_shape(name, "labels", labels, (n,))
    if not maps:
        raise OptionError(f"{name}: expected one map or more")
    drawn = {each: flat_maps(f"{name}: {each}", values, faces) for each, values in maps.items()}
    figure = new_figure(1.2 * (len(drawn) + 1) + 2.4, 1.32 * n + 1.3)
    figure.suptitle(title, fontsize=11)
    ratios = (1,) * (len(drawn) + 1) + (1.3,)
    grid = figure.subplots(n, len(drawn) + 2, squeeze=False, width_ratios=ratios)
    for row, axes in enumerate(grid):
        true = None if labels is None else int(labels[row])
        draw_face(axes[0], faces[row], "Face" if row == 0 else "")
        axes[0].set_ylabel("" if true is None else class_names[true], fontsize=8)
        for place, (method, values) in enumerate(drawn.items(), 1):
            signed = bool(values.min() < 0)
            draw_map(axes[place], values[row], method if row == 0 else "", signed=signed)
        draw_scores(
            axes[-1],
            probabilities[row],
            class_names,
            true=true,
            title="Probability (* true class)" if row == 0 and true is not None else "",
        )
    where = grid[:, :-1]
    if any(values.min() >= 0 for values in drawn.values()):
        color_bar(figure, where, ("none", "strongest"), "importance, each map by its own scale")
    if any(values.min() < 0 for values in drawn.values()):
        ends = ("against the class", "none", "for the class")
        color_bar(figure, where, ends, "signed, each map by its own scale", signed=True)
    save_figure(figure, path)


def plot_masked(
    faces: Any,
    maps: Any,
    masked: Any,
    path: str | os.PathLike[str],
    *,
    names: Sequence[str] | None = None,
    title: str = "Pixels of high saliency; all others are replaced by the picture's mean",
) -> None:
    """Draw faces, their maps and the masked pictures below one another as PNG.

    Parameters
    ----------
    faces, masked : arrays of shape (N, H, W, C)
        Grey levels or colours of 0 to 255.
    maps : array of shape (N, H, W) or (N, H, W, C)
        Importance, of 0 or more.
    path : str or os.PathLike
        The file to make or to replace.
    names : sequence of str, of length N, optional
        Written above the faces.
    title : str

    Raises
    ------
    ShapeError
        They do not fit together.
    OptionError
        Matplotlib is not installed.
    """
    require_matplotlib()
    faces = require_shape("plot_masked", "faces", faces, (None,) * 4)
    masked = require_shape("plot_masked", "masked pictures", masked, faces.shape)
    values = flat_maps("plot_masked", maps, faces)
    if names is not None and len(names) != len(faces):
        raise ShapeError(f"plot_masked: {len(names)} names do not fit {len(faces)} faces")
    figure = new_figure(max(5.5, 1.35 * len(faces) + 0.6), 5.2)
    figure.suptitle(title, fontsize=11)
    grid = figure.subplots(3, len(faces), squeeze=False)
    for column in range(len(faces)):
        draw_face(grid[0, column], faces[column], "" if names is None else names[column])
        draw_map(grid[1, column], values[column])
        draw_face(grid[2, column], masked[column])
    for axes, label in zip(grid[:, 0], ("Face", "Saliency", "Masked"), strict=True):
        axes.set_ylabel(label, fontsize=9)
    color_bar(figure, grid, ("none", "strongest"), "saliency, each map by its own scale")
    save_figure(figure, path)


def plot_score_curves(
    curves: Mapping[str, tuple[ScoreCurve, ScoreCurve]],
    path: str | os.PathLike[str],
    *,
    title: str = "How well the maps name the pixels that matter",
) -> None:
    """Draw the mean deletion and insertion curves of several methods as PNG.

    Parameters
    ----------
    curves : mapping of str to (ScoreCurve, ScoreCurve)
        By the method's name: deletion and insertion. Up to seven; an eighth, and the random
        order, are drawn in grey.
    path : str or os.PathLike
        The file to make or to replace.
    title : str

    Raises
    ------
    OptionError
        There is no curve, there are more than eight, or matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.ticker import PercentFormatter

    if not 1 <= len(curves) <= len(COLORS) + 1:
        raise OptionError(f"plot_score_curves: expected one to eight methods, got {len(curves)}")
    count = len(next(iter(curves.values()))[0].areas)
    figure = new_figure(11.5, 4.8)
    figure.suptitle(f"{title} (mean over {count} face{'s' * (count > 1)})", fontsize=11)
    panels = figure.subplots(1, 2)
    for which, (axes, (heading, below)) in enumerate(zip(panels, CURVE_TEXTS, strict=True)):
        order = sorted(curves, key=lambda name: curves[name][which].areas.mean())
        for name in order if which == 0 else order[::-1]:
            curve, number = curves[name][which], list(curves).index(name)
            spare = name == RANDOM or number >= len(COLORS)
            axes.plot(
                curve.fractions,
                curve.scores.mean(axis=0),
                color="0.55" if spare else COLORS[number],
                linestyle=":" if spare else STYLES[number % len(STYLES)],
                label=f"{name}: area {curve.areas.mean():.3f}",
            )
        axes.set_title(heading, fontsize=10)
        axes.set(xlabel=below, ylabel="Probability of the class", ylim=(0, 1))
        axes.set_xmargin(0)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.grid(color="0.9")
        axes.set_axisbelow(True)
        axes.legend(fontsize=8)
    save_figure(figure, path)
