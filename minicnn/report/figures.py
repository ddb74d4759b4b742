"""Figures of a training run: the curves over its epochs, and the confusion matrix."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from minicnn.errors import OptionError, ShapeError
from minicnn.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "new_figure",
    "plot_confusion",
    "plot_history",
    "require_matplotlib",
    "save_figure",
]

# Okabe and Ito's colours, told apart by the colour-blind; the yellow is too light for lines.
BLUE, VERMILION, SKY, YELLOW = "#0072B2", "#D55E00", "#56B4E9", "#F0E442"
COLORS = (BLUE, VERMILION, "#009E73", "#CC79A7", "#E69F00", SKY, "#000000")
# Told apart in grey print by their line styles.
TRAINING = {"color": BLUE, "linestyle": "--", "marker": "o", "markersize": 3.5}
VALIDATION = {"color": VERMILION, "linestyle": "-", "marker": "s", "markersize": 3.5}
RESOLUTION = 150  # dots per inch


def require_matplotlib() -> None:
    """Raise OptionError where matplotlib is not installed: better before a long run than after."""
    if find_spec("matplotlib") is None:
        raise OptionError(
            'figures need matplotlib, which is not installed; run: pip install "minicnn[fer]"'
        )


def plot_history(
    history: Mapping[str, Sequence[float | None]],
    path: str | os.PathLike[str],
    *,
    title: str = "Training history",
    best_epoch: int | None = None,
) -> None:
    """Draw loss and accuracy over the epochs as a PNG file.

    Parameters
    ----------
    history : mapping of str to sequence
        The columns ``epoch``, ``train_loss``, ``train_accuracy``, ``validation_loss`` and
        ``validation_accuracy``, of equal length; None where there is no value.
    path : str or os.PathLike
        The file to make or to replace.
    title : str
    best_epoch : int, optional
        Marked by a vertical line.

    Raises
    ------
    OptionError
        There is no epoch to draw, or matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    epochs = list(history["epoch"])
    if not epochs:
        raise OptionError("plot_history: the history has no epochs")
    figure = new_figure(10, 4.2)
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)
    for axes, quantity in ((left, "loss"), (right, "accuracy")):
        for part, style in (("train", TRAINING), ("validation", VALIDATION)):
            values = [np.nan if v is None else v for v in history[f"{part}_{quantity}"]]
            if not np.isnan(values).all():
                name = "training" if part == "train" else part
                axes.plot(epochs, values, label=name, **style)
        if best_epoch is not None:
            axes.axvline(best_epoch, color="0.45", linestyle=":", label=f"best epoch, {best_epoch}")
        axes.set(title=quantity.capitalize(), xlabel="Epoch", ylabel=quantity.capitalize())
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(color="0.9")
        axes.set_axisbelow(True)
        axes.legend()
    left.set_ylabel("Cross-entropy")
    right.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    save_figure(figure, path)


def plot_confusion(
    matrix: np.ndarray,
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    title: str = "Confusion matrix",
) -> None:
    """Draw a confusion matrix as a PNG file: each cell's share of its row, and its count.

    Parameters
    ----------
    matrix : integer array of shape (K, K)
        How many samples of class ``row`` were taken for class ``column``.
    class_names : sequence of str, of length K
    path : str or os.PathLike
        The file to make or to replace.
    title : str

    Raises
    ------
    ShapeError
        The matrix does not fit the names.
    OptionError
        Matplotlib is not installed.
    """
    require_matplotlib()
    matrix = np.asarray(matrix)
    k = len(class_names)
    if matrix.shape != (k, k):
        raise ShapeError(
            f"plot_confusion: expected a matrix of {k} rows and columns, one for each class name, "
            f"got shape {matrix.shape}"
        )
    support = matrix.sum(axis=1)
    share = matrix / np.maximum(support, 1)[:, None]
    side = 2.8 + 0.75 * k
    figure = new_figure(side + 0.7, side)
    axes = figure.subplots()
    image = axes.imshow(share, cmap="cividis", vmin=0, vmax=1)
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03)
    bar.set_label("Share of the true class")
    accuracy = np.trace(matrix) / max(int(matrix.sum()), 1)
    axes.set(
        title=f"{title}\n{int(matrix.sum()):,} images, accuracy {accuracy:.1%}",
        xlabel="Predicted class",
        ylabel="True class (number of images)",
    )
    axes.set_xticks(range(k), class_names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(
        range(k), [f"{name} ({n:,})" for name, n in zip(class_names, support, strict=True)]
    )
    _write_cells(axes, matrix, share)
    save_figure(figure, path)


def _write_cells(axes: Axes, matrix: np.ndarray, share: np.ndarray) -> None:
    for (row, column), part in np.ndenumerate(share):
        axes.text(
            column,
            row,
            f"{part:.0%}\n{matrix[row, column]:,}",
            color="black" if part > 0.55 else "white",  # cividis is light from about there on
            ha="center",
            va="center",
            fontsize=8.5,
        )


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches, for :func:`save_figure`."""
    # Not pyplot: that keeps every figure it makes, and looks for a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=RESOLUTION, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG, replacing an old file at once; equal figures give equal files."""
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format="png", metadata={"Software": None})
