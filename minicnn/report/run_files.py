"""Read back what a training run, or an experiment of several, left in its folder."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minicnn import zoo
from minicnn.errors import DataError
from minicnn.training.history import History, read_histories
from minicnn.training.metrics import Scores
from minicnn.zoo.network import Network

__all__ = ["Experiment", "RunFiles", "experiment_around", "read_experiment", "read_run"]

CONFIG, HISTORY, WEIGHTS = "config.json", "history.csv", "weights.safetensors"
METRICS = "metrics.json"
PLAN = "experiment.json"
RESULTS = {"compare_dnn": "comparison.json", "ablation": "ablation.json"}  # by kind


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
    """

    folder: Path
    config: dict[str, Any]
    histories: list[History]
    network: Network
    metrics: dict[str, Any] | None

    @property
    def scores(self) -> Scores | None:
        """What the run achieved on its validation images."""
        return None if self.metrics is None else scores_from(self.metrics)


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
    config = _read_json(path / CONFIG, "options")
    metrics = _read_json(path / METRICS, "splits") if (path / METRICS).is_file() else None
    network = zoo.load(path / WEIGHTS)
    return RunFiles(path, config, read_histories(path / HISTORY), network, metrics)


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
    plan = _read_json(path / PLAN, "kind", "runs")
    if plan["kind"] not in RESULTS:
        raise DataError(f"{path / PLAN}: of an unknown experiment, {plan['kind']!r}")
    results = path / RESULTS[plan["kind"]]
    if not results.is_file():
        raise DataError(
            f"{path}: the experiment has not come to its end, it lacks {results.name}; go on with "
            "it by --resume"
        )
    content = _read_json(results, "runs")
    histories = {name: read_histories(path / name / HISTORY)[0] for name in plan["runs"]}
    metrics = {name: _read_json(path / name / METRICS, "splits") for name in plan["runs"]}
    scores = {name: scores_from(each) for name, each in metrics.items()}
    source = next(iter(metrics.values())).get("data", "")
    return Experiment(path, plan, content, histories, scores, source)


def experiment_around(folder: str | os.PathLike[str]) -> Experiment | None:
    """Return the experiment of which a run is a part; None where there is none, or no result."""
    path = Path(folder).resolve()
    try:
        found = read_experiment(path.parent)
    except DataError:
        return None
    return found if found is not None and path.name in found.plan["runs"] else None


def scores_from(metrics: dict[str, Any], split: str = "validation") -> Scores:
    """Return the scores of a split from the metrics of a run."""
    found = metrics["splits"][split]
    return Scores(np.array(found["confusion_matrix"], np.int64), found["loss"])


def _read_json(file: Path, *keys: str) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or not all(key in content for key in keys):
            raise ValueError("not what it should be")
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise DataError(f"{file}: damaged, or of another program") from None
    return content
