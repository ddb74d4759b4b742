"""The run folder: what is refused, and that nothing but its own files is ever removed."""

from __future__ import annotations

import json

import pytest

from minicnn.commands.run_folder import FILES, RunFolder, versions
from minicnn.errors import DataError, OptionError
from minicnn.files import write_json

pytestmark = pytest.mark.host


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path / "run")
    made.make()
    return made


def fill(folder, *names):
    for name in names or FILES:
        (folder.path / name).write_text("{}")


def test_a_new_or_empty_folder_is_accepted_and_cannot_be_resumed(tmp_path, folder):
    for each in (RunFolder(tmp_path / "new"), folder):
        each.check(resume=False, overwrite=False)
        with pytest.raises(OptionError, match="holds no run to resume"):
            each.check(resume=True, overwrite=False)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "holds a finished run"),
        (("config.json",), "holds an unfinished run"),
        (("history.csv",), "holds a file history.csv"),
        (("figures/history.png",), "holds a file history.png"),
    ],
)
def test_what_is_there_is_not_overwritten_unasked(folder, names, message):
    fill(folder, *names)
    with pytest.raises(OptionError, match=message):
        folder.check(resume=False, overwrite=False)
    folder.check(resume=False, overwrite=True)


def test_what_cannot_be_resumed_is_not_advised_to_be(folder):
    fill(folder, "history.csv")
    with pytest.raises(OptionError) as advice:
        folder.check(resume=False, overwrite=False)
    assert "--resume" not in str(advice.value)
    with pytest.raises(OptionError, match=r"but no config\.json to go on by") as refusal:
        folder.check(resume=True, overwrite=False)
    assert "leave --resume out" not in str(refusal.value)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match="is a file"):
        RunFolder(tmp_path / "file").check(resume=False, overwrite=True)


def test_clearing_removes_the_files_of_a_run_and_nothing_else(folder):
    fill(folder)
    for fold in ("fold-01", "fold-02"):
        RunFolder(folder.path / fold).make()
        fill(RunFolder(folder.path / fold))
    folder.explanations.mkdir()
    for name in ("explanations.json", "explanations.safetensors", "maps-pool2.png", "curves.png"):
        (folder.explanations / name).write_text("old")
    others = [folder.path / "notes.txt", folder.figures / "mine.png", folder.path / "fold-02" / "x"]
    others.append(folder.explanations / "mine.png")
    (folder.path / "fold-mine").mkdir()
    others.append(folder.path / "fold-mine" / "history.csv")
    for other in others:
        other.write_text("mine")
    folder.clear()
    assert not (folder.path / "fold-01").exists()
    left = sorted(path for path in folder.path.rglob("*") if path.is_file())
    assert left == sorted(others)


def test_explanations_and_the_page_are_of_the_run(folder):
    folder.explanations.mkdir()
    for path in (folder.report, folder.explanations / "top-pool2.png"):
        path.write_text("old")
        with pytest.raises(OptionError, match=f"holds a file {path.name}"):
            folder.check(resume=False, overwrite=False)
        folder.clear()
        assert not path.exists()
    assert not folder.explanations.exists()


def test_tidying_removes_what_a_killed_write_left(folder):
    rest = folder.path / ".checkpoint.safetensors.123-abc.tmp"
    rest.write_text("half")
    explained = folder.path / ".explanations.new.tmp"
    explained.mkdir()
    (explained / "curves.png").write_text("half")
    other = folder.path / ".mine.tmp"
    other.write_text("mine")
    folder.tidy()
    assert not rest.exists()
    assert not explained.exists()
    assert other.exists()


def test_explanations_that_were_being_replaced_are_kept(folder):
    old, new = (folder.path / f".explanations.{word}.tmp" for word in ("old", "new"))
    for there in (False, True):  # whether the new ones had already taken the place
        old.mkdir()
        (old / "curves.png").write_text("old")
        (old if there else new).mkdir(exist_ok=True)
        if there:
            (folder.explanations / "curves.png").write_text("new")
        folder.tidy()
        assert (folder.explanations / "curves.png").read_text() == ("new" if there else "old")
        assert not old.exists() and not new.exists()


def test_nothing_is_removed_from_a_folder_in_which_another_run_writes(folder):
    pytest.importorskip("fcntl")
    rest = folder.path / ".weights.safetensors.123-abc.tmp"
    with folder.hold():
        rest.write_text("half")
        with pytest.raises(OptionError, match="another run is writing"), folder.hold():
            pass
        assert rest.exists()
    with folder.hold():
        assert not rest.exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"options": 3, "data": {}}', "\x00"])
def test_a_damaged_configuration_is_refused(folder, text):
    folder.config.write_text(text)
    with pytest.raises(DataError, match="damaged, or of another program"):
        folder.stored()


def test_json_holds_only_what_every_reader_takes(tmp_path):
    path = tmp_path / "metrics.json"
    write_json(path, {"accuracy": 0.5})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"loss": float("nan")})
    assert json.loads(path.read_text()) == {"accuracy": 0.5}


def test_versions_name_what_the_bits_depend_on():
    assert set(versions()) == {"minicnn", "python", "numpy"}


def test_a_file_in_the_place_of_the_figures_is_named(tmp_path):
    (tmp_path / "figures").write_text("mine")
    with pytest.raises(DataError, match="figures: is a file, not a folder; move it away"):
        RunFolder(tmp_path).make()
    assert (tmp_path / "figures").read_text() == "mine"
