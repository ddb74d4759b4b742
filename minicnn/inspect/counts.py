"""Sizes, parameters and operation counts of convolutions and poolings, from integers alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from minicnn.autograd import Cost, Operation
from minicnn.errors import OptionError, ShapeError
from minicnn.kernels.sizes import conv_output_size, pair
from minicnn.nn.options import divisible, positive
from minicnn.ops.conv_operations import Conv2d
from minicnn.ops.pool import pool_padding

__all__ = [
    "ConvLayer",
    "conv_cost",
    "conv_output_size",
    "conv_parameters",
    "pool_output_size",
    "total_conv_operations",
]


def conv_parameters(
    in_channels: int, out_channels: int, kernel_size: Any, *, groups: int = 1, bias: bool = True
) -> int:
    """Return how many numbers a convolution learns: KH * KW * C / groups * O, and O for the bias.

    Parameters
    ----------
    in_channels, out_channels : int
        C and O.
    kernel_size : int or pair of int
        (KH, KW).
    groups : int
        Must divide both numbers of channels.
    bias : bool

    Returns
    -------
    int

    Raises
    ------
    OptionError
        A value is not an integer of 1 or more, or the channels do not split into the groups.

    Examples
    --------
    >>> conv_parameters(5, 6, 2), conv_parameters(6, 4, 2)  # problem sheet 1
    (126, 100)
    """
    height, width = pair(kernel_size, "kernel_size")
    for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
        divisible(positive(channels, name), positive(groups, "groups"), name, "groups")
    filters = height * width * (in_channels // groups) * out_channels
    return filters + (out_channels if bias else 0)


def conv_cost(
    in_channels: int,
    out_channels: int,
    kernel_size: Any,
    output_size: Any,
    *,
    groups: int = 1,
    bias: bool = False,
) -> Cost:
    """Return the multiplications and additions of a convolution for one image.

    Multiplications: KH * KW * C / groups for each of the O * OH * OW output numbers. Additions: one
    less for each, or as many with a bias. What falls on padding counts like the rest.

    Parameters
    ----------
    in_channels, out_channels : int
        C and O.
    kernel_size : int or pair of int
        (KH, KW).
    output_size : int or pair of int
        (OH, OW), as :func:`conv_output_size` gives it.
    groups : int
        Must divide both numbers of channels.
    bias : bool
        Whether the additions of the bias count; problem sheet 1 leaves them out.

    Returns
    -------
    Cost

    Raises
    ------
    OptionError
        As for :func:`conv_parameters`.

    Examples
    --------
    >>> conv_cost(5, 6, 2, 3)  # problem sheet 1
    Cost(multiplications=1080, additions=1026, comparisons=0, functions=0)
    """
    conv_parameters(in_channels, out_channels, kernel_size, groups=groups)  # for its checks
    kernel = pair(kernel_size, "kernel_size")
    # The image on which the window has that many positions, one pixel apart.
    size = [n + k - 1 for n, k in zip(pair(output_size, "output_size"), kernel, strict=True)]
    operation: type[Operation] = Conv2d
    return operation.cost(
        (1, *size, in_channels),
        (*kernel, in_channels // groups, out_channels),
        (out_channels,) if bias else None,
        stride=(1, 1),
        padding=((0, 0), (0, 0)),
        dilation=(1, 1),
        groups=groups,
    )


def pool_output_size(
    size: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1
) -> Any:
    """Return the output size of a pooling: that of a convolution, but for the default stride.

    Parameters
    ----------
    size : int or pair of int
        Size of the image along one axis, or (height, width).
    kernel_size, dilation : int or pair of int
        Each axis has its own; a single number holds for both.
    stride : int or pair of int, optional
        The kernel size by default.
    padding : int, pair of int, pair of pairs, or {"same", "valid"}
        At most half of the kernel.

    Returns
    -------
    int or pair of int
        Like ``size``.

    Raises
    ------
    ShapeError
        The window is larger than the padded image.
    OptionError
        A value is not an integer or is too small, or the padding too large.
    """
    sizes, kernel = pair(size, "size", least=0), pair(kernel_size, "kernel_size")
    stride = kernel if stride is None else pair(stride, "stride")
    pads = pool_padding(padding, sizes, kernel, stride, pair(dilation, "dilation"))
    return conv_output_size(size, kernel, stride, pads, dilation)


class ConvLayer(NamedTuple):
    """The integers of one convolution layer in :func:`total_conv_operations`.

    Attributes
    ----------
    kernel_size : int or pair of int
        K.
    out_channels : int
        Number of filters.
    stride : int or pair of int
        S.
    padding : int, pair of int, pair of pairs, or {"same", "valid"}
        P.
    """

    kernel_size: Any
    out_channels: int
    stride: Any = 1
    padding: Any = 0


def total_conv_operations(
    input_size: Any, in_channels: int, layers: Iterable[ConvLayer | tuple]
) -> int:
    """Return the operations of a chain of convolutions without bias for one image.

    For square images it is the sum over the layers of (2 C K^2 - 1) C' N^2, with C channels before
    and C' after a layer and its output width N = floor((N_before + 2 P - K) / S) + 1. Source:
    problem sheet 1.

    Parameters
    ----------
    input_size : int or pair of int
        Of the image: its width if it is square, or (height, width).
    in_channels : int
        Of the image.
    layers : iterable of ConvLayer
        Or of tuples with the same values.

    Returns
    -------
    int
        Multiplications and additions together.

    Raises
    ------
    ShapeError
        A kernel is larger than what reaches it; the message names the layer, the first being 1.
    OptionError
        A value is not an integer or is too small.

    Examples
    --------
    >>> total_conv_operations(8, 5, [ConvLayer(2, 6, stride=3), ConvLayer(2, 4, stride=3)])
    2294
    """
    total, size, channels = 0, pair(input_size, "input_size"), in_channels
    for number, values in enumerate(layers, 1):
        try:
            layer = ConvLayer(*values)
            size = conv_output_size(size, layer.kernel_size, layer.stride, layer.padding)
            cost = conv_cost(channels, layer.out_channels, layer.kernel_size, size)
        except (ShapeError, OptionError) as error:
            raise type(error)(f"layer {number}: {error}") from None
        except TypeError:
            raise OptionError(
                f"layer {number}: expected a ConvLayer or a tuple (kernel_size, out_channels, "
                f"stride, padding), got {values!r}"
            ) from None
        total, channels = total + cost.flops, layer.out_channels
    return total
