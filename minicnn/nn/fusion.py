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
from minicnn.nn.module import Module

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
    if len(modules) > 1 and isinstance(first, Conv2d) and _plain(first, Conv2d):
        slope = _slope(modules[1])
        if slope is not None:
            return partial(first.convolve, negative_slope=slope), 2
    return first, 1


def _plain(module: Module, kind: type[Module]) -> bool:
    return (
        type(module).forward is kind.forward
        and "forward" not in vars(module)
        and not module.has_forward_hooks
    )


def _slope(module: Module) -> float | None:
    # Of a rectifier whose output tells the sign of its input.
    if _plain(module, ReLU):
        return 0.0
    if isinstance(module, LeakyReLU) and _plain(module, LeakyReLU):
        return module.negative_slope if 0 <= module.negative_slope <= 1 else None
    return None
