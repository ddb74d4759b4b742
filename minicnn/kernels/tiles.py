"""Images to tiles in the transformed domain of minimal filtering and back, by matrix products.

A table (n^2, T * C) holds for each of the n^2 places of a tile the numbers of all tiles and
channels. The transform of both axes is two products with small matrices, one for each axis.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn import backend
from minicnn.kernels import cook_toom
from minicnn.kernels.activation import leaky_relu_gradient, rectify
from minicnn.kernels.sizes import Pair

__all__ = ["Tiles"]

# Pairs of channels whose filters are transformed at a time: what is between the two products stays
# in the second-level cache, and the rows are long enough to be written at full speed.
_PAIRS = 1 << 13


class Tiles:
    """How images are cut into tiles of m x m outputs, and the transforms of these.

    Parameters
    ----------
    like : array
        Of the backend and the element type of the images.
    m, r : int
        Outputs of a tile and size of the kernel.
    counts : pair of int
        Rows and columns of tiles of an image.
    corner : pair of int
        Rows and columns of padding before the image.

    Notes
    -----
    Each method reads or writes the columns of a table from ``start`` on.
    """

    def __init__(self, like: Any, m: int, r: int, counts: Pair, corner: Pair) -> None:
        self.m, self.r, self.n = m, r, m + r - 1
        self.counts, self.corner = counts, corner
        # Arrays of counting numbers meet the matrices as float64.
        dtype = like.dtype if like.dtype.kind == "f" else np.dtype("float64")
        xp = backend.xp(like)
        matrices = cook_toom.transforms(m, r)
        self._b, self._g, self._a = (xp.asarray(matrix, dtype=dtype) for matrix in matrices)

    def cut(self, x: Any, table: Any, start: int) -> None:
        """Transform the overlapping tiles of images (N, H, W, C): B^T d B."""
        n, h, w, c = x.shape
        framed = self._frame(x, n, c)
        top, left = self.corner
        framed[:, top : top + h, left : left + w] = x
        self._transform(self._b, self._view(framed).reshape(self.n, -1), table, start)

    def join(self, table: Any, start: int, y: Any, bias: Any, slope: float) -> None:
        """Put the outputs A^T M A of tiles into y (N, OH, OW, O), with bias and activation."""
        n, oh, ow, o = y.shape
        (rows, columns), m = self.counts, self.m
        outputs = self._transformed(self._a, table, start, n * rows * columns * o)
        outputs = outputs.reshape(m, m, n, rows, columns, o)
        outputs = outputs.transpose(2, 3, 0, 4, 1, 5)
        if (rows * m, columns * m) == (oh, ow):
            y.reshape(n, rows, m, columns, m, o)[...] = outputs
        else:
            y[...] = outputs.reshape(n, rows * m, columns * m, o)[:, :oh, :ow]
        if bias is not None:
            y += bias
        if slope != 1:
            rectify(y, slope)

    def cut_gradient(
        self, gy: Any, y: Any, slope: float, table: Any, start: int, bias: bool
    ) -> Any:
        """Transform gradients (N, OH, OW, O) of the outputs, A dY A^T: the adjoint of join.

        Returns the gradient (O,) in the bias, if it is wanted.
        """
        n, oh, ow, o = gy.shape
        if slope != 1:
            gy = leaky_relu_gradient(y, gy, slope)
        sums = gy.sum(axis=(0, 1, 2)) if bias else None
        (rows, columns), m = self.counts, self.m
        if (rows * m, columns * m) != (oh, ow):
            framed = backend.xp(gy).zeros((n, rows * m, columns * m, o), dtype=gy.dtype)
            framed[:, :oh, :ow] = gy
            gy = framed
        view = gy.reshape(n, rows, m, columns, m, o).transpose(2, 4, 0, 1, 3, 5)
        self._transform(self._a.T, view.reshape(m, -1), table, start)
        return sums

    def join_gradient(self, table: Any, start: int, gx: Any) -> None:
        """Add up the overlapping tiles B dV B^T in gx (N, H, W, C): the adjoint of cut."""
        n, h, w, c = gx.shape
        framed = self._frame(gx, n, c)
        rows, columns = self.counts
        parts = self._transformed(self._b.T, table, start, n * rows * columns * c)
        parts = parts.reshape(self.n, self.n, n, *self.counts, c)
        view = self._view(framed)
        for i in range(self.n):
            for j in range(self.n):  # the tiles overlap, but no tile meets another at its (i, j)
                view[i, j] += parts[i, j]
        top, left = self.corner
        gx[...] = framed[:, top : top + h, left : left + w]

    def filters(self, w: Any, table: Any, part: slice) -> None:
        """Transform filters (r^2, K), or a part of the K, to G g G^T, (n^2, K)."""
        for some in _parts(w, part):
            self._transform(self._g, w[:, some].reshape(self.r, -1), table, some.start)

    def filters_gradient(self, table: Any, gw: Any, part: slice) -> None:
        """Put G^T dU G into gw (r^2, K), or into a part of the K: the adjoint of filters."""
        for some in _parts(gw, part):
            gw[:, some] = self._transformed(self._g.T, table, some.start, some.stop - some.start)

    def _frame(self, x: Any, n: int, c: int) -> Any:
        height, width = (count * self.m + self.r - 1 for count in self.counts)
        return backend.xp(x).zeros((n, height, width, c), dtype=x.dtype)

    def _view(self, framed: Any) -> Any:
        # Framed images as overlapping tiles (n, n, N, rows, columns, C).
        sn, sh, sw, sc = framed.strides
        return backend.xp(framed).lib.stride_tricks.as_strided(
            framed,
            shape=(self.n, self.n, framed.shape[0], *self.counts, framed.shape[3]),
            strides=(sh, sw, sn, sh * self.m, sw * self.m, sc),
        )

    def _transform(self, matrix: Any, lines: Any, table: Any, start: int) -> None:
        # The product for the rows of a tile, then that for its columns; (k, k * K) to (n^2, K).
        n, k = matrix.shape
        half = (matrix @ lines).reshape(n, k, -1)
        into = table[:, start : start + half.shape[2]].reshape(n, n, -1)
        xp = backend.xp(lines)
        if xp is np:
            xp.matmul(matrix, half, out=into)
        else:
            into[...] = xp.matmul(matrix, half)

    def _transformed(self, matrix: Any, table: Any, start: int, count: int) -> Any:
        # The same the other way: (n^2, K) to (k^2, K), the columns of a tile first.
        k, n = matrix.shape
        part = table[:, start : start + count].reshape(n, n, -1)
        half = backend.xp(table).matmul(matrix, part)
        return (matrix @ half.reshape(n, -1)).reshape(k * k, -1)


def _parts(like: Any, part: slice) -> Iterator[slice]:
    # Each starts kernels of its own on another backend, and is too small for that.
    step = _PAIRS if backend.xp(like) is np else max(1, part.stop - part.start)
    for start in range(part.start, part.stop, step):
        yield slice(start, min(start + step, part.stop))
