"""Counting from a command line: problem sheet 1, the networks of the zoo, described layers."""

from __future__ import annotations

import csv
import io
import json

import pytest

from minicnn import inspect, nn, zoo
from minicnn.commands import count as counting
from minicnn.commands.layer_words import model_of_words
from minicnn.errors import OptionError, ShapeError

pytestmark = pytest.mark.host

SHEET = ("--input", "8x8x5", "conv:6,2x2,stride=3", "conv:4,2x2,stride=3")


def test_problem_sheet_1_is_solved(command):
    code, out, _ = command("count", *SHEET)
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert ["conv1", "Conv2d", "3x3x6", "126", "1,080", "1,026", "54"] in [x[:7] for x in lines]
    assert ["conv2", "Conv2d", "1x1x4", "100", "96", "92", "4"] in [x[:7] for x in lines]
    assert "2,294 multiplications and additions; another 58 additions of biases" in out


def test_problem_sheet_1_as_json_and_csv(command):
    _, out, _ = command("count", *SHEET, "--json")
    content = json.loads(out)
    first, second = content["layers"]
    assert first["output_shape"] == [3, 3, 6]
    assert [first[name] for name in ("parameters", "multiplications", "additions")] == [
        *(126, 1080, 1026)
    ]
    assert [second[name] for name in ("parameters", "multiplications", "additions")] == [
        *(100, 96, 92)
    ]
    assert content["total"]["parameters"] == 226
    _, out, _ = command("count", *SHEET, "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["layer"] for row in rows] == ["conv1", "conv2", "total"]
    assert rows[0]["output_shape"] == "3x3x6"
    for row, layer in zip(rows, [first, second, content["total"]], strict=True):
        for name in ("parameters", "multiplications", "additions", "parameter_bytes"):
            assert int(row[name]) == layer[name]


@pytest.mark.parametrize("name", ["plain_dnn", "small_cnn", "avgpool_cnn"])
def test_counts_of_a_network_are_those_of_its_summary(name, command):
    _, out, _ = command("count", name, "--json")
    content = json.loads(out)
    table = inspect.summary(zoo.build(name))
    total = content["total"]
    assert total["parameters"] == table.parameters
    assert total["multiplications"] == table.cost.multiplications
    assert total["additions"] + total["bias_additions"] == table.cost.additions
    for row, layer in zip(content["layers"], table.layers, strict=True):
        assert row["layer"] == layer.name
        assert row["activation_bytes"] == layer.activation_bytes
    for column in ("parameters", "bias_additions", "additions", "activation_bytes"):
        assert sum(row[column] for row in content["layers"]) == total[column]


def test_a_bias_adds_once_to_each_number_that_comes_out(command):
    words = ("--input", "9x7x2", "conv:4,3x1", "dense:5")
    with_bias, without = (
        json.loads(command("count", *(f"{word}{end}" if ":" in word else word for word in words),
                           "--json")[1])
        for end in (",bias=yes", ",bias=no")
    )  # fmt: skip
    for one, other in zip(with_bias["layers"], without["layers"], strict=True):
        assert one["additions"] == other["additions"]
    assert with_bias["total"]["bias_additions"] == 7 * 7 * 4 + 5
    assert without["total"]["bias_additions"] == 0


def test_a_fault_in_the_cost_of_a_bias_would_be_seen(command, monkeypatch):
    monkeypatch.setattr(counting, "_bias_additions", lambda module, layer: 0)
    _, out, _ = command("count", *SHEET, "--json")
    assert json.loads(out)["layers"][0]["additions"] != 1026


def test_words_build_the_layers_that_they_describe():
    words = ["conv:8,3x5,stride=2x1,padding=1x2,dilation=1,groups=2", "batchnorm", "leakyrelu",
             "maxpool:2", "conv:4,3,padding=same,bias=no", "relu", "avgpool:2x1,stride=1,padding=0",
             "globalavgpool", "dense:6", "batchnorm", "dense:3,bias=no"]  # fmt: skip
    model = model_of_words(words, (16, 12, 4))
    assert list(dict(model.named_modules()))[1:] == [
        *("conv1", "batchnorm1", "leakyrelu1", "maxpool1", "conv2", "relu1", "avgpool1"),
        *("globalavgpool1", "dense1", "batchnorm2", "dense2"),
    ]
    table = inspect.summary(model, (16, 12, 4))
    shapes = [layer.output_shape[1:] for layer in table.layers]
    assert shapes == [(8, 12, 8)] * 3 + [(4, 6, 8)] + [(4, 6, 4)] * 2 + [
        *((3, 6, 4), (4,), (6,), (6,), (3,))
    ]
    first = model.conv1
    assert (first.kernel_size, first.stride, first.padding) == ((3, 5), (2, 1), (1, 2))
    assert first.groups == 2
    assert isinstance(model.batchnorm2, nn.BatchNorm1d)
    assert model.dense2.bias is None


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["konv:3,3"], OptionError, "layer 1, 'konv:3,3': 'konv' is no kind of layer; choose one"),
        (["conv:3"], OptionError, "kernel is missing; expected conv:FILTERS,KERNEL"),
        (["conv:3,3,3"], OptionError, "'3' is not understood; expected conv:FILTERS,KERNEL"),
        (["conv:3,3,strides=2"], OptionError, "'strides=2' is not understood"),
        (["conv:3,3,stride=2,stride=2"], OptionError, "'stride=2' is not understood"),
        (["conv:3,3,filters=2"], OptionError, "'filters=2' is not understood"),
        (["conv:3,x3"], OptionError, "kernel: expected a value such as 3 or 3x1, got 'x3'"),
        (["conv:3,3,bias=1"], OptionError, "bias: expected a value such as yes or no, got '1'"),
        (["conv:3,3,padding=full"], OptionError, "padding: .* same or valid, got 'full'"),
        (["conv:3x3,3"], OptionError, "out_channels: expected an integer"),
        (["conv:0,3"], OptionError, "out_channels: expected an integer of 1 or more, got 0"),
        (["conv:3,3,groups=2"], OptionError, "cannot be split into groups=2"),
        (["relu:3"], OptionError, "'3' is not understood; expected relu"),
        (["relu", "conv:3,9"], ShapeError, "layer 2, 'conv:3,9': a kernel of height 9 is larger"),
        (["dense:3", "conv:3,1"], ShapeError, "works on pictures, but gets 3 numbers"),
        (["globalavgpool", "maxpool:2"], ShapeError, "works on pictures"),
        (["maxpool:3,padding=2"], OptionError, "padding"),
        (["dense:-1"], OptionError, "features: expected a value such as 3, got '-1'"),
        (["conv:99999999999999999999,3"], OptionError, "cannot be built in that size"),
    ],
)
def test_layers_that_cannot_be_are_refused_with_their_word(words, error, message):
    with pytest.raises(error, match=message) as caught:
        model_of_words(words, (8, 8, 1))
    assert str(caught.value).startswith("layer ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("small_cnn", "conv:3,3"), "'small_cnn' is no layer; give one network's name, or layers"),
        (("nothing",), "model: 'nothing' is unknown; choose one of"),
        (("linear:3",), "'linear:3' is no layer; give one network's name, or layers"),
        (("conv:3,3", "--classes", "3"), "--classes and --option are for a network's name"),
        (("conv:3,3", "--input", "3x3"), "argument --input: expected sizes HxWxC of 1 or more"),
        (("conv:3,3", "--input", "0x3x1"), "such as 48x48x1, got '0x3x1'"),
        (("conv:3,3", "--json", "--csv"), "not allowed with argument"),
        ((), "required: NETWORK|LAYER"),
    ],
)
def test_command_lines_that_cannot_be_are_refused(words, message, refused):
    assert message in refused("count", *words)


def test_a_described_convolution_costs_what_the_formula_says(command):
    words = ("--input", "20x14x3", "conv:8,5x3,stride=2x1,padding=2x0", "conv:6,3")
    total = json.loads(command("count", *words, "--json")[1])["total"]
    layers = [inspect.ConvLayer((5, 3), 8, (2, 1), (2, 0)), inspect.ConvLayer(3, 6)]
    expected = inspect.total_conv_operations((20, 14), 3, layers)
    assert total["multiplications"] + total["additions"] == expected


def test_csv_asks_for_no_standard_output(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)  # who calls may have closed it
    assert counting.main(["small_cnn", "--csv"]) == 0
