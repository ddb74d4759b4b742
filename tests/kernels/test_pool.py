"""The kernels of pooling against textbook loops: ties, NaN, infinities, every kind of window."""

from __future__ import annotations

import numpy as np
import pytest
import standin
import textbook
from planted import planted

from minicnn import backend
from minicnn.kernels import pool

TWO = {"kernel": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}

# Shape of the images, and options.
CASES = {
    "disjoint": ((3, 6, 8, 2), TWO),
    "disjoint, with pixels left over": ((2, 7, 9, 3), TWO),
    "disjoint, with pixels between": ((2, 8, 9, 2), {**TWO, "stride": (3, 4)}),
    "disjoint along one axis": ((2, 6, 7, 2), {**TWO, "stride": (2, 1)}),
    "overlapping": ((2, 6, 7, 3), {**TWO, "kernel": (3, 2), "stride": (2, 1)}),
    "overlapping, padded": ((2, 5, 6, 2), {**TWO, "kernel": (3, 3), "padding": ((1, 1), (1, 0))}),
    "padded": ((2, 5, 6, 2), {**TWO, "padding": ((1, 0), (0, 1))}),
    "dilated": ((2, 7, 9, 2), {**TWO, "dilation": (3, 2), "padding": ((2, 1), (0, 1))}),
    "whole image": ((3, 4, 5, 2), {**TWO, "kernel": (4, 5), "stride": (1, 1)}),
    "single pixels": ((2, 3, 4, 2), {**TWO, "kernel": (1, 1), "stride": (1, 1)}),
    "no images": ((0, 6, 8, 2), TWO),
}  # fmt: skip
AVERAGES = {name: case for name, case in CASES.items() if name != "dilated"}

each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
each_average = pytest.mark.parametrize("case", AVERAGES.values(), ids=AVERAGES)


def images(case, dtype="float64"):
    """Return images whose pixels have few values, so that many maxima are there twice."""
    values = np.random.default_rng(5).integers(-4, 5, case[0])
    return values.astype(dtype)


def output_of(case):
    shape, options = case
    padding, kernel = options["padding"], options["kernel"]
    framed = textbook.frame(np.zeros((1, *shape[1:])), padding).shape
    sizes = textbook.output_shape(framed, shape[3], kernel, options["stride"], options["dilation"])
    return sizes[1:3]


def gradient(case, dtype="float64"):
    shape = (case[0][0], *output_of(case), case[0][3])
    return np.random.default_rng(6).uniform(-1, 1, shape).astype(dtype)


def max_pool(x, case):
    """Run the kernel on an array of the host; return its results on the host."""
    found = pool.max_pool(backend.asarray(x), output=output_of(case), **case[1])
    return tuple(backend.to_numpy(each) for each in found)


def compare_max(case, dtype="float64", x=None):
    """Compare the three kernels of max pooling with the loops."""
    x = images(case, dtype) if x is None else x
    y, index = max_pool(x, case)
    expected_y, expected_index = textbook.max_pool(x, **case[1])
    assert y.dtype == dtype and index.dtype == np.uint8
    np.testing.assert_array_equal(y, expected_y)
    np.testing.assert_array_equal(index, expected_index)
    gy = gradient(case, dtype)
    index = backend.asarray(index)
    gx = pool.max_scatter(backend.asarray(gy), index, size=x.shape[1:3], **case[1])
    assert gx.dtype == dtype
    expected = textbook.max_pool_gradient(expected_index, gy, x.shape[1:3], **case[1])
    np.testing.assert_allclose(backend.to_numpy(gx), expected, rtol=1e-6, atol=1e-6)
    taken = pool.max_gather(backend.asarray(x), index, **case[1])
    assert taken.dtype == dtype
    np.testing.assert_array_equal(backend.to_numpy(taken), expected_y)


def compare_average(case, include_pad, dtype="float64", x=None):
    """Compare both kernels of average pooling with products by the matrix of the means."""
    x = images(case, dtype) if x is None else x
    (n, h, w, c), gy, output = x.shape, gradient(case, dtype), output_of(case)
    options = {name: value for name, value in case[1].items() if name != "dilation"}
    options["include_pad"] = include_pad
    y = pool.average_pool(backend.asarray(x), output=output, **options)
    gx = pool.average_scatter(backend.asarray(gy), size=(h, w), **options)
    assert y.dtype == gx.dtype == dtype
    matrix = textbook.average_matrix((h, w), **options)
    tolerance = {"rtol": 1e-12, "atol": 1e-12} if dtype == "float64" else {"atol": 1e-5}
    expected = (matrix @ x.astype("float64").reshape(n, h * w, c)).reshape(n, *output, c)
    np.testing.assert_allclose(backend.to_numpy(y), expected, **tolerance)
    flat = gy.astype("float64").reshape(n, output[0] * output[1], c)
    expected = (matrix.T @ flat).reshape(n, h, w, c)
    np.testing.assert_allclose(backend.to_numpy(gx), expected, **tolerance)


# Max pooling.


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@each_case
def test_max_pool_and_its_gradient_equal_the_loops(case, dtype):
    compare_max(case, dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@each_case
def test_nan_and_infinities_are_pooled_like_numbers(case, dtype):
    x = images(case, dtype)
    x[x == 4] = np.nan
    x[x == 3] = np.inf
    x[x < 0] = -np.inf
    compare_max(case, dtype, x)


@each_case
def test_gradient_of_pixels_that_are_all_minus_infinity_stays_on_the_image(case):
    compare_max(case, x=np.full(case[0], -np.inf))


def test_gradient_goes_to_the_first_of_equal_maxima_row_by_row():
    x = np.array([[1, 5, 0], [5, 5, 0], [0, 0, 0]], "float64")[None, :, :, None]
    case = (x.shape, {**TWO, "kernel": (3, 3), "stride": (1, 1)})
    y, index = max_pool(x, case)
    assert (y.item(), index.item()) == (5, 1)
    compare_max(case, x=x)


def test_first_nan_of_a_window_is_its_maximum():
    x = np.array([[np.inf, np.nan], [7, np.nan]])[None, :, :, None]
    y, index = max_pool(x, (x.shape, TWO))
    assert np.isnan(y.item()) and index.item() == 1


@pytest.mark.parametrize("dtype", ["int64", "uint8", "int8"])
def test_integers_are_pooled_and_padding_is_below_them_all(dtype):
    case = ((2, 5, 6, 2), {**TWO, "padding": ((1, 0), (0, 1))})
    x = images(case, dtype)
    x[0] = np.iinfo(dtype).min
    y, index = max_pool(x, case)
    expected_y, expected_index = textbook.max_pool(x, **case[1])
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, expected_y)
    np.testing.assert_array_equal(index, expected_index)


def test_truth_values_are_pooled():
    case = ((2, 5, 6, 2), {**TWO, "padding": ((1, 0), (0, 1))})
    x = images(case) > 1
    y, _ = max_pool(x, case)
    np.testing.assert_array_equal(y, textbook.max_pool(x, **case[1])[0])


@pytest.mark.parametrize(
    ("kernel", "dtype"), [((16, 16), "uint8"), ((16, 17), "uint16"), ((1, 257), "uint16")]
)
def test_index_has_the_smallest_type_that_holds_every_place(kernel, dtype):
    x = np.arange(18.0 * 260).reshape(1, 18, 260, 1)
    case = (x.shape, {**TWO, "kernel": kernel, "stride": kernel})
    y, index = max_pool(x, case)
    assert index.dtype == dtype and (index == kernel[0] * kernel[1] - 1).all()
    np.testing.assert_array_equal(y, textbook.max_pool(x, **case[1])[0])


def test_gather_is_the_adjoint_of_scatter(rng):
    for shape, options in CASES.values():
        output = output_of((shape, options))
        gy = backend.asarray(rng.standard_normal((shape[0], *output, shape[3])))
        x = backend.asarray(rng.standard_normal(shape))
        _, index = pool.max_pool(x, output=output, **options)
        other = backend.asarray(rng.standard_normal(shape))
        sent = pool.max_scatter(gy, index, size=shape[1:3], **options)
        taken = pool.max_gather(other, index, **options)
        np.testing.assert_allclose(float((sent * other).sum()), float((gy * taken).sum()))


# Average pooling.


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("include_pad", [True, False])
@each_average
def test_average_pool_and_its_gradient_equal_the_matrix_of_means(case, include_pad, dtype):
    compare_average(case, include_pad, dtype)


def test_padding_counts_in_the_mean_or_not():
    x = backend.asarray(np.full((1, 2, 2, 1), 8.0))
    options = {**TWO, "padding": ((1, 1), (1, 1)), "output": (2, 2)}
    del options["dilation"]
    counted = pool.average_pool(x, include_pad=True, **options)
    left_out = pool.average_pool(x, include_pad=False, **options)
    np.testing.assert_array_equal(backend.to_numpy(counted), np.full((1, 2, 2, 1), 2.0))
    np.testing.assert_array_equal(backend.to_numpy(left_out), np.full((1, 2, 2, 1), 8.0))


def test_nan_and_infinities_reach_only_the_means_of_their_windows():
    x = np.ones((1, 4, 6, 1))
    x[0, 0, 0], x[0, 1, 3], x[0, 2, 5] = np.nan, np.inf, -np.inf
    options = {name: value for name, value in TWO.items() if name != "dilation"}
    y = pool.average_pool(backend.asarray(x), include_pad=True, output=(2, 3), **options)
    expected = [[np.nan, np.inf, 1], [1, 1, -np.inf]]
    np.testing.assert_array_equal(backend.to_numpy(y)[0, :, :, 0], expected)


# Both.


def reversed_steps(array):
    """Return the values in memory of the backend where rows go in steps, columns backwards."""
    n, h, *rest = array.shape
    view = backend.asarray(np.full((n, 2 * h, *rest), 99, array.dtype))[:, ::2, ::-1]
    view[...] = backend.asarray(array)
    return view


def some_channels(array):
    """Return the values in memory of the backend, as some of the channels of larger images."""
    view = backend.asarray(np.full((*array.shape[:-1], array.shape[-1] + 3), 99, array.dtype))
    view = view[..., 1:-2]
    view[...] = backend.asarray(array)
    return view


@pytest.mark.parametrize("layout", [reversed_steps, some_channels])
@each_average
def test_layout_in_memory_does_not_matter(case, layout):
    x, gy, output = images(case), gradient(case), output_of(case)
    size, options = x.shape[1:3], case[1]
    average = {name: value for name, value in options.items() if name != "dilation"}

    def results(place):
        y, index = pool.max_pool(place(x), output=output, **options)
        index = place(backend.to_numpy(index))
        return [
            y,
            index,
            pool.max_scatter(place(gy), index, size=size, **options),
            pool.max_gather(place(x), index, **options),
            pool.average_pool(place(x), output=output, include_pad=False, **average),
            pool.average_scatter(place(gy), size=size, include_pad=False, **average),
        ]

    for found, expected in zip(results(layout), results(backend.asarray), strict=True):
        np.testing.assert_array_equal(backend.to_numpy(found), backend.to_numpy(expected))


@pytest.mark.standin
@each_average
def test_nothing_is_moved_between_host_and_device(case):
    x, gy, output = backend.asarray(images(case)), backend.asarray(gradient(case)), output_of(case)
    average = {name: value for name, value in case[1].items() if name != "dilation"}
    with standin.no_transfers():
        _, index = pool.max_pool(x, output=output, **case[1])
        pool.max_scatter(gy, index, size=x.shape[1:3], **case[1])
        pool.max_gather(x, index, **case[1])
        pool.average_pool(x, output=output, include_pad=False, **average)
        pool.average_scatter(gy, size=x.shape[1:3], include_pad=False, **average)


FAULTS = [
    (compare_max, "max_scatter", "framed[where] += sent", "framed[where] = sent"),
    (compare_max, "max_scatter", "index == i * kernel[1] + j", "index == j * kernel[0] + i"),
    (compare_max, "max_pool", "better * index", "(values == y) * index"),
    (compare_max, "max_pool", "if padded is not x:", "if False:"),
    (compare_max, "_larger", "(best != y) & (y == y)", "best != y"),
    (compare_max, "_first_inside", "-((", "(("),
    (compare_max, "max_gather", "padded[where]", "padded[where][:, ::-1]"),
    (compare_max, "_crop", "(top, _), (left, _)", "(_, top), (_, left)"),
    (compare_average, "average_scatter", "framed[where] += share", "framed[where] = share"),
    (compare_average, "average_scatter", "not disjoint(", "disjoint("),
    (compare_average, "average_pool", "y += padded[where]", "y = padded[where].copy()"),
    (compare_average, "_counts", "xp.minimum(first + k, n)", "first + k"),
    (compare_average, "_counts", "xp.maximum(first, 0)", "first"),
    (compare_average, "disjoint", "s > d * (k - 1)", "s > d * (k - 2)"),
    (compare_max, "disjoint", "s > d * (k - 1)", "s > k - 1"),
]


@pytest.mark.host
@pytest.mark.parametrize(("compare", "name", "right", "wrong"), FAULTS)
def test_planted_fault_is_caught(compare, name, right, wrong, monkeypatch):
    def compare_all():
        for case in AVERAGES.values() if compare is compare_average else CASES.values():
            if compare is compare_average:
                compare(case, include_pad=False)
            else:
                compare(case)
                broken = np.where(images(case) > 2, np.nan, -np.inf)
                compare(case, x=broken)

    function = getattr(pool, name)
    monkeypatch.setattr(pool, name, planted(function, right, right))
    compare_all()
    monkeypatch.setattr(pool, name, planted(function, right, wrong))
    with pytest.raises(AssertionError):
        compare_all()
