"""Compare gradients with central difference quotients, for first and second derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn import backend as backends
from minicnn.autograd.engine import grad
from minicnn.autograd.mode import no_grad
from minicnn.autograd.tensor import Tensor
from minicnn.errors import DTypeError, GradientError

__all__ = ["gradcheck", "gradgradcheck"]

Outputs = Tensor | Sequence[Tensor]


def gradcheck(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    *,
    step: float = 1e-6,
    rtol: float = 1e-5,
    atol: float = 1e-7,
    seed: int = 0,
    raise_exception: bool = True,
) -> bool:
    """Check a function's gradients against central differences (f(x + h) - f(x - h)) / 2h.

    The outputs are weighed with random numbers and summed, and every element of every input that
    requires a gradient is moved in turn.

    Parameters
    ----------
    function : callable
        Takes the inputs and returns a Tensor or several. It must be deterministic.
    inputs : sequence
        Tensors (float64, those to be checked with ``requires_grad=True``) and anything else that
        the function takes.
    step : float
        h, the change of an element.
    rtol, atol : float
        Largest difference: atol + rtol times the larger of the two gradients.
    seed : int
        For the random weights.
    raise_exception : bool
        Raise, or else return False.

    Returns
    -------
    bool

    Raises
    ------
    GradientError
        A gradient is wrong; names the input, the element and both values.
    DTypeError
        An input to be checked is not float64, where differences would drown in rounding.
    """
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    checked = [value for value in inputs if isinstance(value, Tensor) and value.requires_grad]
    if not checked:
        raise GradientError("gradcheck: no input has requires_grad=True")
    for value in checked:
        if value.dtype != np.float64:
            raise DTypeError(f"gradcheck: expected float64 inputs, got {value.dtype}")
    outputs = _outputs(function(*inputs))
    rng = np.random.default_rng(seed)
    weights = [
        rng.uniform(0.5, 1.5, output.shape) * rng.choice([-1, 1], output.shape)
        for output in outputs
    ]
    recorded = [
        (output, weight)
        for output, weight in zip(outputs, weights, strict=True)
        if output.requires_grad
    ]
    if not recorded:
        raise GradientError(
            "gradcheck: the outputs do not depend on the inputs through recorded operations"
        )
    found = grad(
        [output for output, _ in recorded],
        checked,
        [Tensor(backends.asarray(weight, output.backend)) for output, weight in recorded],
        allow_unused=True,
    )
    for position, (value, gradient) in enumerate(zip(checked, found, strict=True)):
        analytic = np.zeros(value.shape) if gradient is None else gradient.numpy()
        numeric = _differences(function, inputs, value, weights, step)
        close = np.abs(analytic - numeric) <= atol + rtol * np.maximum(
            np.abs(analytic), np.abs(numeric)
        )
        if not close.all():
            if not raise_exception:
                return False
            worst = np.unravel_index(
                int(np.argmax(np.abs(analytic - numeric) * ~close)), value.shape
            )
            raise GradientError(
                f"gradcheck: input {position}, element {tuple(map(int, worst))}: the gradient is "
                f"{analytic[worst]:.9g}, the difference quotient {numeric[worst]:.9g} "
                f"({int((~close).sum())} of {close.size} elements differ)"
            )
    return True


def gradgradcheck(
    function: Callable[..., Any], inputs: Sequence[Any], *, seed: int = 0, **settings: Any
) -> bool:
    """Check second derivatives: the gradients, recorded themselves, taken as a function.

    Parameters
    ----------
    function, inputs
        As for :func:`gradcheck`.
    seed : int
        For the random gradients of the outputs, which are checked as inputs, too.
    **settings
        Passed on to :func:`gradcheck`.

    Returns
    -------
    bool
    """
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    outputs = _outputs(function(*inputs))
    rng = np.random.default_rng(seed + 1)
    weights = [
        Tensor(
            backends.asarray(rng.uniform(-1, 1, output.shape), output.backend), requires_grad=True
        )
        for output in outputs
    ]
    count = len(inputs)

    def gradients(*values: Any) -> list[Tensor]:
        checked = [
            value for value in values[:count] if isinstance(value, Tensor) and value.requires_grad
        ]
        found = grad(
            _outputs(function(*values[:count])),
            checked,
            values[count:],
            create_graph=True,
            allow_unused=True,
        )
        return [gradient for gradient in found if gradient is not None]

    return gradcheck(gradients, [*inputs, *weights], seed=seed, **settings)


def _outputs(found: Any) -> list[Tensor]:
    outputs = list(found) if isinstance(found, (list, tuple)) else [found]
    for output in outputs:
        if not isinstance(output, Tensor):
            raise TypeError(
                f"gradcheck: the function must return Tensors, it gave a {type(output).__name__}"
            )
    return outputs


def _differences(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    value: Tensor,
    weights: Sequence[np.ndarray],
    step: float,
) -> np.ndarray:
    # The values are moved on the host and copied into the tensor, whose strides stay as they are.
    start = value.numpy().copy()
    numeric = np.zeros(start.shape)

    def total(values: np.ndarray) -> float:
        with no_grad():
            value.copy_(values)
        return sum(
            float((output.numpy() * weight).sum())
            for output, weight in zip(_outputs(function(*inputs)), weights, strict=True)
        )

    try:
        for index in np.ndindex(*start.shape):
            moved = start.copy()
            moved[index] = start[index] + step
            above = total(moved)
            moved[index] = start[index] - step
            numeric[index] = (above - total(moved)) / (2 * step)
    finally:
        with no_grad():
            value.copy_(start)
    return numeric
