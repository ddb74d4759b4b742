"""CuPy's functions that do what NumPy's do: made from a table, with the manifest's signatures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from standin import counters
from standin.ndarray import array, ndarray, operand, output, wrap
from standin.rules import dtype_of
from standin.signatures import MANIFEST, bind, parameters_of

__all__ = ["FUNCTIONS", "LINALG", "METHODS", "finish"]

# Which parameters must be device arrays; the others may also be numbers, shapes or names.
ARRAYS = {
    "a": """
        all amax amin any argmax argmin argpartition argsort argwhere around average bincount clip
        copy count_nonzero cumprod cumsum diagonal expand_dims flatnonzero flip fliplr flipud
        full_like isclose max mean median min moveaxis nanargmax nanargmin nanmax nanmean nanmin
        nanprod nanstd nansum nanvar nonzero ones_like partition percentile permute_dims prod ptp
        quantile ravel repeat reshape roll rollaxis rot90 round searchsorted sort squeeze std sum
        swapaxes take trace transpose var zeros_like
    """,
    "a b": "allclose cross dot inner kron outer tensordot vdot",
    "a v": "convolve correlate",
    "a indices": "take_along_axis",
    "a1 a2": "array_equal array_equiv",
    "A": "tile",
    "ar": "unique",
    "array": "broadcast_to",
    "arr": "trim_zeros",
    "ary": "array_split dsplit hsplit split vsplit",
    "condition a": "extract",
    "element test_elements": "isin",
    "m": "tril triu",
    "v": "diag",
    "val": "imag real",
    "x": "digitize histogram interp iscomplex isneginf isposinf isreal matrix_transpose nan_to_num",
    "y": "trapezoid",
    "": """
        arange eye full identity indices linspace logspace ones tri tril_indices triu_indices zeros
    """,
}
# Answered from shape and dtype alone, with a plain Python value.
ABOUT = """
    can_cast iscomplexobj isdtype isfortran isrealobj isscalar issubdtype may_share_memory
    min_scalar_type ndim promote_types shape shares_memory size
"""
# The host waits for these: the size of the result, or a check, depends on the values.
WAITING = """
    argwhere average bincount digitize extract flatnonzero histogram isin nonzero trim_zeros unique
"""
LINALG_ARRAYS = {
    "a": "cholesky det eigh eigvalsh inv pinv qr slogdet svd matrix_transpose",
    "a b": "solve",
    "M": "matrix_power matrix_rank",
    "x": "norm",
}
CONVERT: dict[str, Callable[[Any], Any]] = {"dtype": dtype_of, "out": output, "keepdims": bool}
# Parameters that are never arrays; NumPy itself refuses a device array there.
PLAIN = """
    atol axis casting copy ddof decimals equal_nan k kind mode n newshape order repeats rtol shape
"""


def finish(result: Any, out: Any) -> Any:
    """Return ``out`` where it was given, else new device arrays, in C order as CuPy's are."""
    if out is not None:
        return out
    if type(result) is np.ndarray and result.base is None and not result.flags.c_contiguous:
        result = result.copy()
    return wrap(result)


def finish_as_laid_out(result: Any, out: Any) -> Any:
    """Return new device arrays in the memory order that NumPy chose."""
    return wrap(result)


def finish_plain(result: Any, out: Any) -> Any:
    """Return a Python value as it is."""
    return result


def finish_waiting(cause: str) -> Callable[[Any, Any], Any]:
    """Count a wait for the device, then finish."""

    def finish_after_wait(result: Any, out: Any) -> Any:
        counters.record("synchronization", cause)
        return finish(result, out)

    return finish_after_wait


def make(module: str, source: Any, name: str, arrays: str) -> Any:
    """Make one function of a table; None where the manifest or this NumPy has none of the name."""
    entry = MANIFEST["modules"][module].get(name)
    target = getattr(source, name, None)
    if entry is None or target is None:
        return None
    if entry["kind"] == "numpy":
        return target
    end = finish
    if name in ABOUT.split():
        end = finish_plain
    elif name in WAITING.split():
        end = finish_waiting(f"{name}()")
    elif "order=" in entry["signature"]:
        end = finish_as_laid_out
    convert = dict.fromkeys(set(parameters_of(entry["signature"])) - set(PLAIN.split()), operand)
    convert |= CONVERT | dict.fromkeys(arrays.split(), array)
    return bind(entry["signature"], target, name=name, convert=convert, finish=end)


def make_all(module: str, source: Any, table: dict[str, str]) -> dict[str, Any]:
    """Make every function of a table."""
    made = {
        name: make(module, source, name, arrays)
        for arrays, names in table.items()
        for name in names.split()
    }
    return {name: function for name, function in made.items() if function is not None}


FUNCTIONS = make_all("cupy", np, ARRAYS) | make_all("cupy", np, {"": ABOUT})
LINALG = make_all("cupy.linalg", np.linalg, LINALG_ARRAYS)


def delegate(name: str, signature: str) -> Any:
    """Make a method of ndarray that calls the function of the same name."""
    return bind(signature, FUNCTIONS[name], name=name, convert={}, finish=finish_plain, quiet=False)


METHODS = {
    name: delegate(name, signature)
    for name, signature in MANIFEST["classes"]["cupy.ndarray"].items()
    if name in FUNCTIONS and not hasattr(ndarray, name)
}
