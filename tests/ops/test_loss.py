"""Losses: values recorded from PyTorch, gradients, extremes, what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import standin

import minicnn
from minicnn import ops
from minicnn.errors import DTypeError, OptionError, ShapeError
from minicnn.ops.softmax import log_softmax

CLASS_WEIGHT = [0.5, 1.0, 2.0]
LABELS = [2, 0, 1, 2]
PROBABILITIES = [[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.1, 0.8, 0.1], [0.25, 0.5, 0.25]]


def pattern(*shape: int) -> np.ndarray:
    """Return the numbers that PyTorch was given when the values below were recorded."""
    return (np.arange(np.prod(shape)) * 7 % 11 / 4 - 1).reshape(shape)


def parameter(values):
    return minicnn.tensor(values, dtype="float64", requires_grad=True)


def constant(values, dtype="float64"):
    return minicnn.tensor(values, dtype=dtype)


def logits():
    return parameter(pattern(4, 3))


def labels(values=LABELS):
    return minicnn.tensor(values, dtype="int64")


# Cross-entropy.


@pytest.mark.parametrize(
    ("options", "value", "gradient"),
    [
        ({}, 1.4139183400529776, [0.0281798012, 0.1621635593, -0.1903433604]),
        ({"weight": CLASS_WEIGHT}, 1.6895148744205217, [0.0409888017, 0.235874268, -0.2768630697]),
        (
            {"label_smoothing": 0.1},
            1.4118350067196443,
            [0.0198464678, 0.1538302259, -0.1736766938],
        ),
        (
            {"weight": CLASS_WEIGHT, "label_smoothing": 0.1},
            1.664017064316298,
            [0.0362506319, 0.2199855675, -0.2562361994],
        ),
        (
            {"weight": CLASS_WEIGHT, "label_smoothing": 0.1, "ignore_index": 2},
            1.2524729624690683,
            [0.0, 0.0, 0.0],
        ),
        (
            {"weight": CLASS_WEIGHT, "reduction": "sum"},
            9.29233180931287,
            [0.2254384094, 1.2973084741, -1.5227468835],
        ),
    ],
)
def test_cross_entropy_of_labels_equals_recorded_pytorch(options, value, gradient):
    if "weight" in options:
        options = {**options, "weight": constant(options["weight"])}
    z = logits()
    found = ops.cross_entropy(z, labels(), **options)
    found.backward()
    assert found.shape == ()
    assert found.item() == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(z.grad.numpy()[0], gradient, atol=1e-9)


def test_cross_entropy_without_reduction_gives_one_loss_a_label():
    found = ops.cross_entropy(logits(), labels(), reduction="none", label_smoothing=0.2)
    recorded = [1.4161888002, 0.6076059644, 1.4076059644, 2.2076059644]
    np.testing.assert_allclose(found.numpy(), recorded, rtol=1e-9)


def test_cross_entropy_of_probabilities_equals_recorded_pytorch():
    target = constant(PROBABILITIES)
    assert ops.cross_entropy(logits(), target).item() == pytest.approx(1.1264183400529775)
    found = ops.cross_entropy(logits(), target, weight=constant(CLASS_WEIGHT), label_smoothing=0.1)
    assert found.item() == pytest.approx(1.4508011182562879)


def test_gradient_of_softmax_and_cross_entropy_of_problem_sheet_2(rng):
    """dL/dz = softmax(z) - y, for one sample and for the mean of a batch."""
    z, y = rng.standard_normal((5, 7)), np.eye(7)[[3, 0, 6, 6, 1]]
    softmax = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    one = parameter(z[0])
    ops.cross_entropy(one, labels(3)).backward()
    np.testing.assert_allclose(one.grad.numpy(), softmax[0] - y[0], rtol=1e-12)
    for target in (labels([3, 0, 6, 6, 1]), constant(y)):
        batch = parameter(z)
        ops.cross_entropy(batch, target).backward()
        np.testing.assert_allclose(batch.grad.numpy(), (softmax - y) / 5, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weight": [0.5, 1.0, 2.0], "label_smoothing": 0.3},
        {"ignore_index": 1},
        {"weight": [0.5, 1.0, 2.0], "ignore_index": -100},
    ],
)
def test_cross_entropy_passes_gradcheck_and_gradgradcheck(reduction, options, rng):
    options = {name: constant(v) if name == "weight" else v for name, v in options.items()}
    target = labels([[0, 1], [2, 2], [-100 if options.get("ignore_index") == -100 else 0, 1]])
    z = parameter(rng.standard_normal((3, 2, 3)))

    def function(z):
        return ops.cross_entropy(z, target, reduction=reduction, **options)

    assert minicnn.gradcheck(function, [z])
    assert minicnn.gradgradcheck(function, [z])


def test_probabilities_as_target_get_a_gradient(rng):
    z, target = parameter(rng.standard_normal((2, 3))), parameter(rng.uniform(0, 1, (2, 3)))

    def function(z, target):
        return ops.cross_entropy(z, target, weight=constant(CLASS_WEIGHT), label_smoothing=0.2)

    assert minicnn.gradcheck(function, [z, target])
    assert minicnn.gradgradcheck(function, [z, target])


def test_cross_entropy_of_one_hot_rows_is_that_of_their_labels():
    of_rows = ops.cross_entropy(logits(), constant(np.eye(3)[LABELS]))
    assert of_rows.item() == pytest.approx(ops.cross_entropy(logits(), labels()).item())


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 2, 4, 3)])
def test_cross_entropy_takes_any_number_of_axes(shape, rng):
    z, target = rng.standard_normal(shape), rng.integers(0, 3, shape[:-1])
    found = ops.cross_entropy(constant(z), labels(target), reduction="none").numpy()
    logarithms = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
    expected = -np.take_along_axis(logarithms, target[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("size", [1e4, -1e4, 3e38])
def test_cross_entropy_overflows_nowhere(size):
    z = minicnn.tensor([[size, 0.0], [0.0, size]], dtype="float32", requires_grad=True)
    found = ops.cross_entropy(z, labels([0, 0]), reduction="none")
    found.sum().backward()
    expected = [0.0, size] if size > 0 else [-size, 0.0]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)
    assert np.isfinite(z.grad.numpy()).all()


def test_a_class_ruled_out_by_minus_infinity_does_no_harm():
    z = parameter([[0.5, -math.inf, 1.0]])
    found = ops.cross_entropy(z, labels([2]))
    found.backward()
    assert found.item() == pytest.approx(math.log(1 + math.exp(-0.5)))
    assert z.grad.numpy()[0, 1] == 0
    assert np.isfinite(z.grad.numpy()).all()


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_labels_of_any_integer_type(dtype):
    found = ops.cross_entropy(logits(), minicnn.tensor(LABELS, dtype=dtype))
    assert found.item() == pytest.approx(1.4139183400529776)


def test_more_classes_than_a_label_of_8_bits_can_name():
    z = constant(np.zeros((1, 300)))
    found = ops.cross_entropy(z, minicnn.tensor([44], dtype="uint8"))
    assert found.item() == pytest.approx(math.log(300))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_losses_keep_the_type_of_their_inputs(dtype):
    x, target = constant(pattern(4, 3), dtype), constant(np.clip(pattern(4, 3), 0, 1), dtype)
    weight = constant(CLASS_WEIGHT, dtype)
    for found in (
        ops.cross_entropy(x, labels(), weight=weight, label_smoothing=0.1, ignore_index=0),
        ops.cross_entropy(x, target, weight=weight, label_smoothing=0.1),
        ops.nll_loss(x, labels(), weight),
        ops.mse_loss(x, target),
        ops.l1_loss(x, target),
        ops.huber_loss(x, target, delta=0.5),
        ops.binary_cross_entropy_with_logits(x, target, weight, weight),
        ops.kl_div(x, target),
        ops.kl_div(x, target, log_target=True),
    ):
        assert found.dtype == dtype


@pytest.mark.parametrize("function", [ops.cross_entropy, ops.nll_loss])
@pytest.mark.parametrize(("label", "named"), [(3, "label 3 "), (-1, "label -1 "), (255, "255")])
def test_a_label_out_of_range_is_named_or_gives_nan(function, label, named, backend_name):
    target = labels([0, label, 1, 2])
    if backend_name == "numpy":
        with pytest.raises(OptionError, match=f"{named}.*3 classes have labels 0 to 2"):
            function(logits(), target)
    else:
        assert math.isnan(function(logits(), target).item())
        single = function(logits(), target, reduction="none").numpy()
        assert np.isnan(single).tolist() == [False, True, False, False]


def test_ignored_labels_may_be_out_of_range():
    found = ops.cross_entropy(logits(), labels([2, -100, 1, -100]), ignore_index=-100)
    both = ops.cross_entropy(logits(), labels([2, 0, 1, 0]), reduction="none").numpy()[[0, 2]]
    assert found.item() == pytest.approx(both.mean())


def test_ignoring_every_label_gives_nan_as_in_pytorch():
    z = logits()
    found = ops.cross_entropy(z, labels([2, 2, 2, 2]), ignore_index=2)
    assert math.isnan(found.item())
    found.backward()
    assert not z.grad.numpy().any()


@pytest.mark.parametrize("options", [{"ignore_index": -1}, {"weight": [1.0, 1.0]}])
def test_means_of_many_losses_of_half_precision(options):
    rows = 70_000  # more than float16 can count, and a sum that it cannot hold
    if "weight" in options:
        options = {"weight": minicnn.tensor(options["weight"], dtype="float16")}
    z = minicnn.tensor(np.tile([0.0, 8.0], (rows, 1)), dtype="float16", requires_grad=True)
    found = ops.cross_entropy(z, labels(np.zeros(rows, int)), **options)
    assert found.dtype == "float16"
    np.testing.assert_allclose(found.item(), 8, rtol=1e-3)
    found.backward(minicnn.tensor(1024.0, dtype="float16"))
    np.testing.assert_allclose(z.grad.numpy()[0], [-1024 / rows, 1024 / rows], rtol=0.01)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_ignored_rows_may_hold_what_they_like(value):
    z = logits()
    values = z.numpy().copy()
    values[1] = value
    other = minicnn.tensor(values, requires_grad=True)
    for each in (z, other):
        with np.errstate(invalid="ignore"):
            ops.cross_entropy(each, labels([2, 0, 1, 1]), ignore_index=0).backward()
    np.testing.assert_array_equal(other.grad.numpy(), z.grad.numpy())


def test_label_smoothing_may_be_a_number_of_numpys():
    z = minicnn.tensor([[1.0, 2.0]])
    assert ops.cross_entropy(z, labels([1]), label_smoothing=np.float64(0.1)).dtype == "float32"


@pytest.mark.parametrize("target", [labels, lambda: constant(PROBABILITIES)])
def test_cross_entropy_moves_nothing_between_host_and_device(target):
    z, target, weight = logits(), target(), constant(CLASS_WEIGHT)
    with standin.no_transfers():
        ops.cross_entropy(z, target, weight=weight, label_smoothing=0.1).backward()


def test_nll_loss_after_log_softmax_is_cross_entropy():
    weight = constant(CLASS_WEIGHT)
    first, second = logits(), logits()
    found = ops.nll_loss(log_softmax(first), labels(), weight)
    found.backward()
    ops.cross_entropy(second, labels(), weight=weight).backward()
    assert found.item() == pytest.approx(1.6895148744205217)
    np.testing.assert_allclose(first.grad.numpy(), second.grad.numpy())


def test_nll_loss_of_an_impossible_class_that_is_not_the_label():
    x = parameter([[math.log(0.25), -math.inf, math.log(0.75)]])
    found = ops.nll_loss(x, labels([2]))
    found.backward()
    assert found.item() == pytest.approx(-math.log(0.75))
    np.testing.assert_array_equal(x.grad.numpy(), [[0, 0, -1]])


# Element by element.

X, TARGET = pattern(2, 3), (np.arange(6) * 5 % 7 / 3 - 1).reshape(2, 3)
CHANCES = np.array([[0, 5 / 6, 1 / 2], [1 / 6, 1, 2 / 3]])


@pytest.mark.parametrize(
    ("function", "value", "gradient"),
    [
        (ops.mse_loss, 0.951388888888889, [[0, 1 / 36, -1 / 12], [13 / 18, -1 / 6, -5 / 18]]),
        (ops.l1_loss, 0.638888888888889, [[0, 1 / 6, -1 / 6], [1 / 6, -1 / 6, -1 / 6]]),
        (
            lambda x, target: ops.huber_loss(x, target, delta=0.6),
            0.2666203703703704,
            [[0, 1 / 72, -1 / 24], [0.1, -1 / 12, -0.1]],
        ),
    ],
)
def test_errors_equal_recorded_pytorch(function, value, gradient):
    x = parameter(X)
    found = function(x, constant(TARGET))
    found.backward()
    assert found.item() == pytest.approx(value)
    np.testing.assert_allclose(x.grad.numpy(), gradient, atol=1e-12)


def test_binary_cross_entropy_equals_recorded_pytorch():
    x = parameter(X)
    found = ops.binary_cross_entropy_with_logits(x, constant(CHANCES))
    found.backward()
    recorded = [
        [0.0448235702, -0.025692439, -0.0103627501],
        [0.1084846349, -0.0629234448, -0.0481876663],
    ]
    assert found.item() == pytest.approx(0.7098287821980444)
    np.testing.assert_allclose(x.grad.numpy(), recorded, atol=1e-9)


def test_weighted_binary_cross_entropy_equals_recorded_pytorch():
    x = parameter(X)
    found = ops.binary_cross_entropy_with_logits(
        x, constant(CHANCES), constant([[0.5], [2.0]]), constant([1.0, 2.0, 3.0])
    )
    found.backward()
    recorded = [
        [0.0224117851, -0.0351254765, -0.0520294168],
        [0.2169692698, -0.2516937792, -0.3730239243],
    ]
    assert found.item() == pytest.approx(1.7247826285727292)
    np.testing.assert_allclose(x.grad.numpy(), recorded, atol=1e-9)


def test_binary_cross_entropy_overflows_nowhere():
    x = parameter([1e4, -1e4, 1e4, -1e4])
    found = ops.binary_cross_entropy_with_logits(x, constant([1, 0, 0, 1]), reduction="none")
    found.sum().backward()
    np.testing.assert_array_equal(found.numpy(), [0, 0, 1e4, 1e4])
    np.testing.assert_array_equal(x.grad.numpy(), [0, 0, 1, -1])


@pytest.mark.parametrize(
    ("reduction", "value"),
    [
        ("mean", 0.14977230963810348),
        ("batchmean", 0.4493169289143104),
        ("sum", 1.7972677156572416),
    ],
)
def test_kl_div_equals_recorded_pytorch(reduction, value):
    found = ops.kl_div(log_softmax(logits()), constant(PROBABILITIES), reduction=reduction)
    assert found.item() == pytest.approx(value)


def test_kl_div_of_logarithms_equals_recorded_pytorch():
    first, second = log_softmax(logits()), log_softmax(constant(pattern(4, 3)[::-1].copy()))
    found = ops.kl_div(first, second, log_target=True, reduction="batchmean")
    assert found.item() == pytest.approx(0.37985870385823056)


def test_kl_div_of_a_chance_of_0_adds_nothing_and_has_a_finite_gradient():
    x, target = parameter([[-1.0, -2.0]]), parameter([[0.0, 1.0]])
    found = ops.kl_div(x, target, reduction="none")
    found.sum().backward()
    np.testing.assert_array_equal(found.numpy(), [[0, 2]])
    np.testing.assert_array_equal(x.grad.numpy(), [[0, -1]])
    assert np.isfinite(target.grad.numpy()).all()


PAIRWISE = [
    ops.mse_loss,
    ops.l1_loss,
    ops.huber_loss,
    ops.binary_cross_entropy_with_logits,
    ops.kl_div,
]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("function", PAIRWISE)
def test_first_and_second_derivatives(function, reduction, rng):
    x, target = parameter(rng.uniform(-2, 2, (2, 3))), parameter(rng.uniform(0.2, 0.8, (2, 3)))

    def reduced(x, target):
        return function(x, target, reduction=reduction)

    assert minicnn.gradcheck(reduced, [x, target])
    assert minicnn.gradgradcheck(reduced, [x, target])


@pytest.mark.parametrize("function", PAIRWISE)
@pytest.mark.parametrize("shape", [(3,), (1, 3), (2, 1), (3, 2), ()])
def test_shapes_that_would_broadcast_are_refused(function, shape):
    with pytest.raises(ShapeError, match=rf"{function.__name__}.*\(2, 3\)") as caught:
        function(constant(np.ones((2, 3))), constant(np.ones(shape)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "function", [*PAIRWISE, ops.cross_entropy, ops.nll_loss], ids=lambda each: each.__name__
)
def test_an_unknown_reduction_is_refused(function):
    with pytest.raises(OptionError, match=r"reduction must be one of mean, .*not 'average'"):
        function(logits(), constant(PROBABILITIES), reduction="average")


@pytest.mark.parametrize(
    ("function", "error", "match"),
    [
        (lambda z: ops.cross_entropy(z, labels([0, 1])), ShapeError, r"shape \(4,\), got \(2,\)"),
        (lambda z: ops.cross_entropy(z, labels(np.eye(4, 3))), ShapeError, r"got \(4, 3\)"),
        (lambda z: ops.cross_entropy(z, constant([0, 1, 2, 0])), DTypeError, "must be integers"),
        (lambda z: ops.cross_entropy(z, constant(np.ones((4, 2)))), DTypeError, "integers"),
        (
            lambda z: ops.cross_entropy(z, constant(PROBABILITIES, "float32")),
            DTypeError,
            "float64 and float32 are mixed",
        ),
        (
            lambda z: ops.cross_entropy(z, labels(), weight=constant([1, 2])),
            ShapeError,
            r"class weights must have shape \(3,\), got \(2,\)",
        ),
        (
            lambda z: ops.cross_entropy(z, labels(), weight=[1.0, 2.0, 3.0]),
            TypeError,
            "cross_entropy: expected a Tensor or an array, got list",
        ),
        (
            lambda z: ops.cross_entropy(z, labels(), weight=constant(CLASS_WEIGHT, "float32")),
            DTypeError,
            "mixed",
        ),
        (
            lambda z: ops.cross_entropy(z, constant(PROBABILITIES), ignore_index=1),
            OptionError,
            "ignore_index needs labels",
        ),
        (
            lambda z: ops.cross_entropy(z, labels(), label_smoothing=1.5),
            OptionError,
            "between 0 and 1, got 1.5",
        ),
        (lambda z: ops.nll_loss(z, constant([0, 1, 2, 0])), DTypeError, "must be integers"),
        (lambda z: ops.huber_loss(z, z, delta=0), OptionError, "above 0, got 0"),
        (
            lambda z: ops.binary_cross_entropy_with_logits(z, z, constant(np.ones((2, 4, 3)))),
            ShapeError,
            r"weight \(2, 4, 3\) cannot be repeated to \(4, 3\)",
        ),
        (
            lambda z: ops.binary_cross_entropy_with_logits(z, z, None, constant([1, 2])),
            ShapeError,
            "pos_weight",
        ),
        (lambda z: ops.l1_loss(z.float(), labels(np.ones((4, 3)))), DTypeError, "astype"),
    ],
)
def test_losses_refuse(function, error, match):
    with pytest.raises(error, match=match) as caught:
        function(logits())
    assert "\n" not in str(caught.value)
