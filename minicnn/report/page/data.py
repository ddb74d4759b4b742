"""The faces themselves, as a page shows them: how many of each class, and their faults."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.data.auditing import audit
from minicnn.data.face_dataset import UNLABELLED, FaceDataset
from minicnn.report.page.pictures import face_uri

__all__ = ["data_of"]

CONFLICTS, BLANKS = 8, 8


def data_of(dataset: FaceDataset) -> dict[str, Any]:
    """Return the class balance of each split, and what an audit of all of them finds."""
    found = audit(dataset)
    names = list(dataset.class_names)
    splits = [
        {
            "name": split,
            "count": sum(counts.values()),
            "unlabelled": counts.get("unlabelled", 0),
            "classes": [counts.get(name, 0) for name in names],
        }
        for split, counts in found.class_counts.items()
    ]
    leaks = [
        {"split": split, "other": other, "count": count}
        for split, others in found.across.items()
        for other, count in others.items()
        if other == "train"
    ]
    conflicts = [group for group in found.conflicting_groups if group[0] not in found.blank]
    return {
        "audit": found,
        "names": names,
        "colored": dataset.images.shape[3] > 1,
        "splits": splits,
        "pictures": len(found.duplicate_groups),
        "involved": sum(map(len, found.duplicate_groups)),
        "leaks": leaks,
        "classes": _one_of_each(dataset, set(found.blank)),
        "conflicts": [_group(dataset, group) for group in conflicts[:CONFLICTS]],
        "blanks": [_face(dataset, index) for index in found.blank[:BLANKS]],
    }


def _one_of_each(dataset: FaceDataset, blank: set[int]) -> list[dict[str, str]]:
    # The first face of each class that shows something.
    if dataset.labels is None:
        return []
    chosen = []
    for label in range(len(dataset.class_names)):
        rows = np.flatnonzero(dataset.labels == label)
        row = next((int(each) for each in rows if int(each) not in blank), None)
        if row is not None:
            chosen.append(_face(dataset, row))
    return chosen


def _face(dataset: FaceDataset, row: int) -> dict[str, str]:
    return {
        "uri": face_uri(dataset.images[row]),
        "id": str(dataset.ids[row]),
        "split": str(dataset.usage[row]),
        "label": _label(dataset, row),
    }


def _group(dataset: FaceDataset, group: tuple[int, ...]) -> dict[str, str]:
    # One picture, and all labels that it has.
    labels = list(dict.fromkeys(_label(dataset, row) for row in group))
    return {**_face(dataset, group[0]), "label": " and ".join(labels), "count": str(len(group))}


def _label(dataset: FaceDataset, row: int) -> str:
    if dataset.labels is None or dataset.labels[row] == UNLABELLED:
        return "no label"
    return dataset.class_names[dataset.labels[row]]
