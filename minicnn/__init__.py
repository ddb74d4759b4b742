"""minicnn: a small deep-learning framework for convolutional networks, on NumPy and CuPy."""

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
from minicnn.ops import methods as _methods  # attaches the operators to Tensor

__version__ = "0.1.0"

__all__ = [
    "Tensor",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "is_grad_enabled",
    "no_grad",
    "tensor",
]
