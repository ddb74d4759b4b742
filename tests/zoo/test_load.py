"""A network comes back from its file of weights, and what does not fit is refused."""

from __future__ import annotations

import numpy as np
import pytest
import safetensors.numpy

import minicnn
from minicnn import backend, nn, zoo
from minicnn.data.normalize import PixelNormalization
from minicnn.errors import CheckpointError
from minicnn.io.weights import WeightsMetadata, save_weights

SHAPE = (8, 8, 1)
CLASSES = ("angry", "happy", "sad")


def network(seed=1, **options):
    return zoo.build("small_cnn", num_classes=3, input_shape=SHAPE, seed=seed, **options)


def statistics(shape=SHAPE):
    images = np.random.default_rng(1).integers(0, 256, (5, *shape), dtype=np.uint8)
    return PixelNormalization().fit(images)


def saved(path, weights=None, **changes):
    fields = {
        "model": "small_cnn",
        "arguments": {"num_classes": 3, "input_shape": list(SHAPE)},
        "class_names": CLASSES,
        "normalization": statistics(),
    }
    save_weights(path, weights or network(), metadata=WeightsMetadata(**{**fields, **changes}))
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.safetensors"


def test_network_comes_back_with_all_it_needs(path):
    model = network()
    x = minicnn.tensor(np.random.default_rng(2).normal(size=(4, *SHAPE)).astype(np.float32))
    model(x)  # moves the running statistics
    loaded = zoo.load(saved(path, model))
    assert type(loaded) is zoo.Network and not loaded.training
    assert (loaded.name, loaded.arguments) == (model.name, model.arguments)
    assert loaded.class_names == CLASSES
    np.testing.assert_array_equal(loaded(x).numpy(), model.eval()(x).numpy())
    faces = np.random.default_rng(3).integers(0, 256, (2, *SHAPE), dtype=np.uint8)
    np.testing.assert_array_equal(loaded.normalization(faces), statistics()(faces))


def test_what_was_loaded_can_be_trained_on(path):
    loaded = zoo.load(saved(path)).train()
    loaded(minicnn.tensor(np.ones((2, *SHAPE), np.float32))).sum().backward()
    assert all(parameter.grad is not None for parameter in loaded.parameters())


def test_options_of_the_network_come_back(path):
    model = zoo.build("plain_dnn", input_shape=(4, 4, 1), dropout=0.25)
    changes = {"model": "plain_dnn", "arguments": model.arguments}
    saved(path, model, class_names=(), normalization=None, **changes)
    loaded = zoo.load(path)
    assert loaded.dropout_dense1.p == 0.25 and repr(loaded) == repr(model)
    assert loaded.normalization is None and loaded.class_names is None


@pytest.mark.standin
def test_file_is_read_onto_the_current_backend(path):
    saved(path)
    assert {parameter.backend for parameter in zoo.load(path).parameters()} == {"cupy"}
    backend.use("numpy")
    assert {parameter.backend for parameter in zoo.load(path).parameters()} == {"numpy"}


@pytest.mark.host
@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"model": "resnet"}, "weights of 'resnet', which the zoo does not have"),
        ({"model": None}, "weights of None, which the zoo does not have"),
        ({"model": "avgpool_dnn"}, "missing: dense1.weight"),
        ({"arguments": {}}, "logits.bias' has shape"),
        ({"arguments": {"num_classes": 3, "input_shape": [8, 8]}}, r"\(H, W, C\)"),
        ({"arguments": {"num_classes": 3, "input_shape": [8, 8, 1], "depth": 2}}, "'depth'"),
        ({"arguments": {"num_classes": 4, "input_shape": [8, 8, 1]}}, "logits.bias' has shape"),
        ({"arguments": {"name": "small_cnn"}}, "'name'"),
        ({"class_names": ("sad", "happy")}, "2 class names for 3 outputs"),
        (
            {"normalization": statistics((9, 8, 1))},
            r"images of shape \(9, 8, 1\), got",
        ),
    ],
)
def test_weights_that_do_not_fit_the_zoo_are_refused(path, changes, match):
    saved(path, **changes)
    with pytest.raises(CheckpointError, match=match) as caught:
        zoo.load(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.host
def test_unknown_normalization_is_refused(path, monkeypatch):
    normalization = statistics()
    monkeypatch.setattr(type(normalization), "name", "median")
    saved(path, normalization=normalization)
    with pytest.raises(CheckpointError, match="normalization: 'median' is unknown"):
        zoo.load(path)


@pytest.mark.host
def test_weights_of_another_model_under_this_name_are_refused(path):
    saved(path, nn.Sequential(nn.Linear(2, 2, rng=0)))
    with pytest.raises(CheckpointError, match=r"missing: conv1_1\.weight.*unexpected: 0\.bias"):
        zoo.load(path)


@pytest.mark.host
def test_missing_file_is_named(path):
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: there is no such file"):
        zoo.load(path)


@pytest.mark.host
def test_folder_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="damaged or of another kind"):
        zoo.load(tmp_path)


@pytest.mark.host
@pytest.mark.parametrize("content", [b"", b"id,label\n1,3\n", bytes(100)])
def test_file_of_another_kind_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        zoo.load(path)


@pytest.mark.host
def test_foreign_safetensors_file_is_refused(path):
    path.write_bytes(safetensors.numpy.save({"a": np.zeros(3, np.float32)}))
    with pytest.raises(CheckpointError, match="not one that minicnn wrote"):
        zoo.load(path)


@pytest.mark.host
@pytest.mark.parametrize("cut", [10, 1000, -1])
def test_truncated_file_is_refused(path, cut):
    path.write_bytes(saved(path).read_bytes()[:cut])
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        zoo.load(path)


@pytest.mark.host
def test_changed_bit_is_noticed(path):
    content = bytearray(saved(path).read_bytes())
    content[-5] ^= 4
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        zoo.load(path)
