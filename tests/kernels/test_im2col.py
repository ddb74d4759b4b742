"""The kernels of convolution against textbook loops, in every chunking, layout and precision."""

from __future__ import annotations

import numpy as np
import pytest
import textbook
from planted import planted

from minicnn import backend
from minicnn.kernels import im2col

PLAIN = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}
ALL = {"stride": (2, 1), "padding": ((1, 2), (0, 1)), "dilation": (1, 2)}

# Shapes of images and filters, and options. A row of a patch of fewer than 16 numbers takes
# another path than a longer one.
CASES = {
    "short runs": ((5, 6, 7, 3), (3, 2, 3, 4), PLAIN),
    "one channel": ((3, 5, 6, 1), (3, 3, 1, 2), {**PLAIN, "padding": ((1, 1), (1, 1))}),
    "long runs": ((5, 4, 5, 8), (3, 2, 8, 3), {**PLAIN, "padding": ((1, 0), (0, 2))}),
    "strides": ((3, 7, 8, 2), (3, 2, 2, 3), {**PLAIN, "stride": (2, 3)}),
    "stride above the kernel": ((2, 7, 8, 9), (2, 2, 9, 3), {**PLAIN, "stride": (3, 4)}),
    "dilations": ((2, 8, 9, 2), (3, 2, 2, 3), {**PLAIN, "dilation": (2, 5)}),
    "all at once": ((3, 6, 7, 10), (3, 2, 10, 2), {**PLAIN, **ALL}),
    "two groups": ((3, 6, 7, 4), (3, 2, 2, 6), {**ALL, "groups": 2}),
    "two groups of long runs": ((3, 4, 5, 34), (3, 2, 17, 4), {**PLAIN, "groups": 2}),
    "groups of single pixels": ((3, 4, 5, 34), (1, 1, 17, 4), {**PLAIN, "groups": 2}),
    "depthwise": ((3, 5, 6, 5), (3, 3, 1, 5), {**PLAIN, "groups": 5, "padding": ((1, 1), (1, 1))}),
    "depthwise twice": ((2, 5, 6, 3), (2, 2, 1, 6), {**PLAIN, "groups": 3}),
    "one by one": ((3, 4, 5, 6), (1, 1, 6, 7), PLAIN),
    "one by one of many channels": ((3, 4, 5, 17), (1, 1, 17, 2), {**PLAIN, "stride": (2, 2)}),
    "kernel of the image's size": ((4, 3, 4, 6), (3, 4, 6, 5), PLAIN),
    "kernel of the image's width": ((1, 6, 2, 9), (3, 2, 9, 4), PLAIN),
    "much padding": ((2, 2, 3, 4), (2, 2, 4, 3), {**PLAIN, "padding": ((3, 2), (4, 0))}),
    "one image": ((1, 5, 4, 3), (2, 3, 3, 2), PLAIN),
}  # fmt: skip
CHUNKS = {"whole batch": 10**9, "two images": 2, "single images": 1}
TOLERANCE = {"float64": {"rtol": 1e-12, "atol": 1e-12}, "float32": {"rtol": 1e-4, "atol": 1e-4}}

each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def arrays(case, dtype="float64"):
    """Return images, filters, bias and a gradient of the output, as arrays of the host."""
    x, w, options = case
    rng = np.random.default_rng(4)
    y = textbook.conv2d(np.zeros(x), np.zeros(w), **options).shape
    return [rng.uniform(-1, 1, shape).astype(dtype) for shape in (x, w, w[3:], y)]


def compare(x, w, b, gy, options, dtype="float64"):
    """Compare the three kernels on arrays of the backend with the loops."""
    size, kernel, output = x.shape[1:3], w.shape[:2], gy.shape[1:3]
    found = [
        im2col.conv2d(x, w, b, output=output, **options),
        im2col.input_gradient(gy, w, size=size, **options),
        im2col.filter_gradient(x, gy, kernel=kernel, **options),
    ]
    x, w, b, gy = (backend.to_numpy(each).astype("float64") for each in (x, w, b, gy))
    expected = [
        textbook.conv2d(x, w, b, **options),
        *textbook.conv2d_gradients(x, w, gy, **options),
    ]
    for mine, other in zip(found, expected, strict=True):
        assert mine.dtype == dtype
        np.testing.assert_allclose(backend.to_numpy(mine), other, **TOLERANCE[dtype])


def set_chunks(monkeypatch, images, case):
    """Make chunks of so many images, on a CPU and on a GPU."""
    _, w, _ = case
    x, _, _, gy = arrays(case)
    numbers = images * gy.shape[1] * gy.shape[2] * w[0] * w[1] * x.shape[3]
    for name, value in {"_CPU_CHUNK": numbers, "_CPU_ROWS": 1, "_GPU_CHUNK": numbers}.items():
        monkeypatch.setattr(im2col, name, value)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("images", CHUNKS.values(), ids=CHUNKS)
@each_case
def test_convolution_and_gradients_equal_the_loops(case, images, dtype, monkeypatch):
    set_chunks(monkeypatch, images, case)
    compare(*map(backend.asarray, arrays(case, dtype)), case[2], dtype)


@pytest.mark.host
@pytest.mark.parametrize("on_cpu", [True, False])
@pytest.mark.parametrize("n", [0, 1, 5, 64, 1000])
def test_chunks_take_every_image_once_and_are_of_nearly_one_size(n, on_cpu, monkeypatch):
    monkeypatch.setattr(im2col, "_GPU_CHUNK", 1 << 19)
    parts = list(im2col._chunks(n, 144, 288, on_cpu))
    assert [i for part in parts for i in range(n)[part]] == list(range(n))
    lengths = [part.stop - part.start for part in parts]
    assert n <= 5 or max(lengths) * 144 * 288 <= 1 << 19
    assert n < 64 or (len(parts) > 3 and max(lengths) - min(lengths) < len(parts))


@pytest.mark.host
def test_chunk_has_enough_rows_where_filters_are_large():
    parts = list(im2col._chunks(64, 36, 9 * 512, on_cpu=True))
    rows = [36 * (part.stop - part.start) for part in parts]
    assert len(rows) > 1 and min(rows) >= 400


@pytest.mark.host
@each_case
def test_sets_of_chunks_are_what_the_tests_above_say(case, monkeypatch):
    n = case[0][0]
    x, w, _, gy = arrays(case)
    for images in CHUNKS.values():
        set_chunks(monkeypatch, images, case)
        for on_cpu in (True, False):
            width = w.shape[0] * w.shape[1] * x.shape[3]
            parts = list(im2col._chunks(n, gy.shape[1] * gy.shape[2], width, on_cpu))
            assert len(parts) == -(-n // images)


def reversed_steps(array):
    """Return the values in memory of the backend where rows go in steps, columns backwards."""
    n, h, *rest = array.shape
    room = backend.asarray(np.full((n, 2 * h, *rest), np.nan, array.dtype))
    view = room[:, ::2, ::-1]
    view[...] = backend.asarray(array)
    return view


def some_channels(array):
    """Return the values in memory of the backend, as some of the last axis of a larger array."""
    room = backend.asarray(np.full((*array.shape[:-1], array.shape[-1] + 3), np.nan, array.dtype))
    view = room[..., 2:-1]
    view[...] = backend.asarray(array)
    return view


def channels_first(array):
    """Return the values in memory of the backend with the last axis stored second."""
    return backend.asarray(np.moveaxis(array, -1, 1).copy()).transpose(0, 2, 3, 1)


@pytest.mark.parametrize("images", [10**9, 1])
@pytest.mark.parametrize("layout", [reversed_steps, some_channels, channels_first])
@each_case
def test_layout_in_memory_does_not_matter(case, layout, images, monkeypatch):
    set_chunks(monkeypatch, images, case)
    x, w, b, gy = arrays(case)
    compare(layout(x), layout(w), backend.asarray(b), layout(gy), case[2])


def test_every_other_row_of_mirrored_images_is_convolved_in_place(rng):
    room = rng.standard_normal((3, 12, 6, 4))
    w, b, gy = (rng.standard_normal(shape) for shape in [(3, 2, 4, 2), (2,), (3, 4, 5, 2)])
    x = backend.asarray(room)[:, ::2, ::-1]
    compare(x, *map(backend.asarray, (w, b, gy)), PLAIN)


@each_case
def test_three_kernels_are_adjoints_of_each_other(case):
    x, w, _, gy = map(backend.asarray, arrays(case))
    options = case[2]
    y = im2col.conv2d(x, w, None, output=gy.shape[1:3], **options)
    gx = im2col.input_gradient(gy, w, size=x.shape[1:3], **options)
    gw = im2col.filter_gradient(x, gy, kernel=w.shape[:2], **options)
    products = [float((a * b).sum()) for a, b in ((y, gy), (x, gx), (w, gw))]
    np.testing.assert_allclose(products, products[0], rtol=1e-11)


@pytest.mark.parametrize("channels", [1, 8])
@pytest.mark.parametrize("groups", [1, 2])
def test_way_of_short_runs_and_way_of_long_runs_give_the_same(channels, groups, monkeypatch):
    options = {**PLAIN, "padding": ((1, 1), (0, 1)), "groups": groups}
    case = ((3, 6, 5, channels * groups), (3, 2, channels, 4), options)
    x, w, b, gy = map(backend.asarray, arrays(case))
    for limit in (0, 100):
        monkeypatch.setattr(im2col, "_SHORT_RUN", limit)
        compare(x, w, b, gy, case[2])


@pytest.mark.host
def test_rows_lie_in_memory_as_their_way_says(rng):
    short, long = (rng.standard_normal((2, 5, 6, c)) for c in (2, 9))
    views = [im2col.patches(x, (3, 3), (1, 1), (1, 1), (3, 4)) for x in (short, long)]
    rows = [im2col._rows(view, 1) for view in views]
    assert rows[0].flags.f_contiguous and not rows[0].flags.c_contiguous
    assert rows[1].flags.c_contiguous


@pytest.mark.host
def test_rows_of_one_by_one_kernels_are_not_copied(rng):
    x = rng.standard_normal((2, 5, 6, 32))
    rows = im2col._rows(im2col.patches(x, (1, 1), (1, 1), (1, 1), (5, 6)), 1)
    assert np.shares_memory(rows, x) and rows.shape == (60, 32)


@pytest.mark.host
def test_rows_that_would_overlap_in_memory_are_copied(rng):
    x = rng.standard_normal((1, 50, 1, 16))
    rows = im2col._rows(im2col.patches(x, (9, 1), (1, 1), (1, 1), (42, 1)), 1)
    assert rows.flags.c_contiguous and not np.shares_memory(rows, x)


@pytest.mark.parametrize("groups", [1, 2])
def test_no_images_give_no_outputs_and_zero_filter_gradients(groups):
    x, gy = (backend.asarray(np.zeros((0, *rest))) for rest in [(5, 6, 4), (3, 5, 6)])
    w, b = (backend.asarray(np.ones(shape)) for shape in [(3, 2, 4 // groups, 6), (6,)])
    options = {**PLAIN, "groups": groups}
    assert im2col.conv2d(x, w, b, output=(3, 5), **options).shape == (0, 3, 5, 6)
    assert im2col.input_gradient(gy, w, size=(5, 6), **options).shape == (0, 5, 6, 4)
    gw = im2col.filter_gradient(x, gy, kernel=(3, 2), **options)
    np.testing.assert_array_equal(backend.to_numpy(gw), np.zeros(w.shape))


def test_padding_of_nothing_gives_the_images_themselves(rng):
    x = backend.asarray(rng.standard_normal((2, 3, 4, 1)))
    assert im2col.pad(x, ((0, 0), (0, 0))) is x


@pytest.mark.parametrize("padding", [((1, 2), (3, 0)), ((0, 0), (0, 1))])
def test_padding_frames_each_side_by_its_number(padding, rng):
    x = rng.standard_normal((2, 3, 4, 2)).astype("float32")
    found = im2col.pad(backend.asarray(x), padding, -2.5)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(backend.to_numpy(found), textbook.frame(x, padding, -2.5))


def test_patches_are_a_view_of_every_window(rng):
    x = rng.standard_normal((2, 7, 9, 3))
    kernel, stride, dilation = (3, 2), (2, 1), (1, 3)
    found = im2col.patches(backend.asarray(x), kernel, stride, dilation, (3, 6))
    for p, q, place in textbook.positions(x.shape, kernel, stride, dilation):
        np.testing.assert_array_equal(backend.to_numpy(found[:, p, q]), x[place])


FAULTS = [
    ("input_gradient", "target[where] += rows", "target[where] = rows"),
    ("input_gradient", "gx[:, top :", "gx[:, bottom :"),
    ("input_gradient", "transpose(1, 2, 3, 0, 4)", "transpose(1, 3, 2, 0, 4)"),
    ("filter_gradient", "total += found", "total = found"),
    ("filter_gradient", "total.transpose(1, 0, 2)", "total"),
    ("conv2d", "target += b.reshape(target.shape[1:])", "pass"),
    ("conv2d", "x[part]", "x[: into[part].shape[0]]"),
    ("conv2d", "xp.matmul(rows, filters).transpose", "xp.matmul(rows, filters)[::-1].transpose"),
]


@pytest.mark.host
@pytest.mark.parametrize(("name", "right", "wrong"), FAULTS)
def test_planted_fault_is_caught(name, right, wrong, monkeypatch):
    def compare_all():
        for case in CASES.values():
            set_chunks(monkeypatch, 1, case)
            compare(*arrays(case), case[2])

    function = getattr(im2col, name)
    monkeypatch.setattr(im2col, name, planted(function, right, right))
    compare_all()
    monkeypatch.setattr(im2col, name, planted(function, right, wrong))
    with pytest.raises(AssertionError):
        compare_all()
