"""Which tests run on which backend, which are left out, and that the last lines say so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.host

ROOT = Path(__file__).resolve().parents[1]
TESTS = """
import pytest
from minicnn import backend


def test_plain(backend_name):
    assert backend.current().name == {"numpy": "numpy", "standin": "cupy"}[backend_name]


@pytest.mark.standin
def test_standin(backend_name):
    assert backend_name == "standin"


@pytest.mark.host
@pytest.mark.parametrize("number", [1, 2])
def test_host(number):
    assert backend.current().name == "numpy"
    with pytest.raises(ModuleNotFoundError):
        import cupy


@pytest.mark.host
@pytest.mark.real_faces
@pytest.mark.parametrize("number", [1, 2])
def test_faces(number):
    pass


@pytest.mark.gpu
def test_gpu():
    pass


@pytest.mark.oracle
def test_oracle():
    import torch


@pytest.mark.cupy
def test_cupy():
    pass
"""


# Lets a process find neither PyTorch nor CuPy, nor a driver.
HIDE = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name in ("torch", "cupy") else find(name)
"""


@pytest.fixture
def suite(tmp_path, python):
    """Return a function that runs pytest on TESTS where neither PyTorch nor CuPy is found."""
    (tmp_path / "test_sample.py").write_text(TESTS)
    (tmp_path / "sitecustomize.py").write_text(HIDE)
    paths = os.pathsep.join(
        [str(tmp_path), str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
    )
    fixed = [
        "-c",
        str(ROOT / "pyproject.toml"),
        "-p",
        "conftest",
        "-p",
        "no:cacheprovider",
        "-q",
        "--color=no",
    ]

    def run(*options, **environment):
        environment = {
            "CUDA_VISIBLE_DEVICES": "",
            "MINICNN_FER2013": "",
            "MINICNN_REQUIRE_GPU": "",
            "PYTHONPATH": paths,
            **environment,
        }
        done = python(
            "-m", "pytest", *fixed, str(tmp_path / "test_sample.py"), *options, **environment
        )
        return done, done.stdout.strip().splitlines()

    return run


def test_each_test_runs_on_its_backends_and_the_last_lines_tell_what_was_left_out(suite):
    done, lines = suite()
    assert done.returncode == 0, done.stdout + done.stderr
    assert lines[-5].startswith(
        "5 passed, 5 deselected"
    )  # plain on both, standin, host with two parameters
    assert (
        sorted(lines[-4:])[0] == "deselected: 1 test against PyTorch (install PyTorch to run them)"
    )
    assert sorted(lines[-4:])[1].startswith(
        "deselected: 1 test against the installed CuPy (install CuPy"
    )
    assert sorted(lines[-4:])[2].startswith("deselected: 1 test on a CUDA device (")
    assert sorted(lines[-4:])[3] == (
        "deselected: 2 tests on real faces "
        "(set MINICNN_FER2013 to fer2013.csv or .csv.gz to run them)"
    )


def test_missing_device_is_a_failure_where_one_is_required(suite):
    done, lines = suite("-m", "gpu", MINICNN_REQUIRE_GPU="1")
    assert done.returncode == 1
    assert (
        lines[-1]
        == "failed: MINICNN_REQUIRE_GPU is set, and the tests on a CUDA device could not run"
    )


def test_faces_run_where_the_file_exists_and_no_device_is_missed_where_none_is_asked_for(
    suite, tmp_path
):
    csv = tmp_path / "fer2013.csv"
    csv.write_text("emotion,pixels,Usage")
    done, lines = suite("-m", "real_faces", MINICNN_FER2013=str(csv), MINICNN_REQUIRE_GPU="1")
    assert done.returncode == 0
    assert lines[-1].startswith("2 passed")
