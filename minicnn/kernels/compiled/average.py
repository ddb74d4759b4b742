"""A step of a moving average on flat float32 arrays, in one pass."""

from __future__ import annotations

from minicnn.kernels.compiled.jit import compiled

__all__ = ["average"]


@compiled
def average(mean, value, share):
    """Move a mean towards values, in place.

    Parameters
    ----------
    mean, value : arrays (K,)
    share : float32
        Of the way.
    """
    for k in range(mean.size):
        mean[k] += share * (value[k] - mean[k])
