"""Figures of what layers answer to: filters, feature maps, gradient ascent, the strongest faces."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.report.figures import YELLOW, new_figure, require_matplotlib, save_figure
from minicnn.report.panels import (
    LEVELS,
    MOST,
    SIGNED,
    contrasted,
    draw_face,
    draw_map,
    frame,
    require_shape,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_ascent", "plot_feature_maps", "plot_filters", "plot_top_faces"]

ACROSS = 8  # panels side by side
MAPS_ACROSS = 11  # of feature maps: 64 of them and the face fill six rows but for one


def plot_filters(
    filters: Any, path: str | os.PathLike[str], *, title: str = "Filters of the first layer"
) -> None:
    """Draw the kernels of filters as PNG, pixel by pixel and all by one scale.

    Parameters
    ----------
    filters : array of shape (O, KH, KW, C)
        The first 64 are drawn, at the mean over their channels.
    path : str or os.PathLike
        The file to make or to replace.
    title : str

    Raises
    ------
    ShapeError
        The filters have another shape.
    OptionError
        Matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    filters = require_shape("plot_filters", "filters", filters, (None,) * 4)
    shown = filters[:MOST].mean(axis=3)
    if filters.shape[3] > 1:
        title = f"{title}, mean over {filters.shape[3]} channels"
    highest = float(np.abs(shown).max()) or 1.0
    figure, panels = _grid(
        len(shown), _counted(title, len(shown), len(filters)), side=0.95, below=0.3
    )
    for number, (axes, values) in enumerate(zip(panels, shown, strict=True)):
        axes.imshow(values, cmap=SIGNED, vmin=-highest, vmax=highest, interpolation="nearest")
        frame(axes, str(number), fontsize=7)
    colors = ScalarMappable(Normalize(-highest, highest), SIGNED)
    rows = math.ceil(len(shown) / ACROSS)
    bar = figure.colorbar(
        colors, ax=panels, location="bottom", fraction=0.08 / rows, pad=0.12 / rows, aspect=40
    )
    bar.set_label("weight", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    save_figure(figure, path)


def plot_feature_maps(
    maps: Any,
    path: str | os.PathLike[str],
    *,
    face: Any = None,
    title: str = "Feature maps",
) -> None:
    """Draw what comes out of a layer for one picture as PNG, each map by its own scale.

    Parameters
    ----------
    maps : array of shape (h, w, c)
        The first 64 are drawn, pixel by pixel.
    path : str or os.PathLike
        The file to make or to replace.
    face : array of shape (H, W, C), optional
        The picture itself, grey levels or colours of 0 to 255; drawn first.
    title : str

    Raises
    ------
    ShapeError
        The maps have another shape.
    OptionError
        Matplotlib is not installed.
    """
    require_matplotlib()
    maps = require_shape("plot_feature_maps", "maps", maps, (None,) * 3)
    shown = np.moveaxis(maps, 2, 0)[:MOST]
    faces = (
        [] if face is None else [require_shape("plot_feature_maps", "a face", face, (None,) * 3)]
    )
    title = _counted(title, len(shown), maps.shape[2])
    figure, panels = _grid(len(shown) + len(faces), title, side=1.05, across=MAPS_ACROSS)
    for axes, picture in zip(panels, faces, strict=False):
        draw_face(axes, picture, "Face")
    for number, (axes, values) in enumerate(zip(panels[len(faces) :], shown, strict=True)):
        draw_map(axes, values, str(number), cmap=LEVELS)
    figure.supxlabel("dark: the lowest answer of a map; light: its highest", fontsize=8)
    save_figure(figure, path)


def plot_ascent(
    images: Any,
    names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    values: Any = None,
    outputs: Any = None,
    face: Any = None,
    title: str = "Pictures that activate most",
) -> None:
    """Draw pictures from gradient ascent as PNG, beside them what the same filters see in a face.

    Parameters
    ----------
    images : array of shape (G, S, H, W, C)
        Pictures from S seeds for each of G goals, each drawn by its own contrast.
    names : sequence of str, of length G
        Of the goals.
    path : str or os.PathLike
        The file to make or to replace.
    values : array of shape (G, S), optional
        Their activations, written above them.
    outputs : array of shape (G, h, w), optional
        Each filter's map for the face.
    face : array of shape (H, W, C), optional
        The face, grey levels or colours of 0 to 255; drawn first.
    title : str

    Raises
    ------
    ShapeError
        They do not fit together.
    OptionError
        Matplotlib is not installed.
    """
    require_matplotlib()
    images = require_shape("plot_ascent", "pictures", images, (len(names), *(None,) * 4))
    goals, seeds = images.shape[:2]
    if values is not None:
        values = require_shape("plot_ascent", "values", values, (goals, seeds))
    if outputs is not None:
        outputs = require_shape("plot_ascent", "outputs", outputs, (goals, None, None))
    group = seeds + (outputs is not None)
    first = 0 if face is None else group  # the face stands in a group of its own
    across = max(1, ACROSS // group) * group
    figure, panels = _grid(first + goals * group, title, side=1.25, across=across)
    if face is not None:
        draw_face(panels[0], require_shape("plot_ascent", "a face", face, (None,) * 3), "Face")
        for axes in panels[1:first]:
            axes.set_axis_off()
    for goal, name in enumerate(names):
        cells = panels[first + goal * group : first + (goal + 1) * group]
        for seed in range(seeds):
            value = "" if values is None else f": {values[goal, seed]:.3g}"
            draw_face(cells[seed], contrasted(images[goal, seed]), f"{name}{value}")
        if outputs is not None:
            draw_map(cells[-1], outputs[goal], "in the face", cmap=LEVELS)
    save_figure(figure, path)


def plot_top_faces(
    faces: Any,
    values: Any,
    names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    captions: Sequence[Sequence[str]] | None = None,
    places: Any = None,
    title: str = "The faces that activate each filter most",
) -> None:
    """Draw a row of faces for each filter as PNG, the strongest first.

    Parameters
    ----------
    faces : array of shape (F, k, H, W, C)
        Grey levels or colours of 0 to 255.
    values : array of shape (F, k)
        The activations.
    names : sequence of str, of length F
        Of the filters.
    path : str or os.PathLike
        The file to make or to replace.
    captions : F sequences of k str, optional
        Written above the faces, before the activation, such as the class.
    places : array of shape (F, k, 2), optional
        Row and column in the face where the filter answers most; marked by a ring.
    title : str

    Raises
    ------
    ShapeError
        They do not fit together.
    OptionError
        Matplotlib is not installed.
    """
    require_matplotlib()
    faces = require_shape("plot_top_faces", "faces", faces, (len(names), *(None,) * 4))
    filters, k = faces.shape[:2]
    values = require_shape("plot_top_faces", "values", values, (filters, k))
    if captions is not None:
        require_shape("plot_top_faces", "captions", captions, (filters, k))
    if places is not None:
        places = require_shape("plot_top_faces", "places", places, (filters, k, 2))
    figure, panels = _grid(filters * k, title, side=1.25, across=k)
    for number, axes in enumerate(panels):
        row, column = divmod(number, k)
        caption = "" if captions is None else f"{captions[row][column]}  "
        draw_face(axes, faces[row, column], f"{caption}{values[row, column]:.3g}")
        if column == 0:
            axes.set_ylabel(names[row], fontsize=8)
        if places is not None:
            y, x = places[row, column]
            style: dict[str, Any] = {"markerfacecolor": "none", "markersize": 9, "marker": "o"}
            axes.plot(x, y, markeredgecolor="black", markeredgewidth=2.4, **style)
            axes.plot(x, y, markeredgecolor=YELLOW, markeredgewidth=1.2, **style)
    save_figure(figure, path)


def _grid(
    count: int, title: str, *, side: float, across: int | None = None, below: float = 0.0
) -> tuple[Any, list[Axes]]:
    # A figure with so many panels of a side in inches, room below, and the panels.
    across = min(count, ACROSS if across is None else across)
    rows = math.ceil(count / across)
    figure = new_figure(max(4.5, side * across + 0.4), (side + 0.22) * rows + 0.7 + below)
    figure.suptitle(title, fontsize=11)
    panels = list(figure.subplots(rows, across, squeeze=False).ravel())
    for axes in panels[count:]:
        axes.set_axis_off()
    return figure, panels[:count]


def _counted(title: str, shown: int, count: int) -> str:
    return title if shown == count else f"{title} (the first {shown} of {count})"
