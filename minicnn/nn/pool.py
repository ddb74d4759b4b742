"""Pooling layers, which hold no parameters."""

from __future__ import annotations

from typing import Any

from minicnn.autograd import Tensor
from minicnn.kernels.sizes import Pair, pair
from minicnn.nn.module import Module
from minicnn.nn.options import shortest_padding
from minicnn.ops import pool

__all__ = [
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "GlobalAvgPool2d",
    "GlobalMaxPool2d",
    "MaxPool2d",
]


class _Windows(Module):
    """A pooling over windows of a size, a stride and a padding."""

    def _set_up(self, kernel_size: Any, stride: Any, padding: Any, dilation: Pair) -> None:
        self.kernel_size = pair(kernel_size, "kernel_size")
        self.stride = self.kernel_size if stride is None else pair(stride, "stride")
        pads = pool.pool_padding(padding, (1, 1), self.kernel_size, self.stride, dilation)
        self.padding = shortest_padding(padding, pads)


class MaxPool2d(_Windows):
    """The maximum of each window.

    Parameters
    ----------
    kernel_size, dilation : int or pair of int
        Along the height and the width.
    stride : int or pair of int, optional
        The kernel size by default.
    padding : int, pair of int, pair of pairs, or {"same", "valid"}
        Filled with minus infinity; at most half of the kernel.
    """

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1
    ) -> None:
        self.dilation = pair(dilation, "dilation")
        self._set_up(kernel_size, stride, padding, self.dilation)

    def forward(self, x: Any) -> Tensor:
        """Map images (N, H, W, C) to (N, OH, OW, C)."""
        return pool.max_pool2d(x, self.kernel_size, self.stride, self.padding, self.dilation)


class AvgPool2d(_Windows):
    """The mean of each window.

    Parameters
    ----------
    kernel_size : int or pair of int
        Along the height and the width.
    stride : int or pair of int, optional
        The kernel size by default.
    padding : int, pair of int, pair of pairs, or {"same", "valid"}
        Filled with zeros; at most half of the kernel.
    count_include_pad : bool
        Whether the padding counts in the number to divide by, as in PyTorch. Keras leaves it out.
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        *,
        count_include_pad: bool = True,
    ) -> None:
        self._set_up(kernel_size, stride, padding, (1, 1))
        self.count_include_pad = count_include_pad

    def forward(self, x: Any) -> Tensor:
        """Map images (N, H, W, C) to (N, OH, OW, C)."""
        return pool.avg_pool2d(
            x, self.kernel_size, self.stride, self.padding, self.count_include_pad
        )


class AdaptiveAvgPool2d(Module):
    """Means of windows that are laid out to give an output of a wanted size.

    Parameters
    ----------
    output_size : int or pair of int
        Height and width.
    """

    def __init__(self, output_size: Any) -> None:
        self.output_size = pair(output_size, "output_size")

    def forward(self, x: Any) -> Tensor:
        """Map images (N, H, W, C) to (N, OH, OW, C)."""
        return pool.adaptive_avg_pool2d(x, self.output_size)


class GlobalAvgPool2d(Module):
    """The mean of each channel over the whole image."""

    def forward(self, x: Any) -> Tensor:
        """Map images (N, H, W, C) to (N, C)."""
        return pool.global_avg_pool2d(x)


class GlobalMaxPool2d(Module):
    """The maximum of each channel over the whole image."""

    def forward(self, x: Any) -> Tensor:
        """Map images (N, H, W, C) to (N, C)."""
        return pool.global_max_pool2d(x)
