"""Containers: modules in a row (Sequential), in a list, in a dict."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, KeysView, Mapping
from typing import Any, overload

from minicnn.errors import ShapeError
from minicnn.nn.fusion import fuse
from minicnn.nn.module import Module

__all__ = ["ModuleDict", "ModuleList", "Sequential"]


class _Row(Module):
    """Modules in order, each with a name: what Sequential and ModuleList share."""

    def _list(self) -> list[Module]:
        return [module for _, module in self._own(Module)]

    def __len__(self) -> int:
        return len(self._own(Module))

    def __iter__(self) -> Iterator[Module]:
        return iter(self._list())

    def _arrange(self, items: Iterable[tuple[str, Module]]) -> None:
        # Give the modules this order; names that are numbers become those of the positions.
        for name, _ in self._own(Module):
            delattr(self, name)
        for position, (name, module) in enumerate(items):
            self.add_module(str(position) if name.isdigit() else name, module)

    def _position(self, index: Any) -> int:
        try:
            position = operator.index(index)
        except TypeError:
            raise TypeError(
                f"{type(self).__name__}: expected an integer or a slice, got {index!r}"
            ) from None
        count = len(self)
        if not -count <= position < count:
            raise IndexError(
                f"{type(self).__name__}: index {position} is out of range for {count} modules"
            )
        return position

    def __setitem__(self, index: int, module: Module) -> None:
        name, _ = self._own(Module)[self._position(index)]
        self.add_module(name, module)

    def __delitem__(self, index: int | slice) -> None:
        items: list[Any] = self._own(Module)
        del items[index if isinstance(index, slice) else self._position(index)]
        self._arrange(items)

    def append(self, module: Module) -> Any:
        """Add a module at the end, named by its position, and return the container."""
        position = len(self)
        while str(position) in self.__dict__:  # a slice keeps the names of what it was taken from
            position += 1
        self.add_module(str(position), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Any:
        """Add modules at the end, and return the container."""
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        """Put a module before an index, as a list does; those with numbers for names are renamed.

        Parameters
        ----------
        index : int
            From ``-len`` to ``len``.
        module : Module

        Returns
        -------
        Module
            The container itself.
        """
        count = len(self)
        if not -count <= index <= count:
            raise IndexError(
                f"{type(self).__name__}: cannot insert at {index} into {count} modules"
            )
        before, behind = self._own(Module)[:index], self._own(Module)[index:]
        self.append(module)
        self._arrange([*before, (str(count), module), *behind])
        return self


class Sequential(_Row):
    """Modules that are run one after the other.

    Parameters
    ----------
    *modules : Module, or one mapping of str to Module
        Named ``"0"``, ``"1"``, ... by position, or by the mapping's keys.
    **named : Module
        Named by their keywords; they come after the others.

    Examples
    --------
    >>> net = Sequential(Flatten(), Linear(48 * 48, 7))
    >>> net = Sequential(flat=Flatten(), scores=Linear(48 * 48, 7))
    >>> net.scores is net[-1]
    True
    """

    def __init__(self, *modules: Any, **named: Module) -> None:
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            named, modules = {**modules[0], **named}, ()
        for position, module in enumerate(modules):
            self.add_module(str(position), module)
        for name, module in named.items():
            self.add_module(name, module)

    @overload
    def __getitem__(self, index: int) -> Module: ...

    @overload
    def __getitem__(self, index: slice) -> Sequential: ...

    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return Sequential(dict(self._own(Module)[index]))
        return self._list()[self._position(index)]

    def forward(self, x: Any) -> Any:
        """Give the input to the first module, its output to the second, and so on.

        Neighbours that one operation can compute in fewer passes are computed so; see
        :mod:`minicnn.nn.fusion`.

        Raises
        ------
        ShapeError
            As a module raises it, with the name of that module before it.
        """
        items = self._own(Module)
        modules = [module for _, module in items]
        position = 0
        while position < len(items):
            function, count = fuse(modules[position:])
            name, module = items[position]
            try:
                x = function(x)
            except ShapeError as error:
                raise ShapeError(f"layer {name} ({type(module).__name__}): {error}") from error
            position += count
        return x


class ModuleList(_Row):
    """A list of modules that its owner calls as it likes; unlike a plain list it registers them.

    Parameters
    ----------
    modules : iterable of Module, optional
        Named ``"0"``, ``"1"``, ... by position.
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        self.extend(modules or ())

    @overload
    def __getitem__(self, index: int) -> Module: ...

    @overload
    def __getitem__(self, index: slice) -> ModuleList: ...

    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return ModuleList(self._list()[index])
        return self._list()[self._position(index)]


class ModuleDict(Module):
    """A dict of modules that its owner calls as it likes; unlike a plain dict it registers them.

    Parameters
    ----------
    modules : mapping of str to Module, or iterable of pairs, optional
    """

    def __init__(
        self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None
    ) -> None:
        self.update(modules or {})

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add modules, or replace those of the same names."""
        for name, module in dict(modules).items():
            self[name] = module

    def __getitem__(self, name: str) -> Module:
        found = dict(self._own(Module))
        if name not in found:
            raise KeyError(
                f"ModuleDict: there is no {name!r}; it has {', '.join(found) or 'no modules'}"
            )
        return found[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self.add_module(name, module)

    def __delitem__(self, name: str) -> None:
        self[name]
        delattr(self, name)

    def __len__(self) -> int:
        return len(self._own(Module))

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def keys(self) -> KeysView[str]:
        """Return the names, in order."""
        return dict(self._own(Module)).keys()

    def values(self) -> list[Module]:
        """Return the modules, in order."""
        return [module for _, module in self._own(Module)]

    def items(self) -> list[tuple[str, Module]]:
        """Return pairs of name and module, in order."""
        return self._own(Module)
