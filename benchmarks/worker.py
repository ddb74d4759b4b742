"""One contender in a process of its own: makes its work ready, and repeats it when told to.

Each line of standard input is a question in JSON, each line of standard output the answer: what the
work is, answered by the largest memory before it was made ready; how many times to repeat it,
answered by the seconds of each time, the page faults of all, and the largest memory.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = 7


def main() -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get among the answers
    work: Any = None
    try:
        for line in sys.stdin:
            question = json.loads(line)
            if "task" in question:
                work = None  # so that the memory of the last one can serve
                work, answer = _prepare(**question)
            else:
                answer = _repeat(work, question["times"])
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        answers.write(json.dumps({"error": text[:200]}) + "\n")
        answers.flush()


def _prepare(
    engine: str, task: str, data: dict[str, list[int]], options: dict[str, Any]
) -> tuple[Callable[[], object], dict[str, Any]]:
    module = importlib.import_module(f"benchmarks.engines.{engine}")
    arrays = draw(data)
    answer = {"peak": peak_memory()}
    return getattr(module, task)(**arrays, **options), answer


def _repeat(work: Callable[[], object], times: int) -> dict[str, Any]:
    before = page_faults()
    seconds = [_timed(work) for _ in range(times)]
    return {"seconds": seconds, "faults": page_faults() - before, "peak": peak_memory()}


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def draw(shapes: dict[str, list[int]]) -> dict[str, np.ndarray]:
    """Draw arrays: float32 from the normal distribution; integers where the name is labels."""
    rng = np.random.default_rng(0)
    return {
        name: rng.integers(0, CLASSES, shape)
        if name == "labels"
        else rng.standard_normal(shape, np.float32)
        for name, shape in shapes.items()
    }


def page_faults() -> int:
    """Return how many pages the process was given so far without reading them from a disk."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def peak_memory() -> int:
    """Return the largest memory that the process has had, in bytes.

    Linux counts in ``ru_maxrss`` the process that this one was started from as well; so its own
    counter comes first.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    main()
