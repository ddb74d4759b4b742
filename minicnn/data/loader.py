"""Deliver images and labels in batches: shuffled, augmented and normalised, a few ahead of use."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import numpy as np

from minicnn import backend as backends
from minicnn.autograd.tensor import Tensor
from minicnn.data.augment import Augmentation
from minicnn.data.augmentation_schedule import AugmentationSchedule
from minicnn.data.normalize import Normalization
from minicnn.errors import CheckpointError, DataError, DTypeError, OptionError, ShapeError
from minicnn.kernels.threads import stay_alone
from minicnn.random import generator, generator_state, set_generator_state

__all__ = ["DataLoader"]

Batch = tuple[Tensor, Tensor]


class DataLoader:
    """Iterate over a data set in batches; each ``for`` over it is one epoch.

    The data set stays on the host as it is. A batch is moved to the backend (uint8 images in one
    transfer), and augmented and normalised there. One thread prepares batches ahead; the numbers
    do not depend on that, nor on where in an epoch one starts.

    Parameters
    ----------
    images : numpy array of shape (N, H, W, C)
        uint8 grey levels, or floats.
    labels : numpy array of shape (N,) or (N, K)
        Integers, or probabilities of K classes.
    batch_size : int
        1 or more.
    shuffle : bool
        Take the images in a new order each epoch.
    rng : numpy.random.Generator or int, optional
        Source of the orders and of the seeds for augmentation. Two numbers or fewer are drawn from
        it an epoch, always in the same way: augmentation has a stream of its own in every batch,
        seeded by epoch and batch number, and does not change the order.
    augmentation : Augmentation or AugmentationSchedule, optional
        A schedule is asked at the beginning of each epoch, by the number of completed ones.
    normalization : Normalization, optional
        Without one the grey levels are only made float32.
    drop_last : bool
        Leave out a last batch that is smaller than the others.
    prefetch : int
        Batches that wait ready at most; 0 makes each one when it is asked for, without a thread.
    backend : {"numpy", "cupy", "auto"}, optional
        Where batches are delivered; the current backend unless named.
    num_classes : int, optional
        K. Needed where images are mixed; integer labels are checked against it.

    Attributes
    ----------
    epoch : int
        How many epochs were completed.

    Raises
    ------
    ShapeError, DTypeError
        Images and labels are not as described or differ in number.
    DataError
        A label lies outside of 0 to K - 1.
    OptionError
        An option is out of its range, or no batch is left.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        *,
        batch_size: int,
        shuffle: bool = False,
        rng: np.random.Generator | int | None = None,
        augmentation: Augmentation | AugmentationSchedule | None = None,
        normalization: Normalization | None = None,
        drop_last: bool = False,
        prefetch: int = 2,
        backend: str | None = None,
        num_classes: int | None = None,
    ) -> None:
        self.images = images
        self.labels = _checked_labels(images, labels, num_classes)
        self.batch_size = _at_least("batch_size", batch_size, 1)
        self.shuffle = shuffle
        self.rng = generator(rng)
        self.augmentation = augmentation
        self.normalization = normalization
        self.drop_last = drop_last
        self.prefetch = _at_least("prefetch", prefetch, 0)
        self.backend = (backends.current() if backend is None else backends.choose(backend)).name
        self.num_classes = num_classes
        self.epoch = 0
        self._running: _Position | None = None  # the epoch that was begun last and has not ended
        self._resume: _Position | None = None  # where the next epoch is to begin
        if len(self) == 0:
            raise OptionError(
                f"loader: drop_last leaves no batch: {len(images)} images are fewer than the "
                f"batch size {batch_size}"
            )
        if augmentation is not None and augmentation.mixes and num_classes is None:
            raise OptionError(
                "loader: mixup and cutmix need the number of classes; pass num_classes"
            )

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        whole, rest = divmod(len(self.images), self.batch_size)
        return whole + bool(rest and not self.drop_last)

    def __iter__(self) -> Iterator[Batch]:
        """Begin an epoch: a new one, or the one whose state was loaded.

        Yields
        ------
        images : Tensor of shape (N, H, W, C)
            float32.
        labels : Tensor of shape (N,) or (N, K)
            int64; or float32 probabilities, where the data set has them or images are mixed.
        """
        first = 0
        if self._resume is not None:
            set_generator_state(self.rng, self._resume.rng)
            first = self._resume.batch
        position = _Position(generator_state(self.rng), first)
        seed = int(self.rng.integers(2**63))
        count = len(self.images)
        order = self.rng.permutation(count) if self.shuffle else np.arange(count)
        self._running, self._resume = position, None
        return self._run(position, order, seed, self._augmentation())

    def _augmentation(self) -> Augmentation | None:
        """Return the recipe of the epoch that begins; it is the whole epoch's, also ahead of it."""
        given = self.augmentation
        return given.at(self.epoch) if isinstance(given, AugmentationSchedule) else given

    def state(self) -> dict[str, Any]:
        """Return where the loader stands, as a dict that JSON can hold.

        A batch counts as done once it was handed out. After an epoch that was broken off the state
        still says where, until the next one begins.
        """
        position = self._resume or self._running or _Position(generator_state(self.rng), 0)
        return {
            "epoch": self.epoch,
            "batch": position.batch,
            "rng": position.rng,
            "images": len(self.images),
            "batch_size": self.batch_size,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Let the next epoch continue where :meth:`state` was taken, with the very same batches.

        Parameters
        ----------
        state : dict
            From a loader of the same data and options. No skipped batch is computed again.

        Raises
        ------
        CheckpointError
            The state is of another data set or batch size, or is no loader's state.
        """
        for key in ("epoch", "batch", "rng", "images", "batch_size"):
            if key not in state:
                raise CheckpointError(f"loader: the stored state has no {key!r}")
        if (state["images"], state["batch_size"]) != (len(self.images), self.batch_size):
            raise CheckpointError(
                f"loader: the stored state is of {state['images']} images in batches of "
                f"{state['batch_size']}, this loader has {len(self.images)} in batches of "
                f"{self.batch_size}; resume with the same data and options"
            )
        self.epoch = state["epoch"]
        self._running, self._resume = None, _Position(state["rng"], state["batch"])

    def _run(
        self, position: _Position, order: np.ndarray, seed: int, augmentation: Augmentation | None
    ) -> Iterator[Batch]:
        numbers = range(position.batch, len(self))

        def make(number: int) -> Batch:
            return self._make(number, order, seed, augmentation)

        with contextlib.closing(_in_order(make, numbers, self.prefetch)) as batches:
            for batch in batches:
                position.batch += 1
                yield batch
        self.epoch += 1
        if self._running is position:
            self._running = None

    def _make(
        self, number: int, order: np.ndarray, seed: int, augmentation: Augmentation | None
    ) -> Batch:
        rows = order[number * self.batch_size : (number + 1) * self.batch_size]
        images = backends.asarray(self.images[rows], self.backend)
        labels = backends.asarray(self.labels[rows], self.backend)
        if augmentation is not None:
            rng = np.random.Generator(np.random.PCG64([seed, number]))
            images, labels = augmentation(images, labels, rng, num_classes=self.num_classes)
        if self.normalization is not None:
            images = self.normalization(images)
        xp = backends.xp(images)
        return Tensor(images.astype(xp.float32, copy=False)), Tensor(labels)


class _Position:
    """A place in an epoch: the generator's state before its draws, and the batches handed out."""

    def __init__(self, rng: dict[str, Any], batch: int) -> None:
        self.rng = rng
        self.batch = batch


def _in_order(
    make: Callable[[int], Batch], numbers: Sequence[int], ahead: int
) -> Generator[Batch, None, None]:
    """Yield ``make(number)`` for each number; `ahead` of them wait ready, made by a thread."""
    if not ahead:
        yield from map(make, numbers)
        return
    ready: queue.Queue[Batch | BaseException] = queue.Queue(maxsize=ahead)
    stop = threading.Event()

    def work() -> None:
        stay_alone()
        try:
            for number in numbers:
                if stop.is_set():
                    return
                ready.put(make(number))
        except BaseException as error:  # the consumer raises it, whatever it is
            ready.put(error)

    thread = threading.Thread(target=work, name="minicnn-loader", daemon=True)
    thread.start()
    try:
        for _ in numbers:
            batch = ready.get()
            if isinstance(batch, BaseException):
                raise batch
            yield batch
    finally:
        # The thread puts at most one thing more once it can see `stop`; emptying the queue makes
        # room for that one, so it cannot wait for ever.
        stop.set()
        with contextlib.suppress(queue.Empty):
            while True:
                ready.get_nowait()
        if thread is not threading.current_thread():  # where the collector closes us, it may be
            thread.join()


def _at_least(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise OptionError(f"loader: {name}: expected an integer of {least} or more, got {value!r}")
    return int(value)


def _checked_labels(images: np.ndarray, labels: Any, num_classes: int | None) -> np.ndarray:
    if not isinstance(images, np.ndarray):
        raise DTypeError(
            f"loader: expected images as a NumPy array on the host, got {type(images).__name__}"
        )
    labels = np.asarray(labels)
    if images.ndim != 4 or len(images) == 0:
        raise ShapeError(
            f"loader: expected images of shape (N, H, W, C), N above 0, got {images.shape}"
        )
    if labels.shape[:1] != images.shape[:1]:
        raise ShapeError(f"loader: {len(images)} images do not fit labels of shape {labels.shape}")
    if labels.ndim == 1 and labels.dtype.kind in "ui":
        if num_classes is not None and not 0 <= labels.min() <= labels.max() < num_classes:
            raise DataError(
                f"loader: labels go from {labels.min()} to {labels.max()}, "
                f"but num_classes is {num_classes}"
            )
        return labels.astype(np.int64, copy=False)
    if labels.ndim == 2 and labels.dtype.kind == "f":
        return labels.astype(np.float32, copy=False)
    raise DTypeError(
        f"loader: expected integer labels of shape (N,) or float probabilities of shape (N, K), "
        f"got {labels.dtype} of shape {labels.shape}"
    )
