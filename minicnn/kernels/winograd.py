"""Convolution by Winograd's minimal filtering: fewer products, more sums, for stride 1.

An output tile of m x m of a convolution with an r x r kernel needs (m + r - 1)^2 products instead
of m^2 r^2: for each pair of channels 36 instead of 144 with F(4x4, 3x3). Of the input tile d and
the filter g it is A^T [(G g G^T) * (B^T d B)] A, where * multiplies element by element; summed over
the channels, each of the (m + r - 1)^2 places is a matrix product (tiles, C) x (C, O).

The matrices follow from interpolation (Toom and Cook): a product of polynomials of degrees r - 1
and m - 1 is given by its values at m + r - 1 points, infinity among them, and a correlation is the
transpose of such a product. Sources: S. Winograd, Arithmetic Complexity of Computations, 1980;
A. Lavin, S. Gray, Fast Algorithms for Convolutional Neural Networks, 2016.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from minicnn import backend
from minicnn.kernels.sizes import Padding, Pair
from minicnn.kernels.threads import limit_blas, parallel, split

__all__ = [
    "conv2d",
    "cost",
    "filter_cost",
    "filter_gradient",
    "input_gradient",
    "tile_size",
    "transforms",
]

# Small numbers first: the matrices hold their powers, and large ones cost digits.
_POINTS = tuple(map(Fraction, (0, 1, -1, 2, -2)))
_LARGEST = len(_POINTS) + 1  # m + r - 1; eight points would cost another digit of float32
_CHUNK = 1 << 19  # numbers in one transformed array of a chunk: about a core's second-level cache
_PARALLEL = 1 << 20  # products of two numbers from which on a second thread gains
_LEAST_TILES = 96  # rows of a product, so that the filters are not read again for a few of them


def tile_size(kernel: int, output: Pair) -> int:
    """Return the m of F(m x m, r x r) that needs the fewest products for an output size."""

    def products(m: int) -> int:
        tiles = -(-output[0] // m) * -(-output[1] // m)
        return tiles * (m + kernel - 1) ** 2

    return min(range(_LARGEST + 1 - kernel, 0, -1), key=products)


@functools.cache
def transforms(m: int, r: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Derive the matrices of F(m, r) from its interpolation points.

    Parameters
    ----------
    m : int
        Outputs of a tile.
    r : int
        Length of the filter.

    Returns
    -------
    b : float64 array (m + r - 1, m + r - 1)
        B^T, for the input.
    g : float64 array (m + r - 1, r)
        G, for the filter.
    a : float64 array (m, m + r - 1)
        A^T, for the output.
    """
    size = m + r - 1
    points = _POINTS[: size - 1]

    def evaluate(length: int) -> list[list[Fraction]]:
        # From coefficients to values at the points, and at infinity to the leading one.
        rows = [[point**power for power in range(length)] for point in points]
        return [*rows, [Fraction(int(power == length - 1)) for power in range(length)]]

    b = [list(column) for column in zip(*_inverse(evaluate(size)), strict=True)]
    g = evaluate(r)
    for i, point in enumerate(points):  # whole numbers in B^T and fractions in G, as is usual
        scale = Fraction(1)
        for other in points:
            scale *= point - other if other != point else 1
        b[i] = [value * scale for value in b[i]]
        g[i] = [value / scale for value in g[i]]
    a = [list(column) for column in zip(*evaluate(m), strict=True)]
    return _floats(b), _floats(g), _floats(a)


def _floats(rows: list[list[Fraction]]) -> np.ndarray:
    return np.array(rows, dtype=np.float64)


def _inverse(rows: list[list[Fraction]]) -> list[list[Fraction]]:
    # Gauss and Jordan, in exact fractions.
    n = len(rows)
    work = [row + [Fraction(int(i == j)) for j in range(n)] for i, row in enumerate(rows)]
    for i in range(n):
        pivot = next(k for k in range(i, n) if work[k][i])
        work[i], work[pivot] = work[pivot], work[i]
        work[i] = [value / work[i][i] for value in work[i]]
        for k in range(n):
            if k != i and work[k][i]:
                factor = work[k][i]
                work[k] = [u - factor * v for u, v in zip(work[k], work[i], strict=True)]
    return [row[n:] for row in work]


class _Tiling:
    """How images are cut into tiles: the matrices for both axes at once, sizes, and chunks."""

    def __init__(self, x: Any, kernel: int, channels: int, padding: Padding, output: Pair) -> None:
        limit_blas()
        self.m, self.r = tile_size(kernel, output), kernel
        self.size = self.m + kernel - 1
        self.places = self.size**2
        self.tiles = (-(-output[0] // self.m), -(-output[1] // self.m))
        self.top, self.left = padding[0][0], padding[1][0]
        xp = backend.xp(x)
        self.into, self.filters, self.outof = (
            xp.asarray(matrix, dtype=_float_type(x.dtype)) for matrix in _squares(self.m, kernel)
        )
        tiles = max(_CHUNK // (self.places * max(x.shape[3], channels)), _LEAST_TILES)
        self.images = max(1, tiles // (self.tiles[0] * self.tiles[1]))

    def shares(self, n: int, pairs: int) -> list[slice]:
        """Return the images of each thread, for so many pairs of channels."""
        products = n * self.tiles[0] * self.tiles[1] * self.places * pairs
        return split(n, None if products > _PARALLEL else 1)

    def chunks(self, images: slice) -> Iterator[slice]:
        """Split a range of images into chunks of nearly equal size."""
        n = images.stop - images.start
        for part in split(n, -(-n // self.images)):
            yield slice(images.start + part.start, images.start + part.stop)

    def cut(self, x: Any) -> Any:
        """Copy images (N, H, W, C) into overlapping tiles (size^2, N * tiles * C)."""
        xp = backend.xp(x)
        n, h, w, c = x.shape
        height, width = (count * self.m + self.r - 1 for count in self.tiles)
        framed = xp.zeros((n, height, width, c), dtype=x.dtype)
        framed[:, self.top : self.top + h, self.left : self.left + w] = x
        sn, sh, sw, sc = framed.strides
        view = xp.lib.stride_tricks.as_strided(
            framed,
            shape=(self.size, self.size, n, *self.tiles, c),
            strides=(sh, sw, sn, sh * self.m, sw * self.m, sc),
        )
        return view.reshape(self.places, -1)

    def join(self, tiles: Any, y: Any) -> None:
        """Put output tiles (m^2, N * tiles * O) into y (N, OH, OW, O)."""
        n, oh, ow, o = y.shape
        (rows, columns), m = self.tiles, self.m
        tiles = tiles.reshape(m, m, n, rows, columns, o).transpose(2, 3, 0, 4, 1, 5)
        if (rows * m, columns * m) == (oh, ow):
            y.reshape(n, rows, m, columns, m, o)[...] = tiles
        else:
            y[...] = tiles.reshape(n, rows * m, columns * m, o)[:, :oh, :ow]

    def cut_gradient(self, gy: Any) -> Any:
        """Copy gradients (N, OH, OW, O) into tiles (m^2, N * tiles * O): the adjoint of join."""
        n, oh, ow, o = gy.shape
        (rows, columns), m = self.tiles, self.m
        if (rows * m, columns * m) != (oh, ow):
            framed = backend.xp(gy).zeros((n, rows * m, columns * m, o), dtype=gy.dtype)
            framed[:, :oh, :ow] = gy
            gy = framed
        view = gy.reshape(n, rows, m, columns, m, o).transpose(2, 4, 0, 1, 3, 5)
        return view.reshape(m * m, -1)


@functools.cache
def _squares(m: int, r: int) -> tuple[np.ndarray, ...]:
    # kron(B^T, B^T), kron(G, G) and kron(A^T, A^T): a tile is a column, for both axes at once.
    return tuple(np.kron(matrix, matrix) for matrix in transforms(m, r))


def _float_type(dtype: Any) -> Any:
    # Arrays of counting numbers meet the matrices as float64.
    return dtype if dtype.kind == "f" else np.dtype("float64")


def cost(n: int, c: int, o: int, kernel: int, output: Pair) -> tuple[int, int]:
    """Return the multiplications and additions of a convolution without bias, transforms included.

    The transforms are products with whole matrices, zeros and ones among their entries.

    Parameters
    ----------
    n, c, o : int
        Images, channels and filters.
    kernel : int
        R.
    output : pair of int

    Returns
    -------
    multiplications, additions : int
    """
    places, area, tiles = _counts(n, kernel, output)
    size = kernel**2
    products = [
        (places, size, c * o),
        (places, places, tiles * c),
        (tiles * places, c, o),
        (area, places, tiles * o),
    ]
    return _sum_of_products(products)


def filter_cost(n: int, c: int, o: int, kernel: int, output: Pair) -> tuple[int, int]:
    """Return the multiplications and additions of :func:`filter_gradient`; see :func:`cost`."""
    places, area, tiles = _counts(n, kernel, output)
    products = [
        (places, places, tiles * c),
        (places, area, tiles * o),
        (places * c, tiles, o),
        (kernel**2, places, c * o),
    ]
    return _sum_of_products(products)


def _counts(n: int, kernel: int, output: Pair) -> tuple[int, int, int]:
    # Places of a tile in the transformed domain, its outputs, and the number of tiles.
    m = tile_size(kernel, output)
    return (m + kernel - 1) ** 2, m * m, n * -(-output[0] // m) * -(-output[1] // m)


def _sum_of_products(products: list[tuple[int, int, int]]) -> tuple[int, int]:
    # Of matrices (rows, terms) x (terms, columns).
    multiplications = sum(rows * terms * columns for rows, terms, columns in products)
    return multiplications, sum(rows * (terms - 1) * columns for rows, terms, columns in products)


def conv2d(x: Any, w: Any, b: Any, *, padding: Padding, output: Pair) -> Any:
    """Cross-correlate images with square filters, with stride 1.

    Parameters
    ----------
    x : array (N, H, W, C)
    w : array (R, R, C, O)
    b : array (O,) or None
    padding : pair of pairs
    output : pair of int

    Returns
    -------
    array (N, OH, OW, O)
    """
    xp = backend.xp(x)
    n, c, o = x.shape[0], w.shape[2], w.shape[3]
    tiling = _Tiling(x, w.shape[0], o, padding, output)
    u = (tiling.filters @ w.reshape(tiling.r**2, c * o)).reshape(tiling.places, c, o)
    y = xp.empty((n, *output, o), dtype=x.dtype)

    def compute(images: slice) -> None:
        for part in tiling.chunks(images):
            v = tiling.into @ tiling.cut(x[part])
            products = xp.matmul(v.reshape(tiling.places, -1, c), u)
            target = y[part]
            tiling.join(tiling.outof @ products.reshape(tiling.places, -1), target)
            if b is not None:
                target += b

    if n:
        parallel(compute, tiling.shares(n, c * o))
    return y


def input_gradient(gy: Any, w: Any, *, size: Pair, padding: Padding) -> Any:
    """Return the gradient in x: the correlation of gy with the turned filters.

    Parameters
    ----------
    gy : array (N, OH, OW, O)
    w : array (R, R, C, O)
    size : pair of int
        (H, W) of the images.
    padding : pair of pairs
        Of the convolution, below R on each side.

    Returns
    -------
    array (N, H, W, C)
    """
    turned = backend.xp(w).ascontiguousarray(w[::-1, ::-1].swapaxes(2, 3))
    last = w.shape[0] - 1
    (top, bottom), (left, right) = padding
    frame = ((last - top, last - bottom), (last - left, last - right))
    return conv2d(gy, turned, None, padding=frame, output=size)


def filter_gradient(x: Any, gy: Any, *, kernel: int, padding: Padding) -> Any:
    """Return the gradient in w: the adjoint of each step, in reverse.

    Parameters
    ----------
    x : array (N, H, W, C)
    gy : array (N, OH, OW, O)
    kernel : int
        R.
    padding : pair of pairs

    Returns
    -------
    array (R, R, C, O)
    """
    xp = backend.xp(x)
    n, c, o = x.shape[0], x.shape[3], gy.shape[3]
    if not n:
        return xp.zeros((kernel, kernel, c, o), dtype=x.dtype)
    tiling = _Tiling(x, kernel, o, padding, gy.shape[1:3])
    places = tiling.places

    def compute(images: slice) -> Any:
        total: Any = None
        for part in tiling.chunks(images):
            v = (tiling.into @ tiling.cut(x[part])).reshape(places, -1, c)
            m = (tiling.outof.T @ tiling.cut_gradient(gy[part])).reshape(places, -1, o)
            found = xp.matmul(v.swapaxes(1, 2), m)
            if total is None:
                total = found
            else:
                total += found
        return total

    total, *others = parallel(compute, tiling.shares(n, c * o))
    for other in others:
        total += other
    return (tiling.filters.T @ total.reshape(places, c * o)).reshape(kernel, kernel, c, o)
