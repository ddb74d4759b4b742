"""Contenders in processes of their own: turns, and what happens to those that cannot go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import contest
from benchmarks.contenders import ALL, find
from benchmarks.contest import Contender, Contest
from benchmarks.worker import draw
from minicnn.errors import DataError, OptionError

pytestmark = pytest.mark.host

DATA = {"a": (3,), "b": (3,)}
WORK = {"operation": "add", "loops": 2}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(contest, "TURN", 0.0)
    monkeypatch.setattr(contest, "SETTLE", 0.0)


def test_each_contender_has_its_turns_and_its_own_memory():
    ours = Contender("ours", "ours", "with_minicnn")
    again = Contender("again", "again", "with_minicnn", environment={"MINICNN_THREADS": "1"})
    with Contest([ours, again]) as contested:
        found = contested.measure("elementwise", DATA, WORK, repeat=3)
    assert list(found) == ["ours", "again"]
    for result in found.values():
        assert len(result.seconds) == 3
        assert result.peak > result.net >= 0


def test_one_process_serves_several_tasks():
    with Contest(find(("minicnn",))) as contested:
        for operation in ("add", "relu"):
            found = contested.measure(
                "elementwise", DATA, {**WORK, "operation": operation}, repeat=1
            )
            assert len(found["minicnn"].seconds) == 1


def test_a_slow_contender_has_one_turn(monkeypatch):
    monkeypatch.setattr(contest, "SLOW", 0.0)
    with Contest(find(("minicnn",))) as contested:
        found = contested.measure("elementwise", DATA, WORK, repeat=3)
    assert len(found["minicnn"].seconds) == 1


@pytest.mark.parametrize(
    ("contender", "reason"),
    [
        (Contender("x", "the stranger", "with_nothing"), "with_nothing"),
        (Contender("x", "the stranger", "with_minicnn", options={"odd": 1}), "odd"),
        (
            Contender("x", "the stranger", "with_minicnn", environment={"PYTHONHOME": "/-"}),
            "code 1",
        ),
    ],
    ids=["no engine", "an exception", "a dead process"],
)
def test_who_cannot_take_part_is_left_out_with_a_line_that_says_why(contender, reason, capsys):
    with Contest([contender, *find(("minicnn",))]) as contested:
        found = contested.measure("elementwise", DATA, WORK, repeat=1)
    assert list(found) == ["minicnn"]
    line = capsys.readouterr().out
    assert line.startswith("left out: the stranger (")
    assert reason in line
    assert line.count("\n") == 1


def test_an_answer_that_does_not_come_is_not_waited_for(monkeypatch, capsys):
    monkeypatch.setattr(contest, "PATIENCE", 0.0)
    with Contest(find(("minicnn",))) as contested, pytest.raises(DataError, match="no contender"):
        contested.measure("elementwise", DATA, WORK, repeat=1)
    assert "no answer" in capsys.readouterr().out


def test_a_missing_package_is_told_once_for_all_its_contenders(monkeypatch, capsys):
    monkeypatch.setattr(contest, "find_spec", lambda name: None if name == "torch" else name)
    found = contest.present(each for each in ALL if each.package in ("numpy", "torch"))
    assert [each.name for each in found] == ["minicnn"]
    assert capsys.readouterr().out.count("\n") == 1
    with pytest.raises(OptionError, match="no contender is left; install one of torch"):
        contest.present(each for each in ALL if each.package == "torch")


def test_labels_are_classes_and_the_rest_are_float32():
    found = draw({"labels": [50], "images": [2, 3]})
    assert found["labels"].dtype.kind == "i"
    assert set(found["labels"]) <= set(range(7))
    assert found["images"].dtype == "float32"
    assert found["images"].shape == (2, 3)


@pytest.mark.parametrize(("name", "value"), [("minicnn", "1"), ("minicnn-numpy", "0")])
def test_compiled_code_is_on_or_off_by_the_contender_and_not_by_who_starts_it(
    name, value, monkeypatch
):
    monkeypatch.setenv("MINICNN_NUMBA", "0" if value == "1" else "1")
    with Contest(find((name,))) as contested:
        contested.measure("elementwise", DATA, WORK, repeat=1)  # the process is there by then
        environment = Path(f"/proc/{contested._workers[0]._process.pid}/environ")
        if not environment.exists():
            pytest.skip("there is no /proc to see a process's environment in")
        assert f"MINICNN_NUMBA={value}".encode() in environment.read_bytes().split(b"\0")
