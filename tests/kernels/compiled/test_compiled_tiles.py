"""Compiled transforms against the same ones by matrix products, and the code made of a matrix."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from minicnn.kernels import cook_toom
from minicnn.kernels.tiles import Tiles

pytest.importorskip("numba")

from minicnn.kernels.compiled import straight
from minicnn.kernels.compiled.jit import specialised
from minicnn.kernels.compiled.tiles import CompiledTiles

pytestmark = pytest.mark.host

# (m, r, channels, padding before): tiles stand over, channels fill cells and do not
CASES = {
    "6x6 of 3x3": (6, 3, 65, (1, 1)),
    "4x4 of 3x3": (4, 3, 3, (1, 0)),
    "3x3 of 3x3": (3, 3, 130, (0, 1)),
    "4x4 of 5x5": (4, 5, 64, (2, 2)),
    "5x5 of 4x4": (5, 4, 5, (1, 2)),
}


class Pair:
    """The two implementations on the same images, whose last tiles stand over."""

    def __init__(self, case, rng):
        self.m, self.r, self.channels, corner = case
        self.output = (2 * self.m - 1, 2 * self.m + 1)
        self.size = tuple(n + self.r - 1 - k for n, k in zip(self.output, corner, strict=True))
        counts = (2, 3)
        self.rng = rng
        self.columns = 2 * counts[0] * counts[1] * self.channels
        self.n = self.m + self.r - 1
        self.slow = Tiles(np.zeros(1, np.float32), self.m, self.r, counts, corner)
        self.fast = CompiledTiles(np.zeros(1, np.float32), self.m, self.r, counts, corner)

    def draw(self, *shape):
        return self.rng.standard_normal(shape).astype(np.float32)

    def tables(self, values=None):
        shape = (self.n**2, self.columns + 7)
        return [np.full(shape, 9, np.float32) if values is None else values.copy() for _ in "12"]


@pytest.fixture(params=CASES)
def pair(request, rng):
    return Pair(CASES[request.param], rng)


def check_equal(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_images_are_cut_alike(pair):
    x = pair.draw(2, *pair.size, pair.channels)
    fast, slow = pair.tables()
    pair.fast.cut(x, fast, 5)
    pair.slow.cut(x, slow, 5)
    check_equal(fast, slow)  # around the columns as well: both leave the nines


@pytest.mark.parametrize("slope", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("with_bias", [True, False])
def test_outputs_are_joined_alike(pair, slope, with_bias):
    table = pair.draw(pair.n**2, pair.columns + 7)
    bias = pair.draw(pair.channels) if with_bias else None
    fast, slow = (np.empty((2, *pair.output, pair.channels), np.float32) for _ in "12")
    pair.fast.join(table, 5, fast, bias, slope)
    pair.slow.join(table, 5, slow, bias, slope)
    check_equal(fast, slow)


@pytest.mark.parametrize("slope", [0.0, 0.25, 1.0])
def test_infinities_and_nan_are_joined_alike(pair, slope):
    bias = pair.draw(pair.channels)
    bias[:3] = np.inf, -np.inf, np.nan
    table = pair.draw(pair.n**2, pair.columns + 7)
    fast, slow = (np.empty((2, *pair.output, pair.channels), np.float32) for _ in "12")
    pair.fast.join(table, 5, fast, bias, slope)
    pair.slow.join(table, 5, slow, bias, slope)
    np.testing.assert_allclose(fast, slow, rtol=1e-4, atol=1e-3)
    assert slope or not slow[..., 1].any()


@pytest.mark.parametrize("slope", [0.0, 0.25, 1.0])
def test_gradients_of_outputs_are_cut_alike(pair, slope):
    gy, y = (pair.draw(2, *pair.output, pair.channels) for _ in "12")
    fast, slow = pair.tables()
    sums = pair.fast.cut_gradient(gy, y, slope, fast, 5, True)
    expected = pair.slow.cut_gradient(gy, y, slope, slow, 5, True)
    check_equal(fast, slow)
    check_equal(sums, expected)
    assert pair.fast.cut_gradient(gy, y, slope, fast, 5, False) is None


def test_gradients_of_tiles_are_joined_alike(pair):
    table = pair.draw(pair.n**2, pair.columns + 7)
    fast, slow = (np.empty((2, *pair.size, pair.channels), np.float32) for _ in "12")
    pair.fast.join_gradient(table, 5, fast)
    pair.slow.join_gradient(table, 5, slow)
    check_equal(fast, slow)


def test_code_from_disk_gives_the_bits_of_code_just_compiled(tmp_path):
    code = """if True:
        import hashlib
        import numpy as np
        from minicnn.kernels.compiled import compile_seconds
        from minicnn.kernels.compiled.tiles import CompiledTiles
        table = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
        y = np.empty((1, 6, 6, 64), np.float32)
        CompiledTiles(table, 6, 3, (1, 1), (1, 1)).join(table, 0, y, None, 1.0)
        print(compile_seconds() > 0, hashlib.sha256(y).hexdigest())
    """

    def run():
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
        return done.stdout.split()

    (compiled, first), (compiled_again, second) = run(), run()
    assert (compiled, compiled_again) == ("True", "False")
    assert first == second


def test_rows_of_opposite_points_share_their_sums():
    matrix = cook_toom.transforms(4, 3).b.tolist()
    text = "\n".join(straight.body(matrix, 8, 4))
    # Rows 1 and 2 share even and odd sums, and so do rows 3 and 4; rows 0 and 5 stand alone.
    assert text.count("even, odd =") == 2
    assert "float32(0.0)" not in text


def test_another_matrix_does_not_find_the_code_of_the_first():
    first, second = (straight.product([[1, value]], 4, 4) for value in (2, 3))
    assert first.__name__ != second.__name__
    names = {specialised(_answer, WHAT=value).__name__ for value in (1, 2, first, second)}
    assert len(names) == 4
    assert specialised(_answer, WHAT=7)() == 7


WHAT = 0


def _answer():
    return WHAT
