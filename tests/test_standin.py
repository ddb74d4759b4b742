"""The stand-in for CuPy agrees with NumPy on results, and shares memory as CuPy does."""

from __future__ import annotations

import copy
import importlib
import operator
import pickle
import sys
import weakref

import numpy as np
import pytest
import standin

pytestmark = pytest.mark.standin

cupy = standin.MODULES["cupy"]

# x is float32 of shape (3, 4), i an index array of shape (3,); xp is NumPy, then the stand-in.
EXPRESSIONS = """
x + x
x - 1
2 * x
x / 3
x // 2
x % 2
x ** 2
2.0 ** x
-x
abs(x)
divmod(x, 2)
1 / (x + 9)
7 // (i + 1)
7 % (i + 1)
3 & i
1 | i
2 ^ i
2 << i
i >> 1
~i
x == 0
x != x
x < 0.1
x <= x
0 > x
x >= 1
x * np.float32(2)
np.float32(2) * x
np.float64(2) * x
np.int64(3) - i
x + 1.5
i + 1
i * 1.5
xp.maximum(x, 0)
xp.where(x > 0, x, 0.0)
x / 0
xp.log(x)
xp.sqrt(x)
xp.exp(x * 1e6)
x @ x.T
xp.matmul(x.T, x)
xp.matmul(x[None], x.T[None])
xp.dot(x, x.T)
x.T.dot(x)
xp.tensordot(x, x, 2)
xp.einsum("ij,kj->ik", x, x)
xp.einsum("ij->j", x, optimize=True)
x.sum()
x.sum(axis=(0, 1))
x.sum(dtype=float)
i.sum()
xp.sum(x, 0, keepdims=True)
x.mean(0)
x.var(1, ddof=1)
x.std()
x.prod(0)
x.max()
xp.min(x, axis=-1)
i.any()
(x > 0).all(axis=0)
x.argmax()
xp.argmin(x, axis=1)
xp.argsort(-x, axis=1)
xp.sort(-x, axis=0)
xp.nonzero(x > 0)
xp.cumsum(x, axis=1)
x.cumprod(0)
xp.add.reduce(x)
xp.multiply.reduce(x)
xp.add.accumulate(x, axis=1)
xp.add.reduceat(x, xp.asarray([0, 2]), axis=1)
x.T
x.reshape(4, 3)
x.reshape((2, -1))
x.T.reshape(-1)
x.ravel()
x[None]
xp.expand_dims(x, (0, 2))
x.transpose(1, 0)
x.transpose((1, 0))
xp.moveaxis(x, 0, 1)
x.swapaxes(0, 1)
xp.squeeze(x[:1])
xp.flip(x, 1)
xp.concatenate([x, x], axis=1)
xp.concatenate([x, x], dtype="f8")
xp.stack([x, x], -1)
xp.vstack([x, x])
xp.hstack([x, x])
xp.split(x, 2, axis=1)
xp.array_split(x, 2)
xp.broadcast_to(x, (2, 3, 4))
xp.broadcast_arrays(x, x[0])
xp.tile(x, (2, 1))
xp.repeat(x, 2, axis=0)
xp.roll(x, 1, axis=1)
x.astype("float16")
x.copy()
xp.pad(x, 1)
xp.pad(x, ((1, 0), (0, 2)), mode="constant", constant_values=3)
xp.pad(x, 1, mode="reflect")
xp.zeros((2, 3), np.float32)
xp.ones_like(x)
xp.full(3, 2.5)
xp.full_like(x, 2)
xp.eye(3)
xp.tri(3)
xp.arange(4)
xp.arange(1, 9, 2.5)
xp.linspace(0, 1, 5)
xp.indices((2, 3))
xp.meshgrid(i, i, indexing="ij")
x[0]
x[0, 1]
x[:, ::-2]
x[..., None]
x[i]
x[i, i]
x[x > 0]
x[[0, 2]]
x[-1, -1]
x[i[0]]
xp.take(x, i, axis=1)
x.take(2)
xp.take_along_axis(x, xp.argsort(x, 0), 0)
xp.where(x > 0, x, -x)
xp.clip(x, 0, 0.5)
x.clip(min=0)
xp.nan_to_num(x / 0)
xp.tanh(x)
xp.sign(x)
xp.square(x)
xp.isfinite(x)
xp.expm1(x)
xp.round(x, 1)
xp.add(i, 1, dtype=float)
xp.exp(2.0)
xp.maximum(1, 2)
xp.add(1, 2.5)
xp.modf(x)
xp.frexp(x)
xp.divmod(x, 2)
xp.allclose(x, x)
xp.array_equal(x, x)
xp.isclose(x, 0.5)
xp.count_nonzero(x)
xp.bincount(i, minlength=5)
xp.unique(i, return_counts=True)
xp.searchsorted(i, i)
xp.quantile(x, 0.25, axis=1)
xp.linalg.norm(x, axis=1)
xp.linalg.svd(x @ x.T)[1]
xp.linalg.inv(xp.eye(2))
xp.linalg.qr(x)
""".strip().splitlines()


@pytest.fixture
def host_x():
    return np.arange(12, dtype=np.float32).reshape(3, 4) / 8 - 0.5


@pytest.fixture
def x(host_x):
    return cupy.asarray(host_x)


def assert_same(result, expected):
    """Compare device arrays, also in tuples and lists, with what NumPy gave."""
    if isinstance(expected, (tuple, list)):
        assert len(result) == len(expected)
        for one, other in zip(result, expected, strict=True):
            assert_same(one, other)
        return
    assert type(result) is cupy.ndarray
    expected = np.asarray(expected)
    assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(result.get(), expected)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_results_are_numpys(expression, x, host_x):
    indices = np.array([2, 0, 1])
    with np.errstate(all="ignore"):
        expected = eval(expression, {"xp": np, "np": np, "x": host_x, "i": indices})
    on_device = {"xp": cupy, "np": np, "x": x, "i": cupy.asarray(indices)}
    assert_same(eval(expression, on_device), expected)


def test_metadata_is_numpys(x, host_x):
    for name in ("shape", "dtype", "ndim", "size", "nbytes", "itemsize", "strides"):
        assert getattr(x, name) == getattr(host_x, name)
    assert (len(x), cupy.ndim(x), cupy.size(x), cupy.shape(x)) == (3, 2, 12, (3, 4))
    assert cupy.result_type(x, np.float64) == np.float64
    assert x.flags.c_contiguous and x.T.flags.f_contiguous and not x.T.flags["C_CONTIGUOUS"]
    assert cupy.float32 is np.float32 and cupy.pi == np.pi and cupy.newaxis is None


# The array's class and the modules pass for CuPy's.


def test_class_calls_itself_cupy_ndarray(x):
    assert (type(x).__module__, type(x).__name__) == ("cupy", "ndarray")
    assert isinstance(x, importlib.import_module("cupy").ndarray)
    assert cupy.get_array_module(x) is cupy and cupy.get_array_module(x.get()) is np


def test_submodules_are_importable():
    for name in ("cupy.cuda.runtime", "cupy.lib.stride_tricks", "cupy.linalg", "cupyx"):
        assert importlib.import_module(name) is standin.MODULES[name]
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("cupy.no_such_module")


def test_absent_hides_cupy_and_brings_it_back():
    with standin.absent():
        assert not [name for name in sys.modules if name.startswith("cupy")]
        with pytest.raises(ModuleNotFoundError, match="No module named 'cupy'"):
            importlib.import_module("cupy")
    assert sys.modules["cupy"] is cupy


def test_arrays_can_be_copied_pickled_and_weakly_referenced(x, host_x):
    assert_same(copy.deepcopy(x), host_x)
    assert_same(copy.copy(x), host_x)
    assert_same(pickle.loads(pickle.dumps(x)), host_x)
    assert weakref.ref(x)() is x


# Results are device arrays.


@pytest.mark.parametrize(
    "expression",
    ["x.sum()", "cupy.max(x)", "x[0, 0]", "x[-1][2]", "cupy.allclose(x, x)", "(x > 0).all()"],
)
def test_reductions_and_single_elements_are_0d_arrays(expression, x):
    value = eval(expression, {"cupy": cupy, "x": x})
    assert type(value) is cupy.ndarray and value.shape == ()


def test_iteration_gives_arrays_and_a_0d_array_has_none(x):
    assert [type(row) for row in x] == [cupy.ndarray] * 3
    with pytest.raises(TypeError, match="0-d"):
        iter(x[0, 0])


@pytest.mark.parametrize(
    "expression",
    ["x.T + 1", "-x.T", "cupy.exp(x.T)", "cupy.where(x.T > 0, x.T, 0)", "cupy.stack([x.T, x.T])"],
)
def test_fresh_results_are_in_c_order(expression, x):
    assert eval(expression, {"cupy": cupy, "x": x}).flags.c_contiguous


def test_fresh_memory_is_not_zero(x):
    assert np.isnan(cupy.empty((2, 2)).get()).all()
    assert np.isnan(cupy.empty_like(x).get()).all()
    assert (cupy.empty(2, int).get() != 0).all()


# Memory: views share it, host arrays never do.


def test_views_share_memory(x, host_x):
    row, block, element = x[1], x.T.reshape(2, 2, 3)[1:, :, :2], x[2, 3]
    row += 1
    block[...] = 7
    element -= 2
    expected = host_x.copy()
    expected[1] += 1
    expected[:2, 2:] = 7
    expected[2, 3] -= 2
    assert_same(x, expected)


def test_out_writes_into_the_array_and_returns_it(x, host_x):
    target = cupy.zeros((3, 4), np.float32)
    assert cupy.add(x, 1, out=target) is target
    assert_same(target, host_x + 1)
    row = target[0]
    assert x.sum(axis=0, out=row) is row
    assert_same(target[0], host_x.sum(axis=0))
    square = target[:, :3]
    assert cupy.matmul(x, x.T, out=square) is square
    np.testing.assert_allclose(target[:, :3].get(), host_x @ host_x.T)


def test_in_place_operators_keep_the_array(x, host_x):
    before = x
    x += x
    x *= 3
    assert x is before
    assert_same(x, host_x * 6)
    integers = cupy.arange(3)
    with pytest.raises(TypeError):
        integers += 0.5


def test_host_and_device_share_nothing(host_x):
    original = host_x.copy()
    x = cupy.asarray(host_x)
    host_x[...] = 0
    x.get()[...] = 5
    assert_same(x, original)


def test_as_strided_views_share_memory_and_stay_inside(x):
    as_strided = cupy.lib.stride_tricks.as_strided
    windows = as_strided(x, (3, 2, 3), (16, 4, 4))
    assert_same(windows, np.lib.stride_tricks.sliding_window_view(x.get(), 3, axis=1))
    x[0, 1] = 9
    assert windows[0, 0, 1].item() == windows[0, 1, 0].item() == 9
    assert_same(as_strided(x[1:, 1:], (2, 2), (16, 4)), x[1:, 1:3].get())
    assert_same(as_strided(x.T.copy("F")[1:], (3,), (4,)), x.get()[0, 1:])
    for shape, strides in (((4, 4), (16, 4)), ((2,), (-4,))):
        with pytest.raises(IndexError, match="leaves the array's memory"):
            as_strided(x, shape, strides)


OVERLAPPING = {
    "in place": lambda view, row: operator.iadd(view, 1),
    "assigned": lambda view, row: operator.setitem(view, ..., 0),
    "out": lambda view, row: cupy.exp(view, out=view),
    "out of a sum": lambda view, row: cupy.sum(view[None], axis=0, out=view),
    "copyto": lambda view, row: cupy.copyto(view, 0),
    "broadcast": lambda view, row: operator.setitem(cupy.broadcast_to(row, (3, 4)), ..., 0),
}


@pytest.mark.parametrize("write", OVERLAPPING.values(), ids=OVERLAPPING)
def test_writing_to_overlapping_elements_is_refused(write, x):
    windows = cupy.lib.stride_tricks.as_strided(x, (3, 2, 3), (16, 4, 4))
    with pytest.raises(ValueError, match="overlap"):
        write(windows, x[0])


def test_writing_to_the_part_of_a_view_that_does_not_overlap_is_allowed(x):
    windows = cupy.lib.stride_tricks.as_strided(x, (3, 2, 3), (16, 4, 4))
    windows[:, 0] = 1
    assert (x[:, :3].get() == 1).all()


def test_assigning_through_repeated_indices_is_refused(x):
    twice = cupy.asarray([0, 0])
    with pytest.raises(ValueError, match="repeated indices"):
        x[twice] = x[:2]
    with pytest.raises(ValueError, match="repeated indices"):
        x[twice] += x[:2]
    with pytest.raises(ValueError, match="repeated indices"):
        cupy.put_along_axis(x, cupy.zeros((2, 4), int), x[:2], 0)
    x[twice] = 1.0  # one value for all has a defined result
    assert (x[0].get() == 1).all()


@pytest.mark.parametrize("name", ["add", "subtract", "maximum", "minimum"])
def test_ufunc_at_applies_once_for_every_time_an_element_is_named(name):
    target, indices = np.zeros(4, np.float32), np.array([0, 2, 2])
    values = np.array([1, -2, 5], np.float32)
    on_device = cupy.asarray(target)
    getattr(cupy, name).at(on_device, cupy.asarray(indices), cupy.asarray(values))
    getattr(np, name).at(target, indices, values)
    assert_same(on_device, target)


def test_scatter_functions_of_cupyx_are_ufunc_at(x, host_x):
    cupyx = standin.MODULES["cupyx"]
    indices = cupy.asarray([0, 0])
    cupyx.scatter_add(x, indices, 1.0)
    x.scatter_max((slice(None), 1), 3.0)
    np.add.at(host_x, [0, 0], 1.0)
    host_x[:, 1] = 3
    assert_same(x, host_x)


def test_put_along_axis_agrees_with_numpy(x, host_x):
    places = np.argmax(host_x, axis=1, keepdims=True)
    cupy.put_along_axis(x, cupy.asarray(places), 0.0, 1)
    np.put_along_axis(host_x, places, 0.0, 1)
    assert_same(x, host_x)


# Random numbers.


def test_generator_has_cupys_methods_and_dtypes():
    generator = cupy.random.default_rng(3)
    assert generator.random((2, 3), dtype=np.float32).dtype == np.float32
    assert generator.standard_normal(4).shape == (4,)
    assert generator.random().shape == ()
    drawn = generator.integers(0, 5, size=100).get()
    assert drawn.min() == 0 and drawn.max() == 4
    low = generator.uniform(2, 3, 50, dtype=np.float32)
    assert low.dtype == np.float32 and 2 <= low.min().item() and low.max().item() < 3


def test_generator_repeats_itself_and_does_not_draw_numpys_numbers():
    first, again = (cupy.random.default_rng(3).random(5).get() for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.isin(first, np.random.default_rng(3).random(100)).any()
