"""Layers described by words of a command line, such as ``conv:6,2x2,stride=3``, as a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from minicnn.errors import OptionError, ShapeError
from minicnn.inspect.counts import pool_output_size
from minicnn.kernels.sizes import conv_output_size
from minicnn.nn.activation import LeakyReLU, ReLU
from minicnn.nn.containers import Sequential
from minicnn.nn.conv import Conv2d
from minicnn.nn.linear import Linear
from minicnn.nn.module import Module
from minicnn.nn.norm import BatchNorm1d, BatchNorm2d
from minicnn.nn.pool import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from minicnn.nn.shape import Flatten

__all__ = ["GRAMMAR", "is_layer_word", "model_of_words"]

Shape = tuple[int, ...]
ZEROS: dict[str, Any] = {
    "weight_init": "zeros",
    "bias_init": "zeros",
}  # nobody looks at the weights


def _conv(shape: Shape, filters: int, kernel: Any, **options: Any) -> tuple[Module, Shape]:
    height, width, channels = _pictures(shape)
    layer = Conv2d(channels, filters, kernel, **options, **ZEROS)
    size = conv_output_size(
        (height, width), kernel, layer.stride, options.get("padding", 0), layer.dilation
    )
    return layer, (*size, filters)


def _pool(kind: type[MaxPool2d] | type[AvgPool2d]) -> Callable[..., tuple[Module, Shape]]:
    def build(shape: Shape, kernel: Any, **options: Any) -> tuple[Module, Shape]:
        height, width, channels = _pictures(shape)
        size = pool_output_size((height, width), kernel, **options)
        return kind(kernel, **options), (*size, channels)

    return build


def _global_average(shape: Shape) -> tuple[Module, Shape]:
    return GlobalAvgPool2d(), _pictures(shape)[-1:]


def _batch_norm(shape: Shape) -> tuple[Module, Shape]:
    return (BatchNorm2d if len(shape) > 1 else BatchNorm1d)(shape[-1]), shape


def _dense(shape: Shape, features: int, **options: Any) -> tuple[Module, Shape]:
    return Linear(math.prod(shape), features, **options, **ZEROS), (features,)


def _pictures(shape: Shape) -> Shape:
    if len(shape) != 3:
        raise ShapeError(f"it works on pictures, but gets {shape[0]} numbers; put it before dense")
    return shape


class _Kind(NamedTuple):
    """A kind of layer: what its word must have, what it may have, and how it is built."""

    needs: tuple[str, ...]
    options: tuple[str, ...]
    build: Callable[..., tuple[Module, Shape]]


KINDS = {
    "conv": _Kind(
        ("filters", "kernel"), ("stride", "padding", "dilation", "groups", "bias"), _conv
    ),
    "maxpool": _Kind(("kernel",), ("stride", "padding"), _pool(MaxPool2d)),
    "avgpool": _Kind(("kernel",), ("stride", "padding"), _pool(AvgPool2d)),
    "globalavgpool": _Kind((), (), _global_average),
    "batchnorm": _Kind((), (), _batch_norm),
    "relu": _Kind((), (), lambda shape: (ReLU(), shape)),
    "leakyrelu": _Kind((), (), lambda shape: (LeakyReLU(), shape)),
    "dense": _Kind(("features",), ("bias",), _dense),
}


EXPECTED = {
    "bias": "yes or no",
    "padding": "3, 3x1, same or valid",
    **dict.fromkeys(("features", "filters", "groups"), "3"),
}


def _usage(kind: str) -> str:
    needs = ",".join(name.upper() for name in KINDS[kind].needs)
    options = "".join(f"[,{name}=...]" for name in KINDS[kind].options)
    return kind + (f":{needs}" if needs else "") + options


GRAMMAR = tuple(map(_usage, KINDS))


def is_layer_word(word: str) -> bool:
    """Tell whether a word of a command line begins as a layer does."""
    return word.partition(":")[0] in KINDS


def model_of_words(words: Sequence[str], input_shape: Sequence[int]) -> Sequential:
    """Build what words describe, with weights of zero, to be counted.

    Parameters
    ----------
    words : sequence of str
        One for each layer, in the order in which they run, as :data:`GRAMMAR` lists them. Sizes are
        a number or two: 3x1 along height and width. Pictures are flattened before a dense layer.
    input_shape : sequence of int
        (H, W, C) of one image.

    Returns
    -------
    Sequential
        Its layers are named by kind and number: conv1, conv2, maxpool1.

    Raises
    ------
    OptionError
        A word is not understood; the message says how it should be.
    ShapeError
        A layer does not fit what reaches it.
    """
    layers: dict[str, Module] = {}
    shape = tuple(input_shape)
    for number, word in enumerate(words, 1):
        try:
            kind, arguments = _parsed(word)
            if kind == "dense" and len(shape) > 1:
                layers[f"flatten{_next(layers, 'flatten')}"] = Flatten()
            layer, shape = KINDS[kind].build(shape, **arguments)
        except (OptionError, ShapeError) as error:
            raise type(error)(f"layer {number}, {word!r}: {error}") from None
        except ValueError as error:  # NumPy's, of more numbers than an array can have
            why = str(error).rstrip(".")
            raise OptionError(
                f"layer {number}, {word!r}: cannot be built in that size ({why})"
            ) from None
        layers[f"{kind}{_next(layers, kind)}"] = layer
    return Sequential(layers)


def _next(layers: dict[str, Module], kind: str) -> int:
    return 1 + sum(name.rstrip("0123456789") == kind for name in layers)


def _parsed(word: str) -> tuple[str, dict[str, Any]]:
    kind, colon, rest = word.partition(":")
    if kind not in KINDS:
        raise OptionError(f"{kind!r} is no kind of layer; choose one of {', '.join(KINDS)}")
    needs, options, _ = KINDS[kind]
    arguments: dict[str, Any] = {}
    for position, part in enumerate(rest.split(",") if colon else ()):
        name, equals, text = part.partition("=")
        if not equals:
            name, text = (needs[position] if position < len(needs) else ""), part
        if name not in (*needs, *options) or name in arguments:
            raise OptionError(f"{part!r} is not understood; expected {_usage(kind)}")
        arguments[name] = _value(name, text)
    if missing := [name for name in needs if name not in arguments]:
        raise OptionError(f"{missing[0]} is missing; expected {_usage(kind)}")
    return kind, arguments


def _value(name: str, text: str) -> Any:
    if name == "bias" and text in ("yes", "no"):
        return text == "yes"
    if name == "padding" and text in ("same", "valid"):
        return text
    numbers = text.split("x")
    if name == "bias" or len(numbers) > 2 or not all(map(str.isdecimal, numbers)):
        expected = EXPECTED.get(name, "3 or 3x1")
        raise OptionError(f"{name}: expected a value such as {expected}, got {text!r}")
    return int(text) if len(numbers) == 1 else tuple(map(int, numbers))
