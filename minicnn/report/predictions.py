"""The picture of a prediction: where the faces are, what the network sees, what it says."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from minicnn.data.pictures import Box
from minicnn.errors import ShapeError
from minicnn.report.figures import VERMILION, new_figure, require_matplotlib, save_figure
from minicnn.report.panels import draw_scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_predictions"]

HEIGHT = 2.3  # inches, of a face's row


def plot_predictions(
    picture: np.ndarray,
    boxes: Sequence[Box],
    inputs: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    title: str,
) -> None:
    """Draw a picture with a frame around each face, and beside it each class's score, as PNG.

    Parameters
    ----------
    picture : uint8 array of shape (H, W, 3)
    boxes : sequence of Box, of length N
        The parts of the picture that the network saw; 1 or more.
    inputs : uint8 array of shape (N, h, w, C)
        These parts at the network's size; drawn pixel by pixel.
    probabilities : float array of shape (N, K)
    class_names : sequence of str, of length K
    path : str or os.PathLike
        The file to make or to replace.
    title : str

    Raises
    ------
    ShapeError
        The numbers of boxes, inputs, scores and names do not fit together.
    OptionError
        Matplotlib is not installed.
    """
    require_matplotlib()
    n, k = len(boxes), len(class_names)
    if not n or len(inputs) != n or probabilities.shape != (n, k):
        raise ShapeError(
            f"plot_predictions: expected an input and {k} scores for each of 1 or more boxes, got "
            f"{n} boxes, {len(inputs)} inputs and scores of shape {probabilities.shape}"
        )
    figure = new_figure(11, max(3.6, HEIGHT * n + 0.5))
    figure.suptitle(title)
    grid = figure.add_gridspec(n, 3, width_ratios=(1.5, 0.8, 1.2))
    _draw_picture(figure.add_subplot(grid[:, 0]), picture, boxes)
    for row in range(n):
        label = f"face {row + 1}: " if n > 1 else ""
        best = int(probabilities[row].argmax())
        seen = figure.add_subplot(grid[row, 1])
        cmap = "gray" if inputs.shape[-1] == 1 else None
        seen.imshow(inputs[row].squeeze(), cmap=cmap, vmin=0, vmax=255, interpolation="nearest")
        seen.set_title(f"{label}what the network sees", fontsize=9)
        seen.set_axis_off()
        scores = figure.add_subplot(grid[row, 2])
        draw_scores(scores, probabilities[row], class_names, fontsize=9)
        scores.set(xticks=(0, 0.5, 1), xlabel="Score")
        scores.set_title(f"{label}{class_names[best]}, {probabilities[row, best]:.0%}")
    save_figure(figure, path)


def _draw_picture(axes: Axes, picture: np.ndarray, boxes: Sequence[Box]) -> None:
    from matplotlib.patches import Rectangle

    axes.imshow(picture, interpolation="nearest" if max(picture.shape) < 400 else "antialiased")
    axes.set_axis_off()
    for number, box in enumerate(boxes, 1):
        corner = (box.left - 0.5, box.top - 0.5)
        width, height = box.right - box.left, box.bottom - box.top
        axes.add_patch(
            Rectangle(corner, width, height, fill=False, edgecolor=VERMILION, linewidth=2.5)
        )
        if len(boxes) > 1:
            style = {"facecolor": VERMILION, "edgecolor": "none", "pad": 1.5}
            axes.text(*corner, str(number), color="white", va="bottom", bbox=style)
