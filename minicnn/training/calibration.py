"""How far a classifier's confidence is from its accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.errors import OptionError, ShapeError

__all__ = ["Calibration", "calibration"]


@dataclass(frozen=True, eq=False)
class Calibration:
    """Confidence and accuracy of the samples, in bins of equal width from 0 to 1.

    Attributes
    ----------
    count : int64 array of shape (B,)
        Number of samples in each bin.
    confidence : float array of shape (B,)
        Their mean largest probability; 0 in an empty bin.
    accuracy : float array of shape (B,)
        The share of them whose class was predicted; 0 in an empty bin.
    """

    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """The expected calibration error: the mean of |accuracy - confidence| over the samples."""
        gaps = np.abs(self.accuracy - self.confidence)
        return float((self.count * gaps).sum() / max(int(self.count.sum()), 1))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dict that JSON can hold."""
        return {
            "expected_calibration_error": self.error,
            "count": self.count.tolist(),
            "confidence": self.confidence.tolist(),
            "accuracy": self.accuracy.tolist(),
        }


def calibration(probabilities: np.ndarray, labels: np.ndarray, *, bins: int = 15) -> Calibration:
    """Compare the confidence of predictions with how often they are right.

    Parameters
    ----------
    probabilities : NumPy array of shape (N, K)
    labels : integer NumPy array of shape (N,)
    bins : int
        B, 1 or more. A sample is in bin b of 0 to B - 1 if its largest probability is above b / B
        and not above (b + 1) / B.

    Returns
    -------
    Calibration

    Raises
    ------
    ShapeError
        The shapes are not as described.
    OptionError
        There is no bin.

    References
    ----------
    Guo et al.: On Calibration of Modern Neural Networks, 2017, https://arxiv.org/abs/1706.04599
    """
    if bins < 1:
        raise OptionError(f"calibration: bins: expected 1 or more, got {bins}")
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise ShapeError(
            "calibration: expected probabilities (N, K) and labels (N,), got "
            f"{probabilities.shape} and {labels.shape}"
        )
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    place = np.searchsorted(np.arange(1, bins) / bins, confidence, side="left")
    count = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, weights=values, minlength=bins) for values in (confidence, right)]
    means = [total / np.maximum(count, 1) for total in sums]
    return Calibration(count, *means)
