"""Small pictures as data URIs: faces and maps pixel by pixel; the page enlarges them, unblurred."""

from __future__ import annotations

import base64
import functools
import io
from typing import Any

import numpy as np

from minicnn.errors import OptionError
from minicnn.report.panels import SIGNED, UNSIGNED, span

__all__ = ["face_uri", "map_uri", "require_pillow"]


def require_pillow() -> Any:
    """Return Pillow's module of images, or raise OptionError where Pillow is not installed."""
    try:
        from PIL import Image
    except ImportError:
        raise OptionError(
            'a report needs Pillow, which is not installed; run: pip install "minicnn[fer]"'
        ) from None
    return Image


def face_uri(face: np.ndarray) -> str:
    """Return a picture of shape (H, W, C), uint8, as a PNG in a data URI."""
    image = require_pillow()
    if face.shape[2] == 3:
        return _uri(image.fromarray(face))
    return _uri(image.fromarray(face.mean(axis=2).round().astype(np.uint8)))


def map_uri(
    values: np.ndarray,
    *,
    signed: bool = False,
    cmap: str = UNSIGNED,
    ends: tuple[float, float] | None = None,
) -> str:
    """Return a map of shape (H, W) in colours as a PNG in a data URI.

    Parameters
    ----------
    values : array of shape (H, W)
    signed : bool
        Put 0 in the middle of the colours, blue below and red above.
    cmap : str
        Matplotlib's name of the colours of a map without a sign.
    ends : (float, float), optional
        Which values get the first and the last colour; by default the map's own.
    """
    low, high = span(values, signed=signed) if ends is None else ends
    share = np.clip((values - low) / (high - low), 0, 1)
    image = require_pillow().fromarray((255 * share).round().astype(np.uint8))
    image.putpalette(_palette(SIGNED if signed else cmap))
    return _uri(image)


@functools.cache
def _palette(cmap: str) -> bytes:
    from matplotlib import colormaps

    return colormaps[cmap](np.arange(256), bytes=True)[:, :3].tobytes()


def _uri(image: Any) -> str:
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
