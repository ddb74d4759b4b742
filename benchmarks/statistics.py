"""Medians, ratios with their spread, and exponents fitted to measurements."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

import numpy as np

__all__ = ["Ratio", "exponent", "measure", "ratio"]

LEAST_TIME = 2e-3  # seconds, that the clock's resolution and its call do not count


class Ratio(NamedTuple):
    """How often one time goes into another: the median over the repetitions, and the extremes."""

    median: float
    least: float
    most: float


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> Ratio:
    """Return their times divided by ours, repetition by repetition: above 1, ours is faster.

    Repetitions that were interleaved have seen the same weather on the machine, so that their
    ratios vary less than those of the medians.

    Parameters
    ----------
    theirs, ours : sequence of float
        Times of the same repetitions; there may be more of one than of the other.
    """
    found = [a / b for a, b in zip(theirs, ours, strict=False)]
    return Ratio(median(found), min(found), max(found))


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Return the p of the value = c * size**p that fits best: least squares on the logarithms.

    Parameters
    ----------
    sizes, values : sequence of float
        Above 0; two different sizes or more.
    """
    x, y = np.log(np.asarray(sizes, float)), np.log(np.asarray(values, float))
    x = x - x.mean()
    return float(x @ (y - y.mean()) / (x @ x))


def measure(function: Callable[[], object], repeat: int) -> float:
    """Return the median time of a call in seconds, warm.

    Parameters
    ----------
    function : callable
    repeat : int
        How often it is measured. Short calls are measured several at a time.
    """
    function()
    start = time.perf_counter()
    function()
    once = time.perf_counter() - start
    calls = max(1, round(LEAST_TIME / max(once, 1e-7)))
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        for _ in range(calls):
            function()
        times.append((time.perf_counter() - start) / calls)
    return median(times)
