"""History: what each epoch brought, as a table that can be written as csv and read again."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from minicnn.errors import DataError, OptionError
from minicnn.files import atomic_write

__all__ = ["COLUMNS", "History", "mean_history", "read_histories", "write_rows"]

COLUMNS = (
    "epoch",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "learning_rate",
    "seconds",
    "images_per_second",
)

FOLD_COLUMNS = ("fold", *COLUMNS)  # of all folds of a cross-validated run together

Row = dict[str, Any]


class History:
    """One row for each epoch that was completed, numbered from 1.

    Parameters
    ----------
    rows : iterable of mapping
        With a value for each of :data:`COLUMNS`; None for the validation where there is none.

    Notes
    -----
    ``train_loss`` and ``train_accuracy`` are means over the epoch's batches, as they were while the
    weights changed, with dropout and augmentation. ``learning_rate`` is that of the epoch's last
    batch, in the first parameter group. ``seconds`` is the time of the whole epoch, validation
    included; ``images_per_second`` is of the training alone.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self.rows: list[Row] = []
        for row in rows:
            self.append(row)

    def append(self, row: Mapping[str, Any]) -> None:
        """Add an epoch.

        Raises
        ------
        OptionError
            The row lacks a column, or has another one; or the epoch is not the next one.
        """
        if set(row) != set(COLUMNS):
            differing = sorted(set(row) ^ set(COLUMNS))
            raise OptionError(f"history: the column {differing[0]!r} is missing or not known")
        if row["epoch"] != len(self) + 1:
            raise OptionError(f"history: expected epoch {len(self) + 1}, got {row['epoch']}")
        self.rows.append({name: row[name] for name in COLUMNS})

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __getitem__(self, index: int) -> Row:
        return self.rows[index]

    def __repr__(self) -> str:
        return f"History({len(self)} epochs)"

    def column(self, name: str) -> list[Any]:
        """Return one column, an entry for each epoch.

        Raises
        ------
        OptionError
            There is no such column.
        """
        if name not in COLUMNS:
            raise OptionError(f"history: {name!r} is unknown; choose one of {', '.join(COLUMNS)}")
        return [row[name] for row in self.rows]

    def write_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the table with a header, replacing the file at once.

        Numbers are written with all their digits; what there is none of is an empty cell.

        Raises
        ------
        DataError
            The file cannot be written.
        """
        write_rows(path, COLUMNS, self.rows)

    @staticmethod
    def read_csv(path: str | os.PathLike[str]) -> History:
        """Read what :meth:`write_csv` wrote.

        Raises
        ------
        DataError
            There is no such file, or it is no history.
        """
        return _read(path, COLUMNS)[0]


def read_histories(path: str | os.PathLike[str]) -> list[History]:
    """Read the history of a run; of a cross-validated one, that of each fold.

    Raises
    ------
    DataError
        There is no such file, or it is no history.
    """
    return _read(path, COLUMNS, FOLD_COLUMNS)


def mean_history(histories: Sequence[History]) -> History:
    """Return the mean of the folds' histories, over the epochs that all of them have."""
    mean = History()
    for epoch in range(min(map(len, histories))):
        rows = [history[epoch] for history in histories]
        mean.append({name: _mean([row[name] for row in rows]) for name in COLUMNS[1:]} |
                    {"epoch": epoch + 1})  # fmt: skip
    return mean


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _read(path: str | os.PathLike[str], *headers: tuple[str, ...]) -> list[History]:
    # A table with one of these headers: a history, or one of each fold.
    name = os.fspath(path)
    folds: dict[Any, list[Row]] = {}
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) not in headers:
                raise DataError(f"{name}: no history; expected the header {','.join(COLUMNS)}")
            for texts in reader:
                row = {key: _number(key, text) for key, text in texts.items()}
                folds.setdefault(row.pop("fold", None), []).append(row)
            return [History(rows) for rows in folds.values()] or [History()]
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror})") from None
    except (ValueError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name}: no history ({error})") from None


def write_rows(
    path: str | os.PathLike[str], columns: Sequence[str], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Write a table of numbers as csv; None becomes an empty cell."""
    with atomic_write(path) as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _number(column: str, text: str | None) -> int | float | None:
    if text is None:
        raise ValueError("a row is too short")
    if column in ("fold", "epoch"):
        return int(text)
    return float(text) if text else None
