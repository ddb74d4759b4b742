"""What a training run learns of each face: labels, a teacher's words, or targets of its own."""

from __future__ import annotations

import numpy as np

from minicnn.commands.train_options import ADAPT_FROM, Options
from minicnn.commands.train_teacher import Teacher, smoothed
from minicnn.data.face_dataset import FaceDataset
from minicnn.training.self_adaptive import SelfAdaptiveTargets

__all__ = ["make_targets"]


def make_targets(
    train: FaceDataset, options: Options, teacher: Teacher | None
) -> tuple[np.ndarray | None, SelfAdaptiveTargets | None]:
    """Return what the options want to be learned.

    Parameters
    ----------
    train : FaceDataset
    options : Options
    teacher : Teacher or None

    Returns
    -------
    targets : float array (N, K) or None
        None where the labels are learned. Labels in them are smoothed already.
    adaptive : SelfAdaptiveTargets or None
        What these targets, or the labels, are the beginning of.
    """
    targets = None if teacher is None else teacher.targets(train, options)
    if options.self_adaptive is None:
        return targets, None
    labels = train.require_labels()
    if targets is None:
        targets = smoothed(labels, len(train.class_names), options.label_smoothing)
    adaptive = SelfAdaptiveTargets(
        targets,
        labels,
        momentum=options.self_adaptive,
        start=round(ADAPT_FROM * options.epochs),
    )
    return targets, adaptive
