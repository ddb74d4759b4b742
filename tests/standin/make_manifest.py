"""Write manifest.json: every name, method and keyword that the installed CuPy offers.

    python tests/standin/make_manifest.py             write manifest.json beside this file
    python tests/standin/make_manifest.py --print     print it instead

No device is needed: nothing is computed, names and signatures are read off. CuPy's compiled
functions have no signature that Python can see; theirs is the first line of their docstring.
Keywords that a function takes as ``**kwargs`` are read from its source.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

MODULES = (
    "cupy",
    "cupy.cuda",
    "cupy.cuda.runtime",
    "cupy.lib.stride_tricks",
    "cupy.linalg",
    "cupy.random",
    "cupyx",
)
CLASSES = (
    "cupy.ndarray",
    "cupy.ufunc",
    "cupy.cuda.Device",
    "cupy.cuda.Event",
    "cupy.cuda.MemoryPool",
    "cupy.cuda.MemoryPointer",
    "cupy.cuda.Stream",
    "cupy.random.Generator",
    "cupy._core.flags.Flags",
)
LAZY = {"cupy.random": {"Generator"}}  # made when first asked for
REDUCING_METHODS = {"reduce": (None,), "accumulate": (None,), "reduceat": (None, None)}


def main() -> None:
    """Write or print the manifest of the installed CuPy."""
    text = dump(make_manifest())
    if "--print" in sys.argv[1:]:
        sys.stdout.write(text)
    else:
        Path(__file__).with_name("manifest.json").write_text(text, encoding="utf-8")


def make_manifest() -> dict[str, Any]:
    """Return CuPy's version, and what each module and class offers: by its name, then by names."""
    cupy = importlib.import_module("cupy")
    return {
        "cupy": cupy.__version__,
        "modules": {name: module_entries(importlib.import_module(name)) for name in MODULES},
        "classes": {name: class_entries(find_class(name)) for name in CLASSES},
    }


def dump(manifest: dict[str, Any]) -> str:
    """Return the manifest as JSON, one name a line: a new version of CuPy makes a readable diff."""

    def table(entries: dict[str, Any], depth: str) -> str:
        lines = [
            f"{depth} {json.dumps(key)}: {json.dumps(entry)}" for key, entry in entries.items()
        ]
        return "{\n" + ",\n".join(lines) + f"\n{depth}}}"

    def tables(group: dict[str, Any]) -> str:
        return "{\n" + ",\n".join(f'  "{key}": {table(group[key], "  ")}' for key in group) + "\n }"

    parts = [f' "cupy": {json.dumps(manifest["cupy"])}']
    parts += [f' "{key}": {tables(manifest[key])}' for key in ("modules", "classes")]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def module_entries(module: Any) -> dict[str, Any]:
    """Describe every public name of a module."""
    entries = {}
    for name in sorted({*vars(module), *LAZY.get(module.__name__, ())}):
        value = getattr(module, name)
        from_elsewhere = inspect.ismodule(value) and not value.__name__.startswith("cupy")
        is_error_code = module.__name__ == "cupy.cuda.runtime" and isinstance(value, int)
        if not (name.startswith("_") or name == "annotations" or from_elsewhere or is_error_code):
            entries[name] = entry_of(value, name)
    return entries


def entry_of(value: Any, name: str) -> dict[str, Any]:
    """Describe one value: its kind, and what can be passed to it."""
    import cupy
    import numpy

    if isinstance(value, cupy.ufunc):
        return {
            "kind": "ufunc",
            "nin": value.nin,
            "nout": value.nout,
            "methods": ufunc_methods(value),
        }
    if value is not None and value is vars(numpy).get(name):
        return {"kind": "numpy"}
    if inspect.ismodule(value):
        return {"kind": "module"}
    if isinstance(value, type):
        return {"kind": "class"}
    if callable(value):
        return {"kind": "function", "signature": signature_of(value)}
    return {"kind": "constant"}


def ufunc_methods(ufunc: Any) -> list[str]:
    """List the methods of a ufunc that do not raise NotImplementedError."""
    found = ["at"] if ufunc._scatter_op else []
    for name, arguments in REDUCING_METHODS.items():
        try:
            getattr(ufunc, name)(*arguments)
        except NotImplementedError:
            continue
        except AttributeError:  # None is no array: the method went to work
            found.append(name)
    return sorted(found)


def class_entries(kind: type) -> dict[str, Any]:
    """Map each attribute of a class to its signature, or to None for what tells none."""
    entries = {}
    for name in sorted(dir(kind)):
        value = getattr(kind, name)
        if hasattr(object, name) and getattr(object, name) is value:
            continue
        if not name.startswith("_"):
            entries[name] = signature_of(value) if callable(value) else None
        elif name.startswith("__") and not name.startswith("__pyx"):
            entries[name] = None
    return entries


def find_class(path: str) -> type:
    """Return the class of a dotted path."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def signature_of(function: Any) -> str | None:
    """Return the parameters of a function as source, without annotations; None if none are told."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return documented_signature(function)
    keywords = hidden_keywords(function)
    if keywords is None:
        return render(parameters)
    return render([p for p in parameters if p.kind is not p.VAR_KEYWORD], keywords)


def render(parameters: Any, more: tuple[str, ...] = ()) -> str:
    """Write parameters as source."""
    parts: list[str] = []
    kinds: list[Any] = []
    for p in parameters:
        if kinds and kinds[-1] is p.POSITIONAL_ONLY and p.kind is not p.POSITIONAL_ONLY:
            parts.append("/")
        if p.kind is p.KEYWORD_ONLY and not {p.KEYWORD_ONLY, p.VAR_POSITIONAL} & set(kinds):
            parts.append("*")
        stars = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        parts.append(
            stars + p.name + ("" if p.default is p.empty else f"={render_default(p.default)}")
        )
        kinds.append(p.kind)
    if kinds and kinds[-1] is inspect.Parameter.POSITIONAL_ONLY:
        parts.append("/")
    if more:
        starred = {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_POSITIONAL} & set(kinds)
        parts += ([] if starred else ["*"]) + list(more)
    return f"({', '.join(parts)})"


def render_default(value: Any) -> str:
    return f"'{value.__name__}'" if isinstance(value, type) else repr(value)


def hidden_keywords(function: Any) -> tuple[str, ...] | None:
    """Return the keywords that a function takes out of its ``kwargs`` one by one; None if none."""
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        return None
    source = re.sub(r'""".*?"""|#[^\n]*', "", source, flags=re.DOTALL)
    found = re.findall(r"kwargs\.(?:pop|get)\('(\w+)', ([^()]+)\)", source)
    return tuple(f"{name}={default}" for name, default in dict(found).items()) or None


def documented_signature(function: Any) -> str | None:
    """Return the parameters that the first line of a docstring gives, without their C types."""
    first = (function.__doc__ or "").strip().split("\n")[0]
    match = re.match(r"[\w.]+\((.*?)\)(?: ->.*)?$", first)
    if match is None:
        return None
    parts = [part.strip() for part in match[1].split(",") if part.strip()]
    parts = [re.sub(r"^(?:[A-Za-z_]\w* +)+(?=[A-Za-z_])", "", part) for part in parts]
    return f"({', '.join(parts)})"


if __name__ == "__main__":
    main()
