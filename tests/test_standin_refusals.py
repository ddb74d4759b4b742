"""The stand-in for CuPy refuses what CuPy refuses, and has no name or keyword that CuPy lacks."""

from __future__ import annotations

import inspect
import json
import operator
from pathlib import Path

import numpy as np
import pytest
import standin
from standin.signatures import MANIFEST, parameters_of

pytestmark = pytest.mark.standin

cupy = standin.MODULES["cupy"]
cupyx = standin.MODULES["cupyx"]


@pytest.fixture
def x():
    return cupy.asarray(np.arange(12, dtype=np.float32).reshape(3, 4))


def evaluate(expression, x, **more):
    """Evaluate an expression of x, float32 of shape (3, 4) on the device, and of host."""
    host = np.ones(4, np.float32)
    names = {"cupy": cupy, "cupyx": cupyx, "np": np, "operator": operator}
    return eval(expression, {**names, "x": x, "host": host, **more})


# Implicit conversion, and operands from the host.

IMPLICIT = """
np.asarray(x)
np.array([x, x])
np.float32(x[0, 0])
np.add(x, 1)
np.add(x, np.float32(1))
np.add(np.float32(1), x, out=x)
np.add(host, 1, out=x)
np.add.reduce(x)
np.sum(x)
np.mean(x, axis=0)
np.concatenate([x, x])
np.where(x, 1, 2)
np.shape(x)
host[x.astype(int)]
operator.index(x[0, 0])
range(x.astype(int)[0, 0])
x[: x.astype(int)[0, 0]]
[1, 2][x.astype(int)[0, 0]]
""".strip().splitlines()
MIXED = """
x + host
host + x
host[0] + x + host
operator.iadd(host, x)
operator.iadd(x, host)
x == host
host == x
x @ host
np.ones((1, 3), np.float32) @ x
x + [1, 2, 3, 4]
[1, 2, 3, 4] + x
x == None
x + "text"
cupy.maximum(x, host)
cupy.exp(host)
cupy.exp([1.0, 2.0])
cupy.sum(host)
cupy.sum([1, 2])
cupy.sum(3)
cupy.reshape(host, (2, 2))
cupy.zeros_like(host)
cupy.where(x > 0, x, host)
cupy.where(host > 0, x, x)
cupy.concatenate([x, np.ones((1, 4), np.float32)])
cupy.stack([x, 1])
cupy.matmul(x, np.ones((4, 2), np.float32))
cupy.matmul(x, 2)
cupy.einsum("ij,j->i", x, host)
cupy.clip(x, host, 1)
cupy.take(x, np.array([0]), axis=0)
cupy.full((4,), host)
cupy.copyto(x, host)
cupy.add.at(x, np.array([0]), 1)
cupy.add(x, 1, out=np.ones((3, 4), np.float32))
x[np.array([0, 1])]
operator.setitem(x, np.array([0]), 1.0)
x.sum(axis=0, out=host)
x[0].set([1, 2, 3, 4])
""".strip().splitlines()


@pytest.mark.parametrize("expression", IMPLICIT)
def test_implicit_conversion_is_refused(expression, x):
    with pytest.raises(TypeError):
        evaluate(expression, x)


@pytest.mark.parametrize("expression", MIXED)
def test_host_operand_is_refused(expression, x):
    with pytest.raises(TypeError):
        evaluate(expression, x)


def test_messages_are_cupys(x):
    with pytest.raises(TypeError, match=r"Implicit conversion .* Please use `.get\(\)`"):
        np.asarray(x)
    with pytest.raises(TypeError, match=r"^Unsupported type <class 'numpy.ndarray'>$"):
        x + np.ones(4)
    with pytest.raises(TypeError, match=r"numpy.sum was called .* xp.sum"):
        np.sum(x)


@pytest.mark.parametrize("value", [np.ones(4), [1.0, 2.0, 3.0, 4.0]], ids=["array", "list"])
def test_assigning_host_values_is_refused(value, x):
    with pytest.raises(ValueError, match="cannot be used for fill"):
        x[0] = value


class OptedOut:
    __array_ufunc__ = None

    def __radd__(self, other):
        return "mine"


class OfHigherPriority:
    __array_priority__ = 200

    def __radd__(self, other):
        return "mine"


class Other:
    def __radd__(self, other):
        return "mine"


def test_operator_is_left_to_an_operand_that_asks_for_it(x):
    assert x + OptedOut() == "mine"
    assert x + OfHigherPriority() == "mine"
    with pytest.raises(TypeError, match="Unsupported type"):
        x + Other()


@pytest.mark.parametrize("dtype", [object, "U3", np.longdouble, "datetime64[s]"])
@pytest.mark.parametrize(
    "expression", ["cupy.zeros(2, dtype)", "x.astype(dtype)", "cupy.asarray(np.zeros(2, dtype))"]
)
def test_dtypes_that_cupy_lacks_are_refused(dtype, expression, x):
    with pytest.raises(ValueError, match="Unsupported dtype"):
        evaluate(expression, x, dtype=dtype)


# Names, methods and keywords.

ABSENT = {
    "cupy": "errstate vecdot nditer einsum_path matvec vecmat longdouble str_ no_such_name",
    "cupy.random": "no_such_name",
    "cupy.linalg": "multi_dot no_such_name",
}


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module in ABSENT for name in ABSENT[module].split()]
)
def test_names_that_cupy_lacks_are_absent(module, name):
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute '{name}'"):
        getattr(standin.MODULES[module], name)


def test_name_that_only_the_stand_in_lacks_says_so():
    with pytest.raises(AttributeError, match="vectorize exists in CuPy, but the stand-in does not"):
        _ = cupy.vectorize


@pytest.mark.parametrize("name", ["setflags", "itemset", "newbyteorder", "resize", "__index__"])
def test_methods_that_cupy_lacks_are_absent(name, x):
    assert not hasattr(x, name)


@pytest.mark.parametrize("name", ["normal", "choice", "shuffle", "permutation", "bit_generator"])
def test_generator_methods_that_cupy_lacks_are_absent(name):
    assert not hasattr(cupy.random.default_rng(0), name)


def test_attributes_cannot_be_added_and_flags_know_no_writeable(x):
    with pytest.raises(AttributeError):
        x.label = "no"
    with pytest.raises(AttributeError):
        _ = x.flags.writeable
    with pytest.raises(TypeError, match="unhashable"):
        hash(x)


REFUSED_ARGUMENTS = """
cupy.sum(x, where=x > 0)
x.sum(where=x > 0)
cupy.sum(x, initial=1)
cupy.prod(x, initial=1)
cupy.max(x, where=x > 0)
x.max(initial=0)
cupy.min(x, initial=0)
cupy.mean(x, where=x > 0)
cupy.var(x, correction=1)
cupy.var(x, mean=x)
x.std(correction=1)
cupy.std(x, mean=x)
cupy.clip(x, min=0)
cupy.clip(x, max=0)
cupy.take(x, 0, mode="clip")
x.take(0, mode="wrap")
cupy.argsort(x, stable=True)
cupy.add(x, 1, where=x > 0)
cupy.add(x, 1, order="C")
cupy.add(x)
cupy.einsum("ij->i", x, out=x)
cupy.reshape(x, shape=(4, 3))
cupy.zeros(3, device="cpu")
cupy.sum(x, 0, None, None, True, 1)
cupy.asarray(host, like=x)
x.item(0)
cupy.random.default_rng(0).random(3, endpoint=True)
""".strip().splitlines()


@pytest.mark.parametrize("expression", REFUSED_ARGUMENTS)
def test_arguments_that_cupy_lacks_are_refused(expression, x):
    with pytest.raises(TypeError):
        evaluate(expression, x)


UNSUPPORTED = """
cupy.maximum.reduce(x)
cupy.minimum.reduce(x)
cupy.logical_and.reduce(x)
cupy.maximum.accumulate(x)
cupy.multiply.reduceat(x, x)
cupy.multiply.at(x, 0, 1)
cupy.divide.at(x, 0, 1)
cupy.lib.stride_tricks.sliding_window_view(x, 2, 0, writeable=True)
cupy.ElementwiseKernel("T x", "T y", "y = x", "copy")(x)
cupy.RawKernel("__global__ void f() {}", "f")((1,), (1,), ())
cupy.ReductionKernel("T x", "T y", "x", "a + b", "y = a", "0", "sum")(x)
""".strip().splitlines()


@pytest.mark.parametrize("expression", UNSUPPORTED)
def test_what_exists_in_name_only_raises(expression, x):
    with pytest.raises(NotImplementedError):
        evaluate(expression, x)


def test_kernels_name_the_rungs_that_check_them(x):
    with pytest.raises(NotImplementedError, match="rungs 3 and 4"):
        cupy.ElementwiseKernel("T x", "T y", "y = x", "copy")(x)


def test_ufunc_at_refuses_dtypes_without_atomic_operations():
    with pytest.raises(TypeError, match="int64"):
        cupy.add.at(cupy.zeros(3, np.int64), cupy.asarray([0]), 1)
    with pytest.raises(TypeError, match="float16"):
        cupy.maximum.at(cupy.zeros(3, np.float16), cupy.asarray([0]), 1)


# Indices: CuPy wraps what is out of range, in silence; the stand-in raises.

OUT_OF_RANGE = """
x[3]
x[0, -5]
x[far]
x[:, far]
operator.setitem(x, (0, 4), 1.0)
operator.setitem(x, far, 1.0)
cupy.take(x, far, axis=0)
x.take(12)
cupy.take_along_axis(x, far[:, None] + cupy.zeros((2, 4), int), 0)
cupy.put_along_axis(x, far[:, None] + cupy.zeros((2, 4), int), 1.0, 0)
cupy.add.at(x, far, 1.0)
cupyx.scatter_max(x, far, 1.0)
""".strip().splitlines()


@pytest.mark.parametrize("expression", OUT_OF_RANGE)
def test_out_of_range_indices_raise(expression, x):
    with pytest.raises(IndexError):
        evaluate(expression, x, far=cupy.asarray([0, 4]))


# The manifest.


def parameter_list(parameters):
    return [(p.name, p.kind, p.default is p.empty) for p in parameters.values()]


@pytest.mark.parametrize("module", [name for name in standin.MODULES if name != "cupy.lib"])
def test_every_name_is_in_the_manifest(module):
    offered = {name for name in vars(standin.MODULES[module]) if not name.startswith("_")}
    assert offered <= set(MANIFEST["modules"][module])


@pytest.mark.parametrize("module", MANIFEST["modules"])
def test_every_function_takes_the_manifests_parameters(module):
    compared = 0
    for name, entry in MANIFEST["modules"][module].items():
        function = vars(standin.MODULES[module]).get(name)
        if inspect.isfunction(function) and entry["kind"] == "function":
            mine = inspect.signature(function).parameters
            if not any(p.kind is p.VAR_KEYWORD for p in mine.values()):
                listed = parameters_of(entry["signature"])
                assert parameter_list(mine) == parameter_list(listed), name
            compared += 1
    assert compared


@pytest.mark.parametrize(
    "path",
    ["cupy.ndarray", "cupy.ufunc", "cupy.random.Generator", "cupy.cuda.Stream", "cupy.cuda.Device"],
)
def test_every_method_takes_the_manifests_parameters(path):
    module, _, name = path.rpartition(".")
    kind = getattr(standin.MODULES[module], name)
    listed = MANIFEST["classes"][path]
    of_python = {"__annotations__", "__weakref__", "__dict__", "__slots__", "__module__"}
    offered = {name for name in dir(kind) if name.startswith("__") or not name.startswith("_")}
    assert offered - of_python - set(dir(object)) <= set(listed)
    for attribute in offered & set(listed):
        if listed[attribute] is not None and callable(getattr(kind, attribute)):
            mine = parameter_list(inspect.signature(getattr(kind, attribute)).parameters)
            assert mine[1:] == parameter_list(parameters_of(listed[attribute]))[1:], attribute


@pytest.mark.cupy
def test_manifest_is_the_installed_cupys(python):
    script = Path(standin.__file__).with_name("make_manifest.py")
    done = python("-W", "error", str(script), "--print")
    assert done.returncode == 0, done.stderr
    installed = json.loads(done.stdout)
    if installed["cupy"] == MANIFEST["cupy"]:
        assert installed == MANIFEST
    for module, contents in standin.MODULES.items():  # whatever its version: nothing is missing
        for name in set(vars(contents)) & set(MANIFEST["modules"].get(module, {})):
            entry = MANIFEST["modules"][module][name]
            assert installed["modules"][module].get(name) == entry, name
