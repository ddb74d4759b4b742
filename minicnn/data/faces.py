"""A built-in data set: faces with seven expressions, drawn by rule, for use without any file."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minicnn.data.face_dataset import CLASS_NAMES, SIDE, FaceDataset
from minicnn.data.face_drawing import draw_faces
from minicnn.errors import OptionError
from minicnn.random import Streams

__all__ = ["drawn_faces", "drawn_faces_dataset"]

# How strongly each expression moves each part of the face: the action units of Ekman and Friesen's
# Facial Action Coding System that their prototypes name, 1 for a movement in full. Two variants of
# each expression, in the order of CLASS_NAMES.
ACTIONS = (
    *("inner_brow_raise", "outer_brow_raise", "brow_lower", "upper_lid_raise", "cheek_raise"),
    *("lid_tighten", "nose_wrinkle", "upper_lip_raise", "corner_pull", "corner_depress"),
    *("chin_raise", "lip_stretch", "lip_press", "lips_part", "jaw_drop"),
)
PROTOTYPES = {
    "Angry": {"brow_lower": 1, "upper_lid_raise": 0.4, "lid_tighten": 0.8, "lip_press": 0.9,
              "chin_raise": 0.3},
    "Angry, teeth bared": {"brow_lower": 1, "upper_lid_raise": 0.5, "lid_tighten": 0.7,
              "upper_lip_raise": 0.4, "lips_part": 0.7, "jaw_drop": 0.25},
    "Disgust": {"brow_lower": 0.4, "cheek_raise": 0.4, "lid_tighten": 0.5, "nose_wrinkle": 1,
              "upper_lip_raise": 0.9, "corner_depress": 0.4},
    "Disgust, mouth open": {"brow_lower": 0.3, "cheek_raise": 0.5, "lid_tighten": 0.5,
              "nose_wrinkle": 1, "upper_lip_raise": 1, "corner_depress": 0.5, "lips_part": 0.5},
    "Fear": {"inner_brow_raise": 1, "outer_brow_raise": 0.4, "brow_lower": 0.4,
              "upper_lid_raise": 1, "lip_stretch": 0.9, "lips_part": 0.5, "jaw_drop": 0.2},
    "Fear, lips closed": {"inner_brow_raise": 1, "outer_brow_raise": 0.5, "brow_lower": 0.5,
              "upper_lid_raise": 1, "lip_stretch": 1, "lips_part": 0.15},
    "Happy": {"cheek_raise": 0.8, "corner_pull": 1, "lips_part": 0.8, "jaw_drop": 0.15},
    "Happy, lips closed": {"cheek_raise": 0.7, "corner_pull": 1},
    "Sad": {"inner_brow_raise": 1, "brow_lower": 0.35, "corner_depress": 1, "chin_raise": 0.6,
              "lid_tighten": 0.2, "upper_lid_raise": -0.6},
    "Sad, weeping": {"inner_brow_raise": 0.8, "brow_lower": 0.6, "corner_depress": 0.8,
              "cheek_raise": 0.6, "lid_tighten": 0.6, "lip_stretch": 0.3, "lips_part": 0.35},
    "Surprise": {"inner_brow_raise": 1, "outer_brow_raise": 1, "upper_lid_raise": 0.9,
              "lips_part": 0.6, "jaw_drop": 1},
    "Surprise, slight": {"inner_brow_raise": 1, "outer_brow_raise": 1, "upper_lid_raise": 0.7,
              "lips_part": 0.5, "jaw_drop": 0.45},
    "Neutral": {},
    "Neutral, eyes low": {"upper_lid_raise": -0.4},
}  # fmt: skip

# What differs between people and pictures: (lowest, highest), uniform. Lengths are in units of half
# the width of an average head, about 18 of 48 pixels; tones are from 0, black, to 1, white.
TRAITS = {
    # pose
    "turn": (-0.26, 0.26), "nod": (-0.14, 0.14), "shift_x": (-0.13, 0.13), "shift_y": (-0.12, 0.1),
    "scale": (0.9, 1.15),
    # proportions
    "head_width": (0.88, 1.06), "head_height": (1.22, 1.38), "taper": (0.06, 0.24),
    "eye_spacing": (0.37, 0.46), "eye_width": (0.175, 0.225), "eye_height": (0.08, 0.115),
    "eye_level": (-0.2, -0.1), "eye_slant": (-0.2, 0.12), "iris_size": (0.075, 0.1),
    "gaze": (-0.08, 0.08), "brow_gap": (0.24, 0.31), "brow_length": (0.22, 0.29),
    "brow_width": (0.025, 0.06), "brow_arch": (0.0, 0.07), "nose_length": (0.42, 0.56),
    "nose_width": (0.14, 0.21), "mouth_level": (0.66, 0.78), "mouth_width": (0.34, 0.46),
    "lip_width": (0.05, 0.11), "mouth_curve": (-0.035, 0.035), "tilt": (-0.04, 0.04),
    # hair, beard, glasses, age
    "hair_tone": (0.04, 0.6), "hairline": (-1.0, -0.62), "parting": (-0.35, 0.35),
    "fringe": (-0.1, 0.5), "hair_volume": (0.03, 0.24), "hair_length": (-0.1, 2.0),
    "beard": (0.1, 0.6), "glasses_tone": (0.0, 0.4), "glasses_size": (0.24, 0.31), "age": (0.1, 1),
    # tones and light
    "skin_tone": (0.42, 0.92), "lip_tone": (0.6, 0.92), "iris_tone": (0.05, 0.4),
    "clothes_tone": (0.05, 0.95), "backdrop_tone": (0.05, 0.95), "backdrop_slope_x": (-0.25, 0.25),
    "backdrop_slope_y": (-0.25, 0.25), "backdrop_edge": (-1.6, 1.6), "backdrop_step": (-0.3, 0.3),
    "light_x": (-0.75, 0.75), "light_y": (-0.8, 0.25), "light_share": (0.25, 0.75),
    # camera
    "gain": (0.7, 1.1), "bias": (-0.1, 0.12), "blur": (0.0, 0.9), "noise": (0.004, 0.03),
    # what covers a part of the face
    "cover_angle": (0, 2 * np.pi), "cover_distance": (0.55, 1.0), "cover_turn": (-1.0, 1.0),
    "cover_width": (0.16, 0.34), "cover_tone": (0.1, 0.9),
}  # fmt: skip

# What some have and others do not: the share of those who do.
SHARES = {"has_beard": 0.17, "has_glasses": 0.18, "is_bald": 0.08, "has_cover": 0.14}


def drawn_faces(
    count: int, rng: np.random.Generator, *, size: int = SIDE
) -> tuple[np.ndarray, np.ndarray]:
    """Draw faces whose expression is the class.

    Pose, proportions, hair, glasses, beard, light, backdrop, blur, noise and what covers a part of
    the face vary from face to face. An expression's strength varies too, from a hint to the full,
    with a trace of another expression mixed in: so the classes overlap, as they do in photographs.

    Parameters
    ----------
    count : int
        0 or more.
    rng : numpy.random.Generator
    size : int
        Height and width in pixels, 16 or more.

    Returns
    -------
    images : array of shape (count, size, size, 1)
        uint8.
    labels : array of shape (count,)
        int64; positions in ``CLASS_NAMES``, all equally likely.

    Raises
    ------
    OptionError
        `count` or `size` is too small.
    """
    for name, value, least in (("count", count, 0), ("size", size, 16)):
        if value < least:
            raise OptionError(f"drawn_faces: {name}: expected {least} or more, got {value!r}")
    labels = rng.integers(0, len(CLASS_NAMES), count)
    values = {name: value[:, None, None] for name, value in _values(labels, rng)}
    return draw_faces(values, rng, size), labels


def drawn_faces_dataset(seed: int, *, train: int = 6000, validation: int = 1500) -> FaceDataset:
    """Draw a data set with a training and a validation split that share no random numbers.

    Parameters
    ----------
    seed : int
        0 or more.
    train, validation : int
        Number of faces in each split.

    Returns
    -------
    FaceDataset
        With the splits ``"train"`` and ``"validation"``.
    """
    streams = Streams(seed)
    counts = {"train": train, "validation": validation}
    drawn = [drawn_faces(count, streams[f"drawn faces: {name}"]) for name, count in counts.items()]
    return FaceDataset(
        images=np.concatenate([images for images, _ in drawn]),
        labels=np.concatenate([labels for _, labels in drawn]),
        ids=np.arange(train + validation).astype(np.str_),
        usage=np.repeat(list(counts), list(counts.values())),
    )


def _values(labels: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Draw every number that a face is drawn from, each as float32 of shape (N,)."""
    n = len(labels)
    for name, share in SHARES.items():
        yield name, (rng.random(n) < share).astype(np.float32)
    for name, (low, high) in TRAITS.items():
        yield name, rng.uniform(low, high, n).astype(np.float32)
    yield "roll", np.deg2rad(np.clip(rng.normal(0, 7, n), -21, 21)).astype(np.float32)
    yield from zip(ACTIONS, _actions(labels, rng).T, strict=True)


def _actions(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw how strongly each part of each face is moved: (N, actions)."""
    n = len(labels)
    table = np.array(
        [[moves.get(action, 0) for action in ACTIONS] for moves in PROTOTYPES.values()]
    ).reshape(len(CLASS_NAMES), 2, len(ACTIONS))  # (expression, variant, action)
    variant = rng.integers(0, 2, n)
    strength = rng.uniform(0.4, 1.0, (n, 1))
    spread = rng.uniform(0.6, 1.25, (n, len(ACTIONS)))
    trace = rng.uniform(0, 0.2, (n, 1)) * table[rng.integers(0, len(CLASS_NAMES), n), variant]
    idle = np.abs(rng.normal(0, 0.06, (n, len(ACTIONS))))
    actions = strength * spread * table[labels, variant] + trace + idle
    return np.clip(actions, -1, 1.2).astype(np.float32)
