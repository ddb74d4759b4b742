"""The zoo builds what the systems' reports say: counts, layers, options, first weights."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import minicnn
from minicnn import backend, nn, zoo
from minicnn.errors import OptionError, ShapeError
from minicnn.inspect import summary
from minicnn.nn import init
from minicnn.random import Streams
from minicnn.zoo.systems import SYSTEMS

# What the reports say, or what follows from what they say: (learned, batch norm's statistics).
PARAMETERS = {
    "residual_cnn": (1_941_575, 2_752),
    "residual_committee": (2 * 1_941_575, 2 * 2_752),
    "deep_vgg": (8_786_631, 0),
    "avgpool_cnn": (2_099_911, 4_544),
    "avgpool_dnn": (2_104_227, 2_152),
    "wide_cnn": (13_562_119, 0),
    "plain_dnn": (1_387_207, 0),
    "vgg16_bn": (37_708_551, 8_448),
    "deep_dnn": (38_211_079, 0),
    "three_stage_cnn": (15_140_551, 5_056),
    "small_cnn": (795_271, 1_408),
}
FLATTENED = {
    "deep_vgg": 3 * 3 * 512,
    "avgpool_cnn": 2 * 2 * 256,
    "wide_cnn": 3 * 3 * 1024,
    "vgg16_bn": 512,
    "three_stage_cnn": 18432,
    "small_cnn": 6 * 6 * 512,
}
SLOPES = {
    "residual_cnn": {0.1},
    "residual_committee": {0.1},
    "deep_vgg": {0.5},
    "avgpool_cnn": {0.3},
    "avgpool_dnn": {0.3},
    "wide_cnn": set(),
    "plain_dnn": set(),
    "vgg16_bn": {0.3},
    "deep_dnn": {0.3},
    "three_stage_cnn": {0.05},
    "small_cnn": {0.05},
}


def layers_of(network, kind):
    return {name: layer for name, layer in network.named_modules() if isinstance(layer, kind)}


def images(count, *shape):
    values = np.random.default_rng(3).normal(size=(count, *shape)).astype(np.float32)
    return minicnn.tensor(values)


def state(network):
    return {name: backend.to_numpy(value) for name, value in network.state_dict().items()}


@pytest.mark.host
@pytest.mark.parametrize("name", zoo.names())
def test_network_has_the_published_parameters_and_gives_logits(name):
    network = zoo.build(name, seed=1)
    learned, statistics = PARAMETERS[name]
    assert network.num_parameters(trainable=True) == learned
    assert network.num_parameters(buffers=True) == learned + statistics
    table = summary(network)
    assert (table.parameters, table.trainable) == (learned + statistics, learned)
    assert table.layers[-1].output_shape == ("N", 7)
    logits = network.eval()(images(1, 48, 48, 1)).numpy()
    assert logits.shape == (1, 7) and logits.dtype == np.float32
    assert np.isfinite(logits).all() and np.ptp(logits) > 0
    if name in FLATTENED:
        first = next(iter(layers_of(network, nn.Linear).values()))
        assert first.in_features == FLATTENED[name]
    slopes = {layer.negative_slope for layer in layers_of(network, nn.LeakyReLU).values()}
    assert slopes == SLOPES[name]


def test_every_network_is_tested():
    assert set(zoo.names()) == set(PARAMETERS)


@pytest.mark.host
def test_totals_of_system_d_as_keras_counts_them():
    assert sum(PARAMETERS["vgg16_bn"]) == 37_716_999
    assert sum(PARAMETERS["avgpool_cnn"]) == pytest.approx(2.12e6, rel=0.01)
    assert sum(PARAMETERS["avgpool_dnn"]) == pytest.approx(2.10e6, rel=0.01)


@pytest.mark.host
def test_layers_of_the_dense_network_of_system_d_have_the_published_parameters():
    expected = [4_610_000, *[4_002_000] * 5, 2_001_000, *[1_001_000] * 11, 512_512, 65_664, 903]
    rows = [row.parameters for row in summary(zoo.build("deep_dnn")).layers if row.kind == "Linear"]
    assert rows == expected
    assert sum(rows) == 38_211_079


@pytest.mark.host
def test_blocks_of_vgg16():
    network = zoo.build("vgg16_bn")
    widths = [layer.out_channels for layer in layers_of(network, nn.Conv2d).values()]
    assert widths == [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    assert list(network.state_dict())[:6] == [
        "conv1_1.weight",
        "conv1_1.bias",
        "norm1_1.weight",
        "norm1_1.bias",
        "norm1_1.running_mean",
        "norm1_1.running_var",
    ]
    kinds = [type(layer).__name__ for layer in network][:7]
    assert kinds == ["Conv2d", "LeakyReLU", "BatchNorm2d"] * 2 + ["MaxPool2d"]


@pytest.mark.host
def test_blocks_of_system_a():
    network = zoo.build("deep_vgg")
    convs = [(c.out_channels, c.kernel_size[0]) for c in layers_of(network, nn.Conv2d).values()]
    assert convs == [(64, 5), (64, 3), *[(128, 3)] * 4, *[(256, 3)] * 4, *[(512, 3)] * 2]
    rates = {name: layer.p for name, layer in layers_of(network, nn.Dropout).items()}
    assert list(rates) == [
        *(f"dropout{n}" for n in (1, 2, 3, 4)),
        "dropout_dense1",
        "dropout_dense2",
    ]
    assert rates["dropout1"] == 0.25 and rates["dropout4"] == 0.5
    assert sorted(rates.values()) == list(rates.values())
    assert rates["dropout_dense1"] == rates["dropout_dense2"] == 0.5


def test_order_and_dropout_of_system_b():
    network = zoo.build("avgpool_cnn")
    kinds = [type(layer).__name__ for layer in network]
    block = ["Conv2d", "LeakyReLU", "BatchNorm2d", "AvgPool2d", "Dropout"]
    dense = ["Linear", "LeakyReLU", "BatchNorm1d", "Dropout"]
    assert kinds == block * 4 + ["Flatten"] + dense * 3 + ["Linear"]
    rates = [layer.p for layer in layers_of(network, nn.Dropout).values()]
    assert rates == [0.1, 0.2, 0.3, 0.4, 0.3, 0.3, 0.3]


def test_same_padding_throughout_gives_system_b_the_other_count():
    network = zoo.build("avgpool_cnn", paddings=["same"] * 4)
    assert network.num_parameters(buffers=True) == pytest.approx(3.4e6, rel=0.01)


@pytest.mark.host
def test_order_and_options_of_system_e():
    network = zoo.build("three_stage_cnn")
    kinds = [type(layer).__name__ for layer in network]
    stage = ["Conv2d", "LeakyReLU", "BatchNorm2d"] * 3 + ["MaxPool2d"]
    end = ["Flatten", "Linear", "ReLU", "BatchNorm1d", "Linear"]
    assert kinds == [*stage, "Dropout"] * 2 + stage + end
    kernels = [layer.kernel_size[0] for layer in layers_of(network, nn.Conv2d).values()]
    assert kernels == [5, 5, 5, 3, 3, 3, 3, 3, 3]
    for layer in layers_of(network, (nn.BatchNorm1d, nn.BatchNorm2d)).values():
        assert (layer.momentum, layer.eps, layer.unbiased_running) == (0.1, 1e-5, True)


@pytest.mark.parametrize("name", ["avgpool_cnn", "avgpool_dnn"])
def test_batch_norm_of_keras_systems_has_keras_settings(name):
    norms = layers_of(zoo.build(name), (nn.BatchNorm1d, nn.BatchNorm2d))
    assert norms
    for layer in norms.values():
        assert (layer.momentum, layer.eps, layer.unbiased_running) == (0.01, 1e-3, False)


def test_dropout_of_system_c_is_on_the_dense_layers_only():
    rates = {name: each.p for name, each in layers_of(zoo.build("wide_cnn"), nn.Dropout).items()}
    assert rates == {"dropout_dense1": 0.5, "dropout_dense2": 0.5}


@pytest.mark.parametrize("name", ["avgpool_cnn", "plain_dnn"])
def test_weights_of_keras_systems_fill_glorots_bounds_and_biases_are_zero(name):
    network = zoo.build(name)
    for layer in layers_of(network, (nn.Conv2d, nn.Linear)).values():
        bound = math.sqrt(6 / sum(init.fans(layer.weight.shape)))
        weight = layer.weight.numpy()
        largest = np.abs(weight).max()
        assert bound * (1 - 20 / weight.size) < largest <= bound
        assert weight.var() == pytest.approx(bound**2 / 3, rel=10 / math.sqrt(weight.size))
        assert not layer.bias.numpy().any()


def test_weights_of_system_e_fill_pytorchs_bounds_and_so_do_biases():
    for layer in layers_of(zoo.build("small_cnn"), (nn.Conv2d, nn.Linear)).values():
        bound = 1 / math.sqrt(init.fans(layer.weight.shape)[0])
        weight, bias = layer.weight.numpy(), layer.bias.numpy()
        assert bound * (1 - 20 / weight.size) < np.abs(weight).max() <= bound
        assert 0.2 * bound < np.abs(bias).max() <= bound


def test_same_seed_gives_the_same_bits_and_another_seed_others():
    first, second, other = (zoo.build("small_cnn", seed=seed) for seed in (5, 5, 6))
    for name, values in state(first).items():
        np.testing.assert_array_equal(state(second)[name], values)
    for name, parameter in other.named_parameters():
        if not name.startswith("norm"):
            assert (parameter.numpy() != state(first)[name]).mean() > 0.9


def test_weights_come_from_the_stream_of_that_name():
    found = zoo.build("plain_dnn", input_shape=(2, 2, 1), seed=5).dense1.weight.numpy()
    expected = init.glorot_uniform((4, 600), Streams(5)["weights"])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.standin
def test_weights_are_the_same_on_both_backends():
    device = state(zoo.build("avgpool_dnn", seed=2))
    backend.use("numpy")
    for name, values in state(zoo.build("avgpool_dnn", seed=2)).items():
        np.testing.assert_array_equal(device[name], values)


def test_same_seed_drops_the_same_and_the_stream_moves_on():
    x = images(4, 6, 6, 1)
    first, second = (zoo.build("plain_dnn", input_shape=(6, 6, 1), seed=3) for _ in range(2))
    outputs = [first(x).numpy(), first(x).numpy()]
    assert (outputs[0] != outputs[1]).any()
    for expected in outputs:
        np.testing.assert_array_equal(second(x).numpy(), expected)


def test_all_dropout_layers_share_one_generator_that_a_checkpoint_can_save():
    assert len(list(zoo.build("avgpool_cnn").generators())) == 1


def test_evaluation_is_deterministic_and_changes_nothing():
    network = zoo.build("avgpool_cnn", input_shape=(32, 32, 1)).eval()
    x = images(2, 32, 32, 1)
    before = state(network)
    np.testing.assert_array_equal(network(x).numpy(), network(x).numpy())
    for name, values in state(network).items():
        np.testing.assert_array_equal(values, before[name])


def test_training_step_reaches_every_parameter():
    network = zoo.build("small_cnn", input_shape=(8, 8, 1))
    network(images(4, 8, 8, 1)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert network.norm1_1.running_mean.numpy().any()


@pytest.mark.parametrize("name", ["small_cnn", "avgpool_dnn"])
def test_input_shape_and_number_of_classes_can_be_chosen(name):
    network = zoo.build(name, num_classes=3, input_shape=[17, 12, 2])
    assert network.input_shape == (17, 12, 2)
    assert network.eval()(images(2, 17, 12, 2)).shape == (2, 3)


def test_options_reach_the_layers_and_are_kept_as_json_holds_them():
    rates = (0.1, 0.1, 0.2, 0)
    network = zoo.build("avgpool_cnn", conv_dropout=rates, dense_dropout=0.25)
    found = [layer.p for layer in layers_of(network, nn.Dropout).values()]
    assert found == [*rates, 0.25, 0.25, 0.25]
    assert network.name == "avgpool_cnn"
    assert network.arguments == {
        "num_classes": 7,
        "input_shape": [48, 48, 1],
        "conv_dropout": [0.1, 0.1, 0.2, 0],
        "dense_dropout": 0.25,
    }
    again = zoo.build(network.name, **json.loads(json.dumps(network.arguments)))
    assert repr(again) == repr(network)


def test_new_network_trains_and_knows_no_normalization_and_no_classes():
    network = zoo.build("small_cnn")
    assert network.training
    assert network.normalization is None and network.class_names is None


def test_layers_can_be_had_by_name():
    network = zoo.build("small_cnn")
    names = [name for name, _ in network.named_modules()]
    blocks = [f"{kind}{n}" for n in (1, 2, 3) for kind in ("conv", "relu", "norm", "pool")]
    expected = [name if "pool" in name else f"{name}_1" for name in blocks]
    assert names == ["", *expected, "flatten", "logits"]
    assert network.get_submodule("conv2_1") is network.conv2_1 is network[4]


@pytest.mark.parametrize("name", zoo.names())
def test_description_is_one_line(name):
    line = zoo.describe(name)
    assert line.startswith("System ") == (name in SYSTEMS)
    assert line.endswith(".") and "\n" not in line


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: zoo.build("deep_vg"), "'deep_vg' is unknown; did you mean deep_vgg"),
        (
            lambda: zoo.build("resnet"),
            "'resnet' is unknown; choose one of residual_cnn, residual_committee",
        ),
        (lambda: zoo.build(["small_cnn"]), r"\['small_cnn'\] is unknown"),
        (lambda: zoo.describe("nothing"), "'nothing' is unknown"),
        (lambda: zoo.build("plain_dnn", drop=0.1), "plain_dnn: the option 'drop' .* takes dropout"),
        (lambda: zoo.build("small_cnn", dropout=0.1), "'dropout' is unknown; it takes none"),
        (lambda: zoo.build("plain_dnn", dropout=1.5), "plain_dnn: the dropout .* 1.5"),
        (lambda: zoo.build("plain_dnn", dropout="much"), "layer dropout_dense1: .* got 'much'"),
        (lambda: zoo.build("plain_dnn", dropout=np.ones(2)), "numbers, texts or lists"),
        (lambda: zoo.build("deep_vgg", conv_dropout=[0.1]), "conv_dropout: expected 4 values"),
        (lambda: zoo.build("deep_vgg", conv_dropout=0.1), "conv_dropout: expected 4 values"),
        (lambda: zoo.build("avgpool_cnn", paddings="same"), "paddings: expected 4 values"),
        (lambda: zoo.build("avgpool_cnn", paddings=["full"] * 4), "layer conv1: 'full'"),
        (lambda: zoo.build("small_cnn", num_classes=1), "num_classes: .* 2 or more, got 1"),
        (lambda: zoo.build("small_cnn", num_classes=7.0), "num_classes: .* got 7.0"),
        (lambda: zoo.build("small_cnn", seed=-1), "seed: .* got -1"),
    ],
)
def test_what_cannot_be_built_is_refused_with_the_reason(call, match):
    with pytest.raises(OptionError, match=match) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "shape", "layer"),
    [
        ("vgg16_bn", (31, 48, 1), "images of 31x48 are too small: .* at layer pool5"),
        ("avgpool_cnn", (48, 16, 1), "images of 48x16 are too small: .* at layer conv4"),
        ("small_cnn", (7, 7, 1), "model small_cnn: images of 7x7 .* pool3; use larger ones"),
    ],
)
@pytest.mark.host
def test_images_that_vanish_are_refused_with_the_layer(name, shape, layer):
    with pytest.raises(ShapeError, match=layer):
        zoo.build(name, input_shape=shape)


def test_smallest_image_that_is_left_is_accepted():
    assert zoo.build("small_cnn", input_shape=(8, 8, 1)).eval()(images(1, 8, 8, 1)).shape == (1, 7)


@pytest.mark.parametrize(
    "shape", [(48, 48), (48, 48, 0), (48.0, 48, 1), 48, "48x48", (48, 48, True)]
)
def test_input_shape_that_is_none_is_refused(shape):
    with pytest.raises(ShapeError, match=r"expected \(H, W, C\) of one image, got"):
        zoo.build("small_cnn", input_shape=shape)
