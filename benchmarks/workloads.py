"""Sizes at which each costed operation is measured: real layers' where it belongs to a layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

from minicnn.autograd import Cost, Operation, Sample
from minicnn.errors import ShapeError
from minicnn.ops.elementwise import Elementwise

__all__ = ["costed", "workloads"]

ROW = 64  # numbers that a reduction or a softmax takes together
# Batch, size of the images, channels in and out, size of the kernel.
CONVOLUTIONS = (
    (128, 48, 1, 64, 5),
    (32, 48, 64, 64, 3),
    (128, 24, 32, 64, 3),
    (32, 24, 128, 128, 3),
    (32, 12, 512, 512, 3),
    (32, 6, 512, 512, 3),
)
IMAGES = ((32, 48, 48, 64), (32, 24, 24, 128), (32, 12, 12, 256), (32, 6, 6, 512))
# Batch, numbers in and out of dense layers.
DENSE = ((128, 1024, 1024), (32, 18432, 512), (32, 4096, 4096))
SQUARES = (256, 512, 1024, 2048)


def costed(operation: type[Operation]) -> bool:
    """Tell whether an operation computes anything, by its own count."""
    sample = operation.samples[0]
    return operation.cost(*sample.inputs, **sample.options) != Cost()


def workloads(operation: type[Operation], sizes: Sequence[int]) -> list[Sample]:
    """Return inputs and options at which an operation is measured.

    Operations of layers are measured at the shapes of real layers; what only works on images, or
    on channels, is known by its first sample.

    Parameters
    ----------
    operation : type[Operation]
    sizes : sequence of int
        Elements of the inputs, where no layer says the shapes.
    """
    special = list(_special(operation.name))
    if special:
        return special
    sample = operation.samples[0]
    inputs = [_on_images(sample, x) for x in IMAGES]
    if None in inputs or not _fits(operation, inputs[0], sample.options):
        inputs = [_of_size(operation, size) for size in sizes]
    return [
        Sample(each, domain=sample.domain, integers=sample.integers, **sample.options)
        for each in inputs
        if each is not None
    ]


def _on_images(sample: Sample, images: tuple[int, ...]) -> tuple | None:
    # Inputs of these shapes, if the sample's are images and perhaps vectors of a value a channel.
    first = sample.inputs[0]
    if not isinstance(first, tuple) or not first:
        return None
    shapes = {first: images, first[-1:]: images[-1:], None: None}
    known = len(first) == 4 or first[-1:] in sample.inputs[1:]
    if not known or not all(each in shapes for each in sample.inputs):
        return None
    return tuple(shapes[each] for each in sample.inputs)


def _of_size(operation: type[Operation], size: int) -> tuple:
    # Inputs with about so many elements in the first of them.
    sample = operation.samples[0]
    if issubclass(operation, Elementwise):
        return tuple((size,) if isinstance(each, tuple) else each for each in sample.inputs)
    if "axis" in sample.options or operation.name == "cross_entropy":
        return ((size // ROW, ROW),) * len(sample.inputs)
    first = next(each for each in sample.inputs if isinstance(each, tuple))
    times = max(1, size // prod(first))
    return tuple(
        (each[0] * times, *each[1:]) if isinstance(each, tuple) and each[:1] == first[:1] else each
        for each in sample.inputs
    )


def _fits(operation: type[Operation], inputs: Any, options: dict[str, Any]) -> bool:
    try:
        operation.shape(*inputs, **options)
    except ShapeError:
        return False
    return True


def _special(name: str) -> Iterator[Sample]:
    if name.startswith("conv2d"):
        for layer in CONVOLUTIONS:
            yield from _convolution(name, *layer)
    elif name == "linear":
        yield from (Sample(((n, c), (c, o), (o,))) for n, c, o in DENSE)
    elif name == "matmul":
        yield from (Sample(((n, n), (n, n))) for n in SQUARES)
        yield from (Sample(((n, c), (c, o))) for n, c, o in DENSE)
    elif name == "standardize":
        yield from (Sample((x,), axes=(0, 1, 2), eps=1e-5) for x in IMAGES)
    elif name == "avg_pool2d_gradient":
        window: dict[str, Any] = {"kernel": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0))}
        for n, h, w, c in IMAGES:
            yield Sample(((n, h // 2, w // 2, c),), size=(h, w), include_pad=True, **window)


def _convolution(name: str, n: int, size: int, c: int, o: int, k: int) -> Iterator[Sample]:
    x, w, y = (n, size, size, c), (k, k, c, o), (n, size, size, o)
    padding = ((k // 2, k // 2), (k // 2, k // 2))
    options: Any = {"stride": (1, 1), "padding": padding, "dilation": (1, 1), "groups": 1}
    if name == "conv2d":
        yield Sample((x, w, (o,)), **options)
    elif name == "conv2d_input_gradient":
        yield Sample((y, w), size=x[1:3], **options)
    elif name == "conv2d_filter_gradient":
        yield Sample((x, y), kernel=w[:2], **options)
