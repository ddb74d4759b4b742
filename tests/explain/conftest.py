"""Networks and images for tests of explanations."""

from __future__ import annotations

import pytest
from explained import SIZE, make_network

from minicnn import backend
from minicnn.nn.activation import Tanh


@pytest.fixture
def network():
    return make_network()


@pytest.fixture
def smooth_network():
    return make_network(Tanh)


@pytest.fixture
def pictures(rng):
    """Five images on the host, in float64."""
    return rng.standard_normal((5, SIZE, SIZE, 1))


@pytest.fixture
def images(pictures):
    return backend.asarray(pictures)
