"""Look into a model while it runs: hold it still, find a layer by name, take what comes out."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from minicnn.autograd import Tensor, enable_grad
from minicnn.errors import OptionError, ShapeError
from minicnn.nn.conv import Conv2d
from minicnn.nn.module import Module

__all__ = [
    "find_layer",
    "frozen",
    "hooked",
    "last_convolution",
    "layer_output",
    "score_from_layer",
]


@contextmanager
def frozen(model: Module) -> Iterator[None]:
    """Hold a model still: in evaluation mode, and with no gradients for its parameters.

    Inside, operations on tensors that require a gradient are recorded, also where the caller
    had switched recording off. At the end each module is in its mode again, and each parameter
    requires a gradient if it did.

    Raises
    ------
    OptionError
        The model is no Module.
    """
    if not isinstance(model, Module):
        given = model.__name__ if isinstance(model, type) else type(model).__name__
        raise OptionError(f"explain: expected a model, a minicnn.nn.Module, got {given}")
    modes = [(module, module.training) for module in model.modules()]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        model.eval()
        for parameter in trained:
            parameter.requires_grad_(False)
        with enable_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter in trained:
            parameter.requires_grad_(True)


@contextmanager
def hooked(modules: Iterable[Module], hook: Callable[[Module, tuple, Any], Any]) -> Iterator[None]:
    """Call a forward hook on some modules inside; see `register_forward_hook`.

    A module with a hook always runs by itself: Sequential joins none with its neighbours.
    """
    handles = [module.register_forward_hook(hook) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def find_layer(model: Module, name: str) -> Module:
    """Return the module of a name as `named_modules` gives it, such as ``"features.3"``.

    Raises
    ------
    OptionError
        There is none; the message lists those that there are.
    """
    known = dict(model.named_modules(remove_duplicate=False))
    del known[""]
    if name in known:
        return known[name]
    near = difflib.get_close_matches(str(name), known, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise OptionError(
        f"layer: there is no {name!r}; {hint}{type(model).__name__} has "
        f"{', '.join(known) or 'no layers'}"
    )


def last_convolution(model: Module) -> str:
    """Return the name of a model's last convolution, in the order of `named_modules`.

    Raises
    ------
    OptionError
        It has none.
    """
    names = [name for name, module in model.named_modules() if isinstance(module, Conv2d)]
    if not names:
        raise OptionError(
            f"layer: {type(model).__name__} has no convolution to take; name a layer that gives "
            "maps of shape (N, H, W, C)"
        )
    return names[-1]


class _Reached(BaseException):
    """Ends a run at the layer whose output is wanted; no module's ``except Exception`` stops it."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output


def layer_output(model: Module, x: Tensor, layer: str | None) -> Tensor:
    """Run a model as far as a layer, and return what comes out of it.

    Parameters
    ----------
    model : Module
        In :func:`frozen`.
    x : Tensor of shape (N, H, W, C)
    layer : str or None
        A name as `named_modules` gives it; None for the model's own output. Of a layer that runs
        several times, the first run counts.

    Returns
    -------
    Tensor of shape (N, ...)

    Raises
    ------
    OptionError
        There is no such layer, it does not run, or it gives no tensor.
    """
    if layer is None:
        return _checked(model(x), "the model", x)

    def stop(module: Module, inputs: tuple, output: Any) -> None:
        raise _Reached(output)

    with hooked([find_layer(model, layer)], stop):
        try:
            model(x)
        except _Reached as reached:
            return _checked(reached.output, f"layer {layer}", x)
    raise _never_ran(layer)


def score_from_layer(model: Module, x: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    """Run a model so that its outputs can be differentiated with respect to a layer's output.

    Nothing is recorded of what comes before the layer.

    Parameters
    ----------
    model : Module
        In :func:`frozen`.
    x : Tensor of shape (N, H, W, C)
        Without a gradient.
    layer : str
        Of a layer that runs several times, the first run counts.

    Returns
    -------
    outputs : Tensor
        Of the model.
    inner : Tensor
        Of the layer, a leaf that requires a gradient.

    Raises
    ------
    OptionError
        There is no such layer, it does not run, or it gives no tensor.
    """
    found: list[Tensor] = []

    def make_leaf(module: Module, inputs: tuple, output: Any) -> Tensor | None:
        if found:
            return None
        found.append(Tensor(_checked(output, f"layer {layer}", x).data, requires_grad=True))
        return found[0]

    with hooked([find_layer(model, layer)], make_leaf):
        outputs = _checked(model(x), "the model", x)
    if not found:
        raise _never_ran(layer)
    return outputs, found[0]


def _never_ran(layer: str) -> OptionError:
    return OptionError(f"layer: {layer!r} does not run when the model is called; name another one")


def _checked(output: Any, what: str, x: Tensor) -> Tensor:
    if not isinstance(output, Tensor):
        raise OptionError(f"explain: {what} gives {type(output).__name__}, and no Tensor")
    if output.shape[:1] != x.shape[:1]:
        raise ShapeError(
            f"explain: for {len(x)} images {what} gives the shape {output.shape}; expected one "
            "output for each image, on the first axis"
        )
    return output
