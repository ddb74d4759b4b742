"""What is told of the machine, and the sizes of what is installed on it."""

from __future__ import annotations

import json
import mmap
from pathlib import Path

import numpy as np
import pytest

from benchmarks import machine
from benchmarks.worker import page_faults, peak_memory

pytestmark = pytest.mark.host


def test_the_machine_is_described_for_json():
    found = json.loads(json.dumps(machine.describe()))
    assert found["versions"]["numpy"] == np.__version__
    assert found["threads"] >= 1
    assert found["cpu"]


def test_a_size_holds_the_package_and_what_it_requires():
    own = sum(
        path.stat().st_size
        for path in Path(machine.minicnn.__file__).parent.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    )
    numpy = machine.installed_size("numpy")
    assert numpy > 10**7
    assert machine.installed_size("minicnn") >= own + numpy
    assert machine.installed_size("minicnn", "numpy") == machine.installed_size("minicnn")


def test_a_size_is_without_the_extras():
    ours = machine.installed_size("minicnn")
    assert ours < machine.installed_size("minicnn", "matplotlib")  # of the extra [fer]


def test_what_is_not_installed_has_no_size():
    assert machine.installed_size("no-such-distribution") == 0


def test_new_memory_shows_in_the_peak_and_in_the_page_faults():
    faults, size = page_faults(), 50_000_000
    block = np.frombuffer(mmap.mmap(-1, size), np.uint8)  # not malloc, which may have some left
    block[:] = 1
    assert peak_memory() > size
    assert page_faults() > faults
