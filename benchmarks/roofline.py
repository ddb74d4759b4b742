"""The roofline plot: how fast operations are, over how much they compute for each byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.errors import OptionError
from minicnn.report.figures import COLORS, new_figure, require_matplotlib, save_figure

__all__ = ["plot"]

# By how a name begins: label and marker.
FAMILIES = {
    "conv": ("convolutions", "o"),
    "linear matmul": ("products", "s"),
    "batch_norm standardize scale_shift avg_pool2d": ("norms, pooling", "^"),
    "": ("all others", "x"),
}


def plot(rows: Sequence[Mapping[str, Any]], ceilings: Mapping[str, float], path: Path) -> None:
    """Draw the roofline as a PNG file; without matplotlib print that it is left out.

    Parameters
    ----------
    rows : sequence of mapping
        ``operation``, ``own_flops``, ``own_gflops`` and ``bytes`` of each measurement.
    ceilings : mapping
        ``gemm`` in GFLOP/s and ``copy`` in GB/s.
    path : Path
    """
    try:
        require_matplotlib()
    except OptionError as error:
        print(f"left out: the roofline ({error})")
        return
    figure = new_figure(8, 5)
    axes = figure.subplots()
    shown = [row for row in rows if row["own_flops"]]
    for color, (family, (label, marker)) in zip(COLORS, FAMILIES.items(), strict=False):
        found = [row for row in shown if _family(row["operation"]) == family]
        x, y = [_intensity(row) for row in found], [row["own_gflops"] for row in found]
        axes.plot(x, y, marker, color=color, label=label, markersize=5, alpha=0.8)
    intensities = [_intensity(row) for row in shown] or [1.0]
    line = np.geomspace(min(intensities) / 2, max(*intensities, 100.0) * 2, 200)
    roof = np.minimum(ceilings["gemm"], line * ceilings["copy"])
    text = "roof: {gemm:.0f} GFLOP/s, {copy:.1f} GB/s".format(**ceilings)
    axes.plot(line, roof, color="black", label=text)
    axes.set(
        title="Forward of minicnn's operations under the roof of this machine",
        xlabel="Operations for each byte of inputs and outputs (FLOP/byte)",
        ylabel="Speed by the algorithm's own count (GFLOP/s)",
        xscale="log",
        yscale="log",
    )
    axes.grid(color="0.9", which="major")
    axes.set_axisbelow(True)
    axes.legend()
    save_figure(figure, path)


def _intensity(row: Mapping[str, Any]) -> float:
    return row["own_flops"] / row["bytes"]


def _family(name: str) -> str:
    return next(
        family
        for family in FAMILIES
        if not family or any(name.startswith(start) for start in family.split())
    )
