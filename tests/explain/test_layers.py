"""Feature maps, filters, and the images to which a filter answers most."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
from explained import SIZE, Seen
from planted import planted

from minicnn import backend, explain
from minicnn.autograd import Tensor
from minicnn.data.loader import DataLoader
from minicnn.errors import DTypeError, OptionError, ShapeError
from minicnn.explain import layers
from minicnn.nn.containers import Sequential
from minicnn.nn.conv import Conv2d
from minicnn.nn.linear import Linear
from minicnn.nn.module import Module
from minicnn.nn.shape import Flatten


def host(array):
    return backend.to_numpy(array)


def test_feature_maps_are_what_the_layers_give_one_after_the_other(network, images):
    network.eval()
    x = Tensor(images)
    for name, module in network.named_children():
        x = module(x)
        found = host(explain.feature_maps(network, images, name, batch_size=2))
        np.testing.assert_allclose(found, x.numpy(), rtol=1e-10, atol=1e-14)


def test_feature_maps_are_made_a_chunk_at_a_time(network, images):
    seen = Seen(network.conv)
    explain.feature_maps(network, images, "pool", batch_size=2)
    assert seen == [2, 2, 1]


def test_filters_come_one_after_the_other_in_the_order_of_their_maps(rng):
    model = Sequential(Flatten(), Sequential(Conv2d(2, 5, (3, 4), rng=rng)), Conv2d(5, 1, 1))
    weight = model[1][0].weight.numpy()
    found = explain.convolution_filters(model)
    assert found.shape == (5, 3, 4, 2)
    for number in range(5):
        np.testing.assert_array_equal(found[number], weight[:, :, :, number])
    assert explain.convolution_filters(model, "2").shape == (1, 1, 1, 5)
    found[:] = 0
    assert weight.all()


def test_filters_of_what_is_no_convolution_are_refused(network):
    with pytest.raises(OptionError, match="expected a convolution, a Conv2d; pool is a AvgPool2d"):
        explain.convolution_filters(network, "pool")
    with pytest.raises(OptionError, match="there is none"):
        explain.convolution_filters(Sequential(Flatten(), Linear(4, 2)))


# The strongest images.


@pytest.fixture
def many(rng):
    return rng.standard_normal((23, SIZE, SIZE, 1))


def batches_of(array, size):
    for start in range(0, len(array), size):
        yield Tensor(backend.asarray(array[start : start + size])), None


@pytest.mark.parametrize("size", [1, 4, 23])
@pytest.mark.parametrize("reduction", ["max", "mean"])
def test_they_are_those_of_a_full_sort(network, many, size, reduction):
    found = explain.top_activations(
        network, batches_of(many, size), "pool", k=6, reduction=reduction
    )
    maps = host(explain.feature_maps(network, backend.asarray(many), "pool"))
    for number in range(4):
        answers = getattr(maps[..., number], reduction)(axis=(1, 2))
        order = np.argsort(-answers)[:6]
        np.testing.assert_array_equal(found.indices[number], order)
        np.testing.assert_allclose(found.values[number], answers[order], rtol=1e-10)
        if reduction == "mean":
            assert found.positions is None
            continue
        for index, (row, column) in zip(order, found.positions[number], strict=True):
            assert maps[index, row, column, number] == maps[index, ..., number].max()


def test_only_the_filters_that_are_named_are_followed(network, many):
    every = explain.top_activations(network, batches_of(many, 5), "conv", k=3)
    some = explain.top_activations(network, batches_of(many, 5), "conv", filters=[3, 1], k=3)
    for one, all_ in zip(some, every, strict=True):
        np.testing.assert_array_equal(one, all_[[3, 1]])


def test_features_of_a_dense_layer_have_no_positions(network, many):
    found = explain.top_activations(network, batches_of(many, 5), "scores", k=2)
    scores = host(explain.feature_maps(network, backend.asarray(many), "scores"))
    np.testing.assert_array_equal(found.indices, np.argsort(-scores, axis=0)[:2].T)
    assert found.positions is None


def test_of_equal_answers_the_earlier_image_comes_first(network, many):
    same = np.repeat(many[:1], 7, axis=0)
    found = explain.top_activations(network, batches_of(same, 2), "conv", k=4)
    np.testing.assert_array_equal(found.indices, np.broadcast_to(np.arange(4), (4, 4)))


def test_a_loader_gives_the_data_and_there_may_be_fewer_than_k(network, many):
    network.to("float32")
    labels = np.zeros(len(many[:5]), np.int64)
    loader = DataLoader(many[:5].astype(np.float32), labels, batch_size=2)
    found = explain.top_activations(network, loader, "pool", k=9)
    assert found.indices.shape == (4, 5)
    assert all(sorted(row) == [0, 1, 2, 3, 4] for row in found.indices.tolist())


def test_of_the_data_one_batch_is_held_at_a_time(network):
    """However many images there are: each batch can be freed when the next but one comes."""
    held = []

    def batches():
        for _ in range(12):
            alive = sum(each() is not None for each in held)
            assert alive <= 1
            batch = Tensor(backend.asarray(np.ones((2, SIZE, SIZE, 1))))
            held.append(weakref.ref(batch))
            yield batch
            del batch

    explain.top_activations(network, batches(), "conv", k=1)
    assert len(held) == 12


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"filters": [0, 4]}, OptionError, "0 to 3, as layer conv has 4 filters"),
        ({"filters": [-1]}, OptionError, "0 to 3"),
        ({"filters": []}, OptionError, "0 to 3"),
        ({"k": 0}, OptionError, "k: expected an integer of 1 or more"),
        ({"reduction": "sum"}, OptionError, "choose one of max, mean"),
    ],
)
def test_options_out_of_range_are_refused(network, many, options, error, match):
    with pytest.raises(error, match=match):
        explain.top_activations(network, batches_of(many, 5), "conv", **options)


def test_data_that_are_none_are_refused(network, pictures):
    with pytest.raises(OptionError, match="there are no batches"):
        explain.top_activations(network, [], "conv")
    with pytest.raises(DTypeError, match="uint8; normalise"):
        explain.top_activations(network, [backend.asarray(pictures.astype(np.uint8))], "conv")


def test_layers_of_other_shapes_are_refused(images):
    class Rows(Module):
        def forward(self, x):
            return x.reshape(len(x), SIZE, SIZE)

    with pytest.raises(ShapeError, match=r"gives the shape \(5, 6, 6\)"):
        explain.top_activations(Sequential(Rows()), [images], "0")


@pytest.mark.host
@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("_best", "-found[0]", "found[0]"),
        ("top_activations", "seen += len(x)", "seen += 1"),
        ("top_activations", "divmod(places, width)", "divmod(places, width + 1)"),
        ("_strongest", "flat.max(axis=1)", "flat.mean(axis=1)"),
    ],
)
def test_planted_faults_are_found(name, right, wrong, monkeypatch, network, many):
    faulty = planted(getattr(layers, name), right, wrong)
    monkeypatch.setattr(layers, name, faulty)
    monkeypatch.setattr(explain, "top_activations", layers.top_activations)
    with pytest.raises((AssertionError, IndexError)):
        test_they_are_those_of_a_full_sort(network, many, 4, "max")
