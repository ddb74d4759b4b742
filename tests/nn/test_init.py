"""Initialisers: their distributions against the formulas, and how layers use them."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest

from minicnn import backend
from minicnn.errors import OptionError, ShapeError
from minicnn.nn import init
from minicnn.nn.conv import Conv2d, ConvTranspose2d
from minicnn.nn.embedding import Embedding
from minicnn.nn.linear import Linear

DENSE = (200, 300)
FILTERS = (3, 5, 40, 50)  # fan in 600, fan out 750


def half_width(values: np.ndarray) -> float:
    # For even draws from -b to b: the largest comes near b, the deviation near b / sqrt(3).
    bound = np.abs(values).max()
    assert values.std() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert abs(values.mean()) < 0.02 * bound
    return float(bound)


@pytest.mark.host
def test_fans_count_the_receptive_field():
    assert init.fans((200, 300)) == (200, 300)
    assert init.fans(FILTERS) == (3 * 5 * 40, 3 * 5 * 50)
    assert init.fans((3, 3, 1, 8)) == (9, 72)  # depthwise: a filter sees one channel
    with pytest.raises(ShapeError, match=r"fans: .*got \(3,\)"):
        init.fans((3,))


@pytest.mark.host
@pytest.mark.parametrize(
    ("name", "param", "gain"),
    [
        ("linear", None, 1),
        ("conv2d", None, 1),
        ("sigmoid", None, 1),
        ("tanh", None, 5 / 3),
        ("relu", None, 2**0.5),
        ("leaky_relu", None, (2 / 1.0001) ** 0.5),
        ("leaky_relu", 0.5, 1.6**0.5),
        ("leaky_relu", 0, 2**0.5),
        ("selu", None, 0.75),
    ],
)
def test_gains(name, param, gain):
    assert init.calculate_gain(name, param) == pytest.approx(gain)


@pytest.mark.host
@pytest.mark.parametrize(
    ("initialise", "shape", "bound"),
    [
        (init.kaiming_uniform, DENSE, (6 / 200) ** 0.5),
        (functools.partial(init.kaiming_uniform, mode="fan_out"), FILTERS, (6 / 750) ** 0.5),
        (functools.partial(init.kaiming_uniform, a=0.5), FILTERS, (3 * 1.6 / 600) ** 0.5),
        (functools.partial(init.kaiming_uniform, nonlinearity="tanh"), DENSE, 5 / 3 * 0.015**0.5),
        (functools.partial(init.kaiming_uniform, a=5**0.5), FILTERS, 1 / 600**0.5),
        (init.fan_in_uniform, FILTERS, 1 / 600**0.5),
        (init.xavier_uniform, FILTERS, (6 / 1350) ** 0.5),
        (functools.partial(init.xavier_uniform, gain=2), DENSE, 2 * (6 / 500) ** 0.5),
        (init.glorot_uniform, DENSE, (6 / 500) ** 0.5),
        (init.he_uniform, DENSE, (6 / 200) ** 0.5),
        (init.lecun_uniform, DENSE, (3 / 200) ** 0.5),
    ],
)
def test_even_draws_reach_the_bound_of_the_formula(initialise, shape, bound):
    values = initialise(shape, 0)
    assert values.shape == shape
    assert np.abs(values).max() <= bound * (1 + 1e-6)
    assert half_width(values) == pytest.approx(bound, rel=1e-3)


@pytest.mark.host
@pytest.mark.parametrize(
    ("initialise", "shape", "deviation"),
    [
        (init.kaiming_normal, DENSE, (2 / 200) ** 0.5),
        (functools.partial(init.kaiming_normal, mode="fan_out"), FILTERS, (2 / 750) ** 0.5),
        (init.xavier_normal, FILTERS, (2 / 1350) ** 0.5),
        (functools.partial(init.xavier_normal, gain=3), DENSE, 3 * (2 / 500) ** 0.5),
        (functools.partial(init.normal, std=0.3), DENSE, 0.3),
    ],
)
def test_normal_draws_have_the_deviation_of_the_formula_and_long_tails(
    initialise, shape, deviation
):
    values = initialise(shape, 0)
    assert values.std() == pytest.approx(deviation, rel=0.02)
    assert abs(values.mean()) < 0.02 * deviation
    assert np.abs(values).max() > 3.5 * deviation


@pytest.mark.host
@pytest.mark.parametrize(
    ("initialise", "shape", "deviation"),
    [
        (init.he_normal, DENSE, (2 / 200) ** 0.5),
        (init.lecun_normal, FILTERS, (1 / 600) ** 0.5),
        (init.glorot_normal, FILTERS, (2 / 1350) ** 0.5),
    ],
)
def test_keras_normals_are_cut_and_widened_to_keep_the_variance(initialise, shape, deviation):
    values = initialise(shape, 0)
    assert values.std() == pytest.approx(deviation, rel=0.02)
    cut = 2 * deviation / 0.87962566103423978
    assert 0.99 * cut < np.abs(values).max() <= cut * (1 + 1e-6)


@pytest.mark.host
def test_the_deviation_of_a_cut_normal_is_that_of_the_integral():
    density = math.exp(-2) / math.sqrt(2 * math.pi)
    inside = math.erf(2 / math.sqrt(2))
    assert math.sqrt(1 - 4 * density / inside) == pytest.approx(init.TRUNCATED_DEVIATION, rel=1e-14)
    values = init.truncated_normal(DENSE, 0, mean=5.0, std=2.0)
    assert 1.0 <= values.min() < 1.05 and 8.95 < values.max() <= 9.0
    assert values.std() == pytest.approx(2 * init.TRUNCATED_DEVIATION, rel=0.02)


@pytest.mark.host
@pytest.mark.parametrize("shape", [(8, 5), (5, 8), (6, 6), (2, 3, 4, 10), (3, 3, 1, 20)])
def test_orthogonal_rows_or_columns_have_the_length_of_the_gain(shape):
    matrix = init.orthogonal(shape, 0, gain=1.5, dtype=np.float64).reshape(-1, shape[-1])
    small = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(small, 1.5**2 * np.eye(len(small)), atol=1e-12)


@pytest.mark.host
def test_orthogonal_draws_prefer_no_direction():
    # Without the change of signs, QR gives a first entry below 0 every time.
    first = [init.orthogonal((3, 3), seed)[0, 0] for seed in range(200)]
    assert 70 < np.sum(np.array(first) > 0) < 130


@pytest.mark.host
def test_constants_are_filled_in():
    assert (init.zeros((2, 3)) == 0).all() and (init.ones((2, 3)) == 1).all()
    assert (init.constant((2,), value=0.25) == 0.25).all()
    low = init.uniform((1000,), 0, low=2, high=3)
    assert 2 <= low.min() < 2.01 and 2.99 < low.max() <= 3


RANDOM = [name for name in init.INITIALIZERS if name not in ("zeros", "ones")]


@pytest.mark.host
@pytest.mark.parametrize("name", RANDOM)
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(name):
    function = init.INITIALIZERS[name]
    first = function((4, 5), 3)
    assert first.dtype == np.float32
    assert first.tobytes() == function((4, 5), np.random.default_rng(3)).tobytes()
    assert first.tobytes() != function((4, 5), 4).tobytes()
    assert function((4, 5), 3, dtype="float64").dtype == np.float64


@pytest.mark.host
@pytest.mark.parametrize("name", sorted(init.INITIALIZERS))
def test_given_fans_take_the_place_of_the_shapes(name):
    function = init.INITIALIZERS[name]
    scaled = name.partition("_")[0] in ("kaiming", "xavier", "glorot", "he", "lecun", "fan")
    usual, wide = function((4, 5), 0, 4, 5), function((4, 5), 0, 400, 500)
    np.testing.assert_allclose(wide, usual / 10 if scaled else usual, rtol=1e-5)


@pytest.mark.host
@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: init.kaiming_normal((2, 2), 0, mode="in"), "mode: 'in' is unknown"),
        (lambda: init.kaiming_normal((2, 2), 0, nonlinearity="x"), "nonlinearity: 'x' is unknown"),
        (lambda: init.variance_scaling((2, 2), 0, distribution="x"), "distribution: 'x'"),
        (lambda: init.normal((2,), 0, std=-1), "std: must be 0 or more, got -1"),
        (lambda: init.truncated_normal((2,), 0, std=math.nan), "std: .*nan"),
        (lambda: init.uniform((2,), 0, low=1, high=0), "low 1 is above high 0"),
        (lambda: init.normal((2,), "seed"), "rng: expected"),
    ],
)
def test_wrong_options_are_refused(call, match):
    with pytest.raises(OptionError, match=match):
        call()


@pytest.mark.host
def test_orthogonal_needs_a_matrix():
    with pytest.raises(ShapeError, match="two axes"):
        init.orthogonal((3,), 0)


# -- in layers -------------------------------------------------------------------------------------


def test_layers_draw_pytorchs_default_weights_first_from_the_generator_given():
    # The numbers are made here from the definition: uniform up to 1 / sqrt(fan in).
    rng = np.random.default_rng(5)
    weight = rng.uniform(-0.5, 0.5, (4, 3)).astype(np.float32)
    bias = rng.uniform(-0.5, 0.5, 3).astype(np.float32)
    layer = Linear(4, 3, rng=5)
    np.testing.assert_array_equal(layer.weight.numpy(), weight)
    np.testing.assert_array_equal(layer.bias.numpy(), bias)
    assert layer.weight.backend == backend.current().name


@pytest.mark.parametrize(
    ("layer", "fan_in"),
    [
        (lambda: Conv2d(40, 60, (3, 5), rng=0), 600),
        (lambda: Conv2d(40, 600, 3, groups=4, rng=0), 90),
        (lambda: ConvTranspose2d(60, 40, (3, 5), rng=0), 600),
        (lambda: Linear(300, 2000, rng=0), 300),
    ],
)
def test_weights_and_biases_are_bounded_by_the_fan_in(layer, fan_in):
    made = layer()
    bound = 1 / math.sqrt(fan_in)
    assert half_width(made.weight.numpy()) == pytest.approx(bound, rel=0.01)
    bias = np.abs(made.bias.numpy()).max()
    assert 0.8 * bound < bias <= bound * (1 + 1e-6)


def test_an_embedding_is_normal():
    values = Embedding(500, 40, rng=0).weight.numpy()
    assert values.std() == pytest.approx(1, rel=0.02) and np.abs(values).max() > 3.5


def test_a_generator_passed_on_draws_other_weights_for_each_layer():
    rng = np.random.default_rng(0)
    one, other = Linear(3, 3, rng=rng), Linear(3, 3, rng=rng)
    assert not np.array_equal(one.weight.numpy(), other.weight.numpy())
    assert not list(one.generators())


def test_initialisers_are_taken_by_name_or_as_functions():
    layer = Conv2d(2, 3, 3, rng=0, weight_init="glorot_uniform", bias_init="zeros")
    expected = init.glorot_uniform((3, 3, 2, 3), np.random.default_rng(0))
    np.testing.assert_array_equal(layer.weight.numpy(), expected)
    assert (layer.bias.numpy() == 0).all()
    seen = []

    def mine(shape, rng, fan_in, fan_out):
        seen.append((shape, fan_in, fan_out))
        return np.full(shape, 0.5)

    layer = Conv2d(4, 6, (2, 3), groups=2, rng=0, weight_init=mine, bias_init=mine)
    assert seen == [((2, 3, 2, 6), 12, 36), ((6,), 12, 36)]
    assert layer.weight.dtype == np.float32 and (layer.bias.numpy() == 0.5).all()
    assert repr(layer).endswith("weight_init=mine, bias_init=mine)")


def test_unknown_initialisers_and_wrong_shapes_are_refused():
    with pytest.raises(OptionError, match=r"initialiser: 'he' is unknown; .*he_normal"):
        Linear(2, 2, weight_init="he")
    with pytest.raises(OptionError, match="initialiser: 3 is unknown"):
        Linear(2, 2, bias_init=3)
    with pytest.raises(ShapeError, match=r"expected shape \(2, 2\), got \(4,\)"):
        Linear(2, 2, weight_init=lambda shape, rng, fan_in, fan_out: np.zeros(4))
