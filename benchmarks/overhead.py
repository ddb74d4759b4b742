"""What recording costs: one elementwise operation on ten numbers, and the way back through it."""

from __future__ import annotations

from typing import Any

from benchmarks.contenders import OURS, find
from benchmarks.contest import Contest, present
from benchmarks.options import Options
from benchmarks.results import markdown, spread
from benchmarks.statistics import ratio

__all__ = ["REPEAT", "names", "run", "table"]

REPEAT = 9
COUNT = 10
LOOPS = 1000  # operations in one repetition
OPERATIONS = ("add", "multiply", "relu")


def names() -> tuple[str, ...]:
    """Return the operations."""
    return OPERATIONS


def run(options: Options) -> dict[str, Any]:
    """Measure minicnn and PyTorch in turns."""
    data, rows = {"a": (COUNT,), "b": (COUNT,)}, []
    with Contest(present(find((OURS, "torch")))) as contest:
        for name in options.only:
            work = {"operation": name, "loops": LOOPS}
            found = contest.measure("elementwise", data, work, repeat=options.repeat)
            row: dict[str, Any] = {"operation": name}
            row |= {f"{each}_us": found[each].median / LOOPS * 1e6 for each in found}
            if OURS in found and "torch" in found:
                row["ratio"] = ratio(found[OURS].seconds, found["torch"].seconds)
            rows.append(row)
    return {"rows": rows}


def table(result: dict[str, Any], *, brief: bool = False) -> str:
    """Return the table as Markdown."""
    return markdown(
        ["operation", "minicnn, us", "PyTorch, us", "minicnn / PyTorch (below 1 is faster)"],
        (
            [
                row["operation"],
                row.get("minicnn_us"),
                row.get("torch_us"),
                spread(row.get("ratio")),
            ]
            for row in result["rows"]
        ),
    )
