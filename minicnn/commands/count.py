"""Count what each layer of a network holds and costs: ``minicnn count``."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from typing import Any

from minicnn import zoo
from minicnn.autograd import Cost
from minicnn.commands.arguments import Parser
from minicnn.commands.exits import guarded
from minicnn.commands.layer_words import GRAMMAR, is_layer_word, model_of_words
from minicnn.commands.models import add_network_options, named_network
from minicnn.commands.tables import byte_size, text_table, write_csv
from minicnn.errors import OptionError
from minicnn.inspect.summarize import summary
from minicnn.inspect.table import LayerSummary
from minicnn.nn.conv import Conv2d, ConvTranspose2d
from minicnn.nn.linear import Linear
from minicnn.nn.module import Module

__all__ = ["main"]

SHAPE = (48, 48, 1)
COLUMNS = (
    *("layer", "type", "output_shape", "parameters", "trainable", "multiplications"),
    *("additions", "bias_additions", "comparisons", "functions", "parameter_bytes"),
    "activation_bytes",
)


def main(arguments: Sequence[str] | None = None, *, program: str = "count") -> int:
    """Print the counts that a command line asks for; return the exit code, 0 or 2."""
    return guarded(program, lambda: _run(arguments, program))


def _run(arguments: Sequence[str] | None, program: str) -> int:
    given = vars(_parser(program).parse_args(arguments))
    words = given["layers"]
    if all(map(is_layer_word, words)):
        if given["option"] or given["classes"] is not None:
            raise OptionError("--classes and --option are for a network's name, not for layers")
        shape = given["input"] or SHAPE
        model, name = model_of_words(words, shape), " ".join(words)
    elif len(words) == 1 and ":" not in words[0]:
        model = named_network(words[0], given)
        shape, name = model.input_shape, model.name
    else:
        wrong = next(word for word in words if not is_layer_word(word))
        raise OptionError(
            f"{wrong!r} is no layer; give one network's name, or layers: " + ", ".join(GRAMMAR)
        )
    rows = counted(model, shape)
    if given["json"]:
        content = {"model": name, "input_shape": list(shape), "layers": rows[:-1]}
        print(json.dumps({**content, "total": rows[-1]}, indent=2))
    elif given["csv"]:
        text = io.StringIO()
        write_csv(text, COLUMNS, [[_plain(row[name]) for name in COLUMNS] for row in rows])
        print(text.getvalue(), end="")
    else:
        print(f"{name}, for one input of {'x'.join(map(str, shape))}\n\n{_text(rows)}")
    return 0


def counted(model: Module, shape: Sequence[int]) -> list[dict[str, Any]]:
    """Return the counts of each layer, and as the last row those of all together.

    Parameters
    ----------
    model : Module
    shape : sequence of int
        (H, W, C) of one input.

    Returns
    -------
    list of dict
        With :data:`COLUMNS`. Additions are those of the products alone, as problem sheet 1 counts
        them; those of the biases have a column of their own.
    """
    table = summary(model, shape)
    modules = dict(model.named_modules())
    rows = [_row(layer, _bias_additions(modules[layer.name], layer)) for layer in table.layers]
    total = _row(table.total, sum(row["bias_additions"] for row in rows))
    return [*rows, total]


def _row(layer: LayerSummary, bias: int) -> dict[str, Any]:
    counts = layer.counts()
    counts["additions"] -= bias
    shape = None if layer.output_shape is None else list(layer.output_shape[1:])
    row = {"layer": layer.name, "type": layer.kind, "output_shape": shape, "bias_additions": bias}
    return {name: {**counts, **row}[name] for name in COLUMNS}


def _bias_additions(module: Module, layer: LayerSummary) -> int:
    # One for each number that comes out.
    adds = isinstance(module, (Conv2d, ConvTranspose2d, Linear)) and module.bias is not None
    return math.prod(layer.output_shape[1:]) if adds and layer.output_shape else 0


def _plain(value: Any) -> Any:
    return "x".join(map(str, value)) if isinstance(value, list) else value


def _text(rows: list[dict[str, Any]]) -> str:
    header = ("layer", "type", "output", "parameters", "multiplications", "additions", "of biases",
              "parameter memory", "result memory")  # fmt: skip
    numbers = ("parameters", "multiplications", "additions", "bias_additions")
    cells = [
        (
            row["layer"],
            row["type"],
            _plain(row["output_shape"]) if row["output_shape"] else "",
            *(row[name] or None for name in numbers),
            byte_size(row["parameter_bytes"]),
            byte_size(row["activation_bytes"]),
        )
        for row in rows
    ]
    total = Cost(rows[-1]["multiplications"], rows[-1]["additions"])
    return "\n".join(
        [
            text_table(header, cells, left=3, has_total=True),
            "",
            f"{total.flops:,} multiplications and additions; another "
            f"{rows[-1]['bias_additions']:,} additions of biases, {rows[-1]['comparisons']:,} "
            f"comparisons and {rows[-1]['functions']:,} evaluations of exp, sqrt and the like",
            "one forward pass in evaluation mode, by textbook formulas; memory of the parameters "
            "and of the layers' results",
        ]
    )


def _parser(program: str) -> Parser:
    parser = Parser(
        prog=program,
        description="Count parameters, output sizes, multiplications, additions and memory of each "
        "layer: of a network by its name, or of layers that you describe.",
        notes=(
            "layers, in the order in which they run:",
            *(f"  {usage}" for usage in GRAMMAR),
            "sizes are 3 or 3x1 (height, width), paddings also same or valid, bias is yes or no",
        ),
        examples=(
            "wide_cnn",
            "--input 8x8x5 conv:6,2x2,stride=3 conv:4,2x2,stride=3",
            "--input 48x48x1 conv:32,3,padding=same batchnorm relu maxpool:2 dense:7 --csv",
        ),
    )
    parser.add_argument(
        "layers",
        metavar="NETWORK|LAYER",
        nargs="+",
        help=f"one of {', '.join(zoo.names())}, a run folder or a file of weights; or layers as "
        "described below",
    )
    add_network_options(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print everything as JSON")
    form.add_argument("--csv", action="store_true", help="print everything as csv")
    return parser
