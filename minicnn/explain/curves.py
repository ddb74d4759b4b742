"""Deletion and insertion curves, by which methods of explanation are compared by number."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minicnn import backend
from minicnn.explain.inputs import (
    BATCH_SIZE,
    as_images,
    as_like,
    classes_of,
    flat_maps,
    pairs,
    scores_of,
)
from minicnn.explain.observation import frozen
from minicnn.explain.resampling import blur
from minicnn.nn.module import Module
from minicnn.nn.options import positive

__all__ = ["ScoreCurve", "deletion", "insertion"]

BLUR = 5.0  # pixels; the standard deviation in the paper's code


class ScoreCurve(NamedTuple):
    """What :func:`deletion` and :func:`insertion` give, on the host.

    Attributes
    ----------
    fractions : array of shape (steps + 1,)
        Share of the pixels that were changed, from 0 to 1.
    scores : array of shape (N, steps + 1)
        Each image's score there.
    """

    fractions: np.ndarray
    scores: np.ndarray

    @property
    def areas(self) -> np.ndarray:
        """The area under each image's curve, (N,), by the trapezoidal rule."""
        return np.trapezoid(self.scores, self.fractions, axis=1)


def deletion(
    model: Module,
    images: Any,
    maps: Any,
    target: Any = None,
    *,
    baseline: Any = 0.0,
    steps: int = 50,
    probability: bool = True,
    batch_size: int = BATCH_SIZE,
) -> ScoreCurve:
    """Follow the class score while pixels are taken away, the most important first.

    Petsiuk et al., "RISE" (2018). The smaller the area, the better the map names the pixels that
    the score hangs on.

    Parameters
    ----------
    model : Module
        Images (N, H, W, C) to scores (N, K). It runs in evaluation mode and is left as it was.
    images : Tensor or array of shape (N, H, W, C)
        As the model takes them, on its backend.
    maps : Tensor or array of shape (N, H, W) or (N, H, W, C)
        Importance of the pixels, on either backend. Channels are added up; of equal pixels, the
        upper left one comes first.
    target : int, sequence of int, or None
        The class that is asked about: one for all images, one for each, or the one with the
        highest score.
    baseline : number or array of shape (H, W, C) or (N, H, W, C)
        What takes the pixels' places, in the units of the images.
    steps : int
        Equal portions of the pixels; the model runs once more than that for each image.
    probability : bool
        Follow the probability by softmax; the score itself otherwise.
    batch_size : int
        Images that the model sees at once.

    Returns
    -------
    ScoreCurve
        The curve of each image, and its area.

    Raises
    ------
    OptionError, ShapeError, DTypeError
        The images, the maps, the target or an option is not as described.
    """
    x = as_images("deletion", images)
    end = as_like("deletion", "baseline", baseline, x)
    return _curve("deletion", model, x, (x, end), maps, target, steps, probability, batch_size)


def insertion(
    model: Module,
    images: Any,
    maps: Any,
    target: Any = None,
    *,
    baseline: Any = None,
    steps: int = 50,
    probability: bool = True,
    batch_size: int = BATCH_SIZE,
) -> ScoreCurve:
    """Follow the class score while pixels are put into a blurred picture, most important first.

    Petsiuk et al., "RISE" (2018). The larger the area, the better the map names the pixels that
    make the score.

    Parameters
    ----------
    model, images, maps, target, steps, probability, batch_size
        As for :func:`deletion`.
    baseline : number or array of shape (H, W, C) or (N, H, W, C), optional
        The picture to begin with; each image blurred by a Gaussian of 5 pixels by default.

    Returns
    -------
    ScoreCurve
        The curve of each image, and its area.
    """
    x = as_images("insertion", images)
    start = blur(x, BLUR) if baseline is None else as_like("insertion", "baseline", baseline, x)
    return _curve("insertion", model, x, (start, x), maps, target, steps, probability, batch_size)


def _curve(
    name: str,
    model: Module,
    x: Any,
    ends: tuple[Any, Any],
    maps: Any,
    target: Any,
    steps: int,
    probability: bool,
    batch_size: int,
) -> ScoreCurve:
    n, h, w, _ = x.shape
    xp, place = backend.xp(x), backend.name_of(x)
    ranks = backend.asarray(_ranks(flat_maps(name, maps, x)), place)
    edges = np.rint(np.linspace(0, h * w, positive(steps, "steps") + 1)).astype(np.int64)
    scores = np.empty((n, steps + 1), x.dtype)
    before, after = ends
    with frozen(model):
        classes = classes_of(model, x, target, batch_size)
        for rows, numbers in pairs(n, steps + 1, batch_size):
            chosen, edge = (backend.asarray(each, place) for each in (rows, edges[numbers]))
            changed = ranks[chosen] < edge[:, None, None]
            mixed = xp.where(changed[..., None], after[chosen], before[chosen])
            scores[rows, numbers] = scores_of(model, mixed, classes[rows], probability=probability)
    return ScoreCurve(edges / (h * w), scores)


def _ranks(maps: Any) -> np.ndarray:
    # The place of each pixel in the order of importance, 0 for the most important: (N, H, W).
    values = backend.to_numpy(maps)
    order = np.argsort(-values.reshape(len(values), -1), axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(order.shape[1]), order.shape), axis=1)
    return ranks.reshape(values.shape)
