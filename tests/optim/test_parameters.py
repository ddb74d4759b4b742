"""Groups of parameters by weight decay: biases and the weights of normalisation have none."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn import nn, zoo
from minicnn.errors import OptionError
from minicnn.optim import SGD, AdamW, decay_groups


def small_model() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, rng=0),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16, 3, rng=0),
    )


def test_filters_and_matrices_decay_and_vectors_do_not() -> None:
    model = small_model()
    decaying, others = decay_groups(model, 0.1)
    named = {id(each): name for name, each in model.named_parameters()}
    assert [named[id(each)] for each in decaying["params"]] == ["0.weight", "4.weight"]
    assert [named[id(each)] for each in others["params"]] == [
        *("0.bias", "1.weight", "1.bias", "4.bias")
    ]
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.1, 0)


@pytest.mark.parametrize("kind", [SGD, AdamW])
def test_a_step_without_gradients_shrinks_what_decays_alone(kind: type) -> None:
    model = small_model()
    before = {name: each.numpy().copy() for name, each in model.named_parameters()}
    optimizer = kind(decay_groups(model, 0.5), lr=0.1, weight_decay=0.5)
    for each in model.parameters():
        each.grad = minicnn.tensor(np.zeros(each.shape, np.float32))
    optimizer.step()
    for name, each in model.named_parameters():
        factor = 0.95 if before[name].ndim > 1 else 1
        np.testing.assert_allclose(each.numpy(), factor * before[name], rtol=1e-6, err_msg=name)


@pytest.mark.host
@pytest.mark.parametrize("name", ["avgpool_cnn", "plain_dnn"])
def test_every_parameter_of_a_network_is_in_one_group(name: str) -> None:
    model = zoo.build(name)
    found = [id(each) for group in decay_groups(model, 0.1) for each in group["params"]]
    assert sorted(found) == sorted(id(each) for each in model.parameters())


def test_a_group_without_parameters_is_left_out() -> None:
    (only,) = decay_groups(nn.Linear(3, 2, bias=False), 0.1)
    assert only["weight_decay"] == 0.1
    (only,) = decay_groups(nn.BatchNorm2d(3), 0.1)
    assert only["weight_decay"] == 0
    with pytest.raises(OptionError, match="no parameters"):
        SGD(decay_groups(nn.ReLU(), 0.1), 0.1)


def test_what_is_not_possible_is_refused() -> None:
    with pytest.raises(OptionError, match=r"decay_groups: weight_decay: .* of 0 or more, got -1"):
        decay_groups(small_model(), -1)
    with pytest.raises(TypeError, match="expected a model, got 3"):
        decay_groups(3, 0.1)
