"""Write predicted labels as the csv file that is handed in: ``id,label``."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable

from minicnn.errors import DataError
from minicnn.files import atomic_write

__all__ = ["write_predictions"]


def write_predictions(
    path: str | os.PathLike[str], ids: Iterable[object], labels: Iterable[int]
) -> None:
    """Write one row ``id,label`` for each sample, below that header; replaces the file atomically.

    Parameters
    ----------
    path : str or os.PathLike
        The csv file to make or to replace.
    ids : sequence of str or int, of length N
        The row ids of the samples (:attr:`minicnn.data.FaceDataset.ids`).
    labels : sequence of int, of length N
        The class that was predicted for each.

    Raises
    ------
    DataError
        If the two lengths differ, or the file cannot be written.
    """
    names = [str(name) for name in ids]
    numbers = [int(label) for label in labels]
    if len(names) != len(numbers):
        raise DataError(
            f"{os.fspath(path)}: got {len(names)} ids but {len(numbers)} labels; give one of each "
            "for every sample"
        )
    with atomic_write(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("id", "label"))
        writer.writerows(zip(names, numbers, strict=True))
