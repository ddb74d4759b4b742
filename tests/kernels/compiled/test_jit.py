"""How functions are compiled, and that others are compiled as they would be without minicnn."""

from __future__ import annotations

import pytest

pytest.importorskip("numba")

import numba
from numba.core import config, event

from minicnn.kernels.compiled import jit

pytestmark = pytest.mark.host


class Levels(event.Listener):
    """Notes the level of optimisation as each compilation begins."""

    def __init__(self):
        self.found = []

    def on_start(self, event):
        self.found.append(int(config.OPT))

    def on_end(self, event):
        pass


@pytest.fixture
def levels(monkeypatch):
    monkeypatch.setattr(config, "OPT", type(config.OPT)(3))  # Numba's own, if none is chosen
    listener = Levels()
    event.register("numba:compile", listener)
    yield listener.found
    event.unregister("numba:compile", listener)


def ours():
    return jit.built(jit.__name__, __file__, "twice", "x", ["return 2 * x"], how=numba.njit)


def test_functions_of_minicnn_alone_are_compiled_at_a_lower_level(levels):
    before = config.OPT
    assert numba.njit(lambda x: 3 * x)(2) == 6
    assert ours()(2) == 4
    assert levels == [3, 2]
    assert config.OPT is before and type(config.OPT) is type(before)


def test_a_level_that_was_chosen_lower_stays(levels, monkeypatch):
    monkeypatch.setattr(config, "OPT", type(config.OPT)(1))
    assert ours()(2) == 4
    assert levels == [1]


def test_the_level_comes_back_after_a_function_that_cannot_be_compiled(levels):
    before = config.OPT
    faulty = jit.built(jit.__name__, __file__, "wrong", "x", ["return x.nothing"], how=numba.njit)
    with pytest.raises(numba.TypingError):
        faulty(2)
    assert levels == [2]
    assert config.OPT is before


def test_the_time_of_compiling_is_counted():
    before = jit.seconds()
    ours()(1.5)
    assert jit.seconds() > before


def test_code_that_cannot_be_kept_is_compiled_all_the_same(python):
    # As where neither the package nor the user's folders can be written.
    code = """if True:
        from numba.core import caching
        caching.CacheImpl._locator_classes = []
        import numpy as np
        from minicnn import nn, tensor
        from minicnn.kernels import compiled
        net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, rng=0), nn.ReLU(), nn.MaxPool2d(2))
        print(compiled.kept(), net(tensor(np.ones((8, 48, 48, 1), np.float32))).shape)
        print(compiled.kept(), compiled.compile_seconds() > 0)
    """
    done = python("-c", code, NUMBA_CACHE_DIR="")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["True (8, 24, 24, 8)", "False True"]
