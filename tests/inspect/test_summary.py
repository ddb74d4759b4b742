"""The summary of a model: counts by hand, nothing twice, nothing left out, the model unchanged."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from counting import Tally, counted

import minicnn
from minicnn import Tensor, backend, nn
from minicnn.errors import DTypeError, OptionError, ShapeError
from minicnn.inspect import (
    conv_cost,
    conv_output_size,
    conv_parameters,
    pool_output_size,
    summary,
)
from minicnn.ops import batch_norm, dropout, relu


def tiny():
    return nn.Sequential(
        conv=nn.Conv2d(1, 4, 3, padding=1, rng=0),
        norm=nn.BatchNorm2d(4),
        act=nn.ReLU(),
        pool=nn.MaxPool2d(2),
        drop=nn.Dropout(0.5, rng=0),
        flat=nn.Flatten(),
        out=nn.Linear(4 * 3 * 3, 5, rng=0),
    )


def by_name(table):
    return {layer.name: layer for layer in table.layers}


def test_rows_are_the_layers_in_the_order_in_which_they_run():
    table = summary(tiny(), (6, 6, 1))
    assert [(layer.name, layer.kind, layer.output_shape) for layer in table.layers] == [
        ("conv", "Conv2d", ("N", 6, 6, 4)),
        ("norm", "BatchNorm2d", ("N", 6, 6, 4)),
        ("act", "ReLU", ("N", 6, 6, 4)),
        ("pool", "MaxPool2d", ("N", 3, 3, 4)),
        ("drop", "Dropout", ("N", 3, 3, 4)),
        ("flat", "Flatten", ("N", 36)),
        ("out", "Linear", ("N", 5)),
    ]


def test_counts_of_each_layer_by_hand():
    rows = by_name(summary(tiny(), (6, 6, 1)))
    found = {
        name: (
            row.parameters,
            row.trainable,
            row.buffers,
            row.cost.multiplications,
            row.cost.additions,
        )
        for name, row in rows.items()
    }
    # Batch norm in evaluation: a multiply-add an element, and its factor and summand for a channel.
    norm = (16, 8, 8, 6 * 6 * 4 + 2 * 4, 6 * 6 * 4 + 2 * 4)
    assert found == {
        "conv": (9 * 4 + 4, 9 * 4 + 4, 0, 9 * 4 * 36, 9 * 4 * 36),
        "norm": norm,
        "act": (0, 0, 0, 0, 0),
        "pool": (0, 0, 0, 0, 0),
        "drop": (0, 0, 0, 0, 0),
        "flat": (0, 0, 0, 0, 0),
        "out": (36 * 5 + 5, 36 * 5 + 5, 0, 36 * 5, 36 * 5),
    }
    assert rows["act"].cost.comparisons == 6 * 6 * 4
    assert rows["pool"].cost.comparisons == 3 * 3 * 3 * 4


def test_totals_are_the_sums_and_equal_the_models_own_count():
    model = tiny()
    table = summary(model, (6, 6, 1))
    assert table.parameters == model.num_parameters(buffers=True)
    assert table.trainable == model.num_parameters(trainable=True)
    assert table.cost.flops == sum(layer.cost.flops for layer in table.layers)
    assert table.total.parameter_bytes == 4 * table.parameters


def test_memory_of_results_leaves_views_out():
    rows = by_name(summary(tiny(), (6, 6, 1)))
    assert rows["conv"].activation_bytes == 4 * 6 * 6 * 4
    assert rows["pool"].activation_bytes == 4 * 3 * 3 * 4
    assert rows["flat"].activation_bytes == rows["drop"].activation_bytes == 0


def test_vgg_like_totals_equal_the_formulas():
    blocks = [(4, 2), (8, 2), (16, 3)]
    layers, channels = [], 1
    size, parameters, multiplications, additions = 24, 0, 0, 0
    for width, count in blocks:
        for _ in range(count):
            layers += [nn.Conv2d(channels, width, 3, padding="same", rng=0), nn.LeakyReLU(0.1)]
            size = conv_output_size(size, 3, padding="same")
            cost = conv_cost(channels, width, 3, size, bias=True)
            parameters += conv_parameters(channels, width, 3)
            multiplications += cost.multiplications + width * size**2
            additions += cost.additions
            channels = width
        layers.append(nn.MaxPool2d(2))
        size = pool_output_size(size, 2)
    flat = size * size * channels
    layers += [nn.Flatten(), nn.Linear(flat, 10, rng=0), nn.ReLU(), nn.Linear(10, 7, rng=0)]
    dense = flat * 10 + 10 * 7
    table = summary(nn.Sequential(*layers), (24, 24, 1))
    assert size == 3
    assert table.parameters == table.trainable == parameters + dense + 17
    assert table.cost.multiplications == multiplications + dense
    assert table.cost.additions == additions + dense


@pytest.mark.host
def test_cost_is_what_a_run_on_counting_scalars_counts(rng):
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1, rng=0),
        nn.MaxPool2d(2),
        nn.Conv2d(3, 2, 2, rng=0),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(2, 3, rng=0),
        nn.ReLU(),
    )
    expected = summary(model, (6, 6, 2)).cost
    tally = Tally()
    for parameter in model.parameters():
        parameter.data = counted(parameter.data, tally)
    model(Tensor(counted(rng.normal(size=(1, 6, 6, 2)), tally)))
    assert tally.cost == expected


@pytest.mark.host
def test_two_layers_of_problem_sheet_1():
    model = nn.Sequential(nn.Conv2d(5, 6, 2, stride=3, rng=0), nn.Conv2d(6, 4, 2, stride=3, rng=0))
    first, second = summary(model, (8, 8, 5)).layers
    assert (first.parameters, second.parameters) == (126, 100)
    assert (first.output_shape, second.output_shape) == (("N", 3, 3, 6), ("N", 1, 1, 4))
    assert (first.cost.multiplications, second.cost.multiplications) == (1080, 96)
    # The sheet leaves the additions of the bias out.
    assert (first.cost.additions - 6 * 9, second.cost.additions - 4) == (1026, 92)


class Residual(nn.Module):
    """A module of one's own, with operations between those of its layers."""

    def __init__(self, channels):
        self.body = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, rng=0), nn.ReLU())
        self.scale = nn.Parameter(minicnn.tensor([0.5] * channels))

    def forward(self, x):
        return relu(x + self.body(x) * self.scale)


def test_operations_in_a_modules_own_forward_count_there():
    rows = by_name(summary(nn.Sequential(block=Residual(3)), (4, 4, 3)))
    assert list(rows) == ["block", "block.body.0", "block.body.1"]
    elements = 4 * 4 * 3
    own = rows["block"]
    assert (own.parameters, own.cost.multiplications, own.cost.additions) == (3, elements, elements)
    assert own.cost.comparisons == rows["block.body.1"].cost.comparisons == elements
    assert rows["block.body.0"].cost.multiplications == 27 * elements
    assert own.output_shape == ("N", 4, 4, 3)


def test_operations_of_the_model_itself_have_a_row_without_a_name():
    table = summary(Residual(3), (4, 4, 3))
    assert [layer.name for layer in table.layers] == ["", "body.0", "body.1"]
    assert "(model)" in str(table)


def test_layer_that_runs_twice_costs_twice_and_holds_its_parameters_once():
    shared = nn.Linear(4, 4, rng=0)
    table = summary(nn.Sequential(shared, nn.ReLU(), shared), (4,))
    assert [(row.name, row.parameters, row.cost.multiplications) for row in table.layers] == [
        ("0", 20, 16),
        ("1", 0, 0),
        ("0", 0, 16),
    ]


def test_shared_parameter_counts_where_it_comes_first():
    first, second = nn.Linear(3, 3, bias=False, rng=0), nn.Linear(3, 3, bias=False, rng=1)
    second.weight = first.weight
    model = nn.Sequential(first, second)
    assert [row.parameters for row in summary(model, (3,)).layers] == [9, 0]
    assert summary(model, (3,)).parameters == model.num_parameters() == 9


class PartlyUsed(nn.Module):
    """Uses the weights of one layer without calling it, and another layer never."""

    def __init__(self):
        self.table = nn.Linear(3, 2, rng=0)
        self.spare = nn.Sequential(nn.Linear(2, 2, rng=0), nn.ReLU())

    def forward(self, x):
        return x @ self.table.weight


def test_layers_that_never_run_come_last_with_their_parameters():
    table = summary(PartlyUsed(), (3,))
    assert [(row.name, row.parameters, row.output_shape) for row in table.layers] == [
        ("", 0, ("N", 2)),
        ("table", 8, None),
        ("spare.0", 6, None),
    ]
    assert table.layers[0].cost.multiplications == 6
    assert table.parameters == PartlyUsed().num_parameters()


def test_frozen_parameters_are_held_but_not_trainable():
    model = tiny()
    model.conv.requires_grad_(False)
    table = summary(model, (6, 6, 1))
    assert (table.parameters, table.trainable) == (40 + 16 + 185, 8 + 185)
    assert "241 parameters: 193 trainable, 48 not (40 frozen, 8 running statistics" in str(table)


class Restless(nn.Module):
    """Draws and moves its statistics in evaluation, too."""

    def __init__(self):
        self.mean = nn.Buffer(backend.asarray(np.zeros(2, np.float32)))
        self.var = nn.Buffer(backend.asarray(np.ones(2, np.float32)))
        self.rng = np.random.default_rng(5)

    def forward(self, x):
        x = dropout(x, 0.5, training=True, rng=self.rng)
        self.var.data = self.var.data * 2
        return batch_norm(x + 1, self.mean, self.var, training=True)


def test_model_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2d(1, 2, 1, rng=0), nn.Dropout(0.5, rng=0), Restless())
    model[1].eval()
    calls = []
    model[0].register_forward_hook(lambda module, inputs, output: calls.append(output.shape))
    before = {name: backend.to_numpy(value) for name, value in model.state_dict().items()}
    arrays = [tensor.data for tensor in (*model.parameters(), *model.buffers())]
    state = model[2].rng.bit_generator.state
    summary(model, (2, 2, 1))
    assert [module.training for module in model.modules()] == [True, True, False, True]
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(backend.to_numpy(value), before[name])
    after = [tensor.data for tensor in (*model.parameters(), *model.buffers())]
    assert all(one is other for one, other in zip(arrays, after, strict=True))
    assert model[2].rng.bit_generator.state == state
    assert all(parameter.grad is None for parameter in model.parameters())
    assert calls == [(1, 2, 2, 2)]
    model(minicnn.tensor(np.zeros((3, 2, 2, 1), np.float32)))
    assert calls == [(1, 2, 2, 2), (3, 2, 2, 2)]
    assert not any("forward" in module.__dict__ for module in model.modules())


def test_model_is_left_as_it_was_when_it_cannot_run():
    model = tiny()
    with pytest.raises(ShapeError):
        summary(model, (6, 6, 3))
    assert all(module.training for module in model.modules())
    assert not any("forward" in module.__dict__ for module in model.modules())


def test_error_names_the_layer_in_which_it_arose_and_only_that():
    model = nn.Sequential(
        stem=nn.Conv2d(1, 3, 3, rng=0),
        block=nn.Sequential(inner=Residual(3), late=nn.Conv2d(4, 2, 3, rng=0)),
    )
    with pytest.raises(ShapeError) as caught:
        summary(model, (8, 8, 1))
    message = str(caught.value)
    assert message.startswith(
        "summary: layer block.late (Conv2d): conv2d: the filters (3, 3, 4, 2)"
    )
    assert message.count("layer ") == 1 and "\n" not in message


class Wrong(nn.Module):
    def forward(self, x):
        return x + x[:, :2]


def test_error_in_the_models_own_forward_names_its_class():
    with pytest.raises(ShapeError, match=r"^summary: Wrong: add: shapes \(1, 3\) and \(1, 2\)"):
        summary(Wrong(), (3,))


class Forgiving(nn.Module):
    """Tries a layer that cannot run and goes on without it."""

    def __init__(self):
        self.first = nn.Sequential(nn.Linear(9, 9, rng=0))
        self.second = nn.Linear(3, 2, rng=0)

    def forward(self, x):
        try:
            return self.first(x)
        except ShapeError:
            return relu(self.second(x))


def test_operations_after_a_caught_error_count_where_they_run():
    rows = by_name(summary(nn.Sequential(Forgiving()), (3,)))
    assert rows["0.second"].cost.multiplications == 6
    assert rows["0"].cost.comparisons == 2
    assert rows["0.first.0"].cost.flops == 0
    assert rows["0"].output_shape == ("N", 2)


class CallsForward(nn.Module):
    def __init__(self):
        self.inner = nn.Linear(3, 2, rng=0)
        self.forward = lambda x: self.inner.forward(x=x)


def test_forward_called_by_itself_and_one_of_an_instance_count_as_well():
    model = nn.Sequential(CallsForward())
    own = model[0].forward
    (row,) = summary(model, (3,)).layers
    assert (row.name, row.cost.multiplications, row.output_shape) == ("0.inner", 6, ("N", 2))
    assert model[0].forward is own


class TwoHeads(nn.Module):
    def __init__(self):
        self.heads = nn.ModuleList([nn.Linear(4, 2, rng=0), nn.Linear(4, 3, rng=0)])

    def forward(self, x):
        return {"label": self.heads[0](x), "where": [self.heads[1](x), x.sum()], "name": "x"}


def test_several_outputs_have_several_shapes():
    model = nn.Sequential(TwoHeads())
    table = summary(model, (4,))
    own = by_name(table)["0"]
    assert own.output_shape == (("N", 2), (("N", 3), ()), None)
    assert "(N, 2), (N, 3), (), -" in str(table)
    assert json.loads(json.dumps(table.to_dict()))["layers"][0]["output_shape"] == [
        ["N", 2],
        [["N", 3], []],
        None,
    ]


def test_input_is_on_the_models_backend_and_of_its_type():
    seen = []
    model = nn.Sequential(nn.Linear(3, 2, rng=0)).to("float64")
    model[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    table = summary(model, (3,))
    assert seen[0].shape == (1, 3) and seen[0].dtype == np.float64
    assert seen[0].backend == backend.current().name
    assert table.total.parameter_bytes == 8 * 8


@pytest.mark.standin
def test_model_on_another_backend_than_the_current_one_is_run_where_it_is():
    model = tiny().to("numpy")
    assert summary(model, (6, 6, 1)).parameters == 241


def test_dtype_of_the_input_can_be_chosen():
    table = summary(nn.Sequential(nn.Embedding(10, 4, rng=0)), (3,), dtype="int64")
    assert table.layers[0].output_shape == ("N", 3, 4)
    with pytest.raises(DTypeError, match="'floaty' is no dtype"):
        summary(tiny(), (6, 6, 1), dtype="floaty")


def test_model_without_parameters_runs():
    table = summary(nn.Sequential(nn.AvgPool2d(2)), (4, 4, 1))
    assert table.parameters == 0 and table.cost.multiplications == 4


def test_nothing_is_recorded_for_a_gradient():
    model, outputs = tiny(), []
    model.out.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    summary(model, (6, 6, 1))
    assert not outputs[0].requires_grad


@pytest.mark.parametrize(
    ("model", "shape", "match"),
    [
        (lambda: tiny(), None, "give the input_shape"),
        (lambda: tiny(), 48, "integers of 1 or more, without the batch, got 48"),
        (lambda: tiny(), "48x48", "got '48x48'"),
        (lambda: tiny(), (48, 0, 1), r"got \(48, 0, 1\)"),
        (lambda: tiny(), (48.0, 48, 1), r"got \(48.0, 48, 1\)"),
        (lambda: nn.Linear, (3,), "expected a model, .* got Linear"),
        (lambda: [nn.ReLU()], (3,), "expected a model, .* got list"),
    ],
)
def test_what_cannot_be_summarised_is_refused(model, shape, match):
    with pytest.raises(OptionError, match=match):
        summary(model(), shape)


@pytest.mark.host
def test_table_reads_like_this():
    model = nn.Sequential(
        conv=nn.Conv2d(1, 64, 3, padding=1, rng=0),
        norm=nn.BatchNorm2d(64),
        act=nn.LeakyReLU(0.3),
        pool=nn.MaxPool2d(2),
        flat=nn.Flatten(),
        out=nn.Linear(64 * 16, 7, rng=0),
    )
    assert str(summary(model, (8, 8, 1))) == "\n".join(
        [
            "layer  type         output         parameters  multiplications  additions    FLOPs",
            "----------------------------------------------------------------------------------",
            "conv   Conv2d       (N, 8, 8, 64)         640           36,864     36,864   73,728",
            "norm   BatchNorm2d  (N, 8, 8, 64)         256            4,224      4,224    8,448",
            "act    LeakyReLU    (N, 8, 8, 64)           -            4,096          -    4,096",
            "pool   MaxPool2d    (N, 4, 4, 64)           -                -          -        -",
            "flat   Flatten      (N, 1024)               -                -          -        -",
            "out    Linear       (N, 7)              7,175            7,168      7,168   14,336",
            "----------------------------------------------------------------------------------",
            "total                                   8,071           52,352     48,256  100,608",
            "",
            "8,071 parameters: 7,943 trainable, 128 not (128 running statistics and other buffers)",
            "memory: 31.5 KiB for the parameters, 53.0 KiB for the layers' results",
            "also 7,168 comparisons and 0 evaluations of exp, sqrt and the like",
            "for one input (8, 8, 1) in evaluation mode, by textbook formulas",
            "FLOPs: multiplications and additions together, so that a multiply-add counts as two",
        ]
    )


def test_dict_holds_every_count_and_passes_through_json():
    table = summary(tiny(), (6, 6, 1))
    found = json.loads(json.dumps(table.to_dict()))
    assert found["input_shape"] == [6, 6, 1]
    assert found["layers"][0] == {
        "name": "conv",
        "type": "Conv2d",
        "output_shape": ["N", 6, 6, 4],
        "parameters": 40,
        "trainable": 40,
        "buffers": 0,
        "parameter_bytes": 160,
        "multiplications": 1296,
        "additions": 1296,
        "flops": 2592,
        "comparisons": 0,
        "functions": 0,
        "activation_bytes": 576,
    }
    for name, count in found["total"].items():
        assert count == sum(layer[name] for layer in found["layers"])


def test_functions_count_apart_from_flops():
    (row,) = summary(nn.Sequential(nn.Tanh()), (5,)).layers
    assert (row.cost.functions, row.cost.flops) == (5, 0)
    assert math.prod(row.output_shape[1:]) == 5
