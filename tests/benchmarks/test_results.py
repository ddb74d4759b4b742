"""Files of results: tables, the newest of several, and files that are none."""

from __future__ import annotations

import json

import pytest

from benchmarks import overhead, report, results
from benchmarks.options import Options, chosen
from minicnn.errors import DataError, OptionError

pytestmark = pytest.mark.host

MEASURED = {
    "machine": {
        "cpu": "a CPU",
        "cores": 2,
        "cores_used": 2,
        "threads": 2,
        "variables": {},
        "versions": {},
        "date": "2026-01-01",
    },
    "options": {"quick": False, "repeat": 1},
}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        ("a", "a"),
        (1234567, "1,234,567"),
        (1234.5, "1,234"),
        (0.012345, "0.0123"),
        (12.345, "12.3"),
    ],
)
def test_numbers_have_three_digits_that_say_something(value, text):
    assert results.number(value) == text


def test_a_table_has_no_columns_without_values():
    text = results.markdown(["name", "ms", "peer"], [["a", 1.5, None], ["b", None, None]])
    assert text.splitlines() == ["| name | ms |", "| --- | ---: |", "| a | 1.5 |", "| b | - |"]


def test_a_result_is_written_for_programs_and_for_people(tmp_path, monkeypatch):
    monkeypatch.setenv("MINICNN_NUMBA", "0")
    options = Options(only=("a",), repeat=3, quick=True, output=tmp_path)
    results.write("scaling", "| table |", {"rows": []}, options)
    (data,), (text,) = tmp_path.glob("scaling-*.json"), tmp_path.glob("scaling-*.md")
    content = json.loads(data.read_text())
    assert content["options"]["repeat"] == 3
    assert content["machine"]["versions"]["minicnn"]
    assert "| table |" in text.read_text()
    assert ", MINICNN_NUMBA=0; " in text.read_text()
    assert "medians of 3" in text.read_text()
    assert "--quick" in text.read_text()


def test_the_newest_result_is_found(tmp_path):
    for stamp, value in (("20250101-000000", 1), ("20260101-000000", 2), ("20251231-235959", 3)):
        (tmp_path / f"kernels-{stamp}.json").write_text(json.dumps({**MEASURED, "result": value}))
    assert results.load_newest(tmp_path, "kernels")["result"] == 2
    assert results.load_newest(tmp_path, "scaling") is None


def test_a_file_that_is_no_result_is_named(tmp_path):
    (tmp_path / "kernels-20250101-000000.json").write_text("{")
    with pytest.raises(DataError, match="kernels-20250101"):
        results.load_newest(tmp_path, "kernels")


def test_names_come_in_the_known_order():
    assert chosen("--only", ["c", "a"], ("a", "b", "c")) == ("a", "c")
    assert chosen("--only", None, ("a", "b")) == ("a", "b")


def test_an_unknown_name_is_refused_with_what_is_near():
    with pytest.raises(OptionError, match="did you mean vgg16_bn"):
        chosen("--only", ["vgg_bn"], ("vgg16_bn", "deep_vgg_x"))


@pytest.mark.parametrize("content", ["[]", "{}", '{"machine": {}}', json.dumps(MEASURED)])
def test_a_file_of_something_else_is_named(tmp_path, content):
    (tmp_path / "scaling-1.json").write_text(content)
    with pytest.raises(DataError, match=r"scaling-1\.json: is not a result of this package"):
        results.load_newest(tmp_path, "scaling")


def test_a_report_names_the_command_whose_result_is_damaged(tmp_path):
    (tmp_path / "overhead-1.json").write_text(json.dumps({**MEASURED, "result": {}}))
    with pytest.raises(DataError, match="newest result of overhead is not one of this package"):
        report.write(tmp_path, {"overhead": overhead})
