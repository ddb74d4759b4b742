"""Enlarge maps and blur pictures, each by two products with small matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import backend
from minicnn.kernels.matmul import matmul

__all__ = ["blur", "enlarge"]


def enlarge(maps: Any, size: tuple[int, int]) -> Any:
    """Interpolate maps of shape (N, h, w) bilinearly to (N, H, W).

    Pixels are areas, not points: as PyTorch's ``interpolate(mode="bilinear")`` with
    ``align_corners=False``.
    """
    rows, columns = (
        backend.asarray(_interpolation(before, after), backend.name_of(maps), dtype=maps.dtype)
        for before, after in zip(maps.shape[1:], size, strict=True)
    )
    return matmul(matmul(rows, maps), columns.T)


def blur(images: Any, sigma: float) -> Any:
    """Blur images of shape (N, H, W, C) by a Gaussian of `sigma` pixels; edges draw on less."""
    rows, columns = (
        backend.asarray(_gaussian(side, sigma), backend.name_of(images), dtype=images.dtype)
        for side in images.shape[1:3]
    )
    by_channel = images.transpose(0, 3, 1, 2)  # (N, C, H, W)
    return matmul(matmul(rows, by_channel), columns.T).transpose(0, 2, 3, 1)


def _interpolation(before: int, after: int) -> np.ndarray:
    places = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
    low = places.astype(np.int64)
    high = np.minimum(low + 1, before - 1)
    matrix = np.zeros((after, before))
    np.add.at(matrix, (np.arange(after), low), 1 - (places - low))
    np.add.at(matrix, (np.arange(after), high), places - low)
    return matrix


def _gaussian(side: int, sigma: float) -> np.ndarray:
    distances = np.subtract.outer(np.arange(side), np.arange(side))
    weights = np.exp(-0.5 * (distances / sigma) ** 2)
    return weights / weights.sum(axis=1, keepdims=True)
