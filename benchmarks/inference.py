"""Latency of one image and throughput of many, import time and installed size, beside the peers."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.contenders import ALL, FLOAT32, OURS, find
from benchmarks.contest import Contest, present
from benchmarks.machine import installed_size
from benchmarks.options import Options
from benchmarks.results import markdown
from benchmarks.translation import describe
from minicnn import zoo

__all__ = ["CONTENDERS", "REPEAT", "names", "run", "table"]

REPEAT = 7
CONTENDERS = (OURS, "minicnn-numpy", *FLOAT32, "onnxruntime")
NETWORKS = ("residual_cnn", "avgpool_cnn", "deep_vgg", "wide_cnn", "vgg16_bn", "three_stage_cnn")
INPUT_SHAPE = (48, 48, 1)
BATCH = 64
PACKAGES = {
    "Python alone": (),
    "minicnn": ("minicnn",),
    "minicnn and Numba": ("minicnn", "numba"),
    "PyTorch": ("torch",),
    "onnxruntime": ("onnxruntime",),
}
LABELS = {each.name: each.label for each in ALL}


def names() -> tuple[str, ...]:
    """Return the networks."""
    return NETWORKS


def run(options: Options) -> dict[str, Any]:
    """Measure the networks one after the other, the contenders in turns."""
    rows = []
    with Contest(present(find(options.contenders or CONTENDERS))) as contest:
        for name in options.only:
            network: dict[str, Any] = {"name": name, "input_shape": INPUT_SHAPE}
            work = {"network": network, "layers": describe(zoo.build(**network))}
            row: dict[str, Any] = {"network": name}
            for key, batch in (("latency_ms", 1), ("images_per_second", BATCH)):
                data = {"images": (batch, *INPUT_SHAPE)}
                found = contest.measure("predict", data, work, repeat=options.repeat)
                row[key] = {
                    each: result.median * 1e3 if batch == 1 else batch / result.median
                    for each, result in found.items()
                }
            rows.append(row)
            times = [f"{LABELS[each]} {value:.2f}" for each, value in row["latency_ms"].items()]
            print(f"{name}, ms for one image: {', '.join(times)}", flush=True)
    return {"rows": rows, "packages": packages(options.repeat)}


def packages(repeat: int) -> list[dict[str, Any]]:
    """Return the import time and the installed size of what is installed of :data:`PACKAGES`.

    Parameters
    ----------
    repeat : int
        How often each is imported, in turns, each time by a new process.
    """
    found = {label: names for label, names in PACKAGES.items() if all(map(find_spec, names))}
    times: dict[str, list[float]] = {label: [] for label in found}
    for _ in range(repeat):
        for label, names in found.items():
            code = "\n".join(f"import {name}" for name in names)
            start = perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
            times[label].append(perf_counter() - start)
    return [
        {
            "package": label,
            "import_seconds": median(times[label]),
            "installed_bytes": installed_size(*names),
        }
        for label, names in found.items()
    ]


def table(result: dict[str, Any], *, brief: bool = False) -> str:
    """Return both tables as Markdown."""
    rows = result["rows"]
    took_part = [n for n in LABELS if any(n in row["latency_ms"] for row in rows)]
    titles = {"latency_ms": "ms for one image", "images_per_second": f"images/s, batch {BATCH}"}
    tables = [
        markdown(
            [f"network, {title}", *(LABELS[name] for name in took_part)],
            ([row["network"], *(row[key].get(name) for name in took_part)] for row in rows),
        )
        for key, title in titles.items()
    ]
    size = markdown(
        ["package", "seconds to start Python and import it", "MB installed, with requirements"],
        (
            [each["package"], each["import_seconds"], each["installed_bytes"] / 1e6 or None]
            for each in result["packages"]
        ),
    )
    return "\n\n".join([*tables, size])
