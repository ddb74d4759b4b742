"""Figures: files of the right size that show something, drawn without any global state."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.errors import OptionError, ShapeError
from minicnn.report import figures

pytestmark = pytest.mark.host

image = pytest.importorskip("matplotlib.image")

HISTORY = {
    "epoch": [1, 2, 3],
    "train_loss": [1.9, 1.5, 1.2],
    "train_accuracy": [0.2, 0.4, 0.5],
    "validation_loss": [1.8, 1.6, 1.5],
    "validation_accuracy": [0.25, 0.35, 0.4],
}
WITHOUT_VALIDATION = {**HISTORY, "validation_loss": [None] * 3, "validation_accuracy": [None] * 3}


def pixels(path):
    found = image.imread(path)
    assert found.ndim == 3
    return found[:, :, :3]


def has_color(picture, hexadecimal):
    color = [int(hexadecimal[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return (np.abs(picture - color).max(axis=2) < 0.01).sum() > 50


def test_the_history_shows_both_curves_in_their_colors(tmp_path):
    path = tmp_path / "history.png"
    figures.plot_history(HISTORY, path, title="a run", best_epoch=2)
    picture = pixels(path)
    assert picture.shape == (630, 1500, 3)
    assert has_color(picture, figures.TRAINING["color"])
    assert has_color(picture, figures.VALIDATION["color"])


def test_a_history_without_validation_has_no_such_curve(tmp_path):
    path = tmp_path / "history.png"
    figures.plot_history(WITHOUT_VALIDATION, path)
    assert has_color(pixels(path), figures.TRAINING["color"])
    assert not has_color(pixels(path), figures.VALIDATION["color"])


def test_a_single_epoch_can_be_drawn_and_none_is_an_error(tmp_path):
    path = tmp_path / "history.png"
    figures.plot_history({name: values[:1] for name, values in HISTORY.items()}, path)
    assert has_color(pixels(path), figures.TRAINING["color"])
    with pytest.raises(OptionError, match="no epochs"):
        figures.plot_history({name: [] for name in HISTORY}, path)


def test_the_confusion_matrix_is_light_where_the_share_is_high(tmp_path):
    path = tmp_path / "confusion.png"
    figures.plot_confusion(np.array([[90, 10], [45, 55]]), ("cat", "dog"), path)
    picture = pixels(path)
    assert min(picture.shape[:2]) > 400
    light = [0.9942, 0.8547, 0.2160]  # cividis at 0.9 lies near its yellow end, at 0.1 in the blue
    near_yellow = np.abs(picture - light).max(axis=2) < 0.2
    dark_blue = (picture[:, :, 2] > picture[:, :, 0] + 0.15) & (picture[:, :, 0] < 0.2)
    assert near_yellow.mean() > 0.02
    assert dark_blue.mean() > 0.02


def test_classes_without_samples_can_be_drawn(tmp_path):
    figures.plot_confusion(np.zeros((3, 3), int), ("a", "b", "c"), tmp_path / "confusion.png")
    assert pixels(tmp_path / "confusion.png").std() > 0.05


def test_a_matrix_that_does_not_fit_the_names_is_refused(tmp_path):
    with pytest.raises(ShapeError, match=r"2 rows and columns.*\(3, 3\)"):
        figures.plot_confusion(np.eye(3), ("a", "b"), tmp_path / "confusion.png")


def test_equal_input_gives_equal_files(tmp_path):
    for name in ("a.png", "b.png"):
        figures.plot_history(HISTORY, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_without_matplotlib_the_remedy_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r'pip install "minicnn\[fer\]"'):
        figures.plot_history(HISTORY, tmp_path / "history.png")
    with pytest.raises(OptionError, match="matplotlib"):
        figures.plot_confusion(np.eye(2), ("a", "b"), tmp_path / "confusion.png")
    assert not list(tmp_path.iterdir())


def test_pyplot_is_not_imported(python, tmp_path):
    code = (
        "import sys, numpy as np; from minicnn.report.figures import plot_confusion; "
        "plot_confusion(np.eye(2), ('a', 'b'), sys.argv[1]); "
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = python("-c", code, str(tmp_path / "confusion.png"))
    assert done.stdout.strip() == "False", done.stderr
