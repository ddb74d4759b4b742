"""Matrix products, the large ones split over the threads of the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import backend
from minicnn.kernels.threads import limit_blas, parallel, split

__all__ = ["Product", "deferrable", "matmul"]

_PARALLEL = 1 << 21  # products of two numbers from which on a second thread gains
_LARGE = 1 << 17  # numbers of a product that had better not be written and read as a whole
# To know the norm of a product without its numbers gains for those that leave the cache, if it
# takes so few terms for each of them: dense layers of 2000 x 2000 and 64 rows need 4.
_HUGE, _TERMS = 1 << 21, 8
# The least share of (|x| |y|)**2 in the squares of x @ y: float32 rounds to 6e-8 of |x| |y|, which
# is little beside a norm of 1e-4 of it.
_KEPT = 1e-8


def matmul(x: Any, y: Any) -> Any:
    """Return x @ y, by the rules of NumPy.

    Parameters
    ----------
    x, y : arrays
        Two matrices, large enough and on a CPU, are split along the longer side of the product.

    Returns
    -------
    array
    """
    limit_blas()
    xp = backend.xp(x, y)
    if x.ndim != 2 or y.ndim != 2 or xp is not np or x.size * y.shape[1] < _PARALLEL:
        return x @ y
    rows, columns = x.shape[0], y.shape[1]
    product = xp.empty((rows, columns), dtype=xp.result_type(x, y))

    def compute(part: slice) -> None:
        if rows >= columns:
            xp.matmul(x[part], y, out=product[part])
        else:
            xp.matmul(x, y[:, part], out=product[:, part])

    parallel(compute, split(max(rows, columns)))
    return product


def deferrable(x: Any, y: Any) -> bool:
    """Tell whether it gains to keep copies of two matrices, and compute x @ y where it is needed.

    It does for large products of few terms on a CPU, which are over before their numbers have been
    written to memory and read again.
    """
    size = x.shape[0] * y.shape[1]
    large = size >= _LARGE and 2 * (x.size + y.size) <= size
    return large and type(x) is np.ndarray and x.dtype == np.float32


class Product:
    """The product x @ y of two matrices, of which a part is computed when it is asked for.

    Whoever needs its numbers one after the other, and only once, so has them while they are in the
    cache, and they never need memory as a whole.

    Parameters
    ----------
    x, y : arrays of shape (N, K) and (K, M)
        They must not be changed any more.

    Attributes
    ----------
    x, y : arrays
    shape : tuple of int
    dtype : dtype
    """

    def __init__(self, x: Any, y: Any) -> None:
        self.x, self.y = x, y
        self.shape: tuple[int, ...] = (x.shape[0], y.shape[1])
        self.dtype = backend.xp(x, y).result_type(x, y)

    def whole(self) -> Any:
        """Return all of it."""
        return matmul(self.x, self.y)

    def has_cheap_norm(self) -> bool:
        """Tell whether :meth:`squared_norm` gains over computing the product as a whole."""
        rows, columns = self.shape
        terms = (rows + columns) * self.x.shape[1] ** 2
        return rows * columns >= _HUGE and terms <= _TERMS * rows * columns

    def squared_norm(self) -> float | None:
        """Return the sum of the squares of its numbers, which are not computed for it.

        It is that of ``(x.T @ x) * (y @ y.T)``, which are small where K is, in float64.

        Returns
        -------
        float or None
            None where the numbers themselves must tell: one is NaN or infinite, the sum is more
            than their type can hold, or so little is left of terms of two signs that the numbers
            are rounding errors for the most part.
        """
        xp = backend.xp(self.x, self.y)
        x, y = self.x.astype(xp.float64), self.y.astype(xp.float64)
        left, right = matmul(x.T, x), matmul(y, y.T)
        total, largest = float(xp.vdot(left, right)), float(xp.trace(left) * xp.trace(right))
        kept = _KEPT * largest <= total < float(xp.finfo(self.dtype).max)  # not with NaN
        return total if kept else None

    def scaled(self, factor: Any) -> Product:
        """Return the product with a factor.

        Parameters
        ----------
        factor : float or array of shape ()
        """
        return Product(self.x, self.y * factor)

    def part(self, numbers: slice) -> Any:
        """Return some of its numbers, counted row by row, computed by this thread alone.

        Parameters
        ----------
        numbers : slice
            With a start and a stop, and no step.

        Returns
        -------
        array of shape (stop - start,)
        """
        columns = self.shape[1]
        first = numbers.start // columns
        rows = self.x[first : -(-numbers.stop // columns)]
        start = numbers.start - first * columns
        return (rows @ self.y).reshape(-1)[start : start + numbers.stop - numbers.start]
