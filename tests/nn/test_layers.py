"""Layers: each hands its arguments to its operation, and checks them when it is made."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn import backend
from minicnn.errors import OptionError, ShapeError
from minicnn.nn import activation, conv, dropout, embedding, linear, norm, pool, shape
from minicnn.ops import activation as activations
from minicnn.ops import conv as convolutions
from minicnn.ops import linalg
from minicnn.ops import norm as norms
from minicnn.ops import pool as pools
from minicnn.ops.softmax import log_softmax, softmax


def images(*sizes: int, seed: int = 0) -> minicnn.Tensor:
    return minicnn.tensor(np.random.default_rng(seed).standard_normal(sizes), dtype="float32")


# A layer, the shape of its input, what its operation gives, and the shape of its output.
CASES = [
    (
        lambda: linear.Linear(4, 3, rng=0),
        (2, 5, 4),
        lambda x, m: linalg.linear(x, m.weight, m.bias),
        (2, 5, 3),
    ),
    (
        lambda: linear.Linear(4, 3, bias=False, rng=0),
        (2, 4),
        lambda x, m: linalg.linear(x, m.weight),
        (2, 3),
    ),
    (
        lambda: conv.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), groups=2, rng=0),
        (2, 7, 6, 4),
        lambda x, m: convolutions.conv2d(
            x, m.weight, m.bias, stride=(2, 1), padding=(1, 0), groups=2
        ),
        (2, 4, 5, 6),
    ),
    (
        lambda: conv.Conv2d(2, 3, 3, padding="same", dilation=(1, 2), bias=False, rng=0),
        (1, 5, 6, 2),
        lambda x, m: convolutions.conv2d(x, m.weight, padding="same", dilation=(1, 2)),
        (1, 5, 6, 3),
    ),
    (
        lambda: conv.Conv2d(1, 2, 2, padding=((1, 0), (2, 1)), algorithm="im2col", rng=0),
        (1, 3, 3, 1),
        lambda x, m: convolutions.conv2d(x, m.weight, m.bias, padding=((1, 0), (2, 1))),
        (1, 3, 5, 2),
    ),
    (
        lambda: conv.ConvTranspose2d(
            4, 6, 3, stride=2, padding=(1, 0), output_padding=(1, 0), groups=2, dilation=2, rng=0
        ),
        (1, 3, 4, 4),
        lambda x, m: convolutions.conv_transpose2d(
            x,
            m.weight,
            m.bias,
            stride=2,
            padding=(1, 0),
            output_padding=(1, 0),
            groups=2,
            dilation=2,
        ),
        (1, 8, 11, 6),
    ),
    (
        lambda: pool.MaxPool2d((2, 3)),
        (2, 5, 6, 3),
        lambda x, m: pools.max_pool2d(x, (2, 3)),
        (2, 2, 2, 3),
    ),
    (
        lambda: pool.MaxPool2d(3, stride=(1, 2), padding=1, dilation=(1, 2)),
        (2, 6, 7, 3),
        lambda x, m: pools.max_pool2d(x, 3, (1, 2), 1, (1, 2)),
        (2, 6, 3, 3),
    ),
    (
        lambda: pool.AvgPool2d(2),
        (2, 5, 6, 3),
        lambda x, m: pools.avg_pool2d(x, 2),
        (2, 2, 3, 3),
    ),
    (
        lambda: pool.AvgPool2d(3, 2, padding="same", count_include_pad=False),
        (2, 5, 6, 3),
        lambda x, m: pools.avg_pool2d(x, 3, 2, "same", count_include_pad=False),
        (2, 3, 3, 3),
    ),
    (
        lambda: pool.AdaptiveAvgPool2d((2, 3)),
        (2, 5, 7, 3),
        lambda x, m: pools.adaptive_avg_pool2d(x, (2, 3)),
        (2, 2, 3, 3),
    ),
    (pool.GlobalAvgPool2d, (2, 5, 7, 3), lambda x, m: x.mean(axis=(1, 2)), (2, 3)),
    (pool.GlobalMaxPool2d, (2, 5, 7, 3), lambda x, m: x.max(axis=(1, 2)), (2, 3)),
    (
        lambda: norm.LayerNorm((2, 3), eps=0.1),
        (4, 2, 3),
        lambda x, m: norms.layer_norm(x, (2, 3), m.weight, m.bias, eps=0.1),
        (4, 2, 3),
    ),
    (
        lambda: norm.GroupNorm(2, 6, eps=0.1),
        (2, 3, 3, 6),
        lambda x, m: norms.group_norm(x, 2, m.weight, m.bias, eps=0.1),
        (2, 3, 3, 6),
    ),
    (activation.ReLU, (3, 4), lambda x, m: activations.relu(x), (3, 4)),
    (activation.LeakyReLU, (3, 4), lambda x, m: activations.leaky_relu(x, 0.01), (3, 4)),
    (
        lambda: activation.LeakyReLU(0.5),
        (3, 4),
        lambda x, m: activations.leaky_relu(x, 0.5),
        (3, 4),
    ),
    (activation.ELU, (3, 4), lambda x, m: activations.elu(x, 1.0), (3, 4)),
    (lambda: activation.ELU(0.3), (3, 4), lambda x, m: activations.elu(x, 0.3), (3, 4)),
    (activation.GELU, (3, 4), lambda x, m: activations.gelu(x, "none"), (3, 4)),
    (lambda: activation.GELU("tanh"), (3, 4), lambda x, m: activations.gelu(x, "tanh"), (3, 4)),
    (activation.SiLU, (3, 4), lambda x, m: activations.silu(x), (3, 4)),
    (activation.Sigmoid, (3, 4), lambda x, m: activations.sigmoid(x), (3, 4)),
    (activation.Tanh, (3, 4), lambda x, m: activations.tanh(x), (3, 4)),
    (lambda: activation.Softplus(2.0), (3, 4), lambda x, m: activations.softplus(x, 2.0), (3, 4)),
    (activation.Softmax, (3, 4), lambda x, m: softmax(x, -1), (3, 4)),
    (lambda: activation.Softmax(dim=0), (3, 4), lambda x, m: softmax(x, 0), (3, 4)),
    (
        lambda: activation.LogSoftmax(dim=0),
        (3, 4),
        lambda x, m: log_softmax(x, 0),
        (3, 4),
    ),
    (shape.Identity, (3, 4), lambda x, m: x, (3, 4)),
    (shape.Flatten, (2, 3, 4, 5), lambda x, m: x.reshape(2, 60), (2, 60)),
    (lambda: shape.Flatten(0, 1), (2, 3, 4), lambda x, m: x.reshape(6, 4), (6, 4)),
    (
        lambda: shape.Unflatten(-2, (2, -1)),
        (2, 6, 5),
        lambda x, m: x.reshape(2, 2, 3, 5),
        (2, 2, 3, 5),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case[0]()))
def test_a_layer_gives_what_its_operation_gives(case):
    make, sizes, expected, output_shape = case
    layer = make()
    x = images(*sizes)
    y = layer(x)
    assert y.shape == output_shape
    np.testing.assert_array_equal(y.numpy(), expected(x, layer).numpy())
    layer.eval()
    np.testing.assert_array_equal(layer(x).numpy(), y.numpy())


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case[0]()))
def test_every_parameter_of_a_layer_gets_a_gradient(case):
    make, sizes, _, _ = case
    layer = make()
    y = layer(images(*sizes))
    if list(layer.parameters()):
        y.backward(images(*y.shape, seed=1))
    assert all(np.abs(each.grad.numpy()).max() > 0 for each in layer.parameters())


# -- batch normalisation ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [(norm.BatchNorm1d, (6, 3)), (norm.BatchNorm1d, (4, 2, 3)), (norm.BatchNorm2d, (2, 3, 2, 3))],
)
def test_batch_norm_goes_by_the_batch_in_training_and_by_the_running_statistics_after(kind, sizes):
    layer = kind(3, eps=0.1, momentum=0.25)
    with minicnn.no_grad():
        layer.weight.copy_([1.0, 2.0, 3.0])
        layer.bias.copy_([0.0, 1.0, 0.0])
    x = images(*sizes)
    rows = x.numpy().reshape(-1, 3).astype(np.float64)
    scale, shift = np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 0.0])
    expected = (rows - rows.mean(0)) / np.sqrt(rows.var(0) + 0.1) * scale + shift
    np.testing.assert_allclose(layer(x).numpy().reshape(-1, 3), expected, rtol=1e-4, atol=1e-5)
    mean, variance = 0.25 * rows.mean(0), 0.75 + 0.25 * rows.var(0, ddof=1)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(layer.running_var.numpy(), variance, rtol=1e-4)
    layer.eval()
    expected = (rows - mean) / np.sqrt(variance + 0.1) * scale + shift
    np.testing.assert_allclose(layer(x).numpy().reshape(-1, 3), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-4, atol=1e-6)


def test_batch_norm_can_follow_the_biased_variance():
    layer = norm.BatchNorm1d(2, momentum=1.0, unbiased_running=False)
    x = images(5, 2)
    layer(x)
    np.testing.assert_allclose(layer.running_var.numpy(), x.numpy().var(0), rtol=1e-5)


def test_batch_norm_without_running_statistics_goes_by_the_batch_in_evaluation():
    layer = norm.BatchNorm1d(2, affine=False, track_running_stats=False).eval()
    assert layer.state_dict() == {}
    x = images(5, 2)
    rows = x.numpy()
    expected = (rows - rows.mean(0)) / np.sqrt(rows.var(0) + 1e-5)
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_batch_norm_starts_with_pytorchs_values_and_counts_as_published():
    layer = norm.BatchNorm2d(4)
    assert (layer.eps, layer.momentum) == (1e-5, 0.1)
    state = {name: backend.to_numpy(each).tolist() for name, each in layer.state_dict().items()}
    ones, zeros = [1] * 4, [0] * 4
    assert state == {
        "weight": ones,
        "bias": zeros,
        "running_mean": zeros,
        "running_var": ones,
    }
    assert layer.num_parameters() == 8 and layer.num_parameters(buffers=True) == 16


@pytest.mark.parametrize(
    ("layer", "sizes", "match"),
    [
        (norm.BatchNorm1d, (2, 3, 3, 4), r"BatchNorm1d: expected an input \(N, 4\) or \(N, L, 4\)"),
        (norm.BatchNorm2d, (2, 4), r"BatchNorm2d: expected an input \(N, H, W, 4\), got \(2, 4\)"),
        (norm.BatchNorm2d, (2, 3, 3, 5), r"BatchNorm2d: .*got \(2, 3, 3, 5\)"),
    ],
)
def test_batch_norm_refuses_inputs_of_another_layout(layer, sizes, match):
    with pytest.raises(ShapeError, match=match):
        layer(4)(images(*sizes))


# -- dropout, embedding, padding -------------------------------------------------------------------


def test_dropout_draws_from_its_own_generator_in_training_only():
    one, same, other = (dropout.Dropout(0.5, rng=seed) for seed in (7, 7, 8))
    x = minicnn.tensor(np.ones((20, 20), np.float32))
    y = one(x).numpy()
    assert set(np.unique(y)) == {0, 2}
    np.testing.assert_array_equal(y, same(x).numpy())
    assert not np.array_equal(y, other(x).numpy())
    assert not np.array_equal(y, one(x).numpy())
    state = one.rng.bit_generator.state
    np.testing.assert_array_equal(one.eval()(x).numpy(), x.numpy())
    assert one.rng.bit_generator.state == state


def test_dropout2d_drops_whole_channels():
    y = dropout.Dropout2d(0.5, rng=0)(minicnn.tensor(np.ones((6, 3, 4, 8), np.float32))).numpy()
    first = y[:, :1, :1]
    assert set(np.unique(first)) == {0, 2}
    np.testing.assert_array_equal(y, np.broadcast_to(first, y.shape))
    x = images(2, 3, 3, 4)
    np.testing.assert_array_equal(dropout.Dropout2d(0.5, rng=0).eval()(x).numpy(), x.numpy())


def test_an_embedding_looks_up_rows():
    layer = embedding.Embedding(5, 3, rng=0)
    found = layer(minicnn.tensor([[4, 0], [4, 4]]))
    np.testing.assert_array_equal(found.numpy(), layer.weight.numpy()[[[4, 0], [4, 4]]])


def test_zero_padding_takes_pytorchs_order_of_the_sides():
    y = shape.ZeroPad2d((1, 2, 3, 4))(images(2, 5, 6, 3)).numpy()
    assert y.shape == (2, 12, 9, 3)
    np.testing.assert_array_equal(y[:, 3:8, 1:7], images(2, 5, 6, 3).numpy())
    assert np.count_nonzero(y) == 2 * 5 * 6 * 3
    assert shape.ZeroPad2d(1)(images(1, 2, 2, 1)).shape == (1, 4, 4, 1)


# -- what constructors refuse ----------------------------------------------------------------------

REFUSED = [
    (lambda: linear.Linear(0, 3), "in_features: expected an integer of 1 or more, got 0"),
    (lambda: linear.Linear(3, -1), "out_features: .*got -1"),
    (lambda: linear.Linear(3, 2.0), r"out_features: .*got 2\.0"),
    (lambda: linear.Linear(True, 2), "in_features: .*got True"),
    (lambda: linear.Linear(2, 2, rng="x"), "rng: "),
    (lambda: conv.Conv2d(0, 3, 3), "in_channels"),
    (lambda: conv.Conv2d(3, 3, 0), "kernel_size: must be 1 or more, got 0"),
    (lambda: conv.Conv2d(3, 3, (3, 3, 3)), "kernel_size: expected an integer or two"),
    (lambda: conv.Conv2d(3, 3, 3, stride=0), "stride"),
    (lambda: conv.Conv2d(3, 3, 3, dilation=-1), "dilation"),
    (lambda: conv.Conv2d(3, 3, 3, padding=-1), "padding: must be 0 or more, got -1"),
    (
        lambda: conv.Conv2d(3, 3, 3, padding="reflect"),
        "padding: .*'same' or 'valid', got 'reflect'",
    ),
    (lambda: conv.Conv2d(3, 4, 3, groups=2), "in_channels: 3 cannot be split into groups=2"),
    (lambda: conv.Conv2d(4, 3, 3, groups=2), "out_channels: 3 cannot be split into groups=2"),
    (lambda: conv.Conv2d(4, 4, 3, groups=0), "groups: expected an integer of 1 or more, got 0"),
    (
        lambda: conv.Conv2d(4, 4, 3, algorithm="magic"),
        "algorithm: 'magic' is unknown; choose .*auto",
    ),
    (lambda: conv.ConvTranspose2d(3, 4, 3, groups=2), "in_channels: 3 cannot"),
    (lambda: conv.ConvTranspose2d(3, 3, 3, padding="same"), "padding: .*numbers, got 'same'"),
    (lambda: conv.ConvTranspose2d(3, 3, 3, stride=2, output_padding=2), "output_padding: 2 must"),
    (lambda: conv.ConvTranspose2d(3, 3, 3, output_padding=-1), "output_padding: .*-1"),
    (lambda: pool.MaxPool2d(0), "kernel_size"),
    (lambda: pool.MaxPool2d(2, stride=0), "stride"),
    (lambda: pool.MaxPool2d(2, padding=2), "padding: .*half of the kernel"),
    (lambda: pool.MaxPool2d(2, dilation=0), "dilation"),
    (lambda: pool.AvgPool2d(3, padding=2), "padding: .*half of the kernel"),
    (lambda: pool.AdaptiveAvgPool2d(0), "output_size"),
    (lambda: norm.BatchNorm2d(0), "num_features"),
    (lambda: norm.BatchNorm1d(3, eps=-1), "eps: expected a number of 0 or more, got -1"),
    (lambda: norm.BatchNorm1d(3, momentum=1.5), "momentum: expected a number from 0 to 1, got 1.5"),
    (lambda: norm.BatchNorm1d(3, momentum=None), "momentum: .*None"),
    (lambda: norm.LayerNorm((2, 0)), "normalized_shape: .*got 0"),
    (lambda: norm.GroupNorm(4, 6), "num_channels: 6 cannot be split into num_groups=4 equal parts"),
    (lambda: dropout.Dropout(1.5), "p: expected a number from 0 to 1, got 1.5"),
    (lambda: dropout.Dropout2d(-0.1), "p: .*-0.1"),
    (lambda: dropout.Dropout(float("nan")), "p: .*nan"),
    (lambda: dropout.Dropout("0.5"), "p: .*'0.5'"),
    (lambda: embedding.Embedding(0, 3), "num_embeddings"),
    (lambda: activation.LeakyReLU("steep"), "negative_slope: expected a number, got 'steep'"),
    (lambda: activation.GELU("erf"), "approximate: 'erf' is unknown; choose one of none, tanh"),
    (lambda: activation.Softplus(0), "beta: must be above 0"),
    (lambda: shape.Unflatten(1, (2, 0)), "unflattened_size: .*got 0"),
    (lambda: shape.ZeroPad2d((1, 2)), r"padding: expected a number or \(left"),
    (lambda: shape.ZeroPad2d(-1), "padding: must be 0 or more"),
]


@pytest.mark.parametrize(("make", "match"), REFUSED, ids=[match for _, match in REFUSED])
def test_constructors_refuse_what_cannot_work(make, match):
    with pytest.raises(OptionError, match=match):
        make()


@pytest.mark.parametrize(
    ("layer", "sizes", "match"),
    [
        (lambda: shape.Unflatten(3, (2, 2)), (2, 4), r"axis 3 is out of range for shape \(2, 4\)"),
        (lambda: shape.ZeroPad2d(1), (2, 4), r"ZeroPad2d: .*\(N, H, W, C\), got \(2, 4\)"),
    ],
)
def test_layers_refuse_shapes_that_do_not_fit(layer, sizes, match):
    with pytest.raises(ShapeError, match=match):
        layer()(images(*sizes))


def test_repr_shows_what_a_layer_was_made_with():
    shown = [
        conv.Conv2d(1, 8, 3, padding="same"),
        conv.Conv2d(8, 8, (3, 1), (2, 1), 1, groups=8, bias=False, weight_init="he_normal"),
        conv.Conv2d(1, 1, 2, padding=((0, 1), (0, 1)), rng=0),
        conv.ConvTranspose2d(4, 2, 2, stride=2, output_padding=1),
        pool.MaxPool2d(2),
        pool.AvgPool2d(3, 2, 1, count_include_pad=False),
        pool.AdaptiveAvgPool2d((1, 2)),
        norm.BatchNorm2d(8, eps=1e-3, momentum=0.01),
        norm.LayerNorm(5, bias=False),
        norm.GroupNorm(2, 6, affine=False),
        activation.LeakyReLU(np.float32(0.5)),
        activation.Softmax(1),
        dropout.Dropout(0.25, rng=0),
        embedding.Embedding(10, 3),
        shape.Flatten(),
        shape.Unflatten(1, (2, 3)),
        shape.ZeroPad2d(2),
    ]
    assert [repr(each) for each in shown] == [
        "Conv2d(in_channels=1, out_channels=8, kernel_size=(3, 3), padding='same')",
        "Conv2d(in_channels=8, out_channels=8, kernel_size=(3, 1), stride=(2, 1), padding=(1, 1), "
        "groups=8, bias=False, weight_init='he_normal')",
        "Conv2d(in_channels=1, out_channels=1, kernel_size=(2, 2), padding=((0, 1), (0, 1)))",
        "ConvTranspose2d(in_channels=4, out_channels=2, kernel_size=(2, 2), stride=(2, 2), "
        "output_padding=(1, 1))",
        "MaxPool2d(kernel_size=(2, 2), stride=(2, 2))",
        "AvgPool2d(kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), count_include_pad=False)",
        "AdaptiveAvgPool2d(output_size=(1, 2))",
        "BatchNorm2d(num_features=8, eps=0.001, momentum=0.01)",
        "LayerNorm(normalized_shape=(5,), bias=False)",
        "GroupNorm(num_groups=2, num_channels=6, affine=False)",
        "LeakyReLU(negative_slope=0.5)",
        "Softmax(dim=1)",
        "Dropout(p=0.25)",
        "Embedding(num_embeddings=10, embedding_dim=3)",
        "Flatten()",
        "Unflatten(dim=1, unflattened_size=(2, 3))",
        "ZeroPad2d(padding=(2, 2, 2, 2))",
    ]
