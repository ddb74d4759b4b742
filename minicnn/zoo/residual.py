"""residual_cnn: a network for small pictures that makes the most of a CPU's time; and several.

Each stage widens the picture's channels by one convolution, refines them by residual blocks, and
halves the picture. A global average in the place of large dense layers leaves few parameters for
what is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minicnn.errors import OptionError
from minicnn.nn.options import positive
from minicnn.zoo.network import Layers

__all__ = ["residual_cnn", "residual_committee"]


def residual_cnn(
    layers: Layers,
    num_classes: int,
    *,
    widths: Sequence[int] = (32, 64, 128, 256),
    blocks: Sequence[int] = (0, 1, 1, 1),
    dropout: Sequence[float] = (0.0, 0.0, 0.0, 0.4),
) -> None:
    """Four stages of 3x3 convolutions with residual blocks and batch norm, a global average.

    Parameters
    ----------
    layers : Layers
    num_classes : int
    widths : sequence of int
        Filters of each convolution of a stage.
    blocks : sequence of int
        Residual blocks of each stage, of two convolutions each.
    dropout : sequence of float
        After each stage; the last one is before the dense layer.
    """
    stages = len(_several("widths", widths))
    if not stages == len(_several("blocks", blocks)) == len(_several("dropout", dropout)):
        raise OptionError(
            f"widths, blocks and dropout: expected a value of each for every stage, got {stages}, "
            f"{len(blocks)} and {len(dropout)}"
        )
    for stage, (width, count, rate) in enumerate(zip(widths, blocks, dropout, strict=True), 1):
        layers.conv(f"conv{stage}", positive(width, "widths"), 3)
        layers.activation(f"relu{stage}")
        layers.norm(f"norm{stage}")
        for block in range(1, positive(count, "blocks", least=0) + 1):
            layers.residual(f"residual{stage}_{block}")
        if stage < stages:
            layers.pool(f"pool{stage}")
        else:
            layers.global_pool("average")
        layers.dropout(f"dropout{stage}", rate)
    layers.dense("logits", num_classes)


def residual_committee(layers: Layers, num_classes: int, *, members: int = 2) -> None:
    """Several residual_cnn, each of which learns from its share of a batch, and their mean.

    Parameters
    ----------
    layers : Layers
    num_classes : int
    members : int
    """
    count = positive(members, "members")
    layers.committee("committee", count, lambda member: residual_cnn(member, num_classes))


def _several(option: str, values: Any) -> Sequence[Any]:
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise OptionError(f"{option}: expected a list, one value for each stage, got {values!r}")
    return values
