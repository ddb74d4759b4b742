"""Draw explanations as figures, a PNG file for each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minicnn.report.explained import Explanations
from minicnn.report.explanations import plot_explanations, plot_masked, plot_score_curves
from minicnn.report.features import (
    plot_ascent,
    plot_feature_maps,
    plot_filters,
    plot_top_faces,
)

__all__ = ["draw_explanations"]


def draw_explanations(found: Explanations, class_names: Sequence[str], folder: Path) -> int:
    """Draw everything that was found into a folder, and return how many figures that makes."""
    name, arrays = found.content["model"], found.arrays
    labels = arrays["labels"]
    plot_explanations(
        arrays["faces"],
        {method.replace(" ", "\n", 1): maps for method, maps in found.under("map").items()},
        arrays["probabilities"],
        class_names,
        folder / "explanations.png",
        labels=labels,
        title=f"{name}: what speaks for the class with the highest probability",
    )
    plot_masked(
        arrays["faces"],
        arrays["map/SmoothGrad"],
        arrays["masked"],
        folder / "masked.png",
        names=[class_names[label] for label in labels],
        title=f"{name}: pixels of high saliency (SmoothGrad); for the others, the mean",
    )
    if curves := found.curves():
        title = f"{name}: do the maps name what matters?"
        plot_score_curves(curves, folder / "curves.png", title=title)
    if "classes/pictures" in arrays:
        plot_ascent(
            arrays["classes/pictures"],
            class_names,
            folder / "classes.png",
            values=arrays["classes/values"],
            title=f"{name}: pictures that raise each class's score (above them)",
        )
    if "filters" in arrays:
        title = f"{name}: filters of the first convolution, {found.content['first_convolution']}"
        plot_filters(arrays["filters"], folder / "filters.png", title=title)
    for layer in found.content["features"]:
        _draw_layer(found, layer, class_names, folder)
    return len(list(folder.glob("*.png")))


def _draw_layer(found: Explanations, layer: str, class_names: Sequence[str], folder: Path) -> None:
    name, arrays = found.content["model"], found.under(f"layer/{layer}")
    face, stem = found.arrays["faces"][0], re.sub(r"[^\w.-]", "_", layer)
    outputs = None
    if "maps" in arrays:
        outputs = np.moveaxis(arrays["maps"], 2, 0)
        plot_feature_maps(
            arrays["maps"],
            folder / f"maps-{stem}.png",
            face=face,
            title=f"{name}: feature maps of layer {layer}",
        )
    if "ascent" in arrays:
        count = len(arrays["ascent"])
        plot_ascent(
            arrays["ascent"],
            [f"filter {number}" for number in range(count)],
            folder / f"ascent-{stem}.png",
            values=arrays["values"],
            outputs=None if outputs is None else outputs[:count],
            face=None if outputs is None else face,
            title=f"{name}: pictures that activate the filters of layer {layer} most",
        )
    plot_top_faces(
        arrays["top"],
        arrays["top_values"],
        [f"filter {number}" for number in range(len(arrays["top"]))],
        folder / f"top-{stem}.png",
        captions=[[class_names[label] for label in row] for row in arrays["top_labels"]],
        places=arrays.get("top_places"),
        title=f"{name}: the faces that activate the filters of layer {layer} most",
    )
