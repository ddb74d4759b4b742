"""PyTorch's image operations on our layouts, and a comparison of values and gradients with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minicnn


def channels_first(x: Any) -> Any:
    """Turn (N, ..., C) into (N, C, ...)."""
    return x.movedim(-1, 1).contiguous()


def channels_last(x: Any) -> Any:
    """Turn (N, C, ...) into (N, ..., C)."""
    return x.movedim(1, -1)


def filters_first(w: Any) -> Any:
    """Turn filters (KH, KW, C, O) into (O, C, KH, KW)."""
    return w.permute(3, 2, 0, 1).contiguous()


def framed(
    x: Any, padding: Any, value: float = 0, most: tuple[int, int] = (99, 99)
) -> tuple[Any, Any]:
    """Return images (N, C, H, W) and what padding is left for PyTorch's own argument.

    PyTorch pads both sides alike, and for poolings at most so much; any other padding is put
    around the images here.
    """
    from torch.nn.functional import pad

    (top, bottom), (left, right) = padding
    if top == bottom <= most[0] and left == right <= most[1]:
        return x, (top, left)
    return pad(x, (left, right, top, bottom), value=value), (0, 0)


def conv2d(x, w, b=None, *, stride, padding, dilation, groups):
    """Convolve images (N, H, W, C) with filters (KH, KW, C/groups, O)."""
    from torch.nn.functional import conv2d

    x, padding = framed(channels_first(x), padding)
    return channels_last(conv2d(x, filters_first(w), b, stride, padding, dilation, groups))


def conv_transpose2d(x, w, b=None, *, stride, padding, output_padding, dilation, groups):
    """Convolve images (N, H, W, C) transposedly with filters (KH, KW, O/groups, C)."""
    from torch.nn.functional import conv_transpose2d

    (top, bottom), (left, right) = padding
    alike = top == bottom and left == right
    y = conv_transpose2d(
        channels_first(x),
        filters_first(w),
        b,
        stride,
        (top, left) if alike else 0,
        output_padding,
        groups,
        dilation,
    )
    if not alike:
        y = y[:, :, top : y.shape[2] - bottom, left : y.shape[3] - right]
    return channels_last(y)


def max_pool2d(x, *, kernel_size, stride, padding, dilation):
    """Pool images (N, H, W, C)."""
    from torch.nn.functional import max_pool2d

    height, width = kernel_size
    most = height // 2, width // 2  # not counting the dilation
    x, padding = framed(channels_first(x), padding, -float("inf"), most)
    return channels_last(max_pool2d(x, kernel_size, stride, padding, dilation))


def avg_pool2d(x, *, kernel_size, stride, padding, count_include_pad):
    """Average images (N, H, W, C) over windows."""
    from torch.nn.functional import avg_pool2d

    images, rest = framed(channels_first(x), padding)
    y = avg_pool2d(images, kernel_size, stride, rest, count_include_pad=count_include_pad)
    if images.shape[2:] != x.shape[1:3] and not count_include_pad:
        ones, _ = framed(channels_first(x.detach() * 0 + 1), padding)
        y = y / avg_pool2d(ones, kernel_size, stride)
    return channels_last(y)


def adaptive_avg_pool2d(x, *, output_size):
    """Average images (N, H, W, C) over as many windows as are wanted."""
    from torch.nn.functional import adaptive_avg_pool2d

    return channels_last(adaptive_avg_pool2d(channels_first(x), output_size))


def batch_norm(x, weight, bias, *, training, eps):
    """Normalise the channels of images (N, H, W, C) over the batch."""
    from torch.nn.functional import batch_norm

    y = batch_norm(channels_first(x), None, None, weight, bias, training=training, eps=eps)
    return channels_last(y)


def layer_norm(x, weight, bias, *, normalized_shape):
    """Normalise each sample over the last axes."""
    from torch.nn.functional import layer_norm

    return layer_norm(x, normalized_shape, weight, bias)


def group_norm(x, weight, bias, *, num_groups, eps):
    """Normalise groups of channels of each image (N, H, W, C)."""
    from torch.nn.functional import group_norm

    return channels_last(group_norm(channels_first(x), num_groups, weight, bias, eps))


def compare(
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    arrays: list[np.ndarray | None],
    options: dict[str, Any],
    *,
    tolerance: float = 1e-10,
) -> None:
    """Compare two functions' values, and the gradients of all arrays for a random one of theirs.

    Parameters
    ----------
    ours, theirs : callable
        Take the arrays as tensors of their library (None stays), and the options.
    arrays : list of float arrays or None
    options : dict
    tolerance : float
        Largest difference, relative to the largest number of an array or to 1.
    """
    import torch

    mine = [None if a is None else minicnn.tensor(a, requires_grad=True) for a in arrays]
    others = [None if a is None else torch.tensor(a, requires_grad=True) for a in arrays]
    y, expected = ours(*mine, **options), theirs(*others, **options)
    near(y.numpy(), expected.detach().numpy(), tolerance)
    gy = np.random.default_rng(9).uniform(-1, 1, y.shape)
    y.backward(minicnn.tensor(gy))
    expected.backward(torch.tensor(gy))
    for one, other in zip(mine, others, strict=True):
        if one is not None:
            near(one.grad.numpy(), other.grad.numpy(), tolerance)


def near(found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    """Compare with a tolerance relative to the largest number that is expected, or to 1."""
    limit = tolerance * max(1.0, np.abs(expected).max(initial=0.0))
    np.testing.assert_allclose(found, expected, rtol=0, atol=limit)
