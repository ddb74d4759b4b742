"""Matrix products, the large ones split over the threads of the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import backend
from minicnn.kernels.threads import limit_blas, parallel, split

__all__ = ["matmul"]

_PARALLEL = 1 << 21  # products of two numbers from which on a second thread gains


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
