"""Load FER-2013 in any of the layouts in which people have it, from a cache the second time."""

from __future__ import annotations

import os
from collections.abc import Sequence

from minicnn.data import cache as caches
from minicnn.data.csv_tables import Table, excerpt, open_table, read_faces
from minicnn.data.face_dataset import FaceCollector, FaceDataset
from minicnn.data.image_folders import (
    has_class_folders,
    is_image,
    read_class_folders,
    read_numbered,
)
from minicnn.data.sources import Source, fingerprint, open_source
from minicnn.errors import DataError

__all__ = ["load"]

_LAYOUTS = (
    "a csv with the columns emotion,pixels,Usage; train.csv with label,feature and test.csv with "
    "id,feature; folders train/angry/*.png, test/angry/*.png and so on; or numbered images beside "
    "a csv with id,label"
)


def load(
    path: str | os.PathLike[str], *, cache: bool | str | os.PathLike[str] | None = True
) -> FaceDataset:
    """Read FER-2013, or other faces in one of its layouts.

    The layout is found by content. What holds it may be a file, a folder, or an archive (``.zip``,
    ``.tar``, ``.tar.gz``); a csv may itself be compressed with gzip. The layouts are:

    - the published csv, ``emotion,pixels,Usage``, with its columns in any order;
    - csv files without Usage: ``label,feature`` (labelled) and ``id,feature`` (not), or Kaggle's
      ``emotion,pixels``. The file's name tells the split; where it does not, labelled rows are the
      split "train" and others "test";
    - ``train/angry/*.jpg``, ``test/angry/*.png``, ``validation/...``: one folder a class;
    - numbered images, ``00000.jpg``, in the folder of a csv with ``id,label`` or right below.

    Labels may be numbers, 0 to 6, or class names. Images are made grey and scaled to 48x48.

    Parameters
    ----------
    path : str or os.PathLike
        A file, a folder or an archive.
    cache : bool, str, os.PathLike or None
        Whether to keep what was read for the next time, or the folder to keep it in. True stands
        for ``MINICNN_CACHE``, else ``XDG_CACHE_HOME/minicnn``, else ``~/.cache/minicnn``. A source
        whose size or time has changed is read again, and so is one whose cache is damaged.

    Returns
    -------
    FaceDataset
        Images of shape (N, 48, 48, 1), in the order of the source.

    Raises
    ------
    DataError
        If there is nothing at the path, it has none of the layouts, or any part of it is not as it
        should be: the message names the file, the line and the reason.
    """
    path = os.path.expanduser(os.fspath(path))
    directory = caches.cache_directory(cache)
    if directory is None:
        return _read(path)
    files = fingerprint(path)
    dataset = caches.fetch(directory, path, files)
    if dataset is None:
        dataset = _read(path)
        # Stored as of the time before: what changes while it is read is read again next time.
        caches.store(directory, path, files, dataset)
    return dataset


def _read(path: str) -> FaceDataset:
    faces = FaceCollector()
    with open_source(path) as source:
        tables = _tables(source)
        chosen = _choose([table for table in tables if table.missing is None])
        lists = [table for table in tables if {"id", "label"} <= table.columns.keys()]
        images = any(map(is_image, source.names))
        if chosen:
            for table in chosen:
                read_faces(table, faces)
        elif has_class_folders(source.names):
            read_class_folders(source, faces)
        elif images and lists:
            read_numbered(source, lists, faces)
        elif len(tables) == 1 and not images:
            raise DataError(_headless(tables[0]))
        else:
            raise DataError(f"{path}: no layout that is known; expected {_LAYOUTS}")
    if not len(faces):
        raise DataError(f"{path}: holds no faces")
    return faces.dataset()


def _tables(source: Source) -> list[Table]:
    if not source.separator:
        return [open_table(source, source.names[0])]
    endings = (".csv", ".csv.gz")
    return [open_table(source, name) for name in source.names if name.lower().endswith(endings)]


def _choose(tables: Sequence[Table]) -> Sequence[Table]:
    """Return the published csv where there is one, else one csv for each split."""
    published = [table for table in tables if "usage" in table.columns]
    chosen: dict[str, Table] = {}
    for table in published or tables:
        rival = chosen.setdefault("all" if published else table.split, table)
        if rival is not table:
            raise DataError(f"{rival} and {table} hold the same part of the data; give one of them")
    return list(chosen.values())


def _headless(table: Table) -> str:
    header = excerpt(",".join(table.header))
    if not table.columns:
        return f'{table}, line 1: "{header}" is no header that is known; expected {_LAYOUTS}'
    if {"id", "label"} <= table.columns.keys():
        return (
            f"{table}: labels without images; give the folder that holds this file and the images"
        )
    return f'{table}, line 1: {table.missing} is missing; the header is "{header}"'
