"""Module: the base of every layer and network, which owns parameters, buffers and other modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from minicnn import backend as backends
from minicnn.autograd import Hook, Tensor
from minicnn.errors import OptionError
from minicnn.nn.description import constructor_arguments, nested
from minicnn.nn.parameter import Buffer, Parameter
from minicnn.nn.state import IncompatibleKeys, load_tensors
from minicnn.nn.tree import ModuleTree

__all__ = ["Module"]

Self = TypeVar("Self", bound="Module")
ForwardHook = Callable[["Module", tuple, Any], Any]
ForwardPreHook = Callable[["Module", tuple], Any]


class Module(ModuleTree):
    """Base class of layers and networks.

    A subclass makes its parameters and submodules in ``__init__``, by assigning them to attributes,
    and computes in ``forward``. Nothing needs to be set up before: ``super().__init__()`` may be
    called but does nothing. Constructor arguments kept under their own names are shown by ``repr``.

    Attributes
    ----------
    training : bool
        True until :meth:`eval`; dropout and batch normalisation go by it.

    Examples
    --------
    >>> class Scale(Module):
    ...     def __init__(self, features):
    ...         self.features = features
    ...         self.factor = Parameter(minicnn.tensor([1.0] * features))
    ...
    ...     def forward(self, x):
    ...         return x * self.factor
    """

    training: bool = True
    _forward_hooks: dict[int, ForwardHook] | None = None
    _forward_pre_hooks: dict[int, ForwardPreHook] | None = None

    # -- calling ---------------------------------------------------------------------------------

    def forward(self, *inputs: Any) -> Any:
        """Compute the output; subclasses define it. Call the module itself, which runs hooks."""
        raise NotImplementedError(
            f"{type(self).__name__} cannot be called: it does not define forward(self, ...)"
        )

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Run the hooks, and :meth:`forward` between them."""
        if self.has_forward_hooks:
            return self._call_with_hooks(inputs, options)
        return self.forward(*inputs, **options)

    @property
    def has_forward_hooks(self) -> bool:
        """Whether a forward hook or forward pre-hook is registered."""
        return bool(self._forward_hooks or self._forward_pre_hooks)

    def _call_with_hooks(self, inputs: tuple, options: dict[str, Any]) -> Any:
        for pre_hook in tuple((self._forward_pre_hooks or {}).values()):
            replaced = pre_hook(self, inputs)
            if replaced is not None:
                inputs = replaced if isinstance(replaced, tuple) else (replaced,)
        output = self.forward(*inputs, **options)
        for hook in tuple((self._forward_hooks or {}).values()):
            replaced = hook(self, inputs, output)
            if replaced is not None:
                output = replaced
        return output

    def register_forward_hook(self, function: ForwardHook) -> Hook:
        """Call ``function(module, inputs, output)`` after every forward.

        Parameters
        ----------
        function : callable
            Gets the positional inputs as a tuple. What it returns, if not None, takes the place of
            the output.

        Returns
        -------
        Hook
            Its ``remove()`` takes the hook away.
        """
        if self._forward_hooks is None:
            self._forward_hooks = {}
        return Hook(self._forward_hooks, function)

    def register_forward_pre_hook(self, function: ForwardPreHook) -> Hook:
        """Call ``function(module, inputs)`` before every forward.

        Parameters
        ----------
        function : callable
            What it returns, if not None, takes the place of the inputs: a tuple of them, or one.

        Returns
        -------
        Hook
            Its ``remove()`` takes the hook away.
        """
        if self._forward_pre_hooks is None:
            self._forward_pre_hooks = {}
        return Hook(self._forward_pre_hooks, function)

    # -- registering -----------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        owned = self.__dict__.get(name)
        if isinstance(owned, (Tensor, Module)) and value is not None:
            value = _replacement(type(self).__name__, name, owned, value)
        object.__setattr__(self, name, value)

    def register_buffer(self, name: str, value: Any, persistent: bool = True) -> None:
        """Make a tensor part of the module's state that is not trained.

        Parameters
        ----------
        name : str
            Of the attribute.
        value : array of either backend, Tensor or None
        persistent : bool
            Whether it is saved in the state dict.

        Raises
        ------
        OptionError
            The name is empty, has a dot in it, or is that of another attribute.
        """
        self._check_name(name, Tensor)
        setattr(self, name, None if value is None else Buffer(value, persistent))

    def add_module(self, name: str, module: Module) -> None:
        """Make a module a child under a name that need not be an identifier, such as ``"0"``.

        Parameters
        ----------
        name : str
        module : Module

        Raises
        ------
        OptionError
            The name is empty, has a dot in it, or is that of another attribute.
        """
        if not isinstance(module, Module):
            given = module.__name__ if isinstance(module, type) else type(module).__name__
            hint = f"; did you mean {given}()?" if isinstance(module, type) else ""
            raise TypeError(f"{type(self).__name__}: {name!r} must be a Module, got {given}{hint}")
        self._check_name(name, Module)
        setattr(self, name, module)

    def _check_name(self, name: Any, kind: type) -> None:
        if not isinstance(name, str) or not name or "." in name:
            raise OptionError(
                f"{type(self).__name__}: the name {name!r} must be a string without dots"
            )
        taken = self.__dict__.get(name)
        if hasattr(type(self), name) or not (taken is None or isinstance(taken, kind)):
            raise OptionError(
                f"{type(self).__name__}: the name {name!r} is that of another attribute or a "
                "method; choose another one"
            )

    # -- changing --------------------------------------------------------------------------------

    def apply(self: Self, function: Callable[[Module], Any]) -> Self:
        """Call a function with every module below this one, and then with this one."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    def train(self: Self, mode: bool = True) -> Self:
        """Switch this module and all below it to training, or with False to evaluation."""
        if not isinstance(mode, bool):
            raise OptionError(f"train: expected True or False, got {mode!r}")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: Self) -> Self:
        """Switch this module and all below it to evaluation, as :meth:`train` with False."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Train (True) or freeze (False) all parameters of this module and those below it."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self) -> None:
        """Drop the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def to(self: Self, *targets: Any) -> Self:
        """Move all parameters and buffers to a backend, or convert them to a floating-point type.

        The tensors stay the same objects, and their gradients come along. The state of an optimiser
        does not, so move the model before the optimiser makes its first step.

        Parameters
        ----------
        *targets : {"numpy", "cupy", "auto"} or dtype
            One of either, or both. Buffers of integers keep their type.

        Raises
        ------
        OptionError
            A target is neither.
        BackendError
            The backend does not work here.
        """
        name, dtype = None, None
        for target in targets:
            if isinstance(target, str) and target in (*backends.NAMES, "auto"):
                name = backends.choose(target).name
            else:
                dtype = _float_type(target)
        for tensor in (*self.parameters(), *self.buffers()):
            tensor.data = _moved(tensor.data, name, dtype)
            if tensor.grad is not None:
                tensor.grad = Tensor(_moved(tensor.grad.data, name, dtype))
        return self

    # -- state -----------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return copies of all parameters and buffers by name, which training leaves alone.

        PyTorch's entries share memory with the model, and it lists a shared tensor several times.

        Returns
        -------
        dict of str to array
            In order, each on the backend of its tensor and C-contiguous. A tensor that is shared
            comes once, under its first name.
        """
        names: dict[int, tuple[str, Tensor]] = {}
        for name, tensor in self._named_state():
            names.setdefault(id(tensor), (name, tensor))
        return {name: tensor.data.copy() for name, tensor in names.values()}

    def load_state_dict(self, state: Any, strict: bool = True) -> IncompatibleKeys:
        """Copy values into the parameters and buffers; nothing is changed unless everything fits.

        Parameters
        ----------
        state : mapping of str to array or Tensor
            On either backend. A shared tensor may come under any of its names, or several.
        strict : bool
            Refuse missing and unexpected names. Shapes and types that do not fit always are.

        Returns
        -------
        IncompatibleKeys
            ``missing_keys`` and ``unexpected_keys``, lists of str.

        Raises
        ------
        CheckpointError
            Names everything that is missing, unexpected or does not fit.
        """
        return load_tensors(type(self).__name__, list(self._named_state()), state, strict=strict)

    # -- printing --------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """Return what ``repr`` shows beside the children: the constructor's arguments."""
        return constructor_arguments(self)

    def __repr__(self) -> str:
        children = [(name, repr(child)) for name, child in self._own(Module)]
        return nested(type(self).__name__, self.extra_repr(), children)


def _replacement(owner: str, name: str, owned: Tensor | Module, value: Any) -> Any:
    # What may take the place of something registered: else it would drop out of the state unseen.
    if isinstance(owned, Buffer) and type(value) is Tensor:
        return Buffer(value, owned.persistent)
    kind = next((k for k in (Parameter, Buffer, Module) if isinstance(owned, k)), object)
    if isinstance(value, kind):
        return value
    remedy = "" if kind is Module else f"; to change its values use {name}.copy_(...)"
    raise TypeError(
        f"{owner}: {name!r} is a {kind.__name__}, and can be replaced by another one or by None, "
        f"not by a {type(value).__name__}{remedy}"
    )


def _float_type(target: Any) -> np.dtype:
    try:
        dtype = np.dtype("bool" if target is None else target)
    except TypeError:
        dtype = np.dtype(bool)
    if dtype.kind != "f":
        raise OptionError(
            f"to: expected a backend ({', '.join(backends.NAMES)}, auto) or a floating-point type, "
            f"got {target!r}"
        )
    return dtype


def _moved(array: Any, name: str | None, dtype: np.dtype | None) -> Any:
    kept = dtype if array.dtype.kind == "f" else None
    return backends.asarray(array, name or backends.name_of(array), kept)
