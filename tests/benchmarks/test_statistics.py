"""Medians, ratios and exponents, against numbers that are known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import statistics

pytestmark = pytest.mark.host


def test_ratio_is_taken_repetition_by_repetition():
    found = statistics.ratio([2.0, 8.0, 3.0], [1.0, 2.0, 2.0])
    assert found == (2.0, 1.5, 4.0)  # of the medians it would be 1.5


def test_ratio_leaves_out_repetitions_that_only_one_has():
    assert statistics.ratio([3.0], [1.0, 100.0]) == (3.0, 3.0, 3.0)


@pytest.mark.parametrize("power", [0.0, 1.0, 2.37])
def test_exponent_of_a_power_law_is_its_power(power):
    sizes = np.array([3, 7, 20, 200])
    assert statistics.exponent(sizes, 0.01 * sizes**power) == pytest.approx(power)


def test_exponent_is_the_least_squares_slope_of_the_logarithms():
    sizes, values = [1, 2, 4, 8], [1.0, 3.0, 3.5, 9.0]
    slope = np.polyfit(np.log(sizes), np.log(values), 1)[0]
    assert statistics.exponent(sizes, values) == pytest.approx(slope)


@pytest.mark.parametrize("cost", [1.0, 1e-4])
def test_measure_returns_the_median_time_of_one_warm_call(monkeypatch, cost):
    now, calls = [0.0], []
    monkeypatch.setattr(statistics.time, "perf_counter", lambda: now[0])

    def work():
        calls.append(None)
        # Slow when cold, and once more somewhere in between.
        now[0] += cost * (50 if len(calls) in (1, 5) else 1)

    assert statistics.measure(work, 3) == pytest.approx(cost, rel=1e-6)
    assert len(calls) == 2 + 3 * max(1, round(statistics.LEAST_TIME / cost))
