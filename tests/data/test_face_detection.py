"""Faces in pictures: where OpenCV finds them, and what is said where it cannot look."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from minicnn.data import face_detection
from minicnn.data.face_detection import find_faces, require_detector
from minicnn.data.pictures import Box, read_picture
from minicnn.errors import OptionError

pytestmark = pytest.mark.host


@pytest.fixture(autouse=True)
def no_memory_of_the_detector():
    face_detection._detector.cache_clear()
    yield
    face_detection._detector.cache_clear()


class Cascade:
    """Finds what it is told to, and keeps the picture that it was asked about."""

    found: tuple = ()

    def __init__(self, path):
        assert path.endswith(face_detection.CASCADE)

    def detectMultiScale(self, grey, **options):
        type(self).seen = grey
        return np.array(self.found, np.int32).reshape(-1, 4)


@pytest.fixture
def fake_opencv(monkeypatch, tmp_path):
    """Put a stand-in in the place of OpenCV; the boxes that it finds can be set."""
    (tmp_path / face_detection.CASCADE).write_text("<xml/>")

    def resize(grey, size, interpolation):
        return np.zeros(size[::-1], np.uint8)

    module = types.SimpleNamespace(
        __version__="4.99",
        data=types.SimpleNamespace(haarcascades=str(tmp_path)),
        CascadeClassifier=Cascade,
        COLOR_RGB2GRAY=0,
        INTER_AREA=0,
        cvtColor=lambda picture, code: picture[:, :, 0],
        resize=resize,
    )
    monkeypatch.setitem(sys.modules, "cv2", module)
    monkeypatch.setattr(Cascade, "found", ())
    return module


def test_faces_come_in_the_order_of_their_size(fake_opencv, monkeypatch):
    monkeypatch.setattr(Cascade, "found", ((5, 6, 30, 30), (50, 10, 40, 40)))
    found = find_faces(np.zeros((100, 120, 3), np.uint8))
    assert found == [Box(50, 10, 90, 50), Box(5, 6, 35, 36)]


def test_where_there_is_no_face_the_list_is_empty(fake_opencv):
    assert find_faces(np.zeros((100, 120, 3), np.uint8)) == []


def test_large_pictures_are_searched_smaller_and_the_boxes_are_those_of_the_picture(
    fake_opencv, monkeypatch
):
    monkeypatch.setattr(Cascade, "found", ((100, 50, 200, 200), (900, 0, 124, 300)))
    found = find_faces(np.zeros((1024, 4096, 3), np.uint8))
    assert Cascade.seen.shape == (256, 1024)
    assert found == [Box(400, 200, 1200, 1000), Box(3600, 0, 4096, 1024)]


def test_without_opencv_the_remedy_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(OptionError, match=r'needs OpenCV.*pip install "minicnn\[detect\]"'):
        require_detector()


def test_an_opencv_without_cascades_is_refused_with_its_version(fake_opencv):
    del fake_opencv.CascadeClassifier
    with pytest.raises(OptionError, match=r"OpenCV 4\.99 as installed here does not have"):
        require_detector()


def test_an_opencv_without_the_files_of_cascades_is_refused(fake_opencv, tmp_path):
    (tmp_path / face_detection.CASCADE).unlink()
    with pytest.raises(OptionError, match="does not have"):
        require_detector()


# With the real one, on the portrait that Matplotlib brings along.


@pytest.fixture
def portrait():
    pytest.importorskip("cv2")
    try:
        require_detector()
    except OptionError as error:
        pytest.skip(str(error))
    from matplotlib import cbook

    with cbook.get_sample_data("grace_hopper.jpg", asfileobj=True) as file:
        return read_picture(file.name)


@pytest.mark.parametrize("scale", [1, 3])
def test_the_face_of_a_portrait_is_found(portrait, scale):
    picture = portrait.repeat(scale, axis=0).repeat(scale, axis=1)
    (box,) = find_faces(picture)
    left, top, right, bottom = (edge / scale for edge in box)
    assert right - left == pytest.approx(bottom - top, abs=2)
    # Eyes and mouth lie inside, the insignia on the cap and the medals do not.
    for x, y in ((205, 185), (300, 180), (260, 285)):
        assert left < x < right
        assert top < y < bottom
    assert top > 60
    assert bottom < 400


def test_in_a_picture_without_a_face_none_is_found(portrait):
    assert find_faces(portrait[420:]) == []
