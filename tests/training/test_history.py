"""The history: a table that reads back to the last digit."""

from __future__ import annotations

import pytest

from minicnn.errors import DataError, OptionError
from minicnn.training.history import COLUMNS, History

pytestmark = pytest.mark.host


def row(epoch, **changes):
    values = {name: 0.1 * (i + epoch) / 3 for i, name in enumerate(COLUMNS)}
    return {**values, "epoch": epoch, **changes}


def test_it_reads_back_as_it_was_written(tmp_path):
    history = History([row(1), row(2, validation_loss=None, validation_accuracy=None), row(3)])
    history.write_csv(tmp_path / "history.csv")
    read = History.read_csv(tmp_path / "history.csv")
    assert read.rows == history.rows
    assert read.column("epoch") == [1, 2, 3]
    assert (tmp_path / "history.csv").read_text().splitlines()[0] == ",".join(COLUMNS)


def test_epochs_come_one_after_the_other_with_every_column():
    history = History([row(1)])
    with pytest.raises(OptionError, match="expected epoch 2, got 1"):
        history.append(row(1))
    with pytest.raises(OptionError, match="'seconds' is missing"):
        history.append({name: value for name, value in row(2).items() if name != "seconds"})
    with pytest.raises(OptionError, match="'loss' is unknown"):
        history.column("loss")
    assert len(history) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "epoch,loss\n1,2\n",
        ",".join(COLUMNS) + "\none,2,3,4,5,6,7,8\n",
        ",".join(COLUMNS) + "\n1,2\n",
    ],
)
def test_another_file_is_refused_by_name(tmp_path, text):
    (tmp_path / "h.csv").write_text(text)
    with pytest.raises(DataError, match=r"h\.csv: no history"):
        History.read_csv(tmp_path / "h.csv")
    with pytest.raises(DataError, match="cannot be read"):
        History.read_csv(tmp_path / "missing.csv")
