"""Training steps of the systems A to E and their dense networks, beside the peers."""

from __future__ import annotations

from typing import Any, NamedTuple

from benchmarks.contenders import ALL, FLOAT32, OURS, find
from benchmarks.contest import Contest, Result, present
from benchmarks.options import Options
from benchmarks.results import markdown, number, spread
from benchmarks.statistics import ratio
from benchmarks.translation import describe
from minicnn import inspect, zoo

__all__ = ["CONTENDERS", "REPEAT", "names", "run", "table"]

REPEAT = 7
CONTENDERS = tuple(each.name for each in ALL if each.name != "onnxruntime")
QUICK = (OURS, "minicnn-numpy", *FLOAT32, "torch-bf16")
RATIOS = {
    "ratio": "minicnn_ratio",
    "without Numba": "minicnn-numpy_ratio",
    "against bf16": "bf16_ratio",
}
MEMORY = ("ratio, net / in all", "page faults a step", "first step, s", "GFLOP")
SPEED_NOTE = (
    "A step: forward in training mode, mean cross-entropy, backward, Adam (PyTorch's fused one, "
    "but for its default one); who takes more than 4 s for it has one turn. Ratios are of images/s "
    "against the better float32 layout of PyTorch, or against bf16: median (least to most) over "
    "the repetitions; above 1, minicnn is faster. PyTorch in bf16, compiled, and with its default "
    "Adam has channels last."
)
MEMORY_NOTE = (
    "Peak memory of each contender's own process; net of what it had after the imports (Numba's "
    "with minicnn) and the making of the data, so that compiling counts. The ratio is "
    "against the better float32 layout of PyTorch; page faults and the first step, in which some "
    "compile, are minicnn's. GFLOP: of one image forward, by the textbook count."
)
LABELS = {each.name: each.label for each in ALL}


class System(NamedTuple):
    """A letter of the report, its batch size, and that of ``--quick``."""

    letter: str
    batch: int
    quick_batch: int
    input_shape: tuple[int, int, int] = (48, 48, 1)


SYSTEMS = {
    "residual_cnn": System("", 64, 64),
    "deep_vgg": System("A", 128, 64),
    "avgpool_cnn": System("B", 128, 128),
    "avgpool_dnn": System("B", 128, 128),
    "wide_cnn": System("C", 32, 32),
    "plain_dnn": System("C", 32, 32),
    "vgg16_bn": System("D", 32, 32),
    "deep_dnn": System("D", 32, 32),
    "three_stage_cnn": System("E", 32, 32),
}


def names() -> tuple[str, ...]:
    """Return the networks."""
    return tuple(SYSTEMS)


def run(options: Options) -> dict[str, Any]:
    """Measure the networks one after the other, the contenders in turns."""
    usual = QUICK if options.quick else CONTENDERS
    contenders = present(find(options.contenders or usual))
    rows = []
    for name in options.only:
        system = SYSTEMS[name]
        batch = system.quick_batch if options.quick else system.batch
        network: dict[str, Any] = {"name": name, "input_shape": system.input_shape}
        model = zoo.build(**network)
        data = {"images": (batch, *system.input_shape), "labels": (batch,)}
        work = {"network": network, "layers": describe(model)}
        with Contest(contenders) as contest:  # each time with new processes, for their memory
            found = contest.measure("train_step", data, work, repeat=options.repeat)
        summary = inspect.summary(model)
        row = {
            "network": name,
            "system": system.letter,
            "batch": batch,
            "parameters": summary.trainable,
            "forward_gflop": summary.cost.flops / 1e9,
            "contenders": {name: _measured(result, batch) for name, result in found.items()},
            **_ratios(found),
        }
        rows.append(row)
        print(_line(row), flush=True)
    return {"rows": rows}


def _measured(result: Result, batch: int) -> dict[str, Any]:
    return {
        "images_per_second": batch / result.median,
        "seconds": result.seconds,
        "first_seconds": result.first,
        "peak_bytes": result.peak,
        "net_bytes": result.net,
        "page_faults": result.faults,
    }


def _ratios(found: dict[str, Result]) -> dict[str, Any]:
    layouts = [name for name in FLOAT32 if name in found]
    if not layouts or OURS not in found:
        return {}
    best = min(layouts, key=lambda name: found[name].median)
    ratios = {
        f"{name}_ratio": ratio(found[best].seconds, found[name].seconds)
        for name in (OURS, "minicnn-numpy")
        if name in found
    }
    memory = [
        getattr(found[OURS], kind) / max(min(getattr(found[name], kind) for name in layouts), 1)
        for kind in ("net", "peak")
    ]
    bfloat16 = found.get("torch-bf16")
    if bfloat16:
        ratios["bf16_ratio"] = ratio(bfloat16.seconds, found[OURS].seconds)
    return {"best_float32": best, "memory_ratios": memory, **ratios}


def _line(row: dict[str, Any]) -> str:
    speeds = [
        f"{LABELS[name]} {each['images_per_second']:.1f}"
        for name, each in row["contenders"].items()
    ]
    told = f"; ratio {spread(row['minicnn_ratio'])}" if "minicnn_ratio" in row else ""
    return f"{row['network']} (batch {row['batch']}), images/s: {', '.join(speeds)}{told}"


def table(result: dict[str, Any], *, brief: bool = False) -> str:
    """Return the speeds and, unless it shall be brief, the memory, as Markdown."""
    rows = result["rows"]
    took_part = [name for name in LABELS if any(name in row["contenders"] for row in rows)]
    labels = [LABELS[name] for name in took_part]
    speed = markdown(
        ["network, images/s", "batch", *labels, *RATIOS],
        (
            [
                _name(row),
                row["batch"],
                *(_of(row, name, "images_per_second") for name in took_part),
                *(spread(row.get(key)) for key in RATIOS.values()),
            ]
            for row in rows
        ),
    )
    speed += f"\n\n{SPEED_NOTE}"
    if brief:
        return speed
    memory = markdown(
        ["network, MB net / in all", *labels, *MEMORY],
        (
            [
                _name(row),
                *(_memory(row, name) for name in took_part),
                " / ".join(map(number, row["memory_ratios"])) if "memory_ratios" in row else None,
                _of(row, OURS, "page_faults"),
                _of(row, OURS, "first_seconds"),
                row["forward_gflop"],
            ]
            for row in rows
        ),
    )
    return f"{speed}\n\n{memory}\n\n{MEMORY_NOTE}"


def _of(row: dict[str, Any], contender: str, key: str) -> Any:
    return row["contenders"].get(contender, {}).get(key)


def _memory(row: dict[str, Any], contender: str) -> str | None:
    sizes = [_of(row, contender, key) for key in ("net_bytes", "peak_bytes")]
    return None if None in sizes else " / ".join(number(size / 1e6) for size in sizes)


def _name(row: dict[str, Any]) -> str:
    return f"{row['system']} {row['network']}".strip()
