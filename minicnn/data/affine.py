"""Compose rotation, shift, shear, zoom, flip and size into one affine map per image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["affine_matrices", "resized"]


def affine_matrices(
    height: int,
    width: int,
    *,
    rotation: np.ndarray,
    row_shift: np.ndarray,
    column_shift: np.ndarray,
    shear: np.ndarray,
    row_zoom: np.ndarray,
    column_zoom: np.ndarray,
) -> np.ndarray:
    """Compose Keras's maps from output to input pixels: rotation @ shift @ shear @ zoom.

    Parameters
    ----------
    height, width : int
        Size of the images; the maps turn about the centre, (height / 2 - 0.5, width / 2 - 0.5).
    rotation, shear : array of shape (N,)
        Degrees.
    row_shift, column_shift : array of shape (N,)
        Pixels.
    row_zoom, column_zoom : array of shape (N,)
        Factors; a negative one mirrors the axis.

    Returns
    -------
    array of shape (N, 2, 3)
        float64; for (row, column, 1).

    Notes
    -----
    The product of the four matrices, written out: the zoom's columns lie along the rotation by
    theta and, sheared, along the one by theta + shear.
    """
    theta, skew = np.deg2rad(rotation), np.deg2rad(rotation + shear)
    sine, cosine = np.sin(theta), np.cos(theta)
    matrices = np.empty((len(theta), 2, 3))
    matrices[:, 0, 0] = cosine * row_zoom
    matrices[:, 1, 0] = sine * row_zoom
    matrices[:, 0, 1] = -np.sin(skew) * column_zoom
    matrices[:, 1, 1] = np.cos(skew) * column_zoom
    centre = np.array([height / 2 - 0.5, width / 2 - 0.5])
    matrices[:, 0, 2] = cosine * row_shift - sine * column_shift
    matrices[:, 1, 2] = sine * row_shift + cosine * column_shift
    matrices[:, :, 2] += centre - matrices[:, :, :2] @ centre
    return matrices


def resized(matrices: np.ndarray, before: Sequence[int], after: Sequence[int]) -> np.ndarray:
    """Return the maps that make the same pictures in another size.

    Parameters
    ----------
    matrices : array of shape (N, 2, 3)
        From output to input pixels, where both have one size.
    before, after : pair of int
        (H, W) of the input, and of the output from now on.

    Returns
    -------
    array of shape (N, 2, 3)

    Notes
    -----
    The edges of both pictures meet, not the centres of their first pixels: row r of the new output
    is row (r + 1/2) H / OH - 1/2 of the one before.
    """
    scale = np.divide(before, after)
    found = matrices.copy()
    found[:, :, :2] *= scale
    found[:, :, 2] += matrices[:, :, :2] @ (scale / 2 - 0.5)
    return found
