"""One training run from faces to the files in its folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from minicnn import optim, zoo
from minicnn.commands.run_folder import RunFolder
from minicnn.commands.train_data import Faces, evaluation_loader, training_loader
from minicnn.commands.train_options import BEFORE, MAY_CHANGE, Options
from minicnn.commands.train_targets import make_targets
from minicnn.commands.train_teacher import Teacher
from minicnn.data.balance import class_weights
from minicnn.data.face_dataset import UNLABELLED, FaceDataset
from minicnn.data.normalize import Normalization, make_normalization
from minicnn.data.predictions import write_predictions
from minicnn.errors import CheckpointError
from minicnn.files import write_json
from minicnn.io.weights import WeightsMetadata
from minicnn.nn.loss import CrossEntropyLoss
from minicnn.nn.module import Module
from minicnn.optim.optimizer import Parameters
from minicnn.random import Streams
from minicnn.report.figures import plot_confusion, plot_history
from minicnn.training.callbacks import BestModel, Callback, Checkpoint, EarlyStopping, HistoryWriter
from minicnn.training.ensemble import Views
from minicnn.training.evaluation import predict, scores_of
from minicnn.training.history import COLUMNS, History
from minicnn.training.metrics import Scores
from minicnn.training.progress import Progress
from minicnn.training.self_adaptive import SelfAdaptiveTargets
from minicnn.training.symmetry import MirrorSymmetry
from minicnn.training.trainer import Trainer
from minicnn.zoo.network import Network

__all__ = ["Result", "predicted", "train_faces", "write_figures", "write_outputs"]

TEST_SPLITS = ("test", "private_test")  # predictions are written for the first of them


class Identity(Callback):
    """Ties a checkpoint to the run that wrote it: to its data, its seed and its options.

    Parameters
    ----------
    options : Options
    seed : int
    data : str
        Hash of the training images.
    teacher : list of str or None
        Hashes of the teacher's files.
    """

    def __init__(self, options: Options, seed: int, data: str, teacher: list[str] | None) -> None:
        fixed = {k: v for k, v in asdict(options).items() if k not in (*MAY_CHANGE, "backend")}
        self._identity = {**fixed, "seed": seed, "data": data, "teacher": teacher}

    def state(self) -> dict[str, Any]:
        """Return what the run is made with."""
        return self._identity

    def load_state(self, state: dict[str, Any]) -> None:
        """Refuse the checkpoint of another run."""
        for name, value in self._identity.items():
            before = state.get(name, BEFORE.get(name))
            if before != value:
                raise CheckpointError(
                    f"checkpoint: it is of a run with {name} {before!r} instead of {value!r}; "
                    "resume with what the run was begun with, put its own checkpoint back, or "
                    "begin anew with --overwrite"
                )


class Beginning(Callback):
    """Does something when a run begins, or goes on from a checkpoint that was accepted.

    Parameters
    ----------
    do : callable
    """

    def __init__(self, do: Callable[[], None]) -> None:
        self._do = do

    def on_fit_start(self, trainer: Trainer) -> None:
        """Do it."""
        self._do()


@dataclass(frozen=True, eq=False)
class Result:
    """What a run brought.

    Attributes
    ----------
    history : History
    best_epoch : int
    stop_reason : str or None
        Why it ended before its last epoch.
    probabilities : dict of str to array of shape (N, K)
        Of each split, by the best epoch's weights.
    scores : dict of str to Scores
        Of each split that has labels.
    scores_of_views : dict of str to Scores
        The same but of "train", where the mean over each image's views was asked for.
    """

    history: History
    best_epoch: int
    stop_reason: str | None
    probabilities: dict[str, np.ndarray]
    scores: dict[str, Scores]
    scores_of_views: dict[str, Scores]


def train_faces(
    faces: Faces,
    folder: RunFolder,
    options: Options,
    *,
    seed: int,
    resume: bool,
    quiet: bool,
    begun: Callable[[], None],
    teacher: Teacher | None = None,
) -> Result:
    """Train a network and evaluate its best epoch on every split.

    Parameters
    ----------
    faces : Faces
        With validation images.
    folder : RunFolder
        Gets history, weights and checkpoint.
    options : Options
    seed : int
        Of weights, dropout, shuffling and augmentation.
    resume : bool
        Go on from the checkpoint, if there is one.
    quiet : bool
        Show no progress.
    begun : callable
        Called when nothing can be refused any more, before anything in the folder is changed.
    teacher : Teacher, optional

    Returns
    -------
    Result
    """
    train, validation = faces.train, faces.require_validation()
    normalization = _normalization(train.images, options)
    targets, adaptive = make_targets(train, options, teacher)
    learned = targets if adaptive is None else np.arange(len(train))
    loader = training_loader(train, options, normalization, Streams(seed)["shuffling"], learned)
    model = zoo.build(
        options.model,
        num_classes=len(train.class_names),
        input_shape=train.images.shape[1:],
        seed=seed,
    )
    model.normalization = normalization
    taught = {} if teacher is None else {"teacher": teacher.sha256}
    metadata = WeightsMetadata(
        model=model.name,
        arguments=model.arguments,
        class_names=train.class_names,
        normalization=normalization,
        training={"data": train.sha256, "seed": seed} | taught,
    )
    best = BestModel(folder.weights, metadata=metadata)
    identity = Identity(options, seed, train.content_hash(), taught.get("teacher"))
    writers = (HistoryWriter(folder.history), Checkpoint(folder.checkpoint))
    callbacks: list[Callback] = [identity, Beginning(begun), best, *writers]
    if options.patience is not None:
        callbacks.append(EarlyStopping(options.patience))
    if not quiet:
        callbacks.append(Progress())
    # Labels in targets are smoothed already.
    loss = make_loss(train, options, options.label_smoothing if targets is None else 0.0)
    trainer = make_trainer(model, options, callbacks, len(loader), loss, adaptive)
    trainer.fit(
        loader,
        evaluation_loader(validation, options, normalization),
        epochs=options.epochs,
        resume=folder.checkpoint if resume and folder.checkpoint.exists() else None,
    )
    best.restore(model)
    splits = {"train": train, "validation": validation, **faces.others}
    probabilities = {name: predicted(model, part, options) for name, part in splits.items()}
    of_views = {
        name: predicted(model, part, options, tta=True)
        for name, part in splits.items()
        if options.tta and name != "train"
    }
    return Result(
        trainer.history,
        best.epoch,
        trainer.stop_reason,
        probabilities,
        _scores(splits, probabilities),
        _scores(splits, of_views),
    )


def _normalization(images: np.ndarray, options: Options) -> Normalization:
    if options.mirror_symmetry and options.normalize == "pixel":
        # A face and its mirror image must be prepared alike.
        images = np.concatenate([images, images[:, :, ::-1]])
    return make_normalization(options.normalize).fit(images)


def make_loss(train: FaceDataset, options: Options, label_smoothing: float) -> CrossEntropyLoss:
    """Return the loss of a run, with the class weights that the options describe."""
    weight = None
    if options.class_weights != "none":
        power = 1.0 if options.class_weights == "balanced" else 0.5
        weight = class_weights(train.require_labels(), len(train.class_names), power=power)
    return CrossEntropyLoss(weight, label_smoothing=label_smoothing)


def make_trainer(
    model: Module,
    options: Options,
    callbacks: Iterable[Callback],
    batches: int,
    loss: CrossEntropyLoss,
    targets: SelfAdaptiveTargets | None = None,
) -> Trainer:
    """Return the trainer that the options describe, for epochs of so many batches."""
    settings: dict[str, Any] = {"lr": options.learning_rate, "weight_decay": options.weight_decay}
    parameters: Parameters = model.parameters()
    if not options.decay_all:
        parameters = optim.decay_groups(model, options.weight_decay)
    kinds = {
        "adam": optim.Adam,
        "adamw": optim.AdamW,
        "sgd": optim.SGD,
        "rmsprop": optim.RMSprop,
        "adagrad": optim.Adagrad,
        "adadelta": optim.Adadelta,
    }
    if options.optimizer == "sgd":
        settings |= {"momentum": 0.9, "nesterov": True}
    optimizer = kinds[options.optimizer](parameters, **settings)
    symmetry = MirrorSymmetry(model) if options.mirror_symmetry else None
    average = None
    if options.average is not None:
        # With a warm-up, as a short run would else end with much of its first, untrained weights.
        average = optim.ExponentialMovingAverage(model, options.average, warmup=True)
    return Trainer(
        model,
        optimizer,
        loss=loss,
        schedule=make_schedule(optimizer, options, batches),
        callbacks=tuple(callbacks),
        clip_norm=options.clip_norm,
        average=average,
        symmetry=symmetry,
        targets=targets,
    )


def make_schedule(
    optimizer: optim.Optimizer, options: Options, batches: int
) -> optim.Schedule | None:
    """Return the schedule of the learning rate, for epochs of so many batches."""
    steps = options.epochs * batches
    if options.schedule == "one-cycle":
        # Not every optimiser has a momentum to cycle, and Adam gains nothing by it.
        return optim.OneCycleLR(
            optimizer, options.learning_rate, total_steps=steps, cycle_momentum=False
        )
    if options.schedule == "cosine":
        return optim.CosineAnnealingLR(optimizer, steps, interval="batch")
    if options.schedule == "step":
        return optim.StepLR(optimizer, max(1, options.epochs // 3))
    if options.schedule == "plateau":
        return optim.ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
    return None


def predicted(
    network: Network, dataset: FaceDataset, options: Options, *, tta: Views | bool | None = None
) -> np.ndarray:
    """Return the probabilities of every image of a split, (N, K), or their means over its views."""
    return predict(network, evaluation_loader(dataset, options, network.normalization), tta=tta)


def _scores(
    splits: dict[str, FaceDataset], probabilities: dict[str, np.ndarray]
) -> dict[str, Scores]:
    """Return the scores of the splits that have labels, over the images that have one."""
    found = {}
    for name, predicted_here in probabilities.items():
        labels = splits[name].labels
        if labels is not None:
            rows = np.flatnonzero(labels != UNLABELLED)
            found[name] = scores_of(predicted_here[rows], labels[rows])
    return found


def write_outputs(faces: Faces, folder: RunFolder, options: Options, result: Result) -> str:
    """Write predictions, figures and, at last, the metrics, which mark a finished run.

    Returns
    -------
    str
        The split whose predictions were written.
    """
    split = next((name for name in TEST_SPLITS if name in faces.others), "validation")
    part = faces.others.get(split) or faces.require_validation()
    write_predictions(folder.predictions, part.ids, result.probabilities[split].argmax(axis=1))
    names = faces.train.class_names
    source = faces.validation_source
    write_figures(
        folder,
        options,
        result.history,
        result.scores["validation"],
        names,
        best_epoch=result.best_epoch,
        what="validation" if source in ("train", "validation") else f"validation ({source})",
    )
    content: dict[str, Any] = {
        "model": options.model,
        "epochs": len(result.history),
        "best_epoch": result.best_epoch,
        "stopped_early": result.stop_reason,
        "data": faces.source,
        "validation_source": faces.validation_source,
        "splits": {name: scores.to_dict(names) for name, scores in result.scores.items()},
    }
    if options.tta:
        content["views"] = Views().to_dict()
        content["splits_of_views"] = {
            name: scores.to_dict(names) for name, scores in result.scores_of_views.items()
        }
    write_json(folder.metrics, content)
    return split


def write_figures(
    folder: RunFolder,
    options: Options,
    history: History,
    validation: Scores,
    class_names: tuple[str, ...],
    *,
    best_epoch: int | None = None,
    what: str = "validation",
) -> None:
    """Write the two figures."""
    drawn = "" if options.data is not None else ", of drawn faces"
    plot_history(
        {name: history.column(name) for name in COLUMNS},
        folder.figures / "history.png",
        title=f"{options.model}: loss and accuracy by epoch{drawn}",
        best_epoch=best_epoch,
    )
    plot_confusion(
        validation.confusion,
        class_names,
        folder.figures / "confusion.png",
        title=f"{options.model}: confusion matrix, {what}{drawn}",
    )
