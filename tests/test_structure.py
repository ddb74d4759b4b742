"""The rules of the tree: imports lean downwards, kernels keep to xp, packages export names."""

from __future__ import annotations

import ast
import importlib
import pathlib

import pytest

pytestmark = pytest.mark.host

PACKAGE = pathlib.Path(__file__).parents[1] / "minicnn"

# A room imports only rooms of lines above its own, and its own.
ROOMS = (
    ("errors",),
    ("files", "backend"),
    ("random",),
    ("kernels",),
    ("autograd",),
    ("ops",),
    ("nn", "optim", "data"),
    ("inspect", "io"),
    ("zoo",),
    ("training",),
    ("explain",),
    ("report",),
    ("commands",),
    ("__main__",),
)
LEVEL = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: pathlib.Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "minicnn":
                names = [f"minicnn.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "minicnn" and len(parts) > 1:
                found.add(parts[1])
    return found


def upward_imports(path: pathlib.Path, source: str) -> list[str]:
    room = room_of(path)
    return [
        other
        for other in imported_rooms(ast.parse(source))
        if other in LEVEL and other != room and LEVEL[other] >= LEVEL[room]
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_lean_downwards(path):
    if path == PACKAGE / "__init__.py":
        return
    assert room_of(path) in LEVEL, "a new room needs its place in ROOMS and docs/architecture.md"
    assert upward_imports(path, path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    ["from minicnn.nn import Linear", "import minicnn.training.trainer", "from minicnn import zoo"],
)
def test_an_upward_import_is_found(source):
    assert upward_imports(PACKAGE / "kernels" / "im2col.py", source)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_kernels_and_operations_reach_arrays_through_the_backend(path):
    """A stray ``np.`` call on an array breaks the GPU in silence; a few host-side uses are fine."""
    if room_of(path) != "kernels" or path.parent.name == "compiled":
        return
    allowed = {
        "dtype",
        "float32",
        "float64",
        "iinfo",
        "inf",
        "integer",
        "min_scalar_type",
        "ndarray",
    }
    allowed |= {"array", "kron", "multiply", "uint8", "uint32"}  # of constants, on the host
    used = {
        node.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "np"
    }
    assert used <= allowed, f"{path.name} calls np.{', np.'.join(sorted(used - allowed))}"


@pytest.mark.parametrize(
    "name",
    [
        *("autograd", "data", "explain", "inspect", "io", "nn", "ops", "optim", "report"),
        *("training", "zoo"),
    ],
)
def test_packages_export_what_they_say(name):
    module = importlib.import_module(f"minicnn.{name}")
    assert module.__all__ == sorted(module.__all__, key=_isort_style)
    for exported in module.__all__:
        assert hasattr(module, exported)


def _isort_style(name: str) -> tuple[int, str]:
    # Constants, then classes, then functions, as ruff's RUF022 sorts them.
    kind = 0 if name.isupper() else 1 if name[:1].isupper() else 2
    return kind, name
