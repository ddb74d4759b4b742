"""The diagram of a network: which layers stand together, and how large their solids are."""

from __future__ import annotations

import pytest

from minicnn import nn, zoo
from minicnn.inspect import summary
from minicnn.report.page.diagram import stages_of

pytestmark = pytest.mark.host


def box(stage):
    """Return the width and the height of the front of a stage's solid."""
    front = dict(stage.faces)["front"]
    corners = [tuple(map(float, each.split(","))) for each in front.split()]
    xs, ys = zip(*corners, strict=True)
    return max(xs) - min(xs), max(ys) - min(ys)


def test_layers_that_keep_the_shape_stand_with_the_one_before():
    stages = stages_of(summary(zoo.build("avgpool_cnn")))
    names = [stage.name for stage in stages]
    assert names == [
        *("input", "conv1", "pool1", "conv2", "pool2", "conv3", "pool3", "conv4", "pool4"),
        *("flatten", "dense1", "dense2", "dense3", "logits"),
    ]
    conv = stages[1]
    assert conv.companions == ["LeakyReLU", "BatchNorm2d"]
    assert (conv.shape, conv.parameters) == ("48 \N{MULTIPLICATION SIGN} 48 \N{MULTIPLICATION SIGN}"
                                             " 32", 3 * 3 * 32 + 32 + 4 * 32)  # fmt: skip
    assert [stage.family for stage in stages[:3]] == ["input", "convolution", "pooling"]
    assert stages[-1].family == "dense"


@pytest.mark.parametrize("name", zoo.names())
def test_no_parameter_is_lost(name):
    table = summary(zoo.build(name))
    stages = stages_of(table)
    assert sum(stage.parameters for stage in stages) == table.parameters
    assert sum(1 + len(stage.companions) for stage in stages[1:]) == len(table.layers)


def test_solids_shrink_with_the_maps_and_bars_with_the_vectors():
    stages = {stage.name: stage for stage in stages_of(summary(zoo.build("avgpool_cnn")))}
    sides = [box(stages[f"conv{number}"])[1] for number in (1, 2, 3)]
    assert sides == sorted(sides, reverse=True)
    assert sides[0] == pytest.approx(2**0.5 * sides[1], rel=0.01)  # areas as the sides
    widths = [box(stages[name])[0] for name in ("dense1", "dense2", "dense3", "logits")]
    assert widths == sorted(widths, reverse=True)
    for stage in stages.values():
        assert len(stage.faces) == 3
        assert stage.height >= box(stage)[1]


def test_a_layer_of_several_tensors_has_a_row_without_a_solid():
    class Two(nn.Module):
        def forward(self, x):
            return x, x + 1

    stages = stages_of(summary(nn.Sequential(nn.Conv2d(1, 2, 3), Two()), (8, 8, 1)))
    assert [stage.family for stage in stages] == ["input", "convolution", "other"]
    assert stages[2].faces == []
