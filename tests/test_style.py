"""The linter and the type checker pass on the whole project."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.host

ROOT = pathlib.Path(__file__).parents[1]


def run(*command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_ruff_finds_nothing():
    run("ruff", "check", ".")


def test_code_is_formatted():
    run("ruff", "format", "--check", ".")


def test_mypy_finds_nothing():
    run("mypy")
