"""Show a network's layers with output shapes, parameters and operations: ``minicnn summary``."""

from __future__ import annotations

import json
from collections.abc import Sequence

from minicnn import zoo
from minicnn.commands.arguments import Parser
from minicnn.commands.exits import guarded
from minicnn.commands.models import NAME_HELP, add_network_options, named_network
from minicnn.inspect.summarize import summary

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None, *, program: str = "summary") -> int:
    """Print a network's summary as a command line says; return the exit code, 0 or 2."""
    return guarded(program, lambda: _run(arguments, program))


def _run(arguments: Sequence[str] | None, program: str) -> int:
    given = vars(_parser(program).parse_args(arguments))
    network = named_network(given["network"], given)
    table = summary(network)
    if given["json"]:
        content = {"model": network.name, "arguments": network.arguments, **table.to_dict()}
        print(json.dumps(content, indent=2))
    else:
        print(f"{network.name}: {zoo.describe(network.name)}\n\n{table}")
    return 0


def _parser(program: str) -> Parser:
    parser = Parser(
        prog=program,
        description="Print a network layer by layer: output shape, parameters, multiplications, "
        "additions and FLOPs, and their totals.",
        examples=("vgg16_bn", "three_stage_cnn --input 96x96x3 --json", "runs/b"),
    )
    parser.add_argument(
        "network",
        metavar="NETWORK",
        help=f"one of {', '.join(zoo.names())}; or a run folder, a file of weights, or {NAME_HELP}",
    )
    add_network_options(parser)
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser
