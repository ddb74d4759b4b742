"""Explanations by gradients of a class score with respect to the pixels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minicnn import backend
from minicnn.autograd import Tensor
from minicnn.errors import OptionError
from minicnn.explain.inputs import (
    BATCH_SIZE,
    add_up,
    as_images,
    as_like,
    chunks,
    classes_of,
    pairs,
    score_gradients,
    scores_of,
)
from minicnn.explain.observation import frozen, hooked
from minicnn.nn.activation import LeakyReLU, ReLU
from minicnn.nn.module import Module
from minicnn.nn.options import number, positive
from minicnn.random import generator, standard_normal

__all__ = [
    "IntegratedGradients",
    "guided_backprop",
    "input_x_gradient",
    "integrated_gradients",
    "saliency",
    "smooth_grad",
]


def saliency(
    model: Module,
    images: Any,
    target: Any = None,
    *,
    absolute: bool = True,
    batch_size: int = BATCH_SIZE,
) -> Any:
    """Return the gradient of each image's class score with respect to its pixels.

    Simonyan et al., "Deep inside convolutional networks" (2014); captum's ``Saliency``.

    Parameters
    ----------
    model : Module
        Images (N, H, W, C) to scores (N, K). It runs in evaluation mode and is left as it was.
    images : Tensor or array of shape (N, H, W, C)
        As the model takes them, on its backend.
    target : int, sequence of int, or None
        The class that is asked about: one for all images, one for each, or the one with the
        highest score.
    absolute : bool
        Give the absolute value; the signed gradient otherwise.
    batch_size : int
        Images that the model sees at once. The numbers do not depend on it.

    Returns
    -------
    array of shape (N, H, W, C)
        In score per unit of a pixel, on the images' backend.

    Raises
    ------
    OptionError, ShapeError, DTypeError
        The images, the target or an option is not as described.
    """
    x = as_images("saliency", images)
    with frozen(model):
        gradients = _gradients(model, x, classes_of(model, x, target, batch_size), batch_size)
    return backend.xp(x).abs(gradients) if absolute else gradients


def input_x_gradient(
    model: Module, images: Any, target: Any = None, *, batch_size: int = BATCH_SIZE
) -> Any:
    """Return each pixel times the gradient of the class score with respect to it.

    Shrikumar et al., "Not just a black box" (2016); captum's ``InputXGradient``. Of a model that is
    linear in the image, these are the pixels' exact shares of the score.

    Parameters
    ----------
    model, images, target, batch_size
        As for :func:`saliency`.

    Returns
    -------
    array of shape (N, H, W, C)
        In units of the score.
    """
    x = as_images("input_x_gradient", images)
    return x * saliency(model, x, target, absolute=False, batch_size=batch_size)


def guided_backprop(
    model: Module, images: Any, target: Any = None, *, batch_size: int = BATCH_SIZE
) -> Any:
    """Return the gradient of the class score, without what lowers a ReLU's output on its way.

    Springenberg et al., "Striving for simplicity" (2015); captum's ``GuidedBackprop``. On the way
    back, the gradient that arrives at a ReLU or LeakyReLU module is set to 0 where it is negative;
    then comes the module's own derivative. An activation function that a ``forward`` calls without
    a module is left alone, as in captum.

    Parameters
    ----------
    model, images, target, batch_size
        As for :func:`saliency`.

    Returns
    -------
    array of shape (N, H, W, C)
        Signed.

    Raises
    ------
    OptionError
        The model has neither ReLU nor LeakyReLU modules; or as for :func:`saliency`.
    """
    x = as_images("guided_backprop", images)
    with frozen(model):
        rectifiers = [each for each in model.modules() if isinstance(each, (ReLU, LeakyReLU))]
        if not rectifiers:
            raise OptionError(
                f"guided_backprop: {type(model).__name__} has no ReLU or LeakyReLU module to guide "
                "the gradient; use saliency"
            )
        classes = classes_of(model, x, target, batch_size)
        with hooked(rectifiers, _guide):
            return _gradients(model, x, classes, batch_size)


def _guide(module: Module, inputs: tuple, output: Tensor) -> None:
    if output.requires_grad:
        output.register_hook(lambda gradient: gradient * (gradient.data > 0))


def smooth_grad(
    model: Module,
    images: Any,
    target: Any = None,
    *,
    rng: np.random.Generator | int,
    samples: int = 50,
    noise: float = 0.15,
    absolute: bool = True,
    batch_size: int = BATCH_SIZE,
) -> Any:
    """Return the mean gradient of the class score over noisy copies of each image.

    Smilkov et al., "SmoothGrad" (2017), whose pictures have 50 samples and a noise of 0.1 to 0.2.
    The class is that of the image without noise.

    Parameters
    ----------
    model, images, target, batch_size
        As for :func:`saliency`.
    rng : numpy.random.Generator or int
        Draws the noise; what it draws does not depend on ``batch_size``.
    samples : int
        Noisy copies of each image.
    noise : float
        Standard deviation of the normal noise, as a share of each image's range.
    absolute : bool
        Give the absolute value of the mean, as in the paper (captum's ``NoiseTunnel`` around
        ``Saliency`` gives the mean of absolute values); the signed mean otherwise.

    Returns
    -------
    array of shape (N, H, W, C)
    """
    x = as_images("smooth_grad", images)
    xp, place, rng = backend.xp(x), backend.name_of(x), generator(rng)
    samples, noise = positive(samples, "samples"), number(noise, "noise", 0)
    deviation = noise * (x.max(axis=(1, 2, 3)) - x.min(axis=(1, 2, 3))).reshape(-1, 1, 1, 1)
    totals = xp.zeros_like(x)
    with frozen(model):
        classes = classes_of(model, x, target, batch_size)
        for rows, _ in pairs(len(x), samples, batch_size):
            drawn = standard_normal(rng, (len(rows), *x.shape[1:]), x.dtype)
            chosen = backend.asarray(rows, place)
            noisy = x[chosen] + deviation[chosen] * backend.asarray(drawn, place)
            add_up(totals, rows, score_gradients(model, noisy, classes[rows]))
    mean = totals * (1 / samples)
    return xp.abs(mean) if absolute else mean


class IntegratedGradients(NamedTuple):
    """What :func:`integrated_gradients` gives.

    Attributes
    ----------
    attributions : array of shape (N, H, W, C)
        In units of the score, on the images' backend.
    completeness_error : NumPy array of shape (N,)
        Each image's sum of attributions minus the difference between its score and its baseline's:
        0 with infinitely many steps (captum's convergence delta).
    """

    attributions: Any
    completeness_error: np.ndarray


def integrated_gradients(
    model: Module,
    images: Any,
    target: Any = None,
    *,
    baselines: Any = 0.0,
    steps: int = 50,
    batch_size: int = BATCH_SIZE,
) -> IntegratedGradients:
    """Return the gradients along the straight way from a baseline to each image, integrated.

    Sundararajan et al., "Axiomatic attribution for deep networks" (2017); captum's
    ``IntegratedGradients``, with its baseline, its number of steps and its Gauss-Legendre rule.

    Parameters
    ----------
    model, images, target, batch_size
        As for :func:`saliency`.
    baselines : number or array of shape (H, W, C) or (N, H, W, C)
        The image that says nothing, in the units of the images.
    steps : int
        Points of the rule; the model runs that many times for each image.

    Returns
    -------
    IntegratedGradients
        The attributions and their completeness error.
    """
    x = as_images("integrated_gradients", images)
    xp, place = backend.xp(x), backend.name_of(x)
    start = as_like("integrated_gradients", "baselines", baselines, x)
    points, weights = np.polynomial.legendre.leggauss(positive(steps, "steps"))
    shares, weights = ((each / 2).astype(x.dtype) for each in (points + 1, weights))
    totals = xp.zeros_like(x)
    with frozen(model):
        classes = classes_of(model, x, target, batch_size)
        for rows, numbers in pairs(len(x), steps, batch_size):
            share, weight = (
                backend.asarray(each[numbers].reshape(-1, 1, 1, 1), place)
                for each in (shares, weights)
            )
            chosen = backend.asarray(rows, place)
            between = start[chosen] + share * (x[chosen] - start[chosen])
            add_up(totals, rows, weight * score_gradients(model, between, classes[rows]))
        risen = [
            scores_of(model, x[part], classes[part]) - scores_of(model, start[part], classes[part])
            for part in chunks(len(x), batch_size)
        ]
    attributions = (x - start) * totals
    sums = backend.to_numpy(attributions.sum(axis=(1, 2, 3), dtype=xp.float64))
    return IntegratedGradients(attributions, sums - np.concatenate(risen))


def _gradients(model: Module, x: Any, classes: np.ndarray, batch_size: int) -> Any:
    gradients = backend.xp(x).empty_like(x)
    for part in chunks(len(x), batch_size):
        gradients[part] = score_gradients(model, x[part], classes[part])
    return gradients
