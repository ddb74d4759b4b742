"""The command line of an experiment, and its plan, from which it can be gone on with."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.commands.arguments import Parser, path
from minicnn.commands.exits import guarded, printer
from minicnn.commands.reporting import require_report
from minicnn.commands.train_arguments import add_options, take_request
from minicnn.errors import OptionError
from minicnn.files import read_json
from minicnn.report.run_files import PLAN
from minicnn.training.interrupt import terminable

__all__ = ["Plan", "experiment_main", "experiment_parser"]


@dataclass(frozen=True)
class Plan:
    """What an experiment was asked for.

    Attributes
    ----------
    kind : str
        Of the experiment.
    settings : dict
        Its own options, as JSON can hold them.
    given : dict
        The training options that were named; all runs have them.
    out : Path
    resume, overwrite, quiet, report : bool
    program : str
    """

    kind: str
    settings: dict[str, Any]
    given: dict[str, Any]
    out: Path
    resume: bool
    overwrite: bool
    quiet: bool
    report: bool
    program: str

    def say(self, text: str) -> None:
        """Print a line, unless nothing is to be printed."""
        printer(quiet=self.quiet)(text)


def experiment_parser(
    program: str, description: str, examples: Sequence[str], *, omit: Sequence[str]
) -> Parser:
    """Return a parser with the options of a training run, but for some, and without defaults."""
    parser = Parser(
        prog=program,
        usage="%(prog)s [options]",
        description=description,
        examples=examples,
        argument_default=argparse.SUPPRESS,
    )
    add_options(parser, omit=("--out", "--folds", "--teacher", "--distillation", *omit))
    parser.add_argument(
        "--out",
        "--output",
        metavar="DIR",
        type=path,
        default=None,
        help="folder for all that is written, with a run folder for each network",
    )
    return parser


def experiment_main(
    kind: str,
    parser: Parser,
    arguments: Sequence[str] | None,
    run: Callable[[Plan], None],
    *,
    defaults: Mapping[str, Any],
    folder: Callable[[dict[str, Any]], str],
) -> int:
    """Run an experiment from a command line.

    Parameters
    ----------
    kind : str
        Of the experiment.
    parser : Parser
        From :func:`experiment_parser`, with the experiment's own options.
    arguments : sequence of str, optional
    run : callable
        Does what a plan says.
    defaults : mapping
        Of the experiment's own options.
    folder : callable
        The settings to the folder that is used unless one is named.

    Returns
    -------
    int
        The exit code: 0; 2 for an error; 130 where a signal ended it.
    """
    plan: Plan | None = None

    def job() -> int:
        nonlocal plan
        given = vars(parser.parse_args(arguments))
        # The training itself looks for NaN and infinity, and says where they arose.
        with terminable(), np.errstate(all="ignore"):
            plan = _planned(kind, parser.prog, given, defaults, folder)
            require_report(page=plan.report)
            run(plan)
        return 0

    def again() -> str:
        if plan is not None and (plan.out / PLAN).exists():
            return f"go on with: {parser.prog} --resume --out {shlex.quote(str(plan.out))}"
        return "nothing was trained yet"

    return guarded(parser.prog, job, again=again)


def _planned(
    kind: str,
    program: str,
    given: dict[str, Any],
    defaults: Mapping[str, Any],
    folder: Callable[[dict[str, Any]], str],
) -> Plan:
    """Complete what a command line asks for: by what is stored, else by the defaults."""
    request = take_request(given)
    own = {name: given.pop(name) for name in tuple(given) if name in defaults}
    out = Path(request["out"] or folder({**defaults, **own}))
    if request["resume"]:
        stored = _stored(out, kind)
        for name, value in own.items():
            before = stored["settings"].get(name)
            if value != before:
                raise OptionError(
                    f"--{name} {_shown(value)}: the experiment in {out} was begun with "
                    f"{_shown(before)}; resume it without this option, or choose another --out"
                )
        own, given = stored["settings"], {**stored["given"], **given}
    settings = {**defaults, **own}
    return Plan(kind, settings, given, program=program, **{**request, "out": out})


def _shown(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def _stored(out: Path, kind: str) -> dict[str, Any]:
    """Read the plan of an experiment of this kind.

    Raises
    ------
    OptionError
        There is none, or one of another kind.
    DataError
        It cannot be read, or is damaged.
    """
    file = out / PLAN
    if not file.is_file():
        raise OptionError(f"{out}: holds no experiment to resume; leave --resume out to begin one")
    plan = read_json(file, ({"kind": str, "settings": dict, "given": dict}, {}))
    found = plan["kind"]
    if found != kind:
        raise OptionError(f"{out}: holds an experiment {found}, not {kind}; choose another --out")
    return plan
