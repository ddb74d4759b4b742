"""What figures and pages share of small pictures."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.report.panels import contrasted

pytestmark = pytest.mark.host


def test_contrast_uses_all_levels_and_ignores_single_pixels(rng):
    picture = rng.normal(size=(48, 48, 1))
    picture[0, 0] = 1000
    found = contrasted(picture)
    assert (found.min(), found.max()) == (0, 255)
    assert 100 < found.mean() < 155
    assert contrasted(np.ones((2, 2, 1))).dtype == np.uint8
