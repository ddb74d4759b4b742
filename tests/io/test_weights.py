"""Weights files: what is written is read, and what is damaged or foreign is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.numpy

from minicnn import backend
from minicnn.data.normalize import PixelNormalization
from minicnn.errors import CheckpointError, DataError, OptionError
from minicnn.io.tensor_file import ENTRY, read_tensors, write_tensors
from minicnn.io.weights import WeightsMetadata, load_weights, read_weights, save_weights
from minicnn.nn.containers import Sequential
from minicnn.nn.linear import Linear
from minicnn.nn.norm import BatchNorm1d


def model(seed=0, features=3):
    return Sequential(Linear(features, 2, rng=np.random.default_rng(seed)), BatchNorm1d(2))


def metadata(**changes):
    images = np.random.default_rng(1).integers(0, 256, (4, 2, 2, 1), dtype=np.uint8)
    fields = {
        "model": "tiny",
        "arguments": {"dropout": 0.1, "sizes": [1, 2]},
        "class_names": ("cat", "dog"),
        "normalization": PixelNormalization().fit(images),
        "training": {"epoch": 3},
    }
    return WeightsMetadata(**{**fields, **changes})


def test_weights_and_all_metadata_come_back(tmp_path):
    path = tmp_path / "weights.safetensors"
    written = metadata()
    save_weights(path, model(), metadata=written)
    arrays, read = read_weights(path)
    assert (read.model, read.arguments, read.class_names, read.training, read.version) == (
        written.model,
        written.arguments,
        written.class_names,
        written.training,
        written.version,
    )
    expected = model().state_dict()
    assert list(arrays) == sorted(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(arrays[name], backend.to_numpy(value))
    for name, value in written.normalization.statistics.items():
        np.testing.assert_array_equal(read.normalization.statistics[name], value)


def test_loading_makes_another_model_equal(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_weights(path, model(seed=1), metadata=metadata(normalization=None))
    other = model(seed=2)
    assert load_weights(path, other).normalization is None
    for name, value in model(seed=1).state_dict().items():
        np.testing.assert_array_equal(
            backend.to_numpy(other.state_dict()[name]), backend.to_numpy(value)
        )


def test_strided_arrays_and_scalars_are_written_as_they_look(tmp_path):
    path = tmp_path / "tensors.safetensors"
    plain = np.arange(12.0).reshape(3, 4)
    arrays = {
        "transposed": backend.asarray(plain).T,
        "reversed": backend.asarray(plain)[::-1, ::2],
        "scalar": backend.asarray(np.float32(7)),
        "empty": backend.asarray(np.zeros((0, 2), np.float32)),
    }
    write_tensors(path, "test", arrays, None)
    found = read_tensors(path, "test")[0]
    np.testing.assert_array_equal(found["transposed"], plain.T)
    np.testing.assert_array_equal(found["reversed"], plain[::-1, ::2])
    assert found["scalar"].shape == ()
    assert found["scalar"] == 7
    assert found["empty"].shape == (0, 2)


@pytest.mark.host
def test_equal_content_gives_equal_files_in_any_process(tmp_path, python):
    code = (
        "import sys, numpy as np; from minicnn.io.tensor_file import write_tensors; "
        "write_tensors(sys.argv[1], 'test', {'b': np.ones(3), 'a': np.zeros(2)}, {'x': 1, 'y': 2})"
    )
    files = [tmp_path / f"{number}.safetensors" for number in range(2)]
    for number, file in enumerate(files):
        done = python("-c", code, str(file), PYTHONHASHSEED=str(number))
        assert done.returncode == 0, done.stderr
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.host
def test_weights_of_another_model_are_refused_by_name(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_weights(path, model(features=3), metadata=metadata())
    with pytest.raises(CheckpointError, match=r"0\.weight"):
        load_weights(path, model(features=4))


@pytest.mark.host
@pytest.mark.parametrize("keep", [0, 5, 8, 100, -1, -40])
def test_a_truncated_file_is_refused(tmp_path, keep):
    path = tmp_path / "weights.safetensors"
    save_weights(path, model(), metadata=metadata())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="damaged or of another kind"):
        read_weights(path)


@pytest.mark.host
def test_a_flipped_bit_in_the_weights_is_noticed(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_weights(path, model(), metadata=metadata())
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="does not match its checksum"):
        read_weights(path)


@pytest.mark.host
def test_foreign_files_are_refused_with_what_they_are(tmp_path):
    path = tmp_path / "file.safetensors"
    with pytest.raises(CheckpointError, match="there is no such file"):
        read_weights(path)
    path.write_text("id,label\n")
    with pytest.raises(CheckpointError, match="another kind"):
        read_weights(path)
    path.write_bytes(safetensors.numpy.save({"a": np.ones(2)}, {"format": "pt"}))
    with pytest.raises(CheckpointError, match="not one that minicnn wrote"):
        read_weights(path)
    write_tensors(path, "checkpoint", {}, {})
    with pytest.raises(CheckpointError, match="holds checkpoint, expected weights"):
        read_weights(path)
    newer = {"kind": "weights", "format": 99, "version": "9.0"}
    path.write_bytes(safetensors.numpy.save({}, {ENTRY: json.dumps(newer)}))
    with pytest.raises(CheckpointError, match=r"minicnn 9\.0 in format 99"):
        read_weights(path)
    write_tensors(path, "weights", {}, {"model": "tiny"})
    with pytest.raises(CheckpointError, match="lacks 'normalization'"):
        read_weights(path)
    with pytest.raises(CheckpointError):
        read_weights(tmp_path)


@pytest.mark.host
def test_an_old_file_stays_when_the_new_one_cannot_be_written(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_weights(path, model(seed=1), metadata=metadata())
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_weights(path, model(), metadata=metadata(training={"what": object()}))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    with pytest.raises(DataError, match="cannot be written"):
        save_weights(tmp_path / "missing" / "w.safetensors", model(), metadata=metadata())


@pytest.mark.host
def test_a_model_whose_tensor_is_called_like_a_statistic_is_refused(tmp_path):
    weights = {"normalization.mean": np.ones(2)}
    with pytest.raises(CheckpointError, match=r"normalization\.mean"):
        save_weights(tmp_path / "w.safetensors", weights, metadata=metadata())


# Half precision.


def test_matrices_stored_as_float16_come_back_as_float32_rounded_once(tmp_path):
    path, whole = tmp_path / "half.safetensors", tmp_path / "whole.safetensors"
    big = Sequential(Linear(50, 40, rng=np.random.default_rng(0)), BatchNorm1d(40))
    save_weights(path, big, metadata=metadata(), dtype="float16")
    save_weights(whole, big, metadata=metadata())
    stored = read_tensors(path, "weights")[0]
    assert stored["0.weight"].dtype == np.float16
    assert path.stat().st_size < whole.stat().st_size - 50 * 40 * 2 + 100
    arrays, read = read_weights(path)
    for name, value in big.state_dict().items():
        expected = backend.to_numpy(value)
        if expected.ndim == 2:
            expected = expected.astype(np.float16).astype(np.float32)
        assert arrays[name].dtype == expected.dtype
        np.testing.assert_array_equal(arrays[name], expected)
    for name, value in metadata().normalization.statistics.items():
        assert read.normalization.statistics[name].tobytes() == value.tobytes()
    load_weights(path, big)
    assert big[0].weight.dtype == np.float32
    save_weights(tmp_path / "again.safetensors", big, metadata=metadata(), dtype="float16")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


@pytest.mark.host
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (65505.0, "weights: 0.weight reaches 65505, float16 goes to 65504; leave the dtype"),
        (-7e4, "0.weight reaches 70000"),
        (np.inf, "0.weight reaches inf"),
        (np.nan, "0.weight holds NaN"),
    ],
)
def test_numbers_that_float16_does_not_have_are_refused(tmp_path, value, message):
    path = tmp_path / "w.safetensors"
    weights = {"0.weight": np.array([[1.0, value]], np.float32)}
    with pytest.raises(CheckpointError, match=message):
        save_weights(path, weights, metadata=metadata(), dtype="float16")
    assert not path.exists()
    save_weights(path, weights, metadata=metadata())  # float32 has them
    largest = {"w": np.array([[65504.0, 0.0]], np.float32), "vector": np.array([1e5], np.float32)}
    save_weights(
        path, {**largest, "count": np.ones((1, 2), int)}, metadata=metadata(), dtype="float16"
    )
    found = read_weights(path)[0]
    assert (found["w"].max(), found["vector"][0]) == (65504, 1e5)
    assert found["count"].dtype == np.int64


@pytest.mark.host
def test_other_types_than_float16_are_refused(tmp_path):
    with pytest.raises(OptionError, match="dtype: expected None or 'float16', got 'int8'"):
        save_weights(tmp_path / "w.safetensors", model(), metadata=metadata(), dtype="int8")
