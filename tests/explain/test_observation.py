"""A model is left as it was, layers are found by name, and runs end where they may."""

from __future__ import annotations

import numpy as np
import pytest
from explained import SIZE, Seen, make_network, put

from minicnn import backend, explain, no_grad, ops
from minicnn.autograd import Tensor
from minicnn.errors import BackendError, OptionError, ShapeError
from minicnn.explain.observation import frozen, layer_output, score_from_layer
from minicnn.nn.activation import ReLU
from minicnn.nn.committee import Committee
from minicnn.nn.containers import Sequential
from minicnn.nn.conv import Conv2d
from minicnn.nn.linear import Linear
from minicnn.nn.module import Module

METHODS = {
    "saliency": lambda m, x: explain.saliency(m, x),
    "input_x_gradient": lambda m, x: explain.input_x_gradient(m, x),
    "guided_backprop": lambda m, x: explain.guided_backprop(m, x),
    "smooth_grad": lambda m, x: explain.smooth_grad(m, x, rng=0, samples=2),
    "integrated_gradients": lambda m, x: explain.integrated_gradients(m, x, steps=2)[0],
    "grad_cam": lambda m, x: explain.grad_cam(m, x),
    "occlusion": lambda m, x: explain.occlusion(m, x, window=3, stride=3),
    "feature_maps": lambda m, x: explain.feature_maps(m, x, "pool"),
    "top_activations": lambda m, x: explain.top_activations(m, [x], "conv").values,
    "gradient_ascent": lambda m, x: (
        explain.gradient_ascent(m, "pool", 0, rng=0, start=x[0], steps=2).images
    ),
    "deletion": lambda m, x: explain.deletion(m, x, x, steps=2).scores,
    "insertion": lambda m, x: explain.insertion(m, x, x, steps=2).scores,
}
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def state_of(model):
    return {
        "modes": [module.training for module in model.modules()],
        "gradients": [parameter.grad for parameter in model.parameters()],
        "required": [parameter.requires_grad for parameter in model.parameters()],
        "values": [backend.to_numpy(each).tolist() for each in model.state_dict().values()],
        "hooks": [len(module._forward_hooks or ()) for module in model.modules()],
        "generators": [str(rng.bit_generator.state) for rng in model.generators()],
    }


@pytest.fixture
def mixed(network):
    """Return a network in mixed modes, with a frozen parameter, a gradient and a hook."""
    network.train()
    network.norm.eval()
    network.conv.weight.requires_grad_(False)
    network.scores.weight.grad = Tensor(backend.asarray(np.ones((36, 3))))
    network.pool.register_forward_hook(lambda module, inputs, output: None)
    return network


@each_method
def test_the_model_is_left_as_it_was(method, mixed, images):
    before = state_of(mixed)
    method(mixed, images)
    assert state_of(mixed) == before


@each_method
def test_also_after_an_exception(method, mixed, images):
    before = state_of(mixed)

    def fail(module, inputs, output):
        raise RuntimeError("in the middle")

    hook = mixed.norm.register_forward_hook(fail)
    if method is not METHODS["top_activations"]:  # ends at the convolution
        with pytest.raises(RuntimeError, match="in the middle"):
            method(mixed, images)
    hook.remove()
    assert state_of(mixed) == before


@each_method
def test_the_model_runs_in_evaluation_mode_also_within_no_grad(method, network, images):
    expected = backend.to_numpy(method(network.eval(), images))
    network.train()
    with no_grad():
        found = backend.to_numpy(method(network, images))
    np.testing.assert_array_equal(found, expected)


@each_method
def test_what_is_no_module_is_refused(method, images):
    with pytest.raises(OptionError, match=r"minicnn\.nn\.Module, got function"):
        method(lambda x: x, images)


def test_gradients_of_parameters_are_not_computed(network, images):
    network.conv.weight.register_hook(lambda gradient: pytest.fail("its gradient was computed"))
    explain.saliency(network, images)
    explain.gradient_ascent(network, "conv", 0, rng=0, shape=(SIZE, SIZE, 1), steps=1)


@pytest.mark.standin
@each_method
def test_models_on_one_backend_and_images_on_another_are_refused(method, network, pictures):
    with pytest.raises(BackendError, match="NumPy and CuPy meet"):
        if method is METHODS["gradient_ascent"]:  # a start is moved to where the model is
            explain.saliency(network, pictures)
        method(network, pictures)


# Layers by name.


class Branches(Module):
    """A nested model, of which one module runs twice and one never."""

    def __init__(self):
        self.twice = ReLU()
        self.body = Sequential(first=Linear(4, 4, rng=0), inner=Sequential(self.twice, ReLU()))
        self.idle = ReLU()
        self.pair = Pair()

    def forward(self, x):
        return self.body(self.twice(x.reshape(len(x), -1)))


class Pair(Module):
    def forward(self, x):
        return x, x


KNOWN = "twice, body, body.first, body.inner, body.inner.0, body.inner.1, idle, pair"


@pytest.mark.parametrize(
    ("name", "hint"), [("body.inner.7", "did you mean body.inner.1?"), ("pool2", ""), ("", "")]
)
def test_an_unknown_layer_lists_the_known_ones(name, hint):
    with pytest.raises(OptionError, match="there is no") as caught:
        explain.find_layer(Branches(), name)
    assert hint in str(caught.value)
    assert str(caught.value).endswith(f"Branches has {KNOWN}")


def test_a_layer_is_found_under_each_of_its_names():
    model = Branches()
    assert explain.find_layer(model, "body.inner.0") is explain.find_layer(model, "twice")


@pytest.mark.parametrize(
    "ask",
    [
        lambda m, x: explain.feature_maps(m, x, "conv9"),
        lambda m, x: explain.grad_cam(m, x, "conv9"),
        lambda m, x: explain.top_activations(m, [x], "conv9"),
        lambda m, x: explain.gradient_ascent(m, "conv9", 0, rng=0, start=x[0]),
        lambda m, x: explain.convolution_filters(m, "conv9"),
    ],
)
def test_every_function_that_takes_a_layer_lists_the_known_ones(ask, network, images):
    with pytest.raises(OptionError, match=r"'conv9'; did you mean conv\? .* conv, act, norm, drop"):
        ask(network, images)


def test_a_layer_that_does_not_run_or_gives_no_tensor_is_refused(rng):
    model, x = Branches().to("float64"), backend.asarray(rng.standard_normal((2, 2, 2, 1)))
    for ask in (explain.feature_maps, explain.grad_cam):
        with pytest.raises(OptionError, match="'idle' does not run"):
            ask(model, x, "idle")
    model.body.inner[1] = Pair()
    with pytest.raises(OptionError, match=r"layer body\.inner\.1 gives tuple, and no Tensor"):
        explain.feature_maps(model, x, "body.inner.1")


def test_outputs_that_are_not_one_for_each_image_are_refused(images):
    class Joined(Module):
        def forward(self, x):
            return x.reshape(-1, 2)

    with pytest.raises(ShapeError, match=r"for 5 images layer 0 gives the shape \(90, 2\)"):
        explain.feature_maps(Sequential(Joined()), images, "0")


def test_of_a_layer_that_runs_twice_the_first_run_counts(rng):
    model, x = Branches().to("float64"), rng.standard_normal((2, 2, 2, 1))
    found = explain.feature_maps(model, backend.asarray(x), "twice")
    np.testing.assert_array_equal(backend.to_numpy(found), np.maximum(x, 0).reshape(2, 4))
    outputs, inner = score_from_layer(model, Tensor(backend.asarray(x)), "twice")
    np.testing.assert_array_equal(inner[0].numpy(), np.maximum(x, 0).reshape(2, 4))
    assert outputs.shape == (2, 4)


def test_a_run_ends_at_the_layer_that_is_asked_for(network, images):
    behind = Seen(network.scores)
    before = Seen(network.conv)
    explain.feature_maps(network, images, "pool")
    explain.top_activations(network, [images], "norm")
    explain.gradient_ascent(network, "act", 0, rng=0, shape=(SIZE, SIZE, 1), steps=1)
    assert len(before) > 2
    assert behind == []


def test_hooks_of_the_models_owner_see_and_change_what_they_always_do(network, images):
    network.pool.register_forward_hook(lambda module, inputs, output: output * 2)
    doubled = backend.to_numpy(explain.feature_maps(network, images, "pool"))
    plain = backend.to_numpy(explain.feature_maps(network, images, "drop"))
    by_hand = plain.reshape(5, 3, 2, 3, 2, 4).mean(axis=(2, 4))
    np.testing.assert_allclose(doubled, 2 * by_hand, rtol=1e-12)


def test_nothing_is_recorded_before_the_layer_of_interest(network, images):
    with frozen(network):
        outputs, inner = score_from_layer(network, Tensor(images), "norm")
        assert [each.is_leaf and each.requires_grad for each in inner] == [True]
        assert outputs.requires_grad
        assert not layer_output(network, Tensor(images), "pool").requires_grad


def test_the_last_convolution_is_found_by_itself(network):
    assert explain.last_convolution(network) == "conv"
    with pytest.raises(OptionError, match="Branches has no convolution"):
        explain.last_convolution(Branches())


def test_of_a_committee_it_is_that_of_each_member(network):
    members = [network, Conv2d(1, 2, 3)]
    assert explain.last_convolution(Committee(members)) == "members.0.conv+members.1"
    nested = Sequential(first=Conv2d(1, 1, 3), judges=Committee([Committee(members), network]))
    assert explain.last_convolution(nested) == (
        "judges.members.0.members.0.conv+judges.members.0.members.1+judges.members.1.conv"
    )
    plus = Committee([Sequential({"a+b": Conv2d(1, 2, 3)})])
    assert explain.last_convolution(plus) == "members.0.a+b"
    behind = Sequential(judges=Committee([network]), last=Conv2d(1, 2, 3))
    assert explain.last_convolution(behind) == "last"


def test_joined_layers_give_what_all_of_them_give_side_by_side(network, images):
    committee = Committee([network, make_network(seed=3)])
    names = ("members.1.norm", "members.0.conv")
    apart = [explain.feature_maps(committee, images, name) for name in names]
    found = backend.to_numpy(explain.feature_maps(committee, images, "+".join(names)))
    np.testing.assert_array_equal(found, np.concatenate([*map(backend.to_numpy, apart)], axis=3))
    top = explain.top_activations(committee, [images], "+".join(names), filters=[1, 5])
    for place, (name, number) in enumerate(zip(names, (1, 1), strict=True)):
        alone = explain.top_activations(committee, [images], name, filters=[number])
        np.testing.assert_array_equal(top.indices[place], alone.indices[0])


def test_a_name_with_a_plus_is_itself(network, images):
    model = Sequential({"a+b": network.conv, "a": network.norm, "b": network.norm})
    found = explain.feature_maps(model, images, "a+b")
    np.testing.assert_array_equal(
        backend.to_numpy(found), backend.to_numpy(explain.feature_maps(network, images, "conv"))
    )


@pytest.mark.parametrize(
    ("layer", "error", "match"),
    [
        ("conv+con", OptionError, "there is no 'con'; did you mean conv"),
        ("conv+", OptionError, r"a name is missing in 'conv\+'"),
        ("", OptionError, "a name is missing in ''"),
        (
            ["conv", "pool"],
            OptionError,
            r"expected a name, or several joined by '\+', got \['conv'",
        ),
        ("conv+pool", ShapeError, r"conv and pool give pictures of .* \(6, 6\) and \(3, 3\)"),
        ("norm+scores", ShapeError, "norm and scores give pictures of different sizes"),
    ],
)
def test_layers_that_cannot_be_joined_are_refused(network, images, layer, error, match):
    with pytest.raises(error, match=match):
        explain.feature_maps(network, images, layer)
    if error is OptionError:  # in the other cases one follows from the other, which is told first
        with pytest.raises(error, match=match):
            explain.grad_cam(network, images, layer)


def test_a_layer_is_explained_by_the_very_weights_of_the_moment(network, images):
    before = backend.to_numpy(explain.saliency(network, images, 0))
    put(network.scores.weight, 2 * network.scores.weight.numpy())
    np.testing.assert_allclose(backend.to_numpy(explain.saliency(network, images, 0)), 2 * before)


def test_functional_models_without_parameters_are_explained_too(images):
    class Score(Module):
        def forward(self, x):
            total = ops.relu(x).sum(axis=(1, 2, 3))
            return ops.stack([total, -total], 1)

    found = backend.to_numpy(explain.saliency(Score(), images, 0))
    np.testing.assert_array_equal(found, backend.to_numpy(images) > 0)
