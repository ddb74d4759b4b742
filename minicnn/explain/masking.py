"""Read maps of importance: the masked picture, and how much of a map lies in the middle."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minicnn import backend
from minicnn.autograd import Tensor
from minicnn.errors import DTypeError, OptionError, ShapeError
from minicnn.explain.inputs import as_maps, flat_maps
from minicnn.nn.options import number

__all__ = ["MassShare", "central_region", "masked_picture", "mass_share", "scaled"]


def scaled(maps: Any, *, percentile: float = 100.0) -> Any:
    """Bring each map linearly to 0 to 1, from its lowest number to its highest.

    Parameters
    ----------
    maps : array or Tensor of shape (N, H, W) or (N, H, W, C)
        Of several channels, the largest number counts (Simonyan et al., 2014).
    percentile : float
        Which of a map's numbers becomes 1, and all above it as well: below 100 where a few pixels
        stand out so much that they would hide the others. Where it is the lowest number, as in a
        map that is nearly everywhere 0, the highest becomes 1.

    Returns
    -------
    array of shape (N, H, W)
        A map that is the same everywhere becomes 0.
    """
    percentile = number(percentile, "percentile", 0, 100)
    maps = as_maps("scaled", maps)
    maps = maps.max(axis=3) if maps.ndim == 4 else maps
    xp = backend.xp(maps)
    maps = maps - maps.min(axis=(1, 2), keepdims=True)
    highest = maps.max(axis=(1, 2), keepdims=True)
    if percentile < 100:
        ordered = xp.percentile(maps.reshape(len(maps), -1), percentile, axis=1)
        ordered = ordered.astype(maps.dtype).reshape(-1, 1, 1)
        highest = xp.where(ordered > 0, ordered, highest)
    return xp.minimum(maps / xp.where(highest > 0, highest, highest + 1), 1)


def masked_picture(
    images: Any, maps: Any, *, threshold: float = 0.5, percentile: float = 100.0
) -> Any:
    """Return the pictures with every pixel of low importance replaced by the picture's mean.

    The way in which system D shows saliency.

    Parameters
    ----------
    images : array or Tensor of shape (N, H, W, C)
        In any units: the pictures as people look at them, such as uint8 grey levels.
    maps : array or Tensor of shape (N, H, W) or (N, H, W, C)
        Importance; brought to 0 to 1 by :func:`scaled`.
    threshold : float
        From 0 to 1; pixels below are replaced.
    percentile : float
        As for :func:`scaled`.

    Returns
    -------
    array of the images' shape and type

    Raises
    ------
    ShapeError
        Images and maps do not fit together.
    """
    images = images.data if isinstance(images, Tensor) else images
    if not backend.is_array(images):
        raise DTypeError(f"masked_picture: expected an array, got {type(images).__name__}")
    if images.ndim != 4:
        raise ShapeError(
            f"masked_picture: expected images of shape (N, H, W, C), got {tuple(images.shape)}"
        )
    kept = scaled(as_maps("masked_picture", maps, images), percentile=percentile) >= number(
        threshold, "threshold", 0, 1
    )
    xp = backend.xp(images)
    mean = images.mean(axis=(1, 2), keepdims=True)
    mean = xp.rint(mean) if images.dtype.kind != "f" else mean
    return xp.where(kept[..., None], images, mean.astype(images.dtype))


class MassShare(NamedTuple):
    """What :func:`mass_share` gives.

    Attributes
    ----------
    share : NumPy array of shape (N,)
        The share of each map's mass that lies in the region; NaN for a map of zeros.
    uniform : float
        The share that a uniform map has there: the region's share of the pixels.
    """

    share: np.ndarray
    uniform: float


def central_region(height: int, width: int, size: float = 0.5) -> tuple[int, int, int, int]:
    """Return the middle of a picture as (top, bottom, left, right), `size` of each of its sides."""
    size = number(size, "size", 0, 1)
    inner = [max(1, round(side * size)) for side in (height, width)]
    top, left = ((side - part) // 2 for side, part in zip((height, width), inner, strict=True))
    return top, top + inner[0], left, left + inner[1]


def mass_share(maps: Any, region: tuple[int, int, int, int] | None = None) -> MassShare:
    """Return how much of the absolute importance lies in a region of the picture.

    Parameters
    ----------
    maps : array or Tensor of shape (N, H, W) or (N, H, W, C)
    region : (top, bottom, left, right), optional
        Rows from top up to bottom and columns from left up to right, the ends not included;
        :func:`central_region` of half the height and half the width by default.

    Returns
    -------
    MassShare
        Each map's share, and the share of a uniform map to compare it with.

    Raises
    ------
    OptionError
        The region is empty or not within the maps.
    """
    maps = maps.data if isinstance(maps, Tensor) else maps
    flat = flat_maps("mass_share", maps if maps is None else abs(maps))
    height, width = flat.shape[1:]
    top, bottom, left, right = central_region(height, width) if region is None else region
    if not (0 <= top < bottom <= height and 0 <= left < right <= width):
        raise OptionError(
            f"mass_share: the region (top, bottom, left, right) {(top, bottom, left, right)} is "
            f"empty or not within maps of {height}x{width}"
        )
    xp = backend.xp(flat)
    whole = flat.sum(axis=(1, 2), dtype=xp.float64)
    inside = flat[:, top:bottom, left:right].sum(axis=(1, 2), dtype=xp.float64)
    whole, inside = backend.to_numpy(whole), backend.to_numpy(inside)
    share = np.divide(inside, whole, out=np.full_like(inside, np.nan), where=whole > 0)
    return MassShare(share, (bottom - top) * (right - left) / (height * width))
