"""minicnn: a small deep-learning framework for convolutional networks, on NumPy and CuPy."""

from minicnn import backend, nn, ops, optim
from minicnn.autograd import (
    Tensor,
    detect_anomaly,
    enable_grad,
    grad,
    gradcheck,
    gradgradcheck,
    is_grad_enabled,
    no_grad,
    tensor,
)

__version__ = "0.1.0"

__all__ = [
    "Tensor",
    "backend",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "is_grad_enabled",
    "nn",
    "no_grad",
    "ops",
    "optim",
    "tensor",
]
