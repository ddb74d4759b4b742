"""The cache of data sets: fresh when the source changes, and never the cause of an error."""

import os
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn.data import fer2013
from minicnn.data.cache import cache_directory
from minicnn.data.fer2013 import load
from minicnn.errors import DataError

pytestmark = pytest.mark.host

IMAGES = np.random.default_rng(3).integers(0, 256, (3, 48, 48, 1), np.uint8)
TEXTS = [" ".join(map(str, image.reshape(-1))) for image in IMAGES]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source" / "fer2013.csv"
    path.parent.mkdir()
    path.write_text(f"emotion,pixels,Usage\n0,{TEXTS[0]},Training\n5,{TEXTS[1]},PublicTest\n")
    return path


@pytest.fixture
def reads(monkeypatch):
    """List the paths that were read from the source and not from the cache."""
    paths = []
    real = fer2013._read
    monkeypatch.setattr(fer2013, "_read", lambda path: paths.append(path) or real(path))
    return paths


def same(first, second):
    return (
        np.array_equal(first.images, second.images)
        and np.array_equal(first.labels, second.labels)
        and first.ids.tolist() == second.ids.tolist()
        and first.usage.tolist() == second.usage.tolist()
        and first.class_names == second.class_names
        and first.sha256 == second.sha256
    )


def test_second_load_comes_from_the_cache_and_is_the_same(source, tmp_path, reads):
    first = load(source, cache=tmp_path / "cache")
    second = load(source, cache=tmp_path / "cache")
    assert len(reads) == 1
    assert same(first, second)
    assert second.labels.dtype == np.int64
    second.images[0] = 0  # what comes from the cache can be written to, as what was read can


def test_data_without_labels_survives_the_cache(source, tmp_path, reads):
    source.write_text(f"id,feature\na b,{TEXTS[0]}\né,{TEXTS[1]}\n")
    load(source, cache=tmp_path / "cache")
    again = load(source, cache=tmp_path / "cache")
    assert len(reads) == 1
    assert again.labels is None
    assert again.ids.tolist() == ["a b", "é"]


def test_changed_source_is_read_again_and_replaces_what_was_kept(source, tmp_path, reads):
    load(source, cache=tmp_path / "cache")
    source.write_text(f"emotion,pixels,Usage\n3,{TEXTS[2]},Training\n")
    assert load(source, cache=tmp_path / "cache").labels.tolist() == [3]
    assert len(reads) == 2
    assert len(os.listdir(tmp_path / "cache")) == 1


def test_change_that_keeps_the_size_is_seen_by_its_time(source, tmp_path):
    load(source, cache=tmp_path / "cache")
    source.write_text(source.read_text().replace("\n0,", "\n1,"))
    os.utime(source, ns=(1, 1))
    assert load(source, cache=tmp_path / "cache").labels.tolist() == [1, 5]


def test_file_added_to_a_folder_is_seen(source, tmp_path, reads):
    source.rename(source.with_name("train.csv"))
    source.with_name("train.csv").write_text(f"label,feature\n0,{TEXTS[0]}\n")
    load(source.parent, cache=tmp_path / "cache")
    source.with_name("test.csv").write_text(f"id,feature\n0,{TEXTS[1]}\n")
    assert load(source.parent, cache=tmp_path / "cache").splits == {"train": 1, "test": 1}


def test_source_that_changes_while_it_is_read_is_not_kept(source, tmp_path, monkeypatch):
    real = fer2013._read

    def read(path):
        dataset = real(path)
        source.write_text(f"emotion,pixels,Usage\n3,{TEXTS[2]},Training\n")
        return dataset

    monkeypatch.setattr(fer2013, "_read", read)
    load(source, cache=tmp_path / "cache")
    monkeypatch.setattr(fer2013, "_read", real)
    assert load(source, cache=tmp_path / "cache").labels.tolist() == [3]


def test_source_that_is_gone_is_an_error_though_it_is_in_the_cache(source, tmp_path):
    load(source, cache=tmp_path / "cache")
    source.unlink()
    with pytest.raises(DataError, match="no such file"):
        load(source, cache=tmp_path / "cache")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_cache_is_never_an_error_nor_believed(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cache")
    source = folder / "fer2013.csv"
    source.write_text(f"emotion,pixels,Usage\n0,{TEXTS[0]},Training\n5,{TEXTS[1]},PublicTest\n")
    first = load(source, cache=folder / "kept")
    (kept,) = (folder / "kept").iterdir()
    content = bytearray(kept.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        place = data.draw(st.integers(0, len(content) - 1))
        place = data.draw(st.sampled_from([place % 700, place]))
        content[place] ^= data.draw(st.integers(1, 255))
    kept.write_bytes(content)
    assert same(load(source, cache=folder / "kept"), first)


def test_damaged_cache_is_written_anew(source, tmp_path, reads):
    load(source, cache=tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(b"")
    load(source, cache=tmp_path / "cache")
    load(source, cache=tmp_path / "cache")
    assert len(reads) == 2


def test_cache_folder_that_cannot_be_made_is_no_error(source, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert len(load(source, cache=tmp_path / "file" / "cache")) == 2


def test_without_a_cache_nothing_is_written(source, tmp_path, monkeypatch):
    monkeypatch.setenv("MINICNN_CACHE", str(tmp_path / "cache"))
    for cache in (None, False):
        load(source, cache=cache)
    assert not (tmp_path / "cache").exists()


def test_loads_at_the_same_time_agree(source, tmp_path):
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(load(source, cache=tmp_path / "cache")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert all(same(result, results[0]) for result in results)
    assert len(os.listdir(tmp_path / "cache")) == 1


def test_folder_comes_from_the_environment(source, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MINICNN_CACHE", str(tmp_path / "own"))
    assert cache_directory(True) == tmp_path / "own"
    monkeypatch.setenv("MINICNN_CACHE", "")
    assert cache_directory(True) == tmp_path / "xdg" / "minicnn"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_directory(True) == tmp_path / "home" / ".cache" / "minicnn"
    load(source)
    assert len(os.listdir(tmp_path / "home" / ".cache" / "minicnn")) == 1
