"""Train a convolutional network and its dense counterpart, and compare them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from minicnn.commands.experiment_plan import Plan, experiment_main, experiment_parser
from minicnn.commands.experiments import Finished, train_all, write_reports, write_table
from minicnn.commands.tables import text_table
from minicnn.files import write_json
from minicnn.report.comparison import Curves, plot_curves

__all__ = ["main"]

KIND = "compare_dnn"
RESULTS = ("comparison.json", "comparison.csv", "figures/comparison.png", "report.html")


class _System(NamedTuple):
    """A convolutional network, its dense counterpart, and the validation accuracies reported."""

    cnn: str
    dnn: str
    reported: dict[str, float | None]


SYSTEMS = {
    "B": _System("avgpool_cnn", "avgpool_dnn", {"avgpool_cnn": 0.70, "avgpool_dnn": None}),
    "C": _System("wide_cnn", "plain_dnn", {"wide_cnn": 0.6296, "plain_dnn": 0.2655}),
    "D": _System("vgg16_bn", "deep_dnn", {"vgg16_bn": 0.70, "deep_dnn": 0.5}),
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
    system = SYSTEMS[plan.settings["system"]]
    runs = {name: {"model": name} for name in (system.cnn, system.dnn)}
    cnn, dnn = train_all(plan, runs, RESULTS)
    content = _content(plan, system, cnn, dnn)
    write_table(plan.out / "comparison.csv", [cnn.row, dnn.row])
    (plan.out / "figures").mkdir(exist_ok=True)
    plot_curves(
        [Curves(_label(run), run.history, run.row["best_epoch"]) for run in (cnn, dnn)],
        plan.out / "figures" / "comparison.png",
        title=f"System {plan.settings['system']}: convolutional and dense network"
        + ("" if cnn.options.data is not None else ", on drawn faces"),
    )
    write_json(plan.out / "comparison.json", content)
    plan.say(_text(system, cnn, dnn, content["difference"], plan.out))
    write_reports(plan, [cnn, dnn])


def _label(run: Finished) -> str:
    return f"{run.name}, {run.row['parameters'] / 1e6:.2f} M parameters"


def _content(plan: Plan, system: _System, cnn: Finished, dnn: Finished) -> dict[str, Any]:
    return {
        "system": plan.settings["system"],
        "data": cnn.options.data,
        "runs": [cnn.row, dnn.row],
        "difference": {
            "accuracy": cnn.row["accuracy"] - dnn.row["accuracy"],
            "standard_error": _both(cnn.row["standard_error"], dnn.row["standard_error"]),
            "macro_f1": cnn.row["macro_f1"] - dnn.row["macro_f1"],
            "parameters": cnn.row["parameters"] - dnn.row["parameters"],
        },
        "reported": system.reported,
    }


def _both(first: float, second: float) -> float:
    """Return the standard error of a difference of two independent numbers."""
    return (first**2 + second**2) ** 0.5


def _text(
    system: _System, cnn: Finished, dnn: Finished, difference: dict[str, Any], out: Path
) -> str:
    header = ("network", "parameters", "epochs", "best", "validation accuracy", "macro F1",
              "training accuracy", "reported")  # fmt: skip
    rows = []
    for run in (cnn, dnn):
        row = run.row
        reported = None if run.options.data is None else system.reported[run.name]
        rows.append(
            (
                run.name,
                row["parameters"],
                row["epochs"],
                row["best_epoch"],
                f"{row['accuracy']:.4f}",
                f"{row['macro_f1']:.4f}",
                f"{row['train_accuracy']:.4f}",
                None if reported is None else f"{reported:.4f}",
            )
        )
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
    systems = "; ".join(f"{name}: {each.cnn} and {each.dnn}" for name, each in SYSTEMS.items())
    parser.add_argument("--system", choices=tuple(SYSTEMS), help=f"{systems} (B)")
    return parser
