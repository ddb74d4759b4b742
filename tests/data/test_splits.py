"""Stratified splits, folds and subsets: their defining properties."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn.data.splits import limit, stratified_kfold, stratified_split
from minicnn.errors import DTypeError, OptionError, ShapeError

pytestmark = pytest.mark.host

LABELS = st.lists(st.integers(0, 6), min_size=2, max_size=80).map(np.array)
SEEDS = st.integers(0, 1000)


def shares_hold(labels, chosen):
    """Each class has its share among the chosen, rounded down or up."""
    counts, inside = Counter(labels.tolist()), Counter(labels[chosen].tolist())
    return all(
        abs(inside[label] - count * len(chosen) / len(labels)) < 1
        for label, count in counts.items()
    )


@settings(deadline=None)
@given(LABELS, st.floats(0.01, 0.99), SEEDS)
def test_split_parts_are_disjoint_complete_and_stratified(labels, fraction, seed):
    if not 0 < round(fraction * len(labels)) < len(labels):
        with pytest.raises(OptionError, match="empty"):
            stratified_split(labels, fraction, np.random.default_rng(seed))
        return
    train, validation = stratified_split(labels, fraction, np.random.default_rng(seed))
    assert sorted([*train, *validation]) == list(range(len(labels)))
    assert len(validation) == round(fraction * len(labels))
    assert (np.diff(train) > 0).all()
    assert (np.diff(validation) > 0).all()
    assert shares_hold(labels, validation)


@settings(deadline=None)
@given(LABELS, st.integers(2, 12), SEEDS)
def test_folds_validate_each_sample_once_with_equal_class_shares(labels, folds, seed):
    largest = max(Counter(labels.tolist()).values())
    if folds > largest:
        with pytest.raises(OptionError, match=rf"{folds} is more than .*\({largest}\)"):
            stratified_kfold(labels, folds, np.random.default_rng(seed))
        return
    pairs = stratified_kfold(labels, folds, np.random.default_rng(seed))
    assert len(pairs) == folds
    assert sorted(np.concatenate([validation for _, validation in pairs])) == list(
        range(len(labels))
    )
    for train, validation in pairs:
        assert sorted([*train, *validation]) == list(range(len(labels)))
    sizes = [len(validation) for _, validation in pairs]
    assert max(sizes) - min(sizes) <= 1
    for label in set(labels.tolist()):
        members = [int((labels[validation] == label).sum()) for _, validation in pairs]
        assert max(members) - min(members) <= 1


@settings(deadline=None)
@given(LABELS, st.integers(1, 100), SEEDS)
def test_limit_chooses_that_many_with_equal_class_shares(labels, n, seed):
    chosen = limit(labels, n, np.random.default_rng(seed))
    assert len(chosen) == min(n, len(labels))
    assert (np.diff(chosen) > 0).all()
    assert shares_hold(labels, chosen)


def divisions(seed):
    labels = np.arange(40) % 4
    _, validation = stratified_split(labels, 0.25, np.random.default_rng(seed))
    folds = stratified_kfold(labels, 4, np.random.default_rng(seed))
    return [validation, folds[0][1], limit(labels, 12, np.random.default_rng(seed))]


def test_same_seed_gives_the_same_division_and_another_seed_another():
    for same, first, other in zip(divisions(1), divisions(1), divisions(2), strict=True):
        assert np.array_equal(same, first)
        assert not np.array_equal(first, other)


def test_odd_samples_go_to_the_largest_remainders_and_then_to_the_first_classes():
    labels = np.array([0] * 6 + [1] * 3 + [2])  # shares of 5: 3, 1.5 and 0.5
    chosen = labels[limit(labels, 5, np.random.default_rng(0))]
    assert np.bincount(chosen, minlength=3).tolist() == [3, 2, 0]


def test_every_member_of_a_class_can_be_drawn():
    labels = np.array([0] * 6 + [1] * 6)
    drawn = [limit(labels, 4, np.random.default_rng(seed)) for seed in range(50)]
    assert set(np.concatenate(drawn).tolist()) == set(range(12))


def test_class_with_fewer_members_than_folds_is_allowed():
    labels = np.array([0] * 10 + [1])
    with_one = [
        (labels[validation] == 1).sum()
        for _, validation in stratified_kfold(labels, 5, np.random.default_rng(0))
    ]
    assert sorted(with_one) == [0, 0, 0, 0, 1]


@pytest.mark.parametrize("folds", [1, 0, -3, 2.5, True])
def test_folds_below_two_are_refused(folds):
    with pytest.raises(OptionError, match="folds: expected an integer of 2 or more"):
        stratified_kfold(np.zeros(9, int), folds, np.random.default_rng(0))


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_fraction_outside_zero_to_one_is_refused(fraction):
    with pytest.raises(OptionError, match="fraction: expected a number between 0 and 1"):
        stratified_split(np.zeros(9, int), fraction, np.random.default_rng(0))


def test_limit_below_one_is_refused():
    with pytest.raises(OptionError, match="limit: expected an integer of 1 or more, got 0"):
        limit(np.zeros(9, int), 0, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("labels", "error"),
    [([], OptionError), (np.zeros((2, 2), int), ShapeError), ([0.5, 1.0], DTypeError)],
)
def test_labels_of_a_wrong_kind_are_refused(labels, error):
    with pytest.raises(error, match="labels"):
        limit(labels, 1, np.random.default_rng(0))
