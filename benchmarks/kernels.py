"""Single convolution layers, forward and with all three gradients, beside PyTorch's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.contenders import FLOAT32, OURS, find
from benchmarks.contest import Contender, Contest, present
from benchmarks.options import Options
from benchmarks.results import markdown, spread
from benchmarks.statistics import ratio

__all__ = ["REPEAT", "names", "run", "table"]

REPEAT = 7
# Batch, size of the images, channels in and out, size of the kernel.
LAYERS = (
    (128, 48, 1, 64, 5),
    (128, 24, 32, 64, 3),
    (128, 12, 64, 128, 3),
    (128, 6, 128, 256, 3),
    (128, 12, 256, 256, 3),
    (32, 48, 64, 64, 3),
    (32, 24, 128, 128, 3),
    (32, 12, 512, 512, 3),
    (32, 6, 512, 512, 3),
    (32, 24, 64, 64, 5),
)


def _name(n: int, size: int, c: int, o: int, k: int) -> str:
    return f"{n}x{size}x{size}x{c}-{o}-{k}x{k}"


def names() -> tuple[str, ...]:
    """Return the layers: batch, height, width and channels of the images, filters, kernel."""
    return tuple(_name(*layer) for layer in LAYERS)


def run(options: Options) -> dict[str, Any]:
    """Measure minicnn and PyTorch's two layouts in turns."""
    rows, contenders = [], present(find((OURS, *FLOAT32)))
    with Contest(contenders) as contest:
        for layer in LAYERS:
            if _name(*layer) in options.only:
                rows.append(_row(contest, *layer, options=options))
                print(_line(rows[-1], contenders), flush=True)
    return {"rows": rows}


def _row(
    contest: Contest, n: int, size: int, c: int, o: int, k: int, *, options: Options
) -> dict[str, Any]:
    n = n // 4 if options.quick else n
    x, w, y = (n, size, size, c), (k, k, c, o), (n, size, size, o)
    gflop = 2 * n * size * size * k * k * c * o / 1e9
    row: dict[str, Any] = {"layer": _name(n, size, c, o, k), "gflop": gflop}
    for kind, backward in (("forward", False), ("both", True)):
        data, work = {"x": x, "w": w, "b": (o,), "gy": y}, {"backward": backward}
        found = contest.measure("convolution", data, work, repeat=options.repeat)
        row |= {f"{kind}_{each}_ms": found[each].median * 1e3 for each in found}
        layouts = [each for each in FLOAT32 if each in found]
        if layouts and OURS in found:
            best = min(layouts, key=lambda each: found[each].median)
            row[f"{kind}_ratio"] = ratio(found[best].seconds, found[OURS].seconds)
    return row


def _line(row: dict[str, Any], contenders: Sequence[Contender]) -> str:
    keys = {each.label: f"forward_{each.name}_ms" for each in contenders}
    times = [f"{label} {row[key]:.1f}" for label, key in keys.items() if key in row]
    return f"{row['layer']}, ms forward: {', '.join(times)}"


def table(result: dict[str, Any], *, brief: bool = False) -> str:
    """Return the table as Markdown."""

    def cells(row: dict[str, Any], kind: str) -> list[Any]:
        layouts = [row.get(f"{kind}_{each}_ms") for each in FLOAT32]
        found = row.get(f"{kind}_ratio")
        best = min((each for each in layouts if each is not None), default=None)
        return [row.get(f"{kind}_minicnn_ms"), best, spread(found)]

    columns = ["layer", "direct GFLOP"]
    for kind in ("forward", "forward + backward"):
        columns += [f"{kind}: {each}" for each in ("minicnn ms", "PyTorch ms", "ratio")]
    rows = (
        [row["layer"], row["gflop"], *cells(row, "forward"), *cells(row, "both")]
        for row in result["rows"]
    )
    note = "PyTorch's better layout; ratios above 1: minicnn is faster."
    return f"{markdown(columns, rows)}\n\n{note}"
