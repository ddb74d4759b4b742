"""Operation: how a differentiable operation is declared, the table of them all, and recording."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from minicnn import backend as backends
from minicnn.autograd.declare import Cost, ErrorSample, Sample
from minicnn.autograd.mode import mode
from minicnn.autograd.tensor import Tensor, native, wrap
from minicnn.errors import BackendError, DTypeError, GradientError, ShapeError

__all__ = ["OPERATIONS", "Node", "Operation"]

OPERATIONS: dict[str, type[Operation]] = {}
PARTS = ("shape", "cost", "reference", "forward", "backward")
_order = itertools.count()
_OUTPUT, _CONSTANT = -1, -2


class Edge:
    """What a node keeps of an input: all but the array, which can be freed unless it is saved."""

    __slots__ = ("_node", "_version", "dtype", "requires_grad", "shape")

    def __init__(self, tensor: Tensor) -> None:
        self.shape: tuple[int, ...] = tensor.data.shape
        self.dtype: np.dtype = tensor.data.dtype
        self.requires_grad = tensor.requires_grad
        self._node: Node | None = tensor._node
        self._version = tensor._version


class Node:
    """One application of an operation: the ``ctx`` that its forward fills and its backward reads.

    Attributes
    ----------
    operation : type[Operation]
    inputs : tuple of (Tensor, Edge, number or None)
        Tensors in forward. In backward, only leaves that require a gradient still are; of the
        others an :class:`Edge` tells ``shape`` and ``dtype``.
    options : dict
        The options that forward got.
    needs : tuple of bool
        Which inputs want a gradient; backward may return None for the others.
    saved : tuple
        What forward gave to :meth:`save`, as Tensors connected to the tape.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_arrays",
        "_checksums",
        "_leaf_data",
        "_sources",
        "_versions",
        "hooks",
        "inputs",
        "needs",
        "operation",
        "options",
        "order",
        "output_version",
        "released",
        "retain",
    )

    def __init__(self, operation: type[Operation], inputs: tuple, options: dict) -> None:
        self.operation = operation
        self.inputs = inputs
        self.options = options
        self.needs: tuple[bool, ...] = ()
        self.order = 0
        self.released = False
        self.hooks: dict[int, Callable[..., Any]] | None = None
        self.retain: Any = None
        self.output_version: list[int] = [0]
        self._arrays: tuple = ()
        self._sources: tuple[int, ...] = ()
        self._leaf_data: tuple = ()
        self._versions: tuple[int, ...] = ()
        self._checksums: tuple[int, ...] = ()

    def save(self, *arrays: Any) -> None:
        """Keep arrays for the backward pass: inputs, the output, or constants made on the way.

        A constant made from the inputs carries no gradient of its own: a second derivative must
        not depend on it.
        """
        self._arrays = arrays

    def record(self, arrays: list, output: Tensor) -> None:
        """Connect the output to this node, and the saved arrays to the tensors they came from."""
        self.order = next(_order)
        self.output_version = output._version
        sources = []
        versions = []
        for saved in self._arrays:
            if saved is output.data:
                sources.append(_OUTPUT)
                versions.append(output._version[0])
                continue
            for position, array in enumerate(arrays):
                if saved is array:
                    source = self.inputs[position]
                    sources.append(position)
                    versions.append(source._version[0] if isinstance(source, Tensor) else 0)
                    break
            else:
                sources.append(_CONSTANT)
                versions.append(0)
        self._sources = tuple(sources)
        self._versions = tuple(versions)
        if mode.anomaly:
            self._checksums = tuple([_checksum(saved) for saved in self._arrays])
        self.inputs = tuple(
            [
                Edge(value)
                if isinstance(value, Tensor) and (value._node or not value.requires_grad)
                else value
                for value in self.inputs
            ]
        )
        if self._arrays:
            self._leaf_data = tuple([getattr(value, "data", None) for value in self.inputs])
        output._node = self
        output.requires_grad = True

    def _check(self, position: int) -> Any:
        # Returns where the saved array came from, having checked that it still holds what it held.
        source = self._sources[position]
        if mode.anomaly and self._checksums:
            changed = self._checksums[position] != _checksum(self._arrays[position])
        else:
            changed = False
        origin: Any = None
        if source == _OUTPUT:
            changed = changed or self.output_version[0] != self._versions[position]
        elif source != _CONSTANT:
            origin = self.inputs[source]
            if not isinstance(origin, (Tensor, Edge)):
                return origin
            changed = changed or origin._version[0] != self._versions[position]
            if isinstance(origin, Tensor):
                changed = changed or origin.data is not self._leaf_data[source]
        if changed:
            what = {_OUTPUT: "its output", _CONSTANT: "an array"}.get(source, f"its input {source}")
            raise GradientError(
                f"{self.operation.name}: {what}, which the backward pass needs, was changed in "
                "place "
                "after the operation; change it after backward(), or work on a copy"
            )
        return origin

    @property
    def saved_arrays(self) -> tuple:
        """The saved arrays as they are, for a backward that works on plain arrays."""
        for position in range(len(self._arrays)):
            self._check(position)
        return self._arrays

    @property
    def saved(self) -> tuple:
        """The saved arrays as Tensors; numbers and None come back as they are."""
        result = []
        for position, array in enumerate(self._arrays):
            origin = self._check(position)
            if origin is None and not backends.is_array(array):
                origin = array
            elif origin is None or isinstance(origin, Edge):
                edge, origin = origin, wrap(array)
                if edge is not None:
                    origin._node = edge._node
                    origin.requires_grad = edge.requires_grad
                    origin._version = edge._version
                elif self._sources[position] == _OUTPUT:
                    origin._node = self
                    origin.requires_grad = True
                    origin._version = self.output_version
            result.append(origin)
        return tuple(result)

    def release(self) -> None:
        """Drop the inputs and all that was saved, so that the tape behind is freed."""
        self.released = True
        self.inputs = ()
        self._arrays = ()
        self._leaf_data = ()
        self.__dict__.clear()


class Operation:
    """A differentiable operation, declared once: see docs/operations.md.

    A subclass ``class Tanh(Operation, name="tanh")`` is entered into :data:`OPERATIONS` and must
    have all of these (they are plain functions; no ``self`` is passed):

    - ``samples``, ``errors``: what the tests feed it, what it must refuse;
    - ``shape(*shapes, **options)``: the output's shape from integers; raises ShapeError;
    - ``cost(*shapes, **options)``: a :class:`Cost`;
    - ``reference(*arrays, **options)``: the textbook loops on NumPy arrays;
    - ``forward(ctx, *arrays, **options)``: arrays to one new array (or a view, with ``view=True``);
    - ``backward(ctx, gy)``: the output's gradient to the inputs' gradients, written with operations
      on Tensors so that it can be differentiated again. Returns one Tensor, or a tuple with
      a Tensor or None for each input.

    It may have ``backward_kernel(ctx, gy)``: the same on plain arrays in fewer passes, used when no
    graph of the gradient is asked for. The tests check that both agree.

    Two more attributes are for exceptions: ``converts = True`` says that the output may have
    another floating-point type than the inputs; ``uncounted`` is the reason why ``forward`` cannot
    be run on arrays of counting scalars, by which the tests check ``cost``.

    Parameters
    ----------
    name : str
        Lower-case name in the table. A class without a name is a base for others.
    view : bool
        Whether the output may share memory with the first input.
    """

    name: ClassVar[str] = ""
    view: ClassVar[bool] = False
    converts: ClassVar[bool] = False
    uncounted: ClassVar[str] = ""
    samples: ClassVar[tuple[Sample, ...]]
    errors: ClassVar[tuple[ErrorSample, ...]]
    shape: ClassVar[Callable[..., tuple[int, ...]]]
    cost: ClassVar[Callable[..., Cost]]
    reference: ClassVar[Callable[..., np.ndarray]]
    forward: ClassVar[Callable[..., Any]]
    backward: ClassVar[Callable[..., Any]]
    backward_kernel: ClassVar[Callable[..., Any] | None] = None

    def __init_subclass__(cls, *, name: str = "", view: bool | None = None) -> None:
        super().__init_subclass__()
        for part in (*PARTS, "backward_kernel"):
            function = cls.__dict__.get(part)
            if callable(function):
                setattr(cls, part, staticmethod(function))
        if view is not None:
            cls.view = view
        if not name:
            return
        missing = [part for part in ("samples", "errors", *PARTS) if not hasattr(cls, part)]
        if missing:
            raise TypeError(f"operation {name!r} is declared without {', '.join(missing)}")
        if name in OPERATIONS:
            raise TypeError(f"operation {name!r} is declared twice")
        cls.name = name
        OPERATIONS[name] = cls

    @classmethod
    def check(cls, arrays: list, options: dict) -> None:
        """Refuse inputs that do not fit, before any work is done."""
        try:
            cls.shape(*(getattr(array, "shape", array) for array in arrays), **options)
        except ShapeError as error:
            raise ShapeError(f"{cls.name}: {error}") from None

    @classmethod
    def gradients(cls, node: Node, gradient: Tensor) -> tuple:
        """Return the gradients of the inputs, a Tensor or None for each."""
        if cls.backward_kernel is not None and not mode.recording:
            found = cls.backward_kernel(node, gradient.data)
            found = found if type(found) is tuple else (found,)
            return tuple([None if each is None else _as_gradient(each) for each in found])
        found = cls.backward(node, gradient)
        return found if type(found) is tuple else (found,)

    @classmethod
    def apply(cls, *inputs: Any, **options: Any) -> Tensor:
        """Run the operation and record it if an input requires a gradient.

        Parameters
        ----------
        *inputs : Tensor, array, number or None
            Arrays stand for constants. Numbers take the type of the tensors they meet.
        **options
            The operation's options.

        Returns
        -------
        Tensor

        Raises
        ------
        BackendError, DTypeError, ShapeError
            Inputs of two backends, of two floating-point types, or of shapes that do not fit.
        """
        inputs = tuple([_as_input(cls.name, value) for value in inputs])
        arrays = []
        needs = []
        dtype = kind = None
        for value in inputs:
            if not isinstance(value, Tensor):
                arrays.append(value)
                needs.append(False)
                continue
            array = value.data
            if kind is None:
                kind = type(array)
            else:
                for other in arrays:
                    if array is other:  # tensors that share one, like x and x.detach(), stay two
                        array = array[...]
            arrays.append(array)
            needs.append(value.requires_grad)
            if kind is not type(array):
                _same_backend(cls.name, arrays)
            if array.dtype.kind == "f":
                if dtype is None:
                    dtype = array.dtype
                elif dtype != array.dtype:
                    raise DTypeError(
                        f"{cls.name}: {dtype} and {array.dtype} are mixed; convert one of them "
                        "with "
                        ".astype(...)"
                    )
        for name, option in options.items():
            if isinstance(option, np.generic):  # else float64 would spread
                options[name] = option.item()
        cls.check(arrays, options)
        node = Node(cls, inputs, options)
        node.needs = tuple(needs)
        result = cls.forward(node, *arrays, **options)
        if isinstance(result, np.generic):
            scalar, result = result, _as_array(result)
            node.save(*[result if saved is scalar else saved for saved in node._arrays])
        if (
            dtype is not None
            and result.dtype.kind == "f"
            and result.dtype != dtype
            and not cls.converts
        ):
            raise DTypeError(
                f"{cls.name}: inputs of type "
                f"{', '.join(str(getattr(a, 'dtype', a)) for a in arrays)} "
                f"would give {result.dtype}; convert the integers with .astype('{dtype}')"
            )
        output = wrap(result)
        if cls.view:
            output._version = inputs[0]._version
        if mode.recording and True in needs and result.dtype.kind == "f":
            node.record(arrays, output)
        if mode.watchers:
            for watcher in mode.watchers:
                watcher(cls, inputs, options, output)
        return output


def _as_input(name: str, value: Any) -> Any:
    # Arrays become constants, NumPy's scalars plain numbers (which take the type of what they
    # meet).
    if isinstance(value, (Tensor, int, float)) or value is None:
        return value if not isinstance(value, np.generic) else value.item()
    if isinstance(value, np.generic):
        return value.item()
    if backends.is_array(value):
        return wrap(native(value))
    raise TypeError(
        f"{name}: expected a Tensor, an array or a number, got {type(value).__name__}; "
        "make a tensor with minicnn.tensor(...)"
    )


def _as_gradient(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else wrap(_as_array(value))


def _as_array(value: Any) -> Any:
    # NumPy makes scalars of arrays without axes.
    return np.asarray(value) if isinstance(value, np.generic) else value


def _checksum(array: Any) -> int:
    if not backends.is_array(array):
        return 0
    return zlib.crc32(np.ascontiguousarray(backends.to_numpy(array)).data)


def _same_backend(name: str, arrays: list) -> None:
    try:
        backends.xp(*arrays)
    except BackendError as error:
        raise BackendError(f"{name}: {error}") from None
