"""Read a figure back from its file, and find the panels that are drawn in it."""

from __future__ import annotations

import numpy as np


def read(path):
    """Return a PNG file's colours: floats of shape (H, W, 3)."""
    from matplotlib.image import imread

    found = imread(path)
    assert found.ndim == 3
    return found[:, :, :3]


def panels(picture, least=40):
    """Return the (top, bottom, left, right) of everything drawn that is at least so large.

    What is drawn is what hangs together of pixels that are not white; what lies within another
    panel is a part of it. From top to bottom, and from left to right.
    """
    boxes = [box for box in components((picture < 0.97).any(axis=2)) if large(box, least)]
    outer = [box for box in boxes if not any(within(box, other) for other in boxes)]
    return sorted(outer, key=lambda box: (round(box[0] / least), box[2]))


def squares(picture, least=40):
    """Return those panels that are as high as they are wide."""
    return [box for box in panels(picture, least) if abs(height(box) - width(box)) <= 3]


def inside(picture, box):
    """Return the colours of a panel without its frame."""
    top, bottom, left, right = box
    return picture[top + 3 : bottom - 3, left + 3 : right - 3]


def colors(picture):
    """Return the different colours."""
    return np.unique(picture.reshape(-1, 3).round(3), axis=0)


def has_color(picture, color):
    """Tell whether a colour, "#RRGGBB" or a grey level of 0 to 1, covers more than 30 pixels."""
    if isinstance(color, str):
        color = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return (np.abs(picture - color).max(axis=2) < 0.01).sum() > 30


def height(box):
    return box[1] - box[0]


def width(box):
    return box[3] - box[2]


def large(box, least):
    return min(height(box), width(box)) >= least


def within(box, other):
    """Tell whether a box lies in another one, and is not that one."""
    return box != other and (
        other[0] <= box[0] and box[1] <= other[1] and other[2] <= box[2] and box[3] <= other[3]
    )


def components(mask):
    """Return the box of each connected part of a mask, from runs in its rows that touch."""
    parents: list[int] = []
    boxes: list[tuple[int, int, int, int]] = []

    def root(number):
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    above: list[tuple[int, int, int]] = []
    for row, line in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(np.int8), [0]])))
        current = []
        for start, stop in edges.reshape(-1, 2).tolist():
            number = len(parents)
            parents.append(number)
            boxes.append((row, row + 1, start, stop))
            current.append((start, stop, number))
            for first, last, other in above:
                if first <= stop and start <= last:  # corners touch as well
                    parents[root(number)] = root(other)
        above = current
    joined: dict[int, list[tuple[int, int, int, int]]] = {}
    for number, box in enumerate(boxes):
        joined.setdefault(root(number), []).append(box)
    return [
        (
            min(box[0] for box in part),
            max(box[1] for box in part),
            min(box[2] for box in part),
            max(box[3] for box in part),
        )
        for part in joined.values()
    ]
