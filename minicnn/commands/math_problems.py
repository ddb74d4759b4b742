"""Work out both problem sheets with the project's own functions, every result checked."""

from __future__ import annotations

from collections.abc import Sequence

from minicnn import backend
from minicnn.commands import problem_sheet_1, problem_sheet_2
from minicnn.commands.arguments import Parser, path, whole
from minicnn.commands.batch_norm_problem import batch_norm_gradients
from minicnn.commands.exits import guarded, refuse_existing
from minicnn.commands.workings import Workings
from minicnn.files import atomic_write

__all__ = ["main"]

DISAGREES = 1  # the exit code where a result is not what it should be


def main(arguments: Sequence[str] | None = None, *, program: str = "math_problems") -> int:
    """Print the worked-out sheets.

    Returns
    -------
    int
        The exit code: 0; 1 where a result disagrees; 2 for an error.
    """
    return guarded(program, lambda: _run(arguments, program))


def _run(arguments: Sequence[str] | None, program: str) -> int:
    given = _parser(program).parse_args(arguments)
    if given.output is not None:
        refuse_existing([given.output], overwrite=given.overwrite)
    work = Workings()
    work.heading("Two problem sheets, worked out", 1)
    with backend.use("numpy"):
        problem_sheet_1.counting(work)
        problem_sheet_1.principal_axes(work)
        problem_sheet_2.output_sizes(work)
        batch_norm_gradients(work, seed=given.seed)
        problem_sheet_2.cross_entropy_gradients(work, seed=given.seed)
    text = work.text()
    if given.output is None:
        print(text, end="")
    else:
        with atomic_write(given.output) as file:
            file.write(text)
        good = work.checks - len(work.failures)
        print(f"{good} of {work.checks} results agree; wrote {given.output}")
    return DISAGREES if work.failures else 0


def _parser(program: str) -> Parser:
    parser = Parser(
        prog=program,
        description="Work out two problem sheets step by step: parameters, operations and output "
        "sizes of convolutions, a principal component analysis, and the gradients of batch "
        "normalisation and of softmax with cross-entropy. Every result stands beside the "
        "published one, or beside autograd's and difference quotients.",
        notes=("exit code: 0; 1 where a result disagrees; 2 for an error",),
        examples=("", "--output sheets.md"),
    )
    add = parser.add_argument
    add("--output", metavar="FILE.md", type=path, help="write the text there, as Markdown")
    add("--overwrite", action="store_true", help="replace that file where it exists")
    add("--seed", type=whole(0), default=0, metavar="S", help="of the gradients' numbers (0)")
    return parser
