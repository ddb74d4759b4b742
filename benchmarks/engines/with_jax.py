"""What JAX does with a training step: one compiled function, images (N, H, W, C)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Layers = Sequence[dict[str, Any]]
Arrays = list[dict[str, Any]]
BETA1, BETA2, EPSILON, RATE = 0.9, 0.999, 1e-8, 1e-3


def train_step(
    images: np.ndarray, labels: np.ndarray, *, layers: Layers, **others: Any
) -> Callable[[], object]:
    """Forward in training mode, mean cross-entropy, backward, Adam."""
    rng = np.random.default_rng(0)
    weights, statistics = zip(*(_values(rng, **layer) for layer in layers), strict=True)
    zeros = jax.tree.map(jnp.zeros_like, list(weights))
    state = [list(weights), list(statistics), zeros, jax.tree.map(jnp.copy, zeros), 0]
    x, y = jnp.asarray(images), jnp.asarray(labels)
    compiled = jax.jit(partial(_step, layers), donate_argnums=(0, 1, 2, 3))

    def step() -> None:
        state[4] += 1
        loss, state[:4] = compiled(*state, x, y)
        jax.block_until_ready((loss, state[:4]))

    return step


def _values(rng: np.random.Generator, kind: str, **options: Any) -> tuple[Any, Any]:
    # What a layer learns, and what it keeps besides.
    if kind == "Residual":
        pairs = [_values(rng, **layer) for layer in options["body"]]
        return [learned for learned, _ in pairs], [kept for _, kept in pairs]
    if kind in ("BatchNorm1d", "BatchNorm2d"):
        zeros, ones = np.zeros(options["num_features"], "f"), np.ones(options["num_features"], "f")
        learned, kept = {"weight": ones, "bias": zeros}, {"mean": zeros, "variance": ones}
    elif kind in ("Conv2d", "Linear"):
        shape = [options["in_features"], options["out_features"]] if kind == "Linear" else [
            *options["kernel_size"], options["in_channels"], options["out_channels"]
        ]  # fmt: skip
        spread = np.prod(shape[:-1]) ** -0.5
        weight = rng.standard_normal(shape, np.float32) * spread
        learned, kept = {"weight": weight, "bias": np.zeros(shape[-1], "f")}, {}
    else:
        learned, kept = {}, {}
    return jax.tree.map(jnp.array, (learned, kept))


def _step(
    layers: Layers, weights: Arrays, statistics: Arrays, m: Any, v: Any, t: Any, x: Any, y: Any
) -> Any:
    def loss_of(weights: Arrays) -> Any:
        logits, kept = _forward(layers, weights, statistics, x, jax.random.key(t))
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1).mean(), kept

    (loss, statistics), g = jax.value_and_grad(loss_of, has_aux=True)(weights)
    m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, g)
    v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, g)
    rate, root = RATE / (1 - BETA1**t), jnp.sqrt(1 - BETA2**t)

    def moved(w: Any, m: Any, v: Any) -> Any:
        return w - rate * m / (jnp.sqrt(v) / root + EPSILON)

    return loss, [jax.tree.map(moved, weights, m, v), statistics, m, v]


def _forward(layers: Layers, weights: Arrays, statistics: Arrays, x: Any, key: Any) -> Any:
    kept = []
    for number, (layer, w, old) in enumerate(zip(layers, weights, statistics, strict=True)):
        x, new = _layer(x, w, old, jax.random.fold_in(key, number), **layer)
        kept.append(new)
    return x, kept


def _layer(x: Any, w: Any, kept: Any, key: Any, *, kind: str, **options: Any) -> Any:
    if kind == "Residual":
        y, kept = _forward(options["body"], w, kept, x, key)
        return y + x, kept
    if kind == "GlobalAvgPool2d":
        return x.mean((1, 2)), kept
    pads = [(size, size) for size in options.get("padding", ())]
    if kind == "Conv2d":
        names = ("NHWC", "HWIO", "NHWC")
        y = lax.conv_general_dilated(
            x, w["weight"], options["stride"], pads, dimension_numbers=names
        )
        return y + w["bias"], kept
    if kind == "Linear":
        return x @ w["weight"] + w["bias"], kept
    if kind in ("BatchNorm1d", "BatchNorm2d"):
        axes = tuple(range(x.ndim - 1))
        mean, variance = x.mean(axes), x.var(axes)
        y = (x - mean) * (lax.rsqrt(variance + options["eps"]) * w["weight"]) + w["bias"]
        share, found = options["momentum"], {"mean": mean, "variance": variance}
        return y, {name: (1 - share) * kept[name] + share * found[name] for name in kept}
    if kind in ("MaxPool2d", "AvgPool2d"):
        start, best = (-jnp.inf, lax.max) if kind == "MaxPool2d" else (0.0, lax.add)
        window, stride = (1, *options["kernel_size"], 1), (1, *options["stride"], 1)
        y = lax.reduce_window(x, start, best, window, stride, [(0, 0), *pads, (0, 0)])
        return y if kind == "MaxPool2d" else y / np.prod(window), kept
    if kind == "Dropout":
        keep = jax.random.bernoulli(key, 1 - options["p"], x.shape)
        return jnp.where(keep, x / (1 - options["p"]), 0), kept
    if kind == "Flatten":
        return x.reshape(len(x), -1), kept
    return jnp.where(x > 0, x, options.get("negative_slope", 0.0) * x), kept
