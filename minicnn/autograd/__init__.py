"""Tensors, the tape, and checks of gradients."""

from minicnn.autograd.anomaly import detect_anomaly
from minicnn.autograd.declare import Cost, ErrorSample, Sample
from minicnn.autograd.deferred import Deferred
from minicnn.autograd.engine import backward, grad
from minicnn.autograd.gradcheck import gradcheck, gradgradcheck
from minicnn.autograd.mode import enable_grad, is_grad_enabled, no_grad, watch
from minicnn.autograd.operation import OPERATIONS, Node, Operation
from minicnn.autograd.tensor import Hook, Tensor, tensor

__all__ = [
    "OPERATIONS",
    "Cost",
    "Deferred",
    "ErrorSample",
    "Hook",
    "Node",
    "Operation",
    "Sample",
    "Tensor",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "is_grad_enabled",
    "no_grad",
    "tensor",
    "watch",
]
