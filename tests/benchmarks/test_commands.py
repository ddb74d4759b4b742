"""The command line: each command at a tiny size, and what it refuses."""

from __future__ import annotations

import json

import pytest
from matplotlib.image import imread

from benchmarks import (
    __main__,
    contest,
    inference,
    kernels,
    machine,
    operations,
    overhead,
    scaling,
    train_step,
    workloads,
)
from benchmarks.contest import Contender, Result
from minicnn.kernels.compiled import enabled

pytestmark = pytest.mark.host

OURS = ("--contenders", "minicnn")
BOTH = ("--contenders", "minicnn", "torch")


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Make everything small, and take no time between the turns."""
    for name, value in {"TURN": 0.0, "SETTLE": 0.0}.items():
        monkeypatch.setattr(contest, name, value)
    system = train_step.System("E", 4, 2, (8, 8, 1))
    monkeypatch.setattr(train_step, "SYSTEMS", {"small_cnn": system})
    monkeypatch.setattr(operations, "QUICK_SIZES", (64, 128))
    monkeypatch.setattr(workloads, "CONVOLUTIONS", ((1, 6, 2, 3, 3),))
    monkeypatch.setattr(machine, "PRODUCT", 16)
    monkeypatch.setattr(machine, "COPIED", 64)
    monkeypatch.setattr(scaling, "SWEEPS", {"batch": (1, 2), "depth": (1, 2)})
    monkeypatch.setattr(scaling, "USUAL", {"batch": 2, "image": 6, "width": 2, "depth": 1})
    monkeypatch.setattr(inference, "NETWORKS", ("small_cnn",))
    monkeypatch.setattr(inference, "INPUT_SHAPE", (8, 8, 1))
    monkeypatch.setattr(inference, "PACKAGES", {"Python alone": (), "minicnn": ("minicnn",)})
    monkeypatch.setattr(inference, "BATCH", 2)
    monkeypatch.setattr(kernels, "LAYERS", ((4, 6, 2, 3, 3),))


@pytest.fixture
def without_torch(monkeypatch):
    def find_spec(name):
        return None if name == "torch" else name

    monkeypatch.setattr(contest, "find_spec", find_spec)


def run(folder, command, *words):
    assert __main__.main([command, "--quick", "--output", str(folder), *words]) == 0
    (path,) = folder.glob(f"{command}-*.json")
    return json.loads(path.read_text())["result"]


def test_train_step_measures_speed_memory_and_page_faults(tmp_path, capsys):
    (row,) = run(tmp_path, "train_step", *OURS)["rows"]
    assert (row["network"], row["batch"]) == ("small_cnn", 2)
    ours = row["contenders"]["minicnn"]
    assert len(ours["seconds"]) == 2
    assert 0 < ours["net_bytes"] < ours["peak_bytes"]
    assert {"images_per_second", "page_faults", "first_seconds"} <= set(ours)
    assert "| E small_cnn | 2 |" in capsys.readouterr().out


def test_ratios_are_against_the_better_layout_of_pytorch():
    seconds = {"minicnn": 1.0, "torch": 3.0, "torch-channels-last": 2.0, "torch-bf16": 0.5}
    found = {
        name: Result(0.0, [value, 2 * value], peak=300, net=int(100 * value))
        for name, value in seconds.items()
    }
    ratios = train_step._ratios(found)
    assert ratios["best_float32"] == "torch-channels-last"
    assert ratios["minicnn_ratio"] == (2.0, 2.0, 2.0)
    assert ratios["bf16_ratio"] == (0.5, 0.5, 0.5)
    assert ratios["memory_ratios"] == [0.5, 1.0]


def test_operations_writes_counts_and_a_picture(tmp_path):
    result = run(tmp_path, "operations", "--only", "conv2d", "sum", "relu")
    assert {row["operation"] for row in result["rows"]} == {"conv2d", "sum", "relu"}
    assert result["ceilings"]["gemm"] > 0
    assert imread(tmp_path / "roofline.png").shape[2] in (3, 4)


def test_scaling_fits_both_exponents(tmp_path):
    batch, depth = run(tmp_path, "scaling")["rows"]
    assert batch["analytic"] == pytest.approx(1)  # each image costs the same
    assert depth["analytic"] > 0
    assert len(batch["seconds"]) == 2


def test_inference_measures_latency_throughput_imports_and_sizes(tmp_path, capsys):
    result = run(tmp_path, "inference", *OURS)
    (row,) = result["rows"]
    assert set(row["latency_ms"]) == set(row["images_per_second"]) == {"minicnn"}
    alone, ours = result["packages"]
    assert (alone["installed_bytes"], ours["installed_bytes"] > 0) == (0, True)
    assert "| minicnn |" in capsys.readouterr().out


@pytest.mark.usefixtures("without_torch")
@pytest.mark.parametrize("module", [overhead, kernels])
def test_without_pytorch_its_columns_are_left_out_and_one_line_says_so(tmp_path, capsys, module):
    command = module.__name__.rpartition(".")[2]
    (row, *_) = run(tmp_path, command, "--only", module.names()[0])["rows"]
    assert not any("torch" in key or key.endswith("ratio") for key in row)
    printed = capsys.readouterr().out
    assert printed.count("torch is not installed") == 1
    assert "PyTorch, us |" not in printed
    assert "PyTorch ms |" not in printed


@pytest.mark.parametrize("module", [overhead, kernels, inference])
def test_where_minicnn_fails_one_line_says_why_and_the_others_go_on(
    tmp_path, capsys, monkeypatch, module
):
    failing = Contender("minicnn", "minicnn", "with_nothing")
    other = Contender("torch", "PyTorch NCHW", "with_minicnn")  # need not be installed
    monkeypatch.setattr(module, "find", lambda names: [failing, other])
    command = module.__name__.rpartition(".")[2]
    (row,) = run(tmp_path, command, "--only", module.names()[0])["rows"]
    assert "torch" in json.dumps(row)
    assert "minicnn" not in json.dumps(row) and not any(key.endswith("ratio") for key in row)
    left_out, *printed = capsys.readouterr().out.splitlines()
    assert left_out.startswith("left out: minicnn (ModuleNotFoundError: ")
    assert any("PyTorch" in line for line in printed)


@pytest.mark.oracle
def test_train_step_compares_with_pytorch(tmp_path):
    (row,) = run(tmp_path, "train_step", *BOTH, "torch-bf16")["rows"]
    assert len(row["contenders"]) == 3
    assert len(row["minicnn_ratio"]) == len(row["bf16_ratio"]) == 3


@pytest.mark.oracle
def test_inference_overhead_and_kernels_compare_with_pytorch(tmp_path):
    (row,) = run(tmp_path, "inference", *BOTH)["rows"]
    assert set(row["latency_ms"]) == {"minicnn", "torch"}
    (row,) = run(tmp_path, "overhead", "--only", "add")["rows"]
    assert len(row["ratio"]) == 3
    (row,) = run(tmp_path, "kernels")["rows"]
    assert {"forward_ratio", "both_ratio", "both_torch-channels-last_ms"} <= set(row)


def test_report_merges_the_newest_results(tmp_path, capsys):
    run(tmp_path, "scaling", "--only", "batch")
    capsys.readouterr()
    assert __main__.main(["report", "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("## scaling")
    assert "| batch | 1, 2 |" in printed
    assert (tmp_path / "summary.md").read_text() == printed


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ((), "COMMAND"),
        (("train",), "train_step"),
        (("scaling", "--repeat", "0"), "1 or more"),
        (("scaling", "--only", "bach"), "did you mean batch"),
        (("train_step", "--contenders", "pytorch"), "torch"),
        (("report", "--only", "nothing"), "choose of"),
        (("kernels", "--fast"), "--fast"),
        (("scaling", "--output", ""), "path"),
    ],
)
def test_bad_options_end_with_2_and_one_line(capsys, words, match):
    assert __main__.main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert match in printed.err


def test_a_report_of_nothing_is_refused(tmp_path, capsys):
    assert __main__.main(["report", "--output", str(tmp_path)]) == 2
    assert "run a benchmark first" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_refused_before_any_work(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert __main__.main(["scaling", "--output", str(tmp_path / "file")]) == 2
    assert "cannot be made" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(tmp_path, capsys, monkeypatch):
    def refuse(**options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("benchmarks.results.tempfile.TemporaryFile", refuse)
    assert __main__.main(["scaling", "--output", str(tmp_path)]) == 2
    assert "cannot be written to (Permission denied)" in capsys.readouterr().err


def test_a_switch_that_is_wrong_is_told_in_one_line(python):
    done = python("-m", "benchmarks", "overhead", PYTHONPATH=str(__main__.RESULTS.parents[1]),
                  MINICNN_NUMBA="maybe")  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "MINICNN_NUMBA" in done.stderr


def test_the_package_runs_from_the_projects_root(python):
    done = python("-c", "import runpy; runpy.run_module('benchmarks', run_name='__main__')", "-h",
                  PYTHONPATH=str(__main__.RESULTS.parents[1]))  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in __main__.COMMANDS)


def test_a_wrong_setting_is_refused_before_anything_is_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MINICNN_NUMBA", "yes")
    enabled.cache_clear()
    try:
        assert __main__.main(["overhead", "--quick", "--output", str(tmp_path / "new")]) == 2
    finally:
        enabled.cache_clear()
    assert "MINICNN_NUMBA: expected 0 or 1, got 'yes'" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
