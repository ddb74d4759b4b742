"""Time of a training step against batch size, image size, width and depth of a small network."""

from __future__ import annotations

from typing import Any

import numpy as np

import minicnn
from benchmarks.options import Options
from benchmarks.results import markdown, number
from benchmarks.statistics import exponent, measure
from minicnn import inspect, nn, ops, optim

__all__ = ["REPEAT", "names", "run", "table"]

REPEAT = 7
USUAL = {"batch": 32, "image": 24, "width": 32, "depth": 4}
SWEEPS = {
    "batch": (8, 16, 32, 64, 128),
    "image": (12, 24, 48, 96),
    "width": (16, 32, 64, 128),
    "depth": (2, 4, 8, 16),
}


def names() -> tuple[str, ...]:
    """Return what is varied."""
    return tuple(SWEEPS)


def run(options: Options) -> dict[str, Any]:
    """Measure each sweep, and fit exponents to the times and to the counts."""
    rows = []
    for name in options.only:
        sizes = SWEEPS[name][:3] if options.quick else SWEEPS[name]
        points = [_point(repeat=options.repeat, **{**USUAL, name: size}) for size in sizes]
        seconds, flops = zip(*points, strict=True)
        rows.append(
            {
                "varied": name,
                "sizes": sizes,
                "seconds": seconds,
                "forward_flops": flops,
                "fitted": exponent(sizes, seconds),
                "analytic": exponent(sizes, flops),
            }
        )
        print(f"{name}: fitted {rows[-1]['fitted']:.2f}, analytic {rows[-1]['analytic']:.2f}")
    return {"rows": rows, "usual": USUAL}


def network(width: int, depth: int) -> nn.Sequential:
    """Return so many 3x3 convolutions with so many filters, each with ReLU, and a dense layer."""
    layers: list[nn.Module] = []
    for layer in range(depth):
        layers += [nn.Conv2d(width if layer else 1, width, 3, padding=1, rng=layer), nn.ReLU()]
    return nn.Sequential(*layers, nn.GlobalAvgPool2d(), nn.Linear(width, 7, rng=depth))


def _point(*, batch: int, image: int, width: int, depth: int, repeat: int) -> tuple[float, int]:
    # The seconds of a training step, and the multiplications and additions of its forward pass.
    model, rng = network(width, depth), np.random.default_rng(0)
    optimizer = optim.Adam(model.parameters())
    shape = (image, image, 1)
    x = minicnn.tensor(rng.standard_normal((batch, *shape), np.float32))
    y = minicnn.tensor(rng.integers(0, 7, batch))

    def step() -> None:
        optimizer.zero_grad()
        ops.cross_entropy(model(x), y).backward()
        optimizer.step()

    return measure(step, repeat), batch * inspect.summary(model, shape).cost.flops


def table(result: dict[str, Any], *, brief: bool = False) -> str:
    """Return the table as Markdown."""
    usual = ", ".join(f"{name} {size}" for name, size in result["usual"].items())
    rows = (
        [
            row["varied"],
            ", ".join(map(str, row["sizes"])),
            ", ".join(number(seconds * 1e3) for seconds in row["seconds"]),
            f"{row['fitted']:.2f}",
            f"{row['analytic']:.2f}",
        ]
        for row in result["rows"]
    )
    columns = ["varied", "sizes", "ms a step", "fitted exponent", "analytic exponent"]
    return f"{markdown(columns, rows)}\n\nOtherwise: {usual}. The analytic exponent is fitted to " \
        "the textbook count of multiplications and additions."  # fmt: skip
