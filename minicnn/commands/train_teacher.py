"""The teacher of a training run: trained networks whose probabilities are learned with the labels.

Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network" (2015); with a teacher of
the student's own kind, Furlanello et al., "Born again neural networks" (2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minicnn.commands.models import find_weights, load_networks, refuse_other_faces
from minicnn.commands.run_folder import RunFolder
from minicnn.commands.train_data import Faces, evaluation_loader
from minicnn.commands.train_options import Options
from minicnn.data.face_dataset import FaceDataset
from minicnn.errors import CheckpointError, OptionError
from minicnn.files import hash_of
from minicnn.training.ensemble import Views, mean_probabilities
from minicnn.training.evaluation import predict
from minicnn.zoo.network import Network

__all__ = ["Teacher", "load_teacher", "smoothed", "soft_targets"]

# Each image and its mirror image; further views would each take as long again.
VIEWS = Views(shifts=((0, 0),))


@dataclass(frozen=True, eq=False)
class Teacher:
    """Trained networks, asked together.

    Attributes
    ----------
    networks : sequence of Network
    sha256 : list of str
        Hashes of their files, which tell them from others when a run is resumed.
    """

    networks: Sequence[Network]
    sha256: list[str]

    def targets(self, train: FaceDataset, options: Options) -> np.ndarray:
        """Return what is to be learned of training images, by the options: targets (N, K)."""
        probabilities = mean_probabilities(
            predict(each, evaluation_loader(train, options, each.normalization), tta=VIEWS)
            for each in self.networks
        )
        return soft_targets(
            train.require_labels(),
            probabilities,
            share=options.distillation,
            label_smoothing=options.label_smoothing,
        )


def load_teacher(options: Options, faces: Faces, folder: RunFolder) -> Teacher | None:
    """Load the networks that the options name.

    Parameters
    ----------
    options : Options
    faces : Faces
        That it is to be asked of.
    folder : RunFolder
        Of the run that learns from it.

    Returns
    -------
    Teacher or None
        None where the options name none.

    Raises
    ------
    CheckpointError
        One cannot be read.
    OptionError
        They are not for the same classes, or one is the run's own.
    ShapeError, DataError
        They are not for these faces.
    """
    if options.teacher is None:
        return None
    try:
        files = [find_weights(each) for each in options.teacher]
        for name, file in zip(options.teacher, files, strict=True):
            if file.resolve() == folder.weights.resolve():
                raise OptionError(f"{name}: is the run that is to be trained; choose another --out")
        networks = load_networks(options.teacher)
    except (CheckpointError, OptionError) as error:
        raise type(error)(f"--teacher: {error}") from error.__cause__
    refuse_other_faces(networks[0], faces.train, faces.source)
    return Teacher(networks, [hash_of(file) for file in files])


def soft_targets(
    labels: np.ndarray, probabilities: np.ndarray, *, share: float, label_smoothing: float
) -> np.ndarray:
    """Return targets between labels and what a teacher says.

    Parameters
    ----------
    labels : int array of shape (N,)
    probabilities : float array of shape (N, K)
    share : float
        Of the probabilities, from 0 to 1.
    label_smoothing : float
        Part of each label that is spread evenly over all classes. The teacher's part stays as it
        is: it has spread its probabilities by what it saw.

    Returns
    -------
    float32 array of shape (N, K)
    """
    hard = smoothed(labels, probabilities.shape[1], label_smoothing)
    return ((1 - share) * hard + share * probabilities).astype(np.float32)


def smoothed(labels: np.ndarray, classes: int, label_smoothing: float) -> np.ndarray:
    """Return labels (N,) as probabilities (N, K), of which a part is spread over all classes."""
    return np.eye(classes)[labels] * (1 - label_smoothing) + label_smoothing / classes
