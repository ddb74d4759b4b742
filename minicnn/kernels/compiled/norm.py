"""Sums and multiply-adds for each channel of float32 rows (M, C), one pass each.

Sums are of float32 over some rows and of float64 over these: as fast as the former and nearly as
exact as the latter.
"""

from __future__ import annotations

import numpy as np

from minicnn.kernels.compiled.jit import compiled

__all__ = ["combine", "moments", "products", "scale_shift"]

_ROWS = 64  # whose sums are of float32


@compiled
def moments(x, centre):
    """Return the sums, for each channel, of x - centre and of its square."""
    rows, channels = x.shape
    first, second = np.zeros(channels), np.zeros(channels)
    part, square = np.empty(channels, np.float32), np.empty(channels, np.float32)
    for start in range(0, rows, _ROWS):
        part[:] = 0
        square[:] = 0
        for row in range(start, min(start + _ROWS, rows)):
            line = x[row]
            for k in range(channels):
                value = line[k] - centre[k]
                part[k] += value
                square[k] += value * value
        for k in range(channels):
            first[k] += part[k]
            second[k] += square[k]
    return first, second


@compiled
def products(gy, x, centre):
    """Return the sums, for each channel, of gy and of gy * (x - centre)."""
    rows, channels = x.shape
    first, second = np.zeros(channels), np.zeros(channels)
    part, product = np.empty(channels, np.float32), np.empty(channels, np.float32)
    for start in range(0, rows, _ROWS):
        part[:] = 0
        product[:] = 0
        for row in range(start, min(start + _ROWS, rows)):
            line, gradient = x[row], gy[row]
            for k in range(channels):
                part[k] += gradient[k]
                product[k] += gradient[k] * (line[k] - centre[k])
        for k in range(channels):
            first[k] += part[k]
            second[k] += product[k]
    return first, second


@compiled
def scale_shift(x, scale, shift, y):
    """Set y to x * scale + shift."""
    rows, channels = x.shape
    for row in range(rows):
        source, target = x[row], y[row]
        for k in range(channels):
            target[k] = source[k] * scale[k] + shift[k]


@compiled
def combine(gy, x, a, b, c, gx):
    """Set gx to a * gy + b * x + c."""
    rows, channels = x.shape
    for row in range(rows):
        line, gradient, target = x[row], gy[row], gx[row]
        for k in range(channels):
            target[k] = a[k] * gradient[k] + b[k] * line[k] + c[k]
