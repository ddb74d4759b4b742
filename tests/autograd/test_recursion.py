"""Long chains need no recursion, and the tape's memory is freed as the backward pass goes."""

from __future__ import annotations

import gc
import sys
import tracemalloc
import weakref

import numpy as np
import pytest

import minicnn
from minicnn.autograd import grad

pytestmark = pytest.mark.host  # the tape is the same on both backends

LENGTH = 100_000


def chain(x, length=LENGTH):
    for _ in range(length):
        x = x + 1.0
    return x


@pytest.fixture
def x():
    return minicnn.tensor([1.0], requires_grad=True)


def test_chain_far_beyond_the_recursion_limit_goes_forward_and_backward(x):
    assert sys.getrecursionlimit() < LENGTH / 10
    y = chain(x)
    assert y.item() == 1 + LENGTH
    y.backward()
    assert x.grad.item() == 1


def test_grad_through_a_long_chain(x):
    (gx,) = grad(chain(x), x)
    assert gx.item() == 1


def test_long_chain_is_dropped_without_a_backward_pass(x):
    y = chain(x)
    middle = weakref.ref(y._node.inputs[0]._node)
    assert middle() is not None
    del y
    assert middle() is None


def test_long_chain_is_dropped_after_a_backward_pass_that_kept_it(x):
    y = chain(x)
    y.backward(retain_graph=True)
    del y
    gc.collect()
    assert x.grad.item() == 1


def test_recorded_gradient_of_a_long_chain_is_dropped_without_recursion(x):
    y = x
    for _ in range(LENGTH // 10):
        y = y * 1.0
    (gx,) = grad(y, x, create_graph=True)
    assert gx.item() == 1
    del y, gx


def test_results_are_freed_when_the_output_is_dropped_without_garbage_collection(x):
    gc.disable()
    try:
        y = (x * 2).exp()
        z = y.tanh()
        seen = [weakref.ref(y), weakref.ref(y.data), weakref.ref(z.data)]
        del y, z
        assert [each() for each in seen] == [None] * 3
    finally:
        gc.enable()


def test_results_that_no_gradient_needs_are_freed_in_the_forward_pass(x):
    y = x + 1
    unneeded, saved = weakref.ref(y.data), y.exp()
    needed = weakref.ref(saved.data)
    del y
    output = (saved + 1).sum()
    del saved
    assert unneeded() is None
    assert needed() is not None
    output.backward()
    assert needed() is None
    assert x.grad.item() == pytest.approx(np.exp(2.0))


def test_later_results_are_freed_before_earlier_ones_are_visited(x):
    early = x * 2
    late = early.exp()
    output = late.tanh().sum()
    alive = []
    late_data = weakref.ref(late.data)
    del late
    assert late_data() is not None
    early.register_hook(lambda gradient: alive.append(late_data() is not None))
    output.backward()
    # The exponential's node is at work when its gradient is handed on; then the hook runs.
    assert alive == [False]


def test_memory_of_a_backward_pass_stays_below_that_of_the_tape(x):
    links, size = 40, 25_000

    tracemalloc.start()
    try:
        y = x.expand((size,))
        for _ in range(links):
            y = y.tanh()
        output = y.sum()
        del y
        recorded, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        output.backward()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    one = size * 4
    assert links * one < recorded < (links + 3) * one
    assert peak < recorded + 8 * one
    assert after < 4 * one


def test_leaves_are_kept_but_results_are_not_by_a_tape_that_was_used(x):
    y = x * 3
    output = y.exp().sum()
    before = weakref.ref(y)
    del y
    output.backward()
    assert before() is None
    assert output.item() == pytest.approx(np.exp(3.0))
