"""Principal components of points: the axes along which they spread most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from minicnn.errors import OptionError, ShapeError

__all__ = ["PrincipalComponents", "principal_components"]


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """The axes along which points spread most, in falling order.

    Attributes
    ----------
    mean : float array of shape (D,)
        Of the points; the axes go through it.
    axes : float array of shape (K, D)
        Orthogonal rows of length 1. Each is turned so that its largest entry is positive.
    variances : float array of shape (K,)
        Of the points along each axis, divided by their number.
    """

    mean: np.ndarray
    axes: np.ndarray
    variances: np.ndarray

    def project(self, points: ArrayLike) -> np.ndarray:
        """Return the coordinates of points (N, D) along the axes, (N, K)."""
        return (np.asarray(points, np.float64) - self.mean) @ self.axes.T

    def reconstruct(self, projections: ArrayLike) -> np.ndarray:
        """Return the points (N, D) that coordinates (N, K) stand for."""
        return self.mean + np.asarray(projections, np.float64) @ self.axes

    def error(self, points: ArrayLike) -> float:
        """Return the mean squared distance of points to what is left of them on the axes."""
        rest = np.asarray(points, np.float64) - self.reconstruct(self.project(points))
        return float((rest**2).sum(axis=1).mean())


def principal_components(points: ArrayLike, components: int) -> PrincipalComponents:
    """Find the principal components of points by a singular value decomposition.

    Parameters
    ----------
    points : array of shape (N, D)
        Finite numbers.
    components : int
        K, from 1 to the smaller of N and D.

    Returns
    -------
    PrincipalComponents

    Raises
    ------
    ShapeError
        The points are not of that shape.
    OptionError
        There are not so many components, or a number is not finite.

    References
    ----------
    Pearson: On lines and planes of closest fit to systems of points in space, 1901.
    """
    values = np.asarray(points, np.float64)
    if values.ndim != 2 or 0 in values.shape:
        raise ShapeError(f"principal_components: expected points (N, D), got {values.shape}")
    if not np.isfinite(values).all():
        raise OptionError("principal_components: expected finite numbers")
    if not 1 <= components <= min(values.shape):
        raise OptionError(
            f"principal_components: {len(values)} points of {values.shape[1]} numbers have 1 to "
            f"{min(values.shape)} components, got {components}"
        )
    mean = values.mean(axis=0)
    # Of the centred points = U S V^T, the rows of V^T are the eigenvectors of their covariance.
    _, singular, axes = np.linalg.svd(values - mean, full_matrices=False)
    axes = axes[:components]
    largest = np.abs(axes).argmax(axis=1)
    signs = np.sign(axes[np.arange(components), largest])
    return PrincipalComponents(
        mean, axes * signs[:, None], singular[:components] ** 2 / len(values)
    )
