"""Occlusion: how much a class score falls when a part of the picture is covered."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import backend
from minicnn.errors import OptionError
from minicnn.explain.inputs import (
    BATCH_SIZE,
    add_up,
    as_images,
    as_like,
    chunks,
    classes_of,
    pairs,
    scores_of,
)
from minicnn.explain.observation import frozen
from minicnn.kernels.sizes import pair
from minicnn.nn.module import Module

__all__ = ["occlusion"]


def occlusion(
    model: Module,
    images: Any,
    target: Any = None,
    *,
    window: int | tuple[int, int] = 8,
    stride: int | tuple[int, int] = 4,
    baseline: Any = 0.0,
    batch_size: int = BATCH_SIZE,
) -> Any:
    """Return how much the class score falls, at the mean, when a window covers a pixel.

    Zeiler and Fergus, "Visualizing and understanding convolutional networks" (2014); captum's
    ``Occlusion``. The window moves from the top left corner in strides until the other edges are
    reached; where it hangs over an edge, it covers what is left.

    Parameters
    ----------
    model : Module
        Images (N, H, W, C) to scores (N, K). It runs in evaluation mode and is left as it was,
        once for every image and place of the window.
    images : Tensor or array of shape (N, H, W, C)
        As the model takes them, on its backend.
    target : int, sequence of int, or None
        The class that is asked about: one for all images, one for each, or the one with the
        highest score.
    window, stride : int or pair of int
        Height and width, in pixels; the stride is not larger than the window.
    baseline : number or array of shape (H, W, C) or (N, H, W, C)
        What the window shows, in the units of the images.
    batch_size : int
        Images that the model sees at once.

    Returns
    -------
    array of shape (N, H, W)
        In units of the score, on the images' backend.

    Raises
    ------
    OptionError, ShapeError, DTypeError
        The images, the target or an option is not as described.
    """
    x = as_images("occlusion", images)
    height, width = pair(window, "window")
    strides = pair(stride, "stride")
    if strides[0] > height or strides[1] > width:
        raise OptionError(
            f"occlusion: the stride {strides} is larger than the window {(height, width)}, so that "
            "pixels between would never be covered"
        )
    cover = as_like("occlusion", "baseline", baseline, x)
    tops, lefts = _places(x.shape[1:3], (height, width), strides)
    xp, place = backend.xp(x), backend.name_of(x)
    row, column = xp.arange(x.shape[1])[:, None], xp.arange(x.shape[2])
    totals = xp.zeros(x.shape[:3], dtype=x.dtype)
    covered = xp.zeros(x.shape[:3], dtype=x.dtype)
    with frozen(model):
        classes = classes_of(model, x, target, batch_size)
        whole = np.concatenate(
            [scores_of(model, x[part], classes[part]) for part in chunks(len(x), batch_size)]
        )
        for rows, numbers in pairs(len(x), len(tops), batch_size):
            chosen, top, left, before = (
                backend.asarray(each, place)
                for each in (rows, tops[numbers], lefts[numbers], whole[rows])
            )
            top, left = top[:, None, None], left[:, None, None]
            inside = (
                (row >= top) & (row < top + height) & (column >= left) & (column < left + width)
            )
            hidden = xp.where(inside[..., None], cover[chosen], x[chosen])
            after = backend.asarray(scores_of(model, hidden, classes[rows]), place)
            fall = (before - after)[:, None, None]
            add_up(totals, rows, inside * fall)
            add_up(covered, rows, inside.astype(x.dtype))
    return totals / covered


def _places(
    image: tuple[int, ...], window: tuple[int, ...], stride: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    # The top left corners of the windows: the last ones reach the edges, or hang over them.
    starts = [
        np.arange(0, max(0, size - side) + step, step)
        for size, side, step in zip(image, window, stride, strict=True)
    ]
    tops, lefts = np.meshgrid(*starts, indexing="ij")
    return tops.ravel(), lefts.ravel()
