"""Both backends give the same numbers, on a CUDA device; and a training step stays on the device.

The same comparisons run on the stand-in as well, so that they are known to work where no device is.
"""

from __future__ import annotations

import numpy as np
import pytest
import standin
from operation_checks import draw, gradients, tensors

from minicnn import backend, nn, optim
from minicnn.autograd import OPERATIONS, Tensor
from minicnn.data import DataLoader
from minicnn.training.trainer import Trainer

gpu = pytest.mark.gpu
on_standin = pytest.mark.standin

# Sums of float32 in another order, and CUDA's exp, log and tanh, differ by a few units in the last
# place; relative to the largest number of an array, as cancelled sums are small.
TOLERANCE = 2e-5


def assert_near(found, expected):
    """Compare arrays of float32 with a tolerance relative to the largest finite number."""
    if expected is None:
        assert found is None
        return
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    finite = np.abs(expected[np.isfinite(expected)])
    tolerance = TOLERANCE * max(1.0, finite.max(initial=0.0))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


# Arrays.


def compare_arrays():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 64, 64)).astype(np.float32)
    x, y = backend.asarray(a, "cupy"), backend.asarray(b, "cupy")
    assert backend.name_of(x) == "cupy"
    np.testing.assert_array_equal(backend.to_numpy(x), a)
    assert_near(backend.to_numpy(x @ y), a @ b)
    assert_near(backend.to_numpy(x.sum(axis=0)), a.sum(axis=0))
    backend.synchronize(x)


@gpu
def test_arrays_and_products_agree_on_a_gpu():
    compare_arrays()


@on_standin
def test_arrays_and_products_agree_on_the_stand_in():
    compare_arrays()


# Operations.


def results_of(kind, sample, name):
    """Return an operation's output and gradients on a backend, as NumPy arrays."""
    with backend.use(name):
        inputs = tensors(draw(sample, np.float32))
        output = kind.apply(*inputs, **sample.options)
        return [output.numpy(), *(gradients(output, inputs) if output.requires_grad else [])]


def compare_operation(kind):
    for sample in kind.samples:
        found, expected = (results_of(kind, sample, name) for name in ("cupy", "numpy"))
        for one, other in zip(found, expected, strict=True):
            assert_near(one, other)


@gpu
@pytest.mark.parametrize("kind", OPERATIONS.values(), ids=OPERATIONS)
def test_operation_and_its_gradients_agree_on_a_gpu(kind):
    compare_operation(kind)


@on_standin
@pytest.mark.parametrize("kind", OPERATIONS.values(), ids=OPERATIONS)
def test_operation_and_its_gradients_agree_on_the_stand_in(kind):
    compare_operation(kind)


# Training.


def small_model():
    rng = np.random.default_rng(2)
    return nn.Sequential(
        # No bias: behind a batch norm its gradient is only rounding, which Adam scales up.
        nn.Conv2d(1, 4, 3, padding=1, bias=False, rng=rng),
        nn.BatchNorm2d(4),
        nn.LeakyReLU(0.1),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1, rng=rng),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Dropout(0.25, rng=3),
        nn.Flatten(),
        nn.Linear(6 * 2 * 2, 7, rng=rng),
    )


OPTIMIZERS = {
    "SGD": lambda parameters: optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=1e-3),
    "Adam": lambda parameters: optim.Adam(parameters, lr=1e-2),
    "AdamW": lambda parameters: optim.AdamW(parameters, lr=1e-2),
    "RMSprop": lambda parameters: optim.RMSprop(parameters, lr=1e-2),
    "Adagrad": lambda parameters: optim.Adagrad(parameters, lr=1e-2),
    "Adadelta": lambda parameters: optim.Adadelta(parameters, lr=1.0),
}


class Training:
    """A small model on a backend, with a batch that is there already."""

    def __init__(self, name, optimizer):
        rng = np.random.default_rng(4)
        self.model = small_model().to(name)
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())
        self.images = Tensor(backend.asarray(rng.random((8, 8, 8, 1), np.float32), name))
        self.labels = Tensor(backend.asarray(rng.integers(0, 7, 8), name))
        self.losses = []

    def step(self):
        self.optimizer.zero_grad()
        loss = nn.CrossEntropyLoss(label_smoothing=0.1)(self.model(self.images), self.labels)
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.detach())

    def numbers(self):
        state = self.model.state_dict().values()
        return [backend.to_numpy(each) for each in (*(loss.data for loss in self.losses), *state)]


def compare_training(optimizer):
    trainings = [Training(name, optimizer) for name in ("cupy", "numpy")]
    for training in trainings:
        for _ in range(3):
            training.step()
    found, expected = (training.numbers() for training in trainings)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-4)


@gpu
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_agrees_on_a_gpu(optimizer):
    compare_training(optimizer)


@on_standin
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_agrees_on_the_stand_in(optimizer):
    compare_training(optimizer)


@on_standin
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_step_neither_transfers_nor_waits(optimizer):
    training = Training("cupy", optimizer)
    with standin.no_transfers():
        training.step()
        training.step()
    with standin.counting() as seen:
        training.losses[-1].item()
    assert (seen.to_device, seen.to_host) == (0, 1)


@on_standin
def test_epoch_moves_each_batch_once_and_reads_its_results_at_its_end(rng):
    images = rng.integers(0, 256, (16, 8, 8, 1), dtype=np.uint8)
    loader = DataLoader(images, rng.integers(0, 7, 16), batch_size=4, rng=5)
    model = small_model().to("cupy")
    trainer = Trainer(model, optim.Adam(model.parameters(), lr=1e-3))
    trainer.fit(loader, epochs=1)
    with standin.counting() as seen:
        trainer.fit(loader, epochs=2)
    assert seen.to_device == 2 * len(loader)  # images and labels
    assert seen.to_host == 3  # the losses, the confusion matrix, the sum of the losses
