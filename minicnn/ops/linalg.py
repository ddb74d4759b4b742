"""Matrix products: matmul with NumPy's rules, and the linear map of dense layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn.autograd import Cost, Deferred, ErrorSample, Operation, Sample, Tensor
from minicnn.errors import ShapeError
from minicnn.kernels.activation import leaky_relu_gradient, rectify
from minicnn.kernels.blocks import for_blocks
from minicnn.kernels.matmul import Product, deferrable
from minicnn.kernels.matmul import matmul as product
from minicnn.kernels.norm import channel_sums
from minicnn.ops.broadcast import sum_to
from minicnn.ops.rectifier import rectifier_cost, rectifier_gradient, rectifier_option
from minicnn.ops.reduce import sum as sum_along
from minicnn.ops.shape import permute, reshape

__all__ = ["linear", "matmul"]


def _as_matrices(
    x: tuple[int, ...], y: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    # The shapes of both as matrices, a vector being a row or a column, and of the product.
    if not (isinstance(x, tuple) and isinstance(y, tuple) and x and y):
        raise ShapeError(f"shapes {x} and {y}: both need at least one axis; use * for numbers")
    first = x if len(x) > 1 else (1, *x)
    second = y if len(y) > 1 else (*y, 1)
    if first[-1] != second[-2]:
        raise ShapeError(
            f"shapes {x} and {y}: rows of {first[-1]} meet columns of {second[-2]}, "
            "which must be equal"
        )
    try:
        stack = np.broadcast_shapes(first[:-2], second[:-2])
    except ValueError:
        raise ShapeError(
            f"shapes {x} and {y}: the axes before the last two do not broadcast"
        ) from None
    return first, second, (*stack, first[-2], second[-1])


def _swap(x: Tensor) -> Tensor:
    order = range(x.ndim)
    return permute(x, (*order[:-2], x.ndim - 1, x.ndim - 2))


class MatMul(Operation, name="matmul"):
    """The matrix product of the last two axes; axes before them broadcast."""

    samples = (
        Sample(((2, 3), (3, 4))),
        Sample(((3,), (3,))),
        Sample(((2, 3), (3,))),
        Sample(((3,), (3, 2))),
        Sample(((2, 2, 3), (3, 2))),
        Sample(((2, 3), (2, 3, 2))),
        Sample(((2, 1, 2, 3), (3, 3, 1))),
        Sample(((3,), (2, 3, 2))),
        Sample(((2, 2, 3), (3,))),
    )
    errors = (
        ErrorSample(((2, 3), (2, 3)), match="rows of 3 meet columns of 2"),
        ErrorSample(((2, 2, 3), (3, 3, 2)), match="broadcast"),
        ErrorSample(((), (2, 3)), match=r"use \*"),
    )

    def shape(x, y):
        *stack, rows, columns = _as_matrices(x, y)[2]
        return (*stack, *[rows] * (len(x) > 1), *[columns] * (len(y) > 1))

    def cost(x, y):
        first, _, product = _as_matrices(x, y)
        return math.prod(product) * Cost(multiplications=first[-1], additions=first[-1] - 1)

    def reference(x, y):
        shape = MatMul.shape(x.shape, y.shape)
        first, second, product = _as_matrices(x.shape, y.shape)
        x = np.broadcast_to(x.reshape(first), (*product[:-2], *first[-2:]))
        y = np.broadcast_to(y.reshape(second), (*product[:-2], *second[-2:]))
        result = np.empty(product)
        for target in np.ndindex(*product):
            column = (*target[:-2], slice(None), target[-1])
            terms = zip(x[target[:-1]], y[column], strict=True)
            result[target] = math.fsum(a * b for a, b in terms)
        return result.reshape(shape)

    def forward(ctx, x, y):
        ctx.save(x, y)
        return product(x, y)

    def backward(ctx, gy):
        x, y = ctx.saved
        first, second, product = _as_matrices(x.shape, y.shape)
        gy = _shaped(gy, product)
        gx = gw = None
        if ctx.needs[0]:
            gx = matmul(gy, _swap(_shaped(y, second)))
            gx = _shaped(gx if gx.shape == first else sum_to(gx, first), x.shape)
        if ctx.needs[1]:
            rows = _shaped(x, first)
            if len(second) == 2:  # one product instead of a stack of them that is then summed
                count = math.prod(first[:-1])
                rows = _shaped(rows, (count, first[-1]))
                gy = _shaped(gy, (count, second[-1]))
            gw = matmul(_swap(rows), gy)
            gw = _shaped(gw if gw.shape == second else sum_to(gw, second), y.shape)
        return gx, gw


class Linear(Operation, name="linear"):
    """x @ w + b for every row of x, all rows in one matrix product.

    Negative results are multiplied by ``slope``, which makes LeakyReLU or ReLU of them. The
    gradients are single products of two-dimensional views, gy @ w.T and x.T @ gy, for which the
    transposes are not copied.
    """

    samples = (
        Sample(((3, 4), (4, 2), (2,))),
        Sample(((3, 4), (4, 2), None)),
        Sample(((2, 3, 4), (4, 2), (2,))),
        Sample(((4,), (4, 2), (2,))),
        Sample(((3, 4), (4, 2), (2,)), slope=0.25),
        Sample(((2, 3, 4), (4, 2), None), slope=0.0),
    )
    errors = (
        ErrorSample(((3, 5), (4, 2), (2,)), match="rows of 5"),
        ErrorSample(((3, 4), (4, 2), (3,)), match="bias"),
        ErrorSample(((3, 4), (4,), None), match=r"\(in, out\)"),
        ErrorSample(((), (4, 2), None), match="at least one axis"),
    )

    def shape(x, w, b, *, slope=1):
        if len(w) != 2:
            raise ShapeError(f"expected weights of shape (in, out), got {w}")
        if not x:
            raise ShapeError("expected an input of shape (..., in), with at least one axis, got ()")
        if x[-1] != w[0]:
            raise ShapeError(
                f"the weights {w} take rows of {w[0]} numbers, the input has rows of {x[-1]}"
            )
        if b is not None and b != w[1:]:
            raise ShapeError(f"the weights {w} need a bias of shape {w[1:]}, got {b}")
        return (*x[:-1], w[1])

    def cost(x, w, b, *, slope=1):
        outputs = math.prod(x[:-1]) * w[1]
        additions = w[0] - 1 if b is None else w[0]
        sums = outputs * Cost(multiplications=w[0], additions=additions)
        return sums + rectifier_cost(outputs, slope)

    def reference(x, w, b, *, slope=1):
        result = np.empty((*x.shape[:-1], w.shape[1]))
        for target in np.ndindex(*result.shape):
            terms = zip(x[target[:-1]], w[:, target[-1]], strict=True)
            total = math.fsum(a * b for a, b in terms)
            result[target] = total if b is None else total + b[target[-1]]
        return np.where(result > 0, result, slope * result)

    def forward(ctx, x, w, b, *, slope=1):
        y = product(x.reshape(math.prod(x.shape[:-1]), w.shape[0]), w)
        if b is not None:
            y += b
        if slope != 1:
            for_blocks(lambda part: rectify(part, slope), y)
        y = y.reshape(*x.shape[:-1], w.shape[1])
        ctx.save(x, w, None if slope == 1 else y)
        return y

    def backward(ctx, gy):
        x, w, _ = ctx.saved
        gy = rectifier_gradient(ctx, gy)
        count = math.prod(x.shape[:-1])
        gy = _shaped(gy, (count, w.shape[1]))
        gx = gw = gb = None
        if ctx.needs[0]:
            gx = _shaped(matmul(gy, _swap(w)), x.shape)
        if ctx.needs[1]:
            gw = matmul(_swap(_shaped(x, (count, w.shape[0]))), gy)
        if ctx.needs[2]:
            gb = sum_along(gy, 0)
        return gx, gw, gb

    def backward_kernel(ctx, gy):
        x, w, sign = ctx.saved_arrays
        slope = ctx.options.get("slope", 1)
        if slope != 1:
            gy = leaky_relu_gradient(sign, gy, slope)
        count = math.prod(x.shape[:-1])
        rows, gy = x.reshape(count, w.shape[0]), gy.reshape(count, w.shape[1])
        return (
            product(gy, w.T).reshape(x.shape) if ctx.needs[0] else None,
            _weights_gradient(ctx, rows, gy) if ctx.needs[1] else None,
            channel_sums(gy) if ctx.needs[2] else None,
        )


def _weights_gradient(ctx: Any, rows: Any, gy: Any) -> Any:
    # Deferred where the weights are a parameter, for its optimiser. Of copies, so that whoever
    # changes arrays after the backward pass changes no gradient.
    if isinstance(ctx.inputs[1], Tensor) and deferrable(rows.T, gy):
        return Deferred(Product(rows.copy().T, gy.copy()))
    return product(rows.T, gy)


def _shaped(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    return x if x.shape == shape else reshape(x, shape)


def matmul(x: Any, y: Any) -> Tensor:
    """Return the matrix product, with NumPy's rules.

    Parameters
    ----------
    x : Tensor of shape (..., N, K) or (K,)
    y : Tensor of shape (..., K, M) or (K,)
        The axes before the last two broadcast. A vector is a row on the left and a column on the
        right, and that axis is missing in the result.

    Returns
    -------
    Tensor of shape (..., N, M)

    Raises
    ------
    ShapeError
        The sizes K differ, or the other axes do not broadcast.
    """
    return MatMul.apply(x, y)


def linear(x: Any, w: Any, b: Any = None, *, negative_slope: float = 1.0) -> Tensor:
    """Return x @ w + b.

    Parameters
    ----------
    x : Tensor of shape (..., in)
    w : Tensor of shape (in, out)
        PyTorch keeps the transpose of it.
    b : Tensor of shape (out,), optional
    negative_slope : float
        Factor of negative results, from 0 to 1: what ReLU (0) and LeakyReLU do afterwards, in the
        same operation.

    Returns
    -------
    Tensor of shape (..., out)
    """
    return Linear.apply(x, w, b, **rectifier_option(negative_slope))
