"""Committee: members that learn apart and judge together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from minicnn.autograd import Tensor
from minicnn.errors import OptionError, ShapeError
from minicnn.nn.containers import ModuleList
from minicnn.nn.module import Module
from minicnn.ops.reduce import logsumexp
from minicnn.ops.shape import concatenate, stack
from minicnn.ops.softmax import log_softmax

__all__ = ["Committee", "mean_logits"]


class Committee(Module):
    """Members that judge together, and of which each learns from rows of its own.

    In evaluation mode the result is the log of the mean probability that the members give to each
    class. In training mode each row goes through one member alone: of K members the first takes
    the first Kth of the batch, and so on. A step then costs what it costs with one member, for all
    of them together, and the members come to differ, which is what their mean lives on
    (Hansen and Salamon, "Neural network ensembles", 1990). Batches must be shuffled, so that each
    member sees all examples in the course of the epochs; one with fewer rows than members goes
    through all of them, as in evaluation. For models that were trained apart there is
    :class:`minicnn.training.Ensemble`.

    Of a mean loss over the batch, each member gets the gradient of its share, a Kth: plain SGD
    needs K times the learning rate, Adam does not mind. What is counted while training, such as
    the accuracy, is that of single members.

    Parameters
    ----------
    members : iterable of Module
        Inputs (M, ...) to logits (M, classes). They should begin with different weights.

    Attributes
    ----------
    members : ModuleList

    Raises
    ------
    OptionError
        There is no member, or one module is given instead of several.
    ShapeError
        When it is called: the members differ in their numbers of classes.
    """

    def __init__(self, members: Iterable[Module]) -> None:
        if isinstance(members, Module) and not isinstance(members, ModuleList):
            raise OptionError(
                f"Committee: expected several modules, got one {type(members).__name__}; put it "
                "into a list"
            )
        self.members = ModuleList(members)
        if not len(self.members):
            raise OptionError("Committee: expected at least one member, got none")

    def forward(self, x: Any) -> Tensor:
        """Map x of shape (N, ...) to logits (N, classes)."""
        rows, count = len(x), len(self.members)
        if not self.training or rows < count:
            return mean_logits([member(x) for member in self.members])
        bounds = [rows * place // count for place in range(count + 1)]
        found = [
            member(x[start:stop])
            for member, start, stop in zip(self.members, bounds[:-1], bounds[1:], strict=True)
        ]
        return concatenate(_alike(found, start=1))


def mean_logits(found: Sequence[Tensor]) -> Tensor:
    """Return the log of the mean of the probabilities that logits stand for.

    Parameters
    ----------
    found : sequence of Tensor of shape (N, K)

    Returns
    -------
    Tensor of shape (N, K)
        Logits: their softmax is that mean.

    Raises
    ------
    ShapeError
        The shapes differ.
    """
    chances = [log_softmax(each) for each in _alike(found)]
    return logsumexp(stack(chances), axis=0) - math.log(len(chances))


def _alike(found: Sequence[Tensor], start: int = 0) -> Sequence[Tensor]:
    # The logits, which must be of one shape from axis `start` on.
    if len({each.shape[start:] for each in found}) > 1:
        shapes = " and ".join(map(str, sorted({each.shape for each in found})))
        raise ShapeError(f"the models to be averaged give logits of shapes {shapes}")
    return found
