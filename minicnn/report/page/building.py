"""Build the page of a training run, or of an experiment, from what lies in its folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import minicnn
from minicnn.data.face_dataset import CLASS_NAMES, FaceDataset
from minicnn.errors import DataError
from minicnn.files import atomic_write
from minicnn.inspect.summarize import summary
from minicnn.report.explained import Explanations
from minicnn.report.page.data import data_of
from minicnn.report.page.diagram import stages_of
from minicnn.report.page.explained import explained_faces, explained_layers
from minicnn.report.page.findings import facts_of, findings_of
from minicnn.report.page.render import rendered
from minicnn.report.page.results import (
    Evaluated,
    calibration_of,
    classes_of,
    confusion_of,
    mistakes_of,
    reported_beside,
)
from minicnn.report.page.runs import compared_of, curves_of, repeat_of, run_title
from minicnn.report.run_files import RunFiles, experiment_around, read_experiment, read_run
from minicnn.training.evaluation import scores_of

__all__ = ["PAGE", "build_experiment_report", "build_report"]

PAGE = "report.html"


def build_report(
    folder: str | os.PathLike[str],
    *,
    evaluated: Evaluated | None = None,
    dataset: FaceDataset | None = None,
    explanations: Explanations | None = None,
    missing: str = "",
    missing_explanations: str = "",
    config: dict[str, Any] | None = None,
    faces: int = 12,
) -> Path:
    """Write ``report.html`` into the folder of a training run: one file that opens offline.

    Parameters
    ----------
    folder : str or os.PathLike
        With a configuration, a history and weights.
    evaluated : Evaluated, optional
        Faces, and what the network says of them. Without them there are no pictures of faces, and
        the numbers are those that the run wrote.
    dataset : FaceDataset, optional
        All faces, for the class balance and the audit.
    explanations : Explanations, optional
        What was found of this network.
    missing : str
        Why there are no faces: the end of a sentence.
    missing_explanations : str
        Why there are no explanations: the end of a sentence.
    config : dict, optional
        The run's configuration with what a newer version needs to repeat it; as it was written by
        default.
    faces : int
        How many mistakes are shown.

    Returns
    -------
    Path
        The page. An old one is replaced at once.

    Raises
    ------
    DataError
        The folder lacks what a page cannot do without, or something in it is damaged.
    OptionError
        Jinja2 or Pillow is not installed.
    """
    files = read_run(folder)
    content = _run_content(files, evaluated, dataset, explanations, faces)
    if config is not None:
        content["repeat"] = repeat_of(config)
    content["missing_faces"] = missing or "none were given"
    content["missing_explanations"] = missing_explanations or content["missing_faces"]
    return _write(files.folder, "run.html", content)


def build_experiment_report(
    folder: str | os.PathLike[str], *, dataset: FaceDataset | None = None, missing: str = ""
) -> Path:
    """Write ``report.html`` into the folder of an experiment; see :func:`build_report`.

    Raises
    ------
    DataError
        The folder holds no experiment, or one that has not come to its end.
    """
    experiment = read_experiment(folder)
    if experiment is None:
        raise DataError(f"{os.fspath(folder)}: holds no experiment")
    names = _class_names(dataset, len(next(iter(experiment.scores.values())).support))
    content = {
        **_frame(experiment.folder),
        "kind": experiment.kind,
        "names": names,
        "settings": experiment.plan.get("settings", {}),
        "comparison": compared_of(experiment),
        "confusions": [
            {"title": run_title(name), **confusion_of(scores, names, None)}
            for name, scores in experiment.scores.items()
        ],
        "data": None if dataset is None else data_of(dataset),
        "missing_faces": missing or "none were given",
        "source": experiment.source,
        "told_above": True,
        "repeat": repeat_of(experiment.plan),
    }
    return _write(experiment.folder, "experiment.html", content)


def _run_content(
    files: RunFiles,
    evaluated: Evaluated | None,
    dataset: FaceDataset | None,
    explanations: Explanations | None,
    faces: int,
) -> dict[str, Any]:
    network, metrics = files.network, files.metrics or {}
    scores = files.scores if evaluated is None else scores_of(
        evaluated.probabilities, evaluated.labels
    )  # fmt: skip
    names = network.class_names or _class_names(dataset, network.arguments["num_classes"])
    table = summary(network)
    experiment = experiment_around(files.folder)
    sections = {
        "confusion": None if scores is None else confusion_of(scores, names, evaluated),
        "calibration": None if evaluated is None else calibration_of(evaluated),
        "explained": None if explanations is None else explained_faces(explanations, names),
        "data": None if dataset is None else data_of(dataset),
        "comparison": None if experiment is None else compared_of(experiment, files.folder.name),
    }
    curves = curves_of(files)
    source = (evaluated.source if evaluated else metrics.get("data")) or ""
    split = (evaluated.split if evaluated else metrics.get("validation_source")) or "validation"
    return {
        **_frame(files.folder),
        **sections,
        "model": network.name,
        "names": names,
        "scores": scores,
        "source": source,
        "split": split.replace("_", " "),
        "splits": {**files.splits, **files.views},
        "classes": None if scores is None else classes_of(scores, names),
        "reported": [] if scores is None or not files.config["options"].get("data") else
        reported_beside(scores, names),
        "mistakes": None if evaluated is None else mistakes_of(evaluated, names, faces),
        "curves": curves,
        "layers": None if explanations is None else explained_layers(explanations, names),
        "explanations": None if explanations is None else explanations.content,
        "summary": table,
        "stages": stages_of(table),
        "told_above": False,
        "repeat": repeat_of(files.config),
        "facts": facts_of(scores, table, sections["calibration"], curves["seconds"]),
        "findings": findings_of(scores, names, **sections, source=source),
    }  # fmt: skip


def _class_names(dataset: FaceDataset | None, count: int) -> tuple[str, ...]:
    if dataset is not None:
        return dataset.class_names
    if count == len(CLASS_NAMES):
        return CLASS_NAMES
    return tuple(f"class {number}" for number in range(count))


def _frame(folder: Path) -> dict[str, Any]:
    return {"folder": folder.resolve().name, "minicnn_version": minicnn.__version__}


def _write(folder: Path, template: str, content: dict[str, Any]) -> Path:
    page = rendered(template, content)
    with atomic_write(folder / PAGE) as file:
        file.write(page)
    return folder / PAGE
