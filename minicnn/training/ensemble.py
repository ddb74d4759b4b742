"""Average what models say of an image and of its views: ensembles and test-time augmentation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.errors import OptionError, ShapeError
from minicnn.nn.committee import mean_logits
from minicnn.nn.containers import ModuleList
from minicnn.nn.module import Module
from minicnn.ops.shape import concatenate, flip

__all__ = ["Ensemble", "Models", "Views", "joined", "mean_probabilities"]

Models = Module | Sequence[Module]

SHIFTS = ((0, 0), (0, -2), (0, 2), (-2, 0), (2, 0))


@dataclass(frozen=True)
class Views:
    """The views of an image over which predictions are averaged (test-time augmentation).

    Each shift gives a view, and with `flip` a mirrored one besides. The pixels at the edge are
    repeated into what a shift leaves bare.

    Parameters
    ----------
    flip : bool
        Also mirror every view left to right.
    shifts : sequence of (int, int)
        Whole pixels downwards and to the right, negative ones upwards and to the left; (0, 0) is
        the image where it is.

    Raises
    ------
    OptionError
        There is no shift, one comes twice, or one is no pair of whole numbers.
    """

    flip: bool = True
    shifts: tuple[tuple[int, int], ...] = SHIFTS

    def __post_init__(self) -> None:
        if not isinstance(self.flip, bool):
            raise OptionError(f"views: flip: expected True or False, got {self.flip!r}")
        shifts = tuple(map(_checked_shift, _listed(self.shifts)))
        if not shifts:
            raise OptionError("views: shifts: expected at least one, such as (0, 0)")
        twice = [shift for place, shift in enumerate(shifts) if shift in shifts[:place]]
        if twice:
            raise OptionError(f"views: shifts: {twice[0]} comes twice; name each shift once")
        object.__setattr__(self, "shifts", shifts)

    @classmethod
    def of(cls, tta: Any) -> Views | None:
        """Return what an option means: None or False for none, True for the default, or a Views.

        Raises
        ------
        OptionError
            It is something else.
        """
        if tta is None or tta is False:
            return None
        if tta is True:
            return cls()
        if not isinstance(tta, cls):
            raise OptionError(f"tta: expected None, True or a Views, got {tta!r}")
        return tta

    def __len__(self) -> int:
        """Return the number of views."""
        return len(self.shifts) * (1 + self.flip)

    def __call__(self, images: Any) -> Iterator[Tensor]:
        """Give the views of a batch one after the other, each made when it is asked for.

        Gradients flow through them to the images.

        Parameters
        ----------
        images : Tensor or array of shape (N, H, W, C)

        Yields
        ------
        Tensor of shape (N, H, W, C)

        Raises
        ------
        ShapeError
            The images have other axes, or a shift would move all of them out of sight.
        """
        images = images if isinstance(images, Tensor) else Tensor(images)
        if images.ndim != 4:
            raise ShapeError(f"views: expected images (N, H, W, C), got shape {images.shape}")
        for shift in self.shifts:
            if any(abs(by) >= size for by, size in zip(shift, images.shape[1:3], strict=True)):
                raise ShapeError(
                    f"views: the shift {shift} leaves nothing of images of {images.shape[1]}x"
                    f"{images.shape[2]}; choose smaller shifts"
                )
        for down, right in self.shifts:
            view = _shifted(_shifted(images, 1, down), 2, right)
            yield view
            if self.flip:
                yield flip(view, 2)

    def to_dict(self) -> dict[str, Any]:
        """Return the options, as a dict that JSON can hold."""
        return asdict(self)


class Ensemble(Module):
    """The log of the mean probability that models give to each class, over views of the images.

    The results are logits (their softmax is that mean), so that losses, metrics and explanations
    work on them as on a single model's, gradients included.

    Parameters
    ----------
    models : Module, or sequence of Module
        Images (N, H, W, C) to logits (N, K), all with the same K. All get the same images; of
        models with normalisations of their own, average what :func:`predict` returns for each by
        :func:`mean_probabilities`.
    views : Views or bool, optional
        True for the default views, None for the images alone.

    Attributes
    ----------
    models : ModuleList
    views : Views or None

    Raises
    ------
    OptionError
        There is no model, or `views` is none of these.

    Notes
    -----
    Without a record of gradients only one view's activations are in memory at a time.

    Examples
    --------
    >>> both = Ensemble([first, second], views=True)
    >>> evaluate(both, loader).accuracy
    """

    def __init__(self, models: Models, views: Views | bool | None = None) -> None:
        models = [models] if isinstance(models, Module) else list(_listed(models, "models"))
        if not models:
            raise OptionError("ensemble: expected at least one model, got none")
        self.models = ModuleList(models)
        self.views = Views.of(views)

    def forward(self, images: Any) -> Tensor:
        """Average over all models and views.

        Raises
        ------
        ShapeError
            The models differ in their numbers of classes.
        """
        views = [images] if self.views is None else self.views(images)
        return mean_logits([model(view) for view in views for model in self.models])

    def extra_repr(self) -> str:
        """Return the views, which are no children."""
        return "" if self.views is None else f"views={self.views}"


def joined(models: Models, tta: Views | bool | None = None) -> Module:
    """Return one module for what :func:`evaluate` and :func:`predict` take.

    A single model without views is returned as it is.
    """
    views = Views.of(tta)
    if isinstance(models, Module) and views is None:
        return models
    ensemble = Ensemble(models, views)
    return ensemble.models[0] if views is None and len(ensemble.models) == 1 else ensemble


def mean_probabilities(predictions: Iterable[np.ndarray]) -> np.ndarray:
    """Return the mean of what several models predicted, for models that see images differently.

    Parameters
    ----------
    predictions : iterable of NumPy arrays of shape (N, K)
        What :func:`predict` gave for each model, on the same images in the same order.

    Returns
    -------
    NumPy array of shape (N, K)
        Of a single prediction, that prediction bit for bit.

    Raises
    ------
    OptionError
        There is none.
    ShapeError
        They have different shapes.
    """
    found = list(predictions)
    if not found:
        raise OptionError("mean_probabilities: expected at least one prediction, got none")
    shapes = sorted({each.shape for each in found})
    if len(shapes) > 1:
        raise ShapeError(
            f"mean_probabilities: the predictions have shapes {' and '.join(map(str, shapes))}; "
            "predict the same images with models of the same classes"
        )
    return np.mean(found, axis=0)


def _listed(values: Any, name: str = "views: shifts") -> Sequence[Any]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise OptionError(f"{name}: expected a sequence, got {values!r}")
    return tuple(values)


def _checked_shift(shift: Any) -> tuple[int, int]:
    pair = tuple(shift) if isinstance(shift, Iterable) else ()
    whole = [isinstance(by, (int, np.integer)) and not isinstance(by, bool) for by in pair]
    if len(pair) != 2 or not all(whole):
        raise OptionError(
            "views: shifts: expected pairs of whole pixels downwards and to the right, "
            f"got {shift!r}"
        )
    return int(pair[0]), int(pair[1])


def _shifted(images: Tensor, axis: int, by: int) -> Tensor:
    # Concatenated of what is kept and of so many copies of the edge.
    if by == 0:
        return images
    size = images.shape[axis]
    kept = slice(size - by) if by > 0 else slice(-by, size)
    edge = slice(1) if by > 0 else slice(size - 1, size)
    rim = [_part(images, axis, edge)] * abs(by)
    inside = [_part(images, axis, kept)]
    return concatenate(rim + inside if by > 0 else inside + rim, axis=axis)


def _part(images: Tensor, axis: int, part: slice) -> Tensor:
    index = (*[slice(None)] * axis, part)
    return images[index]
