"""The tree that modules form: walking over modules, parameters, buffers and generators by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.errors import OptionError
from minicnn.nn.parameter import Buffer, Parameter

if TYPE_CHECKING:
    from minicnn.nn.module import Module

__all__ = ["ModuleTree"]


class ModuleTree:
    """What a module knows of itself and of the modules below it; the base of Module only.

    A module's attributes are the register: what is assigned to one is owned, in the order of first
    assignment. The name of anything is the attributes on the way to it, joined by dots.
    """

    def _own(self, kind: type) -> list[tuple[str, Any]]:
        return [item for item in self.__dict__.items() if isinstance(item[1], kind)]

    def named_modules(self, remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
        """Yield this module (named ``""``) and all below it, parents before children.

        Parameters
        ----------
        remove_duplicate : bool
            Yield a module that is in several places only once, under its first name.
        """
        seen: set[int] = set()
        stack: list[tuple[str, Any, tuple[int, ...]]] = [("", self, ())]
        while stack:
            name, module, path = stack.pop()
            if id(module) in (seen if remove_duplicate else path):
                continue
            seen.add(id(module))
            yield name, module
            path = (*path, id(module))
            children = reversed(module._own(ModuleTree))
            stack.extend((_join(name, child), value, path) for child, value in children)

    def modules(self) -> Iterator[Module]:
        """Yield this module and all below it, each once, parents before children."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the modules directly below this one, each once, with their names."""
        return self._named(ModuleTree, recurse=False)

    def children(self) -> Iterator[Module]:
        """Yield the modules directly below this one, each once."""
        return (module for _, module in self.named_children())

    def get_submodule(self, name: str) -> Module:
        """Return the module of a name as :meth:`named_modules` gives it, such as ``"features.3"``.

        Raises
        ------
        OptionError
            There is none; the message names those that exist where the path breaks off.
        """
        module: Any = self
        for part in name.split(".") if name else ():
            children = dict(module._own(ModuleTree))
            if part not in children:
                listed = ", ".join(children) or "no children"
                raise OptionError(
                    f"{type(self).__name__}: there is no module {name!r}; "
                    f"{type(module).__name__} has {listed}"
                )
            module = children[part]
        return module

    def _named(self, kind: type, *, recurse: bool = True) -> Iterator[tuple[str, Any]]:
        # Everything of a kind, once, under its first name.
        seen: set[int] = set()
        for place, module in self.named_modules() if recurse else [("", self)]:
            for name, value in module._own(kind):
                if id(value) not in seen:
                    seen.add(id(value))
                    yield _join(place, name), value

    def named_parameters(self, recurse: bool = True) -> Iterator[tuple[str, Parameter]]:
        """Yield the parameters with their names; a shared one once, under its first name.

        Parameters
        ----------
        recurse : bool
            Also those of the modules below.
        """
        return self._named(Parameter, recurse=recurse)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield the parameters, each once."""
        return (parameter for _, parameter in self.named_parameters(recurse))

    def named_buffers(self, recurse: bool = True) -> Iterator[tuple[str, Buffer]]:
        """Yield the buffers with their names; a shared one once, under its first name."""
        return self._named(Buffer, recurse=recurse)

    def buffers(self, recurse: bool = True) -> Iterator[Buffer]:
        """Yield the buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse))

    def generators(self) -> Iterator[np.random.Generator]:
        """Yield the random generators of all modules, each once, whose state a checkpoint saves."""
        return (generator for _, generator in self._named(np.random.Generator))

    def num_parameters(self, trainable: bool | None = None, *, buffers: bool = False) -> int:
        """Count the numbers in the parameters, those of shared ones once.

        Parameters
        ----------
        trainable : bool, optional
            Count only parameters that require a gradient (True) or only the others (False).
        buffers : bool
            Count the buffers as well, as parameters that are not trainable. Keras does so in its
            totals, PyTorch does not.

        Returns
        -------
        int
        """
        tensors: list[Tensor] = [*self.parameters(), *(self.buffers() if buffers else ())]
        return sum(each.size for each in tensors if trainable in (None, each.requires_grad))

    def _named_state(self) -> Iterator[tuple[str, Tensor]]:
        # Every name of every parameter and saved buffer: module by module, parameters first.
        for place, module in self.named_modules(remove_duplicate=False):
            saved = [item for item in module._own(Buffer) if item[1].persistent]
            for name, tensor in (*module._own(Parameter), *saved):
                yield _join(place, name), tensor


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
