"""The networks that the peers build are the ones of minicnn."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import minicnn
from benchmarks.translation import describe
from minicnn import inspect, nn, zoo
from minicnn.errors import OptionError

pytestmark = pytest.mark.host


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(2, 4, 3, groups=2),
        nn.Conv2d(2, 4, 3, dilation=2),
        nn.Conv2d(2, 4, 3, bias=False),
        nn.Conv2d(2, 4, 4, padding="same"),
        nn.Conv2d(2, 4, 3, padding=((1, 0), (0, 0))),
        nn.MaxPool2d(2, dilation=2),
        nn.AvgPool2d(2, count_include_pad=False),
        nn.BatchNorm2d(3, affine=False),
        nn.GELU(),
        nn.Residual(nn.Sequential(nn.ReLU()), nn.ReLU()),
    ],
    ids=repr,
)
def test_a_layer_without_counterpart_is_refused_by_name(layer):
    with pytest.raises(OptionError, match=type(layer).__name__):
        describe(nn.Sequential(layer))


def test_a_description_survives_json():
    described = describe(zoo.build("small_cnn", input_shape=(8, 8, 1)))
    assert [layer["kind"] for layer in described[:4]] == [
        "Conv2d",
        "LeakyReLU",
        "BatchNorm2d",
        "MaxPool2d",
    ]
    assert described[0]["padding"] == (1, 1)  # 'same' for a kernel of 3
    again = json.loads(json.dumps(described))
    assert again[0]["kernel_size"] == [3, 3]


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["residual_cnn", "avgpool_cnn", "avgpool_dnn", "vgg16_bn"])
def test_both_networks_learn_the_same_number_of_parameters(name):
    from benchmarks.engines.with_torch import build

    model = zoo.build(name)
    theirs = sum(parameter.numel() for parameter in build(describe(model)).parameters())
    assert theirs == inspect.summary(model).trainable


@pytest.mark.oracle
@pytest.mark.parametrize("training", [True, False])
def test_both_networks_give_the_same_outputs_with_the_same_weights(training, rng):
    import torch

    from benchmarks.engines.with_torch import build, channels_first

    model = nn.Sequential(
        nn.Conv2d(1, 4, 5, padding="same", rng=0),
        nn.LeakyReLU(0.3),
        nn.BatchNorm2d(4, eps=1e-3, momentum=0.01),
        nn.Residual(
            nn.Sequential(nn.Conv2d(4, 4, 3, padding="same", rng=4), nn.ReLU(), nn.BatchNorm2d(4))
        ),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, stride=2, padding=(0, 1), rng=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Dropout(0.0),
        nn.Flatten(),
        nn.Linear(6 * 2, 5, rng=2),
        nn.BatchNorm1d(5),
        nn.Linear(5, 3, rng=3),
    )
    model.train(training)
    network = build(json.loads(json.dumps(describe(model)))).train(training)
    copy_weights(model, network)
    images = rng.standard_normal((4, 18, 12, 1), np.float32)
    ours = model(minicnn.tensor(images)).numpy()
    with torch.no_grad():
        theirs = network(channels_first(images, channels_last=training)).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.oracle
def test_both_average_the_same_pixels(rng):
    from benchmarks.engines.with_torch import build, channels_first

    model = nn.Sequential(nn.GlobalAvgPool2d())
    images = rng.standard_normal((2, 3, 4, 5), np.float32)
    theirs = build(describe(model))(channels_first(images, channels_last=False))
    np.testing.assert_allclose(model(minicnn.tensor(images)).numpy(), theirs.numpy(), atol=1e-6)


def copy_weights(model: Any, network: Any) -> None:
    """Give PyTorch's network our weights, its axes and the order of flattened pixels minded."""
    import torch

    channels = None  # of the images that were flattened
    for ours, theirs in zip(model, network, strict=True):
        if isinstance(ours, nn.Residual):
            copy_weights(ours.body, theirs.body)
            continue
        values = {name: each.numpy() for name, each in ours.named_parameters()}
        if isinstance(ours, nn.Conv2d):
            channels = ours.out_channels
            values["weight"] = values["weight"].transpose(3, 2, 0, 1)
        elif isinstance(ours, nn.Linear):
            weight = values["weight"]
            if channels:
                pixels = weight.reshape(-1, channels, weight.shape[1])
                weight = pixels.swapaxes(0, 1).reshape(weight.shape)
            values["weight"], channels = weight.T, None
        with torch.no_grad():
            for name, value in values.items():
                getattr(theirs, name).copy_(torch.from_numpy(value.copy()))
