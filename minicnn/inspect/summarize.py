"""Run a model once and note what each layer gives, holds and costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from minicnn import backend
from minicnn.autograd import Cost, Tensor, no_grad, watch
from minicnn.errors import DTypeError, OptionError, ShapeError
from minicnn.inspect.table import LayerSummary, Summary
from minicnn.nn.module import Module
from minicnn.nn.parameter import Buffer
from minicnn.random import generator_state, set_generator_state

__all__ = ["summary"]


def summary(
    model: Module, input_shape: Sequence[int] | None = None, *, dtype: Any = None
) -> Summary:
    """Run a model once, on one input of zeros, and note what each layer gives, holds and costs.

    Every operation counts once, in the innermost module that runs it; so operations in the
    ``forward`` of a module of one's own count there. A module that is called twice has two rows,
    with its parameters in the first. A module that never runs comes last, for its parameters. What
    is computed without operations does not count, such as batch normalisation's 1 / sqrt(variance)
    from its running statistics.

    Parameters
    ----------
    model : Module
        Run in evaluation mode, where it is, and left as it was: each module in its mode, with its
        buffers and the states of its random generators. Its hooks run as always.
    input_shape : sequence of int, optional
        Of one input without the batch, such as (48, 48, 1). A network of the zoo knows its own.
    dtype : dtype, optional
        Of the input; by default that of the model's first parameter.

    Returns
    -------
    Summary
        ``print`` it for the table.

    Raises
    ------
    ShapeError
        The model cannot run on such an input; the message names the layer in which this showed.
    OptionError
        The model is no Module, or no shape is known.

    Examples
    --------
    >>> table = summary(minicnn.zoo.build("small_cnn"))
    >>> print(table)
    >>> table.parameters, table.cost.flops
    """
    if not isinstance(model, Module):
        given = model.__name__ if isinstance(model, type) else type(model).__name__
        raise OptionError(f"summary: expected a model, a minicnn.nn.Module, got {given}")
    shape = _input_shape(model, input_shape)
    recorder = _Recorder(model)
    with _left_as_it_was(model), recorder.listening(), no_grad(), watch(recorder.count):
        try:
            output = model.eval()(_zeros(model, shape, dtype))
        except ShapeError as error:
            raise recorder.blame(error) from error
    return recorder.finish(output, shape)


def _input_shape(model: Module, given: Any) -> tuple[int, ...]:
    shape = getattr(model, "input_shape", None) if given is None else given
    if shape is None:
        raise OptionError("summary: give the input_shape of one input, such as (48, 48, 1)")
    if not isinstance(shape, Sequence) or not all(
        isinstance(size, (int, np.integer)) and not isinstance(size, bool) and size > 0
        for size in shape
    ):
        raise OptionError(
            "summary: expected an input_shape of integers of 1 or more, without the batch, "
            f"got {shape!r}"
        )
    return tuple(int(size) for size in shape)


def _zeros(model: Module, shape: tuple[int, ...], dtype: Any) -> Tensor:
    parameter = next(model.parameters(), None)
    try:
        dtype = np.dtype(dtype or (np.float32 if parameter is None else parameter.dtype))
    except TypeError:
        raise DTypeError(f"summary: {dtype!r} is no dtype") from None
    place = None if parameter is None else parameter.backend
    return Tensor(backend.asarray(np.zeros((1, *shape), dtype), place))


@contextmanager
def _left_as_it_was(model: Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.data, buffer.data.copy()) for buffer in model.buffers()]
    generators = [(rng, generator_state(rng)) for rng in model.generators()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for buffer, array, values in buffers:
            array[...] = values
            buffer.data = array
        for rng, state in generators:
            set_generator_state(rng, state)


class _Recorder:
    """Makes a row of each call of a module, and adds each operation to the row it belongs to."""

    def __init__(self, model: Module) -> None:
        self.model = model
        self.names = {id(module): name for name, module in model.named_modules()}
        self.rows: list[tuple[Module, LayerSummary]] = []  # each call
        self.counted: set[int] = set()  # tensors that have been counted
        self.seen: set[int] = set()  # modules that have been called
        self.failed: dict[int, tuple[ShapeError, LayerSummary]] = {}  # where each was seen first
        self.calls = [self._new_row(model)]  # those under way, the innermost last

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen to the calls of all modules below the model.

        Hooks would not do: they hear neither of a call that ends in an exception, which a module
        may catch, nor of a ``forward`` that is called by itself.
        """
        modules = list(self.model.modules())[1:]
        own = [module.__dict__.get("forward") for module in modules]
        for module in modules:
            module.__dict__["forward"] = partial(self._call, module, module.forward)
        try:
            yield
        finally:
            for module, forward in zip(modules, own, strict=True):
                del module.__dict__["forward"]
                if forward is not None:
                    module.__dict__["forward"] = forward

    def _call(self, module: Module, forward: Any, *inputs: Any, **options: Any) -> Any:
        row = self._new_row(module)
        self.calls.append(row)
        try:
            output = forward(*inputs, **options)
        except ShapeError as error:
            origin = _origin(error)
            self.failed.setdefault(id(origin), (origin, row))
            raise
        finally:
            self.calls.pop()
        row.output_shape = _shape(output)
        return output

    def _new_row(self, module: Module) -> LayerSummary:
        row = LayerSummary(self.names[id(module)], type(module).__name__)
        self._count_tensors(module, row)
        self.seen.add(id(module))
        self.rows.append((module, row))
        return row

    def _count_tensors(self, module: Module, row: LayerSummary) -> None:
        tensors = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        for tensor in tensors:
            if id(tensor) in self.counted:
                continue
            self.counted.add(id(tensor))
            row.parameters += tensor.size
            row.parameter_bytes += tensor.size * tensor.dtype.itemsize
            row.trainable += tensor.size if tensor.requires_grad else 0
            row.buffers += tensor.size if isinstance(tensor, Buffer) else 0

    def count(self, operation: Any, inputs: tuple, options: dict, output: Tensor) -> None:
        """Add one operation to the row of the innermost call."""
        row = self.calls[-1]
        shapes = [getattr(value, "shape", value) for value in inputs]
        row.cost += operation.cost(*shapes, **options)
        if not operation.view:
            row.activation_bytes += output.size * output.dtype.itemsize

    def blame(self, error: ShapeError) -> ShapeError:
        """Return the error with the name of the innermost layer that raised it, and no other."""
        error = _origin(error)
        _, row = self.failed.get(id(error), (error, self.calls[0]))
        where = f"layer {row.name} ({row.kind})" if row.name else row.kind
        return ShapeError(f"summary: {where}: {error}")

    def finish(self, output: Any, input_shape: tuple[int, ...]) -> Summary:
        """Return the rows, without containers that do nothing, with modules that never ran."""
        self.rows[0][1].output_shape = _shape(output)
        layers = [row for module, row in self.rows if not _only_passes_on(module, row)]
        for name, module in self.model.named_modules():
            if id(module) not in self.seen:
                row = LayerSummary(name, type(module).__name__)
                self._count_tensors(module, row)
                layers += [row] if row.parameters else []
        return Summary(layers, input_shape)


def _origin(error: ShapeError) -> ShapeError:
    # Containers raise an error anew, with a name before it.
    while isinstance(error.__cause__, ShapeError):
        error = error.__cause__
    return error


def _only_passes_on(module: Module, row: LayerSummary) -> bool:
    busy = row.parameters or row.activation_bytes or row.cost != Cost()
    return not busy and next(module.children(), None) is not None


def _shape(output: Any) -> tuple | None:
    # ("N", ...) for the one input that was run; nested for several tensors; None for what is none.
    if isinstance(output, Tensor):
        return ("N", *output.shape[1:]) if output.shape[:1] == (1,) else output.shape
    if isinstance(output, dict):
        output = tuple(output.values())
    if isinstance(output, (tuple, list)):
        return tuple(_shape(each) for each in output)
    return None
