"""A network of minicnn as plain words and numbers, from which the peers build the same one."""

from __future__ import annotations

from typing import Any

from minicnn import nn
from minicnn.errors import OptionError

__all__ = ["describe"]

POOL = ("kernel_size", "stride", "padding")
ATTRIBUTES: dict[type[nn.Module], tuple[str, ...]] = {
    nn.AvgPool2d: POOL,
    nn.BatchNorm1d: ("num_features", "eps", "momentum"),
    nn.BatchNorm2d: ("num_features", "eps", "momentum"),
    nn.Conv2d: ("in_channels", "out_channels", *POOL),
    nn.Dropout: ("p",),
    nn.Flatten: (),
    nn.GlobalAvgPool2d: (),
    nn.LeakyReLU: ("negative_slope",),
    nn.Linear: ("in_features", "out_features"),
    nn.MaxPool2d: POOL,
    nn.ReLU: (),
}
# What the peers' networks have as a matter of course.
USUAL = {
    "affine": True,
    "count_include_pad": True,
    "dilation": (1, 1),
    "end_dim": -1,
    "groups": 1,
    "start_dim": 1,
    "track_running_stats": True,
}


def describe(model: nn.Sequential) -> list[dict[str, Any]]:
    """Return a dict for each layer: its ``kind``, and the attributes that make it what it is.

    The running variance follows the unbiased one in PyTorch, and the flattened pixels come in
    another order where images are (N, C, H, W): both change neither shapes nor work.

    Parameters
    ----------
    model : Sequential
        Of layers that all peers have; convolutions and dense layers have a bias.

    Returns
    -------
    list of dict
        As JSON can hold it.

    Raises
    ------
    OptionError
        A layer has no counterpart.
    """
    return [_describe(layer) for layer in model]


def _describe(layer: nn.Module) -> dict[str, Any]:
    kind = type(layer)
    if isinstance(layer, nn.Residual) and isinstance(layer.body, nn.Sequential):
        if layer.shortcut is None:
            return {"kind": "Residual", "body": describe(layer.body)}
    unusual = [name for name, value in USUAL.items() if getattr(layer, name, value) != value]
    bias = getattr(layer, "bias", True) is not None
    if kind not in ATTRIBUTES or unusual or not bias:
        raise OptionError(f"translation: the peers have no counterpart of {layer}")
    described = {name: getattr(layer, name) for name in ATTRIBUTES[kind]}
    if "padding" in described:
        described["padding"] = _padding(layer)
    return {"kind": kind.__name__, **described}


def _padding(layer: Any) -> tuple[int, int]:
    # Of height and width, the same on both sides.
    if layer.padding == "valid":
        return 0, 0
    if layer.padding == "same":
        odd = all(size % 2 for size in layer.kernel_size) and set(layer.stride) == {1}
        padding = tuple(size // 2 for size in layer.kernel_size) if odd else None
    else:
        padding = layer.padding if isinstance(layer.padding, tuple) else (layer.padding,) * 2
    if padding is None or not all(isinstance(size, int) for size in padding):
        raise OptionError(f"translation: the peers have no counterpart of {layer}")
    return padding[0], padding[1]
