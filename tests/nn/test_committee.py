"""Committee: who learns from which rows, and what all say together."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn import backend, nn, ops, optim
from minicnn.autograd import gradcheck
from minicnn.errors import OptionError, ShapeError


def committee(count, classes=3):
    members = [nn.Linear(4, classes, rng=seed).to("float64") for seed in range(count)]
    return nn.Committee(members), members


def rows(count):
    values = np.random.default_rng(7).normal(size=(count, 4))
    return minicnn.tensor(values, requires_grad=True)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_evaluated_it_gives_the_mean_probability(count):
    model, members = committee(count)
    x = rows(5)
    logits = [backend.to_numpy(member(x).data) for member in members]
    exponentials = [np.exp(each) for each in logits]
    expected = np.mean([each / each.sum(axis=1, keepdims=True) for each in exponentials], axis=0)
    np.testing.assert_allclose(np.exp(model.eval()(x).numpy()), expected, rtol=1e-12)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("size", [3, 6, 7])
def test_in_training_each_row_goes_through_one_member(count, size):
    model, members = committee(count)
    x = rows(size)
    y = model(x)
    assert y.shape == (size, 3)
    alone = [member(x).numpy() for member in members]
    found = [
        [index for index, logits in enumerate(alone) if np.allclose(logits[place], row)]
        for place, row in enumerate(y.numpy())
    ]
    assert all(len(each) == 1 for each in found)
    counts = np.bincount(np.ravel(found).astype(int), minlength=count)
    assert counts.sum() == size and np.ptp(counts) <= 1
    assert found == sorted(found)


@pytest.mark.parametrize(("count", "size"), [(2, 0), (2, 1), (3, 2)])
def test_a_batch_with_fewer_rows_than_members_goes_through_all(count, size):
    model, members = committee(count)
    x = rows(size)
    expected = model.eval()(x).numpy()
    found = model.train()(x)
    np.testing.assert_array_equal(found.numpy(), expected)
    found.sum().backward()
    assert all(member.weight.grad is not None for member in members)


def test_a_member_learns_from_its_rows_alone():
    model, members = committee(2)
    x, labels = rows(6), minicnn.tensor([0, 1, 2, 0, 1, 2])
    ops.cross_entropy(model(x), labels, reduction="sum").backward()
    found = [backend.to_numpy(member.weight.grad.data).copy() for member in members]
    for member, share, gradient in zip(members, (slice(0, 3), slice(3, 6)), found, strict=True):
        member.weight.grad = None
        ops.cross_entropy(member(x[share]), labels[share], reduction="sum").backward()
        np.testing.assert_allclose(member.weight.grad.numpy(), gradient, rtol=1e-12)
    assert not np.allclose(*found)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_reach_what_goes_in(training):
    model, _ = committee(2)
    assert gradcheck(model.train(training), [rows(5)])


def test_members_learn_what_one_would_learn(rng):
    # Two blobs; each member sees half of each batch.
    images = rng.standard_normal((64, 4)) + np.repeat([[1.5], [-1.5]], 32, axis=0)
    labels = np.repeat([0, 1], 32)
    model, members = committee(2, classes=2)
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    for _ in range(20):
        order = rng.permutation(64)
        optimizer.zero_grad()
        ops.cross_entropy(
            model(minicnn.tensor(images[order])), minicnn.tensor(labels[order])
        ).backward()
        optimizer.step()
    for judge in (model.eval(), *members):
        found = judge(minicnn.tensor(images)).numpy().argmax(axis=1)
        assert (found == labels).mean() > 0.95


def test_what_cannot_be_a_committee_is_refused():
    with pytest.raises(OptionError, match="at least one member"):
        nn.Committee([])
    with pytest.raises(OptionError, match="got one Sequential; put it into a list"):
        nn.Committee(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)))
    model = nn.Committee([nn.Linear(4, classes, rng=0).to("float64") for classes in (2, 3)])
    match = r"the models to be averaged give logits of shapes \(2, 2\) and \(2, 3\)"
    for training in (True, False):
        with pytest.raises(ShapeError, match=match):
            model.train(training)(rows(4 if training else 2))


def test_names_of_its_parameters():
    model, _ = committee(2)
    assert [name for name, _ in model.named_parameters()] == [
        "members.0.weight",
        "members.0.bias",
        "members.1.weight",
        "members.1.bias",
    ]
