"""The diagram of a network: a solid for what comes out of each layer, from a model's summary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from minicnn.inspect.table import LayerSummary, Summary
from minicnn.report.page.texts import size

__all__ = ["Stage", "stages_of"]

# What a layer does, by its class's name; it is written beside the colour as well.
FAMILIES = (
    ("convolution", ("Conv",)),
    ("pooling", ("Pool",)),
    ("dense", ("Linear", "Embedding")),
    ("shape", ("latten", "Pad")),
)
OTHER = "other"
WIDTH = 96  # of the place for a solid
SIDE, DEPTH = 40.0, 26.0  # of the largest


@dataclass
class Stage:
    """A layer that changes the shape, with those behind it that do not.

    Attributes
    ----------
    name, kind, family : str
    shape : str
        The sizes of what comes out.
    parameters : int
        Of all of them.
    companions : list of str
        The kinds of those behind it.
    faces : list of (str, str)
        The visible faces of the solid: which one, and its corners.
    height : float
        Of the solid.
    """

    name: str
    kind: str
    family: str
    shape: str
    parameters: int = 0
    companions: list[str] = field(default_factory=list)
    faces: list[tuple[str, str]] = field(default_factory=list)
    height: float = 0.0


def stages_of(summary: Summary) -> list[Stage]:
    """Return the stages of a network, in order, the input first."""
    before = summary.input_shape
    largest = max(before[:2])
    stages = [_stage("input", "", "input", before, 0, largest)]
    for layer in summary.layers:
        shape, family = _numbers(layer), _family(layer.kind)
        if shape == before and family == OTHER and len(stages) > 1:
            stages[-1].companions.append(layer.kind)
            stages[-1].parameters += layer.parameters
            continue
        name = layer.name or "(model)"
        stages.append(_stage(name, layer.kind, family, shape, layer.parameters, largest))
        before = shape
    return stages


def _family(kind: str) -> str:
    return next((name for name, parts in FAMILIES if any(part in kind for part in parts)), OTHER)


def _numbers(layer: LayerSummary) -> tuple[int, ...]:
    # Without the batch; nothing where several tensors come out, or none.
    shape = layer.output_shape or ()
    return tuple(part for part in shape[1:] if isinstance(part, int))


def _stage(
    name: str, kind: str, family: str, shape: Sequence[int], parameters: int, largest: int
) -> Stage:
    """Return a stage with the faces of a box for maps (h, w, c), or of a flat bar for a vector."""
    stage = Stage(name, kind, family, size(shape), parameters)
    if len(shape) == 3:
        height, width = (max(3.0, SIDE * math.sqrt(side / largest)) for side in shape[:2])
        depth = DEPTH * min(1.0, (1 + math.log2(shape[2])) / 11)
    elif len(shape) == 1:
        height, width, depth = 7.0, min(1.0, (1 + math.log2(shape[0])) / 13) * (WIDTH - 16), 4.0
    else:
        return stage
    shift, rise = 0.8 * depth, 0.5 * depth
    left, top = (WIDTH - width - shift) / 2, rise
    right, bottom = left + width, top + height
    stage.height = math.ceil(bottom)
    stage.faces = [
        ("top", _polygon((left, top), (left + shift, top - rise), (right + shift, top - rise),
                         (right, top))),
        ("side", _polygon((right, top), (right + shift, top - rise),
                          (right + shift, bottom - rise), (right, bottom))),
        ("front", _polygon((left, top), (right, top), (right, bottom), (left, bottom))),
    ]  # fmt: skip
    return stage


def _polygon(*corners: tuple[float, float]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
