"""The command line: its table, its help, its exit codes, and that it starts at once."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import minicnn
from minicnn.commands.main import COMMANDS, main

pytestmark = pytest.mark.host

ROOT = Path(minicnn.__file__).parents[1]


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_names_every_command_and_gives_examples(words, capsys):
    assert main(words) == 0
    text = capsys.readouterr().out
    for name, (_, what) in COMMANDS.items():
        assert f"  {name} " in text
        assert what in text
    assert "examples:" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_its_help_ends_with_an_example(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert f"usage: minicnn {name}" in text
    closing = text[text.index("example") :]
    assert f"  minicnn {name}" in closing


def test_version_is_that_of_the_package(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"minicnn {minicnn.__version__}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sumary"], "'sumary' is no command; did you mean summary? choose one of summary, count"),
        (["xyz"], "'xyz' is no command; choose one of"),
        (["--verbose"], "'--verbose' is no command"),
        (["backends", "--nonsense"], "unrecognized arguments: --nonsense (--help lists"),
        (["summary"], "the following arguments are required: NETWORK"),
    ],
)
def test_what_is_not_understood_is_one_line_and_exit_code_2(words, message, capsys):
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("minicnn")
    assert message in captured.err


def test_python_dash_m_runs_it_and_calls_itself_so(python):
    done = python("-m", "minicnn", "summary", "plain_dnn")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1,387,207" in done.stdout
    assert "usage: python -m minicnn COMMAND" in python("-m", "minicnn").stdout
    wrong = python("-m", "minicnn", "summary", "plane_dnn")
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr
    assert wrong.stderr.startswith("minicnn summary: error: model: 'plane_dnn' is unknown; did you")


def test_help_reads_none_of_the_heavy_modules(python):
    code = (
        "import sys; from minicnn.commands.main import main; main(['--help']); "
        "heavy = ('minicnn.zoo', 'minicnn.data', 'minicnn.training', 'minicnn.report', "
        "'matplotlib', 'PIL', 'cv2', 'cupy', 'tqdm', 'safetensors'); "
        "print('read:', [name for name in sys.modules if name in heavy])"
    )
    assert python("-c", code).stdout.splitlines()[-1] == "read: []"


def test_a_reader_that_has_seen_enough_ends_it_without_a_word():
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "minicnn", "summary", "plain_dnn"],
            stdout=write,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        )
    finally:
        os.close(write)
    assert done.stderr == b""
    assert done.returncode == 141


def test_train_is_the_training_job(tmp_path, capsys):
    words = ["--model", "plain_dnn", "--limit", "0", "--out", str(tmp_path)]
    assert main(["train", *words]) == 2
    assert "minicnn train: error: argument --limit: expected a whole" in capsys.readouterr().err


def test_the_installed_program_is_this_main():
    tomllib = pytest.importorskip("tomllib")  # from Python 3.11 on
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())
    module, name = table["project"]["scripts"]["minicnn"].split(":")
    assert getattr(importlib.import_module(module), name) is main
