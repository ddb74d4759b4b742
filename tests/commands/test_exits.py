"""How commands end: each kind of error as one line, its exit code, and files that are kept."""

from __future__ import annotations

import errno

import pytest

from minicnn.commands.exits import guarded, refuse_existing, short_name
from minicnn.errors import DataError, OptionError, ShapeError

pytestmark = pytest.mark.host


def raising(error):
    def job():
        raise error

    return job


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ShapeError("two\n  lines"), "job: error: two lines"),
        (MemoryError("9 GiB"), "job: error: out of memory (9 GiB); choose a smaller model"),
        (OSError(errno.ENOSPC, "No space left", "a.csv"), "job: error: a.csv: No space left"),
        (OSError(errno.EIO, "Input/output error"), "job: error: standard output: Input/output"),
    ],
)
def test_errors_become_one_line_and_exit_code_2(error, line, capsys):
    assert guarded("job", raising(error)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(line)
    assert captured.err.count("\n") == 1


def test_the_code_of_the_job_is_passed_on():
    assert [guarded("job", lambda: 0), guarded("job", lambda: 1)] == [0, 1]


def test_an_interruption_says_how_to_go_on(capsys):
    assert guarded("job", raising(KeyboardInterrupt()), again=lambda: "go on so") == 130
    assert capsys.readouterr().err == "job: interrupted, stopped; go on so\n"
    assert guarded("job", raising(KeyboardInterrupt("stopped in epoch 2"))) == 130
    assert capsys.readouterr().err == "job: interrupted, stopped in epoch 2\n"


def test_a_fault_of_the_program_itself_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        guarded("job", raising(ZeroDivisionError()))


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("python examples/train_fer.py", "train_fer"),
        ("python /home/a user/predict.py", "predict"),
        ("python -m minicnn count", "minicnn count"),
        ("minicnn count", "minicnn count"),
    ],
)
def test_messages_call_a_program_by_its_short_name(program, name):
    assert short_name(program) == name


def test_a_file_is_refused_before_work_unless_it_may_be_replaced(tmp_path):
    taken = tmp_path / "taken.json"
    taken.write_text("{}")
    with pytest.raises(OptionError, match=r"taken\.json: is there already; add --overwrite"):
        refuse_existing([tmp_path / "new.json", taken], overwrite=False)
    refuse_existing([tmp_path / "new.json", taken], overwrite=True)
    assert taken.read_text() == "{}"


def test_places_where_no_file_can_be_are_refused(tmp_path):
    with pytest.raises(DataError, match="not a regular file"):
        refuse_existing([tmp_path], overwrite=True)
    with pytest.raises(DataError, match="there is no folder"):
        refuse_existing([tmp_path / "nothing" / "a.json"], overwrite=True)
