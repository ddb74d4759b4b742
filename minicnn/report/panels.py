"""Small pictures in a figure: faces, maps of importance, and scores, each in a frame of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.errors import ShapeError
from minicnn.report.figures import SKY, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "color_bar",
    "contrasted",
    "draw_face",
    "draw_map",
    "draw_scores",
    "frame",
    "require_shape",
    "span",
]

# Maps that differ in lightness as well as in hue, so that the colour-blind can read them: from dark
# to light where there is no sign, from blue over white to red where there is one.
UNSIGNED, SIGNED = "magma", "RdBu_r"
LEVELS = "cividis"  # of feature maps: even in lightness, and the same to the colour-blind
HIGHEST = 99.5  # percentile of a map that gets the last colour: single pixels would hide the rest
CONTRAST = (1, 99)  # percentiles of a picture without a scale that become black and white
MOST = 64  # filters or maps of a layer that are shown


def require_shape(name: str, what: str, array: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    """Return a NumPy array of a shape, in which None stands for any size of 1 or more.

    Raises
    ------
    ShapeError
        It has another one.
    """
    array = np.asarray(array)
    fits = array.ndim == len(shape) and 0 not in array.shape
    if not fits or any(size not in (None, n) for size, n in zip(shape, array.shape, strict=True)):
        expected = ", ".join("any" if size is None else str(size) for size in shape)
        raise ShapeError(f"{name}: expected {what} of shape ({expected}), got {array.shape}")
    return array


def frame(axes: Axes, title: str = "", *, fontsize: float = 8) -> None:
    """Leave nothing of the axes but a thin frame, and write a title above."""
    axes.set(xticks=(), yticks=())
    for spine in axes.spines.values():
        spine.set(color="0.4", linewidth=0.6)
    if title:
        axes.set_title(title, fontsize=fontsize, pad=5)


def draw_face(axes: Axes, face: np.ndarray, title: str = "") -> None:
    """Draw a picture of shape (H, W, C) pixel by pixel: grey levels of 0 to 255, or colours."""
    picture = face if face.shape[-1] == 3 else face.mean(axis=-1)
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    frame(axes, title)


def contrasted(picture: np.ndarray) -> np.ndarray:
    """Return a picture (H, W, C) in any unit as uint8, with nearly all of its range in use."""
    low, high = np.percentile(picture, CONTRAST)
    share = np.clip((picture - low) / (high - low if high > low else 1), 0, 1)
    return (255 * share).round().astype(np.uint8)


def draw_map(
    axes: Axes, values: np.ndarray, title: str = "", *, signed: bool = False, cmap: str = UNSIGNED
) -> None:
    """Draw a map of shape (H, W) pixel by pixel, by its own scale.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    values : array of shape (H, W)
    title : str
    signed : bool
        Put 0 in the middle of the colours.
    cmap : str
        Of a map without a sign.
    """
    low, high = span(values, signed=signed)
    axes.imshow(
        values, cmap=SIGNED if signed else cmap, vmin=low, vmax=high, interpolation="nearest"
    )
    frame(axes, title)


def span(values: np.ndarray, *, signed: bool = False) -> tuple[float, float]:
    """Return which values get the first and the last colour."""
    if signed:
        highest = float(np.percentile(np.abs(values), HIGHEST)) or float(np.abs(values).max())
        return -(highest or 1.0), highest or 1.0
    low, high = float(values.min()), float(np.percentile(values, HIGHEST))
    return low, high if high > low else low + 1.0


def color_bar(
    figure: Figure, axes: np.ndarray, ends: Sequence[str], label: str, *, signed: bool = False
) -> None:
    """Draw a bar below an array of axes that says what the first and the last colour mean."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    colors = ScalarMappable(Normalize(0, 1), SIGNED if signed else UNSIGNED)
    rows = len(axes)
    bar = figure.colorbar(
        colors,
        ax=axes,
        location="bottom",
        fraction=0.1 / rows,
        pad=0.08 / rows,
        shrink=0.5,
        aspect=40,
    )
    bar.set_ticks(np.linspace(0, 1, len(ends)).tolist(), labels=list(ends), fontsize=8)
    bar.set_label(label, fontsize=8)


def draw_scores(
    axes: Axes,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    *,
    true: int | None = None,
    title: str = "",
    fontsize: float = 5.5,
) -> None:
    """Draw the probability of every class as a bar; the highest one, and the true one, stand out.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    probabilities : array of shape (K,)
    class_names : sequence of str, of length K
    true : int, optional
        Its name is set in bold and marked by a star.
    title : str
    fontsize : float
        Of names and probabilities.
    """
    places, best = range(len(class_names)), int(probabilities.argmax())
    colors = [VERMILION if place == best else SKY for place in places]
    axes.barh(places, probabilities, color=colors, height=0.8)
    for place, probability in enumerate(probabilities):
        end = float(probability) + 0.03
        axes.text(end, place, f"{probability:.0%}", va="center", fontsize=fontsize)
    labels = [f"{name} *" if place == true else name for place, name in enumerate(class_names)]
    axes.set_yticks(places, labels, fontsize=fontsize)
    if true is not None:
        axes.get_yticklabels()[true].set_fontweight("bold")
    axes.invert_yaxis()
    axes.set(xlim=(0, 1.35), xticks=())
    axes.tick_params(length=0, pad=1)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    if title:
        axes.set_title(title, fontsize=8, pad=5)
