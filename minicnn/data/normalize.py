"""Bring the grey levels of images to the scale on which a network learns well."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from minicnn import backend
from minicnn.errors import CheckpointError, DTypeError, OptionError, ShapeError

__all__ = [
    "GlobalNormalization",
    "ImageNormalization",
    "NoNormalization",
    "Normalization",
    "PixelNormalization",
    "make_normalization",
    "normalization_from_state",
]

# A standard deviation below one grey level is treated as one grey level. A pixel (or an image) that
# is constant then becomes 0 instead of 0/0; and a pixel that was all but constant where the
# statistics were taken does not blow up one odd value elsewhere, as an epsilon of 1e-6 would.
SMALLEST_DEVIATION = 1.0

ROWS_PER_BLOCK = 1024  # images whose squares are held at once while fitting


class Normalization(ABC):
    """What all normalisations have in common; use one of its subclasses.

    A subclass with statistics lists their names and computes them in :meth:`fit`.

    Attributes
    ----------
    name : str
        What :func:`make_normalization` and the stored state call it.
    statistics : dict of str to array
        float32, on the host; empty before :meth:`fit` and for normalisations without any.
    """

    name: ClassVar[str]
    statistic_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self.statistics: dict[str, np.ndarray] = {}
        self._moved: dict[str, tuple[Any, ...]] = {}

    def fit(self, images: np.ndarray) -> Normalization:
        """Take the statistics of a set of images.

        Parameters
        ----------
        images : numpy array of shape (N, H, W, C)
            uint8, on the host, at least one.

        Returns
        -------
        Normalization
            Itself.

        Raises
        ------
        ShapeError, DTypeError
            The images are not as described.
        """
        if images.ndim != 4 or 0 in images.shape:
            raise ShapeError(
                f"normalization: expected images of shape (N, H, W, C), none of them zero, "
                f"got {images.shape}"
            )
        if images.dtype != np.uint8:
            raise DTypeError(f"normalization: expected uint8 images to fit, got {images.dtype}")
        self._moved = {}
        self.statistics = {
            name: np.asarray(value, dtype=np.float32)
            for name, value in zip(self.statistic_names, self._measure(images), strict=True)
        }
        return self

    def __call__(self, images: Any) -> Any:
        """Normalise a batch.

        Parameters
        ----------
        images : array of shape (N, H, W, C)
            Grey levels of 0 to 255, integers or floats, on either backend.

        Returns
        -------
        array of shape (N, H, W, C)
            float32, on the same backend.

        Raises
        ------
        OptionError
            The statistics were not taken yet.
        ShapeError
            The images do not fit the statistics.
        """
        return self._apply(backend.xp(images), images)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what :func:`normalization_from_state` needs: a dict for JSON, and arrays."""
        self._require_statistics()
        return {"name": self.name}, dict(self.statistics)

    def __repr__(self) -> str:
        fitted = "" if self.statistics or not self.statistic_names else "not fitted"
        return f"{type(self).__name__}({fitted})"

    def _measure(self, images: np.ndarray) -> tuple[Any, ...]:
        return ()

    @abstractmethod
    def _apply(self, xp: Any, images: Any) -> Any:
        """Normalise images of which nothing was checked yet."""

    def _require_statistics(self) -> None:
        if len(self.statistics) != len(self.statistic_names):
            raise OptionError(f"normalization {self.name!r}: no statistics yet; call fit(images)")


class NoNormalization(Normalization):
    """Only scale grey levels of 0 to 255 to numbers of 0 to 1."""

    name = "none"

    def _apply(self, xp: Any, images: Any) -> Any:
        return images.astype(xp.float32) * (1 / 255)


class ImageNormalization(Normalization):
    """Bring every image to mean 0 and standard deviation 1, over its pixels and channels."""

    name = "image"

    def _apply(self, xp: Any, images: Any) -> Any:
        images = images.astype(xp.float32)
        images = images - images.mean(axis=(1, 2, 3), keepdims=True)
        deviation = xp.sqrt((images * images).mean(axis=(1, 2, 3), keepdims=True))
        images /= xp.maximum(deviation, SMALLEST_DEVIATION)
        return images


class _SetNormalization(Normalization):
    """Subtract a mean and divide by a standard deviation, both taken over a set of images."""

    statistic_names = ("mean", "std")
    over: ClassVar[tuple[int, ...]]

    def _measure(self, images: np.ndarray) -> tuple[Any, ...]:
        # Sums of whole numbers are exact, whatever the order and the size of the blocks.
        total = np.zeros(images.shape[1:], dtype=np.uint64)
        squares = np.zeros(images.shape[1:], dtype=np.uint64)
        for start in range(0, len(images), ROWS_PER_BLOCK):
            block = images[start : start + ROWS_PER_BLOCK].astype(np.uint16)  # holds 255 * 255
            total += block.sum(axis=0, dtype=np.uint64)
            squares += (block * block).sum(axis=0, dtype=np.uint64)
        mean = (total / len(images)).mean(axis=self.over)
        variance = (squares / len(images)).mean(axis=self.over) - mean**2
        return mean, np.sqrt(np.maximum(variance, 0))

    def _apply(self, xp: Any, images: Any) -> Any:
        mean, scale = self._on_backend(backend.name_of(images))
        if mean.ndim and tuple(images.shape[1:]) != tuple(mean.shape):
            raise ShapeError(
                f"normalization {self.name!r}: the statistics are of images of shape "
                f"{tuple(mean.shape)}, got {tuple(images.shape[1:])}"
            )
        images = images.astype(xp.float32) - mean
        images *= scale
        return images

    def _on_backend(self, name: str) -> tuple[Any, ...]:
        """Return mean and factor there; they are moved once, not with every batch."""
        if name not in self._moved:
            self._require_statistics()
            scale = 1 / np.maximum(self.statistics["std"], np.float32(SMALLEST_DEVIATION))
            self._moved[name] = tuple(
                backend.asarray(np.asarray(value, dtype=np.float32), name)
                for value in (self.statistics["mean"], scale)
            )
        return self._moved[name]


class PixelNormalization(_SetNormalization):
    """Give each pixel (row, column, channel) mean 0 and deviation 1 over a set of images."""

    name = "pixel"
    over = ()


class GlobalNormalization(_SetNormalization):
    """Give all grey levels of a set of images together mean 0 and standard deviation 1."""

    name = "global"
    over = (0, 1, 2)


_KINDS: dict[str, type[Normalization]] = {
    kind.name: kind
    for kind in (PixelNormalization, ImageNormalization, GlobalNormalization, NoNormalization)
}


def make_normalization(name: str) -> Normalization:
    """Make a normalisation by name, without statistics yet.

    Parameters
    ----------
    name : {"pixel", "image", "global", "none"}

    Returns
    -------
    Normalization

    Raises
    ------
    OptionError
        The name is unknown.
    """
    if name not in _KINDS:
        raise OptionError(f"normalization: {name!r} is unknown; choose one of {', '.join(_KINDS)}")
    return _KINDS[name]()


def normalization_from_state(
    config: dict[str, Any], arrays: dict[str, np.ndarray]
) -> Normalization:
    """Make the normalisation again whose :meth:`Normalization.state` this is.

    Parameters
    ----------
    config : dict
        With the ``"name"``.
    arrays : dict of str to array
        The statistics; other entries are left alone.

    Returns
    -------
    Normalization

    Raises
    ------
    OptionError
        The name is unknown.
    CheckpointError
        The name or a statistic is missing.
    """
    if "name" not in config:
        raise CheckpointError(f"normalization: the stored config {config!r} has no name")
    normalization = make_normalization(config["name"])
    missing = [name for name in normalization.statistic_names if name not in arrays]
    if missing:
        raise CheckpointError(
            f"normalization {normalization.name!r}: the stored arrays lack {', '.join(missing)}"
        )
    normalization.statistics = {
        name: np.asarray(backend.to_numpy(arrays[name]), dtype=np.float32)
        for name in normalization.statistic_names
    }
    return normalization
