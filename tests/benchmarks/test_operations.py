"""Workloads and counts of the operations."""

from __future__ import annotations

import pytest

from benchmarks import operations
from benchmarks.workloads import costed, workloads
from minicnn.autograd import OPERATIONS, Cost, Sample

pytestmark = pytest.mark.host

CEILINGS = {"gemm": 200.0, "copy": 20.0}
PADDED = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}


@pytest.mark.parametrize("name", operations.names())
def test_every_costed_operation_has_workloads_that_grow_with_the_size(name):
    operation = OPERATIONS[name]
    samples = list(workloads(operation, (2**10, 2**14)))
    costs = [operation.cost(*sample.inputs, **sample.options) for sample in samples]
    for sample in samples:
        operation.shape(*sample.inputs, **sample.options)  # raises if they do not fit
    assert Cost() not in costs
    assert len({(each.flops, each.comparisons, each.functions) for each in costs}) > 1


def test_operations_that_compute_nothing_are_left_out():
    assert not costed(OPERATIONS["reshape"])
    assert costed(OPERATIONS["relu"])


@pytest.fixture
def one_second(monkeypatch):
    monkeypatch.setattr(operations, "measure", lambda function, repeat: 1.0)


def test_speeds_and_shares_follow_from_the_counts(one_second):
    sample = Sample(((3, 4), (4, 5)))
    row = operations._row(OPERATIONS["matmul"], sample, None, CEILINGS, 1)
    flops = 3 * 5 * (4 + 3)  # products, and one sum less
    assert row["multiplications"] == 60
    assert row["textbook_gflops"] == row["own_gflops"] == pytest.approx(flops / 1e9)
    assert row["gemm_share"] == pytest.approx(flops / 1e9 / 200)
    assert row["bytes"] == 4 * (3 * 4 + 4 * 5 + 3 * 5)
    assert row["copy_share"] == pytest.approx(row["bytes"] / 1e9 / 20)


def test_each_algorithm_of_a_convolution_has_its_own_count_beside_the_textbooks(one_second):
    sample = Sample(((1, 8, 8, 16), (3, 3, 16, 16), None), **PADDED)
    rows = {
        algorithm: operations._row(OPERATIONS["conv2d"], chosen, algorithm, CEILINGS, 1)
        for algorithm, chosen in operations._algorithms("conv2d", sample)
    }
    direct = 8 * 8 * 16 * (2 * 9 * 16 - 1)
    assert {row["textbook_gflops"] for row in rows.values()} == {direct / 1e9}
    assert rows["im2col"]["own_flops"] == direct
    assert rows["winograd"]["own_flops"] != direct
    assert rows["auto"]["own_flops"] is None
