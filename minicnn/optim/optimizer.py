"""Optimizer: what all optimisers share: groups, the walk over the parameters, the saved state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from typing import Any, ClassVar

import numpy as np

from minicnn import backend
from minicnn.autograd import Tensor
from minicnn.errors import BackendError, CheckpointError, DTypeError, OptionError, ShapeError
from minicnn.kernels.matmul import Product
from minicnn.optim.checks import Check, integer
from minicnn.optim.parameters import array_or_product, refuse_results, tensor_list
from minicnn.optim.saved import fitting_copy
from minicnn.optim.workspace import Change, Workspaces

__all__ = ["Optimizer", "Parameters", "decayed"]

Parameters = Iterable[Tensor] | Iterable[dict[str, Any]]

# The running means of a gradient that stays 0, as that of a dead unit does, shrink to subnormal
# numbers and remain there, and a CPU needs some hundred times as long for those: a step of Adam on
# a dense layer whose units were dead by half took 8 ms instead of 0.9. So every so many steps what
# is near them becomes 0. In between a mean shrinks by less than the margin (0.9**64 > 2**-10), and
# so does its product with a learning rate. Beside eps**2 = 1e-16 what is cleared, 1e-32, is naught.
_CLEAN_EVERY = 64
_MARGIN = 2**20


class Optimizer:
    """Base of the optimisers.

    A subclass declares ``checks`` (its hyperparameters), :meth:`array_names` (the state that it
    keeps for a parameter) and :meth:`update` (its formula).

    Parameters
    ----------
    parameters : iterable of Tensor, or of dict
        Leaves to change. Dicts are parameter groups: ``{"params": tensors, "lr": 0.1, ...}``; what
        a group does not name is taken from `defaults`.
    defaults : dict
        Value of each hyperparameter.

    Attributes
    ----------
    param_groups : list of dict
        The hyperparameters of each group by name, and its tensors under ``"params"``. A change
        takes effect with the next step: schedules set ``group["lr"]``.
    state : dict of Tensor to dict
        For each parameter that was changed at least once: the number of its steps under
        ``"step"``, and arrays of the parameter's shape.
    defaults : dict

    Raises
    ------
    OptionError
        No parameters, a parameter given twice, one that is the result of an operation, or a
        hyperparameter that is unknown or out of range.
    TypeError
        Something that is no Tensor among the parameters.
    """

    checks: ClassVar[dict[str, Check]] = {}

    def __init__(self, parameters: Parameters, defaults: dict[str, Any]) -> None:
        self.defaults = self._checked(defaults)
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        self._workspaces = Workspaces()
        if isinstance(parameters, (Tensor, Mapping)):
            raise TypeError(
                f"{self._name}: expected an iterable of Tensors or of dicts, got one "
                f"{type(parameters).__name__}; put it into a list"
            )
        given: Any = parameters
        if not isinstance(given, (set, frozenset)) and isinstance(given, Iterable):
            given = list(given)
        grouped = isinstance(given, list) and bool(given) and isinstance(given[0], Mapping)
        for group in given if grouped else [{"params": given}]:
            self.add_param_group(group)
        if not any(group["params"] for group in self.param_groups):
            raise OptionError(
                f"{self._name}: there are no parameters; was a generator used up before, or has "
                "the model no layers with weights?"
            )

    # -- what a subclass declares ----------------------------------------------------------------

    def array_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Return the names of the arrays that are kept for each parameter of a group."""
        raise NotImplementedError

    def start_value(self, name: str, group: dict[str, Any]) -> float:
        """Return the number that fills a state array before a parameter's first step."""
        return 0.0

    def check_group(self, options: dict[str, Any]) -> None:
        """Raise OptionError for values that are in range but do not go together."""

    def update(self, xp: Any, group: dict[str, Any], step: int, parts: Iterator[tuple]) -> None:
        """Change one parameter and its state in place.

        Parameters
        ----------
        xp : module
            NumPy or CuPy.
        group : dict
            The hyperparameters.
        step : int
            1 in the parameter's first step.
        parts : iterator of tuple of arrays of shape (K,)
            Part by part: the parameter, its gradient (not to be changed), the arrays of
            :meth:`array_names`, and two scratch arrays.
        """
        raise NotImplementedError

    def compiled_update(self, group: dict[str, Any], step: int) -> Callable[..., None] | None:
        """Return compiled code for :meth:`update` on whole flat float32 arrays, if there is any.

        Returns
        -------
        callable or None
            Takes the parameter, its gradient and the arrays of :meth:`array_names`.
        """
        return None

    # -- parameter groups ------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _parameters(self) -> Iterator[tuple[dict[str, Any], Tensor]]:
        for group in self.param_groups:
            for parameter in group["params"]:
                yield group, parameter

    def _checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        unknown = [name for name in options if name not in self.checks]
        if unknown:
            raise OptionError(
                f"{self._name}: {unknown[0]!r} is unknown; its options are {', '.join(self.checks)}"
            )
        checked = {
            name: self.checks[name](f"{self._name}: {name}", value)
            for name, value in options.items()
        }
        self.check_group(checked)
        return checked

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add parameters with hyperparameters of their own.

        Parameters
        ----------
        group : dict
            ``"params"`` (a Tensor or an iterable of Tensors) and any of the hyperparameters; the
            others are the optimiser's defaults.

        Raises
        ------
        OptionError, TypeError
            As for the class. The optimiser stays as it was.
        """
        if not isinstance(group, Mapping) or "params" not in group:
            raise TypeError(
                f'{self._name}: a parameter group is a dict with "params", got one '
                f"{type(group).__name__}"
            )
        tensors = tensor_list(self._name, group["params"])
        refuse_results(self._name, tensors)
        seen = {id(parameter) for _, parameter in self._parameters()}
        for position, parameter in enumerate(tensors):
            if id(parameter) in seen:
                raise OptionError(
                    f"{self._name}: parameter {position} of shape {parameter.shape} is given "
                    "twice; a shared parameter belongs into one group, once"
                )
            seen.add(id(parameter))
        options = {name: value for name, value in group.items() if name != "params"}
        self.param_groups.append({"params": tensors, **self._checked({**self.defaults, **options})})

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to None."""
        for _, parameter in self._parameters():
            parameter.grad = None

    def __repr__(self) -> str:
        groups = []
        for group in self.param_groups:
            options = ", ".join(f"{name}={group[name]!r}" for name in self.checks)
            groups.append(f"{len(group['params'])} parameters: {options}")
        return f"{self._name}({'; '.join(groups)})"

    # -- the step --------------------------------------------------------------------------------

    def step(self) -> None:
        """Change every parameter that has a gradient, in place; gradients are only read.

        Raises
        ------
        ShapeError, DTypeError, BackendError
            A gradient, or what is kept for a parameter, does not fit the parameter. Nothing was
            changed.
        """
        todo = []
        for group, parameter in self._parameters():
            if parameter.grad is not None:
                gradient = _gradient_of(parameter)
                self._check(group, parameter, gradient)
                todo.append((group, parameter, gradient))
        changes, cleanings, copies = [], [], []
        updates: dict[Any, tuple[Callable[..., None], Callable[..., Any]]] = {}
        for group, parameter, gradient in todo:
            state, data = self._state_of(group, parameter), parameter.data
            arrays = [state[name] for name in self.array_names(group)]
            xp = backend.xp(data)
            # The first is a copy where the parameter is not contiguous.
            flats = [_flat(each) for each in (data, gradient, *arrays)]
            if not data.flags.c_contiguous:
                copies.append((data, flats[0]))
            state["step"] += 1
            same = (id(group), state["step"], xp)
            if same not in updates:
                updates[same] = (
                    partial(self.update, xp, group, state["step"]),
                    cache(partial(self.compiled_update, group, state["step"])),
                )
            changes.append(Change(flats, *updates[same]))
            if state["step"] % _CLEAN_EVERY == 0 and data.dtype != "float16":
                clean = partial(_clean, xp, _MARGIN * float(xp.finfo(data.dtype).tiny))
                cleanings += [Change([each], clean) for each in flats[2:]]
        self._workspaces.change(changes)
        self._workspaces.change(cleanings)
        for data, flat in copies:
            data[...] = flat.reshape(data.shape)
        for _, parameter, _ in todo:
            parameter.mark_changed()

    def _check(self, group: dict[str, Any], parameter: Tensor, gradient: Any) -> None:
        data, state = parameter.data, self.state.get(parameter, {})
        arrays = [state[name] for name in self.array_names(group) if name in state]
        late = "; convert the model before the optimiser's first step"
        for what, array, advice in [
            ("gradient", gradient, ""),
            *[("state", each, late) for each in arrays],
        ]:
            if array.shape != data.shape:
                raise ShapeError(
                    f"{self._name}: a parameter of shape {data.shape} has a {what} of shape "
                    f"{array.shape}{advice}"
                )
            if array.dtype != data.dtype:
                raise DTypeError(
                    f"{self._name}: a parameter of type {data.dtype} has a {what} of type "
                    f"{array.dtype}{advice}"
                )
        try:
            backend.xp(data, None if isinstance(gradient, Product) else gradient, *arrays)
        except BackendError:
            held = f", its state on {backend.name_of(arrays[0])}" if arrays else ""
            raise BackendError(
                f"{self._name}: a parameter is on {backend.name_of(data)}, its gradient on "
                f"{backend.name_of(gradient)}{held}; move the model before the optimiser's "
                "first step"
            ) from None

    def _state_of(self, group: dict[str, Any], parameter: Tensor) -> dict[str, Any]:
        # An option that is switched on later (momentum) brings arrays that are not there yet.
        state = self.state.setdefault(parameter, {"step": 0})
        for name in self.array_names(group):
            if name not in state:
                data = parameter.data
                value = self.start_value(name, group)
                state[name] = backend.xp(data).full(data.shape, value, dtype=data.dtype)
        return state

    # -- saving ----------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs.

        Returns
        -------
        dict
            ``"arrays"``: dict of ``"<number of the parameter>.<name>"`` to array, copies on the
            parameters' backend. ``"settings"``: what JSON can hold: the class, the groups'
            hyperparameters, the steps of each parameter.
        """
        arrays: dict[str, Any] = {}
        steps = []
        for number, (group, parameter) in enumerate(self._parameters()):
            if parameter not in self.state:
                steps.append(0)
                continue
            state = self._state_of(group, parameter)
            steps.append(state["step"])
            for name in self.array_names(group):
                arrays[f"{number}.{name}"] = state[name].copy()
        groups = [
            {
                "parameters": len(group["params"]),
                "options": {name: _as_json(group[name]) for name in self.checks},
            }
            for group in self.param_groups
        ]
        return {
            "arrays": arrays,
            "settings": {"class": self._name, "groups": groups, "steps": steps},
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue where :meth:`state_dict` was taken, with copies of its arrays.

        Parameters
        ----------
        state_dict : dict
            Its arrays may be of either backend; they are moved to their parameters'.

        Raises
        ------
        CheckpointError
            Names what differs: the class, the groups, or an array's name, shape or type. The
            optimiser stays as it was.
        """
        options, steps, arrays = self._read(state_dict)
        state: dict[Tensor, dict[str, Any]] = {}
        expected = set()
        for number, (group, parameter) in enumerate(self._parameters()):
            if not steps[number]:
                continue
            state[parameter] = {"step": steps[number]}
            for name in self.array_names(options[id(group)]):
                key = f"{number}.{name}"
                expected.add(key)
                state[parameter][name] = fitting_copy(
                    self._name, key, arrays.get(key), parameter.data
                )
        unexpected = sorted(set(arrays) - expected)
        if unexpected:
            raise CheckpointError(
                f"{self._name}: the saved state has an array {unexpected[0]!r}, which nothing uses"
            )
        for group in self.param_groups:
            group.update(options[id(group)])
        self.state = state

    def _read(self, state_dict: Mapping[str, Any]) -> tuple[dict, list[int], Mapping[str, Any]]:
        # The options of each group by the group's id, the steps of each parameter, and the arrays.
        try:
            settings, arrays = state_dict["settings"], state_dict["arrays"]
            name, groups = settings["class"], settings["groups"]
            steps = [integer("steps", count, 0) for count in settings["steps"]]
            sizes = [group["parameters"] for group in groups]
            options = [dict(group["options"]) for group in groups]
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{self._name}: this is no state of an optimiser ({type(error).__name__}: {error})"
            ) from None
        if name != self._name:
            raise CheckpointError(f"{self._name}: the saved state is that of {name}")
        here = [len(group["params"]) for group in self.param_groups]
        if sizes != here or len(steps) != sum(here):
            raise CheckpointError(
                f"{self._name}: the saved groups have {sizes} parameters and {len(steps)} step "
                f"counts, the groups here have {here} parameters"
            )
        for group in options:
            differing = sorted(set(group) ^ set(self.checks))
            if differing:
                raise CheckpointError(
                    f"{self._name}: the option {differing[0]!r} is only in the saved state or only "
                    "here"
                )
        try:
            checked = [self._checked(group) for group in options]
        except OptionError as error:
            raise CheckpointError(f"the saved state is damaged: {error}") from None
        by_group = zip(self.param_groups, checked, strict=True)
        return {id(group): values for group, values in by_group}, steps, arrays


def _flat(array: Any) -> Any:
    return array if isinstance(array, Product) else array.reshape(-1)


def _gradient_of(parameter: Tensor) -> Any:
    gradient: Any = parameter.grad
    on_cpu = type(parameter.data) is np.ndarray
    return array_or_product(gradient) if on_cpu else gradient.data


def decayed(xp: Any, g: Any, w: Any, weight_decay: float, out: Any) -> Any:
    """Return ``g + weight_decay * w``, made in ``out``; without decay ``g`` itself."""
    if not weight_decay:
        return g
    xp.multiply(w, weight_decay, out=out)
    out += g
    return out


def _clean(xp: Any, least: float, parts: Iterator[tuple]) -> None:
    for array, keep, _ in parts:
        xp.absolute(array, out=keep)
        xp.greater_equal(keep, least, out=keep)  # 1 or 0
        array *= keep


def _as_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
