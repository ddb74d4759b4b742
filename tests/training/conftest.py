"""A small training run that has everything a resumed run must restore."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn.data.augment import Augmentation
from minicnn.data.loader import DataLoader
from minicnn.data.normalize import PixelNormalization
from minicnn.nn.activation import ReLU
from minicnn.nn.containers import Sequential
from minicnn.nn.conv import Conv2d
from minicnn.nn.dropout import Dropout
from minicnn.nn.linear import Linear
from minicnn.nn.norm import BatchNorm2d
from minicnn.nn.pool import MaxPool2d
from minicnn.nn.shape import Flatten
from minicnn.optim.adam import Adam
from minicnn.optim.average import ExponentialMovingAverage
from minicnn.optim.one_cycle import OneCycleLR
from minicnn.random import Streams
from minicnn.training.callbacks import Callback
from minicnn.training.trainer import Trainer

COUNT, SIDE, CLASSES, BATCH = 22, 8, 3, 4


def small_data(seed: int = 3, count: int = COUNT) -> tuple[np.ndarray, np.ndarray]:
    """Return images whose bright quarter is the class, with noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    images = rng.integers(0, 120, (count, SIDE, SIDE, 1))
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 2)
        image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 120
    return images.astype(np.uint8), labels.astype(np.int64)


def small_model(streams: Streams) -> Sequential:
    rng = streams["weights"]
    return Sequential(
        Conv2d(1, 4, 3, padding=1, rng=rng),
        BatchNorm2d(4),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Dropout(0.2, rng=streams["dropout"]),
        Linear(4 * 4 * 4, CLASSES, rng=rng),
    )


class Run:
    """A trainer with its two loaders, all from one seed."""

    def __init__(self, *callbacks: Any, seed: int = 5, epochs: int = 4, **options: Any) -> None:
        streams = Streams(seed)
        images, labels = small_data()
        validation_images, validation_labels = small_data(seed=4, count=9)
        normalization = PixelNormalization().fit(images)
        self.train_loader = DataLoader(
            images,
            labels,
            batch_size=BATCH,
            shuffle=True,
            rng=streams["shuffling"],
            augmentation=Augmentation(horizontal_flip=False, rotation=10.0, width_shift=0.1),
            normalization=normalization,
            prefetch=2,
        )
        self.validation_loader = DataLoader(
            validation_images, validation_labels, batch_size=BATCH, normalization=normalization
        )
        model = small_model(streams)
        optimizer = Adam(model.parameters(), lr=0.01)
        settings: dict[str, Any] = {
            "average": ExponentialMovingAverage(model, decay=0.9),
            "clip_norm": 1.0,
        }
        if "schedule" not in options:
            batches = len(self.train_loader)
            settings["schedule"] = OneCycleLR(
                optimizer, 0.02, epochs=epochs, steps_per_epoch=batches
            )
        self.trainer = Trainer(model, optimizer, callbacks=callbacks, **{**settings, **options})

    def fit(self, epochs: int, **options: Any) -> Any:
        return self.trainer.fit(self.train_loader, self.validation_loader, epochs=epochs, **options)


@pytest.fixture
def make_run() -> Callable[..., Run]:
    return Run


class StopAt(Callback):
    """Asks to stop after a batch, or (batch 0) in the validation of an epoch."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.epoch, self.batch = epoch, batch

    def on_batch_end(self, trainer: Trainer) -> None:
        if trainer.epoch + 1 == self.epoch and trainer.batch == (self.batch or 6):
            trainer._request.requested = True


@pytest.fixture
def stop_at() -> Callable[[int, int], StopAt]:
    return StopAt
