"""Move the pixels of a batch of images by one affine map per image, with bilinear interpolation."""

from __future__ import annotations

from typing import Any

from minicnn import backend
from minicnn.errors import DTypeError, OptionError, ShapeError
from minicnn.kernels.sizes import Pair

__all__ = ["FILL_MODES", "affine_warp"]

FILL_MODES = ("nearest", "constant", "reflect", "wrap")

# On a CPU a block's dozen temporary arrays should stay in the cache: 2**15 pixels were best of
# 2**13 to 2**18 (3 ms for 128 images of 48x48, against 7 ms for the whole batch at once).
PIXELS_PER_BLOCK = 2**15


def affine_warp(
    images: Any,
    matrices: Any,
    *,
    size: Pair | None = None,
    fill_mode: str = "nearest",
    fill_value: float = 0.0,
) -> Any:
    """Warp each image by its own affine map.

    The pixel at (row, column) of an output image is read, bilinearly, from its input image at the
    place ``matrix @ (row, column, 1)``. Rows come first, as in Keras and in
    ``scipy.ndimage.affine_transform``.

    Parameters
    ----------
    images : array of shape (N, H, W, C)
        Integers or floats.
    matrices : array of shape (N, 2, 3)
        Finite numbers, in pixels; the centre of the first pixel is (0, 0).
    size : pair of int, optional
        (OH, OW) of what comes out; as what goes in, by default.
    fill_mode : {"nearest", "constant", "reflect", "wrap"}
        What lies beyond the edge, drawn as Keras does for a row ``abcd``: ``aaaa|abcd|dddd``,
        ``kkkk|abcd|kkkk`` with k = `fill_value`, ``dcba|abcd|dcba`` or ``abcd|abcd|abcd``.
        Interpolation runs on over the edge (SciPy calls the second and the last ``grid-constant``
        and ``grid-wrap``).
    fill_value : float
        For ``"constant"``, in the units of the images.

    Returns
    -------
    array of shape (N, OH, OW, C)
        float64 for float64 images, else float32.

    Raises
    ------
    ShapeError
        The images are not (N, H, W, C) or the matrices not (N, 2, 3) of the same N.
    DTypeError
        The images are neither integers nor floats.
    OptionError
        The fill mode is unknown.
    """
    xp = backend.xp(images, matrices)
    _check(images, matrices, fill_mode)
    n, h, w, c = images.shape
    size = (h, w) if size is None else size
    dtype = xp.float64 if images.dtype == xp.float64 else xp.float32
    matrices = matrices.astype(dtype)
    block = max(1, PIXELS_PER_BLOCK // (h * w)) if backend.name_of(images) == "numpy" else max(1, n)
    y = xp.empty((n, *size, c), dtype=dtype)
    for start in range(0, n, block):
        part = slice(start, start + block)
        y[part] = _warp_block(xp, images[part], matrices[part], size, fill_mode, fill_value)
    return y


def _check(images: Any, matrices: Any, fill_mode: str) -> None:
    if images.ndim != 4 or 0 in images.shape[1:]:
        raise ShapeError(
            f"affine_warp: expected images of shape (N, H, W, C), none of H, W, C zero, "
            f"got {tuple(images.shape)}"
        )
    if tuple(matrices.shape) != (images.shape[0], 2, 3):
        raise ShapeError(
            f"affine_warp: {images.shape[0]} images need matrices of shape "
            f"({images.shape[0]}, 2, 3), got {tuple(matrices.shape)}"
        )
    if images.dtype.kind not in "uif":
        raise DTypeError(f"affine_warp: expected integers or floats, got images of {images.dtype}")
    if fill_mode not in FILL_MODES:
        raise OptionError(
            f"affine_warp: fill mode {fill_mode!r} is unknown; choose one of "
            f"{', '.join(FILL_MODES)}"
        )


def _warp_block(
    xp: Any, images: Any, matrices: Any, size: Pair, fill_mode: str, fill_value: float
) -> Any:
    n, h, w, c = images.shape
    images = _extend(xp, images.astype(matrices.dtype), fill_mode, fill_value)
    _, eh, ew, _ = images.shape  # of the extended images
    rows = _fold(xp, _coordinates(xp, matrices[:, 0], *size), h, eh, fill_mode)
    columns = _fold(xp, _coordinates(xp, matrices[:, 1], *size), w, ew, fill_mode)

    # The upper left of the four neighbours, in the extended image; the last row and column are
    # never it, so that its right and lower neighbours exist.
    top = xp.minimum(xp.floor(rows), eh - 2)
    left = xp.minimum(xp.floor(columns), ew - 2)
    rows -= top
    columns -= left
    index = top.astype(xp.int64)
    index *= ew
    index += left.astype(xp.int64)
    index += xp.arange(0, n * eh * ew, eh * ew).reshape(n, 1, 1)
    index = index.reshape(-1)

    pixels = images.reshape(-1, c)  # (N*EH*EW, C)
    down, right = rows.reshape(-1, 1), columns.reshape(-1, 1)
    upper = _between(xp, pixels[:-1], pixels[1:], index, right)
    lower = _between(xp, pixels[ew:-1], pixels[ew + 1 :], index, right)
    lower -= upper
    lower *= down
    lower += upper
    return lower.reshape(n, *size, c)


def _extend(xp: Any, images: Any, fill_mode: str, fill_value: float) -> Any:
    """Add what the neighbours of a folded coordinate need: at least two rows and two columns."""
    _, h, w, _ = images.shape
    if fill_mode == "constant":
        widths = ((0, 0), (1, 1), (1, 1), (0, 0))
        return xp.pad(images, widths, mode="constant", constant_values=fill_value)
    if fill_mode == "wrap":
        return xp.pad(images, ((0, 0), (0, 1), (0, 1), (0, 0)), mode="wrap")
    if h > 1 and w > 1:
        return images
    return xp.pad(images, ((0, 0), (0, int(h == 1)), (0, int(w == 1)), (0, 0)), mode="edge")


def _coordinates(xp: Any, coefficients: Any, h: int, w: int) -> Any:
    """Evaluate one row of every matrix, (N, 3), at every output pixel: (N, H, W)."""
    rows = xp.arange(h, dtype=coefficients.dtype)
    columns = xp.arange(w, dtype=coefficients.dtype)
    along_rows = coefficients[:, 0:1] * rows + coefficients[:, 2:3]  # (N, H)
    along_columns = coefficients[:, 1:2] * columns  # (N, W)
    return along_rows[:, :, None] + along_columns[:, None, :]


def _fold(xp: Any, place: Any, size: int, extended_size: int, fill_mode: str) -> Any:
    """Bring coordinates anywhere on an axis to those of the extended image."""
    if fill_mode == "constant":
        place += 1  # the ring of fill values stands before the first pixel
    elif fill_mode == "wrap":
        place = _remainder(xp, place, size)
    elif fill_mode == "reflect":
        # Mirrors stand half a pixel outside the first and the last centre.
        place = _remainder(xp, place + 0.5, 2 * size)
        place = xp.minimum(place, 2 * size - place) - 0.5
    return xp.clip(place, 0, extended_size - 1)


def _remainder(xp: Any, place: Any, period: int) -> Any:
    # A third of the time of xp.remainder; the clip of the caller takes up what rounding leaves.
    return place - xp.floor(place * (1 / period)) * period


def _between(xp: Any, first: Any, second: Any, index: Any, weight: Any) -> Any:
    """Interpolate between two taps: (pixels, C)."""
    start = xp.take(first, index, axis=0)
    value = xp.take(second, index, axis=0)
    value -= start
    value *= weight
    value += start
    return value
