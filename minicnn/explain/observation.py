"""Look into a model while it runs: hold it still, find a layer by name, take what comes out."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from minicnn.autograd import Tensor, enable_grad
from minicnn.errors import OptionError, ShapeError, listed
from minicnn.nn.committee import Committee
from minicnn.nn.conv import Conv2d
from minicnn.nn.module import Module
from minicnn.ops.shape import concatenate

__all__ = [
    "find_layer",
    "frozen",
    "hooked",
    "last_convolution",
    "layer_output",
    "score_from_layer",
]

_LISTED = 50  # layers in a message


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
        There is none; the message lists some that there are.
    """
    known = dict(model.named_modules(remove_duplicate=False))
    del known[""]
    if name in known:
        return known[name]
    near = difflib.get_close_matches(str(name), known, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    layers = listed(known, _LISTED) or "no layers"
    raise OptionError(f"layer: there is no {name!r}; {hint}{type(model).__name__} has {layers}")


def last_convolution(model: Module) -> str:
    """Return the name of a model's last convolution, in the order of `named_modules`.

    Where it belongs to a committee, that of each member, joined by ``+``.

    Raises
    ------
    OptionError
        It has none.
    """
    return "+".join(_last_convolutions(model))


def _last_convolutions(model: Module, where: str = "") -> list[str]:
    modules = dict(model.named_modules())
    names = [name for name, module in modules.items() if isinstance(module, Conv2d)]
    if not names:
        raise OptionError(
            f"layer: {where}{type(model).__name__} has no convolution to take; name a layer that "
            "gives maps of shape (N, H, W, C)"
        )
    for name, module in modules.items():
        if isinstance(module, Committee) and (not name or names[-1].startswith(f"{name}.")):
            members = f"{name}.members".lstrip(".")
            return [
                f"{members}.{number}.{each}".rstrip(".")
                for number, member in enumerate(module.members)
                for each in _last_convolutions(member, f"member {number} of the committee, a ")
            ]
    return names[-1:]


class _Reached(BaseException):
    """Ends a run where all is known that is wanted; no module's ``except Exception`` stops it."""


def layer_output(model: Module, x: Tensor, layer: str | None) -> Tensor:
    """Run a model as far as a layer, and return what comes out of it.

    Parameters
    ----------
    model : Module
        In :func:`frozen`.
    x : Tensor of shape (N, H, W, C)
    layer : str or None
        A name as `named_modules` gives it; None for the model's own output. Of a layer that runs
        several times, the first run counts. Several names, joined by ``+``, are one layer that
        gives what all of them give, side by side on the last axis.

    Returns
    -------
    Tensor of shape (N, ...)

    Raises
    ------
    OptionError
        There is no such layer, it does not run, or it gives no tensor.
    ShapeError
        It does not give one output for each image, or joined ones give pictures of several sizes.
    """
    if layer is None:
        return _checked(model(x), "the model", x)

    layers = _parts(model, layer)
    found: dict[Module, Tensor] = {}

    def note(module: Module, inputs: tuple, output: Any) -> None:
        found.setdefault(module, _checked(output, f"layer {layers[module]}", x))
        if len(found) == len(layers):
            raise _Reached

    with hooked(layers, note), suppress(_Reached):
        model(x)
    outputs = _in_order(found, layers)
    return outputs[0] if len(outputs) == 1 else concatenate(outputs, -1)


def score_from_layer(model: Module, x: Tensor, layer: str) -> tuple[Tensor, list[Tensor]]:
    """Run a model so that its outputs can be differentiated with respect to a layer's output.

    Nothing is recorded of what comes before the layer.

    Parameters
    ----------
    model : Module
        In :func:`frozen`.
    x : Tensor of shape (N, H, W, C)
        Without a gradient.
    layer : str
        Of a layer that runs several times, the first run counts. Several names are joined by ``+``.

    Returns
    -------
    outputs : Tensor
        Of the model.
    inner : list of Tensor
        Of each layer that is named, leaves that require a gradient.

    Raises
    ------
    OptionError
        There is no such layer, it does not run, it gives no tensor, or it comes after another one
        of those that are joined.
    ShapeError
        As for :func:`layer_output`.
    """
    layers = _parts(model, layer)
    found: dict[Module, Tensor] = {}

    def make_leaf(module: Module, inputs: tuple, output: Any) -> Tensor | None:
        if module in found:
            return None
        output = _checked(output, f"layer {layers[module]}", x)
        if found and output.requires_grad:  # parameters are frozen, images are given
            before = " or ".join(layers[each] for each in found)
            raise OptionError(
                f"layer: {layers[module]} comes after {before}, and what that has to say would "
                "count through it; join layers of which none follows from another"
            )
        found[module] = Tensor(output.data, requires_grad=True)
        return found[module]

    with hooked(layers, make_leaf):
        outputs = _checked(model(x), "the model", x)
    return outputs, _in_order(found, layers)


def _parts(model: Module, layer: str) -> dict[Module, str]:
    # The modules that a name, or several names, mean. A module's own name may have a plus in it.
    if not isinstance(layer, str):
        raise OptionError(f"layer: expected a name, or several joined by '+', got {layer!r}")
    known = dict(model.named_modules(remove_duplicate=False))
    names = [layer] if layer in known else layer.split("+")
    if not all(names):
        raise OptionError(f"layer: a name is missing in {layer!r}")
    return {find_layer(model, name): name for name in names}


def _in_order(found: dict[Module, Tensor], layers: dict[Module, str]) -> list[Tensor]:
    for module, name in layers.items():
        if module not in found:
            raise OptionError(
                f"layer: {name!r} does not run when the model is called; name another one"
            )
    outputs = [found[module] for module in layers]
    first, *others = zip(layers.values(), [output.shape[1:-1] for output in outputs], strict=True)
    for name, size in others:
        if size != first[1]:
            raise ShapeError(
                f"layer: {first[0]} and {name} give pictures of different sizes, {first[1]} and "
                f"{size}; name one of them, or layers of one size"
            )
    return outputs


def _checked(output: Any, what: str, x: Tensor) -> Tensor:
    if not isinstance(output, Tensor):
        raise OptionError(f"explain: {what} gives {type(output).__name__}, and no Tensor")
    if output.shape[:1] != x.shape[:1]:
        raise ShapeError(
            f"explain: for {len(x)} images {what} gives the shape {output.shape}; expected one "
            "output for each image, on the first axis"
        )
    return output
