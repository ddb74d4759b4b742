"""Grad-CAM: where in the picture the maps of a layer speak for a class."""

from __future__ import annotations

from typing import Any

from minicnn import backend
from minicnn.autograd import Tensor, grad
from minicnn.errors import OptionError, ShapeError
from minicnn.explain.inputs import BATCH_SIZE, as_images, chosen_scores, chunks, classes_of
from minicnn.explain.observation import frozen, last_convolution, score_from_layer
from minicnn.explain.resampling import enlarge
from minicnn.nn.module import Module

__all__ = ["grad_cam"]


def grad_cam(
    model: Module,
    images: Any,
    layer: str | None = None,
    target: Any = None,
    *,
    relu: bool = True,
    upsample: bool = True,
    batch_size: int = BATCH_SIZE,
) -> Any:
    """Return the maps of a layer, added up with each map's mean gradient of the class score.

    Selvaraju et al., "Grad-CAM" (2017); captum's ``LayerGradCam``, whose ``relu_attributions`` is
    off by default.

    Parameters
    ----------
    model : Module
        Images (N, H, W, C) to scores (N, K). It runs in evaluation mode and is left as it was.
    images : Tensor or array of shape (N, H, W, C)
        As the model takes them, on its backend.
    layer : str, optional
        A name as `named_modules` gives it, of a layer that gives maps (N, h, w, c); the last
        convolution by default. Several names, joined by ``+``, are one layer that has the maps of
        all of them: the default of a committee, with the last convolution of each member.
    target : int, sequence of int, or None
        The class that is asked about: one for all images, one for each, or the one with the
        highest score.
    relu : bool
        Set what speaks against the class to 0, as in the paper.
    upsample : bool
        Interpolate to the size of the images, bilinearly.
    batch_size : int
        Images that the model sees at once.

    Returns
    -------
    array of shape (N, H, W), or (N, h, w)
        On the images' backend.

    Raises
    ------
    OptionError
        There is no such layer (the message lists those that there are), the scores do not depend
        on it, or there is no such class.
    ShapeError
        The layer gives no maps, or the images are not as described.
    """
    x = as_images("grad_cam", images)
    xp = backend.xp(x)
    found = []
    with frozen(model):
        name = last_convolution(model) if layer is None else layer
        classes = classes_of(model, x, target, batch_size)
        for part in chunks(len(x), batch_size):
            outputs, maps = score_from_layer(model, Tensor(x[part]), name)
            if maps[0].ndim != 4:
                raise ShapeError(
                    f"grad_cam: layer {name} gives the shape {maps[0].shape}; expected maps "
                    "(N, h, w, c): name a layer before the flattening"
                )
            scores = chosen_scores(outputs, classes[part]).sum()
            gradients = grad(scores, maps, allow_unused=True)
            if any(each is None for each in gradients):
                raise OptionError(
                    f"grad_cam: the scores do not depend on layer {name}; name one that leads to "
                    "them"
                )
            found.append(sum(map(_weighted, maps, gradients)))
    cams = xp.concatenate(found)
    cams = xp.maximum(cams, 0) if relu else cams
    return enlarge(cams, (x.shape[1], x.shape[2])) if upsample else cams


def _weighted(maps: Tensor, gradient: Any) -> Any:
    weights = gradient.data.mean(axis=(1, 2), keepdims=True)
    return (weights * maps.data).sum(axis=3)
