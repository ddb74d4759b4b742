"""The command line ``minicnn``: its table of commands, of which only the one asked for is read."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence

import minicnn
from minicnn.commands.exits import guarded
from minicnn.errors import OptionError

__all__ = ["COMMANDS", "main"]

# Name: the module in minicnn.commands whose main() it runs, and what the help says of it.
COMMANDS = {
    "summary": ("summary", "a network's layers with output shapes, parameters and operations"),
    "count": ("count", "what each layer of a network, or of layers you describe, holds and costs"),
    "train": ("train_fer", "train a network on faces"),
    "evaluate": ("evaluate", "a trained network's scores on a split of the data"),
    "predict": ("predict", "the expressions on pictures, by a trained network"),
    "explain": ("explain_fer", "what a trained network looks at, as figures"),
    "report": ("report", "a run or an experiment on one page, to be opened in a browser"),
    "export": ("export", "a trained network as one small file, with where it is from"),
    "backends": ("backends", "what can be computed with here: NumPy, CuPy, threads"),
}


def main(arguments: Sequence[str] | None = None, *, program: str = "minicnn") -> int:
    """Run the command that the first argument names.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.
    program : str
        How it is called, for messages.

    Returns
    -------
    int
        The exit code: 0, 2 for an error (one line on stderr says what it is), and what else the
        command's own help says.
    """
    name, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]

    def job() -> int:
        if name in COMMANDS:
            module = importlib.import_module(f"minicnn.commands.{COMMANDS[name][0]}")
            return module.main(rest, program=f"{program} {name}")
        if name in ("--help", "-h"):
            print(_help(program))
        elif name == "--version":
            print(f"minicnn {minicnn.__version__}")
        else:
            near = difflib.get_close_matches(name, COMMANDS, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise OptionError(f"{name!r} is no command; {hint}choose one of {', '.join(COMMANDS)}")
        return 0

    return guarded(program, job)


def _help(program: str) -> str:
    width = max(map(len, COMMANDS)) + 2
    return "\n".join(
        [
            f"usage: {program} COMMAND [options]",
            "",
            "Build, count, train, evaluate and explain convolutional networks.",
            "",
            "commands:",
            *(f"  {name.ljust(width)}{text}" for name, (_, text) in COMMANDS.items()),
            "",
            f"{program} COMMAND --help tells more of each; --version tells this one's.",
            "",
            "examples:",
            f"  {program} summary vgg16_bn",
            f"  {program} train --data fer2013.csv.gz --model avgpool_cnn --out runs/b",
            f"  {program} predict runs/b portrait.jpg",
        ]
    )
