"""Patches of images that noise or another image takes the place of, and mixtures of two images."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["between", "draw_erasing", "draw_mixture", "erase", "mix"]

ERASING_ATTEMPTS = 10  # about one draw of area and aspect in ten does not fit into the image


def between(uniform: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Return numbers uniform in 0 to 1 as such between two limits."""
    return limits[0] + (limits[1] - limits[0]) * uniform


# -- draws, on the host --------------------------------------------------------------------------


def draw_erasing(
    uniform: np.ndarray,
    height: int,
    width: int,
    *,
    probability: float,
    area: tuple[float, float],
    aspect: tuple[float, float],
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw what to erase of each image.

    Zhong et al., "Random Erasing Data Augmentation" (2017), and the authors' code.

    Parameters
    ----------
    uniform : array of shape (3, N)
        Numbers uniform in 0 to 1 that decide whether to erase, and the rows and columns where.
    height, width : int
        Of the images.
    probability : float
        Of erasing an image.
    area, aspect : pair of float
        Ranges of the rectangle's share of the image, and of its height over its width.
    rng : numpy.random.Generator
        For area and aspect, which are drawn until a rectangle fits.

    Returns
    -------
    array of shape (N, 4)
        First row, first column, height and width; zeros for nothing.
    """
    n = uniform.shape[1]
    if not probability:
        return np.zeros((n, 4))
    areas, aspects = rng.random((2, ERASING_ATTEMPTS, n))
    areas = between(areas, area) * height * width
    aspects = between(aspects, aspect)
    heights = np.round(np.sqrt(areas * aspects))
    widths = np.round(np.sqrt(areas / aspects))
    fits = (heights < height) & (widths < width)
    attempt = fits.argmax(axis=0), np.arange(n)  # the first that fits
    erased = fits.any(axis=0) & (uniform[0] < probability)
    h, w = heights[attempt], widths[attempt]
    top = np.floor(uniform[1] * (height - h + 1))
    left = np.floor(uniform[2] * (width - w + 1))
    return np.stack([top, left, h, w], axis=1) * erased[:, None]


def draw_mixture(
    pairs: np.ndarray,
    height: int,
    width: int,
    *,
    mixup: float,
    cutmix: float,
    probability: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw how each image is mixed with which other one.

    Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
    Features" (2019), and the authors' code for the rectangle: its centre lies anywhere in the
    image, and what lies outside is cut off. Drawn is for each image what they draw for a batch.

    Parameters
    ----------
    pairs : array of shape (N, 2)
        Each image's own weight and the index of its partner, by mixup.
    height, width : int
        Of the images.
    mixup, cutmix : float
        The alphas; 0 for none. Where both are given, each image has one or the other.
    probability : float
        Of mixing an image at all.
    rng : numpy.random.Generator

    Returns
    -------
    array of shape (N, 7)
        The image's own weight within the rectangle, its partner, its own weight in the label, and
        the rectangle as of :func:`draw_erasing`.
    """
    n = len(pairs)
    own, partner = pairs.T
    label_weight = own
    rectangles = np.tile([0, 0, height, width], (n, 1))
    if cutmix or probability < 1:
        row, column, kind, chance = rng.random((4, n))
        if cutmix:
            cut = _cut(rng.beta(cutmix, cutmix, n), row, column, height, width)
            chosen = kind < (0.5 if mixup else 1)
            own = np.where(chosen, 0, own)
            partner = np.where(chosen, rng.permutation(n), partner)
            left_over = 1 - cut[:, 2] * cut[:, 3] / (height * width)
            label_weight = np.where(chosen, left_over, label_weight)
            rectangles = np.where(chosen[:, None], cut, rectangles)
        own = np.where(chance < probability, own, 1)
        label_weight = np.where(chance < probability, label_weight, 1)
    return np.column_stack([own, partner, label_weight, rectangles])


def _cut(
    left_over: np.ndarray, row: np.ndarray, column: np.ndarray, height: int, width: int
) -> np.ndarray:
    side = np.sqrt(1 - left_over)
    edges = []
    for place, size in ((row, height), (column, width)):
        centre, half = np.floor(place * size), np.floor(side * size) // 2
        edges.append((np.maximum(centre - half, 0), np.minimum(centre + half, size)))
    (top, bottom), (left, right) = edges
    return np.stack([top, left, bottom - top, right - left], axis=1)


# -- changes, on the device ----------------------------------------------------------------------


def erase(xp: Any, images: Any, rectangles: Any, noise: Any) -> Any:
    """Return images (N, H, W, C) with noise of the same shape inside rectangles (N, 4)."""
    return xp.where(_inside(xp, images, rectangles), noise.astype(images.dtype), images)


def mix(xp: Any, images: Any, labels: Any, mixture: Any, *, cut: bool) -> tuple[Any, Any]:
    """Mix each image and its label with those of another one.

    Parameters
    ----------
    xp : module
        NumPy or CuPy.
    images : float array of shape (N, H, W, C)
    labels : float array of shape (N, K)
    mixture : array of shape (N, 7)
        As of :func:`draw_mixture`.
    cut : bool
        Whether there are rectangles other than whole images.

    Returns
    -------
    images, labels
        As given.
    """
    partner = mixture[:, 1].astype(xp.int64)

    def mixed(values: Any, weight: Any) -> Any:
        weight = weight.reshape(-1, *[1] * (values.ndim - 1))
        return weight * values + (1 - weight) * xp.take(values, partner, axis=0)

    new = mixed(images, mixture[:, 0])
    if cut:
        new = xp.where(_inside(xp, images, mixture[:, 3:]), new, images)
    return new, mixed(labels, mixture[:, 2])


def _inside(xp: Any, images: Any, rectangles: Any) -> Any:
    """Tell which pixels lie in each image's rectangle: booleans of shape (N, H, W, 1)."""
    _, h, w, _ = images.shape
    top, left, height, width = (rectangles[:, i : i + 1] for i in range(4))  # (N, 1) each
    rows = xp.arange(h, dtype=images.dtype)
    columns = xp.arange(w, dtype=images.dtype)
    in_rows = (rows >= top) & (rows < top + height)  # (N, H)
    in_columns = (columns >= left) & (columns < left + width)  # (N, W)
    return in_rows[:, :, None, None] & in_columns[:, None, :, None]
