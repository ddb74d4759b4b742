"""Atomic writing: the target is the old file or the complete new one, whatever happens."""

import errno
import os
import stat
import threading

import pytest

from minicnn.errors import DataError, OptionError
from minicnn.files import atomic_write

pytestmark = pytest.mark.host


def test_text_is_written_as_utf8_with_line_ends_unchanged(tmp_path):
    with atomic_write(tmp_path / "a.txt") as file:
        file.write("é\r\nb\n")
    assert (tmp_path / "a.txt").read_bytes() == b"\xc3\xa9\r\nb\n"


def test_bytes_are_written(tmp_path):
    with atomic_write(tmp_path / "a.bin", "wb") as file:
        file.write(b"\x00\xff")
    assert (tmp_path / "a.bin").read_bytes() == b"\x00\xff"


def test_target_keeps_its_old_content_until_the_body_ends(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with atomic_write(target) as file:
        file.write("new")
        file.flush()
        assert target.read_text() == "old"
    assert target.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_error_in_the_body_keeps_the_old_file_and_leaves_nothing_else(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(error), atomic_write(target) as file:
        file.write("half")
        raise error("stop")
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_error_in_the_body_makes_no_file_where_there_was_none(tmp_path):
    with pytest.raises(ValueError, match="stop"), atomic_write(tmp_path / "a.txt"):
        raise ValueError("stop")
    assert os.listdir(tmp_path) == []


def test_content_is_synced_before_the_rename_and_the_folder_after(tmp_path, monkeypatch):
    calls = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor):
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        calls.append((kind, os.fstat(descriptor).st_size if kind == "file" else None))
        real_fsync(descriptor)

    def replace(source, target):
        calls.append(("replace", None))
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    with atomic_write(tmp_path / "a.txt") as file:
        file.write("12345")
    assert calls == [("file", 5), ("replace", None), ("folder", None)]


def test_disk_full_is_a_data_error_and_keeps_the_old_file(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(DataError, match=r"a\.txt: cannot be written \(No space left"):
        with atomic_write(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert os.listdir(tmp_path) == ["a.txt"]
    assert target.read_text() == "old"


def test_unrelated_os_error_of_the_body_is_passed_on(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a.txt"):
        (tmp_path / "missing").read_bytes()


def test_missing_folder_is_a_data_error_that_names_the_path(tmp_path):
    with pytest.raises(DataError, match=r"no/a\.txt: cannot be written \(No such file"):
        with atomic_write(tmp_path / "no" / "a.txt"):
            pass


def test_a_folder_is_not_replaced(tmp_path):
    with pytest.raises(DataError, match="not a regular file"), atomic_write(tmp_path):
        pass


def test_a_device_is_not_replaced():
    with pytest.raises(DataError, match="not a regular file"), atomic_write(os.devnull):
        pass


def test_unknown_mode_is_an_option_error(tmp_path):
    with pytest.raises(OptionError, match="'a'"), atomic_write(tmp_path / "a.txt", "a"):
        pass


def test_symbolic_link_is_followed(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    with atomic_write(tmp_path / "link.txt") as file:
        file.write("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_mode_of_an_existing_file_is_kept_and_a_new_file_follows_the_umask(tmp_path):
    (tmp_path / "old.txt").write_text("old")
    (tmp_path / "old.txt").chmod(0o640)
    previous = os.umask(0o022)
    try:
        for name in ("old.txt", "new.txt"):
            with atomic_write(tmp_path / name) as file:
                file.write("new")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "old.txt").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "new.txt").stat().st_mode) == 0o644


def test_writers_at_the_same_time_leave_one_complete_file(tmp_path):
    def write(letter):
        for _ in range(20):
            with atomic_write(tmp_path / "a.txt") as file:
                file.write(letter * 1000)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = (tmp_path / "a.txt").read_text()
    assert text == text[0] * 1000
    assert os.listdir(tmp_path) == ["a.txt"]
