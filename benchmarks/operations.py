"""Every costed operation over a sweep of sizes, against its counts and the machine's ceilings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

import minicnn
from benchmarks.machine import ceilings
from benchmarks.options import Options
from benchmarks.results import markdown
from benchmarks.roofline import plot
from benchmarks.statistics import measure
from benchmarks.workloads import costed, workloads
from minicnn.autograd import OPERATIONS, Operation, Sample
from minicnn.ops.conv import ALGORITHMS

__all__ = ["REPEAT", "names", "run", "table"]

REPEAT = 5
SIZES = tuple(2**power for power in range(10, 26, 2))
QUICK_SIZES = (2**10, 2**14, 2**18)
BRIEF = ("conv2d", "linear", "batch_norm", "max_pool2d")


def names() -> tuple[str, ...]:
    """Return the operations that compute anything."""
    return tuple(name for name, operation in OPERATIONS.items() if costed(operation))


def run(options: Options) -> dict[str, Any]:
    """Measure the forward of the operations, and draw the roofline."""
    found = ceilings(options.repeat)
    print("ceilings: {gemm:.0f} GFLOP/s, {copy:.1f} GB/s".format(**found), flush=True)
    rows = []
    for name in options.only:
        samples = list(workloads(OPERATIONS[name], QUICK_SIZES if options.quick else SIZES))
        for sample in samples[-1:] if options.quick and name.startswith("conv") else samples:
            for algorithm, chosen in _algorithms(name, sample):
                rows.append(_row(OPERATIONS[name], chosen, algorithm, found, options.repeat))
        print(f"{name}: {rows[-1]['seconds'] * 1e3:.3g} ms at {rows[-1]['shapes']}", flush=True)
    plot(rows, found, options.output / "roofline.png")
    return {"rows": rows, "ceilings": found}


def _algorithms(name: str, sample: Sample) -> Iterator[tuple[str | None, Sample]]:
    # Each algorithm of a convolution has its own count; "auto" takes one of them.
    if not name.startswith("conv2d"):
        yield None, sample
        return
    for algorithm in ALGORITHMS:
        yield algorithm, Sample(sample.inputs, **{**sample.options, "algorithm": algorithm})


def _row(
    operation: type[Operation],
    sample: Sample,
    algorithm: str | None,
    found: dict[str, float],
    repeat: int,
) -> dict[str, Any]:
    own = None if algorithm == "auto" else operation.cost(*sample.inputs, **sample.options).flops
    textbook = {name: value for name, value in sample.options.items() if name != "algorithm"}
    counted = operation.cost(*sample.inputs, **textbook)
    inputs = [_draw(sample, position) for position in range(len(sample.inputs))]
    with minicnn.no_grad():
        output = operation.apply(*inputs, **sample.options)
        seconds = measure(lambda: operation.apply(*inputs, **sample.options), repeat)
    moved = output.data.nbytes + sum(getattr(each, "nbytes", 0) for each in inputs)
    gflops = None if own is None else own / seconds / 1e9
    return {
        "operation": operation.name,
        "algorithm": algorithm,
        "shapes": " ".join(map(_shape, sample.inputs)),
        "seconds": seconds,
        **asdict(counted),
        "own_flops": own,
        "textbook_gflops": counted.flops / seconds / 1e9,
        "own_gflops": gflops,
        "gemm_share": None if gflops is None else gflops / found["gemm"],
        "bytes": moved,
        "copy_share": moved / seconds / 1e9 / found["copy"],
    }


def _draw(sample: Sample, position: int) -> Any:
    # Not by Sample.arrays, which orders all values: that takes its time with millions of them.
    shape, rng = sample.inputs[position], np.random.default_rng(position)
    if not isinstance(shape, tuple):
        return shape
    if position in sample.integers:
        return rng.integers(0, sample.integers[position], shape)
    low, high = sample.domain
    return np.float32(low) + np.float32(high - low) * rng.random(shape, np.float32)


def _shape(shape: Any) -> str:
    return "x".join(map(str, shape)) if isinstance(shape, tuple) else str(shape)


def table(result: dict[str, Any], *, brief: bool = False) -> str:
    """Return the table as Markdown: with ``brief``, of some layers' operations."""
    rows = [row for row in result["rows"] if not brief or row["operation"] in BRIEF]
    columns = ["operation", "inputs", "ms", "multiplications", "additions", "comparisons"]
    columns += ["functions", "GFLOP/s, textbook", "own count", "% of GEMM", "% of copy"]
    lines = (
        [
            " ".join(filter(None, (row["operation"], row["algorithm"]))),
            row["shapes"],
            row["seconds"] * 1e3,
            row["multiplications"],
            row["additions"],
            row["comparisons"],
            row["functions"],
            row["textbook_gflops"] or None,
            row["own_gflops"] or None,
            (row["gemm_share"] or 0) * 100 or None,
            row["copy_share"] * 100,
        ]
        for row in rows
    )
    return (
        f"{markdown(columns, lines)}\n\nThe ceilings of this machine: "
        "{gemm:.0f} GFLOP/s (a float32 product of two matrices of 2048 rows) and {copy:.1f} GB/s "
        "(a copy, read and written bytes). Counts are the textbook's; % of GEMM goes by the "
        "algorithm's own. Arrays that fit a cache move faster than the copy.".format(
            **result["ceilings"]
        )
    )
