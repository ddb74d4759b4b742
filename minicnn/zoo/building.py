"""Build a network of the zoo by its name."""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Callable, Sequence
from typing import Any

from minicnn.errors import OptionError, ShapeError
from minicnn.random import Streams
from minicnn.zoo.network import Layers, Network
from minicnn.zoo.residual import residual_cnn, residual_committee
from minicnn.zoo.systems import SYSTEMS

__all__ = ["build", "describe", "names"]

# Name: the builder, and the settings of its Layers.
NETWORKS: dict[str, tuple[Callable[..., None], dict[str, Any]]] = {
    "residual_cnn": (residual_cnn, {"slope": 0.1}),
    "residual_committee": (residual_committee, {"slope": 0.1}),
    **SYSTEMS,
}


def names() -> tuple[str, ...]:
    """Return the names of all networks that :func:`build` knows."""
    return tuple(NETWORKS)


def describe(name: str) -> str:
    """Return one line about a network."""
    return (inspect.getdoc(_find(name)[0]) or "").splitlines()[0]


def build(
    name: str,
    *,
    num_classes: int = 7,
    input_shape: Sequence[int] = (48, 48, 1),
    seed: int = 0,
    **options: Any,
) -> Network:
    """Build a network of the zoo with new weights on the current backend.

    Parameters
    ----------
    name : str
        One of :func:`names`.
    num_classes : int
        2 or more.
    input_shape : sequence of int
        (H, W, C) of one image.
    seed : int
        Of the initial weights and of the dropout masks, 0 or more.
    **options
        What the network's builder in ``minicnn/zoo`` takes, such as ``dropout``.

    Returns
    -------
    Network
        In training mode. It gives logits.

    Raises
    ------
    OptionError
        The name or an option is unknown, or has a value that is not possible.
    ShapeError
        The images are too small for the network's poolings.
    """
    builder, settings = _find(name)
    shape = _checked_shape(input_shape)
    if not _is_integer(num_classes) or num_classes < 2:
        raise OptionError(f"num_classes: expected an integer of 2 or more, got {num_classes!r}")
    options = _checked_options(name, builder, options)
    streams = Streams(seed)
    layers = Layers(shape, streams["weights"], streams["dropout"], **settings)
    try:
        builder(layers, num_classes, **options)
    except (OptionError, ShapeError) as error:
        raise type(error)(f"model {name}: {error}") from None
    arguments = {"num_classes": num_classes, "input_shape": list(shape), **options}
    return Network(layers.layers, name=name, arguments=arguments, input_shape=shape)


def _find(name: Any) -> tuple[Any, dict[str, Any]]:
    if isinstance(name, str) and name in NETWORKS:
        return NETWORKS[name]
    near = difflib.get_close_matches(str(name), NETWORKS, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise OptionError(f"model: {name!r} is unknown; {hint}choose one of {', '.join(NETWORKS)}")


def _checked_options(name: str, builder: Any, options: dict[str, Any]) -> dict[str, Any]:
    # The options as JSON gives them back, so that a file of weights can hold them.
    known = list(inspect.signature(builder).parameters)[2:]
    for option in options:
        if option not in known:
            listed = f"it takes {', '.join(known)}" if known else "it takes none"
            raise OptionError(f"model {name}: the option {option!r} is unknown; {listed}")
    try:
        return json.loads(json.dumps(options))
    except (TypeError, ValueError):
        raise OptionError(
            f"model {name}: options must be numbers, texts or lists of them, got {options!r}"
        ) from None


def _checked_shape(shape: Any) -> tuple[int, int, int]:
    fits = isinstance(shape, Sequence) and len(shape) == 3
    if not fits or not all(_is_integer(size) and size > 0 for size in shape):
        raise ShapeError(f"input_shape: expected (H, W, C) of one image, got {shape!r}")
    height, width, channels = shape
    return height, width, channels


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
