"""Let contenders take turns at a task, each in a process of its own that sleeps between turns.

Processes of their own keep the pools of threads apart: of two pools in one process, the threads of
one spin while the other works.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from minicnn.errors import DataError, OptionError
from minicnn.kernels.threads import thread_count

__all__ = ["Contender", "Contest", "Result", "present"]

ROOT = Path(__file__).resolve().parents[1]
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MINICNN_THREADS")
PATIENCE = 120.0  # seconds for one answer; compilers take their time
SETTLE = 0.2  # seconds after a turn, until the threads of the last one sleep
TURN = 0.5  # seconds that a turn should take, unless one repetition takes longer
MOST = 200  # repetitions in a turn
WARM = 2  # repetitions between the first one and those that count
SLOW = 4.0  # seconds of one repetition, from which on a contender has one turn only


@dataclass(frozen=True)
class Contender:
    """Who takes part.

    Attributes
    ----------
    name, label : str
        In options and files; in tables.
    engine : str
        The module in ``benchmarks/engines`` that does its work.
    package : str
        What must be installed for it.
    options : dict
        Given to the engine beside those of the task.
    environment : dict
        Variables that its process gets.
    """

    name: str
    label: str
    engine: str
    package: str = "numpy"
    options: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Result:
    """What was measured of a contender at a task.

    Attributes
    ----------
    first : float
        Seconds of the very first repetition, in which some compile.
    seconds : list of float
        Of one repetition: for each turn the median of its repetitions.
    peak, net : int
        Largest memory of the process so far in bytes, and how much of it came after the import and
        the making of the first task's data.
    faults : float
        Page faults of one repetition in the last turn.
    """

    first: float
    seconds: list[float] = field(default_factory=list)
    peak: int = 0
    net: int = 0
    faults: float = 0.0

    @property
    def median(self) -> float:
        """The median over the turns, in seconds."""
        return median(self.seconds)


class LeftOut(Exception):
    """A contender cannot take part; the text says why."""


class Worker:
    """The process of a contender, seen from outside; see :mod:`benchmarks.worker` for the inside.

    Attributes
    ----------
    result : Result
        Of the task that it was prepared for last.
    slow : bool
        Whether one turn must do.
    """

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self.result = Result(0.0)
        self.slow = False
        self._baseline: int | None = None
        self._times = 1
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=ROOT,
            env={
                **os.environ,
                **dict.fromkeys(THREADS, str(thread_count())),
                "MINICNN_BACKEND": "numpy",
                **contender.environment,
            },
        )

    def prepare(self, task: str, data: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        """Have the work made ready, warm it up, and find how often a turn repeats it."""
        options = {**options, **self.contender.options}
        engine = self.contender.engine
        ready = self._ask({"engine": engine, "task": task, "data": data, "options": options})
        self._baseline = self._baseline or ready["peak"]
        self.result = Result(first=self._ask({"times": 1})["seconds"][0])
        once = median(self._ask({"times": WARM})["seconds"])
        self._times = max(1, min(MOST, round(TURN / once)))
        self.slow = once > SLOW

    def turn(self) -> None:
        """Repeat the work until the turn is over, and add what was measured to the result."""
        answer, result = self._ask({"times": self._times}), self.result
        result.seconds.append(median(answer["seconds"]))
        result.faults = answer["faults"] / self._times
        result.peak, result.net = answer["peak"], answer["peak"] - (self._baseline or 0)

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        reader, writer = self._process.stdout, self._process.stdin
        assert reader is not None
        assert writer is not None
        try:
            writer.write(json.dumps(question).encode() + b"\n")
            writer.flush()
            if not select.select([reader], [], [], PATIENCE)[0]:
                raise LeftOut(f"no answer within {PATIENCE:.0f} seconds")
            line = reader.readline()
        except BrokenPipeError:
            line = b""
        answer = json.loads(line) if line else {"error": self._last_words()}
        if "error" in answer:
            raise LeftOut(answer["error"])
        return answer

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no message")
        return f"its process ended with code {self._process.wait()}: {last}"

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()


class Contest:
    """Contenders with their processes, from ``with`` to its end.

    Parameters
    ----------
    contenders : iterable of Contender
    """

    def __init__(self, contenders: Iterable[Contender]) -> None:
        self._workers = [Worker(contender) for contender in contenders]

    def __enter__(self) -> Contest:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._workers:
            worker.close()

    def measure(
        self,
        task: str,
        data: Mapping[str, Sequence[int]],
        options: Mapping[str, Any],
        *,
        repeat: int,
    ) -> dict[str, Result]:
        """Measure all contenders at one task, in turns, warm.

        Parameters
        ----------
        task : str
            The function of the engines that makes the work ready.
        data : mapping of str to sequence of int
            Shapes of the arrays that the function gets; ``labels`` are integers.
        options : mapping
            What else it gets; JSON can hold it.
        repeat : int
            How many turns each has. They go round, each time from the next one on.

        Returns
        -------
        dict of str to Result
            By name, without those that could not do it; a line was printed about each of these,
            and they take no part in what follows.

        Raises
        ------
        DataError
            None could do it.
        """
        for worker in list(self._workers):
            self._attempt(worker, "prepare", task, data, options)
        for turn in range(repeat):
            first = turn % max(len(self._workers), 1)
            for worker in self._workers[first:] + self._workers[:first]:
                if turn == 0 or not worker.slow:
                    time.sleep(SETTLE)
                    self._attempt(worker, "turn")
        if not self._workers:
            raise DataError(f"{task}: no contender could do it; the lines above say why")
        return {worker.contender.name: worker.result for worker in self._workers}

    def _attempt(self, worker: Worker, action: str, *arguments: Any) -> None:
        try:
            getattr(worker, action)(*arguments)
        except LeftOut as reason:
            print(f"left out: {worker.contender.label} ({reason})", flush=True)
            self._workers.remove(worker)
            worker.close()


def present(contenders: Iterable[Contender]) -> list[Contender]:
    """Return those whose package is installed, and print which packages are not.

    Raises
    ------
    OptionError
        None is.
    """
    found = []
    missing: dict[str, list[str]] = {}
    for contender in contenders:
        if find_spec(contender.package):
            found.append(contender)
        else:
            missing.setdefault(contender.package, []).append(contender.label)
    for package, labels in missing.items():
        print(f"left out: {', '.join(labels)} ({package} is not installed)", flush=True)
    if not found:
        raise OptionError(f"no contender is left; install one of {', '.join(missing)}")
    return found
