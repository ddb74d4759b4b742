"""Layers against PyTorch: the same weights, transposed, give the same outputs and gradients."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn.nn import activation, conv, embedding, init, linear, loss, norm, pool, shape
from minicnn.nn.containers import Sequential

pytestmark = pytest.mark.oracle

# Where PyTorch's axes go: (O, C, KH, KW) to (KH, KW, C, O), and (out, in) to (in, out).
AXES = {4: (2, 3, 1, 0), 2: (1, 0)}
RNG_SEED = 11


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch")


def from_torch(module: Any) -> dict[str, np.ndarray]:
    state = {}
    for name, value in module.state_dict().items():
        array = value.numpy()
        if name.endswith("weight") and array.ndim in AXES:
            array = array.transpose(AXES[array.ndim])
        if "num_batches_tracked" not in name:
            state[name] = array.copy()
    return state


def to_images(array: np.ndarray) -> np.ndarray:
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def compare(torch: Any, ours: Any, theirs: Any, sizes: tuple[int, ...]) -> None:
    """Run both in float64, forward and backward, on an input of PyTorch's shape."""
    theirs = theirs.double()
    ours.to("float64").load_state_dict(from_torch(theirs))
    rng = np.random.default_rng(RNG_SEED)
    x = rng.standard_normal(sizes)
    their_x = torch.tensor(x, requires_grad=True)
    our_x = minicnn.tensor(to_images(x), requires_grad=True)
    their_y, our_y = theirs(their_x), ours(our_x)
    expected = to_images(their_y.detach().numpy())
    np.testing.assert_allclose(our_y.numpy(), expected, rtol=1e-9, atol=1e-11)
    gradient = rng.standard_normal(their_y.shape)
    their_y.backward(torch.tensor(gradient))
    our_y.backward(minicnn.tensor(to_images(gradient)))
    np.testing.assert_allclose(
        our_x.grad.numpy(), to_images(their_x.grad.numpy()), rtol=1e-8, atol=1e-10
    )
    theirs_named = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        found = theirs_named[name].grad.numpy()
        if name.endswith("weight") and found.ndim in AXES:
            found = found.transpose(AXES[found.ndim])
        np.testing.assert_allclose(parameter.grad.numpy(), found, rtol=1e-8, atol=1e-10)


PAIRS = {
    "linear": (lambda n: n.Linear(5, 3), lambda: linear.Linear(5, 3), (4, 5)),
    "conv": (
        lambda n: n.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2),
        lambda: conv.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2),
        (2, 4, 7, 6),
    ),
    "conv_same": (
        lambda n: n.Conv2d(2, 3, (2, 5), padding="same", bias=False),
        lambda: conv.Conv2d(2, 3, (2, 5), padding="same", bias=False),
        (2, 2, 6, 7),
    ),
    "conv_transpose": (
        lambda n: n.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2, dilation=2),
        lambda: conv.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2, dilation=2),
        (2, 4, 3, 4),
    ),
    "max_pool": (
        lambda n: n.MaxPool2d(3, (2, 1), 1),
        lambda: pool.MaxPool2d(3, (2, 1), 1),
        (2, 3, 7, 6),
    ),
    "avg_pool": (
        lambda n: n.AvgPool2d(3, 2, 1, count_include_pad=False),
        lambda: pool.AvgPool2d(3, 2, 1, count_include_pad=False),
        (2, 3, 7, 6),
    ),
    "adaptive": (
        lambda n: n.AdaptiveAvgPool2d((3, 4)),
        lambda: pool.AdaptiveAvgPool2d((3, 4)),
        (2, 3, 7, 6),
    ),
    "batch_norm": (
        lambda n: n.BatchNorm2d(3, eps=1e-3, momentum=0.2),
        lambda: norm.BatchNorm2d(3, eps=1e-3, momentum=0.2),
        (3, 3, 4, 2),
    ),
    "batch_norm_1d": (lambda n: n.BatchNorm1d(3), lambda: norm.BatchNorm1d(3), (5, 3)),
    "batch_norm_plain": (
        lambda n: n.BatchNorm2d(3, affine=False, track_running_stats=False).eval(),
        lambda: norm.BatchNorm2d(3, affine=False, track_running_stats=False).eval(),
        (3, 3, 4, 2),
    ),
    "layer_norm": (lambda n: n.LayerNorm(6), lambda: norm.LayerNorm(6), (5, 6)),
    "group_norm": (lambda n: n.GroupNorm(2, 6), lambda: norm.GroupNorm(2, 6), (2, 6, 3, 4)),
    "leaky_relu": (lambda n: n.LeakyReLU(), lambda: activation.LeakyReLU(), (3, 4)),
    "elu": (lambda n: n.ELU(), lambda: activation.ELU(), (3, 4)),
    "gelu": (lambda n: n.GELU(), lambda: activation.GELU(), (3, 4)),
    "gelu_tanh": (lambda n: n.GELU("tanh"), lambda: activation.GELU("tanh"), (3, 4)),
    "silu": (lambda n: n.SiLU(), lambda: activation.SiLU(), (3, 4)),
    "softplus": (lambda n: n.Softplus(3.0), lambda: activation.Softplus(3.0), (3, 4)),
    "softmax": (lambda n: n.Softmax(1), lambda: activation.Softmax(), (3, 4)),
    "log_softmax": (lambda n: n.LogSoftmax(0), lambda: activation.LogSoftmax(0), (3, 4)),
    "zero_pad": (
        lambda n: n.ZeroPad2d((1, 2, 3, 0)),
        lambda: shape.ZeroPad2d((1, 2, 3, 0)),
        (2, 3, 4, 5),
    ),
    "network": (
        lambda n: n.Sequential(
            n.Conv2d(1, 4, 3, padding=1), n.LeakyReLU(0.05), n.BatchNorm2d(4), n.MaxPool2d(2)
        ),
        lambda: Sequential(
            conv.Conv2d(1, 4, 3, padding=1),
            activation.LeakyReLU(0.05),
            norm.BatchNorm2d(4),
            pool.MaxPool2d(2),
        ),
        (3, 1, 6, 8),
    ),
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("name", PAIRS)
def test_a_layer_equals_pytorchs(torch, name):
    make_theirs, make_ours, sizes = PAIRS[name]
    torch.manual_seed(0)
    compare(torch, make_ours(), make_theirs(torch.nn), sizes)


def test_running_statistics_follow_pytorchs_over_several_batches(torch):
    theirs, ours = torch.nn.BatchNorm2d(3).double(), norm.BatchNorm2d(3).to("float64")
    rng = np.random.default_rng(0)
    for _ in range(4):
        x = 3 + 2 * rng.standard_normal((4, 3, 2, 5))
        theirs(torch.tensor(x))
        ours(minicnn.tensor(to_images(x)))
    for name, value in from_torch(theirs).items():
        np.testing.assert_allclose(ours.state_dict()[name], value, rtol=1e-12, err_msg=name)


def test_an_embedding_equals_pytorchs(torch):
    theirs, ours = torch.nn.Embedding(5, 3).double(), embedding.Embedding(5, 3).to("float64")
    ours.load_state_dict({"weight": theirs.weight.detach().numpy()})
    indices = np.array([[1, 4], [1, 0]])
    expected = theirs(torch.tensor(indices))
    found = ours(minicnn.tensor(indices))
    np.testing.assert_array_equal(found.numpy(), expected.detach().numpy())


@pytest.mark.parametrize(
    ("name", "options", "inputs"),
    [
        ("CrossEntropyLoss", {}, "labels"),
        ("CrossEntropyLoss", {"label_smoothing": 0.3, "weight": [1.0, 2.0, 0.5]}, "labels"),
        ("NLLLoss", {"weight": [1.0, 2.0, 0.5]}, "labels"),
        ("MSELoss", {}, "numbers"),
        ("L1Loss", {"reduction": "sum"}, "numbers"),
        ("HuberLoss", {"delta": 0.4}, "numbers"),
        ("BCEWithLogitsLoss", {"pos_weight": [1.0, 2.0, 0.5]}, "numbers"),
        ("KLDivLoss", {"reduction": "batchmean"}, "numbers"),
        ("KLDivLoss", {"reduction": "sum", "log_target": True}, "numbers"),
    ],
)
def test_a_loss_equals_pytorchs(torch, name, options, inputs):
    rng = np.random.default_rng(RNG_SEED)
    x = rng.standard_normal((4, 3))
    target = rng.integers(0, 3, 4) if inputs == "labels" else rng.uniform(0.1, 0.9, (4, 3))
    theirs_options = copy.copy(options)
    for key in ("weight", "pos_weight"):
        if key in options:
            theirs_options[key] = torch.tensor(options[key], dtype=torch.float64)
    expected = getattr(torch.nn, name)(**theirs_options)(torch.tensor(x), torch.tensor(target))
    found = getattr(loss, name)(**options).to("float64")(minicnn.tensor(x), minicnn.tensor(target))
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-9)


def test_default_weights_spread_like_pytorchs(torch):
    theirs, ours = torch.nn.Conv2d(20, 60, 5), conv.Conv2d(20, 60, 5, rng=0)
    for name, value in from_torch(theirs).items():
        found = ours.state_dict()[name]
        assert np.abs(found).max() == pytest.approx(np.abs(value).max(), rel=0.1)
        assert found.std() == pytest.approx(value.std(), rel=0.25 if name == "bias" else 0.02)


@pytest.mark.parametrize("name", ["linear", "tanh", "relu", "leaky_relu", "selu", "sigmoid"])
def test_gains_equal_pytorchs(torch, name):
    assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name), rel=1e-12)
