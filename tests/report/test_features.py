"""Figures of layers and filters, read back: how many panels they have, and what is in them."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_panels import colors, has_color, inside, panels, read, squares

from minicnn.errors import ShapeError
from minicnn.report import features

pytestmark = pytest.mark.host

pytest.importorskip("matplotlib")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "figure.png"


@pytest.fixture
def face():
    return np.full((8, 8, 1), 90, np.uint8)


def test_filters_share_one_scale_with_zero_in_the_middle(path):
    filters = np.zeros((5, 3, 3, 1))
    filters[0, 0], filters[1, 0], filters[2, 0] = 1, -1, 0.5
    features.plot_filters(filters, path)
    picture = read(path)
    found = [inside(picture, box) for box in squares(picture)]
    assert len(found) == 5
    top = [panel[:10].mean(axis=(0, 1)) for panel in found]
    assert top[0][0] > top[0][2] + 0.2  # red
    assert top[1][2] > top[1][0] + 0.2  # blue
    assert top[2].sum() > top[0].sum()  # half as strong, lighter
    np.testing.assert_allclose(colors(found[3]), colors(found[0])[-1:], atol=0.02)  # 0 is white
    assert [len(colors(panel)) for panel in found] == [2, 2, 2, 1, 1]


def test_of_many_filters_the_first_are_drawn_at_the_mean_of_their_channels(path, rng):
    features.plot_filters(rng.standard_normal((70, 3, 3, 2)), path)
    assert len(squares(read(path))) == 64


def test_each_map_has_a_panel_of_its_own_scale_beside_the_face(path, face):
    maps = np.zeros((4, 4, 3))
    maps[0, 0] = (1, 50, 0)
    features.plot_feature_maps(maps, path, face=face)
    picture = read(path)
    found = [inside(picture, box) for box in squares(picture)]
    assert len(found) == 4
    np.testing.assert_allclose(colors(found[0]), np.full((1, 3), 90 / 255), atol=0.01)
    assert [len(colors(panel)) for panel in found[1:]] == [2, 2, 1]
    np.testing.assert_allclose(found[1], found[2], atol=0.02)


def test_maps_without_a_face_and_many_of_them_can_be_drawn(path, rng):
    features.plot_feature_maps(rng.standard_normal((3, 3, 5)), path)
    assert len(squares(read(path))) == 5
    features.plot_feature_maps(rng.standard_normal((2, 2, 65)), path)
    assert len(squares(read(path))) == 64


def test_pictures_of_gradient_ascent_stand_beside_what_the_filters_see(path, face, rng):
    images = np.zeros((3, 2, 8, 8, 1))
    images[..., :4, :, :] = rng.uniform(1, 100, (3, 2, 1, 1, 1))  # contrast is each picture's own
    outputs = np.zeros((3, 4, 4))
    outputs[:, 0] = 1
    features.plot_ascent(
        images, ["a", "b", "c"], path, values=np.ones((3, 2)), outputs=outputs, face=face
    )
    picture = read(path)
    found = [inside(picture, box) for box in squares(picture)]
    assert len(found) == 1 + 3 * 3
    assert len(colors(found[0])) == 1
    order = [found[1:4], found[4:7], found[7:10]]
    for first, second, output in order:
        for panel in (first, second):
            np.testing.assert_allclose(colors(panel), [[0] * 3, [1] * 3], atol=0.01)
            assert panel[:10].mean() > 0.99
        assert len(colors(output)) == 2
        assert np.ptp(colors(output)) > 0.3


def test_without_outputs_and_face_there_is_a_panel_for_each_seed(path, rng):
    features.plot_ascent(rng.standard_normal((7, 3, 8, 8, 1)), list("abcdefg"), path)
    assert len(squares(read(path))) == 21


def test_the_strongest_faces_stand_in_a_row_for_each_filter(path):
    greys = np.arange(20, 220, 25, dtype=np.uint8)[:8]
    faces = np.ones((2, 4, 8, 8, 1), np.uint8) * greys.reshape(2, 4, 1, 1, 1)
    places = np.full((2, 4, 2), 2.0)
    features.plot_top_faces(
        faces, np.ones((2, 4)), ["a", "b"], path, captions=[["Happy"] * 4] * 2, places=places
    )
    picture = read(path)
    found = [inside(picture, box) for box in squares(picture)]
    assert len(found) == 8
    for panel, grey in zip(found, greys, strict=True):
        assert has_color(panel, np.full(3, grey / 255))
        assert has_color(panel, "#F0E442")
        corner = panel[: panel.shape[0] // 2, : panel.shape[1] // 2]
        assert has_color(corner, "#F0E442")  # row and column 2 of 8 lie in the upper left
        assert not has_color(panel[panel.shape[0] // 2 :], "#F0E442")
    features.plot_top_faces(faces, np.ones((2, 4)), ["a", "b"], path)
    assert not has_color(read(path), "#F0E442")


def test_color_pictures_are_drawn_in_color(path):
    faces = np.zeros((1, 2, 8, 8, 3), np.uint8)
    faces[..., 0] = 200
    features.plot_top_faces(faces, np.ones((1, 2)), ["a"], path)
    assert has_color(read(path), "#C80000")


@pytest.mark.parametrize(
    ("draw", "match"),
    [
        (lambda path: features.plot_filters(np.ones((3, 3)), path), "filters of shape"),
        (lambda path: features.plot_feature_maps(np.ones((3, 3)), path), "maps of shape"),
        (
            lambda path: features.plot_ascent(np.ones((2, 1, 4, 4, 1)), ["a"], path),
            r"pictures of shape \(1, any, any, any, any\), got \(2, 1, 4, 4, 1\)",
        ),
        (
            lambda path: features.plot_ascent(
                np.ones((1, 1, 4, 4, 1)), ["a"], path, outputs=np.ones((2, 3, 3))
            ),
            "outputs of shape",
        ),
        (
            lambda path: features.plot_top_faces(
                np.ones((1, 2, 4, 4, 1)), np.ones((1, 3)), ["a"], path
            ),
            "values of shape",
        ),
        (
            lambda path: features.plot_top_faces(
                np.ones((1, 2, 4, 4, 1)), np.ones((1, 2)), ["a"], path, captions=[["one"]]
            ),
            "captions of shape",
        ),
    ],
)
def test_what_does_not_fit_is_refused_and_no_file_is_made(path, draw, match):
    with pytest.raises(ShapeError, match=match):
        draw(path)
    assert not path.exists()


def test_the_panels_of_a_picture_are_counted_right():
    """The count itself: frames with holes, what lies within, what is too small."""
    picture = np.ones((200, 300, 3))
    picture[10:60, 10:60] = 0
    picture[12:58, 12:58] = 1
    picture[30:35, 30:35] = 0.5  # within a frame
    picture[10:60, 100:150] = 0.3
    picture[100:120, 10:100] = 0  # not high enough
    picture[100:150, 200:290] = 0.2
    assert panels(picture) == [(10, 60, 10, 60), (10, 60, 100, 150), (100, 150, 200, 290)]
    assert squares(picture) == [(10, 60, 10, 60), (10, 60, 100, 150)]
