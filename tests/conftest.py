"""Run every test on NumPy and on the stand-in for CuPy; leave out what this machine cannot run.

A test marked ``host``, ``oracle``, ``cupy`` or ``gpu`` runs once, on NumPy; one marked ``standin``
runs once, on the stand-in; all others run on both. The real CuPy can be imported in tests marked
``gpu`` alone; tests marked ``cupy`` use it in a process of their own. What was left out, and why,
is told in the last lines of the output.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from minicnn import backend

TESTS = Path(__file__).resolve().parent
PACKAGE_ROOT = Path(backend.__file__).resolve().parents[1]
sys.path.append(str(TESTS))  # so that any test can `import standin`

import standin  # noqa: E402

ONCE = ("host", "oracle", "cupy", "gpu")
REQUIRE_GPU = os.environ.get("MINICNN_REQUIRE_GPU", "") not in ("", "0")
LEFT_OUT = pytest.StashKey[Counter[str]]()

settings.register_profile(
    "minicnn",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=50,
    # The fixture that chooses the backend serves all examples of a test, and that is right.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("minicnn")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "standin: runs once, on the strict stand-in for CuPy")
    config.stash[LEFT_OUT] = Counter()
    # A job in the background is started with SIGINT ignored, and its children would ignore it too.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


# The backend of a test.


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marked = metafunc.definition.get_closest_marker
    if not any(marked(name) for name in ONCE):
        names = ["standin"] if marked("standin") else ["numpy", "standin"]
        metafunc.parametrize("backend_name", names, indirect=True)


@pytest.fixture(autouse=True)
def backend_name(request: pytest.FixtureRequest) -> Iterator[str]:
    """Make NumPy or the stand-in the current backend; the value is ``"numpy"`` or ``"standin"``."""
    name = getattr(request, "param", "numpy")
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.delenv(backend.ENVIRONMENT_VARIABLE, raising=False)
        patch.setattr(backend, "_current", None)
        patch.setattr(backend, "_probes", {})
        if name == "standin":
            stack.enter_context(standin.installed())
        elif request.node.get_closest_marker("gpu") is None:
            stack.enter_context(standin.absent())
        backend.use("cupy" if name == "standin" else "numpy")
        standin.transfers.reset()
        yield name


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator with a fixed seed."""
    return np.random.default_rng(20130614)


def run_python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, where the real CuPy may be imported."""
    paths = os.pathsep.join([str(PACKAGE_ROOT), str(TESTS), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs Python in a process of its own: ``python("-c", code, A="1")``."""
    return run_python


# What this machine cannot run.


def why_no_real_faces() -> str | None:
    path = os.environ.get("MINICNN_FER2013")
    if path and Path(path).exists():
        return None
    return "set MINICNN_FER2013 to fer2013.csv or .csv.gz to run them"


def why_no_oracle() -> str | None:
    return None if find_spec("torch") else "install PyTorch to run them"


def why_no_cupy() -> str | None:
    return None if find_spec("cupy") else "install CuPy to run them; no device is needed"


def why_no_gpu() -> str | None:
    look = (
        "from minicnn.backend import probe; p = probe('cupy'); print(p.status, p.detail, sep=': ')"
    )
    found = run_python("-c", look)
    status = (found.stdout or found.stderr).strip().splitlines()[-1:] or [
        "the look for a device ended without a word"
    ]
    return None if status[0].startswith("ok:") else status[0]


REASONS: dict[str, tuple[str, Callable[[], str | None]]] = {
    "real_faces": ("on real faces", why_no_real_faces),
    "oracle": ("against PyTorch", why_no_oracle),
    "cupy": ("against the installed CuPy", why_no_cupy),
    "gpu": ("on a CUDA device", why_no_gpu),
}


@pytest.hookimpl(
    trylast=True
)  # after -m and -k, so that only what was asked for is looked at and counted
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    reasons = {
        marker: reason
        for marker, (_, why_not) in REASONS.items()
        if any(item.get_closest_marker(marker) for item in items) and (reason := why_not())
    }
    kept, removed = [], []
    for item in items:
        missing = next((marker for marker in reasons if item.get_closest_marker(marker)), None)
        if missing is None:
            kept.append(item)
        else:
            removed.append(item)
            config.stash[LEFT_OUT][f"{REASONS[missing][0]} ({reasons[missing]})"] += 1
    if removed:
        config.hook.pytest_deselected(items=removed)
        items[:] = kept


def lacks_required_gpu(config: pytest.Config) -> bool:
    return REQUIRE_GPU and any(
        what.startswith(REASONS["gpu"][0]) for what in config.stash[LEFT_OUT]
    )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if hasattr(
        session.config, "workeroutput"
    ):  # a worker of pytest-xdist tells the process that prints
        session.config.workeroutput["left_out"] = dict(session.config.stash[LEFT_OUT])
    if lacks_required_gpu(session.config) and exitstatus in (
        pytest.ExitCode.OK,
        pytest.ExitCode.NO_TESTS_COLLECTED,
    ):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    node.config.stash[LEFT_OUT] |= Counter(getattr(node, "workeroutput", {}).get("left_out", {}))


def pytest_unconfigure(config: pytest.Config) -> None:
    # Here, and not in the terminal summary, so that these are the last lines of all.
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    for what, count in config.stash[LEFT_OUT].items():
        reporter.write_line(f"deselected: {count} test{'s' * (count > 1)} {what}")
    if lacks_required_gpu(config):
        reporter.write_line(
            "failed: MINICNN_REQUIRE_GPU is set, and the tests on a CUDA device could not run"
        )
