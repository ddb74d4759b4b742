"""Check the drawn faces: shapes, seeds, variety, and how hard they are to tell apart."""

import numpy as np
import pytest

from minicnn.data import face_drawing
from minicnn.data.face_dataset import CLASS_NAMES
from minicnn.data.faces import (
    ACTIONS,
    PROTOTYPES,
    SHARES,
    TRAITS,
    drawn_faces,
    drawn_faces_dataset,
)
from minicnn.errors import OptionError

pytestmark = pytest.mark.host


def draw(count, seed=0, **options):
    return drawn_faces(count, np.random.default_rng(seed), **options)


def test_images_and_labels_have_the_shapes_and_types_of_fer2013():
    images, labels = draw(70)
    assert images.shape == (70, 48, 48, 1) and images.dtype == np.uint8
    assert labels.shape == (70,) and labels.dtype == np.int64
    assert set(labels) == set(range(7))


def test_same_seed_same_bits_and_other_seed_other_faces():
    for first, second in zip(draw(40), draw(40), strict=True):
        np.testing.assert_array_equal(first, second)
    assert (draw(40)[0] != draw(40, seed=1)[0]).mean() > 0.9


def test_block_size_does_not_change_bits(monkeypatch):
    images, _ = draw(40)
    monkeypatch.setattr(face_drawing, "FACES_PER_BLOCK", 7)
    np.testing.assert_array_equal(draw(40)[0], images)


def test_every_face_differs_and_uses_its_grey_levels():
    images, _ = draw(200)
    flat = images.reshape(200, -1).astype(np.float64)
    assert flat.std(axis=1).min() > 8  # none is blank
    likeness = np.corrcoef(flat) - np.eye(200)
    assert likeness.max() < 0.99
    assert 80 < flat.mean() < 150 and 40 < flat.std() < 80  # FER-2013: 129 and 65


@pytest.mark.parametrize("size", [16, 33, 96])
def test_other_sizes_show_the_same_kind_of_faces(size):
    images, _ = draw(60, size=size)
    assert images.shape == (60, size, size, 1)
    # Seen as a grid of 4x4 fields, the mean face is that of 48x48, whatever the size.
    fields = np.linspace(0, size, 5).astype(int)
    usual = np.linspace(0, 48, 5).astype(int)

    def mean_face(pictures, edges):
        rows = np.add.reduceat(pictures.mean(axis=(0, 3)), edges[:-1], axis=0)
        cells = np.add.reduceat(rows, edges[:-1], axis=1)
        return cells / np.outer(np.diff(edges), np.diff(edges))

    np.testing.assert_allclose(mean_face(images, fields), mean_face(draw(60)[0], usual), atol=12)


def plain_values():
    return (
        {name: (low + high) / 2 for name, (low, high) in TRAITS.items()}
        | dict.fromkeys((*SHARES, *ACTIONS, "roll", "noise", "blur"), 0.0)
        | {"hairline": -0.95}
    )


def test_every_action_changes_the_part_of_the_face_that_its_name_says():
    changed = {}
    values = {name: np.full((1, 1, 1), value, np.float32) for name, value in plain_values().items()}
    base = face_drawing.draw_faces(values, np.random.default_rng(0), 48)[0, :, :, 0].astype(int)
    for action in ACTIONS:
        moved = values | {action: np.ones((1, 1, 1), np.float32)}
        image = face_drawing.draw_faces(moved, np.random.default_rng(0), 48)[0, :, :, 0]
        weight = np.abs(image - base).sum(axis=1)
        changed[action] = (weight * np.arange(48)).sum() / weight.sum()  # mean row
    assert changed["inner_brow_raise"] < changed["upper_lid_raise"] < changed["nose_wrinkle"]
    for action in ("corner_pull", "corner_depress", "lips_part", "jaw_drop", "lip_stretch"):
        assert changed[action] > 31  # the mouth
    assert max(changed[a] for a in ("inner_brow_raise", "outer_brow_raise", "brow_lower")) < 20


def test_prototypes_are_two_variants_of_each_class_in_order():
    names = [name.partition(",")[0] for name in PROTOTYPES]
    assert names == [name for name in CLASS_NAMES for _ in range(2)]
    assert {action for moves in PROTOTYPES.values() for action in moves} <= set(ACTIONS)


def test_dataset_has_two_splits_that_share_no_face():
    faces = drawn_faces_dataset(7, train=20, validation=20)
    assert faces.splits == {"train": 20, "validation": 20}
    assert len(np.unique(faces.images.reshape(40, -1), axis=0)) == 40
    longer = drawn_faces_dataset(7, train=20, validation=30)
    np.testing.assert_array_equal(longer.split("train").images, faces.split("train").images)
    assert faces.sha256 == drawn_faces_dataset(7, train=20, validation=20).sha256
    assert faces.sha256 != drawn_faces_dataset(8, train=20, validation=20).sha256


def test_no_faces_is_possible_and_nonsense_is_refused():
    images, labels = draw(0)
    assert images.shape == (0, 48, 48, 1) and labels.shape == (0,)
    with pytest.raises(OptionError, match="count: expected 0 or more, got -1"):
        draw(-1)
    with pytest.raises(OptionError, match="size: expected 16 or more, got 8"):
        draw(3, size=8)


def test_pixels_alone_tell_a_linear_model_something_but_little():
    """Fit a ridge classifier in closed form; a network reaches more than twice as much."""
    images, labels = draw(2500)
    x = images.reshape(2500, -1) / 255.0
    x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-3)
    train, held_out = slice(0, 2000), slice(2000, 2500)
    targets = np.eye(7)[labels] - 1 / 7
    kernel = x[train] @ x[train].T
    best = 0.0
    for ridge in (3e3, 3e4, 3e5):
        dual = np.linalg.solve(kernel + ridge * np.eye(2000), targets[train])
        scores = x[held_out] @ (x[train].T @ dual)
        best = max(best, float((scores.argmax(axis=1) == labels[held_out]).mean()))
    assert 0.2 < best < 0.45


@pytest.mark.oracle
def test_a_small_network_learns_far_more_than_a_linear_model():
    import torch
    from torch import nn

    torch.manual_seed(0)
    images, labels = draw(2500)
    x = torch.tensor(images).permute(0, 3, 1, 2).float() / 128 - 1
    y = torch.tensor(labels)
    layers: list[nn.Module] = []
    for inputs, outputs, kernel, stride in ((1, 16, 5, 2), (16, 32, 3, 1), (32, 64, 3, 1)):
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2)
        layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(3 - stride)]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 6 * 6, 7))
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=8 * 63)
    for _ in range(8):
        for rows in torch.randperm(2000).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(x[2000:]).argmax(1) == y[2000:]).float().mean()
    assert accuracy > 0.6
