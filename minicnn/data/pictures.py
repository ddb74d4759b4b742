"""Read picture files of any kind and size, and cut out of them what a network takes."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minicnn.data.csv_tables import excerpt
from minicnn.errors import DataError, ShapeError

__all__ = ["Box", "centre_square", "decode_picture", "network_input", "read_picture"]

MOST_PIXELS = 1 << 27  # decoded, that many take 400 MB
BACKGROUND = (255, 255, 255)  # what shows through transparent pixels


class Box(NamedTuple):
    """A rectangle of pixels: rows from `top` to before `bottom`, columns from `left` likewise."""

    left: int
    top: int
    right: int
    bottom: int


def read_picture(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a picture file as :func:`decode_picture` does.

    Raises
    ------
    DataError
        The file cannot be read, or is no picture; the message names it.
    """
    name = os.fspath(path)
    if Path(path).exists() and not Path(path).is_file() and not Path(path).is_dir():
        raise DataError(f"{name}: is no regular file")  # a pipe would be waited for
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror})") from None
    try:
        return decode_picture(data)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error.__cause__


def decode_picture(data: bytes) -> np.ndarray:
    """Return the pixels of a picture file, upright and in three colours.

    The first frame of an animation is taken, a camera's rotation (EXIF) is applied, 16 bits are
    brought to 8, and transparent pixels are laid over white.

    Parameters
    ----------
    data : bytes
        The file's content, in any format that Pillow reads.

    Returns
    -------
    uint8 array of shape (H, W, 3)
        Of a grey picture, the three are equal.

    Raises
    ------
    DataError
        The content is not a picture, is damaged, or Pillow is not installed.
    """
    image_module = _pillow()
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures and odd headers; here they are read or refused.
            warnings.simplefilter("ignore")
            with image_module.open(io.BytesIO(data)) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise DataError(
                        f"a picture of {image.width}x{image.height} is too large; scale it down to "
                        f"at most {MOST_PIXELS:,} pixels"
                    )
                return np.asarray(_in_colour(image), np.uint8)
    except DataError:
        raise
    except image_module.UnidentifiedImageError:
        raise DataError("not an image, or a damaged one") from None
    except image_module.DecompressionBombError:
        raise DataError(
            f"the picture is too large; scale it down to at most {MOST_PIXELS:,} pixels"
        ) from None
    except Exception as error:  # decoders of damaged files raise nearly anything
        # The decoder may name the object that it read from, which tells nobody anything.
        reason = " ".join(re.sub(r"\S*<[^>]*>", "it", str(error)).split())
        raise DataError(f"not an image, or a damaged one ({excerpt(reason)})") from error


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError('reading image files needs Pillow: pip install "minicnn[fer]"') from error
    return Image


def _in_colour(image: Any) -> Any:
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise DataError("its grey values are floating-point numbers; save it with 8 or 16 bits")
    if image.mode.startswith("I"):  # 16 bits: convert() would clip them, not scale them
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise DataError("its grey values have 32 bits; save it with 8 or 16")
        image = Image.fromarray((values >> 8).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (*BACKGROUND, 255)), image)
    return image.convert("RGB")


def centre_square(picture: np.ndarray) -> Box:
    """Return the largest square in the middle of a picture (H, W, 3)."""
    height, width = picture.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    return Box(left, top, left + side, top + side)


def network_input(picture: np.ndarray, shape: Sequence[int], box: Box | None = None) -> np.ndarray:
    """Cut a part out of a picture and scale it to the size that a network takes.

    Parameters
    ----------
    picture : uint8 array of shape (H, W, 3)
    shape : sequence of int
        (height, width, channels), with 1 channel for grey values (ITU-R 601) or 3 for colours.
    box : Box, optional
        The whole picture by default.

    Returns
    -------
    uint8 array of that shape
        Scaled bilinearly, averaging where it gets smaller; as it is where the size fits.

    Raises
    ------
    ShapeError
        The network takes another number of channels, or the box lies outside.
    """
    height, width, channels = shape
    if channels not in (1, 3):
        raise ShapeError(f"pictures have 1 or 3 channels, the network takes {channels}")
    box = Box(0, 0, picture.shape[1], picture.shape[0]) if box is None else box
    if not (0 <= box.left < box.right <= picture.shape[1]) or not (
        0 <= box.top < box.bottom <= picture.shape[0]
    ):
        raise ShapeError(
            f"{box} does not lie in a picture of {picture.shape[1]}x{picture.shape[0]}"
        )
    image_module = _pillow()
    part = image_module.fromarray(picture[box.top : box.bottom, box.left : box.right])
    if channels == 1:
        part = part.convert("L")
    if part.size != (width, height):
        part = part.resize((width, height), image_module.Resampling.BILINEAR)
    return np.asarray(part, np.uint8).reshape(height, width, channels)
