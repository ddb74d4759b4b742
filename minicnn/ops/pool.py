"""Max, average, adaptive and global pooling: what one calls, with its options checked."""

from __future__ import annotations

from typing import Any

from minicnn import backend
from minicnn.autograd import Tensor
from minicnn.errors import OptionError, ShapeError
from minicnn.kernels.sizes import Padding, Pair, pad_pairs, pair
from minicnn.ops.arguments import refuse_integers, shape_of
from minicnn.ops.linalg import matmul
from minicnn.ops.pool_operations import AvgPool2d, MaxPool2d
from minicnn.ops.reduce import max as largest
from minicnn.ops.reduce import mean
from minicnn.ops.shape import reshape

__all__ = [
    "adaptive_avg_pool2d",
    "avg_pool2d",
    "global_avg_pool2d",
    "global_max_pool2d",
    "max_pool2d",
    "pool_padding",
]


def pool_padding(padding: Any, size: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> Padding:
    """Make any way to say a pooling's padding into pairs, and refuse windows outside the image."""
    pads = pad_pairs(padding, size, kernel, stride, dilation)
    for k, d, (before, after) in zip(kernel, dilation, pads, strict=True):
        if 2 * max(before, after) > d * (k - 1) + 1:
            raise OptionError(
                f"padding: {padding!r} is more than half of the kernel {kernel}, so that windows "
                "would lie outside the image; use less padding or a larger kernel"
            )
    return pads


def _images(x: Any, name: str) -> tuple[int, ...]:
    # The shape of images; anything else is refused in the name of a pooling.
    shape = shape_of(x, name)
    if len(shape) != 4:
        raise ShapeError(f"{name}: expected images of shape (N, H, W, C), got {shape}")
    return shape


def _geometry(
    x: Any, name: str, kernel_size: Any, stride: Any, padding: Any, dilation: Any = 1
) -> dict[str, Any]:
    _, height, width, _ = _images(x, name)
    kernel = pair(kernel_size, "kernel_size")
    stride = kernel if stride is None else pair(stride, "stride")
    dilation = pair(dilation, "dilation")
    pads = pool_padding(padding, (height, width), kernel, stride, dilation)
    return {"kernel": kernel, "stride": stride, "padding": pads, "dilation": dilation}


def max_pool2d(
    x: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1
) -> Tensor:
    """Take the maximum of each window.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
    kernel_size, dilation : int or pair of int
    stride : int or pair of int, optional
        The kernel size by default.
    padding : int, pair of int, pair of pairs, or {"same", "valid"}
        Filled with minus infinity; at most half of the kernel.

    Returns
    -------
    Tensor of shape (N, OH, OW, C)
        The gradient goes to the first pixel, row by row, that holds the maximum.

    Raises
    ------
    ShapeError
        A window is larger than the padded images, or sees nothing but padding.
    OptionError
        An option is out of range.
    """
    return MaxPool2d.apply(x, **_geometry(x, "max_pool2d", kernel_size, stride, padding, dilation))


def avg_pool2d(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    count_include_pad: bool = True,
) -> Tensor:
    """Take the mean of each window.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
    kernel_size : int or pair of int
    stride : int or pair of int, optional
        The kernel size by default.
    padding : int, pair of int, pair of pairs, or {"same", "valid"}
        Filled with zeros; at most half of the kernel.
    count_include_pad : bool
        Whether the padding counts in the number to divide by (as in PyTorch; Keras leaves it out).

    Returns
    -------
    Tensor of shape (N, OH, OW, C)

    Raises
    ------
    ShapeError
        A window is larger than the padded images.
    OptionError
        An option is out of range.
    DTypeError
        The images are of integers.
    """
    geometry = _geometry(x, "avg_pool2d", kernel_size, stride, padding)
    del geometry["dilation"]
    return AvgPool2d.apply(x, include_pad=bool(count_include_pad), **geometry)


def adaptive_avg_pool2d(x: Tensor, output_size: Any) -> Tensor:
    """Take means of windows that are laid out to give a wanted output size.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
    output_size : int or pair of int
        Window i of n covers the rows floor(i H / n) to ceil((i + 1) H / n), as in PyTorch.

    Returns
    -------
    Tensor of shape (N, OH, OW, C)

    Raises
    ------
    ShapeError
        The input is no batch of images, or they are empty.
    DTypeError
        The images are of integers.
    """
    output = pair(output_size, "output_size")
    n, h, w, c = _images(x, "adaptive_avg_pool2d")
    if not (h and w):
        raise ShapeError(f"adaptive_avg_pool2d: the images {x.shape} are empty")
    refuse_integers(x, "adaptive_avg_pool2d")
    if h % output[0] == 0 and w % output[1] == 0:
        return avg_pool2d(x, (h // output[0], w // output[1]))
    # The mean over a rectangle is the mean over its rows of the means over its columns.
    rows = matmul(_averages(x, h, output[0]), reshape(x, (n, h, w * c)))
    columns = matmul(_averages(x, w, output[1]), reshape(rows, (n * output[0], w, c)))
    return reshape(columns, (n, *output, c))


def _averages(x: Any, size: int, output: int) -> Any:
    # The matrix (output, size) that averages along one axis, made where the images are.
    xp = backend.xp(x.data if isinstance(x, Tensor) else x)
    start = xp.arange(output) * size // output
    stop = -(-(xp.arange(output) + 1) * size // output)
    places = xp.arange(size)
    inside = (places >= start[:, None]) & (places < stop[:, None])
    return inside.astype(x.dtype) / (stop - start)[:, None].astype(x.dtype)


def global_avg_pool2d(x: Tensor) -> Tensor:
    """Take the mean of each channel's whole picture: (N, H, W, C) to (N, C)."""
    _images(x, "global_avg_pool2d")
    return mean(x, axis=(1, 2))


def global_max_pool2d(x: Tensor) -> Tensor:
    """Take the maximum of each channel's whole picture: (N, H, W, C) to (N, C).

    Pixels that are equally large share the gradient.
    """
    _images(x, "global_max_pool2d")
    return largest(x, axis=(1, 2))
