"""The matrices of minimal filtering, derived from interpolation points, and the tiles they suit.

An output tile of m x m of a convolution with an r x r kernel needs n^2 = (m + r - 1)^2 products
instead of m^2 r^2: for each pair of channels 64 instead of 324 with F(6x6, 3x3). Of the input tile
d and the filter g it is A^T [(G g G^T) * (B^T d B)] A, where * multiplies element by element.

The matrices follow from interpolation (Toom and Cook): a product of polynomials of degrees r - 1
and m - 1 is given by its values at n points, infinity among them, and a correlation is the
transpose of such a product. Sources: S. Winograd, Arithmetic Complexity of Computations, 1980;
A. Lavin, S. Gray, Fast Algorithms for Convolutional Neural Networks, 2016.
"""

from __future__ import annotations

import functools
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from minicnn.kernels.sizes import Pair

__all__ = ["Matrices", "tile_size", "transforms"]

# Small numbers and their inverses: the matrices hold powers of them, and large ones cost digits.
# Opposite points stand side by side, so that their rows differ in the signs of odd places only.
_POINTS = tuple(map(Fraction, ("0", "1", "-1", "2", "-2", "1/2", "-1/2")))
_LARGEST = len(_POINTS) + 1  # n; with these eight, float32 is within 3e-5 of float64

# A place of the transformed filters is written and read once or twice whatever the batch, which
# takes about as long as the products of so many tiles.
_FILTERS = 28


class Matrices(NamedTuple):
    """B^T (n, n) for the input, G (n, r) for the filter and A^T (m, n) for the output."""

    b: np.ndarray
    g: np.ndarray
    a: np.ndarray


def tile_size(kernel: int, output: Pair, images: int) -> int:
    """Return the m of F(m x m, r x r) that needs the least work for an output size and a batch.

    Parameters
    ----------
    kernel : int
        r.
    output : pair of int
        (OH, OW).
    images : int
        Large tiles need more numbers for the transformed filters, which a small batch does not
        repay.

    Returns
    -------
    int
    """

    def work(m: int) -> int:
        tiles = images * -(-output[0] // m) * -(-output[1] // m)
        return (tiles + _FILTERS) * (m + kernel - 1) ** 2

    return min(range(_LARGEST + 1 - kernel, 1, -1), key=work)


@functools.cache
def transforms(m: int, r: int) -> Matrices:
    """Derive the matrices of F(m, r) from its interpolation points.

    Parameters
    ----------
    m : int
        Outputs of a tile.
    r : int
        Length of the filter.

    Returns
    -------
    Matrices of float64
    """
    size = m + r - 1
    points = _POINTS[: size - 1]

    def evaluate(length: int) -> list[list[Fraction]]:
        # From coefficients to values at the points, and at infinity to the leading one.
        rows = [[point**power for power in range(length)] for point in points]
        return [*rows, [Fraction(int(power == length - 1)) for power in range(length)]]

    b = [list(column) for column in zip(*_inverse(evaluate(size)), strict=True)]
    g = evaluate(r)
    for i, point in enumerate(points):  # simple numbers in B^T and fractions in G, as is usual
        scale = Fraction(1)
        for other in points:
            scale *= point - other if other != point else 1
        b[i] = [value * scale for value in b[i]]
        g[i] = [value / scale for value in g[i]]
    a = [list(column) for column in zip(*evaluate(m), strict=True)]
    return Matrices(_floats(b), _floats(g), _floats(a))


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
