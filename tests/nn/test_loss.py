"""Losses as modules: each hands its settings to its operation."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn import backend, ops
from minicnn.errors import OptionError
from minicnn.nn import loss
from minicnn.ops.softmax import log_softmax

LABELS = [0, 2, 1, 2]
WEIGHT = [0.5, 1.0, 2.0]


def scores(seed: int = 0) -> minicnn.Tensor:
    return minicnn.tensor(np.random.default_rng(seed).standard_normal((4, 3)), dtype="float32")


def log_probabilities(seed: int = 0) -> minicnn.Tensor:
    return log_softmax(scores(seed))


def probabilities(seed: int = 1) -> minicnn.Tensor:
    return log_probabilities(seed).exp()


def labels() -> minicnn.Tensor:
    return minicnn.tensor(LABELS)


def weight() -> minicnn.Tensor:
    return minicnn.tensor(WEIGHT)


CASES = [
    (
        loss.CrossEntropyLoss,
        lambda: (scores(), labels()),
        lambda x, y: ops.cross_entropy(x, y),
    ),
    (
        lambda: loss.CrossEntropyLoss(WEIGHT, ignore_index=1, label_smoothing=0.2, reduction="sum"),
        lambda: (scores(), labels()),
        lambda x, y: ops.cross_entropy(
            x, y, weight=weight(), ignore_index=1, label_smoothing=0.2, reduction="sum"
        ),
    ),
    (
        lambda: loss.NLLLoss(WEIGHT, ignore_index=1, reduction="none"),
        lambda: (log_probabilities(), labels()),
        lambda x, y: ops.nll_loss(x, y, weight(), ignore_index=1, reduction="none"),
    ),
    (
        lambda: loss.MSELoss("sum"),
        lambda: (scores(), scores(1)),
        lambda x, y: ops.mse_loss(x, y, reduction="sum"),
    ),
    (
        lambda: loss.L1Loss("none"),
        lambda: (scores(), scores(1)),
        lambda x, y: ops.l1_loss(x, y, reduction="none"),
    ),
    (
        lambda: loss.HuberLoss("sum", delta=0.5),
        lambda: (scores(), scores(1)),
        lambda x, y: ops.huber_loss(x, y, delta=0.5, reduction="sum"),
    ),
    (
        lambda: loss.BCEWithLogitsLoss(WEIGHT, reduction="sum", pos_weight=[1.0, 2.0, 3.0]),
        lambda: (scores(), probabilities()),
        lambda x, y: ops.binary_cross_entropy_with_logits(
            x, y, weight(), minicnn.tensor([1.0, 2.0, 3.0]), reduction="sum"
        ),
    ),
    (
        lambda: loss.KLDivLoss("batchmean", log_target=True),
        lambda: (log_probabilities(), log_probabilities(1)),
        lambda x, y: ops.kl_div(x, y, reduction="batchmean", log_target=True),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case[0]()))
def test_a_loss_gives_what_its_operation_gives(case):
    make, inputs, expected = case
    given = inputs()
    np.testing.assert_array_equal(make()(*given).numpy(), expected(*given).numpy())


@pytest.mark.parametrize(
    "kind", [loss.MSELoss, loss.L1Loss, loss.HuberLoss, loss.BCEWithLogitsLoss, loss.KLDivLoss]
)
def test_the_mean_is_the_default(kind):
    x, y = log_probabilities(), probabilities()
    whole, mean = kind(reduction="none")(x, y).numpy(), kind()(x, y).item()
    assert mean == pytest.approx(whole.mean(), rel=1e-5)


def test_class_weights_move_with_the_module_and_are_not_trained():
    made = loss.CrossEntropyLoss(np.array(WEIGHT))
    assert made.weight.dtype == np.float32 and made.weight.backend == backend.current().name
    assert list(made.parameters()) == [] and list(made.state_dict()) == ["weight"]
    x = minicnn.tensor(scores().numpy(), dtype="float64")
    assert made.to("float64")(x, labels()).dtype == np.float64


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: loss.MSELoss("average"), "reduction: 'average' is unknown; choose one of mean"),
        (lambda: loss.MSELoss("batchmean"), "reduction"),
        (lambda: loss.CrossEntropyLoss(label_smoothing=2), "label_smoothing: .*from 0 to 1, got 2"),
        (lambda: loss.HuberLoss(delta=0), "delta: must be above 0"),
    ],
)
def test_constructors_refuse_what_cannot_work(make, match):
    with pytest.raises(OptionError, match=match):
        make()
