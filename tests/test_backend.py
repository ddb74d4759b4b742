"""Choosing a backend, the errors when it cannot be had, and moving arrays between backends."""

from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import standin

from minicnn import backend
from minicnn.errors import BackendError, OptionError

host = pytest.mark.host


def fail(error):
    """Make a function that raises."""

    def function(*args, **options):
        raise error

    return function


class BrokenImport:
    """An import hook under which CuPy is installed and cannot be loaded."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "cupy":
            raise ImportError("libnvrtc.so.12: cannot open\nshared object file")


class Product:
    """An array whose products cannot be made, or come out as they are told to."""

    def __init__(self, result):
        self.result = result

    def __mul__(self, other):
        return self

    def __matmul__(self, other):
        if isinstance(self.result, Exception):
            raise self.result
        return SimpleNamespace(get=lambda: np.full((2, 2), self.result))


def fake_cupy(count=1, product=8.0, draw=None):
    """Make as much of CuPy as the probe touches; each part works or raises the error given."""
    cupy = ModuleType("cupy")
    cupy.__version__ = "14.2.0"
    counted = fail(count) if isinstance(count, Exception) else lambda: count
    cupy.cuda = SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=counted))
    cupy.ones = lambda shape, dtype: Product(product)
    random = fail(draw) if draw else lambda shape: None
    cupy.random = SimpleNamespace(default_rng=lambda seed: SimpleNamespace(random=random))
    return cupy


NO_DRIVER = RuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient")
NO_CUBLAS = ImportError("libcublas.so.12: cannot open shared object file")
NO_CURAND = ImportError("libcurand.so.10: cannot open shared object file")
BROKEN = {
    "no driver": (fake_cupy(count=NO_DRIVER), "no driver or device", str(NO_DRIVER), "nvidia-smi"),
    "no device": (
        fake_cupy(count=0),
        "no driver or device",
        "the driver counts 0 devices",
        "nvidia-smi",
    ),
    "no cuBLAS": (
        fake_cupy(product=NO_CUBLAS),
        "missing library",
        str(NO_CUBLAS),
        "cupy-cuda12x[ctk]",
    ),
    "no cuRAND": (
        fake_cupy(draw=NO_CURAND),
        "missing library",
        str(NO_CURAND),
        "cupy-cuda12x[ctk]",
    ),
    "wrong product": (
        fake_cupy(product=0.0),
        "missing library",
        "a 2x2 product came out as",
        "cupy-cuda12x[ctk]",
    ),
}


@pytest.fixture(params=["not installed", "import fails", *BROKEN])
def broken(request, monkeypatch):
    """Break CuPy in one way; the value is the status, and parts of the message and the remedy."""
    if request.param == "not installed":
        return "not installed", "No module named 'cupy'", 'pip install "minicnn[cupy]"'
    if request.param == "import fails":
        monkeypatch.setattr(sys, "meta_path", [BrokenImport, *sys.meta_path])
        return (
            "missing library",
            "libnvrtc.so.12: cannot open shared object file",
            "cupy-cuda12x[ctk]",
        )
    module, *expected = BROKEN[request.param]
    monkeypatch.setitem(sys.modules, "cupy", module)
    return expected


# The probe.


@host
def test_probe_tells_the_status_and_the_original_message(broken):
    status, message, _ = broken
    found = backend.probe("cupy")
    assert (found.name, found.status, found.ok) == ("cupy", status, False)
    assert message in found.detail
    assert "\n" not in found.detail


@host
def test_cupy_by_name_raises_status_message_and_remedy_in_one_line(broken):
    status, message, remedy = broken
    with pytest.raises(BackendError) as caught:
        backend.choose("cupy")
    text = str(caught.value)
    assert text.startswith(f"backend: cupy (asked for by name): {status}: ")
    assert message in text and remedy in text and "\n" not in text


@host
def test_auto_falls_back_to_numpy_and_says_why(broken):
    status, message, _ = broken
    chosen = backend.choose("auto")
    assert (chosen.name, chosen.xp) == ("numpy", np)
    assert chosen.reason.startswith(f"auto: CuPy is {status}") and message in chosen.reason


@host
def test_cupy_that_works_is_found(monkeypatch):
    cupy = fake_cupy()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    assert backend.probe("cupy") == backend.Probe("cupy", "ok", "CuPy 14.2.0, 1 device(s)")
    for name in ("cupy", "auto"):
        assert (backend.choose(name).name, backend.choose(name).xp) == ("cupy", cupy)


@host
def test_probe_looks_once(monkeypatch):
    looks = []
    cupy = fake_cupy()
    cupy.cuda.runtime.getDeviceCount = lambda: looks.append(1) or 1
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    assert backend.probe("cupy") is backend.probe("cupy")
    assert len(looks) == 1


@host
def test_numpy_is_always_there():
    assert backend.probe("numpy") == backend.Probe("numpy", "ok", f"NumPy {np.__version__}")


# The order of choice.


@host
def test_numpy_is_the_default():
    chosen = backend.choose()
    assert (chosen.name, chosen.xp, chosen.reason) == ("numpy", np, "the default")


@pytest.mark.standin
def test_variable_is_taken_where_no_name_is_given(monkeypatch):
    monkeypatch.setenv("MINICNN_BACKEND", "cupy")
    assert backend.choose().name == "cupy"
    assert backend.choose().reason == "set by MINICNN_BACKEND"


@pytest.mark.standin
def test_argument_is_taken_before_the_variable(monkeypatch):
    monkeypatch.setenv("MINICNN_BACKEND", "cupy")
    assert backend.choose("numpy").name == "numpy"
    assert backend.choose("numpy").reason == "asked for by name"


@host
def test_empty_variable_is_none_at_all(monkeypatch):
    monkeypatch.setenv("MINICNN_BACKEND", "")
    assert backend.choose().reason == "the default"


@host
def test_broken_cupy_by_the_variable_raises_and_names_the_variable(monkeypatch):
    monkeypatch.setenv("MINICNN_BACKEND", "cupy")
    with pytest.raises(
        BackendError, match=r"backend: cupy \(set by MINICNN_BACKEND\): not installed"
    ):
        backend.choose()


@host
@pytest.mark.parametrize("name", ["cuda", "", "NumPy"])
def test_unknown_name_is_refused_with_the_possible_ones(name):
    with pytest.raises(OptionError, match="numpy, cupy or auto"):
        backend.choose(name)


@host
def test_unknown_name_in_the_variable_is_refused(monkeypatch):
    monkeypatch.setenv("MINICNN_BACKEND", "gpu")
    with pytest.raises(OptionError, match=r"'gpu' \(set by MINICNN_BACKEND\)"):
        backend.choose()


@host
def test_probe_of_unknown_name_is_refused():
    with pytest.raises(OptionError, match="'tpu'"):
        backend.probe("tpu")


# The current backend.


@pytest.mark.standin
def test_use_as_a_context_manager_restores_the_previous_backend():
    before = backend.current()
    with backend.use("numpy") as chosen:
        assert backend.current() is chosen and chosen.name == "numpy"
        with backend.use("cupy"):
            assert backend.current().name == "cupy"
        assert backend.current() is chosen
    assert backend.current() is before and before.name == "cupy"


@host
def test_use_restores_the_previous_backend_after_an_error():
    before = backend.current()
    with pytest.raises(ZeroDivisionError), backend.use("numpy"):
        raise ZeroDivisionError
    assert backend.current() is before


@pytest.mark.standin
def test_use_without_with_lasts():
    backend.use("numpy")
    assert backend.current().name == "numpy"
    assert type(backend.asarray([1.0])) is np.ndarray


@host
def test_use_of_a_broken_backend_keeps_the_current_one():
    before = backend.current()
    with pytest.raises(BackendError):
        backend.use("cupy")
    assert backend.current() is before


# Whose array it is.


def test_xp_is_the_module_of_the_array(backend_name):
    x = backend.asarray(np.ones(3, np.float32))
    module = sys.modules["cupy"] if backend_name == "standin" else np
    assert backend.xp(x) is module
    assert backend.xp(None, x, 2.0, x[0]) is module
    assert backend.name_of(x) == module.__name__
    assert backend.is_array(x) and backend.is_array(x.sum())


@pytest.mark.standin
def test_mixing_arrays_of_two_backends_raises():
    with pytest.raises(BackendError, match=r"NumPy and CuPy meet.*\.to\('cupy'\)"):
        backend.xp(backend.asarray(np.ones(3)), np.ones(3))


@pytest.mark.parametrize(
    "value", [[1.0, 2.0], "text", object(), np], ids=["list", "text", "object", "module"]
)
def test_xp_of_what_is_no_array_raises(value):
    assert not backend.is_array(value)
    with pytest.raises(
        BackendError, match=f"expected a NumPy or CuPy array, got {type(value).__name__}"
    ):
        backend.xp(value)


@host
def test_arrays_of_numpys_subclasses_and_scalars_are_numpys(tmp_path):
    kept = np.memmap(tmp_path / "kept", dtype=np.float32, mode="w+", shape=(3,))
    for value in (kept, np.ma.masked_array([1.0]), np.float32(1)):
        assert backend.xp(value) is np
        assert backend.is_array(value)
    assert not backend.is_array(1.0) and not backend.is_array(None)


# Moving arrays.


def test_round_trip_keeps_values_shape_and_dtype():
    for dtype in (np.float32, np.float64, np.uint8, np.int64, np.bool_):
        original = np.arange(6).reshape(2, 3).astype(dtype)
        back = backend.to_numpy(backend.asarray(original))
        assert type(back) is np.ndarray and back.dtype == dtype
        np.testing.assert_array_equal(back, original)


def test_asarray_takes_lists_and_numbers_and_a_dtype():
    x = backend.asarray([[1, 2], [3, 4]], dtype=np.float32)
    assert (x.shape, x.dtype) == ((2, 2), np.float32)
    assert backend.asarray(2.5).shape == ()


def test_asarray_returns_an_array_that_is_there_already():
    x = backend.asarray(np.ones(3))
    assert backend.asarray(x) is x


@pytest.mark.standin
def test_asarray_moves_to_the_backend_named():
    x = backend.asarray(np.ones(3))
    moved = backend.asarray(x, "numpy")
    assert type(moved) is np.ndarray
    assert backend.name_of(backend.asarray(moved, "cupy")) == "cupy"
    with standin.counting() as seen:
        backend.asarray(x, "cupy")
    assert seen.log == []


@pytest.mark.standin
def test_each_move_is_one_transfer():
    with standin.counting() as seen:
        x = backend.asarray(np.ones(3))
        backend.to_numpy(x)
    assert (seen.to_device, seen.to_host) == (1, 1)


@pytest.mark.standin
def test_synchronize_waits_for_the_device():
    with standin.counting() as seen:
        backend.synchronize()
        backend.synchronize(backend.asarray(np.ones(3), "numpy"))
        backend.synchronize(sys.modules["cupy"].zeros(3))
    assert seen.synchronizations == 2


def test_matrix_product_is_numpys(rng):
    a, b = rng.random((3, 4)), rng.random((4, 2))
    product = backend.asarray(a) @ backend.asarray(b)
    np.testing.assert_allclose(backend.to_numpy(product), a @ b, rtol=1e-12)


# The installed CuPy, in a process of its own.

LOOK = """
import json
import numpy as np
import cupy
from cupy.cuda import MemoryPointer, UnownedMemory
from minicnn import backend

h = np.arange(6, dtype=np.float32).reshape(2, 3)
x = cupy.ndarray(h.shape, h.dtype, MemoryPointer(UnownedMemory(h.ctypes.data, h.nbytes, h, 0), 0))
found = backend.probe("cupy")
try:
    asked = backend.choose("cupy").reason
except backend.BackendError as error:
    asked = str(error)
auto = backend.choose("auto")
print(json.dumps({
    "xp": backend.xp(x) is cupy,
    "name": backend.name_of(x),
    "is_array": backend.is_array(x),
    "mixed": isinstance(mixing(backend, x, h), backend.BackendError),
    "shapes": [list(y.shape) for y in (x, x.T, x.reshape(3, 2), x[0], x[:, None], x[0, 0])],
    "types": sorted({backend.name_of(y) for y in (x.T, x.reshape(-1), x[0, 0])}),
    "dtype": str(x.dtype),
    "probe": [found.status, found.detail],
    "asked": asked,
    "auto": [auto.name, auto.reason],
}))
"""
MIXING = """
def mixing(backend, *arrays):
    try:
        backend.xp(*arrays)
    except Exception as error:
        return error
"""


@pytest.fixture(scope="module")
def look(python):
    """Return what the installed CuPy says, of arrays over host memory that need no device."""
    done = python("-c", MIXING + LOOK)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.cupy
def test_arrays_of_the_installed_cupy_are_known(look):
    assert look["xp"] and look["is_array"] and look["mixed"]
    assert look["name"] == "cupy" and look["types"] == ["cupy"]
    assert look["shapes"] == [[2, 3], [3, 2], [3, 2], [3], [2, 1, 3], []]
    assert look["dtype"] == "float32"


@pytest.mark.cupy
def test_installed_cupy_without_a_device_is_told_apart(look):
    status, detail = look["probe"]
    if status == "ok":
        assert look["auto"][0] == "cupy" and look["asked"] == "asked for by name"
        return
    assert status == "no driver or device" and "cudaError" in detail
    assert look["asked"].startswith("backend: cupy (asked for by name): no driver or device: ")
    assert detail in look["asked"] and "nvidia-smi" in look["asked"]
    assert look["auto"][0] == "numpy" and detail in look["auto"][1]
