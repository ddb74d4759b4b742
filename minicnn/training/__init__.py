"""Training: the loop, callbacks, metrics, checkpoints, evaluation and cross-validation."""

from minicnn.training.calibration import Calibration, calibration
from minicnn.training.callbacks import BestModel, Callback, Checkpoint, EarlyStopping, HistoryWriter
from minicnn.training.checkpoint import read_checkpoint, write_checkpoint
from minicnn.training.crossvalidation import CrossValidation, cross_validate, fold_folder
from minicnn.training.ensemble import Ensemble, Views, mean_probabilities
from minicnn.training.evaluation import Loss, evaluate, evaluating, predict, scores_of
from minicnn.training.history import History
from minicnn.training.interrupt import Interrupted, StopRequest, stop_requests, terminable
from minicnn.training.metrics import Metrics, Scores
from minicnn.training.progress import Progress, epoch_line
from minicnn.training.self_adaptive import SelfAdaptiveTargets
from minicnn.training.symmetry import MirrorSymmetry
from minicnn.training.trainer import Trainer

__all__ = [
    "BestModel",
    "Calibration",
    "Callback",
    "Checkpoint",
    "CrossValidation",
    "EarlyStopping",
    "Ensemble",
    "History",
    "HistoryWriter",
    "Interrupted",
    "Loss",
    "Metrics",
    "MirrorSymmetry",
    "Progress",
    "Scores",
    "SelfAdaptiveTargets",
    "StopRequest",
    "Trainer",
    "Views",
    "calibration",
    "cross_validate",
    "epoch_line",
    "evaluate",
    "evaluating",
    "fold_folder",
    "mean_probabilities",
    "predict",
    "read_checkpoint",
    "scores_of",
    "stop_requests",
    "terminable",
    "write_checkpoint",
]
