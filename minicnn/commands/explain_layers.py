"""Find what a network's classes, layers and filters answer to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn import backend, explain
from minicnn.commands.explaining import Chosen, Settings
from minicnn.commands.train_data import evaluation_loader
from minicnn.commands.train_options import Options
from minicnn.nn.conv import Conv2d
from minicnn.random import Streams
from minicnn.zoo.network import Network

__all__ = ["explain_network"]

TOP_FACES, TOP_FILTERS = 8, 8
# Smooth enough to be looked at; an activation of a few units outweighs the penalties.
ASCENT: dict[str, Any] = {"step_size": 0.02, "jitter": 2}
CLASS_ASCENT: dict[str, Any] = {**ASCENT, "seeds": 3, "l2": 1.0, "variation": 1.0}
FILTER_ASCENT: dict[str, Any] = {**ASCENT, "l2": 0.05, "variation": 0.2}


def explain_network(
    network: Network, chosen: Chosen, settings: Settings, say: Callable[[str], None]
) -> dict[str, np.ndarray]:
    """Find what the network's classes, and the layers of the settings, answer to.

    Returns
    -------
    dict of str to NumPy array
        See :class:`minicnn.report.Explanations`.
    """
    streams = Streams(settings.seed)
    found: dict[str, np.ndarray] = {}
    if settings.steps:
        ascent = explain.gradient_ascent(
            network,
            None,
            range(len(chosen.part.class_names)),
            rng=streams["ascent: classes"],
            steps=settings.steps,
            batch_size=settings.batch_size,
            **CLASS_ASCENT,
        )
        found["classes/pictures"] = backend.to_numpy(ascent.images)
        found["classes/values"] = ascent.values[-1]
        say("pictures of the classes")
    if any(isinstance(module, Conv2d) for module in network.modules()):
        found["filters"] = explain.convolution_filters(network)
    for layer in settings.features:
        of_layer = _explain_layer(network, chosen, settings, layer, streams)
        found |= {f"layer/{layer}/{name}": array for name, array in of_layer.items()}
        say(f"filters of layer {layer}")
    return found


def _explain_layer(
    network: Network, chosen: Chosen, settings: Settings, layer: str, streams: Streams
) -> dict[str, np.ndarray]:
    output = backend.to_numpy(explain.feature_maps(network, chosen.images[:1], layer))[0]
    count = min(settings.filters, output.shape[-1])
    found = {"maps": output} if output.ndim == 3 else {}
    if settings.steps:
        ascent = explain.gradient_ascent(
            network,
            layer,
            range(count),
            rng=streams[f"ascent: {layer}"],
            steps=settings.steps,
            batch_size=settings.batch_size,
            **FILTER_ASCENT,
        )
        found["ascent"] = backend.to_numpy(ascent.images)
        found["values"] = ascent.values[-1]
    searched, options = chosen.searched, Options(batch_size=settings.batch_size)
    top = explain.top_activations(
        network,
        evaluation_loader(searched, options, network.normalization),
        layer,
        filters=range(min(count, TOP_FILTERS)),
        k=TOP_FACES,
    )
    found["top"] = searched.images[top.indices]
    found["top_values"] = top.values
    found["top_labels"] = searched.require_labels()[top.indices]
    if top.positions is not None:
        # The centre of a map's pixel, in pixels of the picture.
        scale = np.array(searched.images.shape[1:3]) / output.shape[:2]
        found["top_places"] = (top.positions + 0.5) * scale - 0.5
    return found
