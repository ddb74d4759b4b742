"""Random changes of training images, drawn anew for every image and composed into one warp."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from minicnn import backend
from minicnn.data.affine import affine_matrices, resized
from minicnn.data.patches import between, draw_erasing, draw_mixture, erase, mix
from minicnn.errors import OptionError, ShapeError
from minicnn.kernels.warp import FILL_MODES, affine_warp

__all__ = ["Augmentation"]

Pair = tuple[float, float]

# One column of uniform numbers for each thing that is drawn per image, so that switching one of
# them on or off leaves what is drawn for the others as it was.
COLUMNS = (
    *("rotation", "height_shift", "width_shift", "shear", "row_zoom", "column_zoom"),
    *("horizontal_flip", "vertical_flip", "brightness", "contrast"),
    *("erasing", "erasing_top", "erasing_left"),
)


@dataclass(frozen=True, kw_only=True, repr=False)
class Augmentation:
    """A recipe of random changes, with the meanings of Keras's ``ImageDataGenerator``.

    Calling it changes a batch. Rotation, shift, shear, zoom and flips become one affine map and one
    bilinear warp; then brightness, contrast, random erasing and mixtures with other images follow
    in this order. Pixel values are grey levels of 0 to 255, in integers or floats.

    Parameters
    ----------
    rotation : float
        Degrees; the angle is uniform in [-rotation, rotation].
    width_shift, height_shift : float
        Below 1 a fraction of the width or height, from 1 on pixels; the shift is uniform in
        [-shift, shift]. (Keras draws whole pixels where it is given an ``int``; here never.)
    shear : float
        Degrees, as in Keras: a `shear` of 0.2 is hardly visible.
    zoom : float or pair of float
        A pair (low, high), or z for (1 - z, 1 + z). Each axis has its own factor, which stretches
        the coordinates: above 1 the picture shrinks.
    horizontal_flip, vertical_flip : bool
        Mirror every second image, on average, left to right or top to bottom.
    brightness : pair of float, optional
        The grey levels are multiplied by a factor from this range, and clipped to 0 to 255.
    contrast : pair of float, optional
        Each channel's distance from its mean over the image is multiplied by a factor from this
        range, and the result clipped to 0 to 255.
    fill_mode : {"nearest", "constant", "reflect", "wrap"}
        What lies beyond the edge; see :func:`minicnn.kernels.warp.affine_warp`.
    fill_value : float
        Grey level for ``"constant"``.
    random_erasing : float
        Probability that a rectangle of the image is replaced by noise, uniform in 0 to 255.
    erasing_area : pair of float
        Range of the rectangle's share of the image.
    erasing_aspect : pair of float
        Range of the rectangle's height over width.
    mixup : float
        The alpha of the Beta distribution from which each image's weight in its mixture with
        another image of the batch is drawn; 0 for no mixture.
    cutmix : float
        The alpha of the Beta distribution from which the share is drawn that each image keeps when
        a rectangle of another image of the batch is laid over it; 0 for none. The rectangle is cut
        off at the image's edges, and the label is mixed by the true shares of the pixels.
    mixing_probability : float
        Share of the images that are mixed at all. Where both `mixup` and `cutmix` are given, either
        is applied to every second of them, on average.
    size : int, optional
        Height and width, in pixels, that the warp gives the images; by default they keep theirs.

    Raises
    ------
    OptionError
        A value lies outside its range.

    Notes
    -----
    Sources: ``keras_preprocessing.image`` (``ImageDataGenerator.get_random_transform`` and
    ``apply_affine_transform``) for the warp; Zhong et al., "Random Erasing Data Augmentation"
    (2017), and the authors' code, which draws area and aspect until the rectangle fits and then its
    place; Zhang et al., "mixup: Beyond Empirical Risk Minimization" (2018), and Yun et al.,
    "CutMix" (2019), with a weight for every image where their code has one for the batch.

    Keras's brightness first stretches the image to the full range of grey levels; here it does not.
    """

    rotation: float = 0.0
    width_shift: float = 0.0
    height_shift: float = 0.0
    shear: float = 0.0
    zoom: float | Pair = 0.0
    horizontal_flip: bool = False
    vertical_flip: bool = False
    brightness: Pair | None = None
    contrast: Pair | None = None
    fill_mode: str = "nearest"
    fill_value: float = 0.0
    random_erasing: float = 0.0
    erasing_area: Pair = (0.02, 0.4)
    erasing_aspect: Pair = (0.3, 1 / 0.3)
    mixup: float = 0.0
    cutmix: float = 0.0
    mixing_probability: float = 1.0
    size: int | None = None

    def __post_init__(self) -> None:
        for name, unit, limit in (
            ("rotation", "degrees", math.inf),
            ("width_shift", "a fraction or pixels", math.inf),
            ("height_shift", "a fraction or pixels", math.inf),
            ("shear", "degrees below 90", 90.0),
            ("random_erasing", "a probability, at most 1", math.nextafter(1, 2)),
            ("mixup", "an alpha", math.inf),
            ("cutmix", "an alpha", math.inf),
            ("mixing_probability", "a probability, at most 1", math.nextafter(1, 2)),
        ):
            _check_number(name, getattr(self, name), unit, limit)
        if isinstance(self.zoom, (int, float)):
            _check_number("zoom", self.zoom, "a pair of factors or one number below 1", 1.0)
        else:
            object.__setattr__(self, "zoom", _pair("zoom", self.zoom, above_zero=True))
        for name in ("brightness", "contrast"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _pair(name, getattr(self, name)))
        for name in ("erasing_area", "erasing_aspect"):
            object.__setattr__(self, name, _pair(name, getattr(self, name), above_zero=True))
        if self.erasing_area[1] > 1:
            raise OptionError(
                f"augmentation: erasing_area {self.erasing_area!r} reaches over 1, the whole image"
            )
        if not _is_number(self.fill_value):
            raise OptionError(
                f"augmentation: fill_value: expected a grey level, got {self.fill_value!r}"
            )
        if self.size is not None and (type(self.size) is not int or self.size < 1):
            raise OptionError(f"augmentation: size: expected pixels, 1 or more, got {self.size!r}")
        if self.fill_mode not in FILL_MODES:
            raise OptionError(
                f"augmentation: fill_mode {self.fill_mode!r} is unknown; choose one of "
                f"{', '.join(FILL_MODES)}"
            )

    @classmethod
    def system_a(cls) -> Augmentation:
        """Return the recipe of system A: zoom, shear, rotation, shifts and horizontal flips.

        The shear of 0.2 is in degrees, as Keras takes it.
        """
        return cls(
            zoom=0.2,
            shear=0.2,
            rotation=30,
            width_shift=0.2,
            height_shift=0.2,
            horizontal_flip=True,
        )

    @property
    def mixes(self) -> bool:
        """Whether images are mixed, and so labels become probabilities."""
        return bool((self.mixup or self.cutmix) and self.mixing_probability)

    def to_dict(self) -> dict[str, Any]:
        """Return all options as a dict that JSON can hold; ``Augmentation(**options)`` reads it."""
        options = asdict(self)
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in options.items()
        }

    def __repr__(self) -> str:
        changed = (
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        )
        return f"Augmentation({', '.join(changed)})"

    def __call__(
        self,
        images: Any,
        labels: Any,
        rng: np.random.Generator,
        *,
        num_classes: int | None = None,
    ) -> tuple[Any, Any]:
        """Change a batch.

        Parameters
        ----------
        images : array of shape (N, H, W, C)
            Grey levels of 0 to 255, integers or floats, on either backend.
        labels : array of shape (N,) or (N, K)
            Integers or probabilities, on the backend of the images.
        rng : numpy.random.Generator
            All draws are made from it, on the host.
        num_classes : int, optional
            K; needed where images with integer labels are mixed.

        Returns
        -------
        images : array of shape (N, H, W, C), or (N, size, size, C)
            float32, on the backend of the input.
        labels : array
            As given; where images are mixed, float32 probabilities of shape (N, K).

        Raises
        ------
        ShapeError
            The images are not (N, H, W, C).
        OptionError
            Images are to be mixed, but the number of classes was not told.
        """
        xp = backend.xp(images, labels)
        if images.ndim != 4:
            raise ShapeError(
                f"augmentation: expected images of shape (N, H, W, C), got {tuple(images.shape)}"
            )
        n, *before, c = images.shape
        h, w = before if self.size is None else (self.size, self.size)
        name = backend.name_of(images)
        uniform = dict(zip(COLUMNS, rng.random((len(COLUMNS), n)), strict=True))
        # What a seed gives depends on the order of the draws: what is new must be drawn last.
        rectangles = self._rectangles(uniform, h, w, rng)
        pairs = self._pairs(n, rng)
        noise = rng.integers(0, 256, (n, h, w, c), dtype=np.uint8) if self.random_erasing else None
        mixture = draw_mixture(
            *(pairs, h, w),
            mixup=self.mixup,
            cutmix=self.cutmix,
            probability=self.mixing_probability,
            rng=rng,
        )
        host = np.concatenate(
            [
                resized(self._matrices(uniform, *before), before, (h, w)).reshape(n, 6),
                between(uniform["brightness"], self.brightness or (1, 1))[:, None],
                between(uniform["contrast"], self.contrast or (1, 1))[:, None],
                rectangles,
                mixture,
            ],
            axis=1,
        )
        drawn = backend.asarray(host, name, dtype=np.float32)  # (N, 19), the only transfer of draws

        if self._warps() or [h, w] != before:
            images = affine_warp(
                images,
                drawn[:, :6].reshape(n, 2, 3),
                size=(h, w),
                fill_mode=self.fill_mode,
                fill_value=self.fill_value,
            )
        images = images.astype(xp.float32, copy=False)
        images = self._change_levels(xp, images, drawn[:, 6], drawn[:, 7])
        if noise is not None:
            images = erase(xp, images, drawn[:, 8:12], backend.asarray(noise, name))
        if self.mixes:
            labels = _probabilities(xp, labels, num_classes)
            images, labels = mix(xp, images, labels, drawn[:, 12:], cut=bool(self.cutmix))
        return images, labels

    # -- draws, on the host ----------------------------------------------------------------------

    def _warps(self) -> bool:
        return bool(
            self.rotation
            or self.width_shift
            or self.height_shift
            or self.shear
            or self._zoom_range() != (1, 1)
            or self.horizontal_flip
            or self.vertical_flip
        )

    def _zoom_range(self) -> Pair:
        zoom = self.zoom
        return zoom if isinstance(zoom, tuple) else (1 - zoom, 1 + zoom)

    def _matrices(self, uniform: dict[str, np.ndarray], height: int, width: int) -> np.ndarray:
        def symmetric(name: str, limit: float) -> np.ndarray:
            return between(uniform[name], (-limit, limit))

        row_flip = np.where(self.vertical_flip & (uniform["vertical_flip"] < 0.5), -1, 1)
        column_flip = np.where(self.horizontal_flip & (uniform["horizontal_flip"] < 0.5), -1, 1)
        row_unit = height if self.height_shift < 1 else 1
        column_unit = width if self.width_shift < 1 else 1
        return affine_matrices(
            height,
            width,
            rotation=symmetric("rotation", self.rotation),
            row_shift=symmetric("height_shift", self.height_shift) * row_unit,
            column_shift=symmetric("width_shift", self.width_shift) * column_unit,
            shear=symmetric("shear", self.shear),
            row_zoom=between(uniform["row_zoom"], self._zoom_range()) * row_flip,
            column_zoom=between(uniform["column_zoom"], self._zoom_range()) * column_flip,
        )

    def _rectangles(
        self, uniform: dict[str, np.ndarray], height: int, width: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Draw what to erase: (N, 4) of first row, first column, height, width; 0 for nothing."""
        names = ("erasing", "erasing_top", "erasing_left")
        return draw_erasing(
            np.stack([uniform[name] for name in names]),
            *(height, width),
            probability=self.random_erasing,
            area=self.erasing_area,
            aspect=self.erasing_aspect,
            rng=rng,
        )

    def _pairs(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw for mixup each image's own weight and the index of its partner: (N, 2)."""
        if not self.mixup:
            return np.stack([np.ones(n), np.arange(n)], axis=1)
        return np.stack([rng.beta(self.mixup, self.mixup, n), rng.permutation(n)], axis=1)

    # -- changes, on the device ------------------------------------------------------------------

    def _change_levels(self, xp: Any, images: Any, brightness: Any, contrast: Any) -> Any:
        if self.brightness is not None:
            images = xp.clip(images * brightness.reshape(-1, 1, 1, 1), 0, 255)
        if self.contrast is not None:
            mean = images.mean(axis=(1, 2), keepdims=True)
            images = xp.clip((images - mean) * contrast.reshape(-1, 1, 1, 1) + mean, 0, 255)
        return images


def _probabilities(xp: Any, labels: Any, num_classes: int | None) -> Any:
    if labels.ndim == 1:
        if num_classes is None:
            raise OptionError(
                "augmentation: mixup and cutmix need the number of classes; pass num_classes"
            )
        labels = labels[:, None] == xp.arange(num_classes)
    return labels.astype(xp.float32)  # (N, K)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _check_number(name: str, value: Any, unit: str, limit: float) -> None:
    if not _is_number(value) or not 0 <= value < limit:
        raise OptionError(f"augmentation: {name}: expected 0 or more ({unit}), got {value!r}")


def _pair(name: str, value: Sequence[float], *, above_zero: bool = False) -> Pair:
    numbers = tuple(value) if isinstance(value, (list, tuple)) else ()
    least = math.nextafter(0, 1) if above_zero else 0
    if (
        len(numbers) != 2
        or not all(map(_is_number, numbers))
        or not least <= numbers[0] <= numbers[1]
    ):
        sign = "above 0" if above_zero else "of 0 or more"
        raise OptionError(
            f"augmentation: {name}: expected a pair (low, high) of numbers {sign}, got {value!r}"
        )
    return numbers
