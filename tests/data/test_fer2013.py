"""Csv layouts of FER-2013: what is read, what is refused in which words, and damage at random."""

import gzip
import os
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn.data.csv_tables import parse_pixels
from minicnn.data.face_dataset import FaceDataset
from minicnn.data.fer2013 import load
from minicnn.errors import DataError, OptionError

pytestmark = pytest.mark.host

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 48, 48, 1), np.uint8)
PIXELS = [" ".join(map(str, image.reshape(-1).tolist())) for image in IMAGES]
PUBLISHED = (
    "emotion,pixels,Usage\n"
    f"0,{PIXELS[0]},Training\n"
    f"6,{PIXELS[1]},Training\n"
    f"3,{PIXELS[2]},PublicTest\n"
    f"4,{PIXELS[3]},PrivateTest\n"
)


def write(folder, text, name="fer2013.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(folder, text, name="fer2013.csv"):
    return load(write(folder, text, name), cache=None)


def assert_is_published(dataset):
    assert np.array_equal(dataset.images, IMAGES)
    assert dataset.images.dtype == np.uint8
    assert dataset.labels.tolist() == [0, 6, 3, 4]
    assert dataset.labels.dtype == np.int64
    assert dataset.usage.tolist() == ["train", "train", "public_test", "private_test"]
    assert dataset.ids.tolist() == ["0", "1", "2", "3"]


def test_published_csv_is_read(tmp_path):
    assert_is_published(read(tmp_path, PUBLISHED))


def test_published_csv_is_read_whatever_its_name(tmp_path):
    assert_is_published(read(tmp_path, PUBLISHED, "faces"))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.rstrip("\n"),
        lambda text: "\ufeff" + text,
        lambda text: text + "\n\n",
        lambda text: text.replace(",", '","').replace("\n", '"\n"')[:-1].join(['"', ""]),
        lambda text: text.replace(PIXELS[0], f" {PIXELS[0]} "),
        lambda text: text.replace(" ", "  "),
        lambda text: text.replace(" ", "\t"),
        lambda text: text.replace("\n0,", "\nAngry,").replace("PublicTest", " publictest"),
        lambda text: text.replace(PIXELS[0], f"{int(PIXELS[0].split()[0]):05d} "
                                  + PIXELS[0].split(" ", 1)[1]),
    ],
    ids=[
        *("carriage_returns", "no_final_newline", "byte_order_mark", "blank_lines", "all_quoted"),
        *("blanks_around", "two_blanks", "tabs", "names", "leading_zeros"),
    ],
)  # fmt: skip
def test_harmless_variations_of_the_csv_are_read(tmp_path, change):
    text = change(PUBLISHED)
    assert text != PUBLISHED
    assert_is_published(read(tmp_path, text))


def test_columns_may_come_in_another_order_with_blanks_in_the_header(tmp_path):
    rows = [line.split(",") for line in PUBLISHED.splitlines()[1:]]
    text = "emotion, Usage, pixels\n" + "".join(f"{a},{c},{b}\n" for a, b, c in rows)
    assert_is_published(read(tmp_path, text))


def test_columns_of_no_interest_are_left_out(tmp_path):
    text = "".join(f"x,{line},y\n" for line in PUBLISHED.splitlines())
    assert_is_published(read(tmp_path, text))


def test_course_files_in_a_folder_are_read_both(tmp_path):
    write(tmp_path, f"label,feature\n5,{PIXELS[0]}\n1,{PIXELS[1]}\n", "train.csv")
    write(tmp_path, f"id,feature\n7,{PIXELS[2]}\n9,{PIXELS[3]}\n", "test.csv")
    dataset = load(tmp_path, cache=None)
    train, test = dataset.split("train"), dataset.split("test")
    assert np.array_equal(train.images, IMAGES[:2])
    assert train.labels.tolist() == [5, 1]
    assert np.array_equal(test.images, IMAGES[2:])
    assert test.labels is None
    assert test.ids.tolist() == ["7", "9"]


@pytest.mark.parametrize(
    ("name", "header", "split"),
    [
        ("train.csv", "label,feature", "train"),
        ("test.csv", "id,feature", "test"),
        ("validation.csv", "label,feature", "validation"),
        ("anything.csv", "label,feature", "train"),
        ("anything.csv", "id,feature", "test"),
        ("train.csv", "emotion,pixels", "train"),
    ],
)
def test_split_of_a_file_without_usage_follows_its_name_or_its_labels(
    tmp_path, name, header, split
):
    assert read(tmp_path, f"{header}\n0,{PIXELS[0]}\n", name).splits == {split: 1}


def test_folder_with_the_published_csv_and_others_reads_the_published_one(tmp_path):
    write(tmp_path, PUBLISHED)
    write(tmp_path, f"emotion,pixels\n0,{PIXELS[0]}\n", "train.csv")
    write(tmp_path, "emotion\n0\n", "example_submission.csv")
    assert_is_published(load(tmp_path, cache=None))


REFUSED = {
    "empty": ("", "fer2013.csv: the file is empty"),
    "header only": (PUBLISHED.splitlines()[0], "fer2013.csv: a header but no rows"),
    "too few pixels": (
        PUBLISHED.replace(PIXELS[1], PIXELS[1].rsplit(" ", 3)[0]),
        r"fer2013.csv, line 3: 2301 pixels given, expected 2304 \(48x48\)",
    ),
    "too many pixels": (
        PUBLISHED.replace(PIXELS[1], PIXELS[1] + " 5"),
        "line 3: 2305 pixels given, expected 2304",
    ),
    "no pixels": (PUBLISHED.replace(PIXELS[1], ""), "line 3: 0 pixels given"),
    "value too large": (
        PUBLISHED.replace(PIXELS[2], "256" + PIXELS[2].lstrip("0123456789")),
        "line 4: pixel 0 is 256; expected a value from 0 to 255",
    ),
    "value far too large": (
        PUBLISHED.replace(PIXELS[2], "1" * 5000 + PIXELS[2].lstrip("0123456789")),
        "line 4: pixel 0 is 1{57}...; expected a value",
    ),
    "negative value": (
        PUBLISHED.replace(PIXELS[2], PIXELS[2].rsplit(" ", 1)[0] + " -1"),
        'line 4: pixel 2303 is "-1"; expected a whole number',
    ),
    "word": (
        PUBLISHED.replace(PIXELS[2], "1x" + PIXELS[2].lstrip("0123456789")),
        'line 4: pixel 0 is "1x"; expected a whole number, 0 to 255',
    ),
    "fraction": (
        PUBLISHED.replace(PIXELS[2], "1.5" + PIXELS[2].lstrip("0123456789")),
        'line 4: pixel 0 is "1.5"',
    ),
    "foreign digit": (
        PUBLISHED.replace(PIXELS[2], "²" + PIXELS[2].lstrip("0123456789")),
        'line 4: pixel 0 is "²"',
    ),
    "unknown label": (
        PUBLISHED.replace("\n3,", "\n7,"),
        'line 4: unknown label "7"; expected one of 0 Angry, 1 Disgust, 2 Fear, 3 Happy',
    ),
    "missing label": (PUBLISHED.replace("\n3,", "\n,"), 'line 4: unknown label ""'),
    "unknown usage": (
        PUBLISHED.replace("PublicTest", "Holiday"),
        'line 4: unknown Usage "Holiday"; expected Training, PublicTest or PrivateTest',
    ),
    "missing field": (
        PUBLISHED.replace(",PublicTest", ""),
        r"line 4: expected 3 fields \(emotion,pixels,Usage\), got 2",
    ),
    "no pixels column": (
        PUBLISHED.replace("pixels", "picture"),
        'line 1: the column "pixels" .* is missing; the header is "emotion,picture,Usage"',
    ),
    "no emotion column": (
        PUBLISHED.replace("emotion", "mood"),
        'line 1: the column "emotion" .* is missing; the header is "mood,pixels,Usage"',
    ),
    "no header": (PUBLISHED.split("\n", 1)[1], 'line 1: "0,.*" is no header that is known'),
    "column twice": ("emotion,pixels,label\n", "line 1: two columns for the label"),
    "unclosed quote": (
        PUBLISHED.replace("\n3,", '\n"3,'),
        "line 4: not a line of a csv file, or its quotes do not match",
    ),
    "endless line": ("x" * (1 << 21), "line 1: longer than"),
    "not text": (bytes(range(128, 256)) * 9, "line 1: .* is no header that is known"),
    "same id twice": (
        f"id,feature\n1,{PIXELS[0]}\n1,{PIXELS[1]}\n",
        'line 3: the id "1" stood in a line above',
    ),
    "labels alone": ("id,label\n0,1\n", "labels without images; give the folder"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_csv_is_refused_with_file_line_and_reason(tmp_path, case):
    text, message = REFUSED[case]
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "fer2013.csv"))
    assert len(str(caught.value).splitlines()) == 1


def test_blank_lines_count_in_line_numbers(tmp_path):
    with pytest.raises(DataError, match="line 5: unknown label"):
        read(tmp_path, PUBLISHED.replace("\n3,", "\n\n9,"))


def test_missing_path_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.csv: no such file or folder"):
        load(tmp_path / "nothing.csv", cache=None)


def test_device_is_refused():
    with pytest.raises(DataError, match="neither a file nor a folder"):
        load(os.devnull, cache=None)


def test_folder_of_no_known_layout_is_refused_and_the_known_ones_are_named(tmp_path):
    write(tmp_path, "hello", "notes.txt")
    with pytest.raises(DataError, match=r"no layout that is known; expected a csv .*train/angry"):
        load(tmp_path, cache=None)


def test_two_published_csvs_in_a_folder_are_refused(tmp_path):
    write(tmp_path, PUBLISHED, "a.csv")
    write(tmp_path, PUBLISHED, "b.csv")
    with pytest.raises(DataError, match=r"a\.csv and .*b\.csv hold the same part"):
        load(tmp_path, cache=None)


@settings(deadline=None)
@given(st.data())
def test_pixels_are_parsed_as_int_would(data):
    values = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 256, 2304)
    words = list(map(str, values.tolist()))
    for _ in range(data.draw(st.integers(0, 2))):
        word = data.draw(st.one_of(st.integers(0, 1200).map(str), st.text("0123456789 -.x\t")))
        words[data.draw(st.integers(0, 2303))] = word
    text = " ".join(words)
    expected = text.split()
    valid = len(expected) == 2304 and all(w.isdigit() and int(w) < 256 for w in expected)
    if valid:
        assert parse_pixels(text.encode()).tolist() == [int(word) for word in expected]
    else:
        with pytest.raises(DataError):
            parse_pixels(text.encode())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_csv_gives_a_data_error_or_valid_data(tmp_path_factory, data):
    content = bytearray(PUBLISHED.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        end = start + data.draw(st.sampled_from([0, 1, 3, 9000]))
        content[start:end] = data.draw(st.one_of(st.binary(max_size=4), st.just(b'"\r')))
    folder = tmp_path_factory.mktemp("damaged")
    try:
        dataset = read(folder, bytes(content))
    except DataError as error:
        assert str(folder) in str(error)
        assert "\n" not in str(error)
    else:
        assert isinstance(dataset, FaceDataset)
        assert dataset.images.shape == (len(dataset), 48, 48, 1)


def test_split_that_is_not_there_is_an_option_error(tmp_path):
    dataset = read(tmp_path, PUBLISHED)
    with pytest.raises(OptionError, match="no 'test'; it has train, public_test, private_test"):
        dataset.split("test")


def test_subset_takes_indices_or_a_mask_and_keeps_the_hash(tmp_path):
    dataset = read(tmp_path, PUBLISHED)
    for chosen in ([3, 1], np.array([3, 1])):
        part = dataset.subset(chosen)
        assert part.labels.tolist() == [4, 6]
        assert np.array_equal(part.images, IMAGES[[3, 1]])
        assert part.sha256 == dataset.sha256
    assert dataset.subset(dataset.labels > 3).ids.tolist() == ["1", "3"]
    assert len(dataset.subset([])) == 0


def test_labels_that_are_required_but_missing_are_a_data_error(tmp_path):
    dataset = read(tmp_path, f"id,feature\n0,{PIXELS[0]}\n")
    with pytest.raises(DataError, match="1 of 1 images have no label"):
        dataset.require_labels()
    labelled = read(tmp_path, PUBLISHED)
    assert labelled.require_labels() is labelled.labels


def test_hash_follows_the_content_and_not_the_file(tmp_path):
    first = read(tmp_path, PUBLISHED, "a.csv")
    second = read(tmp_path, gzip.compress(PUBLISHED.encode()), "b.csv.gz")
    other = read(tmp_path, PUBLISHED.replace("\n0,", "\n1,"), "c.csv")
    assert first.sha256 == second.sha256
    assert first.sha256 != other.sha256


@pytest.mark.real_faces
def test_real_file_is_read_in_time_and_faster_from_the_cache(tmp_path):
    path = os.environ["MINICNN_FER2013"]
    start = time.perf_counter()
    first = load(path, cache=tmp_path)
    middle = time.perf_counter()
    second = load(path, cache=tmp_path)
    end = time.perf_counter()
    assert first.splits == {"train": 28709, "public_test": 3589}
    assert second.sha256 == first.sha256
    assert np.array_equal(first.images, second.images)
    assert middle - start < 15
    assert end - middle < 2


def test_lines_that_end_with_a_carriage_return_alone_are_named(tmp_path):
    with pytest.raises(DataError, match=r"line 1: lines end with CR alone; save the file"):
        read(tmp_path, PUBLISHED.replace("\n", "\r"))
