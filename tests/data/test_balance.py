"""Weights of classes: inverse to their frequencies, and 1 on average."""

import numpy as np
import pytest

from minicnn.data.balance import class_weights
from minicnn.errors import DataError, OptionError

pytestmark = pytest.mark.host

LABELS = np.repeat([0, 1, 2], [1, 4, 25])


def test_balanced_classes_weigh_the_same_in_all():
    weights = class_weights(LABELS, 3)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights * [1, 4, 25], [10, 10, 10], rtol=1e-6)


@pytest.mark.parametrize("power", [0, 0.5, 1])
def test_the_mean_over_the_images_is_1(power):
    weights = class_weights(LABELS, 3, power=power)
    assert sum(float(weights[label]) for label in LABELS) / len(LABELS) == pytest.approx(1)
    assert weights[1] / weights[2] == pytest.approx((25 / 4) ** power)
    assert weights[0] / weights[1] == pytest.approx(4**power)


def test_a_class_without_images_weighs_as_if_it_had_one():
    weights = class_weights(LABELS + 1, 4)
    assert weights[0] == weights[1]
    np.testing.assert_allclose(weights[1:], class_weights(LABELS, 3))


def test_what_is_not_possible_is_refused():
    with pytest.raises(DataError, match="labels from 0 to 1, got from 0 to 2"):
        class_weights(LABELS, 2)
    with pytest.raises(DataError, match="got none"):
        class_weights(LABELS[:0], 2)
    with pytest.raises(OptionError, match=r"power.*got 2"):
        class_weights(LABELS, 3, power=2)
