"""Dropout of elements and of whole channels, with masks computed from a seed on the device."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn.autograd import Cost, ErrorSample, Operation, Sample, Tensor
from minicnn.errors import DTypeError, OptionError, ShapeError
from minicnn.kernels.random import drop, hash_number, keep_mask, keys_of, masked
from minicnn.ops.arguments import check_axes, refuse_integers, shape_of

__all__ = ["dropout", "dropout2d"]


class Dropout(Operation, name="dropout"):
    """x / (1 - p) where a mask keeps it, 0 elsewhere; the gradient is the same operation on gy.

    Elements that differ only in their place along the axes ``shared`` are kept or dropped together.
    The mask is a function of the seed: a backward pass that is itself recorded computes it anew,
    and the usual one uses the mask kept from the forward pass, a byte an element, in a third of the
    time.
    """

    samples = (
        Sample(((4, 5),), p=0.5, seed=(1, 2), shared=()),
        Sample(((2, 3, 2, 3),), p=0.25, seed=(2**32 - 1, 7), shared=(1, 2)),
        Sample(((3, 3),), p=1.0, seed=(0, 0), shared=()),
    )
    errors = (
        ErrorSample(((2, 3),), p=0.5, seed=(1, 2), shared=(2,), match="out of range"),
        ErrorSample(
            ((2, 3),),
            p=0.5,
            seed=(1, 2),
            shared=(),
            integers={0: 5},
            error=DTypeError,
            match="astype",
        ),
    )

    @classmethod
    def check(cls, arrays: list, options: dict) -> None:
        """Refuse integers, which 1 / (1 - p) would widen."""
        refuse_integers(arrays[0], cls.name)
        super().check(arrays, options)

    def shape(x, *, p, seed, shared):
        check_axes(shared, len(x))
        return x

    def cost(x, *, p, seed, shared):
        return Cost(multiplications=math.prod(x) if p < 1 else 0)

    def reference(x, *, p, seed, shared):
        y = np.zeros(x.shape)
        shape = _mask_shape(x.shape, shared)
        start, key = keys_of(seed)
        for index in np.ndindex(*x.shape):
            place = tuple(0 if axis in shared else i for axis, i in enumerate(index))
            number = int(np.ravel_multi_index(place, shape))
            if hash_number((start + number) % 2**32, key) < round((1 - p) * 2**32):
                y[index] = x[index] / (1 - p)
        return y

    def forward(ctx, x, *, p, seed, shared):
        if shared:
            mask = keep_mask(x, _mask_shape(x.shape, shared), 1 - p, seed)
            y = masked(x, mask, p)
        else:
            y, mask = drop(x, p, seed)
        ctx.save(mask)
        return y

    def backward(ctx, gy):
        return Dropout.apply(gy, **ctx.options)

    def backward_kernel(ctx, gy):
        (mask,) = ctx.saved_arrays
        return masked(gy, mask, ctx.options["p"])


def _mask_shape(x: tuple[int, ...], shared: tuple[int, ...]) -> tuple[int, ...]:
    return tuple([1 if axis in shared else size for axis, size in enumerate(x)])


def dropout(x: Any, p: float = 0.5, *, training: bool = True, rng: np.random.Generator) -> Tensor:
    """Set elements to zero at random, and divide the others by 1 - p.

    Only a seed of 64 bits is drawn on the host; the mask is computed from it where the tensor is,
    with the same bits on both backends.

    Parameters
    ----------
    x : Tensor
    p : float
        Probability that an element is set to zero, 0 to 1.
    training : bool
        Where it is False, `x` itself is returned.
    rng : numpy.random.Generator
        Nothing is drawn from it in evaluation or with p = 0.

    Returns
    -------
    Tensor of the same shape

    Raises
    ------
    OptionError
        `p` is not between 0 and 1.

    References
    ----------
    Srivastava et al.: Dropout: A Simple Way to Prevent Neural Networks from Overfitting, 2014.
    """
    return _dropout("dropout", x, p, (), training, rng)


def dropout2d(x: Any, p: float = 0.5, *, training: bool = True, rng: np.random.Generator) -> Tensor:
    """Set whole channels of images to zero at random, and divide the others by 1 - p.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
    p, training, rng
        As for :func:`dropout`; each channel of each image is drawn for itself.

    Returns
    -------
    Tensor of the same shape

    Raises
    ------
    OptionError
        `p` is not between 0 and 1.
    ShapeError
        `x` is not (N, H, W, C).

    References
    ----------
    Tompson et al.: Efficient Object Localization Using Convolutional Networks, 2015 (as "spatial
    dropout"), https://arxiv.org/abs/1411.4280
    """
    shape = shape_of(x, "dropout2d")
    if len(shape) != 4:
        raise ShapeError(f"dropout2d: expected images of shape (N, H, W, C), got {shape}")
    return _dropout("dropout2d", x, p, (1, 2), training, rng)


def _dropout(
    name: str,
    x: Any,
    p: float,
    shared: tuple[int, ...],
    training: bool,
    rng: np.random.Generator,
) -> Tensor:
    if not 0 <= p <= 1:
        raise OptionError(f"{name}: the probability p must be between 0 and 1, got {p}")
    if not training or p == 0:
        return x if isinstance(x, Tensor) else Tensor(x)
    return Dropout.apply(x, p=float(p), seed=draw_seed(name, rng), shared=shared)


def draw_seed(name: str, rng: np.random.Generator | None) -> tuple[int, int]:
    """Draw the seed of a mask, for an operation of that name."""
    if not isinstance(rng, np.random.Generator):
        raise OptionError(
            f"{name}: rng must be a numpy.random.Generator, got {type(rng).__name__}; "
            "make one with numpy.random.default_rng(seed)"
        )
    first, second = rng.integers(0, 2**32, size=2).tolist()
    return first, second
