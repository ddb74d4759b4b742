"""Find pictures that stand in two sets of images, moved, mirrored or changed a little."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minicnn.errors import OptionError, ShapeError

__all__ = ["SAME_PICTURE", "closest_pictures"]

# Looked at in FER-2013: of the 60 pairs from here to 0.93 about 55 are of one photograph, or of one
# sitting; of pairs of 0.88 to 0.89 three in ten are.
SAME_PICTURE = 0.92
SMALL_SIDE = 24  # pixels at which images are compared: their detail does not survive a move
MARGIN = 3  # of these pixels, by which they are moved
CHUNK = 1024  # images compared at once; bounds the memory


def closest_pictures(images: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find for each image the one among others that looks most like it.

    The middle of the image, as it is and mirrored, is compared with the others at every place that
    is an eighth of their side or less from the middle, by the correlation of the grey values: it
    is 1 for the same picture, whatever its brightness and contrast. Images of more than 24 pixels
    are made smaller first, so that moves by odd numbers of pixels and changes of size by a few in
    a hundred do little.

    Parameters
    ----------
    images : array of shape (N, H, W, C)
    among : array of shape (M, H, W, C)
        At least one image.

    Returns
    -------
    rows : int64 array of shape (N,)
        Which of the M it is; the first of several that are equally close.
    correlations : float32 array of shape (N,)
        From -1 to 1; those of at least :data:`SAME_PICTURE` are mostly of one photograph. 0 where
        either image shows nothing.

    Raises
    ------
    ShapeError
        The images are not of one shape.
    OptionError
        There are none to compare with.

    References
    ----------
    Lewis: Fast normalized cross-correlation, 1995.
    """
    if images.ndim != 4 or among.ndim != 4 or images.shape[1:] != among.shape[1:]:
        raise ShapeError(
            "closest_pictures: expected images (N, H, W, C) and (M, H, W, C), got "
            f"{images.shape} and {among.shape}"
        )
    if not len(among):
        raise OptionError("closest_pictures: there are no images to compare with")
    middle = _middle(_small(images))
    wanted = _standardized(np.concatenate([middle, middle[:, :, ::-1]]))  # (2*N, h*w)
    rows = np.zeros(len(images), np.int64)
    correlations = np.full(len(images), -2, np.float32)  # below all that there can be
    for start in range(0, len(among), CHUNK):
        others = _small(among[start : start + CHUNK])
        best = np.full((len(wanted), len(others)), -2, np.float32)
        for window in _windows(others):
            np.maximum(best, wanted @ _standardized(window).T, out=best)
        best = best.reshape(2, len(images), len(others)).max(axis=0)
        found = best.argmax(axis=1)
        value = best[np.arange(len(images)), found]
        closer = value > correlations
        rows[closer], correlations[closer] = start + found[closer], value[closer]
    return rows, correlations.clip(-1, 1)


def _small(images: np.ndarray) -> np.ndarray:
    """Return the mean grey values (N, h, w) of square blocks of the images (N, H, W, C)."""
    n, height, width, channels = images.shape
    block = max(1, min(height, width) // SMALL_SIDE)
    h, w = height // block, width // block
    blocks = images[:, : h * block, : w * block].reshape(n, h, block, w, block, channels)
    return blocks.mean(axis=(2, 4, 5), dtype=np.float32)


def _margins(images: np.ndarray) -> tuple[int, int]:
    h, w = images.shape[1:]
    return min(MARGIN, h // 8), min(MARGIN, w // 8)


def _middle(images: np.ndarray) -> np.ndarray:
    h, w = images.shape[1:]
    dy, dx = _margins(images)
    return images[:, dy : h - dy, dx : w - dx]


def _windows(images: np.ndarray) -> Iterator[np.ndarray]:
    """Yield what is seen of the images through a window as large as their middle, at each place."""
    h, w = images.shape[1:]
    dy, dx = _margins(images)
    for top in range(2 * dy + 1):
        for left in range(2 * dx + 1):
            yield images[:, top : top + h - 2 * dy, left : left + w - 2 * dx]


def _standardized(images: np.ndarray) -> np.ndarray:
    """Return vectors (N, h*w) of mean 0 and length 1, or 0 of plain images.

    Their products are correlations.
    """
    vectors = images.reshape(len(images), images.shape[1] * images.shape[2])
    vectors = vectors - vectors.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    plain = lengths < 1e-3 * vectors.shape[1] ** 0.5  # rounding of the mean, not a picture
    return np.where(plain, np.float32(0), vectors / np.where(plain, np.float32(1), lengths))
