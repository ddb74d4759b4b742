"""Problem sheet 1: parameters and operations of convolutions, and principal components."""

from __future__ import annotations

import numpy as np

from minicnn.commands.workings import Workings
from minicnn.data.pca import principal_components
from minicnn.inspect.counts import (
    ConvLayer,
    conv_cost,
    conv_output_size,
    conv_parameters,
    total_conv_operations,
)
from minicnn.inspect.summarize import summary
from minicnn.nn.containers import Sequential
from minicnn.nn.conv import Conv2d

__all__ = ["counting", "principal_axes"]

SIZE, CHANNELS = 8, 5
LAYERS = (ConvLayer(2, 6, stride=3), ConvLayer(2, 4, stride=3))
# For each layer: output width, parameters, multiplications, additions.
PUBLISHED_COUNTS = ((3, 126, 1080, 1026), (1, 100, 96, 92))

POINTS = (
    *((1, 2, 3), (4, 8, 5), (3, 12, 9), (1, 8, 5), (5, 14, 2)),
    *((7, 4, 1), (9, 8, 9), (3, 8, 1), (11, 5, 6), (10, 11, 7)),
)
PUBLISHED_AXES = ((0.6166, 0.5888, 0.5226), (0.6782, -0.7344, 0.0273))
PUBLISHED_PROJECTIONS = (
    *((7.18658682, 1.37323947), (0.75871342, -0.94399334), (-3.07034019, -4.45059025)),
    *((2.60849751, -2.97853006), (-1.82299166, -4.75401212), (3.35457763, 3.91896138)),
    *((-4.41464321, 2.55604371), (3.46569126, -1.73131477), (-2.31359638, 6.03371503)),
    (-5.75249521, 0.97648096),
)
PUBLISHED_ERROR = 5.472


def counting(work: Workings) -> None:
    """Work out the parameters, the operations and the general formula."""
    work.heading("Problem sheet 1: counting")
    work.say(
        f"Two convolutions on an image of {SIZE}x{SIZE} with {CHANNELS} channels, each with a",
        "bias, stride 3 and no padding. C' filters of K x K over C channels have K K C C' weights",
        "and C' biases. Each of the C' N N numbers that come out takes K K C",
        "multiplications and one addition less (the bias not counted).",
    )
    n, c = SIZE, CHANNELS
    for number, (layer, published) in enumerate(zip(LAYERS, PUBLISHED_COUNTS, strict=True), 1):
        k, filters, stride, padding = layer
        out = conv_output_size(n, k, stride, padding)
        cost = conv_cost(c, filters, k, out)
        work.heading(f"Layer {number}: {filters} filters of {k}x{k} on {c} channels", 3)
        work.show(
            f"N'              = floor(({n} + 2*{padding} - {k})/{stride}) + 1",
            f"parameters      = {k}*{k}*{c}*{filters} + {filters}",
            f"multiplications = {k}*{k}*{c}*{filters}*{out}^2",
            f"additions       = ({k}*{k}*{c} - 1)*{filters}*{out}^2",
        )
        found = (out, conv_parameters(c, filters, k), cost.multiplications, cost.additions)
        names = ("output width", "parameters", "multiplications", "additions")
        for name, value, wanted in zip(names, found, published, strict=True):
            work.result(f"{name} of layer {number}", value, wanted)
        work.end()
        n, c = out, filters
    _formula(work)


def _formula(work: Workings) -> None:
    work.heading("Any number of layers", 3)
    work.say("With C_0 = C channels, kernels K_i, C_i filters, padding P_i and stride S_i:")
    work.show(
        "operations = sum over i of (2 C_(i-1) K_i^2 - 1) C_i N_i^2",
        "N_i        = floor((N_(i-1) + 2 P_i - K_i)/S_i) + 1",
    )
    total, n, c, terms = 0, SIZE, CHANNELS, []
    for k, filters, stride, padding in LAYERS:
        n = (n + 2 * padding - k) // stride + 1
        terms.append(f"(2*{c}*{k}^2 - 1)*{filters}*{n}^2")
        total += (2 * c * k**2 - 1) * filters * n**2
        c = filters
    work.show(f"{' + '.join(terms)} = {total:,}")
    published = sum(sum(counts[2:]) for counts in PUBLISHED_COUNTS)
    work.result("operations by the formula", total, published, beside="sum of the published")
    work.result(
        "operations by minicnn.inspect.total_conv_operations",
        total_conv_operations(SIZE, CHANNELS, LAYERS),
        published,
        beside="sum of the published",
    )
    layers, c = [], CHANNELS
    for k, filters, stride, padding in LAYERS:
        layers.append(Conv2d(c, filters, k, stride, padding, bias=False, rng=0))
        c = filters
    work.result(
        "operations counted while such a network ran",
        summary(Sequential(*layers), (SIZE, SIZE, CHANNELS)).cost.flops,
        published,
        beside="sum of the published",
    )
    work.end()


def principal_axes(work: Workings) -> None:
    """Work out the principal components of ten points."""
    points = np.array(POINTS, np.float64)
    found = principal_components(points, 2)
    work.heading("Problem sheet 1: principal component analysis")
    work.say(
        "Of ten points x_i the mean m is subtracted; the covariance C is the mean of",
        "(x_i - m)(x_i - m)^T. Its eigenvectors with the largest eigenvalues are the principal",
        "axes; they are determined up to their sign.",
    )
    covariance = (points - found.mean).T @ (points - found.mean) / len(points)
    values, vectors = np.linalg.eigh(covariance)
    work.numbers("m", found.mean)
    work.numbers("C", covariance)
    work.numbers("eigenvalues", values[::-1])
    work.result(
        "variances along the two axes",
        found.variances,
        values[:-3:-1],
        beside="eigenvalues of C",
        tolerance=1e-9,
    )
    for number, (axis, wanted) in enumerate(zip(found.axes, PUBLISHED_AXES, strict=True), 1):
        vector = vectors[:, -number]
        name = f"axis {number}"
        work.result(name, _turned(axis, wanted), wanted, tolerance=5e-5)
        work.result(
            f"{name} as an eigenvector of C",
            _turned(axis, vector),
            vector,
            beside="numpy.linalg.eigh",
            tolerance=1e-9,
        )
    work.end()
    projections, published = found.project(points), np.array(PUBLISHED_PROJECTIONS)
    work.say("Projections of the points on the two axes, p_i = (axis . (x_i - m)):")
    turned = np.stack([_turned(*pair) for pair in zip(projections.T, published.T, strict=True)], 1)
    for number, (row, pair) in enumerate(zip(turned, published, strict=True), 1):
        work.result(f"projections of point {number}", row, pair, tolerance=5e-9)
    work.end()
    work.say(
        "The reconstruction m + p_1 axis_1 + p_2 axis_2 misses a point by what lies along the",
        "third axis: the mean squared distance is the smallest eigenvalue.",
    )
    error = found.error(points)
    work.result("mean squared reconstruction error", error, PUBLISHED_ERROR, tolerance=5e-4)
    work.result("the same", error, values[0], beside="smallest eigenvalue of C", tolerance=1e-9)
    work.end()


def _turned(axis: np.ndarray, like: np.ndarray | tuple[float, ...]) -> np.ndarray:
    """Return an axis, or the projections on it, with the sign that brings it near another."""
    return axis if np.dot(axis, like) >= 0 else -axis
