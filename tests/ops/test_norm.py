"""Batch, layer and group norm: values of PyTorch, running statistics, sound sums, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import standin

import minicnn
from minicnn import backend
from minicnn.errors import DTypeError, OptionError, ShapeError
from minicnn.kernels import norm as kernels
from minicnn.ops import norm

WEIGHT = [0.5, 1.0, -2.0]
BIAS = [0.1, -0.2, 0.3]


def pattern(*shape: int) -> np.ndarray:
    """Return the numbers that PyTorch was given when the values below were recorded."""
    return (np.arange(np.prod(shape)) * 7 % 11 / 4 - 1).reshape(shape)


def gradient_pattern(*shape: int) -> np.ndarray:
    return (np.arange(np.prod(shape)) * 5 % 13 / 6 - 1).reshape(shape)


def parameter(values, dtype="float64"):
    return minicnn.tensor(values, dtype=dtype, requires_grad=True)


def constant(values, dtype="float64"):
    return minicnn.tensor(values, dtype=dtype)


# Batch norm in training.


def test_batch_norm_equals_recorded_pytorch():
    x, weight, bias = parameter(pattern(2, 2, 2, 3)), parameter(WEIGHT), parameter(BIAS)
    mean, variance = constant([0.5, 0.0, -1.0]), constant([1.0, 2.0, 0.5])
    y = norm.batch_norm(x, mean, variance, weight, bias, training=True, momentum=0.2, eps=1e-3)
    y.backward(constant(gradient_pattern(2, 2, 2, 3)))
    recorded_output = [
        [[0.24685364, -0.41788613, -2.42004387], [0.07902091, -0.85365838, -1.8760351]],
        [[-0.08881182, -1.28943063, -1.33202632], [-0.25664454, -1.72520288, -0.78801755]],
    ]
    recorded_gradient = [
        [[-0.40232926, -0.62797766, -1.17847101], [-0.50356673, 0.09097208, -1.99437684]],
        [[-0.24728832, 0.80992182, 1.90446003], [0.0089901, 1.52887155, 1.0885542]],
    ]
    np.testing.assert_allclose(y.numpy()[1], recorded_output, atol=2e-8)
    np.testing.assert_allclose(x.grad.numpy()[0], recorded_gradient, atol=2e-8)
    np.testing.assert_allclose(weight.grad.numpy(), [1.15384999, 1.45257417, 1.22401974], atol=2e-8)
    np.testing.assert_allclose(bias.grad.numpy(), [-5 / 6, -2 / 3, 5 / 3])
    np.testing.assert_allclose(mean.numpy(), [0.50625, -0.025, -0.75])
    np.testing.assert_allclose(variance.numpy(), [0.9265625, 1.675, 83 / 140])


@pytest.mark.parametrize("shape", [(7, 3), (3, 2, 4, 5), (2, 3, 2, 2, 2), (4, 5, 1)])
def test_batch_norm_gives_every_channel_mean_0_and_variance_1(shape, rng):
    y = norm.batch_norm(constant(rng.uniform(2, 5, shape)), training=True, eps=0.0).numpy()
    axes = tuple(range(len(shape) - 1))
    np.testing.assert_allclose(y.mean(axis=axes), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=axes), 1)


@pytest.mark.parametrize("shape", [(5, 2), (2, 2, 3, 2)])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_passes_gradcheck_and_gradgradcheck(shape, affine, rng):
    x = parameter(rng.standard_normal(shape))
    inputs = [x, parameter([1.5, -0.5]), parameter([0.3, 0.1])] if affine else [x]

    def function(x, weight=None, bias=None):
        return norm.batch_norm(x, None, None, weight, bias, training=True)

    assert minicnn.gradcheck(function, inputs)
    assert minicnn.gradgradcheck(function, inputs)


def test_batch_norm_of_a_strided_input_equals_that_of_its_copy(rng):
    values = rng.standard_normal((2, 3, 8, 6))
    strided = minicnn.Tensor(backend.asarray(values)[:, :, ::2, ::3], requires_grad=True)
    copied = parameter(values[:, :, ::2, ::3].copy())
    gy = constant(rng.standard_normal(strided.shape))
    for x in (strided, copied):
        norm.batch_norm(x, training=True).backward(gy)
    np.testing.assert_array_equal(strided.grad.numpy(), copied.grad.numpy())


@pytest.mark.parametrize("line", [1, 6, 4096])
@pytest.mark.parametrize("block", [1, 16, 2**16])
def test_sizes_of_lines_and_blocks_change_nothing(line, block, monkeypatch, rng):
    monkeypatch.setattr(kernels, "ELEMENTS_PER_LINE", line)
    monkeypatch.setattr(kernels, "ELEMENTS_PER_BLOCK", block)
    kernels._rows_per_line.cache_clear()
    values, g = rng.standard_normal((2, 13, 3, 2))  # 39 rows: 3 and 13 divide them
    x, weight, bias = parameter(values), parameter([2.0, 3.0]), parameter([1.0, 0.0])
    y = norm.batch_norm(x, None, None, weight, bias, training=True, eps=0.0)
    y.backward(constant(g))
    kernels._rows_per_line.cache_clear()
    normalised = (values - values.mean((0, 1))) / values.std((0, 1))
    np.testing.assert_allclose(y.numpy(), normalised * [2, 3] + [1, 0])
    gx = g - g.mean((0, 1)) - normalised * (g * normalised).mean((0, 1))
    np.testing.assert_allclose(x.grad.numpy(), gx * [2, 3] / values.std((0, 1)), atol=1e-12)
    np.testing.assert_allclose(weight.grad.numpy(), (g * normalised).sum((0, 1)))
    np.testing.assert_allclose(bias.grad.numpy(), g.sum((0, 1)))


def test_moments_are_sound_in_float32_far_from_zero(rng):
    values = (1e4 + rng.standard_normal((5000, 3))).astype("float32")
    mean, variance = kernels.moments(backend.asarray(values))
    exact = values.astype("float64")
    np.testing.assert_allclose(backend.to_numpy(mean), exact.mean(0), rtol=1e-9)
    np.testing.assert_allclose(backend.to_numpy(variance), exact.var(0), rtol=1e-5)


def test_batch_norm_in_float32_far_from_zero_equals_float64(rng):
    values = (1e4 + rng.standard_normal((500, 3))).astype("float32")
    g = rng.standard_normal(values.shape).astype("float32")
    results = []
    for dtype in ("float32", "float64"):
        x, weight = parameter(values, dtype), parameter([1, 2, 3], dtype)
        y = norm.batch_norm(x, None, None, weight, training=True)
        y.backward(constant(g, dtype))
        results.append((y.numpy(), x.grad.numpy(), weight.grad.numpy()))
    (y, gx, gw), (exact_y, exact_gx, exact_gw) = results
    # float32 has a spacing of 0.001 at 1e4, which the multiply-add passes on, times the weight.
    np.testing.assert_allclose(y, exact_y, atol=6e-3)
    np.testing.assert_allclose(gx, exact_gx, atol=1e-3)
    np.testing.assert_allclose(gw, exact_gw, rtol=1e-4, atol=1e-3)


def test_a_constant_channel_becomes_its_bias():
    x, bias = constant(np.full((4, 2), 3.7)), constant([0.25, -1.0])
    y = norm.batch_norm(x, bias=bias, training=True)
    np.testing.assert_allclose(y.numpy(), np.tile([0.25, -1.0], (4, 1)), atol=1e-9)


def test_batch_norm_derivatives_of_problem_sheet_2(rng):
    """The sheet's derivation, step by step, against the tape and against the single operation."""
    values, g = rng.standard_normal((2, 6, 3))
    gamma, beta, eps = rng.uniform(0.5, 2, 3), rng.standard_normal(3), 1e-3
    m = len(values)
    mu, variance = values.mean(0), values.var(0)
    deviation = np.sqrt(variance + eps)
    normalised = (values - mu) / deviation
    g_normalised = g * gamma
    g_variance = (g_normalised * (values - mu)).sum(0) * -0.5 * (variance + eps) ** -1.5
    g_mu = (-g_normalised / deviation).sum(0) + g_variance * (-2 * (values - mu)).mean(0)
    g_x = g_normalised / deviation + g_variance * 2 * (values - mu) / m + g_mu / m
    g_gamma, g_beta = (g * normalised).sum(0), g.sum(0)

    x, w, b = parameter(values), parameter(gamma), parameter(beta)
    t_mu = x.mean(axis=0)
    t_variance = ((x - t_mu) ** 2).mean(axis=0)
    t_normalised = (x - t_mu) / (t_variance + eps).sqrt()
    steps = (t_normalised, t_variance, t_mu)
    for step in steps:
        step.retain_grad()
    (t_normalised * w + b).backward(constant(g))
    taped = [each.grad.numpy() for each in (*steps, x, w, b)]
    expected = [g_normalised, g_variance, g_mu, g_x, g_gamma, g_beta]
    for found, wanted in zip(taped, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)

    x, w, b = parameter(values), parameter(gamma), parameter(beta)
    norm.batch_norm(x, None, None, w, b, training=True, eps=eps).backward(constant(g))
    for tensor, wanted in ((x, g_x), (w, g_gamma), (b, g_beta)):
        np.testing.assert_allclose(tensor.grad.numpy(), wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_an_input_without_gradient_leaves_the_others_theirs(frozen, rng):
    values = [rng.standard_normal((6, 2)), np.array([2.0, 3.0]), np.array([0.0, 1.0])]
    g = constant(rng.standard_normal((6, 2)))
    gradients = []
    for skipped in (None, frozen):
        inputs = [
            (constant if position == skipped else parameter)(value)
            for position, value in enumerate(values)
        ]
        norm.batch_norm(inputs[0], None, None, *inputs[1:], training=True).backward(g)
        gradients.append([each.grad for each in inputs])
    for position, (all_of_them, without) in enumerate(zip(*gradients, strict=True)):
        if position == frozen:
            assert without is None
        else:
            np.testing.assert_array_equal(without.numpy(), all_of_them.numpy())


# Running statistics and evaluation.


@pytest.mark.parametrize(("unbiased", "divisor"), [(True, 5), (False, 6)])
def test_running_variance_is_unbiased_unless_chosen_otherwise(unbiased, divisor, rng):
    values = rng.standard_normal((6, 2))
    mean, variance = constant([0.0, 1.0]), constant([1.0, 2.0])
    norm.batch_norm(
        constant(values), mean, variance, training=True, momentum=0.3, unbiased_running=unbiased
    )
    np.testing.assert_allclose(mean.numpy(), 0.7 * np.array([0, 1]) + 0.3 * values.mean(0))
    of_batch = ((values - values.mean(0)) ** 2).sum(0) / divisor
    np.testing.assert_allclose(variance.numpy(), 0.7 * np.array([1, 2]) + 0.3 * of_batch)


def test_running_statistics_are_changed_in_place_arrays_as_well(rng):
    mean, variance = backend.asarray(np.zeros(2, "float32")), backend.asarray(np.ones(2, "float32"))
    norm.batch_norm(constant(rng.standard_normal((6, 2)), "float32"), mean, variance, training=True)
    assert np.all(backend.to_numpy(mean) != 0)
    assert np.all(backend.to_numpy(variance) != 1)


def test_running_statistics_move_without_a_tape(rng):
    mean, variance = constant(np.zeros(2)), constant(np.ones(2))
    with minicnn.no_grad():
        norm.batch_norm(parameter(rng.standard_normal((6, 2))), mean, variance, training=True)
    assert np.all(mean.numpy() != 0)


def test_the_tape_sees_that_running_statistics_changed(rng):
    mean, variance = constant(np.zeros(2)), constant(np.ones(2))
    x = parameter(rng.standard_normal((6, 2)))
    product = x * mean
    norm.batch_norm(x, mean, variance, training=True)
    with pytest.raises(minicnn.errors.GradientError, match="changed in place"):
        product.sum().backward()


def test_evaluation_uses_running_statistics_and_leaves_them(rng):
    values = rng.standard_normal((2, 3, 2))
    mean, variance = constant([0.5, -1.0]), constant([2.0, 3.0])
    y = norm.batch_norm(
        constant(values), mean, variance, constant([2.0, 3.0]), constant([0.0, 1.0]), eps=0.5
    )
    expected = (values - [0.5, -1.0]) / np.sqrt([2.5, 3.5]) * [2.0, 3.0] + [0.0, 1.0]
    np.testing.assert_allclose(y.numpy(), expected)
    np.testing.assert_array_equal(mean.numpy(), [0.5, -1.0])
    np.testing.assert_array_equal(variance.numpy(), [2.0, 3.0])


@pytest.mark.parametrize("affine", [True, False])
def test_evaluation_passes_gradcheck_and_gradgradcheck(affine, rng):
    x = parameter(rng.standard_normal((3, 2, 2)))
    inputs = [x, parameter([1.5, -0.5]), parameter([0.3, 0.1])] if affine else [x]
    mean, variance = constant([0.5, -1.0]), constant([2.0, 3.0])

    def function(x, weight=None, bias=None):
        return norm.batch_norm(x, mean, variance, weight, bias)

    assert minicnn.gradcheck(function, inputs)
    assert minicnn.gradgradcheck(function, inputs)


def test_evaluation_takes_a_single_value_and_an_empty_batch():
    mean, variance = constant([0.5, -1.0]), constant([2.0, 3.0])
    assert norm.batch_norm(constant(np.ones((1, 2))), mean, variance).shape == (1, 2)
    x, weight = parameter(np.ones((0, 2))), parameter([1.0, 2.0])
    norm.batch_norm(x, mean, variance, weight).sum().backward()
    assert x.grad.shape == (0, 2)
    np.testing.assert_array_equal(weight.grad.numpy(), [0, 0])


def test_batch_norm_moves_nothing_between_host_and_device(rng):
    x = parameter(rng.standard_normal((4, 3, 3, 2)), "float32")
    weight, bias = parameter([1, 2], "float32"), parameter([0, 1], "float32")
    mean, variance = constant([0, 0], "float32"), constant([1, 1], "float32")
    gy = constant(rng.standard_normal(x.shape), "float32")
    with standin.no_transfers():
        norm.batch_norm(x, mean, variance, weight, bias, training=True).backward(gy)
        norm.batch_norm(x, mean, variance, weight, bias).backward(gy)
        norm.group_norm(x, 2, weight, bias).backward(gy)
        norm.layer_norm(x, 2, weight, bias).backward(gy)


TRAINING = {"training": True}
ONES = np.ones((4, 3))


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "match"),
    [
        ((np.ones((1, 3)),), TRAINING, ShapeError, "more than one value"),
        ((np.ones((1, 1, 1, 3)),), TRAINING, ShapeError, r"\(1, 1, 1, 3\)"),
        ((np.ones(3),), TRAINING, ShapeError, "channels"),
        ((ONES,), {}, OptionError, "running_mean"),
        ((ONES, np.ones(3)), TRAINING, OptionError, "both"),
        ((ONES, np.ones(2), np.ones(3)), {}, ShapeError, r"running_mean.*\(3,\).*\(2,\)"),
        ((ONES, np.ones(3), np.ones((1, 3))), {}, ShapeError, "running_var"),
        ((ONES, np.ones(3), np.ones(3), np.ones(4)), {}, ShapeError, "weight"),
        ((ONES, None, None, None, np.ones(4)), TRAINING, ShapeError, "bias"),
        ((ONES.astype("int64"),), TRAINING, DTypeError, "astype"),
        ((ONES, None, None, np.ones(3, "float32")), TRAINING, DTypeError, "mixed"),
        ((ONES.astype("float32"), np.ones(3), np.ones(3)), {}, DTypeError, "mixed"),
    ],
)
def test_batch_norm_refuses(arguments, keywords, error, match):
    arguments = [None if each is None else minicnn.tensor(each) for each in arguments]
    with pytest.raises(error, match=match) as caught:
        norm.batch_norm(*arguments, **keywords)
    assert "\n" not in str(caught.value)


@pytest.mark.standin
def test_running_statistics_of_the_other_backend_are_refused():
    with pytest.raises(minicnn.errors.BackendError, match="NumPy and CuPy"):
        norm.batch_norm(constant(np.ones((4, 3))), np.zeros(3), np.ones(3), training=True)


# Layer, group and instance norm.


def test_layer_norm_equals_recorded_pytorch():
    x, weight = parameter(pattern(2, 2, 3)), parameter(pattern(2, 3) + 1.5)
    bias = parameter(pattern(2, 3))
    y = norm.layer_norm(x, (2, 3), weight, bias, eps=1e-3)
    y.backward(constant(gradient_pattern(2, 2, 3)))
    output = [
        [[-1.69603003, 2.31606757, -0.87145538], [6.27277735, 1.29546289, -1.29546289]],
        [[-0.31951358, 1.09024321, -1.57316805], [4.67560331, 0.19756159, -1.86097285]],
    ]
    gradient = [
        [[-1.51434958, 0.22272316, 0.75711482], [-1.03567902, 0.84105628, 0.72913434]],
        [[-0.82463549, 1.09759153, -1.16391278], [-0.53310274, 1.8427819, -0.41872241]],
    ]
    weight_gradient = [
        [0.93840244, -0.0403954, 0.55066916],
        [-1.06061719, -0.05972743, -0.11497647],
    ]
    np.testing.assert_allclose(y.numpy(), output, atol=2e-8)
    np.testing.assert_allclose(x.grad.numpy(), gradient, atol=2e-8)
    np.testing.assert_allclose(weight.grad.numpy(), weight_gradient, atol=2e-8)
    np.testing.assert_allclose(bias.grad.numpy(), gradient_pattern(2, 2, 3).sum(0))


def test_group_norm_equals_recorded_pytorch():
    y = norm.group_norm(constant(pattern(2, 2, 2, 4)), 2, eps=1e-3)
    recorded = [
        [
            [-1.46174175, 0.9458329, 0.42992404, -0.9458329],
            [0.60189366, -0.77386328, -1.28977213, 1.11780252],
        ],
        [
            [-1.11780252, 1.28977213, 0.77386328, -0.60189366],
            [0.9458329, -0.42992404, -0.9458329, 1.46174175],
        ],
    ]
    np.testing.assert_allclose(y.numpy()[1], recorded, atol=2e-8)


def test_group_norm_normalises_each_group_of_neighbouring_channels(rng):
    values = rng.uniform(2, 5, (2, 3, 3, 6))
    y = norm.group_norm(constant(values), 3, eps=0.0).numpy()
    for sample in range(2):
        for start in (0, 2, 4):
            group = values[sample, :, :, start : start + 2]
            np.testing.assert_allclose(
                y[sample, :, :, start : start + 2], (group - group.mean()) / group.std()
            )


def test_instance_norm_normalises_each_channel_of_each_sample(rng):
    values = rng.uniform(2, 5, (2, 3, 3, 4))
    y = norm.instance_norm(constant(values), constant([1.0, 2, 3, 4]), eps=0.0).numpy()
    expected = (values - values.mean((1, 2), keepdims=True)) / values.std((1, 2), keepdims=True)
    np.testing.assert_allclose(y, expected * [1, 2, 3, 4])


def test_group_norm_of_vectors_is_layer_norm_of_their_groups(rng):
    values = rng.standard_normal((3, 6))
    grouped = norm.group_norm(constant(values), 2).numpy()
    np.testing.assert_allclose(
        grouped.reshape(3, 2, 3), norm.layer_norm(constant(values.reshape(3, 2, 3)), 3).numpy()
    )


@pytest.mark.parametrize("given", ["both", "weight", "bias", "none"])
def test_layer_and_group_norm_pass_gradcheck_and_gradgradcheck(given, rng):
    x = parameter(rng.standard_normal((2, 2, 4)))
    weight = parameter([1.5, -0.5, 1.0, 2.0]) if given in ("both", "weight") else None
    bias = parameter([0.3, 0.1, 0.0, 1.0]) if given in ("both", "bias") else None
    for function in (
        lambda x, weight, bias: norm.group_norm(x, 2, weight, bias),
        lambda x, weight, bias: norm.layer_norm(x, 4, weight, bias),
    ):
        assert minicnn.gradcheck(function, [x, weight, bias])
        assert minicnn.gradgradcheck(function, [x, weight, bias])


@pytest.mark.parametrize(
    ("shape", "function"),
    [
        ((4, 1000), lambda x: norm.layer_norm(x, 1000)),
        ((2, 30, 30, 8), lambda x: norm.group_norm(x, 2)),
    ],
)
def test_layer_and_group_norm_are_sound_in_float32_far_from_zero(shape, function, rng):
    values = (1e4 + rng.standard_normal(shape)).astype("float32")
    found = function(constant(values, "float32")).numpy()
    np.testing.assert_allclose(found, function(constant(values)).numpy(), atol=5e-3)


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda x: norm.layer_norm(x, 4), "normalized_shape"),
        (lambda x: norm.layer_norm(x, ()), "normalized_shape"),
        (lambda x: norm.layer_norm(x, (1, 1, 2, 3, 6)), "normalized_shape"),
        (lambda x: norm.layer_norm(x, 6, constant(np.ones(3))), r"weight.*\(6,\).*\(3,\)"),
        (lambda x: norm.layer_norm(x, (3, 6), None, constant(np.ones(6))), "bias"),
        (lambda x: norm.group_norm(x, 4), "6 channels"),
        (lambda x: norm.group_norm(x, 0), "0 equal groups"),
        (lambda x: norm.group_norm(x, 2, constant(np.ones(2))), "weight"),
        (lambda x: norm.group_norm(x[0, 0, 0], 2), "channels"),
        (lambda x: norm.instance_norm(x[:, :1, :1]), "more than one value"),
    ],
)
def test_layer_and_group_norm_refuse(function, match):
    x = constant(np.ones((2, 2, 3, 6)))
    with pytest.raises(ShapeError, match=match) as caught:
        function(x)
    assert "\n" not in str(caught.value)


# Half precision, whose sums are made in float32.


@pytest.mark.parametrize("middle", [0, 3, 100])
def test_normalising_many_numbers_of_half_precision(middle, rng):
    x = (rng.standard_normal((4, 40, 40, 8)) + middle).astype("float16")
    wide = minicnn.tensor(x.astype("float64"))
    half = minicnn.tensor(x)
    for normalise in (
        lambda each: norm.batch_norm(each, training=True),
        lambda each: norm.group_norm(each, 2),
        lambda each: norm.layer_norm(each, each.shape[1:]),
    ):
        found = normalise(half)
        assert found.dtype == "float16"
        # A mean of 100 takes up six of the eleven bits; batch norm multiplies before it subtracts.
        bound = 0.1 if middle == 100 else 0.01
        difference = found.numpy().astype("float64") - normalise(wide).numpy()
        assert np.abs(difference).max() < bound


@pytest.mark.host
def test_channel_sums_of_few_channels_lose_no_digits():
    x = np.full((8000, 2), 0.1, np.float32)  # one by one, the last ones would lose 6e-5 of the sum
    expected = x.sum(axis=0, dtype=np.float64)
    np.testing.assert_allclose(kernels.channel_sums(x), expected, rtol=2e-5)


@pytest.mark.parametrize("shape", [(8, 48, 48, 3), (100, 3)])  # by shares, and at once
def test_channel_sums_of_half_precision(shape):
    x = backend.asarray(np.ones(shape, "float16"))
    sums = kernels.channel_sums(x)
    assert sums.dtype == "float16"
    assert backend.to_numpy(sums).tolist() == [math.prod(shape[:-1])] * 3
