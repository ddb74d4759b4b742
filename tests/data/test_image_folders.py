"""Faces as image files: one folder a class, or numbered images beside a csv."""

import io
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from minicnn.data.fer2013 import load
from minicnn.data.image_folders import decode_image
from minicnn.errors import DataError

pytestmark = pytest.mark.host

IMAGES = np.random.default_rng(2).integers(0, 256, (7, 48, 48, 1), np.uint8)
FOLDERS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def save(path, image=IMAGES[0], **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.squeeze()).save(path, **options)


def encoded(image, kind="png"):
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("wrapper", ["", "archive/faces"])
def test_class_folders_give_labels_and_splits(tmp_path, wrapper):
    for label, folder in enumerate(FOLDERS):
        save(tmp_path / wrapper / "train" / folder / "a.png", IMAGES[label])
    save(tmp_path / wrapper / "test" / "sad" / "a.png", IMAGES[1])
    save(tmp_path / wrapper / "validation" / "fear" / "b.png", IMAGES[2])
    dataset = load(tmp_path, cache=None)
    assert dataset.splits == {"train": 7, "validation": 1, "test": 1}
    train = dataset.split("train")
    assert np.array_equal(train.images[np.argsort(train.labels)], IMAGES)
    assert dataset.split("test").labels.tolist() == [4]
    assert np.array_equal(dataset.split("validation").images[0], IMAGES[2])
    assert dataset.split("test").ids[0].endswith("test/sad/a.png")


@pytest.mark.parametrize(
    ("folder", "label"),
    [
        *(("Anger", 0), ("ANGRY", 0), ("disgusted", 1), ("Fearful", 2), ("happiness", 3)),
        *(("Sadness", 4), ("surprised", 5), ("NEUTRAL", 6)),
    ],
)
def test_other_spellings_of_class_names_are_known(tmp_path, folder, label):
    save(tmp_path / "train" / folder / "a.png")
    assert load(tmp_path, cache=None).labels.tolist() == [label]


@pytest.mark.parametrize(
    ("folder", "split"),
    [("Training", "train"), ("PublicTest", "public_test"), ("val", "validation")],
)
def test_other_spellings_of_splits_are_known(tmp_path, folder, split):
    save(tmp_path / folder / "happy" / "a.png")
    assert load(tmp_path, cache=None).splits == {split: 1}


@pytest.mark.parametrize(("folder", "split"), [("faces", "train"), ("test", "test")])
def test_class_folders_without_splits_take_the_one_in_the_name_of_the_whole(
    tmp_path, folder, split
):
    save(tmp_path / folder / "happy" / "a.png")
    assert load(tmp_path / folder, cache=None).splits == {split: 1}


def test_hidden_files_and_files_beside_the_class_folders_are_left_out(tmp_path):
    save(tmp_path / "train" / "happy" / "a.png")
    (tmp_path / "train" / "happy" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "train" / "happy" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "README.txt").write_text("hello")
    assert len(load(tmp_path, cache=None)) == 1


def test_linked_folders_are_read_once_and_a_circle_ends(tmp_path):
    save(tmp_path / "elsewhere" / "a.png")
    (tmp_path / "data" / "train").mkdir(parents=True)
    (tmp_path / "data" / "train" / "sad").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "train" / "circle").symlink_to(tmp_path / "data")
    assert load(tmp_path / "data", cache=None).labels.tolist() == [4]


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_colour_images_of_other_sizes_become_grey_and_48x48(kind):
    red_left = np.zeros((96, 120, 3), np.uint8)
    red_left[:, :60] = (255, 0, 0)
    pixels = decode_image(encoded(Image.fromarray(red_left), kind)).reshape(48, 48)
    # ITU-R 601: a full red has 0.299 of white.
    assert np.abs(pixels[:, :22].astype(int) - 76).max() <= 2
    assert pixels[:, 26:].max() <= 2


def test_grey_images_of_48x48_are_read_to_the_bit():
    assert np.array_equal(
        decode_image(encoded(Image.fromarray(IMAGES[0].squeeze()))), IMAGES[0].reshape(-1)
    )


def test_images_of_16_bits_are_scaled_and_not_clipped():
    deep = IMAGES[0].squeeze().astype(np.uint16) * 256 + 100
    assert np.array_equal(decode_image(encoded(Image.fromarray(deep))), IMAGES[0].reshape(-1))


def test_file_that_is_not_an_image_is_refused_by_name(tmp_path):
    save(tmp_path / "train" / "happy" / "a.png")
    (tmp_path / "train" / "happy" / "b.jpg").write_text("hello")
    with pytest.raises(DataError, match=r"train/happy/b\.jpg: not an image, or a damaged one"):
        load(tmp_path, cache=None)


def test_file_without_an_image_ending_in_a_class_folder_is_refused(tmp_path):
    save(tmp_path / "train" / "happy" / "a.png")
    (tmp_path / "train" / "happy" / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"notes\.txt: not an image"):
        load(tmp_path, cache=None)


def test_truncated_image_is_refused(tmp_path):
    save(tmp_path / "train" / "happy" / "a.jpg")
    content = (tmp_path / "train" / "happy" / "a.jpg").read_bytes()
    (tmp_path / "train" / "happy" / "a.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"a\.jpg: not an image, or a damaged one"):
        load(tmp_path, cache=None)


def test_unknown_class_folder_is_refused_with_those_allowed(tmp_path):
    save(tmp_path / "train" / "happy" / "a.png")
    save(tmp_path / "train" / "contempt" / "a.png")
    with pytest.raises(DataError, match=r"train/contempt: not the name of a class; .*angry, disg"):
        load(tmp_path, cache=None)


def test_unknown_split_folder_is_refused(tmp_path):
    save(tmp_path / "train" / "happy" / "a.png")
    save(tmp_path / "holiday" / "happy" / "a.png")
    with pytest.raises(DataError, match="holiday/happy: the folder above is not the name of a sp"):
        load(tmp_path, cache=None)


def test_two_folders_for_one_class_are_refused(tmp_path):
    save(tmp_path / "train" / "happy" / "a.png")
    save(tmp_path / "copy" / "train" / "happiness" / "a.png")
    with pytest.raises(DataError, match="train/happy: stands for train/happy, and so does"):
        load(tmp_path, cache=None)


def test_empty_class_folders_are_refused(tmp_path):
    (tmp_path / "train" / "happy").mkdir(parents=True)
    with pytest.raises(DataError, match="no layout that is known"):
        load(tmp_path, cache=None)


@pytest.mark.parametrize("folder", ["", "images", "train_img"])
@pytest.mark.parametrize("ids", [("00000", "00001"), ("0", "1"), ("00000.png", "00001.png")])
def test_numbered_images_take_labels_from_the_csv(tmp_path, folder, ids):
    save(tmp_path / folder / "00000.png", IMAGES[0])
    save(tmp_path / folder / "00001.png", IMAGES[1])
    (tmp_path / "train.csv").write_text(f"id,label\n{ids[1]},Sadness\n{ids[0]},2\n")
    dataset = load(tmp_path, cache=None)
    assert np.array_equal(dataset.images, IMAGES[[1, 0]])
    assert dataset.labels.tolist() == [4, 2]
    assert dataset.ids.tolist() == [ids[1], ids[0]]
    assert dataset.splits == {"train": 2}


def test_each_csv_goes_with_the_folder_of_its_split_and_the_rest_has_no_labels(tmp_path):
    for number, split in enumerate(("train", "val", "test")):
        save(tmp_path / f"{split}_img" / "00000.png", IMAGES[number])
    (tmp_path / "train.csv").write_text("id,label\n0,1\n")
    (tmp_path / "val.csv").write_text("id,label\n0,3\n")
    dataset = load(tmp_path, cache=None)
    assert dataset.usage.tolist() == ["train", "validation", "test"]
    assert dataset.labels.tolist() == [1, 3, -1]
    assert np.array_equal(dataset.images, IMAGES[:3])
    assert dataset.split("test").labels is None


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("00000,1\n00007,1", r'labels\.csv, line 3: no image for the id "00007"'),
        ("00000,1\n0,1", r"labels\.csv, line 3: .*00000\.png was listed already, in .*line 2"),
        ("00000,1\n00001,joy", r'labels\.csv, line 3: unknown label "joy"'),
        ("00000,1\n00001", r"labels\.csv, line 3: expected 2 fields"),
        ("00000,1", r"00001\.png: no csv has a row for it"),
    ],
)
def test_csv_that_does_not_fit_the_images_is_refused(tmp_path, rows, message):
    save(tmp_path / "00000.png")
    save(tmp_path / "00001.png")
    (tmp_path / "labels.csv").write_text(f"id,label\n{rows}\n")
    with pytest.raises(DataError, match=message):
        load(tmp_path, cache=None)


def test_image_without_a_row_is_refused_also_in_a_folder_that_names_a_split(tmp_path):
    save(tmp_path / "train" / "00000.png")
    save(tmp_path / "train" / "00001.png")
    (tmp_path / "train.csv").write_text("id,label\n0,1\n")
    with pytest.raises(DataError, match=r"train/00001\.png: no csv has a row for it"):
        load(tmp_path, cache=None)


def test_csv_with_several_folders_to_choose_from_is_refused(tmp_path):
    save(tmp_path / "a" / "00000.png")
    save(tmp_path / "b" / "00000.png")
    (tmp_path / "labels.csv").write_text("id,label\n0,1\n")
    with pytest.raises(DataError, match=r"labels\.csv: which images does it list\?"):
        load(tmp_path, cache=None)


def test_missing_pillow_is_an_error_that_tells_what_to_install(tmp_path, monkeypatch):
    save(tmp_path / "train" / "happy" / "a.png")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match=r'Pillow: pip install "minicnn\[fer\]"'):
        load(tmp_path, cache=None)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["png", "jpeg", "bmp", "tiff", "webp"]), st.data())
def test_damaged_image_gives_a_data_error_or_pixels(kind, data):
    content = bytearray(encoded(Image.fromarray(IMAGES[0].squeeze()), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        anywhere = data.draw(st.integers(0, len(content) - 1))
        place = data.draw(st.sampled_from([anywhere % 120, anywhere]))
        content[place] = data.draw(st.integers(0, 255))
    try:
        assert decode_image(bytes(content)).shape == (2304,)
    except DataError as error:
        assert "\n" not in str(error)
