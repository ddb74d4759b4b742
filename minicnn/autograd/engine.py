"""The backward pass: from outputs to leaves, latest operation first, without recursion."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

from minicnn import backend as backends
from minicnn.autograd.deferred import Deferred
from minicnn.autograd.mode import mode
from minicnn.autograd.operation import Node
from minicnn.autograd.tensor import Tensor, wrap
from minicnn.errors import GradientError, NotANumberError, ShapeError

__all__ = ["backward", "grad"]


class _Pass:
    """One backward pass: what has been collected so far, and what is still to be done.

    Every node has a number that is larger than those of the nodes that made its inputs, so taking
    the largest number first means that a node's gradient is complete when its turn comes.
    """

    def __init__(
        self,
        create_graph: bool,
        retain_graph: bool,
        needed: set[Node] | None = None,
        targets: Sequence[Tensor] = (),
    ) -> None:
        self.needed = needed  # the nodes to visit, or None for all
        self.target_leaves = {id(target) for target in targets if target._node is None}
        self.target_nodes = {target._node for target in targets if target._node is not None}
        self.create_graph = create_graph
        self.retain_graph = retain_graph
        self.heap: list[tuple[int, Node]] = []
        self.pending: dict[Node, Tensor] = {}
        self.leaves: dict[int, tuple[Tensor, Tensor]] = {}
        self.watched: dict[Node, Tensor] = {}  # complete gradients of nodes that were asked for
        self.owners: dict[int, Any] = {}  # by address: arrays whose memory was given away

    def deliver(self, tensor: Tensor, gradient: Tensor) -> None:
        """Add a gradient to what has arrived at a tensor."""
        node = tensor._node
        if node is None:
            before = self.leaves.get(id(tensor))
            total = gradient if before is None else before[1] + gradient
            self.leaves[id(tensor)] = (tensor, total)
        elif node in self.pending:
            self.pending[node] = self.pending[node] + gradient
        else:
            self.pending[node] = gradient
            heapq.heappush(self.heap, (-node.order, node))

    def run(self) -> None:
        """Visit the nodes until none is left."""
        before = mode.recording
        mode.recording = self.create_graph
        try:
            while self.heap:
                node = heapq.heappop(self.heap)[1]
                gradient = self.pending.pop(node)
                if node.hooks:
                    gradient = _call_hooks(node.hooks, gradient)
                if node in self.target_nodes:
                    self.watched[node] = gradient
                if self.needed is None and node.retain is not None:
                    kept = node.retain()
                    if kept is not None:
                        self.accumulate(kept, gradient)
                self.visit(node, gradient)
            for key, (leaf, gradient) in self.leaves.items():
                if leaf._hooks:
                    self.leaves[key] = (leaf, _call_hooks(leaf._hooks, gradient))
        finally:
            mode.recording = before

    def visit(self, node: Node, gradient: Tensor) -> None:
        """Ask one node's operation for the gradients of its inputs and hand them on."""
        if self.needed is not None and node not in self.needed:
            return
        if node.released:
            raise GradientError(
                f"{node.operation.name}: its saved arrays were freed by an earlier backward pass; "
                "pass retain_graph=True to the first one to go through the graph twice"
            )
        inputs = node.inputs
        recorded = needs = node.needs
        if self.needed is not None:
            needs = node.needs = tuple([self._wants(value) for value in inputs])
        try:
            gradients = node.operation.gradients(node, gradient)
        finally:
            node.needs = recorded  # another pass may want more
        if not self.retain_graph:
            node.release()
        for position, value in enumerate(inputs):
            if not needs[position]:
                continue
            found = gradients[position]
            if found is None:
                continue
            if found.shape != value.shape:
                raise GradientError(
                    f"{node.operation.name}: its backward gave a gradient of shape {found.shape} "
                    "for "
                    f"input {position} of shape {value.shape}"
                )
            if mode.anomaly:
                _refuse_nan(node, position, found)
            self.deliver(value, found)

    def accumulate(self, tensor: Tensor, gradient: Tensor) -> None:
        """Add a gradient to a tensor's ``grad``, which shares its memory with no other one."""
        if tensor.grad is not None:
            tensor.grad = tensor.grad + gradient
            return
        tensor.grad = gradient if self.create_graph else self.own(gradient)

    def own(self, gradient: Tensor) -> Tensor:
        """Return a gradient, or a copy of it where somebody else has its memory."""
        if isinstance(gradient, Deferred) and gradient.source is not None:
            return gradient  # nobody has looked at it: not the caller, and no hook
        address, owner = _memory(gradient.data)
        repeated = any(
            stride == 0 and size > 1
            for stride, size in zip(gradient.data.strides, gradient.shape, strict=True)
        )
        if repeated or address in self.owners:
            return wrap(gradient.data.copy())
        self.owners[address] = owner
        return gradient

    def _wants(self, value: Any) -> bool:
        if not getattr(value, "requires_grad", False):
            return False
        if value._node is None:
            return id(value) in self.target_leaves
        return value._node in self.needed or value._node in self.target_nodes  # type: ignore[operator]


def _call_hooks(hooks: dict, gradient: Tensor) -> Tensor:
    for hook in tuple(hooks.values()):
        replaced = hook(gradient)
        if replaced is None:
            continue
        if not isinstance(replaced, Tensor) or replaced.data.shape != gradient.data.shape:
            found = f"{type(replaced).__name__} of shape {getattr(replaced, 'shape', None)}"
            raise GradientError(
                f"a hook must return None or a Tensor of the gradient's shape {gradient.shape}, "
                f"not a {found}"
            )
        gradient = replaced
    return gradient


def _memory(array: Any) -> tuple[int, Any]:
    # Address and owner of the memory that an array, or a view of it, looks at.
    while backends.is_array(array.base):
        array = array.base
    if backends.name_of(array) == "numpy":
        return array.__array_interface__["data"][0], array
    return array.data.ptr, array


def _refuse_nan(node: Node, position: int, gradient: Tensor) -> None:
    xp = backends.xp(gradient.data)
    if not bool(xp.isfinite(gradient.data).all()):
        raise NotANumberError(
            f"{node.operation.name}: the backward pass gave a gradient with NaN or infinity for "
            "input "
            f"{position} (shape {gradient.shape}, options {node.options})"
        )


def _start(outputs: Sequence[Tensor], gradients: Sequence[Any] | None, what: str) -> list[Tensor]:
    # Check the outputs and make their first gradients.
    given = [None] * len(outputs) if gradients is None else list(gradients)
    if len(given) != len(outputs):
        raise ShapeError(f"{what}: {len(outputs)} outputs, but {len(given)} gradients")
    result = []
    for output, gradient in zip(outputs, given, strict=True):
        if not isinstance(output, Tensor):
            raise TypeError(f"{what}: expected a Tensor, got {type(output).__name__}")
        if not output.requires_grad:
            raise GradientError(
                f"{what}: the output requires no gradient; none of its inputs has "
                "requires_grad=True, "
                "or it was made inside no_grad()"
            )
        if gradient is None:
            if output.data.size != 1:
                raise GradientError(
                    f"{what}: the output has shape {output.shape}; only a single number has a "
                    "gradient "
                    "by itself: sum it up, or give the gradient of each element"
                )
            gradient = wrap(backends.xp(output.data).ones_like(output.data))
        elif not isinstance(gradient, Tensor):
            gradient = Tensor(backends.asarray(gradient, output.backend, dtype=output.dtype))
        if gradient.shape != output.shape or gradient.dtype != output.dtype:
            raise ShapeError(
                f"{what}: the output is {output.dtype} of shape {output.shape}, the gradient "
                "given for it "
                f"{gradient.dtype} of shape {gradient.shape}"
            )
        result.append(gradient)
    return result


def backward(
    output: Tensor,
    gradient: Tensor | None = None,
    *,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """Add the gradient of a tensor with respect to every leaf to the leaf's ``grad``.

    Parameters
    ----------
    output : Tensor
        Usually a loss: a tensor of one element.
    gradient : Tensor, optional
        Gradient of the final number with respect to the output, of the output's shape; 1 where the
        output has one element.
    retain_graph : bool, optional
        Keep what was saved, so that a second pass is possible. Like ``create_graph`` by default.
    create_graph : bool
        Record the backward pass itself, so that gradients can be differentiated again.

    Raises
    ------
    GradientError
        The output requires no gradient, is not a single number, was passed through before, or an
        array that the pass needs was changed in place.
    """
    retain = create_graph if retain_graph is None else retain_graph
    run = _Pass(create_graph, retain)
    first = _start([output], [gradient], "backward")[0]
    address, owner = _memory(first.data)
    run.owners[address] = owner  # it may be the caller's
    run.deliver(output, first)
    run.run()
    for leaf, total in run.leaves.values():
        run.accumulate(leaf, total)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    *,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """Return the gradients of outputs with respect to inputs, leaving every ``grad`` as it is.

    Parameters
    ----------
    outputs : Tensor or sequence of Tensor
    inputs : Tensor or sequence of Tensor
        Leaves or results; only the part of the graph between them and the outputs is worked
        through.
    grad_outputs : Tensor or sequence of (Tensor or None), optional
        Gradients of the outputs, 1 for those of one element.
    retain_graph, create_graph : bool
        As for :func:`backward`.
    allow_unused : bool
        Give None for an input that the outputs do not depend on, instead of an error.

    Returns
    -------
    tuple of (Tensor or None)
        One for each input.
    """
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if isinstance(grad_outputs, Tensor) or backends.is_array(grad_outputs):
        grad_outputs = [grad_outputs]
    retain = create_graph if retain_graph is None else retain_graph
    for value in (*outputs, *inputs):
        if not isinstance(value, Tensor):
            raise TypeError(f"grad: expected a Tensor, got {type(value).__name__}")
    for position, value in enumerate(inputs):
        if not value.requires_grad:
            raise GradientError(f"grad: input {position} requires no gradient")
    run = _Pass(create_graph, retain, _between(outputs, inputs), inputs)
    for output, gradient in zip(outputs, _start(outputs, grad_outputs, "grad"), strict=True):
        run.deliver(output, gradient)
    run.run()
    result: list[Tensor | None] = []
    for position, value in enumerate(inputs):
        if value._node is not None:
            found = run.watched.get(value._node)
        else:
            found = run.leaves.get(id(value), (None, None))[1]
        if found is None and not allow_unused:
            raise GradientError(
                f"grad: the outputs do not depend on input {position}; pass allow_unused=True to "
                "get None"
            )
        result.append(found)
    return tuple(result)


def _between(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> set[Node]:
    # The nodes through which an input can reach an output.
    reached: set[Node] = set()
    stack = [output._node for output in outputs if output._node is not None]
    while stack:
        node = stack.pop()
        if node in reached:
            continue
        reached.add(node)
        for value in node.inputs:
            if getattr(value, "_node", None) is not None:
                stack.append(value._node)
    leaves = {id(value) for value in inputs}
    needed: set[Node] = set()
    wanted = {value._node for value in inputs if value._node is not None}
    for node in sorted(reached, key=lambda node: node.order):
        # A released node is visited, so that the reason why there is no gradient is told.
        if node.released or any(
            id(value) in leaves or getattr(value, "_node", None) in wanted for value in node.inputs
        ):
            needed.add(node)
            wanted.add(node)
    return needed
