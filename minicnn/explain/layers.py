"""What layers answer to: feature maps, first filters, and the images that a filter answers most."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minicnn import backend
from minicnn.autograd import Tensor, no_grad
from minicnn.errors import OptionError, ShapeError
from minicnn.explain.inputs import BATCH_SIZE, as_images, chunks
from minicnn.explain.observation import find_layer, frozen, layer_output
from minicnn.nn.conv import Conv2d
from minicnn.nn.module import Module
from minicnn.nn.options import one_of, positive

__all__ = ["TopActivations", "convolution_filters", "feature_maps", "top_activations"]


def feature_maps(model: Module, images: Any, layer: str, *, batch_size: int = BATCH_SIZE) -> Any:
    """Return what comes out of a layer for each image.

    Parameters
    ----------
    model : Module
        It runs in evaluation mode, as far as the layer, and is left as it was.
    images : Tensor or array of shape (N, H, W, C)
        As the model takes them, on its backend.
    layer : str
        A name as `named_modules` gives it. Of a layer that runs several times, the first run
        counts.
    batch_size : int
        Images that the model sees at once.

    Returns
    -------
    array of shape (N, h, w, c), or what the layer gives
        On the images' backend.

    Raises
    ------
    OptionError
        There is no such layer (the message lists those that there are), or it does not run.
    """
    x = as_images("feature_maps", images)
    with frozen(model), no_grad():
        found = [
            layer_output(model, Tensor(x[part]), layer).data for part in chunks(len(x), batch_size)
        ]
    return backend.xp(x).concatenate(found)


def convolution_filters(model: Module, layer: str | None = None) -> np.ndarray:
    """Return the filters of a convolution, the first one unless another is named.

    Parameters
    ----------
    model : Module
    layer : str, optional
        A name as `named_modules` gives it.

    Returns
    -------
    NumPy array of shape (O, KH, KW, C / groups)
        One filter after the other, on the host.

    Raises
    ------
    OptionError
        There is no such layer, or it is no convolution.
    """
    if layer is None:
        found: Any = next((each for each in model.modules() if isinstance(each, Conv2d)), None)
    else:
        found = find_layer(model, layer)
    if not isinstance(found, Conv2d):
        what = "there is none" if layer is None else f"{layer} is a {type(found).__name__}"
        raise OptionError(f"convolution_filters: expected a convolution, a Conv2d; {what}")
    return backend.to_numpy(found.weight.data).transpose(3, 0, 1, 2).copy()


class TopActivations(NamedTuple):
    """What :func:`top_activations` gives; the strongest image of each filter comes first.

    Attributes
    ----------
    indices : int64 NumPy array of shape (F, k)
        Positions of the images in the data.
    values : NumPy array of shape (F, k)
        Their activations.
    positions : int64 NumPy array of shape (F, k, 2), or None
        Row and column of the strongest place in the layer's map; None where activations are means,
        or the layer gives no maps.
    """

    indices: np.ndarray
    values: np.ndarray
    positions: np.ndarray | None


def top_activations(
    model: Module,
    batches: Iterable[Any],
    layer: str,
    *,
    filters: Sequence[int] | None = None,
    k: int = 9,
    reduction: str = "max",
) -> TopActivations:
    """Find the images to which each filter of a layer answers most, in one pass over the data.

    Zeiler and Fergus, "Visualizing and understanding convolutional networks" (2014), figure 2. Of
    the data, one batch is held at a time.

    Parameters
    ----------
    model : Module
        It runs in evaluation mode, as far as the layer, and is left as it was.
    batches : iterable of (images, labels) or of images
        Such as a DataLoader without shuffling: positions are counted in its order.
    layer : str
        A name as `named_modules` gives it.
    filters : sequence of int, optional
        Numbers of the filters (features of a dense layer), each of 0 or more; all by default.
    k : int
        Images for each filter; all of them where the data has fewer.
    reduction : {"max", "mean"}
        What of a map (h, w) counts: its highest number, or its mean.

    Returns
    -------
    TopActivations
        Of equal activations, the earlier image comes first.

    Raises
    ------
    OptionError
        There is no such layer or filter, there are no batches, or an option is out of its range.
    """
    k = positive(k, "k")
    one_of(reduction, "reduction", ("max", "mean"))
    best: tuple[np.ndarray, ...] = ()
    seen = 0
    with frozen(model), no_grad():
        for batch in batches:
            images = batch[0] if isinstance(batch, (tuple, list)) else batch
            x = as_images("top_activations", images)
            values, places, width = _strongest(layer_output(model, Tensor(x), layer), reduction)
            chosen = _chosen_filters(filters, len(values), layer)
            numbers = np.broadcast_to(np.arange(seen, seen + len(x)), (len(chosen), len(x)))
            found: tuple[np.ndarray, ...] = (values[chosen], numbers, places[chosen])
            if seen:
                found = tuple(
                    np.concatenate(each, axis=1) for each in zip(best, found, strict=True)
                )
            best = _best(found, k)
            seen += len(x)
    if not seen:
        raise OptionError("top_activations: there are no batches")
    values, indices, places = best
    if not width or reduction == "mean":
        return TopActivations(indices, values, None)
    return TopActivations(indices, values, np.stack(np.divmod(places, width), axis=-1))


def _best(found: tuple[np.ndarray, ...], k: int) -> tuple[np.ndarray, ...]:
    order = np.argsort(-found[0], axis=1, kind="stable")[:, :k]
    return tuple(np.take_along_axis(each, order, axis=1) for each in found)


def _strongest(output: Tensor, reduction: str) -> tuple[np.ndarray, np.ndarray, int]:
    # Activations and their places, (F, N) on the host; and the width of a map, 0 without maps.
    array = output.data
    if array.ndim not in (2, 4):
        raise ShapeError(
            f"top_activations: the layer gives the shape {array.shape}; expected (N, h, w, c) or "
            "(N, c)"
        )
    flat = array.reshape(len(array), -1, array.shape[-1])
    places = flat.argmax(axis=1)
    values = flat.max(axis=1) if reduction == "max" else flat.mean(axis=1)
    width = array.shape[2] if array.ndim == 4 else 0
    return backend.to_numpy(values).T, backend.to_numpy(places).T, width


def _chosen_filters(filters: Sequence[int] | None, count: int, layer: str) -> np.ndarray:
    chosen = np.arange(count) if filters is None else np.asarray(filters)
    fits = chosen.ndim == 1 and chosen.dtype.kind in "iu" and chosen.size
    if not fits or chosen.min() < 0 or chosen.max() >= count:
        raise OptionError(
            f"filters: expected numbers of 0 to {count - 1}, as layer {layer} has {count} filters, "
            f"got {filters!r}"
        )
    return chosen
