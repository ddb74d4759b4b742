"""Masks from hashed numbers: uniform, without correlations, the same on both backends."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import standin

from minicnn import backend
from minicnn.kernels import random
from minicnn.kernels.random import keep_mask

N = 2**18
SEEDS = [(0, 0), (1, 0), (0, 1), (2**32 - 1, 2**32 - 1), (123456789, 987654321)]


def mask(shape, keep, seed):
    like = backend.asarray(np.zeros(1, "float32"))
    return backend.to_numpy(keep_mask(like, shape, keep, seed))


def standard_normal_of_share(share: float, expected: float, count: int) -> float:
    """Return by how many standard deviations a share of draws differs from what is due."""
    return (share - expected) / math.sqrt(expected * (1 - expected) / count)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("keep", [0.001, 0.1, 0.5, 0.75, 0.9, 0.999])
def test_the_share_that_is_kept_is_right(keep, seed):
    assert abs(standard_normal_of_share(mask((N,), keep, seed).mean(), keep, N)) < 4


def test_thresholds_cut_a_uniform_distribution():
    """Chi-square over 64 cells, summed over 40 seeds, against its mean and standard deviation."""
    cells = 64
    total = 0.0
    for seed in range(40):
        below = [mask((2**13,), cell / cells, (seed, 3 * seed)).sum() for cell in range(cells + 1)]
        expected = 2**13 / cells
        total += ((np.diff(below) - expected) ** 2 / expected).sum()
    freedom = 40 * (cells - 1)
    assert abs(total - freedom) < 4 * math.sqrt(2 * freedom)


@pytest.mark.parametrize("lag", [1, 2, 3, 4, 7, 8, 16, 24, 32, 64, 576, 1024, 2**15, 2**16])
@pytest.mark.parametrize("seed", [(0, 0), (99, 2**31)])
def test_elements_at_a_distance_are_independent(lag, seed):
    drawn = mask((N,), 0.5, seed)
    equal = (drawn[lag:] == drawn[:-lag]).mean()
    assert abs(standard_normal_of_share(equal, 0.5, N - lag)) < 4


def test_runs_of_five_elements_take_all_patterns_equally_often():
    drawn = mask((N,), 0.5, (5, 6))
    count = N // 5
    patterns = drawn[: 5 * count].reshape(-1, 5) @ 2 ** np.arange(5)
    seen = np.bincount(patterns, minlength=32)
    chi_square = ((seen - count / 32) ** 2 / (count / 32)).sum()
    assert abs(chi_square - 31) < 4 * math.sqrt(2 * 31)


@pytest.mark.parametrize(
    "other", [(1, 0), (2, 0), (2**31, 0), (0, 1), (0, 2), (0, 2**31), (1, 1), (2**32 - 1, 0)]
)
def test_masks_of_neighbouring_seeds_are_independent(other):
    equal = (mask((N,), 0.5, (0, 0)) == mask((N,), 0.5, other)).mean()
    assert abs(standard_normal_of_share(equal, 0.5, N)) < 4


def test_another_key_neither_shifts_nor_swaps_the_mask(monkeypatch):
    monkeypatch.setattr(random, "keys_of", lambda seed: seed)
    first = mask((256,), 0.5, (0, 0))
    second = mask((N,), 0.5, (0, 123456789))
    windows = np.lib.stride_tricks.sliding_window_view(second, 256)
    assert (windows == first).sum(axis=1).max() < 256 * 0.75
    for bit in range(8):  # an exclusive or with the seed would swap elements in pairs
        swapped = second[:256][np.arange(256) ^ (1 << bit)]
        assert (swapped == first).sum() < 256 * 0.75


def test_masks_of_seeds_of_a_generator_share_no_more_than_chance(rng):
    seeds = rng.integers(0, 2**32, size=(12, 2)).tolist()
    drawn = [mask((N,), 0.5, seed) for seed in seeds]
    worst = max(
        abs(standard_normal_of_share((first == second).mean(), 0.5, N))
        for first, second in itertools.combinations(drawn, 2)
    )
    assert worst < 4.5  # of 66 pairs


def flips(first, second):
    """Return for each of 32 bits how often it differs between two lists of numbers."""
    changed = np.array(first, dtype=np.uint32) ^ np.array(second, dtype=np.uint32)
    return np.array([(changed >> np.uint32(bit) & 1).mean() for bit in range(32)])


@pytest.mark.host
def test_every_bit_of_a_number_changes_every_bit_of_its_hash_half_of_the_time(rng):
    numbers = rng.integers(0, 2**32, 2**11).tolist()
    plain = [random.hash_number(number, 77) for number in numbers]
    for bit in range(32):
        changed = [random.hash_number(number ^ 1 << bit, 77) for number in numbers]
        assert np.abs(flips(plain, changed) - 0.5).max() < 0.07


@pytest.mark.host
def test_every_bit_of_a_seed_changes_every_bit_of_the_keys_half_of_the_time(rng):
    seeds = rng.integers(0, 2**32, (2**10, 2)).tolist()
    plain = np.array([random.keys_of(seed) for seed in seeds])
    for half, bit in itertools.product(range(2), range(32)):
        other = [
            [each ^ (1 << bit) * (place == half) for place, each in enumerate(seed)]
            for seed in seeds
        ]
        changed = np.array([random.keys_of(seed) for seed in other])
        for key in range(2):
            assert np.abs(flips(plain[:, key], changed[:, key]) - 0.5).max() < 0.09


@pytest.mark.host
def test_hash_number_is_triple32():
    """Compare with what the same steps give in C, on uint32_t."""
    assert [random.hash_number(x) for x in (0, 1, 2, 2**32 - 1)] == [
        0,
        69681622,
        4057983209,
        310335631,
    ]


def test_arrays_are_hashed_as_single_numbers_are():
    start, key = random.keys_of((20130614, 48 * 48))
    expected = [random.hash_number((start + n) % 2**32, key) < 0.3 * 2**32 for n in range(999)]
    np.testing.assert_array_equal(mask((999,), 0.3, (20130614, 48 * 48)), expected)


def test_a_seed_means_the_same_bits_for_ever():
    drawn = mask((32,), 0.5, (20130614, 48 * 48))
    assert "".join("01"[int(kept)] for kept in drawn) == "01101010011100110011010111101011"


def test_blocks_and_shapes_do_not_change_the_bits(monkeypatch):
    whole = mask((5, 7, 11), 0.3, (1, 2))
    monkeypatch.setattr(random, "ELEMENTS_PER_BLOCK", 13)
    np.testing.assert_array_equal(mask((5, 7, 11), 0.3, (1, 2)), whole)
    np.testing.assert_array_equal(mask((385,), 0.3, (1, 2)), whole.ravel())


def test_the_numbers_wrap_around_at_the_end_of_32_bits(monkeypatch):
    monkeypatch.setattr(random, "keys_of", lambda seed: seed)
    last = mask((8,), 0.5, (2**32 - 4, 5))
    np.testing.assert_array_equal(last[4:], mask((4,), 0.5, (0, 5)))


@pytest.mark.parametrize("shape", [(0,), (), (3, 0, 2), (2, 1, 3)])
def test_the_mask_has_the_shape_asked_for(shape):
    drawn = mask(shape, 0.5, (1, 2))
    assert drawn.shape == shape
    assert drawn.dtype == bool


def test_nothing_is_kept_with_probability_0_and_all_with_1():
    assert not mask((N,), 0.0, (3, 4)).any()
    assert mask((N,), 1.0, (3, 4)).all()


def test_nothing_moves_between_host_and_device():
    like = backend.asarray(np.zeros(1, "float32"))
    with standin.no_transfers():
        keep_mask(like, (4, 5), 0.5, (1, 2))
