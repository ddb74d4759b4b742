"""Straight-line code for the product of a small constant matrix with many numbers side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minicnn.kernels.compiled.jit import built, inlined

__all__ = ["body", "product"]

Row = Sequence[float]


def product(matrix: Sequence[Row], step: int, stride: int) -> Any:
    """Compile the product of a constant matrix with columns of numbers.

    Zeros are left out, and two rows that differ only in the signs of their odd places share the
    sums of the even ones and of the odd ones.

    Parameters
    ----------
    matrix : sequence of rows
    step, stride : int
        Numbers from one place of the source, and of the target, to the next.

    Returns
    -------
    function(source, start, target, begin, count)
        Sets ``target[begin + i * stride + k]`` to the sum over j of ``matrix[i][j] * source[start +
        j * step + k]``, for each k below count. Both arrays are flat.
    """
    arguments = "source, start, target, begin, count"
    lines = body(matrix, step, stride)
    return built(__name__, __file__, "product", arguments, lines, how=inlined)


def body(matrix: Sequence[Row], step: int, stride: int) -> list[str]:
    """Write the lines of :func:`product`."""
    # Views that begin at 0 tell the compiler that no index is negative.
    lines = ["source, target = source[start:], target[begin:]", "for k in range(count):"]
    places = range(len(matrix[0]))
    lines += [f"    s{j} = source[{j * step} + k]" for j in places if any(r[j] for r in matrix)]
    i = 0
    while i < len(matrix):
        row = matrix[i]
        even, odd = _sum(row, places[::2]), _sum(row, places[1::2])
        mirrored = [-value if j % 2 else value for j, value in enumerate(row)]
        if even and odd and i + 1 < len(matrix) and list(matrix[i + 1]) == mirrored:
            lines += [f"    even, odd = {even}, {odd}"]
            lines += [f"    target[{i * stride} + k] = even + odd"]
            lines += [f"    target[{(i + 1) * stride} + k] = even - odd"]
            i += 2
        else:
            lines += [f"    target[{i * stride} + k] = {_sum(row, places)}"]
            i += 1
    return lines


def _sum(row: Row, places: Sequence[int]) -> str:
    terms = [f"s{j}" if row[j] == 1 else f"float32({row[j]!r}) * s{j}" for j in places if row[j]]
    return " + ".join(terms)
