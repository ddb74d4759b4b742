"""What must hold for every operation in the table; each check raises where it does not."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from typing import Any

import numpy as np
from counting import Tally, counted, counting, values

import minicnn.ops
from minicnn import backend
from minicnn.autograd import (
    OPERATIONS,
    ErrorSample,
    Node,
    Operation,
    Sample,
    Tensor,
    grad,
    gradcheck,
    gradgradcheck,
    watch,
)

for _module in pkgutil.iter_modules(minicnn.ops.__path__):
    importlib.import_module(f"minicnn.ops.{_module.name}")

Kind = type[Operation]
SAMPLES = [(kind, sample) for kind in OPERATIONS.values() for sample in kind.samples]
ERRORS = [(kind, error) for kind in OPERATIONS.values() for error in kind.errors]
TOLERANCE = {np.dtype("float64"): 1e-12, np.dtype("float32"): 2e-5}


def name_of(value: Any) -> str:
    """Return the name of a parameter of a test."""
    if isinstance(value, ErrorSample):
        value = value.sample
    return value.name if isinstance(value, type) else str(value).replace(" ", "")


def draw(sample: Sample, dtype: Any = np.float64) -> list[Any]:
    """Return a sample's inputs, always the same: arrays on the host, numbers and None."""
    return sample.arrays(np.random.default_rng(7), dtype)


def tensors(arrays: Sequence[Any], requires_grad: bool = True) -> list[Any]:
    """Make tensors of arrays, on the current backend; floats require a gradient."""
    return [
        Tensor(backend.asarray(array), requires_grad and array.dtype.kind == "f")
        if isinstance(array, np.ndarray)
        else array
        for array in arrays
    ]


def strided(array: np.ndarray) -> Any:
    """Return the values in memory of the current backend, every other element and backwards."""
    room = backend.asarray(np.zeros([2 * size for size in array.shape], array.dtype))
    view = room[(slice(None, None, -2),) * array.ndim] if array.ndim else room
    view[...] = backend.asarray(array)
    return view


def transposed(array: np.ndarray) -> Any:
    """Return the values in memory of the current backend, with the first axis running fastest."""
    return backend.asarray(array.T.copy()).transpose()


def gradient_for(output: Tensor) -> Tensor:
    """Return a gradient to start the backward pass with, always the same for a shape and type."""
    values = np.random.default_rng(8).uniform(0.5, 1.5, output.shape)
    return Tensor(backend.asarray(values.astype(output.dtype)))


def gradients(output: Tensor, inputs: Sequence[Any], create_graph: bool = False) -> list[Any]:
    """Return the gradients of the inputs that require one, as NumPy arrays (or None)."""
    wanted = [each for each in inputs if isinstance(each, Tensor) and each.requires_grad]
    found = grad(
        output,
        wanted,
        gradient_for(output),
        create_graph=create_graph,
        retain_graph=True,
        allow_unused=True,
    )
    for each, gradient in zip(wanted, found, strict=True):
        assert gradient is None or gradient.dtype == each.dtype
    return [None if gradient is None else gradient.numpy() for gradient in found]


def differentiable(kind: Kind, sample: Sample) -> bool:
    """Tell whether a gradient flows through the operation on this sample."""
    return kind.apply(*tensors(draw(sample)), **sample.options).requires_grad


def assert_near(found: Any, expected: Any, dtype: Any) -> None:
    """Compare with a tolerance relative to the largest number that is expected."""
    if found is None or expected is None:
        assert found is expected
        return
    expected = np.asarray(expected)
    finite = np.abs(expected[np.isfinite(expected)])
    tolerance = TOLERANCE[np.dtype(dtype)] * max(1.0, finite.max(initial=0.0))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


# The checks.


def check_forward(kind: Kind, sample: Sample, dtype: Any) -> None:
    """Check that forward gives what the reference gives, of the announced shape and type."""
    arrays = draw(sample, dtype)
    output = kind.apply(*tensors(arrays), **sample.options)
    widened = [
        array.astype(np.float64)
        if isinstance(array, np.ndarray) and array.dtype == dtype
        else array
        for array in arrays
    ]
    expected = kind.reference(*widened, **sample.options)
    shapes = [array.shape if isinstance(array, np.ndarray) else array for array in arrays]
    assert output.shape == kind.shape(*shapes, **sample.options) == expected.shape
    if output.dtype.kind != "f":
        np.testing.assert_array_equal(output.numpy(), expected)
        return
    if not kind.converts:
        assert output.dtype == dtype
    assert_near(output.numpy(), expected, dtype)


def check_gradients(kind: Kind, sample: Sample) -> None:
    """Check that the gradients equal difference quotients."""
    gradcheck(lambda *inputs: kind.apply(*inputs, **sample.options), tensors(draw(sample)))


def check_second_gradients(kind: Kind, sample: Sample) -> None:
    """Check that the gradients of the gradients equal difference quotients.

    The operation gets results of another one, not leaves, whose gradients must find their way
    through what was saved.
    """

    def function(*inputs: Any) -> Tensor:
        results = [each * 1 if getattr(each, "requires_grad", False) else each for each in inputs]
        return kind.apply(*results, **sample.options)

    gradgradcheck(function, tensors(draw(sample)))


def check_kernel(kind: Kind, sample: Sample, dtype: Any) -> None:
    """Check that the gradients are the same whether or not they are recorded."""
    inputs = tensors(draw(sample, dtype))
    output = kind.apply(*inputs, **sample.options)
    recorded = gradients(output, inputs, create_graph=True)
    for found, expected in zip(gradients(output, inputs), recorded, strict=True):
        assert_near(found, expected, dtype)


def check_layout(kind: Kind, sample: Sample, layout: Any) -> None:
    """Check that inputs with other strides give the same result and the same gradients."""
    arrays = draw(sample)
    plain = tensors(arrays)
    moved = [
        Tensor(layout(array), array.dtype.kind == "f") if isinstance(array, np.ndarray) else array
        for array in arrays
    ]
    expected = kind.apply(*plain, **sample.options)
    output = kind.apply(*moved, **sample.options)
    assert_near(output.numpy(), expected.numpy(), np.float64)
    if not output.requires_grad:
        return
    pairs = zip(gradients(output, moved), gradients(expected, plain), strict=True)
    for found, wanted in pairs:
        assert_near(found, wanted, np.float64)


def check_nothing_is_overwritten(kind: Kind, sample: Sample) -> None:
    """Check that inputs and the incoming gradient keep their values."""
    inputs = tensors(draw(sample))
    output = kind.apply(*inputs, **sample.options)
    if output.requires_grad:
        start = gradient_for(output)
        for create_graph in (False, True):
            output.requires_grad_()
            wanted = [each for each in inputs if isinstance(each, Tensor) and each.requires_grad]
            grad(
                output,
                wanted,
                start,
                create_graph=create_graph,
                retain_graph=True,
                allow_unused=True,
            )
        np.testing.assert_array_equal(start.numpy(), gradient_for(output).numpy())
    for given, array in zip(inputs, draw(sample), strict=True):
        if isinstance(given, Tensor):
            np.testing.assert_array_equal(given.numpy(), array)


def check_memory_is_its_own(kind: Kind, sample: Sample) -> None:
    """Check that a change of an input in place does not reach the output."""
    inputs = tensors(draw(sample), requires_grad=False)
    output = kind.apply(*inputs, **sample.options)
    before = output.numpy().copy()
    for each in inputs:
        if isinstance(each, Tensor):
            each.data[...] = each.data + 1
    np.testing.assert_array_equal(output.numpy(), before)


def check_needs(kind: Kind, sample: Sample) -> None:
    """Check that each gradient is the same when no other input wants one, and gets one."""
    arrays = draw(sample)
    inputs = tensors(arrays)
    complete = gradients(kind.apply(*inputs, **sample.options), inputs)
    wanting = [place for place, each in enumerate(inputs) if getattr(each, "requires_grad", False)]
    for place, expected in zip(wanting, complete, strict=True):
        alone = tensors(arrays, requires_grad=False)
        alone[place].requires_grad_()
        output = kind.apply(*alone, **sample.options)
        if expected is None and not output.requires_grad:
            continue
        output.backward(gradient_for(output))
        for other, each in enumerate(alone):
            if isinstance(each, Tensor):
                found = None if each.grad is None else each.grad.numpy()
                assert_near(found, expected if other == place else None, np.float64)


def check_watch(kind: Kind, sample: Sample) -> None:
    """Check that a watcher sees one operation, with all that is needed to run it again."""
    seen: list[tuple] = []
    with watch(lambda *event: seen.append(event)):
        output = kind.apply(*tensors(draw(sample)), **sample.options)
    ((operation, inputs, options, result),) = seen
    assert operation is kind and result is output
    again = operation.apply(*inputs, **options)
    np.testing.assert_array_equal(again.numpy(), output.numpy())


def check_constants(kind: Kind, sample: Sample) -> None:
    """Check that plain arrays of the backend are taken as constants."""
    arrays = [
        backend.asarray(array) if isinstance(array, np.ndarray) else array for array in draw(sample)
    ]
    output = kind.apply(*arrays, **sample.options)
    assert not output.requires_grad
    expected = kind.apply(*tensors(draw(sample)), **sample.options)
    np.testing.assert_array_equal(output.numpy(), expected.numpy())


def check_cost(kind: Kind, sample: Sample) -> None:
    """Check that a run of forward on counting scalars counts the cost, with the right result."""
    tally = Tally()
    arrays = draw(sample)
    shapes = [array.shape if isinstance(array, np.ndarray) else array for array in arrays]
    inputs = [
        counted(array, tally)
        if isinstance(array, np.ndarray) and array.dtype.kind == "f"
        else array
        for array in arrays
    ]
    node = Node(kind, tuple(tensors(arrays)), sample.options)
    node.needs = (True,) * len(arrays)
    with counting(tally):
        result = kind.forward(node, *inputs, **sample.options)
    found, declared = tally.cost, kind.cost(*shapes, **sample.options)
    assert found == declared, f"{kind.name}: counted {found}, declared {declared}"
    assert_near(values(result), kind.reference(*arrays, **sample.options), np.float64)
