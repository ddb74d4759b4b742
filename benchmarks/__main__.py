"""The command line: python -m benchmarks COMMAND, from the project's root."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import (
    inference,
    kernels,
    operations,
    overhead,
    report,
    results,
    scaling,
    train_step,
)
from benchmarks.options import Options, chosen
from minicnn import backend
from minicnn.commands.arguments import Parser, path, whole
from minicnn.commands.exits import guarded
from minicnn.kernels.compiled import enabled
from minicnn.training.interrupt import terminable

PROGRAM = "python -m benchmarks"
COMMANDS = {
    "train_step": train_step,
    "operations": operations,
    "scaling": scaling,
    "inference": inference,
    "overhead": overhead,
    "kernels": kernels,
}
RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one benchmark, print its table, and write it as JSON and Markdown.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.

    Returns
    -------
    int
        The exit code: 0, 2 for an error (one line on stderr says what it is), 130 where a signal
        ended it.
    """
    return guarded(PROGRAM, lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    given = vars(_parser().parse_args(arguments))
    command = given.pop("command")
    folder = Path(given.pop("output"))
    if command == "report":
        wanted = chosen("--only", given["only"], COMMANDS)
        print(report.write(folder, {name: COMMANDS[name] for name in wanted}))
        return 0
    module = COMMANDS[command]
    named = given.pop("contenders", None)
    options = Options(
        only=chosen("--only", given["only"], module.names()),
        contenders=chosen("--contenders", named, module.CONTENDERS) if named else (),
        quick=given["quick"],
        repeat=given["repeat"] or (2 if given["quick"] else module.REPEAT),
        output=folder,
    )
    enabled()  # refuses now what would stop the measurement later
    results.make_folder(folder)
    with terminable():
        backend.use("numpy")
        result = module.run(options)
    print("\n" + results.write(command, module.table(result), result, options))
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog=PROGRAM,
        description="Measure minicnn beside its peers. Each command writes a JSON file and a "
        "Markdown table. Contenders that are not installed are left out, with a line that says so. "
        "All use the cores that the process may use: choose them with taskset.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        summary = (module.__doc__ or "").splitlines()[0]
        sub = _command(commands, name, summary, f"some of: {', '.join(module.names())}")
        sub.add_argument("--repeat", type=whole(1), metavar="N", help=f"default: {module.REPEAT}")
        sub.add_argument("--quick", action="store_true", help="smaller, shorter, fewer peers")
        if hasattr(module, "CONTENDERS"):
            listed = f"some of: {', '.join(module.CONTENDERS)}"
            sub.add_argument("--contenders", nargs="+", metavar="NAME", help=listed)
    summary = (report.__doc__ or "").splitlines()[0]
    sub = _command(commands, "report", summary, f"some of: {', '.join(COMMANDS)}")
    sub.set_defaults(only=None)
    return parser


def _command(commands: object, name: str, summary: str, only: str) -> Parser:
    parser = commands.add_parser(name, help=summary, description=summary)  # type: ignore[attr-defined]
    parser.add_argument("--only", nargs="+", metavar="NAME", help=only)
    parser.add_argument(
        "--output", type=path, default=RESULTS, metavar="DIR", help="default: benchmarks/results"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
