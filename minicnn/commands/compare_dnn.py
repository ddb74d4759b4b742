"""Train a convolutional network and its dense counterpart, and compare them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minicnn.commands.experiment_plan import Plan, experiment_main, experiment_parser
from minicnn.commands.experiments import Finished, train_all, write_reports, write_table
from minicnn.commands.tables import text_table
from minicnn.files import write_json
from minicnn.report.comparison import Curves, plot_curves

__all__ = ["main"]

KIND = "compare_dnn"
RESULTS = ("comparison.json", "comparison.csv", "figures/comparison.png", "report.html")


# A convolutional network and its dense counterpart, with the validation accuracies reported.
SYSTEMS: dict[str, dict[str, float | None]] = {
    "B": {"avgpool_cnn": 0.70, "avgpool_dnn": None},
    "C": {"wide_cnn": 0.6296, "plain_dnn": 0.2655},
    "D": {"vgg16_bn": 0.70, "deep_dnn": 0.5},
}


def main(arguments: Sequence[str] | None = None, *, program: str = KIND) -> int:
    """Compare as a command line says; return the exit code: 0, 2 for an error, 130 if stopped."""
    return experiment_main(
        KIND,
        _parser(program),
        arguments,
        _compare,
        defaults={"system": "B"},
        folder=lambda settings: f"runs/compare-{settings['system'].lower()}",
    )


def _compare(plan: Plan) -> None:
    reported = SYSTEMS[plan.settings["system"]]
    cnn, dnn = train_all(plan, {name: {"model": name} for name in reported}, RESULTS)
    content = {
        "system": plan.settings["system"],
        "data": cnn.options.data,
        "runs": [cnn.row, dnn.row],
        "difference": {
            "accuracy": cnn.row["accuracy"] - dnn.row["accuracy"],
            # Of a difference of two independent numbers.
            "standard_error": math.hypot(cnn.row["standard_error"], dnn.row["standard_error"]),
            "macro_f1": cnn.row["macro_f1"] - dnn.row["macro_f1"],
            "parameters": cnn.row["parameters"] - dnn.row["parameters"],
        },
        "reported": reported,
    }
    write_table(plan.out / "comparison.csv", [cnn.row, dnn.row])
    (plan.out / "figures").mkdir(exist_ok=True)
    plot_curves(
        [Curves(_label(run), run.history, run.row["best_epoch"]) for run in (cnn, dnn)],
        plan.out / "figures" / "comparison.png",
        title=f"System {plan.settings['system']}: convolutional and dense network"
        + ("" if cnn.options.data is not None else ", on drawn faces"),
    )
    write_json(plan.out / "comparison.json", content)
    plan.say(_text(reported, cnn, dnn, content["difference"], plan.out))
    write_reports(plan, [cnn, dnn])


def _label(run: Finished) -> str:
    return f"{run.name}, {run.row['parameters'] / 1e6:.2f} M parameters"


def _text(
    reported: dict[str, float | None],
    cnn: Finished,
    dnn: Finished,
    difference: dict[str, Any],
    out: Path,
) -> str:
    header = ("network", "parameters", "epochs", "best", "validation accuracy", "macro F1",
              "training accuracy", "reported")  # fmt: skip
    rows = [
        (
            run.name,
            *(run.row[name] for name in ("parameters", "epochs", "best_epoch")),
            *(f"{run.row[name]:.4f}" for name in ("accuracy", "macro_f1", "train_accuracy")),
            None
            if run.options.data is None or reported[run.name] is None
            else f"{reported[run.name]:.4f}",
        )
        for run in (cnn, dnn)
    ]
    gain, spread = difference["accuracy"], difference["standard_error"]
    which = "ahead of" if gain > 0 else "behind" if gain < 0 else "level with"
    doubt = ", which is within the noise" if abs(gain) <= 2 * spread else ""
    return "\n".join(
        [
            "",
            text_table(header, rows),
            "",
            f"{cnn.name} is {which} {dnn.name} by {abs(gain):.4f} (standard error {spread:.4f})"
            f"{doubt}; everything is in {out}",
        ]
    )


def _parser(program: str) -> Any:
    parser = experiment_parser(
        program,
        "Train a convolutional network and a dense one with the same options, a run folder for "
        "each, and compare them: comparison.json, comparison.csv, figures/comparison.png.",
        (
            "--data fer2013.csv.gz --system B --epochs 20 --out runs/compare-b",
            "--resume --out runs/compare-b",
        ),
        omit=("--model",),
    )
    systems = "; ".join(f"{name}: {' and '.join(each)}" for name, each in SYSTEMS.items())
    parser.add_argument("--system", choices=tuple(SYSTEMS), help=f"{systems} (B)")
    return parser
