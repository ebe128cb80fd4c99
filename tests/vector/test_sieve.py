"""The minimum mapping unit, against a slow and obvious way to do it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize, shapes

from geoseg.vector.sieve import sieve
from tests.vector.maps import NODATA, blobs, strips_of
from tests.vector.test_trace_join import maps

if TYPE_CHECKING:
    from numpy.typing import NDArray


def sieved(classes: NDArray[np.uint8], min_px: int, *, rows: int = 1000) -> NDArray[np.uint8]:
    strips = sieve(lambda: strips_of(classes, rows=rows), min_px=min_px)
    return np.concatenate([strip.classes for strip in strips])


def regions(classes: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return 4-connected regions numbered by their first pixel, -1 for nodata."""
    found = [shape for shape, _ in shapes(classes, classes != NODATA)]
    image = np.full(classes.shape, -1, dtype=np.int32)
    if found:
        rasterize([(shape, i) for i, shape in enumerate(found)], out=image)
    _, first, inverse = np.unique(image, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(np.where(image.ravel()[first] < 0, -1, first)))
    return (order[inverse] - (image.min() < 0)).reshape(classes.shape).astype(np.int32)


def obviously_sieved(classes: NDArray[np.uint8], min_px: int) -> NDArray[np.uint8]:
    """Dissolve one region after the other, looking at the whole map each time."""
    classes = classes.copy()
    while True:
        image = regions(classes)
        px = np.bincount(image[image >= 0])
        for region in sorted(np.flatnonzero(px < min_px), key=lambda i: (px[i], i)):
            shared = np.zeros(len(px), dtype=int)
            for a, b in ((image[:, 1:], image[:, :-1]), (image[1:], image[:-1])):
                for one, other in ((a, b), (b, a)):
                    touching = other[(one == region) & (other >= 0) & (other != region)]
                    shared += np.bincount(touching, minlength=len(px))
            if shared.any():
                best = max(np.flatnonzero(shared), key=lambda i: (shared[i], px[i], -i))
                classes[image == region] = classes[image == best][0]
                break
        else:
            return classes


@given(maps(), st.integers(1, 12), st.integers(1, 14))
@settings(deadline=None)
def test_sieve_is_the_obvious_one(classes: NDArray[np.uint8], min_px: int, rows: int) -> None:
    expected = obviously_sieved(classes, min_px)
    np.testing.assert_array_equal(sieved(classes, min_px, rows=rows), expected)


def test_sieve_does_not_depend_on_strips() -> None:
    classes = blobs((120, 90), seed=2)
    expected = sieved(classes, 40)
    assert (expected != classes).any()
    for rows in (1, 7, 64):
        np.testing.assert_array_equal(sieved(classes, 40, rows=rows), expected)
    np.testing.assert_array_equal(expected == NODATA, classes == NODATA)
    small = np.bincount(regions(expected)[expected != NODATA])
    assert small.min() >= 40


def test_an_island_in_nodata_stays() -> None:
    classes = np.full((5, 5), NODATA, dtype=np.uint8)
    classes[2, 2] = 3
    np.testing.assert_array_equal(sieved(classes, 9), classes)


def test_confidence_passes_unchanged() -> None:
    classes = np.array([[1, 1, 2]], dtype=np.uint8)
    confidence = np.array([[9, 8, 7]], dtype=np.uint8)
    [strip] = sieve(lambda: strips_of(classes, confidence), min_px=2)
    np.testing.assert_array_equal(strip.classes, [[1, 1, 1]])
    np.testing.assert_array_equal(strip.confidence, confidence)


def test_wide_labels_are_sieved_alike() -> None:
    classes = blobs((60, 50), seed=2)
    expected = sieved(classes, 30).astype(np.int32) * 1000
    for dtype in (np.int32, np.uint16):
        wide = (classes.astype(np.int64) * 1000 % 65536).astype(dtype)
        wide[classes == NODATA] = 7
        strips = sieve(lambda wide=wide: strips_of(wide, rows=16), min_px=30, nodata_id=7)
        found = np.concatenate([strip.classes for strip in strips])
        assert found.dtype == dtype
        np.testing.assert_array_equal(found == 7, classes == NODATA)
        np.testing.assert_array_equal(found[found != 7], expected[found != 7])
