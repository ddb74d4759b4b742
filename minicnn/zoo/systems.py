"""The networks of the five systems, A to E, and their dense counterparts.

Each builder fills a :class:`Layers`, and its keyword arguments are the options of
:func:`minicnn.zoo.build`: what a system leaves unstated, or what one may want to try. All systems
but E were Keras models: Glorot-uniform weights, zero biases, and batch normalisation with momentum
0.99 (0.01 in PyTorch's sense), epsilon 0.001 and the biased variance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minicnn.errors import OptionError
from minicnn.zoo.network import Layers

__all__ = ["SYSTEMS"]


def deep_vgg(
    layers: Layers,
    num_classes: int,
    *,
    conv_dropout: Sequence[float] = (0.25, 0.3, 0.4, 0.5),
    dense_dropout: float = 0.5,
) -> None:
    """System A: twelve convolutions in four blocks, two dense layers, LeakyReLU 0.5, no norm.

    The dropout after the blocks rises from 0.25 to 0.5; the two values between are unstated, and so
    is the padding: 'same'.
    """
    rates = _for_each_block("conv_dropout", conv_dropout, 4)
    blocks = (
        ((64, 64), (5, 3)),
        ((128,) * 4, (3,) * 4),
        ((256,) * 4, (3,) * 4),
        ((512,) * 2, (3,) * 2),
    )
    for block, (channels, kernels) in enumerate(blocks, 1):
        _convolutions(layers, block, channels, kernels)
        layers.pool(f"pool{block}")
        layers.dropout(f"dropout{block}", rates[block - 1])
    _dense_dropout(layers, (512, 512), dense_dropout)
    layers.dense("logits", num_classes)


def avgpool_cnn(
    layers: Layers,
    num_classes: int,
    *,
    paddings: Sequence[str] = ("same", "same", "same", "valid"),
    conv_dropout: Sequence[float] = (0.1, 0.2, 0.3, 0.4),
    dense_dropout: float = 0.3,
) -> None:
    """System B: four convolutions with average pooling and batch norm, three dense layers.

    The padding is unstated; 'valid' in the last convolution alone leaves 2x2x256 to flatten, which
    gives about the reported number of parameters (2,104,455), where 'same' throughout gives 3.4 M.
    The slope of LeakyReLU (Keras's 0.3) and the dropout of the dense layers are unstated. With
    three times 0.5 the network learns next to nothing in its first epochs; it is 0.3 here.
    """
    paddings = _for_each_block("paddings", paddings, 4)
    rates = _for_each_block("conv_dropout", conv_dropout, 4)
    for block, channels in enumerate((32, 64, 128, 256), 1):
        layers.conv(f"conv{block}", channels, 3, paddings[block - 1])
        layers.activation(f"relu{block}")
        layers.norm(f"norm{block}")
        layers.pool(f"pool{block}", "average")
        layers.dropout(f"dropout{block}", rates[block - 1])
    _dense_dropout(layers, (1024, 512, 256), dense_dropout, norm=True)
    layers.dense("logits", num_classes)


def avgpool_dnn(layers: Layers, num_classes: int, *, dropout: float = 0.3) -> None:
    """System B's dense network of about equal size, 2304 -> 820 -> 256 -> 7, with batch norm.

    The dropout and the slope of LeakyReLU (Keras's 0.3) are unstated.
    """
    _dense_dropout(layers, (820, 256), dropout, norm=True)
    layers.dense("logits", num_classes)


def wide_cnn(layers: Layers, num_classes: int, *, dropout: float = 0.5) -> None:
    """System C: six 5x5 convolutions in four blocks, up to 1024 filters wide, two dense layers.

    13,562,119 parameters. The layout is one that has exactly this number of them; the activation is
    unstated: ReLU. Dropout is on the dense layers only.
    """
    for block, channels in enumerate(((64,), (64, 64), (256, 256), (1024,)), 1):
        _convolutions(layers, block, channels, (5,) * len(channels))
        layers.pool(f"pool{block}")
    _dense_dropout(layers, (512, 64), dropout)
    layers.dense("logits", num_classes)


def plain_dnn(layers: Layers, num_classes: int, *, dropout: float = 0.5) -> None:
    """System C's dense network, 2304 -> 600 -> 7.

    1,387,207 parameters. The activation is unstated: ReLU.
    """
    _dense_dropout(layers, (600,), dropout)
    layers.dense("logits", num_classes)


def vgg16_bn(layers: Layers, num_classes: int, *, dropout: float = 0.5) -> None:
    """System D: VGG16 with batch norm after LeakyReLU, and dense layers of 4096, 4096 and 1000.

    37,716,999 parameters with the moving statistics. The slope (Keras's 0.3) and the dropout are
    unstated.
    """
    blocks = ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3)
    for block, channels in enumerate(blocks, 1):
        _convolutions(layers, block, channels, (3,) * len(channels), norm=True)
        layers.pool(f"pool{block}")
    _dense_dropout(layers, (4096, 4096, 1000), dropout)
    layers.dense("logits", num_classes)


def deep_dnn(layers: Layers, num_classes: int) -> None:
    """System D's dense network of 21 layers, six of 2000, twelve of 1000, 512, 128 and 7.

    38,211,079 parameters. The activation is unstated: LeakyReLU 0.3 as in its CNN.
    """
    for number, width in enumerate((2000,) * 6 + (1000,) * 12 + (512, 128), 1):
        layers.dense(f"dense{number}", width)
        layers.activation(f"relu_dense{number}")
    layers.dense("logits", num_classes)


def three_stage_cnn(layers: Layers, num_classes: int, *, dropout: float = 0.1) -> None:
    """System E: three stages of three convolutions with batch norm, LeakyReLU 0.05.

    15,140,551 learned parameters; PyTorch's initial values and batch norm.
    """
    for block, (channels, kernel) in enumerate(((32, 5), (128, 3), (512, 3)), 1):
        _convolutions(layers, block, (channels,) * 3, (kernel,) * 3, norm=True)
        layers.pool(f"pool{block}")
        if block < 3:
            layers.dropout(f"dropout{block}", dropout)
    layers.dense("dense1", 512)
    layers.activation("relu_dense1", slope=0.0)
    layers.norm("norm_dense1")
    layers.dense("logits", num_classes)


def small_cnn(layers: Layers, num_classes: int) -> None:
    """System E's small network for pictures: 3x3 convolutions of 64, 128 and 512 filters.

    Only the three widths are stated; the rest is as in the stages of the large one.
    """
    for block, channels in enumerate((64, 128, 512), 1):
        _convolutions(layers, block, (channels,), (3,), norm=True)
        layers.pool(f"pool{block}")
    layers.dense("logits", num_classes)


def _convolutions(
    layers: Layers,
    block: int,
    channels: Sequence[int],
    kernels: Sequence[int],
    *,
    norm: bool = False,
) -> None:
    # So many times: conv1_1, relu1_1 and perhaps norm1_1, conv1_2, ...
    for number, (width, kernel) in enumerate(zip(channels, kernels, strict=True), 1):
        layers.conv(f"conv{block}_{number}", width, kernel)
        layers.activation(f"relu{block}_{number}")
        if norm:
            layers.norm(f"norm{block}_{number}")


def _dense_dropout(
    layers: Layers, widths: Sequence[int], dropout: float, *, norm: bool = False
) -> None:
    # So many times: dense1, relu_dense1, perhaps norm_dense1, dropout_dense1, dense2, ...
    for number, width in enumerate(widths, 1):
        layers.dense(f"dense{number}", width)
        layers.activation(f"relu_dense{number}")
        if norm:
            layers.norm(f"norm_dense{number}")
        layers.dropout(f"dropout_dense{number}", dropout)


def _for_each_block(option: str, values: Any, blocks: int) -> Sequence[Any]:
    if isinstance(values, str) or not isinstance(values, Sequence) or len(values) != blocks:
        raise OptionError(f"{option}: expected {blocks} values, one for each block, got {values!r}")
    return values


KERAS: dict[str, Any] = {
    "initializer": "glorot_uniform",
    "slope": 0.3,
    "batch_norm": {"momentum": 0.01, "eps": 1e-3, "unbiased_running": False},
}
TORCH: dict[str, Any] = {"slope": 0.05}

# Name: the builder, and the settings of its Layers.
SYSTEMS: dict[str, tuple[Callable[..., None], dict[str, Any]]] = {
    "deep_vgg": (deep_vgg, {**KERAS, "slope": 0.5}),
    "avgpool_cnn": (avgpool_cnn, KERAS),
    "avgpool_dnn": (avgpool_dnn, KERAS),
    "wide_cnn": (wide_cnn, {**KERAS, "slope": 0.0}),
    "plain_dnn": (plain_dnn, {**KERAS, "slope": 0.0}),
    "vgg16_bn": (vgg16_bn, KERAS),
    "deep_dnn": (deep_dnn, KERAS),
    "three_stage_cnn": (three_stage_cnn, TORCH),
    "small_cnn": (small_cnn, TORCH),
}
