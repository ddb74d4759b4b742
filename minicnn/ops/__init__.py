"""The differentiable operations, each declared once, as functions on tensors."""

from minicnn.ops.activation import elu, gelu, leaky_relu, relu, sigmoid, silu, softplus, tanh
from minicnn.ops.arithmetic import (
    absolute,
    add,
    clip,
    divide,
    erf,
    exp,
    log,
    maximum,
    minimum,
    multiply,
    negative,
    power,
    sqrt,
    subtract,
    where,
)
from minicnn.ops.broadcast import expand, sum_to
from minicnn.ops.class_loss import cross_entropy, nll_loss
from minicnn.ops.conv import ALGORITHMS, conv2d, conv_transpose2d
from minicnn.ops.convert import astype, clone, to
from minicnn.ops.dropout import dropout, dropout2d
from minicnn.ops.embedding import embedding
from minicnn.ops.halve import batch_norm_halve, halve
from minicnn.ops.indexing import getitem
from minicnn.ops.linalg import linear, matmul
from minicnn.ops.loss import (
    binary_cross_entropy_with_logits,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
)
from minicnn.ops.methods import attach
from minicnn.ops.norm import batch_norm, group_norm, instance_norm, layer_norm
from minicnn.ops.pool import (
    adaptive_avg_pool2d,
    avg_pool2d,
    global_avg_pool2d,
    global_max_pool2d,
    max_pool2d,
)
from minicnn.ops.reduce import argmax, argmin, logsumexp, max, mean, min, std, sum, var
from minicnn.ops.shape import (
    concatenate,
    flatten,
    flip,
    pad,
    permute,
    reshape,
    squeeze,
    stack,
    transpose,
    unsqueeze,
)
from minicnn.ops.softmax import log_softmax, softmax

__all__ = [
    "ALGORITHMS",
    "absolute",
    "adaptive_avg_pool2d",
    "add",
    "argmax",
    "argmin",
    "astype",
    "avg_pool2d",
    "batch_norm",
    "batch_norm_halve",
    "binary_cross_entropy_with_logits",
    "clip",
    "clone",
    "concatenate",
    "conv2d",
    "conv_transpose2d",
    "cross_entropy",
    "divide",
    "dropout",
    "dropout2d",
    "elu",
    "embedding",
    "erf",
    "exp",
    "expand",
    "flatten",
    "flip",
    "gelu",
    "getitem",
    "global_avg_pool2d",
    "global_max_pool2d",
    "group_norm",
    "halve",
    "huber_loss",
    "instance_norm",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log",
    "log_softmax",
    "logsumexp",
    "matmul",
    "max",
    "max_pool2d",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mse_loss",
    "multiply",
    "negative",
    "nll_loss",
    "pad",
    "permute",
    "power",
    "relu",
    "reshape",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "sqrt",
    "squeeze",
    "stack",
    "std",
    "subtract",
    "sum",
    "sum_to",
    "tanh",
    "to",
    "transpose",
    "unsqueeze",
    "var",
    "where",
]

attach()
