"""The expected calibration error: against loops, at the edges of bins, and where it is known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from minicnn.errors import OptionError, ShapeError
from minicnn.training.calibration import calibration

pytestmark = pytest.mark.host


def by_loops(probabilities, labels, bins):
    """Return the sum of each bin's gap, weighed with its share of the samples."""
    error = 0.0
    for number in range(bins):
        inside = [
            (row.max(), row.argmax() == label)
            for row, label in zip(probabilities, labels, strict=True)
            if number / bins < row.max() <= (number + 1) / bins
        ]
        if inside:
            confidence = sum(c for c, _ in inside) / len(inside)
            accuracy = sum(right for _, right in inside) / len(inside)
            error += len(inside) / len(labels) * abs(accuracy - confidence)
    return error


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_the_error_is_that_of_the_definition(bins, rng):
    probabilities = rng.dirichlet(np.full(7, 0.5), 400)
    labels = rng.integers(0, 7, 400)
    found = calibration(probabilities, labels, bins=bins)
    assert found.error == pytest.approx(by_loops(probabilities, labels, bins), abs=1e-12)
    assert found.count.sum() == 400


def test_confidence_that_comes_true_has_no_error_and_overconfidence_has_its_excess():
    probabilities = np.tile([0.8, 0.2], (10, 1))
    assert calibration(probabilities, np.array([0] * 8 + [1] * 2)).error == pytest.approx(0)
    assert calibration(probabilities, np.array([0] * 5 + [1] * 5)).error == pytest.approx(0.3)


def test_the_upper_edge_belongs_to_a_bin():
    probabilities = np.array([[0.5, 0.5], [1.0, 0.0], [0.51, 0.49]])
    assert calibration(probabilities, np.zeros(3, int), bins=2).count.tolist() == [1, 2]


def test_empty_bins_hold_zeros_and_json_takes_them():
    found = calibration(np.array([[0.9, 0.1]]), np.array([0]), bins=4)
    assert found.accuracy.tolist() == [0, 0, 0, 1]
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert content["expected_calibration_error"] == pytest.approx(0.1)
    assert content["count"] == [0, 0, 0, 1]


def test_what_does_not_fit_is_refused():
    with pytest.raises(OptionError, match="bins: expected 1 or more, got 0"):
        calibration(np.ones((2, 1)), np.zeros(2, int), bins=0)
    with pytest.raises(ShapeError, match=r"got \(2, 1\) and \(3,\)"):
        calibration(np.ones((2, 1)), np.zeros(3, int))


@pytest.mark.parametrize("bins", [15, 25, 50])
def test_an_edge_between_two_bins_belongs_to_the_lower_one(bins):
    for number in range(1, bins):
        edge = number / bins
        probabilities = np.full((1, 100), 0.0)
        probabilities[0, 0] = edge
        assert calibration(probabilities, np.array([0]), bins=bins).count[number - 1] == 1
