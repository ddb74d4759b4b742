"""Read csv tables of faces: which columns there are, and each row's label and pixels, checked."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from minicnn.data.face_dataset import (
    CLASS_NAMES,
    SIDE,
    UNLABELLED,
    FaceCollector,
    parse_class_name,
    parse_split,
)
from minicnn.data.sources import Source, printable, readable
from minicnn.errors import DataError

__all__ = ["Table", "excerpt", "open_table", "parse_label", "parse_pixels", "read_faces"]

PIXELS = SIDE * SIDE
_LONGEST_LINE = 1 << 20  # bytes; a row of 2,304 values has at most 9,216 and a few
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_COLUMNS = {
    "emotion": "label",
    "label": "label",
    "pixels": "pixels",
    "feature": "pixels",
    "usage": "usage",
    "id": "id",
}


@dataclass(frozen=True)
class Table:
    """A csv file of a source, its header read.

    Attributes
    ----------
    source : Source
    name : str
        The name of the csv file in its source.
    columns : dict
        Where ``label``, ``pixels``, ``usage`` and ``id`` stand in a row; absent ones are left out.
    header : tuple of str
        Names of all columns.
    """

    source: Source
    name: str
    columns: dict[str, int]
    header: tuple[str, ...]

    def __str__(self) -> str:
        return self.source.label(self.name)

    @property
    def missing(self) -> str | None:
        """What a table of faces needs and this one lacks, in words, or None."""
        if "pixels" not in self.columns:
            return 'the column "pixels" (or "feature")'
        if "usage" in self.columns and "label" not in self.columns:
            return 'the column "emotion" (or "label")'
        return None

    @property
    def split(self) -> str:
        """The split of rows that name none: the one in the file's name, else by their labels."""
        stem = self.name.rsplit("/", 1)[-1].lower().removesuffix(".gz").removesuffix(".csv")
        return parse_split(stem) or ("train" if "label" in self.columns else "test")

    def rows(self) -> Iterator[tuple[str, list[bytes]]]:
        """Yield the place (file and line) and the fields of each row below the header.

        Raises
        ------
        DataError
            If the file cannot be read to its end, or a row has too few or too many fields.
        """
        lines = _lines(self.source, self.name)
        next(lines, None)
        for place, line in lines:
            fields = _fields(place, line)
            if len(fields) != len(self.header):
                raise DataError(
                    f"{place}: expected {len(self.header)} fields ({','.join(self.header)}), "
                    f"got {len(fields)}"
                )
            yield place, fields

    def text(self, fields: list[bytes], kind: str) -> str:
        """Return the content of one of the ``columns`` in a row."""
        return _text(fields[self.columns[kind]])


def open_table(source: Source, name: str) -> Table:
    """Read the header of a csv file.

    Raises
    ------
    DataError
        If the file is empty, cannot be read, or names a column twice.
    """
    for place, line in _lines(source, name):
        fields = [field.decode("utf-8", "replace").strip() for field in _fields(place, line)]
        columns: dict[str, int] = {}
        for position, field in enumerate(fields):
            kind = _COLUMNS.get(field.lower())
            if kind in columns:
                raise DataError(
                    f"{place}: two columns for the {kind} ({excerpt(','.join(fields))})"
                )
            if kind is not None:
                columns[kind] = position
        return Table(source, name, columns, tuple(fields))
    raise DataError(f"{source.label(name)}: the file is empty")


def read_faces(table: Table, faces: FaceCollector) -> None:
    """Add every row of a table with pixels to ``faces``.

    Raises
    ------
    DataError
        If the table has no rows, or a row is not as it should be; names the line and the reason.
    """
    columns, default = table.columns, table.split
    ids: set[str] = set()
    count = -1
    for count, (place, fields) in enumerate(table.rows()):
        try:
            pixels = parse_pixels(fields[columns["pixels"]])
            label, split, name = UNLABELLED, default, str(count)
            if "label" in columns:
                label = parse_label(table.text(fields, "label"))
            if "usage" in columns:
                split = _parse_usage(table.text(fields, "usage"))
            if "id" in columns:
                name = table.text(fields, "id")
                if name in ids:
                    raise DataError(f'the id "{excerpt(name)}" stood in a line above already')
                ids.add(name)
        except DataError as error:
            raise DataError(f"{place}: {error}") from None
        faces.add(pixels, label, name, split)
    if count < 0:
        raise DataError(f"{table}: a header but no rows")


def parse_label(text: str) -> int:
    """Return the label that a number or a class name stands for.

    Raises
    ------
    DataError
        If it is neither 0 to 6 nor a class name.
    """
    number = int(text) if text in ("0", "1", "2", "3", "4", "5", "6") else parse_class_name(text)
    if number is None:
        known = ", ".join(f"{label} {name}" for label, name in enumerate(CLASS_NAMES))
        raise DataError(f'unknown label "{excerpt(text)}"; expected one of {known}')
    return number


def parse_pixels(field: bytes) -> np.ndarray:
    """Return the values of 2,304 numbers from 0 to 255 that are separated by blanks.

    Parameters
    ----------
    field : bytes
        The numbers in decimal digits.

    Returns
    -------
    uint8 array of shape (2304,)

    Raises
    ------
    DataError
        If a number is none or too large, or there are more or fewer.
    """
    # All numbers at once. Three blanks in front let every last digit have three bytes before it.
    text = np.frombuffer(b"   %b " % field, np.uint8)
    digits = text - np.uint8(ord("0"))  # wraps around for bytes below "0"
    is_digit = digits < 10
    last = np.flatnonzero(is_digit[:-1] > is_digit[1:])
    has_tens = is_digit[last - 1]
    has_hundreds = has_tens & is_digit[last - 2]
    values = digits[last] + digits[last - 1] * has_tens * np.uint8(10)
    values = values + digits[last - 2] * has_hundreds * np.uint16(100)
    three_digits_at_most = np.count_nonzero(is_digit) == (
        len(last) + np.count_nonzero(has_tens) + np.count_nonzero(has_hundreds)
    )
    if (
        len(last) == PIXELS
        and values.max() <= 255
        and three_digits_at_most
        and (is_digit | (text == ord(" "))).all()
    ):
        return values.astype(np.uint8)
    return _parse_pixels_slowly(field)


def _parse_pixels_slowly(field: bytes) -> np.ndarray:
    """Say what is wrong; accept what is unusual only (tabs, leading zeros)."""
    words = field.split()
    for position, word in enumerate(words):
        if not word.isdigit():
            raise DataError(
                f'pixel {position} is "{excerpt(_text(word))}"; expected a whole number, 0 to 255'
            )
        significant = word.lstrip(b"0")
        if len(significant) > 3 or int(significant or b"0") > 255:
            raise DataError(
                f"pixel {position} is {excerpt(_text(significant))}; expected a value from 0 to 255"
            )
    if len(words) != PIXELS:
        raise DataError(f"{len(words)} pixels given, expected {PIXELS} ({SIDE}x{SIDE})")
    return np.array([int(word) for word in words], np.uint8)


def excerpt(text: str) -> str:
    """Return a text as it fits in a message: printable, on one line, at most 60 characters."""
    text = printable(text)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _parse_usage(text: str) -> str:
    split = parse_split(text)
    if split is None:
        raise DataError(
            f'unknown Usage "{excerpt(text)}"; expected Training, PublicTest or PrivateTest'
        )
    return split


def _text(field: bytes) -> str:
    return field.decode("utf-8", "replace").strip()


def _lines(source: Source, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield the place and the content of each line that is not blank; lines count from 1."""
    label = source.label(name)
    number = 0
    with source.open(name) as stream:
        while True:
            with readable(f"{label}, after line {number}" if number else label):
                line = stream.readline(_LONGEST_LINE)
            if not line:
                return
            number += 1
            place = f"{label}, line {number}"
            if len(line) == _LONGEST_LINE:
                raise DataError(f"{place}: longer than {_LONGEST_LINE:,} bytes; not a csv of faces")
            if number == 1:
                line = line.removeprefix(_BYTE_ORDER_MARK)
            line = line.strip()
            if number == 1 and b"\r" in line:
                raise DataError(f"{place}: lines end with CR alone; save the file with LF or CRLF")
            if line:
                yield place, line


def _fields(place: str, line: bytes) -> list[bytes]:
    if b'"' not in line:
        return line.split(b",")
    try:
        (fields,) = csv.reader(
            [line.decode("utf-8", "replace")], strict=True, skipinitialspace=True
        )
    except csv.Error:
        raise DataError(f"{place}: not a line of a csv file, or its quotes do not match") from None
    return [field.encode() for field in fields]
