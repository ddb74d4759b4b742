"""The direct convolution, compiled and not, against im2col."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn import backend
from minicnn.errors import OptionError
from minicnn.kernels import compiled, conv, direct, im2col
from minicnn.kernels.sizes import conv_output_size
from minicnn.ops import conv2d

# (images, height, width, channels, filters, kernel, stride, padding)
CASES = {
    "grey image": (2, 9, 10, 1, 5, (3, 3), (1, 1), ((1, 1), (1, 1))),
    "wide kernel": (1, 8, 7, 1, 4, (5, 5), (1, 1), ((2, 2), (2, 2))),
    "three channels": (2, 7, 8, 3, 6, (3, 3), (1, 1), ((0, 0), (0, 0))),
    "strides and uneven sizes": (2, 9, 8, 2, 3, (3, 2), (2, 3), ((1, 0), (2, 1))),
    "one place": (2, 5, 6, 4, 3, (1, 1), (1, 1), ((0, 0), (0, 0))),
    "few columns": (2, 5, 3, 1, 3, (3, 3), (1, 1), ((1, 1), (1, 1))),
}


@pytest.fixture(params=["compiled", "not compiled"])
def dtype(request, monkeypatch):
    if request.param == "not compiled":
        return np.float64
    if not compiled.enabled():
        pytest.skip("Numba is not installed")
    monkeypatch.setattr(compiled, "LEAST", 0)
    return np.float32


@pytest.mark.parametrize("slope", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("name", CASES)
def test_results_and_gradients_equal_im2col(name, slope, dtype, rng):
    n, h, w, c, o, kernel, stride, padding = CASES[name]
    options = {"stride": stride, "padding": padding, "dilation": (1, 1)}
    output = conv_output_size((h, w), kernel, stride, padding)
    shapes = ((n, h, w, c), (*kernel, c, o), (o,), (n, *output, o))
    x, f, b, gy = (backend.asarray(rng.standard_normal(s).astype(dtype)) for s in shapes)
    y = im2col.conv2d(x, f, b, output=output, slope=slope, groups=1, **options)
    gradient = gy if slope == 1 else gy * backend.xp(y).where(y > 0, dtype(1), dtype(slope))
    gw, gb = direct.filter_gradient(x, gy, kernel=kernel, y=y, slope=slope, bias=True, **options)
    pairs = [
        (direct.conv2d(x, f, b, output=output, slope=slope, **options), y),
        (
            direct.conv2d(x, f, None, output=output, **options),
            im2col.conv2d(x, f, None, output=output, groups=1, **options),
        ),
        (
            direct.input_gradient(gy, f, size=(h, w), **options),
            im2col.input_gradient(gy, f, size=(h, w), groups=1, **options),
        ),
        (gw, im2col.filter_gradient(x, gradient, kernel=kernel, groups=1, **options)),
        (gb, gradient.sum(axis=(0, 1, 2))),
    ]
    for found, expected in pairs:
        found, expected = backend.to_numpy(found), backend.to_numpy(expected)
        np.testing.assert_allclose(
            found, expected, rtol=0, atol=(1e-5 if dtype == np.float32 else 1e-12) * 50
        )


@pytest.mark.parametrize("slope", [0.0, 0.25, 1.0])
def test_infinities_and_nan_are_those_of_im2col(slope, dtype, rng):
    x, f = (rng.standard_normal(shape).astype(dtype) for shape in ((2, 6, 6, 1), (3, 3, 1, 4)))
    b = np.array([np.inf, -np.inf, np.nan, 0], dtype)
    x, f, b = (backend.asarray(array) for array in (x, f, b))
    options = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
    options |= {"output": (4, 4), "slope": slope}
    found = backend.to_numpy(direct.conv2d(x, f, b, **options))
    expected = backend.to_numpy(im2col.conv2d(x, f, b, groups=1, **options))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert slope or not expected[..., 1].any()


def test_groups_are_refused_by_name(rng):
    x, w = (backend.asarray(rng.standard_normal(s)) for s in ((1, 5, 5, 4), (3, 3, 2, 4)))
    with pytest.raises(OptionError, match="one group"):
        conv2d(x, w, groups=2, algorithm="direct")


@pytest.mark.host
def test_the_gradient_in_the_images_takes_the_direct_way_only_by_name(monkeypatch, rng):
    # There is compiled code for the convolution, and none for this gradient.
    asked = []
    monkeypatch.setattr(direct, "input_gradient", lambda *a, **k: asked.append(k["size"]))
    gy, w = rng.random((2, 9, 9, 4), np.float32), rng.random((3, 3, 1, 4), np.float32)
    options = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
    monkeypatch.setattr(conv, "choose", lambda *arguments, **others: "direct")
    conv.input_gradient(gy, w, size=(9, 9), **options)
    assert asked == []
    conv.input_gradient(gy, w, size=(9, 9), algorithm="direct", **options)
    assert asked == [(9, 9)]
