"""The history: a table that reads back to the last digit."""

from __future__ import annotations

import pytest

from minicnn.errors import DataError, OptionError
from minicnn.training.history import (
    COLUMNS,
    FOLD_COLUMNS,
    History,
    mean_history,
    read_histories,
    write_rows,
)

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


def test_the_histories_of_folds_are_read_one_by_one(tmp_path):
    rows = [{"fold": fold, **row(epoch, seconds=fold)} for fold in (1, 2) for epoch in (1, 2)]
    write_rows(tmp_path / "history.csv", FOLD_COLUMNS, rows)
    histories = read_histories(tmp_path / "history.csv")
    assert [history.column("seconds") for history in histories] == [[1.0, 1.0], [2.0, 2.0]]
    with pytest.raises(DataError, match=r"history\.csv: no history"):
        History.read_csv(tmp_path / "history.csv")


@pytest.mark.parametrize("count", [0, 2])
def test_a_plain_history_is_one_of_one(tmp_path, count):
    History([row(epoch) for epoch in range(1, count + 1)]).write_csv(tmp_path / "history.csv")
    assert [len(history) for history in read_histories(tmp_path / "history.csv")] == [count]


def test_epochs_of_a_fold_that_do_not_follow_one_another_are_refused(tmp_path):
    write_rows(tmp_path / "h.csv", FOLD_COLUMNS, [{"fold": 1, **row(2)}])
    with pytest.raises(DataError, match=r"h\.csv: no history"):
        read_histories(tmp_path / "h.csv")


def test_the_mean_is_over_the_epochs_that_all_have_and_over_what_is_known():
    one = History([row(1, seconds=1.0, validation_loss=None), row(2)])
    other = History([row(1, seconds=2.0, validation_loss=3.0)])
    mean = mean_history([one, other])
    assert len(mean) == 1
    assert mean[0]["seconds"] == 1.5
    assert mean[0]["validation_loss"] == 3.0
    assert mean_history([History([row(1, validation_loss=None)])])[0]["validation_loss"] is None
