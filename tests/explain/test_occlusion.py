"""Occlusion against a textbook loop, and on networks whose important pixels are known."""

from __future__ import annotations

import numpy as np
import pytest
from explained import CLASSES, SIZE, Seen, make_linear, score
from planted import planted

from minicnn import backend, explain
from minicnn.errors import OptionError, ShapeError
from minicnn.explain import occlusion as function


def host(array):
    return backend.to_numpy(array)


def textbook(model, image, target, window, stride, cover):
    """Cover every place in turn; a pixel gets the mean fall over the windows that cover it."""
    height, width = image.shape[:2]
    total, times = np.zeros((height, width)), np.zeros((height, width))
    top = 0
    while True:
        left = 0
        while True:
            hidden = image.copy()
            place = np.s_[top : top + window[0], left : left + window[1]]
            hidden[place] = cover[place]
            fall = score(model, image, target) - score(model, hidden, target)
            total[place] += fall
            times[place] += 1
            if left + window[1] >= width:
                break
            left += stride[1]
        if top + window[0] >= height:
            break
        top += stride[0]
    return total / times


@pytest.mark.parametrize(
    ("window", "stride"),
    [((2, 2), (2, 2)), ((3, 2), (2, 1)), ((4, 5), (3, 2)), ((1, 1), (1, 1)), ((9, 9), (1, 1))],
)
def test_occlusion_equals_the_textbook_loop(network, pictures, images, window, stride):
    found = host(explain.occlusion(network, images, [2, 1, 0, 2, 1], window=window, stride=stride))
    cover = np.zeros_like(pictures[0])
    for n, target in ((0, 2), (4, 1)):
        expected = textbook(network, pictures[n], target, window, stride, cover)
        np.testing.assert_allclose(found[n], expected, rtol=1e-9, atol=1e-12)


def test_the_cover_is_a_number_an_image_or_one_for_each(network, pictures, images, rng):
    covers = rng.standard_normal(pictures.shape)
    options = {"window": 3, "stride": 2}
    each = explain.occlusion(network, images, 0, baseline=backend.asarray(covers), **options)
    one = explain.occlusion(network, images, 0, baseline=covers[2], **options)
    number = explain.occlusion(network, images, 0, baseline=0.7, **options)
    for found, n, cover in (
        (each, 3, covers[3]),
        (one, 3, covers[2]),
        (number, 3, np.full_like(covers[0], 0.7)),
    ):
        expected = textbook(network, pictures[n], 0, (3, 3), (2, 2), cover)
        np.testing.assert_allclose(host(found)[n], expected, rtol=1e-9, atol=1e-12)
    with pytest.raises(ShapeError, match="baseline of shape"):
        explain.occlusion(network, images, baseline=covers[:2], **options)


def test_of_a_linear_model_each_pixel_falls_by_its_own_share(rng, pictures, images):
    weights = rng.standard_normal((SIZE, SIZE, 1, CLASSES))
    found = host(explain.occlusion(make_linear(weights), images, 1, window=1, stride=1))
    np.testing.assert_allclose(found, (pictures * weights[..., 1])[..., 0], atol=1e-12)


def test_the_pixels_that_a_network_looks_at_are_found(pictures):
    weights = np.zeros((SIZE, SIZE, 1, CLASSES))
    weights[1:3, 4, :, 0] = 1
    found = host(
        explain.occlusion(
            make_linear(weights), backend.asarray(np.abs(pictures)), 0, window=1, stride=1
        )
    )
    assert (found[:, 1:3, 4] > 0).all()
    found[:, 1:3, 4] = 0
    np.testing.assert_allclose(found, 0, atol=1e-12)


def test_the_model_sees_a_chunk_at_a_time_and_the_numbers_are_the_same(network, images):
    whole = host(explain.occlusion(network, images, 0, window=3, stride=3))
    seen = Seen(network)
    found = host(explain.occlusion(network, images, 0, window=3, stride=3, batch_size=3))
    assert seen == [3, 2] + [3] * 6 + [2]  # five images, and five times four windows
    np.testing.assert_allclose(found, whole, rtol=1e-10, atol=1e-14)


def test_windows_that_leave_pixels_out_are_refused(network, images):
    with pytest.raises(OptionError, match=r"stride \(3, 3\) is larger than the window \(2, 2\)"):
        explain.occlusion(network, images, window=2, stride=3)
    with pytest.raises(OptionError, match="window: must be 1 or more"):
        explain.occlusion(network, images, window=(0, 2))


@pytest.mark.host
@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("occlusion", "before - after", "after - before"),
        ("occlusion", "totals / covered", "totals"),
        ("occlusion", "(row < top + height)", "(row <= top + height)"),
        ("occlusion", "cover[chosen], x[chosen]", "x[chosen], cover[chosen]"),
        ("_places", "max(0, size - side) + step", "size"),
    ],
)
def test_planted_faults_are_found(name, right, wrong, monkeypatch, network, pictures):
    import sys

    module = sys.modules[function.__module__]
    faulty = planted(getattr(module, name), right, wrong)
    monkeypatch.setattr(module, name, faulty)
    monkeypatch.setattr(explain, "occlusion", module.occlusion)
    with pytest.raises(AssertionError):
        test_occlusion_equals_the_textbook_loop(network, pictures, pictures, (4, 5), (3, 2))
