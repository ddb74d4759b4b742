"""The pool of threads: every part once and in order, errors, nesting, BLAS kept to one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.errors import OptionError
from minicnn.kernels import threads
from minicnn.kernels.blocks import for_blocks
from minicnn.kernels.matmul import matmul

pytestmark = pytest.mark.host


@given(st.integers(0, 50), st.integers(1, 60))
def test_split_takes_everything_once_in_parts_of_nearly_one_size(count, parts):
    found = threads.split(count, parts)
    assert [i for part in found for i in range(part.start, part.stop)] == list(range(count))
    sizes = [part.stop - part.start for part in found]
    assert max(sizes) - min(sizes) <= 1
    assert len(found) == max(1, min(parts, count))


def test_results_come_in_the_order_of_the_parts():
    assert threads.parallel(lambda part: part * part, list(range(20))) == [i * i for i in range(20)]


def test_parts_run_in_more_than_one_thread(monkeypatch):
    if threads.thread_count() < 2:
        pytest.skip("there is one thread only")
    meeting = threading.Barrier(2, timeout=20)  # passes only if two parts are under way at once
    threads.parallel(lambda part: meeting.wait(), [0, 1])


def test_a_call_inside_a_part_runs_in_the_same_thread():
    def inner(part):
        return threading.get_ident()

    def outer(part):
        return {threading.get_ident(), *threads.parallel(inner, [0, 1, 2])}

    assert all(len(seen) == 1 for seen in threads.parallel(outer, [0, 1]))


@pytest.mark.parametrize("wrong", [0, 1])
def test_an_error_in_a_part_is_raised_after_the_others_are_done(wrong):
    done = []

    def work(part):
        if part == wrong:
            raise ValueError(f"part {part}")
        done.append(part)

    with pytest.raises(ValueError, match=f"part {wrong}"):
        threads.parallel(work, [0, 1])
    begun = wrong == 1 or threads.thread_count() > 1  # one thread alone stops at the first error
    assert done == [1 - wrong] * begun
    assert threads.parallel(abs, [-1, -2]) == [1, 2]  # the pool goes on working


@pytest.mark.parametrize("count", [2, 3, 7])
def test_errors_of_several_parts_leave_nothing_for_the_next_call(count):
    def work(part):
        raise ValueError(f"part {part}")

    with pytest.raises(ValueError, match="part 0"):
        threads.parallel(work, list(range(count)))
    assert threads.parallel(abs, [-1] * count) == [1] * count


def test_threads_that_call_at_the_same_time_all_get_their_own_results():
    found = {}

    def call(number):
        found[number] = [
            threads.parallel(lambda part: (number, part), [0, 1, 2]) for _ in range(200)
        ]

    callers = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    assert found == {n: [[(n, 0), (n, 1), (n, 2)]] * 200 for n in range(4)}


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no timer")
def test_an_interruption_waits_for_the_parts_under_way():
    if threads.thread_count() < 2:
        pytest.skip("there is one thread only")
    ended = []

    def work(part):
        if part:
            time.sleep(0.3)
            ended.append(part)

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            threads.parallel(work, [0, 1])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert ended == [1]
    assert threads.parallel(abs, [-1, -2]) == [1, 2]


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.strip()


def test_the_number_of_threads_comes_from_the_environment():
    code = "from minicnn.kernels.threads import thread_count; print(thread_count())"
    assert run(code, MINICNN_THREADS="3") == "3"
    assert run(code, MINICNN_THREADS="") == str(len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_a_wrong_number_of_threads_is_refused(text, monkeypatch):
    monkeypatch.setenv("MINICNN_THREADS", text)
    threads.thread_count.cache_clear()
    try:
        with pytest.raises(OptionError, match=f"MINICNN_THREADS: .* got '{text}'"):
            threads.thread_count()
    finally:
        monkeypatch.undo()
        threads.thread_count.cache_clear()


def test_blas_keeps_to_one_thread_from_the_first_product_on():
    code = (
        "import numpy, threadpoolctl\n"
        "from minicnn.kernels.matmul import matmul\n"
        "matmul(numpy.ones((2, 2)), numpy.ones((2, 2)))\n"
        "found = threadpoolctl.threadpool_info()\n"
        "print({each['num_threads'] for each in found if each['user_api'] == 'blas'})"
    )
    assert run(code, OPENBLAS_NUM_THREADS="2") == "{1}"


@pytest.mark.parametrize("shapes", [((700, 90), (90, 80)), ((60, 90), (90, 900)), ((3, 4), (4, 2))])
@pytest.mark.parametrize("turned", [False, True])
def test_split_products_equal_numpys(shapes, turned, rng):
    x, y = (rng.standard_normal(shape) for shape in shapes)
    if turned:
        x, y = np.asfortranarray(x), np.asfortranarray(y)
    np.testing.assert_allclose(matmul(x, y), np.einsum("ik,kj->ij", x, y), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(5,), (300, 700), (3, 70_001)])
def test_blocks_reach_every_element_once(shape):
    x = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    y = np.full(shape, 7.0)
    for_blocks(lambda a, b: np.add(b, a, out=b), x, y)
    np.testing.assert_array_equal(y, x + 7)


def test_blocks_of_strided_arrays_come_whole():
    x = np.arange(400_000.0).reshape(400, 1000)[:, ::2]
    y = np.zeros(x.shape)
    for_blocks(lambda a, b: np.add(b, a, out=b), x, y)
    np.testing.assert_array_equal(y, x)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_a_forked_process_has_threads_of_its_own():
    code = (
        "import os, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "from minicnn.kernels.threads import parallel\n"
        "parallel(abs, [-1, -2])\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    os._exit(0 if parallel(abs, [-1, -2, -3]) == [1, 2, 3] else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    assert run(code, MINICNN_THREADS="2") == "0"


@pytest.mark.parametrize("parts", [[0], [0, 1]])
def test_an_interruption_in_compiled_code_is_one(parts):
    # What the interpreter makes of an exception that compiled code has left behind.
    def loop(part):
        try:
            raise SystemError("_unpickle returned a result") from KeyboardInterrupt()
        except SystemError as inner:
            raise SystemError("moments returned a result with an exception set") from inner

    with pytest.raises(KeyboardInterrupt):
        threads.parallel(loop, parts)


def test_other_errors_of_compiled_code_stay_what_they_are():
    def loop(part):
        raise SystemError("bad argument")

    with pytest.raises(SystemError, match="bad argument"):
        threads.parallel(loop, [0])


def test_light_work_stays_in_one_part():
    assert threads.split(8, 2, numbers=1000) == [slice(0, 8)]
    assert len(threads.split(8, 2, numbers=1 << 20)) == 2
