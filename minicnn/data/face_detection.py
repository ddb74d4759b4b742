"""Find faces in a picture with OpenCV's Haar cascade, where OpenCV is installed."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.data.pictures import Box
from minicnn.errors import OptionError

__all__ = ["find_faces", "require_detector"]

CASCADE = "haarcascade_frontalface_default.xml"
LONGEST_SIDE = 1024  # larger pictures are searched at this size: faces in them are large as well
SMALLEST_FACE = 24  # the size at which the cascade was trained
REMEDY = 'run: pip install "minicnn[detect]"'


def require_detector() -> None:
    """Raise OptionError where faces cannot be searched for.

    OpenCV may be missing, or be version 5, which has no Haar cascades.
    """
    _detector()


@functools.lru_cache(maxsize=1)
def _detector() -> tuple[Any, Any]:
    try:
        import cv2
    except ImportError as error:
        raise OptionError(
            f"finding faces needs OpenCV, which cannot be imported ({error}); {REMEDY}"
        ) from None
    path = os.path.join(getattr(getattr(cv2, "data", None), "haarcascades", ""), CASCADE)
    if not hasattr(cv2, "CascadeClassifier") or not os.path.isfile(path):
        raise OptionError(
            f"finding faces needs Haar cascades, which OpenCV {cv2.__version__} as installed here "
            f"does not have; {REMEDY}"
        )
    return cv2, cv2.CascadeClassifier(path)


def find_faces(picture: np.ndarray) -> list[Box]:
    """Return the frontal faces that are found in a picture, the largest first.

    Parameters
    ----------
    picture : uint8 array of shape (H, W, 3)

    Returns
    -------
    list of Box
        Squares. Empty where no face is found, which does not say that there is none.

    Raises
    ------
    OptionError
        As for :func:`require_detector`.

    References
    ----------
    Viola, Jones: Rapid Object Detection using a Boosted Cascade of Simple Features, 2001.
    """
    cv2, cascade = _detector()
    height, width = picture.shape[:2]
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    found = cascade.detectMultiScale(
        grey, scaleFactor=1.1, minNeighbors=5, minSize=(SMALLEST_FACE, SMALLEST_FACE)
    )
    boxes = [_box(each, 1 / scale, width, height) for each in found]
    return sorted(boxes, key=lambda box: (box.left - box.right, box.top, box.left))


def _box(found: Sequence[int], scale: float, right: int, bottom: int) -> Box:
    """Return what was found, (left, top, width, height), at the picture's own scale, inside it."""
    left, top, width, height = map(int, found)
    return Box(
        max(0, int(left * scale)),
        max(0, int(top * scale)),
        min(right, round((left + width) * scale)),
        min(bottom, round((top + height) * scale)),
    )
