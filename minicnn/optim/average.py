"""ExponentialMovingAverage: a slow copy of a model's weights, which often generalises better."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from minicnn import backend
from minicnn.autograd import Tensor
from minicnn.errors import BackendError, CheckpointError, DTypeError, OptionError, ShapeError
from minicnn.optim.checks import fraction, switch
from minicnn.optim.parameters import tensor_list
from minicnn.optim.saved import fitting_copy
from minicnn.optim.workspace import Change, Workspaces

__all__ = ["ExponentialMovingAverage"]


class ExponentialMovingAverage:
    """The exponential moving average of parameters: ``average = d * average + (1 - d) * value``.

    Polyak and Juditsky (1992), "Acceleration of stochastic approximation by averaging", with
    exponential weights. The average starts as a copy of the parameters (PyTorch's ``AveragedModel``
    makes that copy in its first update).

    Buffers of floating-point numbers (batch norm's running statistics) are averaged alike: those of
    the present weights do not fit the averaged ones. PyTorch's ``AveragedModel`` copies them unless
    it is told ``use_buffers=True``. Other buffers are copied.

    Parameters
    ----------
    model : object or iterable of Tensor
        A model with ``named_parameters()`` and ``named_buffers()``, or parameters.
    decay : float
        d, from 0 to below 1.
    warmup : bool
        Use ``min(decay, (1 + t) / (10 + t))`` in update t = 1, 2, ..., so that the first, untrained
        weights are soon forgotten.

    Attributes
    ----------
    updates : int
        How often :meth:`update` was called.
    average : dict of str to array
        The averaged parameters by name (an iterable's by number).
    buffers : dict of str to array
        The averaged buffers by name, and copies of those that cannot be averaged.

    Raises
    ------
    OptionError
        The decay is out of range, or there are no parameters.
    """

    def __init__(
        self, model: Any | Iterable[Tensor], decay: float = 0.999, *, warmup: bool = False
    ) -> None:
        self.decay = fraction("ExponentialMovingAverage: decay", decay)
        self.warmup = switch("ExponentialMovingAverage: warmup", warmup)
        # A model is asked anew each time: it may have put other tensors into its buffers' places.
        self._model: Any = model if hasattr(model, "named_parameters") else None
        self._tensors = {} if self._model is not None else _numbered(model)
        self.updates = 0
        self._swapped = False
        self._workspaces = Workspaces()
        self.average = {name: _copy(each) for name, each in self._parameters().items()}
        self.buffers = {name: _copy(each) for name, each in self._buffers().items()}
        if not self.average:
            raise OptionError("ExponentialMovingAverage: there are no parameters to average")

    def _parameters(self) -> dict[str, Tensor]:
        return self._tensors if self._model is None else dict(self._model.named_parameters())

    def _buffers(self) -> dict[str, Tensor]:
        return {} if self._model is None else dict(self._model.named_buffers())

    def is_of(self, model: Any) -> bool:
        """Tell whether it averages any parameter of a model."""
        own = {id(parameter) for parameter in model.parameters()}
        return any(id(each) in own for each in self._parameters().values())

    def __repr__(self) -> str:
        return (
            f"ExponentialMovingAverage({len(self.average)} parameters: decay={self.decay}, "
            f"warmup={self.warmup}, updates={self.updates})"
        )

    def update(self) -> None:
        """Move the average towards the parameters' values, after a step of the optimiser.

        Raises
        ------
        OptionError
            Inside :meth:`average_weights`, where the model holds the average itself.
        BackendError, DTypeError, ShapeError
            The model was moved or changed since the average was made.
        """
        self._refuse_swapped("update()")
        parameters, buffers = self._parameters(), self._buffers()
        _check_same(parameters, self.average)
        _check_same(buffers, self.buffers)
        self.updates += 1
        decay = self.decay
        if self.warmup:
            decay = min(decay, (1 + self.updates) / (10 + self.updates))
        pairs = [(self.average[name], each.data) for name, each in parameters.items()]
        for name, buffer in buffers.items():
            if buffer.dtype.kind == "f":
                pairs.append((self.buffers[name], buffer.data))
            else:
                self.buffers[name][...] = buffer.data
        move = partial(_move, share=1 - decay)
        compile_move = partial(_compiled_move, 1 - decay)
        self._workspaces.change(
            [Change([each.reshape(-1) for each in pair], move, compile_move) for pair in pairs]
        )

    @contextmanager
    def average_weights(self) -> Iterator[None]:
        """Let the model have the averaged weights and buffers inside a ``with`` block.

        The arrays are exchanged, not copied. What the block does to the model's weights is done to
        the average.

        Raises
        ------
        OptionError
            The block is inside another one.
        """
        self._refuse_swapped("average_weights()")
        self._exchange()
        self._swapped = True
        try:
            yield
        finally:
            self._exchange()
            self._swapped = False

    def _exchange(self) -> None:
        owned = ((self._parameters(), self.average), (self._buffers(), self.buffers))
        for tensors, arrays in owned:
            _check_same(tensors, arrays)
        for tensors, arrays in owned:
            for name, each in tensors.items():
                each.data, arrays[name] = arrays[name], each.data
                each.mark_changed()

    def _refuse_swapped(self, what: str) -> None:
        if self._swapped:
            raise OptionError(
                f"ExponentialMovingAverage: {what} inside average_weights(), where the model holds "
                "the average; call it after the block"
            )

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs.

        Returns
        -------
        dict
            ``"arrays"``: dict of ``"average.<name>"`` and ``"buffers.<name>"`` to array, copies on
            the model's backend. ``"settings"``: what JSON can hold: the class, decay, warmup and
            the number of updates.

        Raises
        ------
        OptionError
            Inside :meth:`average_weights`.
        """
        self._refuse_swapped("state()")
        arrays = {f"average.{name}": array.copy() for name, array in self.average.items()}
        arrays |= {f"buffers.{name}": array.copy() for name, array in self.buffers.items()}
        settings = {
            "class": type(self).__name__,
            "decay": self.decay,
            "warmup": self.warmup,
            "updates": self.updates,
        }
        return {"arrays": arrays, "settings": settings}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue where :meth:`state` was taken, with copies of its arrays.

        Parameters
        ----------
        state : dict
            Its arrays may be of either backend; they are moved to the model's.

        Raises
        ------
        CheckpointError
            Names the array that is missing, unexpected, or of another shape or type. The average
            stays as it was.
        OptionError
            Inside :meth:`average_weights`.
        """
        self._refuse_swapped("load_state()")
        title = "ExponentialMovingAverage"
        try:
            settings, arrays = state["settings"], state["arrays"]
            name, updates = settings["class"], settings["updates"]
            decay, warmup = settings["decay"], settings["warmup"]
        except (KeyError, TypeError) as error:
            raise CheckpointError(
                f"{title}: this is no state of an average ({type(error).__name__}: {error})"
            ) from None
        if name != title:
            raise CheckpointError(f"{title}: the saved state is that of {name}")
        here = {f"average.{name}": each.data for name, each in self._parameters().items()}
        here |= {f"buffers.{name}": each.data for name, each in self._buffers().items()}
        unexpected = sorted(set(arrays) - set(here))
        if unexpected:
            raise CheckpointError(
                f"{title}: the saved state has an array {unexpected[0]!r}, which the model lacks"
            )
        loaded = {
            key: fitting_copy(title, key, arrays.get(key), data) for key, data in here.items()
        }
        self.decay, self.warmup, self.updates = decay, warmup, updates
        self.average = {name: loaded[f"average.{name}"] for name in self._parameters()}
        self.buffers = {name: loaded[f"buffers.{name}"] for name in self._buffers()}


def _move(parts: Iterator[tuple[Any, ...]], share: float) -> None:
    for mean, value, a, _ in parts:
        backend.xp(mean).subtract(value, mean, out=a)
        a *= share
        mean += a


def _compiled_move(share: float) -> Callable[..., None]:
    from minicnn.kernels.compiled.average import average

    return lambda mean, value: average(mean, value, np.float32(share))


def _numbered(parameters: Any) -> dict[str, Tensor]:
    tensors = tensor_list("ExponentialMovingAverage", parameters)
    return {str(number): each for number, each in enumerate(tensors)}


def _copy(each: Tensor) -> Any:
    return each.data.copy(order="C")


def _check_same(tensors: dict[str, Tensor], arrays: dict[str, Any]) -> None:
    title = "ExponentialMovingAverage"
    if tensors.keys() != arrays.keys():
        differing = sorted(tensors.keys() ^ arrays.keys())
        raise ShapeError(
            f"{title}: {differing[0]!r} is only in the model or only in the average; make the "
            "average after the model is complete"
        )
    for name, each in tensors.items():
        array = arrays[name]
        if each.shape != array.shape:
            raise ShapeError(f"{title}: {name!r} has shape {each.shape}, its average {array.shape}")
        if each.dtype != array.dtype:
            raise DTypeError(f"{title}: {name!r} is {each.dtype}, its average {array.dtype}")
        if backend.xp(each.data) is not backend.xp(array):
            raise BackendError(
                f"{title}: {name!r} is on {each.backend}, its average on {backend.name_of(array)}; "
                "make the average after moving the model"
            )
