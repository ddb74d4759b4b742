"""Training as a page shows it: curves over the epochs, comparisons of runs, how to repeat them."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minicnn.report.page.charts import Chart, Series, line_chart
from minicnn.report.page.texts import points
from minicnn.report.run_files import Experiment, RunFiles
from minicnn.training.history import History, mean_history

__all__ = ["compared_of", "curves_of", "repeat_of", "run_title"]

QUANTITIES = ("accuracy", "loss")
TRAIN, VALIDATION = 0, 1  # looks: blue and vermilion


def curves_of(files: RunFiles) -> dict[str, Any]:
    """Return the charts of accuracy and loss, and the table of epochs."""
    histories = files.histories
    history = histories[0] if len(histories) == 1 else mean_history(histories)
    best = None if files.metrics is None else files.metrics.get("best_epoch")
    fold = None if files.metrics is None else files.metrics.get("weights_of_fold")
    charts = [_history_chart(history, histories, quantity, best) for quantity in QUANTITIES]
    seconds = [each for history in histories for each in history.column("seconds")]
    return {
        "charts": [chart for chart in charts if chart is not None],
        "missing": [
            quantity for quantity, chart in zip(QUANTITIES, charts, strict=True) if chart is None
        ],
        "fold": fold,
        "rows": list(history),
        "best": best,
        "folds": len(histories) if len(histories) > 1 else 0,
        "stopped_early": None if files.metrics is None else files.metrics.get("stopped_early"),
        "seconds": sum(each for each in seconds if each is not None and math.isfinite(each)),
    }


def _history_chart(
    history: History, histories: Sequence[History], quantity: str, best: int | None
) -> Chart | None:
    epochs = history.column("epoch")
    series = []
    if len(histories) > 1:
        series += [
            Series(f"fold {number}", each.column("epoch"), each.column(f"validation_{quantity}"),
                   look=VALIDATION, faint=True, listed=False)
            for number, each in enumerate(histories, 1)
        ]  # fmt: skip
    series += [
        Series("training", epochs, history.column(f"train_{quantity}"), TRAIN, dashed=True),
        Series("validation", epochs, history.column(f"validation_{quantity}"), VALIDATION),
    ]
    return _chart(series, quantity, mark=None if best is None else (best, f"best epoch, {best}"))


def _chart(
    series: Sequence[Series], quantity: str, mark: tuple[float, str] | None = None
) -> Chart | None:
    # None where no number is finite: the training diverged, or had no epoch.
    if not any(y is not None and math.isfinite(y) for each in series for y in each.y):
        return None
    share = quantity == "accuracy"
    return line_chart(
        series,
        title=quantity.capitalize(),
        x_label="Epoch",
        y_label="Share that is right" if share else "Cross-entropy",
        y_percent=share,
        mark=mark,
    )


def run_title(name: str) -> str:
    """Return the name of an experiment's run as people read it."""
    return name.replace("_", ", ").replace("-", " ") if "normalize-" in name else name


def compared_of(experiment: Experiment, here: str | None = None) -> dict[str, Any]:
    """Return the comparison that an experiment gives.

    Parameters
    ----------
    experiment : Experiment
    here : str, optional
        The run whose page it is.
    """
    rows = experiment.results["runs"]
    reported = experiment.results.get("reported") or {}
    charts = []
    for quantity in QUANTITIES:
        series = []
        for number, (name, history) in enumerate(experiment.histories.items()):
            epochs = history.column("epoch")
            for part, dashed in (("train", True), ("validation", False)):
                label = run_title(name) + (", training" if dashed else "")
                values = history.column(f"{part}_{quantity}")
                series.append(
                    Series(label, epochs, values, number, dashed=dashed, listed=not dashed)
                )
        charts.append(_chart(series, quantity))
    return {
        "kind": experiment.kind,
        "sentence": sentence_of(experiment),
        # An experiment writes its own page last, after those of its runs.
        "page": "../report.html" if here and experiment.plan.get("report") else None,
        "rows": [
            {
                **row,
                "title": run_title(row["run"]),
                "here": row["run"] == here,
                "reported": reported.get(row["run"]) if experiment.results.get("data") else None,
                "page": None if here else _page_of(experiment.folder, row["run"]),
            }
            for row in rows
        ],
        "has_reported": any(reported.values()) and bool(experiment.results.get("data")),
        "charts": [chart for chart in charts if chart is not None],
        "effects": _effects(experiment.results.get("effects", [])),
    }


def sentence_of(experiment: Experiment) -> str:
    """Return in one sentence what an experiment shows."""
    if experiment.kind == "compare_dnn":
        cnn, dnn = experiment.results["runs"]
        gain = experiment.results["difference"]["accuracy"]
        spread = experiment.results["difference"]["standard_error"]
        which = "ahead of" if gain > 0 else "behind" if gain < 0 else "level with"
        doubt = ", which is within the noise" if abs(gain) <= 2 * spread else ""
        return (
            f"{cnn['run']} ({cnn['accuracy']:.1%}) is {which} {dnn['run']} "
            f"({dnn['accuracy']:.1%}), a dense network of {dnn['parameters']:,} parameters beside "
            f"{cnn['parameters']:,}, by {100 * abs(gain):.1f} points (standard error "
            f"{100 * spread:.1f}){doubt}."
        )
    told = []
    for effect in experiment.results["effects"]:
        if effect["where"] == "all" or not _has_mean(experiment, effect):
            clear = "" if effect["clear"] else ", within the noise"
            told.append(
                f"{effect['factor']} {effect['level']} instead of {effect['against']} changes it "
                f"by {points(effect['accuracy'])} points (standard error "
                f"{100 * effect['standard_error']:.1f}{clear})"
            )
    return f"What changes the validation accuracy: {'; '.join(told)}."


def _has_mean(experiment: Experiment, effect: Mapping[str, Any]) -> bool:
    return any(
        other["where"] == "all" and (other["factor"], other["level"])
        == (effect["factor"], effect["level"])
        for other in experiment.results["effects"]
    )  # fmt: skip


def _page_of(folder: Path, run: str) -> str | None:
    # Where the page of a run lies, as seen from that of its experiment.
    return f"{run}/report.html" if (folder / run / "report.html").is_file() else None


def _effects(effects: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    # Each with its place in a bar of 100 units, whose middle is no effect.
    reach = max(
        (max(abs(each["accuracy"]) + 2 * each["standard_error"], abs(each.get("reported") or 0))
         for each in effects),
        default=0.0,
    )  # fmt: skip
    scale = 48 / reach if reach else 0.0
    rows = []
    for each in effects:
        other = "augment" if each["factor"] == "normalize" else "normalize"
        place = f"mean over {other}" if each["where"] == "all" else f"{other} {each['where']}"
        spread, reported = 2 * each["standard_error"], each.get("reported")
        rows.append(
            {
                **each,
                "name": f"{each['factor']} {each['against']} → {each['level']}",
                "place": place,
                "at": 50 + scale * each["accuracy"],
                "low": 50 + scale * (each["accuracy"] - spread),
                "high": 50 + scale * (each["accuracy"] + spread),
                "reported": reported,
                "reported_at": None if reported is None else 50 + scale * reported,
            }
        )
    return rows


def repeat_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the command that repeats a run or an experiment, its options, and its versions."""
    options = {**(config.get("settings") or {}), **(config.get("options") or {})}
    options |= config.get("given") or {}
    machine: dict[str, Any] = {}
    for name, value in (config.get("machine") or {}).items():
        if isinstance(value, dict):  # environment variables: those that are set
            machine |= {key: each for key, each in value.items() if each is not None}
        else:
            machine[name.replace("_", " ")] = value
    return {
        "command": _lines(config.get("command")),
        "options": {name.replace("_", " "): _shown(value) for name, value in options.items()},
        "sha256": (config.get("data") or {}).get("sha256"),
        "versions": config.get("versions") or {},
        "machine": machine,
    }


def _lines(command: str | None) -> str:
    # One option a line, so that it can be read on a narrow page, and still be copied.
    if not command:
        return ""
    try:
        words = shlex.split(command)
    except ValueError:  # no command of a shell
        return command
    lines: list[list[str]] = [[]]
    for word in words:
        if word.startswith("--"):
            lines.append([])
        lines[-1].append(shlex.quote(word))
    return " \\\n  ".join(" ".join(line) for line in lines)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
