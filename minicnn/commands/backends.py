"""Tell what can be computed with here: ``minicnn backends``."""

from __future__ import annotations

import json
from collections.abc import Sequence

from minicnn import backend
from minicnn.commands.arguments import Parser
from minicnn.commands.exits import guarded
from minicnn.commands.run_folder import machine
from minicnn.commands.tables import text_table

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None, *, program: str = "backends") -> int:
    """Print each backend's state, which is chosen, and the threads; return the exit code."""
    return guarded(program, lambda: _run(arguments, program))


def _run(arguments: Sequence[str] | None, program: str) -> int:
    given = _parser(program).parse_args(arguments)
    probes = [backend.probe(name) for name in backend.NAMES]
    chosen = backend.choose()  # by MINICNN_BACKEND, as every command does
    found = machine()
    if given.json:
        content = {
            "backends": {
                probe.name: {"status": probe.status, "detail": probe.detail} for probe in probes
            },
            "chosen": chosen.name,
            "reason": chosen.reason,
            "machine": found,
        }
        print(json.dumps(content, indent=2))
        return 0
    rows = [(probe.name, probe.status, probe.detail) for probe in probes]
    print(text_table(("backend", "status", "what was found"), rows, left=3))
    print(f"\nchosen unless --backend says otherwise: {chosen.name} ({chosen.reason})")
    for probe in probes:
        if not probe.ok:
            print(f"to use {probe.name}: {probe.remedy}")
    print(f"threads: {found['threads_used']} of {found['cores']} cores (MINICNN_THREADS)")
    return 0


def _parser(program: str) -> Parser:
    parser = Parser(
        prog=program,
        description="Print which backends work here and why others do not, which one is chosen, "
        "and how many threads are used.",
        examples=("", "--json"),
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser
