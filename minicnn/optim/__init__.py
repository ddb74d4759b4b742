"""Optimisers, learning-rate schedules, gradient clipping and averages of weights."""

from minicnn.optim.adadelta import Adadelta
from minicnn.optim.adagrad import Adagrad
from minicnn.optim.adam import Adam, AdamW
from minicnn.optim.average import ExponentialMovingAverage
from minicnn.optim.clip import clip_grad_norm_, clip_grad_value_
from minicnn.optim.one_cycle import OneCycleLR
from minicnn.optim.optimizer import Optimizer
from minicnn.optim.parameters import decay_groups
from minicnn.optim.plateau import ReduceLROnPlateau
from minicnn.optim.rmsprop import RMSprop
from minicnn.optim.schedules import (
    CosineAnnealingLR,
    ExponentialLR,
    MultiStepLR,
    Schedule,
    StepLR,
    WarmupLR,
)
from minicnn.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "ExponentialLR",
    "ExponentialMovingAverage",
    "MultiStepLR",
    "OneCycleLR",
    "Optimizer",
    "RMSprop",
    "ReduceLROnPlateau",
    "Schedule",
    "StepLR",
    "WarmupLR",
    "clip_grad_norm_",
    "clip_grad_value_",
    "decay_groups",
]
