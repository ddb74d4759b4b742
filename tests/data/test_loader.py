"""Check the loader: orders, batches, prefetching, resuming, and how its thread ends."""

import gc
import json
import os
import signal
import threading
import time

import numpy as np
import pytest
from standin import counting

from minicnn import Tensor, backend
from minicnn.data.augment import Augmentation
from minicnn.data.augmentation_schedule import AugmentationSchedule
from minicnn.data.loader import DataLoader
from minicnn.data.normalize import PixelNormalization
from minicnn.errors import CheckpointError, DataError, DTypeError, OptionError, ShapeError

COUNT = 23
AUGMENTATION = Augmentation(rotation=20, width_shift=0.2, random_erasing=0.5, mixup=0.3)


def data(count=COUNT):
    """Return images that tell their own number, and labels that are the number."""
    images = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1) * np.ones((1, 4, 5, 1), np.uint8)
    return images, np.arange(count)


def loader(**options):
    images, labels = data()
    return DataLoader(images, labels, **({"batch_size": 5} | options))


def rich_loader(**options):
    images, _ = data()
    return loader(
        **{
            "shuffle": True,
            "rng": 11,
            "augmentation": AUGMENTATION,
            "normalization": PixelNormalization().fit(images),
            "num_classes": COUNT,
        }
        | options
    )


def values(batches):
    """Return batches as pairs of bytes, which compare bit by bit."""
    return [(x.numpy().tobytes(), y.numpy().tobytes()) for x, y in batches]


def order(batches):
    return [int(label) for _, labels in batches for label in labels.numpy()]


def loader_threads():
    return [thread for thread in threading.enumerate() if thread.name == "minicnn-loader"]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    assert not loader_threads()
    yield
    assert not loader_threads()


# -- what is delivered


def test_batches_are_float32_images_and_int64_labels_on_the_backend():
    batches = list(loader())
    assert [x.shape for x, _ in batches] == [(5, 4, 5, 1)] * 4 + [(3, 4, 5, 1)]
    for x, y in batches:
        assert isinstance(x, Tensor) and isinstance(y, Tensor)
        assert (x.dtype, y.dtype) == (np.float32, np.int64)
        assert x.backend == y.backend == backend.current().name
    images, labels = data()
    np.testing.assert_array_equal(np.concatenate([x.numpy() for x, _ in batches]), images)
    np.testing.assert_array_equal(np.concatenate([y.numpy() for _, y in batches]), labels)


def test_drop_last_leaves_out_the_small_batch():
    whole = loader(drop_last=True)
    assert len(whole) == 4 == len(list(whole))
    assert len(loader()) == 5
    assert len(loader(batch_size=23, drop_last=True)) == 1
    assert len(loader(batch_size=100)) == 1


def test_shuffling_takes_each_image_once_with_its_label_in_a_new_order_each_epoch():
    shuffled = loader(shuffle=True, rng=3)
    epochs = []
    for _ in range(2):
        batches = list(shuffled)
        epochs.append(order(batches))
        assert sorted(epochs[-1]) == list(range(COUNT))
        for x, y in batches:
            np.testing.assert_array_equal(x.numpy()[:, 0, 0, 0], y.numpy())
    assert epochs[0] != epochs[1] != list(range(COUNT))
    again = loader(shuffle=True, rng=np.random.default_rng(3))
    assert [order(again), order(again)] == epochs
    assert order(loader(shuffle=True, rng=4)) != epochs[0]


def test_augmentation_does_not_change_the_order():
    plain = loader(shuffle=True, rng=3, prefetch=0)
    mixed = loader(shuffle=True, rng=3, prefetch=0, augmentation=Augmentation(rotation=9))
    assert [order(plain), order(plain)] == [order(mixed), order(mixed)]


def test_augmentation_is_drawn_anew_for_every_batch_and_epoch():
    images = np.repeat(np.random.default_rng(0).integers(0, 256, (1, 6, 6, 1), np.uint8), 4, axis=0)
    same = DataLoader(
        images, np.zeros(4, int), batch_size=2, rng=0, augmentation=Augmentation(rotation=40)
    )
    pictures = [picture.tobytes() for _ in range(3) for x, _ in same for picture in x.numpy()]
    assert len(set(pictures)) == 12


def test_normalization_follows_augmentation():
    images, _ = data()
    normalization = PixelNormalization().fit(images)
    flips = Augmentation(brightness=(2, 2))
    (x, _), *_ = loader(augmentation=flips, normalization=normalization)
    expected = (2.0 * np.arange(5) - images.mean()) / images[:, 0, 0, 0].std()
    np.testing.assert_allclose(x.numpy()[:, 1, 1, 0], expected, rtol=1e-5)


def test_mixup_delivers_probabilities():
    for _, y in rich_loader():
        assert y.dtype == np.float32 and y.shape[1] == COUNT
        np.testing.assert_allclose(y.numpy().sum(axis=1), 1, rtol=1e-6)


def test_probabilities_and_float_images_pass_through():
    images, _ = data(4)
    labels = np.random.default_rng(0).dirichlet(np.ones(3), 4)
    ((x, y),) = DataLoader(images.astype(np.float32), labels, batch_size=4)
    np.testing.assert_array_equal(y.numpy(), labels.astype(np.float32))
    x.data[...] = -1  # a batch is the consumer's own: the data set does not change with it
    assert images.min() == 0


@pytest.mark.standin
def test_a_batch_is_one_uint8_and_one_label_transfer_and_nothing_comes_back():
    batches = iter(loader(shuffle=True, rng=0, prefetch=0))
    with counting() as counts:
        next(batches)
    assert (counts.to_device, counts.to_host, counts.synchronizations) == (2, 0, 0)


@pytest.mark.standin
def test_a_named_backend_is_used_whatever_is_current():
    host = loader(backend="numpy")
    assert {x.backend for x, _ in host} == {"numpy"}


# -- prefetching


@pytest.mark.parametrize("prefetch", [1, 2, 50])
def test_prefetching_does_not_change_bits(prefetch):
    ahead, direct = rich_loader(prefetch=prefetch), rich_loader(prefetch=0)
    for _ in range(2):
        assert values(ahead) == values(direct)
    assert ahead.state() == direct.state()


class Recorder:
    """Stands in for an augmentation: counts its calls, waits or fails where told."""

    mixes = False

    def __init__(self, fail_at=None, error=None):
        self.calls = 0
        self.fail_at, self.error = fail_at, error

    def __call__(self, images, labels, rng, *, num_classes=None):
        self.calls += 1
        if self.calls == self.fail_at:
            raise self.error
        return images, labels


def test_the_thread_works_ahead_no_further_than_asked():
    recorder = Recorder()
    batches = iter(loader(augmentation=recorder, batch_size=1, prefetch=3))
    next(batches)
    # One was taken, three wait, and one is held in hand until there is room.
    patience = time.monotonic() + 10
    while recorder.calls < 5 and time.monotonic() < patience:
        time.sleep(0.01)
    time.sleep(0.05)  # in which a sixth would be made
    assert recorder.calls == 5
    batches.close()


@pytest.mark.parametrize("error", [KeyError("lost"), DataError("odd"), KeyboardInterrupt()])
@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_errors_come_out_with_their_own_type_after_the_batches_before(prefetch, error):
    seen = 0
    with pytest.raises(type(error)) as caught:
        for _ in loader(augmentation=Recorder(3, error), batch_size=2, prefetch=prefetch):
            seen += 1
    assert caught.value is error
    assert seen == 2
    assert not loader_threads()


@pytest.mark.parametrize("prefetch", [1, 2, 5])
def test_the_thread_ends_when_the_consumer_breaks_off(prefetch):
    for stop in range(4):
        for number, _ in enumerate(loader(batch_size=1, prefetch=prefetch)):
            if number == stop:
                break
        assert not loader_threads()


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_the_thread_ends_when_the_consumer_raises(error):
    with pytest.raises(error):
        for _ in loader(batch_size=1):
            raise error
    assert not loader_threads()


def test_ctrl_c_while_waiting_for_a_batch_ends_the_thread_and_the_epoch():
    class Slow(Recorder):
        def __call__(self, *arguments, **options):
            time.sleep(0.1)
            return super().__call__(*arguments, **options)

    recorder = Slow()
    stopped = loader(augmentation=recorder, batch_size=1)
    timer = threading.Timer(0.25, os.kill, (os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        for _ in stopped:
            pass
    assert not loader_threads()
    assert 0 < stopped.state()["batch"] < COUNT
    assert recorder.calls < COUNT


def test_the_thread_ends_with_the_epoch_and_an_unused_iterator_has_none():
    list(loader())
    assert not loader_threads()
    unused = iter(loader())
    assert not loader_threads()
    del unused


def test_a_dropped_iterator_ends_its_thread():
    batches = iter(loader(batch_size=1))
    next(batches)
    assert loader_threads()
    del batches
    gc.collect()
    assert not loader_threads()


def test_two_epochs_may_run_side_by_side():
    shuffled = loader(shuffle=True, rng=3)
    pairs = list(zip(shuffled, shuffled, strict=True))
    expected = loader(shuffle=True, rng=3, prefetch=0)
    assert values(a for a, _ in pairs) == values(expected)
    assert values(b for _, b in pairs) == values(expected)


# -- other recipes in later epochs


def scheduled(**options):
    first = Augmentation(rotation=20, mixup=0.3)
    last = Augmentation(brightness=(2, 2))
    schedule = AugmentationSchedule(recipes=[first, last], changes=[2])
    return rich_loader(augmentation=schedule, normalization=None, **options)


@pytest.mark.parametrize("prefetch", [0, 50])
def test_a_schedule_changes_the_recipe_between_two_epochs_and_never_within_one(prefetch):
    found = scheduled(prefetch=prefetch)
    first = rich_loader(augmentation=found.augmentation.recipes[0], normalization=None)
    assert values(found) == values(first)
    assert values(found) == values(first)
    for _ in range(2):
        for x, y in found:
            assert y.dtype == np.int64
            np.testing.assert_array_equal(x.numpy()[:, 0, 0, 0], 2 * y.numpy())


def test_an_epoch_that_was_broken_off_and_begun_anew_keeps_its_recipe():
    found = scheduled()
    for _ in range(3):
        labels = next(iter(found))[1]
        assert labels.dtype == np.float32
    assert found.epoch == 0


@pytest.mark.parametrize("epoch", [1, 2])
@pytest.mark.parametrize("done", [0, 3, 5])
def test_resuming_with_a_schedule_gives_the_same_bits_on_either_side_of_the_change(epoch, done):
    whole = scheduled()
    epochs = [values(whole) for _ in range(4)]
    stopped = scheduled()
    for _ in range(epoch):
        list(stopped)
    batches = iter(stopped)
    for _ in range(done):
        next(batches)
    state = through_json(stopped.state())
    batches.close()
    resumed = scheduled(rng=999)
    resumed.load_state(state)
    assert values(resumed) == epochs[epoch][done:]
    assert values(resumed) == epochs[epoch + 1]


@pytest.mark.host
def test_a_schedule_mixes_if_either_recipe_does():
    plain, mixing = Augmentation(), Augmentation(cutmix=1)
    for recipes in ((mixing, plain), (plain, mixing), (None, mixing), (mixing, None)):
        assert AugmentationSchedule(recipes=recipes, changes=[1]).mixes
    assert not AugmentationSchedule(recipes=[plain, None], changes=[1]).mixes


@pytest.mark.host
def test_each_recipe_of_a_schedule_begins_in_its_epoch():
    recipes = [Augmentation(rotation=angle) for angle in range(4)]
    schedule = AugmentationSchedule(recipes=recipes, changes=[2, 5, 5])
    found = [schedule.at(epoch).rotation for epoch in range(7)]
    assert found == [0, 0, 1, 1, 1, 3, 3]


@pytest.mark.host
@pytest.mark.parametrize("changes", [[-1], [1.5], [True], [3, 2]])
def test_the_changes_of_a_schedule_are_epochs_in_order(changes):
    with pytest.raises(OptionError, match=r"changes.*0 or more, in ascending order, got") as caught:
        AugmentationSchedule(recipes=[None] * (len(changes) + 1), changes=changes)
    assert str(changes) in str(caught.value)


@pytest.mark.host
def test_a_schedule_has_a_change_before_each_recipe_but_the_first():
    with pytest.raises(OptionError, match="2 recipes change 1 times, got 2 changes"):
        AugmentationSchedule(recipes=[None, None], changes=[1, 2])


def test_images_may_grow_from_epoch_to_epoch():
    recipes = [Augmentation(size=size) for size in (2, 3)]
    schedule = AugmentationSchedule(recipes=[*recipes, None], changes=[1, 2])
    found = rich_loader(augmentation=schedule, normalization=None)
    sizes = [{x.shape[1:3] for x, _ in found} for _ in range(3)]
    assert sizes[:2] == [{(2, 2)}, {(3, 3)}]
    assert sizes[2] not in sizes[:2]


# -- resuming


def through_json(state):
    return json.loads(json.dumps(state))


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("done", range(6))
def test_resuming_within_an_epoch_gives_the_same_bits(done, prefetch):
    whole = rich_loader(prefetch=0)
    list(whole)
    second, third = values(whole), values(whole)

    stopped = rich_loader(prefetch=prefetch)
    list(stopped)
    batches = iter(stopped)
    assert values(next(batches) for _ in range(done)) == second[:done]
    state = through_json(stopped.state())
    batches.close()

    resumed = rich_loader(prefetch=prefetch, rng=999)
    resumed.load_state(state)
    assert resumed.epoch == 1
    assert through_json(resumed.state()) == state  # also before anything is taken
    assert values(resumed) == second[done:]
    assert values(resumed) == third
    assert resumed.epoch == 3


def test_resuming_between_epochs_gives_the_same_bits():
    whole = rich_loader()
    first, second = values(whole), values(whole)
    stopped = rich_loader()
    assert values(stopped) == first
    resumed = rich_loader(rng=999)
    resumed.load_state(through_json(stopped.state()))
    assert values(resumed) == second


def test_resuming_does_not_depend_on_what_else_restores_the_generator():
    whole = rich_loader()
    first = values(whole)
    stopped = rich_loader()
    batches = iter(stopped)
    next(batches)
    state, rng_state = stopped.state(), stopped.rng.bit_generator.state  # further on than state
    batches.close()
    resumed = rich_loader(rng=999)
    resumed.load_state(state)
    resumed.rng.bit_generator.state = rng_state
    assert values(resumed) == first[1:]


def test_skipped_batches_are_not_computed():
    stopped = loader(batch_size=1, rng=0)
    batches = iter(stopped)
    for _ in range(20):
        next(batches)
    recorder = Recorder()
    resumed = loader(batch_size=1, rng=0, augmentation=recorder)
    resumed.load_state(stopped.state())
    batches.close()
    assert len(list(resumed)) == 3 == recorder.calls


def test_an_epoch_that_was_broken_off_is_kept_in_the_state_until_the_next_begins():
    broken = loader(shuffle=True, rng=5)
    for _ in broken:
        break
    assert broken.state()["batch"] == 1
    expected = loader(shuffle=True, rng=5)
    list(expected)
    assert values(broken) == values(expected)  # the next epoch, not the rest of the first
    assert broken.state()["batch"] == 0


@pytest.mark.host
def test_a_state_of_other_data_is_refused():
    state = loader().state()
    with pytest.raises(CheckpointError, match=r"23 images in batches of 5.*in batches of 4"):
        loader(batch_size=4).load_state(state)
    with pytest.raises(CheckpointError, match="no 'rng'"):
        loader().load_state({"epoch": 1, "batch": 0})


# -- options


@pytest.mark.host
@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"batch_size": 0}, OptionError, "batch_size: expected an integer of 1 or more, got 0"),
        ({"batch_size": 2.0}, OptionError, "batch_size.*2.0"),
        ({"prefetch": -1}, OptionError, "prefetch.*0 or more, got -1"),
        ({"rng": -1}, OptionError, "rng"),
        ({"batch_size": 24, "drop_last": True}, OptionError, "no batch.*23 images.*24"),
        ({"augmentation": Augmentation(mixup=1)}, OptionError, "mixup.*num_classes"),
        ({"augmentation": Augmentation(cutmix=1)}, OptionError, "cutmix.*num_classes"),
        (
            {"augmentation": AugmentationSchedule(recipes=[AUGMENTATION, None], changes=[1])},
            OptionError,
            "num_classes",
        ),
        ({"num_classes": 7}, DataError, "labels go from 0 to 22, but num_classes is 7"),
        ({"backend": "torch"}, OptionError, "torch"),
    ],
)
def test_wrong_options_are_refused(options, error, match):
    with pytest.raises(error, match=match):
        loader(**options)


@pytest.mark.host
def test_wrong_data_is_refused():
    images, labels = data()
    for bad_images, bad_labels, error, match in (
        (images[:3], labels, ShapeError, "3 images do not fit labels"),
        (images[0], labels, ShapeError, r"\(N, H, W, C\)"),
        (images[:0], labels[:0], ShapeError, "N above 0"),
        (images.tolist(), labels, DTypeError, "NumPy array on the host, got list"),
        (images, labels.astype(float), DTypeError, "integer labels"),
        (images, labels[:, None], DTypeError, "integer labels"),
    ):
        with pytest.raises(error, match=match):
            DataLoader(bad_images, bad_labels, batch_size=2)
