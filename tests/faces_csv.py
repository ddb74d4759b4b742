"""Write faces as the published csv file has them, for tests of what reads it."""

from __future__ import annotations

import csv

import numpy as np


def write_faces(path, counts, *, seed=0, blank=()):
    """Write so many faces of each split, of all classes in turn: a class is where a band lies.

    Rows whose numbers are in `blank` show nothing.
    """
    rng = np.random.default_rng(seed)
    usages = [usage for usage, count in counts.items() for _ in range(count)]
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("emotion", "pixels", "Usage"))
        for row, usage in enumerate(usages):
            pixels = rng.integers(0, 4 if row in blank else 160, (48, 48))
            if row not in blank:
                pixels[6 * (row % 7) : 6 * (row % 7) + 6] += 90
            writer.writerow((row % 7, " ".join(map(str, pixels.ravel())), usage))
    return path
