"""Dropout layers, each with its own random generator."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.nn.module import Module
from minicnn.nn.options import number
from minicnn.ops.dropout import dropout, dropout2d
from minicnn.random import generator

__all__ = ["Dropout", "Dropout2d"]


class _Dropout(Module):
    """A dropout with a probability and a generator."""

    def __init__(self, p: float = 0.5, *, rng: np.random.Generator | int | None = None) -> None:
        self.p = number(p, "p", 0, 1)
        self.rng = generator(rng)


class Dropout(_Dropout):
    """In training, set elements to 0 with probability p and multiply the others by 1 / (1 - p).

    Parameters
    ----------
    p : float
        From 0 to 1.
    rng : numpy.random.Generator, int or None
        Draws what is dropped: a generator (which several layers may share), a seed, or None for the
        system's entropy.
    """

    def forward(self, x: Any) -> Tensor:
        """Drop elements of x in training; return x in evaluation."""
        return dropout(x, self.p, training=self.training, rng=self.rng)


class Dropout2d(_Dropout):
    """In training, set whole channels of images (N, H, W, C) to 0 with probability p.

    Parameters
    ----------
    p : float
        From 0 to 1.
    rng : numpy.random.Generator, int or None
        As for :class:`Dropout`.
    """

    def forward(self, x: Any) -> Tensor:
        """Drop channels of x in training; return x in evaluation."""
        return dropout2d(x, self.p, training=self.training, rng=self.rng)
