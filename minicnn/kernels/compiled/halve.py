"""Normalise, pool in windows of 2 x 2, and drop out: float32 images (N, H, W, C), in one pass."""

from __future__ import annotations

import numpy as np

from minicnn.kernels.compiled.dropout import kept
from minicnn.kernels.compiled.jit import compiled
from minicnn.kernels.halve import DROPPED

__all__ = ["backward", "forward", "spread", "sums"]


@compiled
def forward(x, scale, shift, largest, factor, number, key, threshold, y, code):
    """Set y to the pooled x * scale + shift, times the factor where it is kept, and its codes.

    Parameters
    ----------
    x : array (N, H, W, C)
    scale, shift : arrays (C,)
    largest : bool
        Whether the largest of a window is taken, or the mean.
    factor : float32
        Of what is kept; 1 where nothing is dropped.
    number, key, threshold : uint32
        Of the mask; `number` is that of the first element.
    y : array (N, H // 2, W // 2, C)
    code : uint8 array like y
        The place of the largest in its window, or 255 where it was dropped.
    """
    images, rows, columns, channels = y.shape
    values = np.empty(channels, np.float32)
    places = np.empty(channels, np.uint8)
    for image in range(images):
        for i in range(rows):
            for j in range(columns):
                x0, x1 = x[image, 2 * i, 2 * j], x[image, 2 * i, 2 * j + 1]
                x2, x3 = x[image, 2 * i + 1, 2 * j], x[image, 2 * i + 1, 2 * j + 1]
                target, codes = y[image, i, j], code[image, i, j]
                if largest:
                    for k in range(channels):
                        a, b = scale[k], shift[k]
                        best, place = x0[k] * a + b, np.uint8(0)
                        v = x1[k] * a + b
                        if v > best or (v != v and best == best):
                            best, place = v, np.uint8(1)
                        v = x2[k] * a + b
                        if v > best or (v != v and best == best):
                            best, place = v, np.uint8(2)
                        v = x3[k] * a + b
                        if v > best or (v != v and best == best):
                            best, place = v, np.uint8(3)
                        values[k] = best
                        places[k] = place
                else:
                    for k in range(channels):
                        total = (x0[k] + x1[k] + x2[k] + x3[k]) * np.float32(0.25)
                        values[k] = total * scale[k] + shift[k]
                        places[k] = 0
                if factor == 1:
                    for k in range(channels):
                        target[k] = values[k]
                        codes[k] = places[k]
                else:
                    first = np.uint32(
                        number + np.uint32(((image * rows + i) * columns + j) * channels)
                    )
                    for k in range(channels):
                        keep = kept(np.uint32(first + np.uint32(k)), key, threshold)
                        target[k] = values[k] * factor if keep else np.float32(0)
                        codes[k] = places[k] if keep else np.uint8(DROPPED)


@compiled
def sums(gy, code, x, centre, largest, factor):
    """Return the sums, for each channel, of the gradient g before pooling and of g (x - centre)."""
    images, rows, columns, channels = gy.shape
    first, second = np.zeros(channels), np.zeros(channels)
    part, product = np.empty(channels, np.float32), np.empty(channels, np.float32)
    for image in range(images):
        for i in range(rows):
            part[:] = 0
            product[:] = 0
            for j in range(columns):
                x0, x1 = x[image, 2 * i, 2 * j], x[image, 2 * i, 2 * j + 1]
                x2, x3 = x[image, 2 * i + 1, 2 * j], x[image, 2 * i + 1, 2 * j + 1]
                gradient, codes = gy[image, i, j], code[image, i, j]
                if largest:
                    for k in range(channels):
                        v0, v1, v2, v3 = x0[k], x1[k], x2[k], x3[k]
                        place = codes[k]
                        value = v0 if place == 0 else v1
                        value = v2 if place == 2 else value
                        value = v3 if place == 3 else value
                        g = gradient[k] * factor
                        g = np.float32(0) if place == DROPPED else g
                        part[k] += g
                        product[k] += g * (value - centre[k])
                else:
                    for k in range(channels):
                        value = (x0[k] + x1[k] + x2[k] + x3[k]) * np.float32(0.25)
                        g = np.float32(0) if codes[k] == DROPPED else gradient[k] * factor
                        part[k] += g
                        product[k] += g * (value - centre[k])
            for k in range(channels):
                first[k] += part[k]
                second[k] += product[k]
    return first, second


@compiled
def backward(gy, code, x, a, b, c, largest, factor, gx):
    """Set gx to a * g + b * x + c with the gradient g before pooling."""
    images, rows, columns, channels = gy.shape
    height, width = gx.shape[1], gx.shape[2]
    share = np.float32(0.25) * factor
    g = np.empty(channels, np.float32)
    for image in range(images):
        for i in range(rows):
            for j in range(columns):
                gradient, codes = gy[image, i, j], code[image, i, j]
                if largest:
                    for k in range(channels):
                        g[k] = a[k] * gradient[k] * factor
                else:
                    for k in range(channels):
                        zero = codes[k] == DROPPED
                        g[k] = np.float32(0) if zero else a[k] * gradient[k] * share
                for place in range(4):
                    row, column = 2 * i + place // 2, 2 * j + place % 2
                    source, target = x[image, row, column], gx[image, row, column]
                    if largest:
                        for k in range(channels):
                            own = g[k] if codes[k] == place else np.float32(0)
                            target[k] = own + b[k] * source[k] + c[k]
                    else:
                        for k in range(channels):
                            target[k] = g[k] + b[k] * source[k] + c[k]
        for i in range(height):
            for j in range(2 * columns if i < 2 * rows else 0, width):
                # An odd size leaves a line over, which no window sees.
                source, target = x[image, i, j], gx[image, i, j]
                for k in range(channels):
                    target[k] = b[k] * source[k] + c[k]


@compiled
def spread(gy, code, largest, factor, gx):
    """Set gx to the gradient before pooling."""
    images, rows, columns, channels = gy.shape
    share = np.float32(0.25) * factor
    for image in range(images):
        if gx.shape[1] > 2 * rows or gx.shape[2] > 2 * columns:
            gx[image] = 0  # an odd size leaves a line over, which no window sees
        for i in range(rows):
            for j in range(columns):
                gradient, codes = gy[image, i, j], code[image, i, j]
                for place in range(4):
                    target = gx[image, 2 * i + place // 2, 2 * j + place % 2]
                    if largest:
                        for k in range(channels):
                            value = gradient[k] * factor
                            target[k] = value if codes[k] == place else np.float32(0)
                    else:
                        for k in range(channels):
                            value = gradient[k] * share
                            target[k] = np.float32(0) if codes[k] == DROPPED else value
