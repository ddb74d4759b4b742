"""What all explanations begin with: images, chunks of them, the classes asked about, scores."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn import backend
from minicnn.autograd import Tensor, grad, no_grad
from minicnn.errors import DTypeError, OptionError, ShapeError
from minicnn.nn.module import Module
from minicnn.nn.options import positive
from minicnn.ops.softmax import softmax

__all__ = [
    "BATCH_SIZE",
    "add_up",
    "as_images",
    "as_like",
    "as_maps",
    "chosen_scores",
    "chunks",
    "classes_of",
    "flat_maps",
    "pairs",
    "score_gradients",
    "scores_of",
]

BATCH_SIZE = 64


def as_images(name: str, images: Any) -> Any:
    """Return images as an array; refuse what is none, in the name of a function.

    Parameters
    ----------
    name : str
    images : Tensor or array of shape (N, H, W, C)
        Floats, as the model takes them; at least one image.

    Raises
    ------
    DTypeError
        They are no array, or hold no floats.
    ShapeError
        They have another shape.
    """
    array = images.data if isinstance(images, Tensor) else images
    if not backend.is_array(array) or array.dtype.kind != "f":
        given = getattr(array, "dtype", type(array).__name__)
        raise DTypeError(
            f"{name}: expected images as an array of floats, as the model takes them, got {given}; "
            "normalise them as in training"
        )
    if array.ndim != 4 or 0 in array.shape:
        hint = "; for a single image pass image[None]" if array.ndim == 3 else ""
        raise ShapeError(
            f"{name}: expected images of shape (N, H, W, C), none of them 0, got "
            f"{tuple(array.shape)}{hint}"
        )
    return array


def as_like(name: str, option: str, value: Any, images: Any) -> Any:
    """Return a number, or an array that fits the images or each of them, as one of their shape.

    Returns
    -------
    array of the images' shape, type and backend
        A view of what is smaller.

    Raises
    ------
    ShapeError
        It does not fit.
    """
    xp = backend.xp(images)
    value = value.data if isinstance(value, Tensor) else value
    value = backend.asarray(value, backend.name_of(images), dtype=images.dtype)
    try:
        return xp.broadcast_to(value, images.shape)
    except ValueError:
        raise ShapeError(
            f"{name}: {option} of shape {tuple(value.shape)} does not fit images of shape "
            f"{tuple(images.shape)}; give a number, one image, or one for each"
        ) from None


def chunks(count: int, batch_size: int) -> Iterator[slice]:
    """Yield slices of at most `batch_size` that together cover so many images."""
    size = positive(batch_size, "batch_size")
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def pairs(images: int, each: int, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield, in chunks, every pair of an image and one of its `each` variants.

    Yields
    ------
    rows, variants : integer arrays on the host
        Ascending, image by image; so what is drawn from a generator for one chunk after the other
        does not depend on their size.
    """
    for part in chunks(images * each, batch_size):
        rows, variants = np.divmod(np.arange(part.start, part.stop), each)
        yield rows, variants


def add_up(totals: Any, rows: np.ndarray, values: Any) -> None:
    """Add each value to the total of its image; `rows` are ascending."""
    edges = [0, *(np.flatnonzero(np.diff(rows)) + 1).tolist(), len(rows)]
    for start, stop in itertools.pairwise(edges):
        totals[int(rows[start])] += values[start:stop].sum(axis=0)


def flat_maps(name: str, maps: Any, images: Any = None) -> Any:
    """Return maps of shape (N, H, W), their channels added up; see :func:`as_maps`."""
    maps = as_maps(name, maps, images)
    return maps.sum(axis=3) if maps.ndim == 4 else maps


def as_maps(name: str, maps: Any, images: Any = None) -> Any:
    """Return maps as an array of floating-point numbers, whatever numbers they are of.

    Parameters
    ----------
    name : str
    maps : array or Tensor of shape (N, H, W) or (N, H, W, C)
    images : array of shape (N, H, W, C), optional
        Which the maps must fit.

    Raises
    ------
    ShapeError
        They have another shape.
    """
    maps = maps.data if isinstance(maps, Tensor) else maps
    shape = tuple(getattr(maps, "shape", ()))
    fits = len(shape) in (3, 4) and 0 not in shape
    if not fits or (images is not None and shape[:3] != tuple(images.shape[:3])):
        expected = "(N, H, W) or (N, H, W, C)"
        if images is not None:
            expected = f"{tuple(images.shape[:3])}, one number for each pixel of each image"
        raise ShapeError(f"{name}: expected maps of shape {expected}, got {shape}")
    return maps if maps.dtype.kind == "f" else maps.astype("float64")


def classes_of(model: Module, images: Any, target: Any, batch_size: int) -> np.ndarray:
    """Return the class that is asked about for each image.

    Parameters
    ----------
    model : Module
        In :func:`frozen`.
    images : array of shape (N, H, W, C)
    target : int, sequence of int, or None
        One class for all, one for each, or the class with the highest score.
    batch_size : int

    Returns
    -------
    int64 array of shape (N,), on the host

    Raises
    ------
    OptionError, ShapeError
        The target is none of these. That a class exists is checked where scores are there.
    """
    if target is None:
        with no_grad():
            found = [
                backend.to_numpy(_scores(model(Tensor(images[part]))).data.argmax(axis=1))
                for part in chunks(len(images), batch_size)
            ]
        return np.concatenate(found)
    target = target.data if isinstance(target, Tensor) else target
    given = np.asarray(backend.to_numpy(target) if backend.is_array(target) else target)
    if given.dtype.kind not in "iu" or (given.size and given.min() < 0):
        raise OptionError(f"target: expected classes of 0 or more, or None, got {target!r}")
    if given.shape not in ((), (len(images),)):
        raise ShapeError(
            f"target: expected one class, or one for each of {len(images)} images, got shape "
            f"{given.shape}"
        )
    return np.broadcast_to(given, (len(images),)).astype(np.int64)


def chosen_scores(outputs: Tensor, classes: np.ndarray) -> Tensor:
    """Return each image's score of its class: (N,), from outputs (N, K).

    Raises
    ------
    ShapeError
        The outputs have another shape.
    OptionError
        There is no such class.
    """
    count = _scores(outputs).shape[1]
    if classes.max() >= count:
        raise OptionError(
            f"target: there is no class {classes.max()}; the model gives {count} scores, "
            f"0 to {count - 1}"
        )
    place = outputs.backend
    rows = backend.asarray(np.arange(len(classes)), place)
    return outputs[rows, backend.asarray(classes, place)]


def _scores(outputs: Any) -> Tensor:
    if not isinstance(outputs, Tensor) or outputs.ndim != 2:
        given = getattr(outputs, "shape", type(outputs).__name__)
        raise ShapeError(f"explain: expected a model that gives scores (N, K), got {given}")
    return outputs


def scores_of(
    model: Module, images: Any, classes: np.ndarray, *, probability: bool = False
) -> np.ndarray:
    """Return each image's score of its class, or its probability by softmax, on the host."""
    with no_grad():
        outputs = _scores(model(Tensor(images)))
        outputs = softmax(outputs) if probability else outputs
        return backend.to_numpy(chosen_scores(outputs, classes).data)


def score_gradients(model: Module, images: Any, classes: np.ndarray) -> Any:
    """Return the gradient of each image's score of its class with respect to its pixels."""
    x = Tensor(images, requires_grad=True)
    (gradient,) = grad(chosen_scores(model(x), classes).sum(), x)
    return gradient.data  # type: ignore[union-attr]
