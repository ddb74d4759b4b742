"""What a summary says of a model, layer by layer and in total: as numbers, as a table, for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from minicnn.autograd import Cost

__all__ = ["LayerSummary", "Summary"]


@dataclass
class LayerSummary:
    """What one call of a layer gives, holds and costs, for one input.

    Attributes
    ----------
    name : str
        As in ``model.named_modules()``; empty for what the model does in its own ``forward``.
    kind : str
        Class of the layer.
    output_shape : tuple or None
        With "N" for the batch, such as ("N", 48, 48, 64); a tuple of shapes where several tensors
        come out; None for a layer that never ran.
    parameters : int
        How many numbers the layer itself holds: parameters and buffers, as Keras counts them. Those
        shared with another layer count where they come first.
    trainable : int
        How many of these are learned.
    buffers : int
        How many of these are in buffers, such as running statistics; PyTorch does not count them.
    parameter_bytes : int
        Memory that all these take.
    cost : Cost
        Scalar operations of one forward pass in evaluation mode, by the textbook formulas.
    activation_bytes : int
        Memory that the results of the layer's operations take.
    """

    name: str
    kind: str
    output_shape: tuple | None = None
    parameters: int = 0
    trainable: int = 0
    buffers: int = 0
    parameter_bytes: int = 0
    cost: Cost = field(default_factory=Cost)
    activation_bytes: int = 0

    def add(self, other: LayerSummary) -> None:
        """Add the counts of another layer to those of this one."""
        self.parameters += other.parameters
        self.trainable += other.trainable
        self.buffers += other.buffers
        self.parameter_bytes += other.parameter_bytes
        self.cost += other.cost
        self.activation_bytes += other.activation_bytes

    def counts(self) -> dict[str, int]:
        """Return all counts by name."""
        return {
            "parameters": self.parameters,
            "trainable": self.trainable,
            "buffers": self.buffers,
            "parameter_bytes": self.parameter_bytes,
            "multiplications": self.cost.multiplications,
            "additions": self.cost.additions,
            "flops": self.cost.flops,
            "comparisons": self.cost.comparisons,
            "functions": self.cost.functions,
            "activation_bytes": self.activation_bytes,
        }


@dataclass
class Summary:
    """All layers of a model in the order in which they run; its text is the table.

    Attributes
    ----------
    layers : list of LayerSummary
        Without containers that only pass on what their layers give.
    input_shape : tuple of int
        Of one input, without the batch.
    """

    layers: list[LayerSummary]
    input_shape: tuple[int, ...]

    @property
    def total(self) -> LayerSummary:
        """The sum over all layers."""
        total = LayerSummary("total", "")
        for layer in self.layers:
            total.add(layer)
        return total

    @property
    def parameters(self) -> int:
        """How many numbers the model holds: parameters and buffers."""
        return self.total.parameters

    @property
    def trainable(self) -> int:
        """How many numbers the model learns."""
        return self.total.trainable

    @property
    def cost(self) -> Cost:
        """Scalar operations of one forward pass for one input."""
        return self.total.cost

    def to_dict(self) -> dict[str, Any]:
        """Return everything as dicts, lists, texts and numbers that JSON can hold."""
        return {
            "input_shape": list(self.input_shape),
            "layers": [
                {
                    "name": layer.name,
                    "type": layer.kind,
                    "output_shape": _as_lists(layer.output_shape),
                    **layer.counts(),
                }
                for layer in self.layers
            ],
            "total": self.total.counts(),
        }

    def __str__(self) -> str:
        total = self.total
        lines = _table(self.layers, total)
        lines += [
            f"{total.parameters:,} parameters: {total.trainable:,} trainable, {_fixed(total)}",
            f"memory: {_bytes(total.parameter_bytes)} for the parameters, "
            f"{_bytes(total.activation_bytes)} for the layers' results",
            f"also {total.cost.comparisons:,} comparisons and {total.cost.functions:,} evaluations "
            "of exp, sqrt and the like",
            f"for one input {_text(self.input_shape)} in evaluation mode, by textbook formulas",
            "FLOPs: multiplications and additions together, so that a multiply-add counts as two",
        ]
        return "\n".join(lines)


def _fixed(total: LayerSummary) -> str:
    fixed = total.parameters - total.trainable
    reasons = {
        "frozen": fixed - total.buffers,
        "running statistics and other buffers": total.buffers,
    }
    listed = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count)
    return f"{fixed:,} not ({listed})" if fixed else "0 not"


def _table(layers: Sequence[LayerSummary], total: LayerSummary) -> list[str]:
    header = ("layer", "type", "output", "parameters", "multiplications", "additions", "FLOPs")
    rows = [
        (layer.name or "(model)", layer.kind, _text(layer.output_shape), *_numbers(layer))
        for layer in layers
    ]
    last = (total.name, "", "", *_numbers(total))
    widths = [max(map(len, column)) for column in zip(header, last, *rows, strict=True)]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    body = [_line(row, widths) for row in rows]
    return [_line(header, widths), rule, *body, rule, _line(last, widths), ""]


def _numbers(layer: LayerSummary) -> tuple[str, ...]:
    cost = layer.cost
    numbers = (layer.parameters, cost.multiplications, cost.additions, cost.flops)
    return tuple([f"{number:,}" if number else "-" for number in numbers])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    texts = [cell.ljust(width) for cell, width in zip(cells[:3], widths[:3], strict=True)]
    numbers = [cell.rjust(width) for cell, width in zip(cells[3:], widths[3:], strict=True)]
    return "  ".join(texts + numbers).rstrip()


def _text(shape: tuple | None) -> str:
    if shape is None:
        return "-"
    if any(isinstance(part, (tuple, type(None))) for part in shape):
        return ", ".join(map(_text, shape))
    return f"({', '.join(map(str, shape))})"


def _bytes(count: int) -> str:
    size, units = float(count), ["B", "KiB", "MiB", "GiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.1f} {units[0]}" if units[0] != "B" else f"{count} B"


def _as_lists(shape: Any) -> Any:
    return [_as_lists(part) for part in shape] if isinstance(shape, tuple) else shape
