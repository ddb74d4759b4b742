"""Losses against PyTorch, on shapes and options that hypothesis draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn
from minicnn import ops

pytestmark = pytest.mark.oracle

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.lists(st.integers(1, 4), min_size=1, max_size=3)
REDUCTIONS = st.sampled_from(["mean", "sum", "none"])
DTYPES = st.sampled_from(["float64", "float64", "float32"])


def pair(values, requires_grad=True):
    """Return the same numbers as a tensor of minicnn and of PyTorch."""
    import torch

    values = np.ascontiguousarray(values)
    ours = minicnn.tensor(values, requires_grad=requires_grad)
    return ours, torch.tensor(values, requires_grad=requires_grad)


def compare(ours, theirs, inputs):
    """Compare the losses, and the gradients of their sums at all inputs (pairs)."""
    tolerance = {"rtol": 1e-9, "atol": 1e-10}
    if ours.dtype == np.float32:
        tolerance = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), **tolerance)
    ours.sum().backward()
    theirs.sum().backward()
    for mine, other in inputs:
        np.testing.assert_allclose(mine.grad.numpy(), other.grad.numpy(), **tolerance)


def classes_first(tensor):
    return tensor.movedim(-1, 1).contiguous()


@settings(max_examples=100)
@given(
    seed=SEEDS,
    sizes=SIZES,
    classes=st.integers(1, 6),
    weighted=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.0, 0.1, 0.7, 1.0]),
    ignored=st.sampled_from([None, -100, 0, 1]),
    reduction=REDUCTIONS,
    dtype=DTYPES,
)
def test_cross_entropy_of_labels(
    seed, sizes, classes, weighted, smoothing, ignored, reduction, dtype
):
    import torch

    rng = np.random.default_rng(seed)
    z = pair(rng.normal(0, 3, (*sizes, classes)).astype(dtype))
    labels = rng.integers(0, classes, sizes)
    if ignored == -100:
        labels[rng.random(sizes) < 0.3] = -100
    weight = their_weight = None
    if weighted:
        weight, their_weight = pair(rng.uniform(0.5, 2, classes).astype(dtype), False)
    if (labels == ignored).all():
        labels.flat[0] = classes - 1 if ignored != classes - 1 else 0
    if (labels == ignored).all():  # a single class, and that one ignored: 0 / 0
        reduction = "sum"
    ours = ops.cross_entropy(
        z[0],
        minicnn.tensor(labels),
        weight=weight,
        label_smoothing=smoothing,
        ignore_index=ignored,
        reduction=reduction,
    )
    theirs = torch.nn.functional.cross_entropy(
        classes_first(z[1]),
        torch.tensor(labels),
        weight=their_weight,
        label_smoothing=smoothing,
        ignore_index=-100 if ignored is None else ignored,
        reduction=reduction,
    )
    compare(ours, theirs, [z])


@settings(max_examples=60)
@given(
    seed=SEEDS,
    sizes=SIZES,
    classes=st.integers(1, 6),
    weighted=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    reduction=REDUCTIONS,
    dtype=DTYPES,
)
def test_cross_entropy_of_probabilities(
    seed, sizes, classes, weighted, smoothing, reduction, dtype
):
    import torch

    rng = np.random.default_rng(seed)
    z = pair(rng.normal(0, 3, (*sizes, classes)).astype(dtype))
    chances = rng.uniform(0.1, 1, (*sizes, classes))
    target = pair((chances / chances.sum(-1, keepdims=True)).astype(dtype))
    weight = their_weight = None
    if weighted:
        weight, their_weight = pair(rng.uniform(0.5, 2, classes).astype(dtype), False)
    options = {"label_smoothing": smoothing, "reduction": reduction}
    ours = ops.cross_entropy(z[0], target[0], weight=weight, **options)
    theirs = torch.nn.functional.cross_entropy(
        classes_first(z[1]), classes_first(target[1]), weight=their_weight, **options
    )
    compare(ours, theirs, [z, target])


@settings(max_examples=50)
@given(
    seed=SEEDS, sizes=SIZES, classes=st.integers(2, 5), weighted=st.booleans(), reduction=REDUCTIONS
)
def test_nll_loss(seed, sizes, classes, weighted, reduction):
    import torch

    rng = np.random.default_rng(seed)
    x = pair(rng.uniform(-3, 0, (*sizes, classes)))
    labels = rng.integers(0, classes, sizes)
    weight = their_weight = None
    if weighted:
        weight, their_weight = pair(rng.uniform(0.5, 2, classes), False)
    ours = ops.nll_loss(x[0], minicnn.tensor(labels), weight, reduction=reduction)
    theirs = torch.nn.functional.nll_loss(
        classes_first(x[1]), torch.tensor(labels), their_weight, reduction=reduction
    )
    compare(ours, theirs, [x])


@settings(max_examples=60)
@given(
    seed=SEEDS,
    sizes=SIZES,
    name=st.sampled_from(["mse_loss", "l1_loss", "huber_loss"]),
    delta=st.sampled_from([0.3, 1.0, 2.5]),
    reduction=REDUCTIONS,
    dtype=DTYPES,
)
def test_errors(seed, sizes, name, delta, reduction, dtype):
    import torch

    rng = np.random.default_rng(seed)
    x, target = (pair(rng.normal(0, 2, sizes).astype(dtype)) for _ in range(2))
    options = {"reduction": reduction}
    if name == "huber_loss":
        options["delta"] = delta
    ours = getattr(ops, name)(x[0], target[0], **options)
    theirs = getattr(torch.nn.functional, name)(x[1], target[1], **options)
    compare(ours, theirs, [x, target])


@settings(max_examples=60)
@given(
    seed=SEEDS,
    sizes=SIZES,
    weighted=st.booleans(),
    positive=st.booleans(),
    reduction=REDUCTIONS,
    dtype=DTYPES,
)
def test_binary_cross_entropy_with_logits(seed, sizes, weighted, positive, reduction, dtype):
    import torch

    rng = np.random.default_rng(seed)
    x = pair(rng.normal(0, 4, sizes).astype(dtype))
    target = pair(rng.uniform(0, 1, sizes).astype(dtype))
    weights = [
        pair(rng.uniform(0.5, 2, sizes[-1]).astype(dtype), False) if wanted else (None, None)
        for wanted in (weighted, positive)
    ]
    ours = ops.binary_cross_entropy_with_logits(
        x[0], target[0], *(mine for mine, _ in weights), reduction=reduction
    )
    theirs = torch.nn.functional.binary_cross_entropy_with_logits(
        x[1], target[1], weights[0][1], pos_weight=weights[1][1], reduction=reduction
    )
    compare(ours, theirs, [x, target])


@settings(max_examples=60)
@given(
    seed=SEEDS,
    sizes=SIZES,
    log_target=st.booleans(),
    reduction=st.sampled_from(["mean", "batchmean", "sum", "none"]),
)
@pytest.mark.filterwarnings("ignore:reduction:UserWarning")
def test_kl_div(seed, sizes, log_target, reduction):
    import torch

    rng = np.random.default_rng(seed)
    x = pair(rng.uniform(-4, 0, sizes))
    chances = rng.uniform(0.05, 1, sizes)
    target = pair(np.log(chances) if log_target else chances)
    options = {"reduction": reduction, "log_target": log_target}
    ours = ops.kl_div(x[0], target[0], **options)
    theirs = torch.nn.functional.kl_div(x[1], target[1], **options)
    assert math.isfinite(theirs.sum().item())
    compare(ours, theirs, [x, target])
