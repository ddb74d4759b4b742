"""Switching recording off and on, in blocks, functions and threads; watching operations."""

from __future__ import annotations

import threading

import pytest

import minicnn
from minicnn.autograd import watch


@pytest.fixture
def x():
    return minicnn.tensor([1.0, 2.0], requires_grad=True)


def test_nothing_is_recorded_inside_no_grad(x):
    with minicnn.no_grad():
        assert not minicnn.is_grad_enabled()
        y = x * 2
    assert minicnn.is_grad_enabled()
    assert not y.requires_grad
    assert y.is_leaf


def test_enable_grad_records_again_inside_no_grad(x):
    with minicnn.no_grad():
        with minicnn.enable_grad():
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad


def test_switches_come_back_after_an_error():
    with pytest.raises(ZeroDivisionError), minicnn.no_grad():
        raise ZeroDivisionError
    assert minicnn.is_grad_enabled()


def test_switches_decorate_functions_and_keep_their_names(x):
    @minicnn.no_grad()
    def double(value, *, times):
        """Double."""
        return value * times

    @minicnn.enable_grad()
    def recorded(value):
        return value * 2

    assert not double(x, times=2).requires_grad
    assert (double.__name__, double.__doc__) == ("double", "Double.")
    assert minicnn.is_grad_enabled()
    with minicnn.no_grad():
        assert recorded(x).requires_grad


def test_one_switch_can_be_entered_again(x):
    switch = minicnn.no_grad()
    with switch, switch:
        assert not minicnn.is_grad_enabled()
    assert minicnn.is_grad_enabled()


@minicnn.no_grad()
def countdown(x, n):
    return x if n == 0 else countdown(x * 1, n - 1)


def test_decorated_function_may_call_itself(x):
    assert not countdown(x, 3).requires_grad
    assert minicnn.is_grad_enabled()


@pytest.mark.host
def test_each_thread_has_its_own_switches(x):
    inside, leave = threading.Event(), threading.Event()
    found = {}

    def other():
        found["at its start"] = minicnn.is_grad_enabled()
        with minicnn.no_grad():
            inside.set()
            leave.wait(10)
            found["inside"] = minicnn.is_grad_enabled()

    with minicnn.no_grad():
        thread = threading.Thread(target=other)
        thread.start()
        assert inside.wait(10)
    found["here"] = minicnn.is_grad_enabled()
    leave.set()
    thread.join(10)
    assert found == {"at its start": True, "inside": False, "here": True}
    assert (x * 2).requires_grad


def test_watchers_see_operations_in_order_and_only_inside(x):
    seen = []
    x * 2
    with watch(lambda operation, inputs, options, output: seen.append((operation.name, output))):
        y = x * 3
        with watch(lambda operation, *rest: seen.append(("inner", operation.name))):
            z = y.exp()
        z.sum(axis=0)
    x * 4
    assert [each[0] for each in seen] == ["multiply", "exp", "inner", "sum"]
    assert seen[0][1] is y


def test_a_watcher_that_raises_stops_the_operation_and_is_gone_afterwards(x):
    def refuse(*event):
        raise RuntimeError("seen")

    with pytest.raises(RuntimeError, match="seen"), watch(refuse):
        x * 2
    assert (x * 2).tolist() == [2, 4]
