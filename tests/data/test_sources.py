"""Archives around the csv and around class folders: read in every packing, refused when damaged."""

import gzip
import io
import tarfile
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from minicnn.data.face_dataset import FaceDataset
from minicnn.data.fer2013 import load
from minicnn.errors import DataError

pytestmark = pytest.mark.host

IMAGES = np.random.default_rng(1).integers(0, 256, (2, 48, 48, 1), np.uint8)
CSV = "".join(
    [
        "emotion,pixels,Usage\n",
        *(f"{i},{' '.join(map(str, IMAGES[i].reshape(-1)))},Training\n" for i in range(2)),
    ]
).encode()
BAD = CSV.replace(b"\n1,", b"\n9,")


def png(image):
    stream = io.BytesIO()
    Image.fromarray(image[..., 0]).save(stream, "png")
    return stream.getvalue()


def zipped(members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tarred(members, mode="w"):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


PACKINGS = {
    "gz": gzip.compress(CSV),
    "zip": zipped({"readme.txt": b"hello", "fer2013/fer2013.csv": CSV}),
    "zip of gz": zipped({"a/b/c/faces.csv.gz": gzip.compress(CSV)}),
    "tar": tarred({"./fer2013.csv": CSV, "./readme.txt": b"hello"}),
    "tar.gz": tarred({"fer2013/README": b"hello", "fer2013/fer2013.csv": CSV}, "w:gz"),
    "zip from a Mac": zipped({"__MACOSX/._fer2013.csv": b"\0", "fer2013.csv": CSV}),
}


@pytest.mark.parametrize("packing", PACKINGS)
def test_csv_is_read_in_every_packing_whatever_the_name(tmp_path, packing):
    (tmp_path / "download").write_bytes(PACKINGS[packing])
    dataset = load(tmp_path / "download", cache=None)
    assert np.array_equal(dataset.images, IMAGES)
    assert dataset.labels.tolist() == [0, 1]


@pytest.mark.parametrize("pack", [zipped, tarred, lambda m: tarred(m, "w:gz")])
def test_class_folders_are_read_from_archives(tmp_path, pack):
    members = {"d/train/happy/a.png": png(IMAGES[0]), "d/test/sad/b.png": png(IMAGES[1])}
    (tmp_path / "faces").write_bytes(pack(members))
    dataset = load(tmp_path / "faces", cache=None)
    assert dataset.ids.tolist() == ["d/test/sad/b.png", "d/train/happy/a.png"]
    assert np.array_equal(dataset.images, IMAGES[::-1])


def test_bad_row_in_an_archive_is_named_with_archive_and_member(tmp_path):
    (tmp_path / "f.zip").write_bytes(zipped({"x/fer2013.csv": BAD}))
    with pytest.raises(DataError, match=r"f\.zip:x/fer2013\.csv, line 3: unknown label"):
        load(tmp_path / "f.zip", cache=None)


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_archive_is_refused(tmp_path, packing, share):
    content = PACKINGS[packing]
    (tmp_path / "f").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"truncated, damaged|pixels given") as caught:
        load(tmp_path / "f", cache=None)
    assert str(tmp_path / "f") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tar_that_ends_between_two_members_is_refused(tmp_path):
    whole = tarred({"train.csv": CSV, "more.txt": b"x"})
    second = whole.index(b"more.txt")
    (tmp_path / "f.tar").write_bytes(whole[:second])
    with pytest.raises(DataError, match="the end of the archive is missing"):
        load(tmp_path / "f.tar", cache=None)


def test_truncated_gz_names_the_line_that_was_reached(tmp_path):
    (tmp_path / "f.csv.gz").write_bytes(PACKINGS["gz"][:-20])
    with pytest.raises(DataError, match=r"f\.csv\.gz, after line \d: truncated"):
        load(tmp_path / "f.csv.gz", cache=None)


def test_wrong_checksum_is_refused(tmp_path):
    content = bytearray(PACKINGS["gz"])
    content[-8] ^= 1
    (tmp_path / "f.csv.gz").write_bytes(content)
    with pytest.raises(DataError, match="truncated, damaged or protected"):
        load(tmp_path / "f.csv.gz", cache=None)


@pytest.mark.parametrize("content", [zipped({}), zipped({"readme.txt": b"x"})])
def test_archive_without_faces_is_refused(tmp_path, content):
    (tmp_path / "f.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"f\.zip: no layout that is known"):
        load(tmp_path / "f.zip", cache=None)


@settings(max_examples=100, deadline=None)
@given(packing=st.sampled_from(sorted(PACKINGS)), data=st.data())
def test_damaged_archive_gives_a_data_error_or_valid_data(tmp_path_factory, packing, data):
    content = bytearray(PACKINGS[packing])
    for _ in range(data.draw(st.integers(1, 4))):
        # Half of the damage goes to the ends, where the headers and directories are.
        near = data.draw(st.integers(0, 200))
        anywhere = data.draw(st.integers(0, len(content) - 1))
        place = data.draw(st.sampled_from([near, -1 - near, anywhere]))
        content[place] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "f").write_bytes(content)
    try:
        dataset = load(folder / "f", cache=None)
    except DataError as error:
        assert str(folder) in str(error)
        assert "\n" not in str(error)
    else:
        assert isinstance(dataset, FaceDataset)
