"""The csv of predicted labels."""

import numpy as np
import pytest

from minicnn.data.predictions import write_predictions
from minicnn.errors import DataError

pytestmark = pytest.mark.host


def test_rows_stand_below_the_header_in_the_given_order(tmp_path):
    write_predictions(tmp_path / "p.csv", np.array(["2", "0", "1"]), np.array([6, 0, 3]))
    assert (tmp_path / "p.csv").read_bytes() == b"id,label\n2,6\n0,0\n1,3\n"


def test_ids_with_commas_are_quoted(tmp_path):
    write_predictions(tmp_path / "p.csv", ["a,b.png"], [1])
    assert (tmp_path / "p.csv").read_text() == 'id,label\n"a,b.png",1\n'


def test_different_lengths_are_refused_and_the_old_file_is_kept(tmp_path):
    (tmp_path / "p.csv").write_text("old")
    with pytest.raises(DataError, match="2 ids but 1 labels"):
        write_predictions(tmp_path / "p.csv", ["0", "1"], [1])
    assert (tmp_path / "p.csv").read_text() == "old"
