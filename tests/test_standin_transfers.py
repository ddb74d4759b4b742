"""The stand-in for CuPy counts what crosses between host and device, and every wait."""

from __future__ import annotations

import copy
import operator

import numpy as np
import pytest
import standin

pytestmark = pytest.mark.standin

cupy = standin.MODULES["cupy"]
HOST = np.ones(4, np.float32)

READS = {
    "get": lambda x: x.get(),
    "item": lambda x: x[0, 0].item(),
    "tolist": lambda x: x.tolist(),
    "float": lambda x: float(x[0, 0]),
    "int": lambda x: int(x[0, 0]),
    "complex": lambda x: complex(x[0, 0]),
    "bool": lambda x: bool(x[0, 0]),
    "if": lambda x: 1 if x.sum() > 0 else 0,
    "repr": lambda x: repr(x),
    "str": lambda x: str(x),
    "format": lambda x: f"{x[0, 0]}",
    "asnumpy": lambda x: cupy.asnumpy(x),
    "tobytes": lambda x: x.tobytes(),
    "pickle": lambda x: x.__reduce__(),
}
WAITS = {
    "mask": lambda x: x[x > 0],
    "mask, assigned an array": lambda x: operator.setitem(x, x >= 0, x.ravel()),
    "nonzero": lambda x: cupy.nonzero(x),
    "where": lambda x: cupy.where(x > 0),
    "unique": lambda x: cupy.unique(x),
    "stream": lambda x: cupy.cuda.get_current_stream().synchronize(),
    "device": lambda x: x.device.synchronize(),
    "event": lambda x: cupy.cuda.get_current_stream().record().synchronize(),
    "runtime": lambda x: cupy.cuda.runtime.deviceSynchronize(),
}
SENDS = {
    "asarray": lambda x: cupy.asarray(HOST),
    "array of numbers": lambda x: cupy.array([1.0, 2.0]),
    "set": lambda x: x[0].set(HOST),
    "list as index": lambda x: x[[0, 1]],
}
STAYS = {
    "arithmetic": lambda x: ((x + 1) @ x.T).sum(axis=0),
    "in place": lambda x: operator.iadd(x, x),
    "creation": lambda x: (cupy.zeros(3), cupy.arange(3), cupy.full(3, 2.0), cupy.ones_like(x)),
    "asarray of a device array": lambda x: cupy.asarray(x),
    "array of device arrays": lambda x: cupy.array([x[0], x[1]]),
    "mask, assigned a number": lambda x: operator.setitem(x, x > 0, 1.0),
    "indexing with an array": lambda x: x[x[:, 0].astype(int)],
    "random": lambda x: cupy.random.default_rng(0).random((3,)),
    "copies": lambda x: (x.copy(), copy.deepcopy(x), x.astype("f8")),
    "metadata": lambda x: (x.shape, x.dtype, x.size, len(x), x.flags.c_contiguous),
}


@pytest.fixture
def x():
    return cupy.asarray(np.arange(12, dtype=np.float32).reshape(3, 4) % 3)


def counted(call, x):
    with standin.counting() as seen:
        call(x)
    return seen.to_device, seen.to_host, seen.synchronizations


@pytest.mark.parametrize("call", READS.values(), ids=READS)
def test_reads_are_counted(call, x):
    assert counted(call, x) == (0, 1, 1)


@pytest.mark.parametrize("call", WAITS.values(), ids=WAITS)
def test_waits_are_counted(call, x):
    assert counted(call, x) == (0, 0, 1)


@pytest.mark.parametrize("call", SENDS.values(), ids=SENDS)
def test_sends_are_counted(call, x):
    assert counted(call, x) == (1, 0, 0)


@pytest.mark.parametrize("call", STAYS.values(), ids=STAYS)
def test_work_on_the_device_is_not_counted(call, x):
    with standin.no_transfers():
        assert counted(call, x) == (0, 0, 0)


CROSSING = {**READS, **WAITS, **SENDS}


@pytest.mark.parametrize("call", CROSSING.values(), ids=CROSSING)
def test_no_transfers_raises_at_the_first_and_ends(call, x):
    with pytest.raises(standin.UnexpectedTransfer), standin.no_transfers():
        call(x)
    call(x)


def test_sliding_window_view_is_seen_to_read_its_window(x):
    with standin.counting() as seen:
        windows = cupy.lib.stride_tricks.sliding_window_view(x, (2, 2))
    assert (seen.to_device, seen.to_host) == (1, 2)
    expected = np.lib.stride_tricks.sliding_window_view(x.get(), (2, 2))
    np.testing.assert_array_equal(windows.get(), expected)


def test_counts_nest_and_tell_what_they_saw(x):
    with standin.counting() as outer:
        x.get()
        with standin.counting() as inner:
            cupy.asarray(HOST)
    assert outer.log == ["to_host: array of shape (3, 4)", "to_device: array of shape (4,)"]
    assert inner.log == ["to_device: array of shape (4,)"]
    assert (outer.to_device, outer.to_host, inner.to_host) == (1, 1, 0)


def test_running_total_starts_at_zero_in_each_test():
    total = standin.transfers
    assert (total.to_device, total.to_host, total.synchronizations) == (0, 0, 0)
    cupy.asarray(HOST).get()
    assert (total.to_device, total.to_host, total.synchronizations) == (1, 1, 1)
