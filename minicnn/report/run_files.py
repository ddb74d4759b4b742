"""Read back what a training run, or an experiment of several, left in its folder."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minicnn import zoo
from minicnn.errors import DataError
from minicnn.files import Keys, checked, damaged, read_json
from minicnn.training.history import History, read_histories
from minicnn.training.metrics import Scores
from minicnn.zoo.network import Network

__all__ = [
    "PLAN",
    "Experiment",
    "RunFiles",
    "experiment_around",
    "read_experiment",
    "read_run",
]

CONFIG, HISTORY, WEIGHTS = "config.json", "history.csv", "weights.safetensors"
METRICS = "metrics.json"
PLAN = "experiment.json"
RESULTS = {"compare_dnn": "comparison.json", "ablation": "ablation.json"}  # by kind

# What must be in these files, and what may be.
NUMBER = (int, float)
CONFIG_KEYS: Keys = (
    {"options": dict},
    {"command": str, "data": dict, "versions": dict, "machine": dict},
)
METRICS_KEYS: Keys = (
    {"splits": dict},
    {"model": str, "best_epoch": int, "stopped_early": str, "data": str, "folds": list,
     "validation_source": str, "weights_of_fold": int, "views": dict, "splits_of_views": dict},
)  # fmt: skip
PLAN_KEYS: Keys = (
    {"kind": str, "runs": list},
    {"command": str, "settings": dict, "given": dict, "versions": dict},
)
RESULTS_KEYS: dict[str, Keys] = {
    "compare_dnn": ({"runs": list, "difference": dict}, {"reported": dict}),
    "ablation": ({"runs": list, "effects": list}, {"reported": dict}),
}
ROW_KEYS: Keys = (
    {"run": str, "parameters": int, "best_epoch": int, "epochs": int}
    | dict.fromkeys(
        ("accuracy", "standard_error", "macro_f1", "train_accuracy", "seconds"), NUMBER
    ),
    {},
)
DIFFERENCE_KEYS: Keys = ({"accuracy": NUMBER, "standard_error": NUMBER}, {})
EFFECT_KEYS: Keys = (
    dict.fromkeys(("factor", "level", "against", "where"), str)
    | {"accuracy": NUMBER, "standard_error": NUMBER, "clear": bool},
    {"reported": NUMBER},
)


@dataclass(frozen=True, eq=False)
class RunFiles:
    """What lies in the folder of a training run.

    Attributes
    ----------
    folder : Path
    config : dict
        Options, data, versions and the command that repeats it.
    histories : list of History
        One; of a cross-validated run, that of each fold.
    network : Network
        Of the best epoch; of a cross-validated run, of the best fold.
    metrics : dict or None
        None of a run that has not come to its end.
    splits : dict of str to Scores
        What the run achieved on each split, and of a cross-validated one, on each fold; empty of a
        run that has not come to its end.
    views : dict of str to Scores
        What it achieved by the mean of several views of each face, where it was asked for them.
    """

    folder: Path
    config: dict[str, Any]
    histories: list[History]
    network: Network
    metrics: dict[str, Any] | None
    splits: dict[str, Scores]
    views: dict[str, Scores] = field(default_factory=dict)

    @property
    def scores(self) -> Scores | None:
        """What the run achieved on its validation images."""
        return self.splits.get("validation")


@dataclass(frozen=True, eq=False)
class Experiment:
    """What lies in the folder of an experiment that has come to its end.

    Attributes
    ----------
    folder : Path
    plan : dict
        Kind, settings, options, versions, the runs' names and the command that repeats it.
    results : dict
        The runs as rows, and what their comparison gives.
    histories : dict of str to History
        Of each run.
    scores : dict of str to Scores
        Of each run, on its validation images.
    source : str
        Of the faces.
    """

    folder: Path
    plan: dict[str, Any]
    results: dict[str, Any]
    histories: dict[str, History]
    scores: dict[str, Scores]
    source: str

    @property
    def kind(self) -> str:
        """Which experiment it is: ``compare_dnn`` or ``ablation``."""
        return self.plan["kind"]


def read_run(folder: str | os.PathLike[str]) -> RunFiles:
    """Read the folder of a training run.

    Raises
    ------
    DataError
        The configuration, the history or the weights are missing (the message says which of them),
        or a file is damaged.
    CheckpointError
        The weights cannot be read.
    """
    path = Path(folder)
    if not path.is_dir():
        raise DataError(f"{path}: there is no such folder; give the folder of a training run")
    missing = [name for name in (CONFIG, HISTORY, WEIGHTS) if not (path / name).is_file()]
    if missing:
        *most, last = missing
        listed = f"{', '.join(most)} and {last}" if most else last
        raise DataError(
            f"{path}: the run is incomplete, it lacks {listed}; let it end an epoch, or train a "
            "network into the folder"
        )
    config = read_json(path / CONFIG, CONFIG_KEYS)
    network = zoo.load(path / WEIGHTS)
    histories = read_histories(path / HISTORY)
    metrics, splits = _read_metrics(path / METRICS) if (path / METRICS).is_file() else (None, {})
    views = _read_views(path / METRICS, metrics or {})
    files = RunFiles(path, config, histories, network, metrics, splits, views)
    _refuse_other_runs(files)
    return files


def _refuse_other_runs(files: RunFiles) -> None:
    # Files that were copied together from several runs.
    network, metrics = files.network, files.metrics or {}
    for name, model in (
        (CONFIG, files.config["options"].get("model")), (METRICS, metrics.get("model"))
    ):  # fmt: skip
        if model not in (None, network.name):
            raise DataError(
                f"{files.folder}: {name} is of {model}, {WEIGHTS} of {network.name}; put back the "
                "files of one run"
            )
    classes = network.arguments["num_classes"]
    for split, scores in (*files.splits.items(), *files.views.items()):
        if len(scores.support) != classes:
            raise DataError(
                f"{files.folder}: {METRICS} has {len(scores.support)} classes ({split}), {WEIGHTS} "
                f"{classes}; put back the files of one run"
            )
    epochs, best = max(map(len, files.histories)), metrics.get("best_epoch") or 1
    if epochs and not 1 <= best <= epochs:
        raise DataError(
            f"{files.folder}: {METRICS} calls epoch {best} the best, {HISTORY} has {epochs}; put "
            "back the files of one run"
        )


def read_experiment(folder: str | os.PathLike[str]) -> Experiment | None:
    """Read the folder of an experiment; None where it is none.

    Raises
    ------
    DataError
        The experiment has not come to its end, or a file is missing or damaged.
    """
    path = Path(folder)
    if not (path / PLAN).is_file():
        return None
    plan = read_json(path / PLAN, PLAN_KEYS)
    if plan["kind"] not in RESULTS:
        raise DataError(f"{path / PLAN}: of an unknown experiment, {plan['kind']!r}")
    results = path / RESULTS[plan["kind"]]
    if not results.is_file():
        raise DataError(
            f"{path}: the experiment has not come to its end, it lacks {results.name}; go on with "
            "it by --resume"
        )
    content = _read_results(results, plan)
    histories = {name: read_histories(path / name / HISTORY)[0] for name in plan["runs"]}
    metrics = {name: _read_metrics(path / name / METRICS) for name in plan["runs"]}
    scores = {name: splits["validation"] for name, (_, splits) in metrics.items()}
    if len({len(each.support) for each in scores.values()}) > 1:
        raise DataError(f"{path}: its runs differ in their classes; put back those of one plan")
    source = next(iter(metrics.values()))[0].get("data") or ""
    return Experiment(path, plan, content, histories, scores, source)


def _read_results(file: Path, plan: dict[str, Any]) -> dict[str, Any]:
    # Each run of the plan has its row, with all that a page says of it.
    content = read_json(file, RESULTS_KEYS[plan["kind"]])
    rows = [checked(file, row, ROW_KEYS) for row in content["runs"]]
    names = [row["run"] for row in rows]
    if not names or names != plan["runs"]:
        raise DataError(
            f"{file}: is of the runs {_listed(names)}, {PLAN} of {_listed(plan['runs'])}; put back "
            "the files of one experiment"
        )
    if "difference" in content:
        if len(rows) != 2:
            raise damaged(file)
        checked(file, content["difference"], DIFFERENCE_KEYS)
    for effect in content.get("effects", []):
        checked(file, effect, EFFECT_KEYS)
    return content


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(map(str, names)) or "none"


def experiment_around(folder: str | os.PathLike[str]) -> Experiment | None:
    """Return the experiment of which a run is a part; None where there is none, or no result."""
    path = Path(folder).resolve()
    try:
        found = read_experiment(path.parent)
    except DataError:
        return None
    return found if found is not None and path.name in found.plan["runs"] else None


def _read_metrics(file: Path) -> tuple[dict[str, Any], dict[str, Scores]]:
    # The metrics of a run, and the scores of each split and fold.
    content = read_json(file, METRICS_KEYS)
    parts = dict(content["splits"])
    if "validation" not in parts:
        raise damaged(file)
    parts |= {f"fold {n}": each for n, each in enumerate(content.get("folds") or (), 1)}
    return content, {name: _scores(file, each) for name, each in parts.items()}


def _read_views(file: Path, metrics: dict[str, Any]) -> dict[str, Scores]:
    found = metrics.get("splits_of_views") or {}
    return {f"{split}, mean over views": _scores(file, each) for split, each in found.items()}


def _scores(file: Path, found: Any) -> Scores:
    try:
        matrix, loss = np.array(found["confusion_matrix"]), found["loss"]
    except (KeyError, TypeError, ValueError):
        raise damaged(file) from None
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] > 0
    if not square or matrix.dtype.kind != "i" or matrix.min() < 0:
        raise damaged(file)
    if loss is not None and not isinstance(loss, NUMBER):
        raise damaged(file)
    return Scores(matrix.astype(np.int64), loss)
