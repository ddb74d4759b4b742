"""Mirror symmetry: weights with which a network says the same of an image and its mirror image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from minicnn import backend
from minicnn.autograd import Tensor
from minicnn.errors import OptionError
from minicnn.kernels.sizes import pad_pairs
from minicnn.nn.activation import LeakyReLU, ReLU
from minicnn.nn.committee import Committee
from minicnn.nn.containers import Sequential
from minicnn.nn.conv import Conv2d
from minicnn.nn.dropout import Dropout
from minicnn.nn.linear import Linear
from minicnn.nn.module import Module
from minicnn.nn.norm import BatchNorm2d
from minicnn.nn.pool import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from minicnn.nn.residual import Residual

__all__ = ["MirrorSymmetry"]

ALIKE = (ReLU, LeakyReLU, Dropout)  # they treat all numbers alike, wherever they are

# Parts of an array and their counterparts, as views.
Pairs = Callable[[Any], Iterator[tuple[Any, Any]]]


class MirrorSymmetry:
    """Keep a network such that an image and its mirror image have the same result.

    The channels of a layer are two halves, and of a mirrored image, each half is the mirror image
    of what the other one is of the image itself. For that each filter of the second half is the
    mirror image of one in the first half, with the halves of its input exchanged; biases and norms
    are alike in both; and what comes after the global average adds them up. A filter is so learned
    once for both sides, from twice as many examples; only the step takes a little longer. This is
    group convolution (Cohen and Welling, 2016) for the group of reflections, by weights that are
    tied in an ordinary network.

    Parameters
    ----------
    model : Module
        A convolution, then a row of convolutions, batch normalisations, rectifiers, poolings,
        residual blocks and dropout, then a global average, and dense layers; or a committee of
        such members. Its weights become symmetric: the second half of the filters takes what
        belongs to the first.

    Attributes
    ----------
    model : Module

    Raises
    ------
    OptionError
        It has other layers or another order; a convolution has an odd number of filters, more of
        padding on one side, a horizontal stride or groups; or the windows of a pooling overlap,
        or reach beyond the image.

    Notes
    -----
    :meth:`project` must be called between each backward pass and the step of the optimiser. It
    makes the gradients symmetric, so that the steps of optimisers that treat each weight by itself
    leave symmetric weights symmetric; and the running statistics. Dropout, and the statistics of a
    batch, treat both halves as different channels in training. Weights that are loaded afterwards
    must be symmetric, as those of a run with the same symmetry are.

    The symmetry ends at a pooling of a width that its window does not divide: the last columns have
    no counterparts.

    Examples
    --------
    >>> symmetry = MirrorSymmetry(model)
    >>> loss.backward()
    >>> symmetry.project()
    >>> optimizer.step()
    """

    def __init__(self, model: Module) -> None:
        self.model = model
        self._parameters: list[tuple[Tensor, Pairs]] = []
        self._buffers: list[Tensor] = []
        # What flows: the "images", then "channels" in two halves, the "averages" of each, and at
        # last "features", which are without halves.
        self._flow = "images"
        self._collect_whole(model, "")
        for parameter, pairs in self._parameters:
            for one, other in pairs(parameter.data):
                other[...] = one
            parameter.mark_changed()

    def _collect_whole(self, model: Module, name: str) -> None:
        self._collect(model, name)
        if self._flow != "features":
            raise OptionError(
                f"MirrorSymmetry: {name or 'the model'} has no dense layer after a global average"
            )

    def _collect(self, model: Module, name: str) -> None:
        flow = self._flow
        if isinstance(model, Sequential) or (isinstance(model, Residual) and flow == "channels"):
            for child, module in model.named_children():
                self._collect(module, f"{name}.{child}".lstrip("."))
        elif flow == "images" and isinstance(model, Committee):
            for number, member in enumerate(model.members):
                self._flow = flow
                self._collect_whole(member, f"{name}.members.{number}".lstrip("."))
        elif flow in ("images", "channels") and isinstance(model, Conv2d):
            self._add_convolution(model, name)
        elif flow == "channels" and isinstance(model, BatchNorm2d):
            self._add_halves(model.weight, model.bias)
            statistics = (model.running_mean, model.running_var)
            self._buffers += [each for each in statistics if each is not None]
        elif flow == "channels" and isinstance(model, (MaxPool2d, AvgPool2d)):
            _check_pooling(model, name)
        elif flow == "channels" and isinstance(model, GlobalAvgPool2d):
            self._flow = "averages"
        elif flow == "averages" and isinstance(model, Linear):
            self._add_halves(model.weight)
            self._flow = "features"
        elif not isinstance(model, ALIKE) and (flow != "features" or isinstance(model, Conv2d)):
            raise OptionError(
                f"MirrorSymmetry: {name or 'the model'}: of a {type(model).__name__} for {flow} "
                "the mirror image is not known"
            )

    def _add_convolution(self, layer: Conv2d, name: str) -> None:
        _, (left, right) = pad_pairs(
            layer.padding, layer.kernel_size, layer.kernel_size, layer.stride, layer.dilation
        )
        plain = layer.stride[1] == 1 and layer.groups == 1 and left == right
        if layer.out_channels % 2 or not plain:
            raise OptionError(
                f"MirrorSymmetry: {name}: expected a convolution with an even number of filters, "
                "and neither a horizontal stride nor groups nor more padding on one side, got "
                f"{layer}"
            )
        pairs = _filters_of_images if self._flow == "images" else _filters
        self._parameters.append((layer.weight, pairs))
        self._add_halves(layer.bias)
        self._flow = "channels"

    def _add_halves(self, *parameters: Tensor | None) -> None:
        self._parameters += [(each, _halves) for each in parameters if each is not None]

    def project(self) -> None:
        """Make gradients and running statistics symmetric, by the means of the counterparts."""
        for parameter, pairs in self._parameters:
            if parameter.grad is not None:
                parameter.grad = Tensor(_mean(parameter.grad.data, pairs))
        for buffer in self._buffers:
            buffer.data[...] = _mean(buffer.data, _halves)
            buffer.mark_changed()


def _check_pooling(layer: MaxPool2d | AvgPool2d, name: str) -> None:
    # Windows that leave no gap and do not overlap: from either side they are the same ones.
    apart = getattr(layer, "dilation", (1, 1))[1]
    if layer.stride[1] != layer.kernel_size[1] or apart != 1 or layer.padding != (0, 0):
        raise OptionError(
            f"MirrorSymmetry: {name}: expected a pooling in windows side by side, without padding, "
            f"got {layer}"
        )


def _mean(array: Any, pairs: Pairs) -> Any:
    result = backend.xp(array).empty_like(array)
    for (one, other), (to_one, to_other) in zip(pairs(array), pairs(result), strict=True):
        to_one[...] = one
        to_one += other
        to_one *= 0.5
        to_other[...] = to_one
    return result


def _halves(array: Any) -> Iterator[tuple[Any, Any]]:
    half = len(array) // 2
    yield array[:half], array[half:]


def _filters_of_images(array: Any) -> Iterator[tuple[Any, Any]]:
    # Filters (KH, KW, C, O) of channels that are their own counterparts: grey, or colours.
    half = array.shape[3] // 2
    yield array[..., :half], array[:, ::-1, :, half:]


def _filters(array: Any) -> Iterator[tuple[Any, Any]]:
    before, half = array.shape[2] // 2, array.shape[3] // 2
    yield array[:, :, :before, :half], array[:, ::-1, before:, half:]
    yield array[:, :, before:, :half], array[:, ::-1, :before, half:]
