"""Gradient ascent: pictures that a filter, a layer, a neuron or a class answers to most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minicnn import backend
from minicnn.autograd import Tensor, grad
from minicnn.errors import OptionError, ShapeError
from minicnn.explain.inputs import BATCH_SIZE, chunks
from minicnn.explain.observation import frozen, layer_output
from minicnn.nn.module import Module
from minicnn.nn.options import number, positive
from minicnn.random import generator, standard_normal

__all__ = ["Ascent", "gradient_ascent", "total_variation"]

SMALLEST_NORM = 1e-12  # a gradient of 0 stays 0 instead of 0/0


class Ascent(NamedTuple):
    """What :func:`gradient_ascent` gives, for G goals and S seeds.

    Attributes
    ----------
    images : array of shape (G, S, H, W, C)
        On the model's backend, in the units of its inputs.
    values : NumPy array of shape (steps + 1, G, S)
        The activation before each step, of the picture as it was jittered; and at last that of the
        picture as it is returned.
    """

    images: Any
    values: np.ndarray


def total_variation(images: Tensor) -> Tensor:
    """Return each image's mean absolute difference between neighbours, down and to the right.

    The sum of both over the number of pixels and channels, as in tf-keras-vis; Mahendran and
    Vedaldi, "Understanding deep image representations by inverting them" (2015).

    Parameters
    ----------
    images : Tensor of shape (N, H, W, C)

    Returns
    -------
    Tensor of shape (N,)
    """
    down = abs(images[:, 1:] - images[:, :-1]).sum(axis=(1, 2, 3))
    right = abs(images[:, :, 1:] - images[:, :, :-1]).sum(axis=(1, 2, 3))
    return (down + right) * (len(images) / images.size)


def gradient_ascent(
    model: Module,
    layer: str | None = None,
    index: int | Sequence[int] | None = None,
    *,
    rng: np.random.Generator | int,
    position: tuple[int, int] | None = None,
    start: Any = None,
    shape: Sequence[int] | None = None,
    noise: float = 0.1,
    seeds: int = 1,
    steps: int = 200,
    step_size: float = 0.05,
    normalize: bool = True,
    clip_norm: float | None = None,
    jitter: int = 0,
    l2: float = 0.0,
    variation: float = 0.0,
    batch_size: int = BATCH_SIZE,
) -> Ascent:
    """Change pictures step by step so that an activation rises.

    Erhan et al., "Visualizing higher-layer features of a deep network" (2009); Simonyan et al.
    (2014); tf-keras-vis's ``ActivationMaximization``. What rises is the activation minus
    ``l2 * mean(picture ** 2)`` minus ``variation * total_variation(picture)``.

    Parameters
    ----------
    model : Module
        It runs in evaluation mode, as far as the layer, and is left as it was.
    layer : str, optional
        A name as `named_modules` gives it; the model's output by default.
    index : int, sequence of int, or None
        A goal each: the filter of a layer that gives maps (its activation is the mean over the
        map), the feature of a dense layer, or the class. None for one goal, the mean over the whole
        layer.
    rng : numpy.random.Generator or int
        Draws noise and jitter; what it draws does not depend on ``batch_size``.
    position : (row, column), optional
        One neuron of each filter's map, instead of the mean over the map.
    start : array or Tensor of shape (H, W, C) or (seeds, H, W, C), optional
        The picture to begin with, in the units of the model's inputs; zeros by default.
    shape : (H, W, C), optional
        Of the pictures without a start; a network of the zoo knows its own.
    noise : float
        Standard deviation of the normal noise that is added to the start.
    seeds : int
        Pictures for each goal, with different noise and jitter.
    steps : int
    step_size : float
        The step is so many times the gradient.
    normalize : bool
        Divide each picture's gradient by its root mean square: then a step changes a pixel by about
        ``step_size``, whatever the layer.
    clip_norm : float, optional
        Shorten each picture's gradient, normalised or not, to this Euclidean norm if it is longer.
    jitter : int
        Before each step, the picture is moved by up to so many pixels in each direction, around the
        edges, and afterwards moved back (Mordvintsev et al., "Inceptionism", 2015).
    l2, variation : float
        Weights of the two penalties, 0 or more.
    batch_size : int
        Pictures that the model sees at once.

    Returns
    -------
    Ascent
        The pictures, and how the activations rose.

    Raises
    ------
    OptionError
        There is no such layer (the message lists those that there are), no such filter, or an
        option is out of its range.
    ShapeError
        The start or the position does not fit.
    """
    rng = generator(rng)
    goals = np.atleast_1d(np.asarray([0] if index is None else index))
    if goals.ndim != 1 or goals.dtype.kind not in "iu" or not goals.size or goals.min() < 0:
        raise OptionError(f"index: expected numbers of 0 or more, or None, got {index!r}")
    steps, reach = positive(steps, "steps"), number(jitter, "jitter", 0)
    if reach != int(reach):
        raise OptionError(f"jitter: expected a whole number of pixels, got {jitter!r}")
    step = _Step(
        number(step_size, "step_size", 0),
        normalize,
        None if clip_norm is None else number(clip_norm, "clip_norm", 0),
        number(l2, "l2", 0),
        number(variation, "variation", 0),
    )
    count = (len(goals), positive(seeds, "seeds"))
    filters = None if index is None else np.repeat(goals, seeds)
    with frozen(model):
        pictures = _beginnings(model, start, shape, count, number(noise, "noise", 0), rng)
        shifts = rng.integers(-int(reach), int(reach) + 1, (steps, len(pictures), 2))
        values = np.empty((steps + 1, len(pictures)), pictures.dtype)
        for part in chunks(len(pictures), batch_size):
            goal = _Goal(model, layer, None if filters is None else filters[part], position)
            pictures[part], values[:, part] = _climb(goal, step, pictures[part], shifts[:, part])
    return Ascent(pictures.reshape(*count, *pictures.shape[1:]), values.reshape(-1, *count))


class _Goal(NamedTuple):
    """The activation that is to rise, for each of a chunk of pictures."""

    model: Module
    layer: str | None
    filters: np.ndarray | None
    position: tuple[int, int] | None

    def __call__(self, x: Tensor) -> Tensor:
        output = layer_output(self.model, x, self.layer)
        name = "the model's output" if self.layer is None else f"layer {self.layer}"
        if self.position is not None and (output.ndim != 4 or self.filters is None):
            raise ShapeError(
                f"position: {name} gives the shape {output.shape}; a position needs maps "
                "(N, h, w, c), and the index of a filter"
            )
        if self.filters is None:
            return output.reshape(len(output), -1).mean(axis=1)
        if self.filters.max() >= output.shape[-1]:
            raise OptionError(
                f"index: {name} has {output.shape[-1]} filters, features or classes, so there is "
                f"no {self.filters.max()}"
            )
        rows, filters = (
            backend.asarray(each, x.backend) for each in (np.arange(len(output)), self.filters)
        )
        if self.position is not None:
            row, column = self.position
            if not (0 <= row < output.shape[1] and 0 <= column < output.shape[2]):
                raise ShapeError(
                    f"position: {name} gives maps of {output.shape[1]}x{output.shape[2]}, so "
                    f"there is no {self.position!r}"
                )
            return output[rows, row, column, filters]
        chosen = output[rows, ..., filters]
        return chosen.reshape(len(output), -1).mean(axis=1)


class _Step(NamedTuple):
    """How the pictures are changed by a gradient."""

    size: float
    normalize: bool
    clip_norm: float | None
    l2: float
    variation: float

    def change(self, pictures: Any, gradient: Any) -> Any:
        """Return what is added to the pictures, given the gradient of their activations."""
        xp = backend.xp(pictures)
        if self.l2 or self.variation:
            x = Tensor(pictures, requires_grad=True)
            penalty = self.l2 * (x * x).mean(axis=(1, 2, 3)) + self.variation * total_variation(x)
            (against,) = grad(penalty.sum(), x)
            gradient = gradient - against.data  # type: ignore[union-attr]
        if self.normalize:
            square = (gradient * gradient).mean(axis=(1, 2, 3), keepdims=True)
            gradient = gradient / xp.maximum(xp.sqrt(square), SMALLEST_NORM)
        if self.clip_norm is not None:
            norm = xp.sqrt((gradient * gradient).sum(axis=(1, 2, 3), keepdims=True))
            gradient = gradient * xp.minimum(1, self.clip_norm / xp.maximum(norm, SMALLEST_NORM))
        return self.size * gradient


def _climb(goal: _Goal, step: _Step, pictures: Any, shifts: np.ndarray) -> tuple[Any, np.ndarray]:
    # The pictures after all steps, and their activations: (steps + 1, pictures).
    found = []
    for shift in shifts:
        x = Tensor(_moved(pictures, shift), requires_grad=True)
        values = goal(x)
        (gradient,) = grad(values.sum(), x)
        found.append(values.data)
        back = _moved(gradient.data, -shift)  # type: ignore[union-attr]
        pictures = pictures + step.change(pictures, back)
    found.append(goal(Tensor(pictures)).data)
    return pictures, backend.to_numpy(backend.xp(pictures).stack(found))


def _moved(pictures: Any, shift: np.ndarray) -> Any:
    # Each picture by its own (rows, columns), around the edges.
    if not shift.any():
        return pictures
    n, h, w, _ = pictures.shape
    place = backend.name_of(pictures)
    rows = backend.asarray((np.arange(h) - shift[:, :1]) % h, place)  # (N, H)
    columns = backend.asarray((np.arange(w) - shift[:, 1:]) % w, place)  # (N, W)
    numbers = backend.asarray(np.arange(n), place)
    return pictures[numbers[:, None, None], rows[:, :, None], columns[:, None, :]]


def _beginnings(
    model: Module,
    start: Any,
    shape: Sequence[int] | None,
    count: tuple[int, int],
    noise: float,
    rng: np.random.Generator,
) -> Any:
    # The pictures to begin with, (goals * seeds, H, W, C), where the model is.
    like = next(model.parameters(), None)
    start = start.data if isinstance(start, Tensor) else start
    place, dtype = None, np.dtype(np.float32)
    if like is not None or (backend.is_array(start) and start.dtype.kind == "f"):
        like = start if like is None else like.data
        place, dtype = backend.name_of(like), like.dtype
    if start is None:
        shape = getattr(model, "input_shape", None) if shape is None else shape
        if shape is None or len(shape) != 3:
            raise OptionError(
                "gradient_ascent: give a start, or the shape (H, W, C) of the pictures, such as "
                f"(48, 48, 1); got {shape!r}"
            )
        start = np.zeros(tuple(shape))
    start = backend.to_numpy(start) if backend.is_array(start) else np.asarray(start)
    if start.ndim not in (3, 4) or (start.ndim == 4 and len(start) not in (1, count[1])):
        raise ShapeError(
            f"start: expected a picture of shape (H, W, C), or one for each of {count[1]} seeds, "
            f"got shape {start.shape}"
        )
    drawn = standard_normal(rng, (*count, *start.shape[-3:]), dtype)
    pictures = (start + noise * drawn).astype(dtype).reshape(-1, *start.shape[-3:])
    return backend.asarray(pictures, place)
