"""Which neighbours in a Sequential are computed by one operation, in fewer passes over memory.

The numbers are the same up to rounding. A module with a hook, or whose ``forward`` is not its
class's own, is left alone: something wants to see what goes in or comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from minicnn.nn.activation import LeakyReLU, ReLU
from minicnn.nn.conv import Conv2d
from minicnn.nn.dropout import Dropout
from minicnn.nn.linear import Linear
from minicnn.nn.module import Module
from minicnn.nn.norm import BatchNorm2d
from minicnn.nn.pool import AvgPool2d, MaxPool2d
from minicnn.ops.halve import halve

__all__ = ["fuse"]


def fuse(modules: Sequence[Module]) -> tuple[Callable[[Any], Any], int]:
    """Return a function for the first of the modules, or for more of them, and for how many.

    Parameters
    ----------
    modules : sequence of Module
        At least one.

    Returns
    -------
    function : callable
        From the input of the first module to the output of the last one that it stands for.
    count : int
    """
    first = modules[0]
    second = modules[1] if len(modules) > 1 else None
    slope = _slope(second)
    for kind in (Conv2d, Linear):
        if isinstance(first, kind) and _plain(first, kind) and slope is not None:
            return partial(first.rectified, negative_slope=slope), 2
    if isinstance(first, BatchNorm2d) and _plain(first, BatchNorm2d) and len(modules) > 1:
        options, count = _halving(modules[1:])
        if count:
            return partial(first.normalise_and_halve, **options), 1 + count
    elif isinstance(first, (MaxPool2d, AvgPool2d)):
        options, count = _halving(modules)
        if count:
            return partial(halve, **options), count
    return first, 1


def _halving(modules: Sequence[Module]) -> tuple[dict[str, Any], int]:
    # The options of a pooling in windows of 2 x 2, and of dropout behind it, and their number.
    first = modules[0]
    for kind in (MaxPool2d, AvgPool2d):
        if isinstance(first, kind) and _plain(first, kind):
            break
    else:
        return {}, 0
    window = (first.kernel_size, first.stride, first.padding)
    if window != ((2, 2), (2, 2), (0, 0)) or getattr(first, "dilation", (1, 1)) != (1, 1):
        return {}, 0
    options: dict[str, Any] = {"largest": isinstance(first, MaxPool2d)}
    second = modules[1] if len(modules) > 1 else None
    if isinstance(second, Dropout) and _plain(second, Dropout) and second.p < 1:
        if second.training:
            options |= {"p": second.p, "rng": second.rng}
        return options, 2
    return options, 1


def _plain(module: Module, kind: type[Module]) -> bool:
    return (
        type(module).__call__ is Module.__call__
        and type(module).forward is kind.forward
        and "forward" not in vars(module)
        and not module.has_forward_hooks
    )


def _slope(module: Module | None) -> float | None:
    # Of a rectifier whose output tells the sign of its input.
    if isinstance(module, ReLU) and _plain(module, ReLU):
        return 0.0
    if isinstance(module, LeakyReLU) and _plain(module, LeakyReLU):
        return module.negative_slope if 0 <= module.negative_slope <= 1 else None
    return None
