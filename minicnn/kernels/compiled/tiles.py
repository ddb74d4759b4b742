"""Images to tiles in the transformed domain of minimal filtering and back, in one pass.

Each tile is taken through both of its transforms in memory of a few kilobytes, some channels at a
time, and only then written to its places in the table.
"""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import numpy as np

from minicnn.kernels import cook_toom
from minicnn.kernels.compiled import lowest
from minicnn.kernels.compiled.jit import inlined, specialised
from minicnn.kernels.compiled.straight import product
from minicnn.kernels.sizes import Pair
from minicnn.kernels.tiles import Tiles

__all__ = ["CompiledTiles"]

_CELL = 64  # channels at a time: the two scratch arrays in use, 16 kB each, fit the first cache


class CompiledTiles(Tiles):
    """`Tiles` for float32 arrays of NumPy, with compiled transforms of images.

    Those of filters stay matrix products: with rows so long, no compiled code is faster.
    """

    def __init__(self, like: Any, m: int, r: int, counts: Pair, corner: Pair) -> None:
        super().__init__(like, m, r, counts, corner)
        self._do = _functions(m, r)

    def cut(self, x: Any, table: Any, start: int) -> None:
        """Transform the overlapping tiles of images (N, H, W, C): B^T d B."""
        self._do.cut(_packed(x), *_flat(table), start, self.counts, self.corner)

    def join(self, table: Any, start: int, y: Any, bias: Any, slope: float) -> None:
        """Put the outputs A^T M A of tiles into y (N, OH, OW, O), with bias and activation."""
        if bias is None:
            bias = np.zeros(y.shape[3], np.float32)
        bias, factor = _packed(bias), np.float32(slope)
        self._do.join(*_flat(table), start, y, bias, factor, lowest(slope), self.counts)

    def cut_gradient(
        self, gy: Any, y: Any, slope: float, table: Any, start: int, bias: bool
    ) -> Any:
        """Transform gradients (N, OH, OW, O) of the outputs, A dY A^T: the adjoint of join.

        Returns the gradient (O,) in the bias, if it is wanted.
        """
        gy = _packed(gy)
        y = gy if y is None else _packed(y)
        sums = np.zeros(gy.shape[3])
        self._do.cut_gradient(gy, y, np.float32(slope), *_flat(table), start, sums, self.counts)
        return sums if bias else None

    def join_gradient(self, table: Any, start: int, gx: Any) -> None:
        """Add up the overlapping tiles B dV B^T in gx (N, H, W, C): the adjoint of cut."""
        self._do.join_gradient(*_flat(table), start, gx, self.counts, self.corner)


def _packed(array: Any) -> Any:
    return np.ascontiguousarray(array)


def _flat(matrix: Any) -> tuple[Any, int]:
    # All numbers of it in one row, and their number in a row of it.
    return matrix.reshape(-1), matrix.shape[1]


@functools.cache
def _functions(m: int, r: int) -> SimpleNamespace:
    """Compile the four transforms of images for F(m x m, r x r)."""
    n = m + r - 1
    b, _, a = (matrix.tolist() for matrix in cook_toom.transforms(m, r))
    matrices = {
        "into": b,
        "into_back": _turned(b),
        "outof": a,
        "outof_back": _turned(a),
    }
    # One column of the scratch arrays [n][n][_CELL] is read, one row is written: twice is both.
    lines = {name: product(matrix, n * _CELL, _CELL) for name, matrix in matrices.items()}
    values: dict[str, Any] = {"N": n, "M": m, **lines}
    functions = (_cut, _join, _cut_gradient, _join_gradient)
    return SimpleNamespace(**{each.__name__[1:]: specialised(each, **values) for each in functions})


def _turned(matrix: list[list[float]]) -> list[list[float]]:
    return [list(column) for column in zip(*matrix, strict=True)]


# What follows is compiled for each m and r; these are set then.
N = M = 0
into: Any = None
into_back: Any = None
outof: Any = None
outof_back: Any = None


@inlined
def _put(done, places, table, stride, at, count):
    # Scratch of a tile to its places in the table.
    for place in range(places):
        source, target = done[place * _CELL :], table[place * stride + at :]
        for k in range(count):
            target[k] = source[k]


@inlined
def _get(done, places, table, stride, at, count):
    for place in range(places):
        source, target = table[place * stride + at :], done[place * _CELL :]
        for k in range(count):
            target[k] = source[k]


def _cut(x, table, stride, start, counts, corner):
    images, height, width, channels = x.shape
    rows, columns = counts
    patch = np.empty(N * N * _CELL, np.float32)
    half = np.empty(N * N * _CELL, np.float32)
    done = np.empty(N * N * _CELL, np.float32)
    for tile in range(images * rows * columns):
        image, place = divmod(tile, rows * columns)
        top = place // columns * M - corner[0]
        left = place % columns * M - corner[1]
        at = start + tile * channels
        for c in range(0, channels, _CELL):
            count = min(_CELL, channels - c)
            if top < 0 or left < 0 or top + N > height or left + N > width:
                patch[:] = 0
            for i in range(max(0, -top), min(N, height - top)):
                for j in range(max(0, -left), min(N, width - left)):
                    source, target = x[image, top + i, left + j, c:], patch[(i * N + j) * _CELL :]
                    for k in range(count):
                        target[k] = source[k]
            for turn in range(2):
                source, target = (half, done) if turn else (patch, half)
                for j in range(N):
                    into(source, j * _CELL, target, j * N * _CELL, count)
            _put(done, N * N, table, stride, at + c, count)


def _join(table, stride, start, y, bias, slope, lowest, counts):
    images, height, width, channels = y.shape
    rows, columns = counts
    patch = np.empty(N * N * _CELL, np.float32)
    half = np.empty(N * N * _CELL, np.float32)
    done = np.empty(N * N * _CELL, np.float32)
    for tile in range(images * rows * columns):
        image, place = divmod(tile, rows * columns)
        top, left = place // columns * M, place % columns * M
        at = start + tile * channels
        for c in range(0, channels, _CELL):
            count = min(_CELL, channels - c)
            _get(patch, N * N, table, stride, at + c, count)
            for turn in range(2):
                source, target = (half, done) if turn else (patch, half)
                for j in range(M if turn else N):
                    outof(source, j * _CELL, target, j * N * _CELL, count)
            shift = bias[c:]
            for i in range(min(M, height - top)):
                for j in range(min(M, width - left)):
                    source, target = done[(i * N + j) * _CELL :], y[image, top + i, left + j, c:]
                    for k in range(count):
                        value = source[k] + shift[k]
                        value = lowest if value < lowest else value
                        target[k] = value if value > 0 else value * slope


def _cut_gradient(gy, y, slope, table, stride, start, sums, counts):
    images, height, width, channels = gy.shape
    rows, columns = counts
    patch = np.empty(N * N * _CELL, np.float32)
    half = np.empty(N * N * _CELL, np.float32)
    done = np.empty(N * N * _CELL, np.float32)
    total = np.empty(_CELL, np.float32)
    for tile in range(images * rows * columns):
        image, place = divmod(tile, rows * columns)
        top, left = place // columns * M, place % columns * M
        high, wide = min(M, height - top), min(M, width - left)
        at = start + tile * channels
        for c in range(0, channels, _CELL):
            count = min(_CELL, channels - c)
            if high < M or wide < M:
                patch[:] = 0
            total[:] = 0
            for i in range(high):
                for j in range(wide):
                    source, sign = gy[image, top + i, left + j, c:], y[image, top + i, left + j, c:]
                    target = patch[(i * N + j) * _CELL :]
                    for k in range(count):
                        value = source[k] if sign[k] > 0 else source[k] * slope
                        target[k] = value
                        total[k] += value
            for k in range(count):
                sums[c + k] += total[k]
            for turn in range(2):
                source, target = (half, done) if turn else (patch, half)
                for j in range(N if turn else M):
                    outof_back(source, j * _CELL, target, j * N * _CELL, count)
            _put(done, N * N, table, stride, at + c, count)


def _join_gradient(table, stride, start, gx, counts, corner):
    images, height, width, channels = gx.shape
    rows, columns = counts
    patch = np.empty(N * N * _CELL, np.float32)
    half = np.empty(N * N * _CELL, np.float32)
    done = np.empty(N * N * _CELL, np.float32)
    for tile in range(images * rows * columns):
        image, place = divmod(tile, rows * columns)
        if place == 0:
            gx[image] = 0
        top = place // columns * M - corner[0]
        left = place % columns * M - corner[1]
        at = start + tile * channels
        for c in range(0, channels, _CELL):
            count = min(_CELL, channels - c)
            _get(patch, N * N, table, stride, at + c, count)
            for turn in range(2):
                source, target = (half, done) if turn else (patch, half)
                for j in range(N):
                    into_back(source, j * _CELL, target, j * N * _CELL, count)
            for i in range(max(0, -top), min(N, height - top)):
                for j in range(max(0, -left), min(N, width - left)):
                    source, target = done[(i * N + j) * _CELL :], gx[image, top + i, left + j, c:]
                    for k in range(count):
                        target[k] += source[k]
