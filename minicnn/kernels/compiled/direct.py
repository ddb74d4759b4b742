"""Convolution with few numbers in a patch, such as that of a grey image: without patches in memory.

The code is written out for a number of taps (the numbers in a patch) and of filters: each output
position multiplies its taps with the rows of the filter matrix. The gradient in the filters adds up
four positions at a time, so that the sums are read and written less often.
"""

from __future__ import annotations

import functools
from typing import Any

from minicnn.kernels.compiled.jit import built

__all__ = ["convolution", "filter_gradient"]

_TOGETHER = 4  # positions


@functools.cache
def convolution(kernel: int, run: int, stride: int, step: int, filters: int) -> Any:
    """Compile the convolution of padded images.

    Parameters
    ----------
    kernel : int
        Rows of the kernel.
    run : int
        Numbers in a row of a patch: columns of the kernel times channels.
    stride : int
        Rows from one output to the next.
    step : int
        Numbers from one output to the next: the columns of the stride times channels.
    filters : int

    Returns
    -------
    function(x, w, bias, slope, lowest, y)
        Sets y (N, OH, OW, O) from padded images x (N, H, W * C) and flat filters.
    """
    taps = kernel * run
    sums = " + ".join(f"s{t} * w[{t * filters} + k]" for t in range(taps))
    return built(
        __name__,
        __file__,
        "convolution",
        "x, w, bias, slope, lowest, y",
        [
            "images, rows, columns, _ = y.shape",
            "for image in range(images):",
            "    for i in range(rows):",
            *_rows(kernel, stride),
            "        for j in range(columns):",
            *_taps(kernel, run, f"j * {step}", "s"),
            "            target = y[image, i, j]",
            f"            for k in range({filters}):",
            f"                value = bias[k] + {sums}",
            "                value = lowest if value < lowest else value",
            "                target[k] = value if value > 0 else value * slope",
        ],
    )


@functools.cache
def filter_gradient(kernel: int, run: int, stride: int, step: int, filters: int) -> Any:
    """Compile the gradient in the filters and the bias; for the parameters see `convolution`.

    Returns
    -------
    function(x, gy, y, slope, total, sums)
        Adds to the float64 arrays total, flat, and sums.
    """
    size = kernel * run * filters
    return built(
        __name__,
        __file__,
        "filter_gradient",
        "x, gy, y, slope, total, sums",
        [
            "images, rows, columns, _ = y.shape",
            f"part, bias = empty({size}, float32), empty({filters}, float32)",
            f"most = columns - columns % {_TOGETHER}",
            "for image in range(images):",
            "    for i in range(rows):",
            *_rows(kernel, stride),
            "        part[:] = 0",
            "        bias[:] = 0",
            f"        for j in range(0, most, {_TOGETHER}):",
            *_added(kernel, run, step, filters, _TOGETHER),
            "        for j in range(most, columns):",
            *_added(kernel, run, step, filters, 1),
            f"        for k in range({size}):",
            "            total[k] += part[k]",
            f"        for k in range({filters}):",
            "            sums[k] += bias[k]",
        ],
    )


def _rows(kernel: int, stride: int) -> list[str]:
    # Views r0, r1, ... of the image's rows under the kernel.
    return [f"        r{a} = x[image, i * {stride} + {a}]" for a in range(kernel)]


def _taps(kernel: int, run: int, start: str, name: str) -> list[str]:
    # The numbers of a patch.
    return [
        f"            {name}{a * run + b} = r{a}[{start} + {b}]"
        for a in range(kernel)
        for b in range(run)
    ]


def _added(kernel: int, run: int, step: int, filters: int, together: int) -> list[str]:
    # What some neighbouring positions add to the sums.
    lines = []
    for p in range(together):
        lines += _taps(kernel, run, f"(j + {p}) * {step}", f"s{p}_")
        lines += [f"            g{p}, y{p} = gy[image, i, j + {p}], y[image, i, j + {p}]"]
    lines += [f"            for k in range({filters}):"]
    for p in range(together):
        lines += [f"                v{p} = g{p}[k] if y{p}[k] > 0 else g{p}[k] * slope"]
    lines += ["                bias[k] += " + " + ".join(f"v{p}" for p in range(together))]
    for t in range(kernel * run):
        terms = " + ".join(f"s{p}_{t} * v{p}" for p in range(together))
        lines += [f"                part[{t * filters} + k] += {terms}"]
    return lines
