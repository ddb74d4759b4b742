"""Figures that compare runs: read back, with every run's colour where it must be."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.errors import OptionError, ShapeError
from minicnn.report import comparison, figures
from minicnn.report.comparison import Curves, plot_curves, plot_effects
from minicnn.training.history import COLUMNS, History

pytestmark = pytest.mark.host

image = pytest.importorskip("matplotlib.image")


def history(*accuracies, validation=True):
    rows = []
    for epoch, accuracy in enumerate(accuracies, 1):
        row = dict.fromkeys(COLUMNS, 1.0) | {"epoch": epoch}
        row |= {"train_accuracy": accuracy, "train_loss": 2 - accuracy}
        for name, value in (("accuracy", accuracy - 0.1), ("loss", 2.3 - accuracy)):
            row[f"validation_{name}"] = value if validation else None
        rows.append(row)
    return History(rows)


def pixels(path):
    return image.imread(path)[:, :, :3]


def places(picture, color):
    wanted = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.argwhere(np.abs(picture - wanted).max(axis=2) < 0.02)


def test_both_panels_show_every_run_in_its_colour(tmp_path):
    runs = [Curves("cnn", history(0.3, 0.5, 0.7), 3), Curves("dnn", history(0.2, 0.25), 2)]
    plot_curves(runs, tmp_path / "c.png", title="two networks")
    picture = pixels(tmp_path / "c.png")
    assert picture.shape == (690, 1650, 3)
    for half in (picture[:560, :825], picture[:560, 825:]):
        for color in comparison.COLORS[:2]:
            assert len(places(half, color)) > 100
    # The better run is drawn above the other one on the left, below it on the right.
    left = [places(picture[:560, :825], color)[:, 0].mean() for color in comparison.COLORS[:2]]
    right = [places(picture[:560, 825:], color)[:, 0].mean() for color in comparison.COLORS[:2]]
    assert left[0] < left[1]
    assert right[0] > right[1]


def test_many_runs_and_runs_without_validation_can_be_drawn(tmp_path):
    runs = [Curves(f"run {i}", history(0.1 * i, validation=False), 1) for i in range(1, 9)]
    plot_curves(runs, tmp_path / "c.png", title="eight networks")
    assert pixels(tmp_path / "c.png").std() > 0.05
    styles = {(comparison._color(i), comparison._marker(i)) for i in range(12)}
    assert len(styles) == 12


def test_without_a_run_or_an_epoch_there_is_nothing_to_draw(tmp_path):
    for runs in ([], [Curves("empty", History(), 0)]):
        with pytest.raises(OptionError, match="one epoch or more"):
            plot_curves(runs, tmp_path / "c.png", title="")


def test_effects_lie_on_their_side_of_zero_with_what_was_reported(tmp_path):
    plot_effects(
        ["normalisation", "augmentation"], [-0.02, 0.05], [0.001, 0.001], tmp_path / "e.png",
        reported=[None, 0.039], title="effects",
    )  # fmt: skip
    picture = pixels(tmp_path / "e.png")
    measured = places(picture[: picture.shape[0] - 100], comparison.COLORS[0])
    top, bottom = np.array_split(measured[np.argsort(measured[:, 0])], 2)
    zero = places(picture[: picture.shape[0] - 100], "#737373")[:, 1].mean()
    assert top[:, 1].max() < zero < bottom[:, 1].min()
    assert len(places(picture[: picture.shape[0] - 100], comparison.COLORS[1])) > 20
    plot_effects(["x"], [0.1], [0.0], tmp_path / "f.png", title="effects")
    assert len(places(pixels(tmp_path / "f.png"), comparison.COLORS[1])) == 0


def test_effects_that_do_not_fit_their_names_are_refused(tmp_path):
    with pytest.raises(ShapeError, match="got 2 names, 1 effects"):
        plot_effects(["a", "b"], [0.1], [0.1, 0.2], tmp_path / "e.png", title="")
    with pytest.raises(ShapeError, match="got 0 names"):
        plot_effects([], [], [], tmp_path / "e.png", title="")


def test_without_matplotlib_the_remedy_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match="matplotlib"):
        plot_curves([Curves("a", history(0.1), 1)], tmp_path / "c.png", title="")
    with pytest.raises(OptionError, match="matplotlib"):
        plot_effects(["a"], [0.1], [0.1], tmp_path / "e.png", title="")
