"""Read faces from image files: one folder a class, or numbered images beside a csv of labels."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from minicnn.data.csv_tables import Table, excerpt, parse_label
from minicnn.data.face_dataset import (
    CLASS_NAMES,
    SIDE,
    UNLABELLED,
    FaceCollector,
    parse_class_name,
    parse_split,
)
from minicnn.data.pictures import decode_picture, network_input
from minicnn.data.sources import Source, readable
from minicnn.errors import DataError

__all__ = ["decode_image", "has_class_folders", "is_image", "read_class_folders", "read_numbered"]

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


def is_image(name: str) -> bool:
    """Return whether a file name ends as those of images do."""
    return name.lower().endswith(_SUFFIXES)


def has_class_folders(names: Iterable[str]) -> bool:
    """Return whether any image among the names lies in a folder that is named after a class."""
    return any(is_image(name) and _class_of(posixpath.dirname(name)) is not None for name in names)


def read_class_folders(source: Source, faces: FaceCollector) -> None:
    """Add the images of ``train/angry/``, ``test/angry/`` and so on to ``faces``.

    The split is that of the folder above the class folder. Where no such folder names one, it is
    that of the source itself, and "train" where that names none either.

    Raises
    ------
    DataError
        If a folder stands for no class or no split, two stand for the same ones, or a file in them
        is not an image.
    """
    folders = defaultdict(list)
    for name in source.names:
        folders[posixpath.dirname(name)].append(name)
    of_images = {
        folder: _class_of(folder)
        for folder, names in folders.items()
        if _class_of(folder) is not None or any(map(is_image, names))
    }
    splits = {folder: parse_split(_parent(folder)) for folder in of_images}
    if not any(splits.values()):
        whole = parse_split(posixpath.basename(source.location.rstrip("/"))) or "train"
        splits = dict.fromkeys(of_images, whole)
    taken: dict[tuple[str, int], str] = {}
    for folder, label in of_images.items():
        split, place = splits[folder], source.label(folder)
        if label is None:
            known = ", ".join(CLASS_NAMES).lower()
            raise DataError(f"{place}: not the name of a class; expected one of {known}")
        if split is None:
            raise DataError(
                f"{place}: the folder above is not the name of a split; expected train, validation "
                "or test"
            )
        if (split, label) in taken:
            raise DataError(
                f"{place}: stands for {split}/{CLASS_NAMES[label].lower()}, and so does "
                f"{source.label(taken[split, label])}; give the folder that holds one of them"
            )
        taken[split, label] = folder
        for name in folders[folder]:
            faces.add(_read_image(source, name), label, name, split)


def read_numbered(source: Source, tables: list[Table], faces: FaceCollector) -> None:
    """Add images to ``faces`` whose labels stand in csv files with the columns id and label.

    The images of a csv lie in its own folder or in one right below. An id is the name of an image
    with or without its ending, or its number with or without leading zeros. Images in a further
    folder whose name speaks of a split (``test_img``) have no labels.

    Raises
    ------
    DataError
        If a row has no image or an image no row, an id stands twice, a label is unknown, or a file
        is not an image.
    """
    folders: dict[str, list[str]] = defaultdict(list)
    for name in filter(is_image, source.names):
        folders[posixpath.dirname(name)].append(name)
    listed: dict[str, str] = {}
    used = set()
    for table in tables:
        folder = _folder_of(table, folders)
        used.add(folder)
        _read_listed(table, folder, folders[folder], listed, faces)
    for folder, names in sorted(folders.items()):
        split = parse_split(posixpath.basename(folder)) or ""
        for name in names:
            if name in listed:
                continue
            if folder in used or not split:
                raise DataError(
                    f"{source.label(name)}: no csv has a row for it; add one, or remove the image"
                )
            faces.add(_read_image(source, name), UNLABELLED, posixpath.basename(name), split)


def _read_listed(
    table: Table, folder: str, names: list[str], listed: dict[str, str], faces: FaceCollector
) -> None:
    """Add the images that a csv lists; ``listed`` gains the place of each one's row."""
    source, split, found = table.source, table.split, _keys(names)
    for place, fields in table.rows():
        identity = table.text(fields, "id")
        name = found.get(identity) or found.get(_stem(identity))
        if name is None:
            raise DataError(
                f'{place}: no image for the id "{excerpt(identity)}" in {source.label(folder)}'
            )
        if name in listed:
            raise DataError(f"{place}: {source.label(name)} was listed already, in {listed[name]}")
        listed[name] = place
        try:
            label = parse_label(table.text(fields, "label"))
        except DataError as error:
            raise DataError(f"{place}: {error}") from None
        faces.add(_read_image(source, name), label, identity, split)


def decode_image(data: bytes) -> np.ndarray:
    """Return an image file's grey values, scaled to 48x48 if it has another size.

    Parameters
    ----------
    data : bytes
        The file's content, in any format that Pillow reads.

    Returns
    -------
    uint8 array of shape (2304,)
        Row by row.

    Raises
    ------
    DataError
        As for :func:`minicnn.data.pictures.decode_picture`.
    """
    return network_input(decode_picture(data), (SIDE, SIDE, 1)).reshape(-1)


def _read_image(source: Source, name: str) -> np.ndarray:
    with source.open(name) as stream, readable(source.label(name)):
        data = stream.read()
    try:
        return decode_image(data)
    except DataError as error:
        raise DataError(f"{source.label(name)}: {error}") from error.__cause__


def _class_of(folder: str) -> int | None:
    return parse_class_name(posixpath.basename(folder))


def _parent(folder: str) -> str:
    return posixpath.basename(posixpath.dirname(folder))


def _stem(name: str) -> str:
    """Return the name of an image without folder and ending, and a number without leading zeros."""
    stem = posixpath.basename(name)
    if is_image(stem):
        stem = posixpath.splitext(stem)[0]
    return (stem.lstrip("0") or "0") if stem.isdecimal() else stem


def _keys(names: list[str]) -> dict[str, str]:
    """Return images by what an id may call them: the file name, or else the stem."""
    stems = {_stem(name): name for name in names}
    return stems | {posixpath.basename(name): name for name in names}


def _folder_of(table: Table, folders: dict[str, list[str]]) -> str:
    """Return the folder with the images that a csv lists."""
    home = posixpath.dirname(table.name)
    near = [name for name in folders if name == home or (name and posixpath.dirname(name) == home)]
    same = [name for name in near if parse_split(posixpath.basename(name)) == table.split]
    for candidates in (same, near):
        if len(candidates) == 1:
            return candidates[0]
    if home in near:
        return home
    raise DataError(
        f"{table}: which images does it list? Expected them beside it, or in one folder below, got "
        f"{len(near)} such folders"
    )
