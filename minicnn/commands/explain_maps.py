"""Explain faces by every method, and compare the methods by numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn import backend, explain
from minicnn.commands.explaining import Chosen, Settings
from minicnn.explain.inputs import flat_maps
from minicnn.nn.activation import LeakyReLU, ReLU
from minicnn.random import Streams
from minicnn.report.explained import RANDOM
from minicnn.zoo.network import Network

__all__ = ["explain_faces"]

# The middle of a picture, a share of its height and of its width: in those of FER-2013 it holds
# brows, eyes, nose and mouth.
CENTRE = 2 / 3
MASK_PERCENTILE = 99.0  # single outstanding pixels do not hide all others

Curves = dict[str, tuple[explain.ScoreCurve, explain.ScoreCurve]]


def explain_faces(
    network: Network, chosen: Chosen, settings: Settings, say: Callable[[str], None]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Explain the chosen faces by every method, and compare the methods.

    Returns
    -------
    content : dict
        The numbers, as JSON can hold them.
    arrays : dict of str to NumPy array
        See :class:`minicnn.report.Explanations`.
    """
    maps, error = _maps(network, chosen, settings)
    say(f"maps: {len(chosen.part)} faces by {len(maps)} methods")
    curves: Curves = {}
    if settings.thorough:
        curves = _curves(network, chosen, settings, maps)
        say("deletion and insertion curves")
    height, width = chosen.part.images.shape[1:3]
    region = explain.central_region(height, width, CENTRE)
    uniform = explain.mass_share(next(iter(maps.values())), region).uniform
    methods = {
        name: {
            "central_mass": _central_mass(maps[name], region) if name in maps else uniform,
            "deletion_area": _area(curves, name, 0),
            "insertion_area": _area(curves, name, 1),
        }
        for name in curves or maps
    }
    content = {
        "methods": methods,
        "central_region": dict(zip(("top", "bottom", "left", "right"), region, strict=True)),
        "uniform_central_mass": uniform,
        "completeness_error": None if error is None else float(np.abs(error).max()),
    }
    return content, _arrays(chosen, settings, maps, curves)


def _maps(
    network: Network, chosen: Chosen, settings: Settings
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    # The map of each face by each method, (N, H, W) on the host; and the completeness error.
    size: dict[str, Any] = {"batch_size": settings.batch_size}
    given = (network, chosen.images, chosen.classes)
    rng = Streams(settings.seed)["smooth_grad"]
    found = {
        "Saliency": explain.saliency(*given, **size),
        "SmoothGrad": explain.smooth_grad(*given, rng=rng, samples=settings.samples, **size),
        "Gradient x input": explain.input_x_gradient(*given, **size),
    }
    error = None
    if settings.thorough:
        integrated = explain.integrated_gradients(*given, **size)
        found["Integrated gradients"] = integrated.attributions
        error = integrated.completeness_error
    if any(isinstance(each, (ReLU, LeakyReLU)) for each in network.modules()):
        found["Guided backpropagation"] = explain.guided_backprop(*given, **size)
    if settings.thorough:
        found["Occlusion"] = explain.occlusion(*given, **size)
    if settings.layer is not None:
        found["Grad-CAM"] = explain.grad_cam(
            network, chosen.images, settings.layer, chosen.classes, **size
        )
    return {name: backend.to_numpy(flat_maps(name, each)) for name, each in found.items()}, error


def _curves(
    network: Network, chosen: Chosen, settings: Settings, maps: dict[str, np.ndarray]
) -> Curves:
    # Deletion and insertion by each method, and in a random order.
    size: dict[str, Any] = {"batch_size": settings.batch_size, "steps": settings.curve_steps}
    random = Streams(settings.seed)["random order"].random(chosen.images.shape[:3])
    found = {}
    for name, values in {**maps, RANDOM: random}.items():
        given = (network, chosen.images, values, chosen.classes)
        found[name] = (explain.deletion(*given, **size), explain.insertion(*given, **size))
    return found


def _central_mass(maps: np.ndarray, region: tuple[int, int, int, int]) -> float | None:
    shares = explain.mass_share(maps, region).share
    known = shares[~np.isnan(shares)]
    return float(known.mean()) if known.size else None


def _area(curves: Curves, name: str, which: int) -> float | None:
    return float(curves[name][which].areas.mean()) if curves else None


def _arrays(
    chosen: Chosen, settings: Settings, maps: dict[str, np.ndarray], curves: Curves
) -> dict[str, np.ndarray]:
    shown = slice(settings.faces)
    pictures, smooth = chosen.part.images[shown], maps["SmoothGrad"][shown]
    found = {
        "faces": pictures,
        "labels": chosen.part.require_labels()[shown],
        "probabilities": chosen.probabilities[shown],
        "masked": explain.masked_picture(pictures, smooth, percentile=MASK_PERCENTILE),
        "mean_face": chosen.part.images.mean(axis=(0, 3)).round().astype(np.uint8),
    }
    for name, values in maps.items():
        found[f"map/{name}"] = values[shown]
        strength = np.abs(values)
        total = strength.sum(axis=(1, 2), keepdims=True)
        found[f"mean_map/{name}"] = (strength / np.where(total > 0, total, 1)).mean(axis=0)
    for name, both in curves.items():
        found["curve/fractions"] = both[0].fractions
        for kind, curve in zip(("deletion", "insertion"), both, strict=True):
            found[f"curve/{kind}/{name}"] = curve.scores
    return found
