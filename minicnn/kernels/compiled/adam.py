"""A step of Adam on flat float32 arrays, in one pass."""

from __future__ import annotations

import numpy as np

from minicnn.kernels.compiled.jit import compiled

__all__ = ["adam"]


@compiled
def adam(w, g, m, v, rest1, beta2, rest2, size, eps, penalty, shrink):
    """Change weights and both running means in place.

    Parameters
    ----------
    w, g, m, v : arrays (K,)
        Weights, their gradient, and the running means of it and of its square.
    rest1, beta2, rest2 : float32
        1 - beta1, beta2 and 1 - beta2, rounded only once.
    size : float32
        Factor of m / (sqrt(v) + eps), with the learning rate and the corrections in it.
    eps : float32
    penalty : float32
        Times the weights, it is added to the gradient.
    shrink : float32
        Factor of the weights.
    """
    for k in range(w.size):
        gradient = g[k] + penalty * w[k]
        mean = m[k] + rest1 * (gradient - m[k])
        square = beta2 * v[k] + rest2 * gradient * gradient
        m[k] = mean
        v[k] = square
        w[k] = shrink * w[k] - size * mean / (np.sqrt(square) + eps)
