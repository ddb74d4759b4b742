"""Figures of explanations, read back: how many panels they have, and what is in them."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_panels import colors, has_color, inside, panels, read, squares

from minicnn.errors import OptionError, ShapeError
from minicnn.explain.curves import ScoreCurve
from minicnn.report import explanations, figures
from minicnn.report.figures import BLUE, SKY, VERMILION

pytestmark = pytest.mark.host

pytest.importorskip("matplotlib")

NAMES = ("Angry", "Happy", "Sad")
SIDE = 6


@pytest.fixture
def path(tmp_path):
    return tmp_path / "figure.png"


@pytest.fixture
def faces():
    """Return three faces, each of one grey level of its own."""
    return np.full((3, SIDE, SIDE, 1), 1, np.uint8) * np.array([40, 100, 160], np.uint8).reshape(
        3, 1, 1, 1
    )


def half_map(low, high):
    """Return maps whose left half is low, and whose right half is high."""
    maps = np.full((3, SIDE, SIDE), float(low))
    maps[:, :, SIDE // 2 :] = high
    return maps


PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.3, 0.3, 0.4]])


def test_each_face_has_a_row_with_a_map_by_each_method(faces, path):
    maps = {
        "plain": half_map(0, 1),
        "signed": half_map(-1, 1),
        "channels": half_map(0, 1)[..., None],
    }
    explanations.plot_explanations(faces, maps, PROBABILITIES, NAMES, path, labels=[0, 1, 0])
    picture = read(path)
    assert picture.shape[0] > 700
    assert picture.shape[1] > 1000
    found = squares(picture)
    assert len(found) == 3 * 4
    for row, grey in enumerate((40, 100, 160)):
        face, plain, signed, channels = (
            inside(picture, box) for box in found[4 * row : 4 * row + 4]
        )
        np.testing.assert_allclose(colors(face), np.full((1, 3), grey / 255), atol=0.01)
        # Pixels are enlarged without blur: two numbers, two colours.
        for panel in (plain, signed, channels):
            assert len(colors(panel)) == 2
        left, right = signed[:, :5].mean(axis=(0, 1)), signed[:, -5:].mean(axis=(0, 1))
        assert left[2] > left[0] + 0.2  # blue is against the class
        assert right[0] > right[2] + 0.2  # red is for it
        assert plain[:, :5].mean() < 0.05 < 0.6 < plain[:, -5:].mean()


def test_every_class_has_a_bar_and_the_highest_stands_out(faces, path):
    explanations.plot_explanations(faces, {"map": half_map(0, 1)}, PROBABILITIES, NAMES, path)
    picture = read(path)
    bars = picture[:, squares(picture)[1][3] + 5 :]
    assert has_color(bars, VERMILION)
    assert has_color(bars, SKY)
    red = (np.abs(bars - [0xD5 / 255, 0x5E / 255, 0]).max(axis=2) < 0.02).any(axis=1)
    assert np.count_nonzero(np.diff(red.astype(int)) == 1) == 3  # one in each row


def test_a_map_of_zeros_can_be_drawn(faces, path):
    maps = {"none": np.zeros((3, SIDE, SIDE)), "signed": half_map(-1, 0)}
    explanations.plot_explanations(faces, maps, PROBABILITIES, NAMES, path)
    assert len(squares(read(path))) == 9


def test_what_does_not_fit_the_faces_is_refused(faces, path):
    good = {"map": half_map(0, 1)}
    for arguments, match in (
        ((faces[0], good, PROBABILITIES, NAMES), r"faces of shape \(any, any, any, any\)"),
        ((faces, good, PROBABILITIES[:2], NAMES), r"scores of shape \(3, 3\), got \(2, 3\)"),
        (
            (faces, {"map": np.ones((3, 5, 6))}, PROBABILITIES, NAMES),
            r"plot_explanations: map: expected maps of shape \(3, 6, 6\).*\(3, 5, 6\)",
        ),
    ):
        with pytest.raises(ShapeError, match=match):
            explanations.plot_explanations(*arguments, path)
    with pytest.raises(ShapeError, match="labels"):
        explanations.plot_explanations(faces, good, PROBABILITIES, NAMES, path, labels=[0])
    with pytest.raises(OptionError, match="one map or more"):
        explanations.plot_explanations(faces, {}, PROBABILITIES, NAMES, path)
    assert not path.exists()


# Masked pictures.


def test_a_face_its_map_and_the_masked_picture_stand_below_one_another(faces, path):
    masked = faces.copy()
    masked[:, :, : SIDE // 2] = 220
    explanations.plot_masked(faces, half_map(0, 1), masked, path, names=NAMES)
    picture = read(path)
    found = squares(picture)
    assert len(found) == 9
    for column, grey in enumerate((40, 100, 160)):
        face, map_, below = (inside(picture, found[3 * row + column]) for row in range(3))
        np.testing.assert_allclose(colors(face), np.full((1, 3), grey / 255), atol=0.01)
        assert map_[:, :5].mean() < map_[:, -5:].mean()
        expected = sorted((grey / 255, 220 / 255))
        np.testing.assert_allclose(colors(below), np.repeat(expected, 3).reshape(2, 3), atol=0.01)


def test_pictures_that_do_not_fit_cannot_be_drawn_masked(faces, path):
    with pytest.raises(ShapeError, match="masked pictures of shape"):
        explanations.plot_masked(faces, half_map(0, 1), faces[:2], path)
    with pytest.raises(ShapeError, match="2 names do not fit 3 faces"):
        explanations.plot_masked(faces, half_map(0, 1), faces, path, names=NAMES[:2])


# Curves.


def curve(level):
    return ScoreCurve(np.linspace(0, 1, 5), np.full((2, 5), level))


def test_the_curves_of_all_methods_are_in_both_panels(path):
    curves = {"one": (curve(0.1), curve(0.5)), "two": (curve(0.2), curve(0.4))}
    explanations.plot_score_curves(curves, path)
    picture = read(path)
    found = panels(picture, 300)
    assert len(found) == 2
    for box in found:
        assert has_color(inside(picture, box), BLUE)
        assert has_color(inside(picture, box), VERMILION)
    # The curve at 0.1 runs low in the first panel, that at 0.5 in the middle of the second.
    for box, share in zip(found, (0.1, 0.5), strict=True):
        panel = inside(picture, box)[:, 20:40]
        rows = np.flatnonzero(
            (np.abs(panel - [0, 0x72 / 255, 0xB2 / 255]).max(axis=2) < 0.1).any(1)
        )
        assert 1 - rows.mean() / panel.shape[0] == pytest.approx(share, abs=0.03)


def test_eight_methods_can_be_told_apart_and_a_ninth_is_refused(path):
    curves = {f"method {i}": (curve(0.1 * i), curve(0.1 * i)) for i in range(8)}
    explanations.plot_score_curves(curves, path)
    picture = read(path)
    assert all(has_color(picture, color) for color in explanations.COLORS[:-1])
    for number in (0, 9):
        wrong = {str(i): (curve(0.1), curve(0.1)) for i in range(number)}
        with pytest.raises(OptionError, match=f"one to eight methods, got {number}"):
            explanations.plot_score_curves(wrong, path)


def test_equal_input_gives_equal_files(faces, tmp_path):
    for name in ("a.png", "b.png"):
        explanations.plot_masked(faces, half_map(0, 1), faces, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_without_matplotlib_the_remedy_is_told(faces, path, monkeypatch):
    monkeypatch.setattr(figures, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r'pip install "minicnn\[fer\]"'):
        explanations.plot_masked(faces, half_map(0, 1), faces, path)
