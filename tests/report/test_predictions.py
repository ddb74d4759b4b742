"""The picture of a prediction: read back, with its panels, frames and bars."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.data.pictures import Box
from minicnn.errors import OptionError, ShapeError
from minicnn.report import figures
from minicnn.report.figures import SKY, VERMILION
from minicnn.report.predictions import plot_predictions

pytestmark = pytest.mark.host

image = pytest.importorskip("matplotlib.image")

NAMES = ("Angry", "Happy", "Sad")
PICTURE = np.full((60, 90, 3), (30, 120, 60), np.uint8)
INPUT = np.zeros((1, 12, 12, 1), np.uint8)
INPUT[:, :6] = 255
BOX = Box(10, 5, 40, 35)


def draw(path, count=1, probabilities=(0.1, 0.7, 0.2), channels=1, picture=PICTURE):
    plot_predictions(
        picture,
        [Box(10 + 25 * i, 5, 30 + 25 * i, 25) for i in range(count)],
        np.repeat(INPUT.repeat(count, axis=0), channels, axis=3),
        np.tile(probabilities, (count, 1)),
        NAMES,
        path,
        title="a portrait, by small_cnn",
    )
    return image.imread(path)[:, :, :3]


def share(pixels, color):
    wanted = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return (np.abs(pixels - wanted).max(axis=2) < 0.02).mean()


def test_it_shows_the_picture_the_input_and_the_scores(tmp_path):
    pixels = draw(tmp_path / "p.png")
    assert pixels.shape == (540, 1650, 3)
    left, middle, right = pixels[:, :660], pixels[:, 660:1060], pixels[:, 1060:]
    assert share(left, "#1e783c") > 0.2  # the picture's own green
    assert share(left, VERMILION) > 0.005  # the frame
    assert share(middle, "#000000") > 0.1  # the dark half of the input; its light one is white
    assert share(right, VERMILION) > 0.05
    assert share(right, SKY) > 0.02


def test_a_higher_score_is_a_longer_bar(tmp_path):
    low = share(draw(tmp_path / "a.png", probabilities=(0.3, 0.4, 0.3)), VERMILION)
    high = share(draw(tmp_path / "b.png", probabilities=(0.0, 1.0, 0.0)), VERMILION)
    assert high > low * 1.5


def test_every_face_has_a_row(tmp_path):
    one, three = draw(tmp_path / "1.png"), draw(tmp_path / "3.png", count=3)
    assert three.shape[0] > 1.9 * one.shape[0]
    rows = np.array_split(three[:, 1060:], 3)
    assert all(share(row, VERMILION) > 0.03 for row in rows)


def test_inputs_in_colour_and_tiny_pictures_can_be_drawn(tmp_path):
    assert draw(tmp_path / "a.png", channels=3).std() > 0.1
    assert draw(tmp_path / "b.png", picture=np.zeros((40, 60, 3), np.uint8)).std() > 0.1


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(ShapeError, match="0 boxes, 1 inputs and scores of shape"):
        plot_predictions(PICTURE, [], INPUT, np.ones((1, 3)), NAMES, tmp_path / "p.png", title="")
    with pytest.raises(ShapeError, match=r"3 scores .* scores of shape \(1, 2\)"):
        plot_predictions(
            PICTURE, [BOX], INPUT, np.ones((1, 2)), NAMES, tmp_path / "p.png", title=""
        )
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_remedy_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r'pip install "minicnn\[fer\]"'):
        draw(tmp_path / "p.png")
