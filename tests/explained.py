"""Small networks whose explanations are known or checked, and a count of what a network sees."""

from __future__ import annotations

import numpy as np

from minicnn import backend
from minicnn.autograd import Tensor, no_grad
from minicnn.nn.activation import ReLU
from minicnn.nn.containers import Sequential
from minicnn.nn.conv import Conv2d
from minicnn.nn.dropout import Dropout
from minicnn.nn.linear import Linear
from minicnn.nn.norm import BatchNorm2d
from minicnn.nn.pool import AvgPool2d
from minicnn.nn.shape import Flatten

SIZE = 6
CLASSES = 3


def make_network(activation=ReLU, seed=10):
    """Return a network with every kind of layer that behaves otherwise in training."""
    rng = np.random.default_rng(seed)
    model = Sequential(
        conv=Conv2d(1, 4, 3, padding=1, rng=rng),
        act=activation(),
        norm=BatchNorm2d(4),
        drop=Dropout(0.5, rng=rng),
        pool=AvgPool2d(2),
        flat=Flatten(),
        scores=Linear(4 * (SIZE // 2) ** 2, CLASSES, rng=rng),
    )
    model.norm.running_mean.copy_(rng.normal(0, 0.3, 4))
    model.norm.running_var.copy_(rng.uniform(0.5, 2, 4))
    return model.to("float64")


def make_linear(weights):
    """Return the network whose scores are the pixels times weights of shape (H, W, C, K)."""
    h, w, c, k = weights.shape
    model = Sequential(flat=Flatten(), scores=Linear(h * w * c, k)).to("float64")
    put(model.scores.weight, weights.reshape(-1, k))
    put(model.scores.bias, np.arange(k) / 10)
    return model


def put(parameter, values):
    """Give a parameter these values."""
    with no_grad():
        parameter.copy_(values)


def score(model, image, target):
    """Return a model's score of one class for one image on the host, by itself."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    with no_grad():
        outputs = model(Tensor(backend.asarray(image[None])))
    for module, training in modes:
        module.training = training
    return float(outputs.numpy()[0, target])


class Seen(list):
    """How many images each call of a model was given."""

    def __init__(self, model):
        super().__init__()
        model.register_forward_pre_hook(lambda module, inputs: self.append(len(inputs[0])))
