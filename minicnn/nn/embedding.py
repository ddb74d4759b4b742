"""The embedding layer: a table of vectors, one for each index."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.nn.init import Initializer, draw
from minicnn.nn.module import Module
from minicnn.nn.options import positive
from minicnn.nn.parameter import Parameter
from minicnn.ops.embedding import embedding
from minicnn.random import generator

__all__ = ["Embedding"]


class Embedding(Module):
    """Look up a vector for each index.

    Parameters
    ----------
    num_embeddings : int
        Number of indices, which start at 0.
    embedding_dim : int
        Size of a vector.
    rng : numpy.random.Generator, int or None
        Draws the initial values: a generator, a seed, or None for the system's entropy.
    weight_init : str or callable
        A name in :data:`minicnn.nn.init.INITIALIZERS`, or a function like those there.
        The default is PyTorch's standard normal distribution; Keras draws evenly up to +-0.05.

    Attributes
    ----------
    weight : Parameter of shape (num_embeddings, embedding_dim)
    """

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        rng: np.random.Generator | int | None = None,
        weight_init: Initializer = "normal",
    ) -> None:
        self.num_embeddings = positive(num_embeddings, "num_embeddings")
        self.embedding_dim = positive(embedding_dim, "embedding_dim")
        self.weight_init = weight_init
        shape = self.num_embeddings, self.embedding_dim
        self.weight = draw(weight_init, shape, generator(rng), *shape)

    def forward(self, indices: Any) -> Tensor:
        """Map indices of any shape to vectors (..., embedding_dim)."""
        return embedding(indices, self.weight)
