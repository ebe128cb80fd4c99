"""Tracing and joining: exact, and the same for every way to cut the scene."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize, shapes

from geoseg.errors import OutputError
from geoseg.grid.window import Window
from geoseg.vector.join import join
from geoseg.vector.regions import Regions
from geoseg.vector.trace import BlockTrace, load_trace, save_traces, trace_block
from tests.vector.maps import NODATA, blobs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

CASES = {
    "one pixel": [[1]],
    "one nodata pixel": [[255]],
    "one class": np.ones((5, 7)),
    "all nodata": np.full((5, 7), 255),
    "checkerboard": np.indices((6, 7)).sum(axis=0) % 2,
    "checkerboard of nodata": np.where(np.indices((6, 7)).sum(axis=0) % 2, 255, 3),
    "holes in holes": np.maximum.reduce(np.abs(np.indices((11, 11)) - 5), axis=0) % 2,
    "diagonal of one region": [[1, 1, 1], [1, 0, 1], [1, 1, 0]],
    "hole that touches the outside": [[2, 2, 2], [2, 1, 2], [1, 2, 2]],
    "holes that touch": [[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 1]],
    "four sides": [[0, 1, 0], [1, 1, 1], [0, 1, 0]],
    "nodata hole": [[1, 1, 1], [1, 255, 1], [1, 1, 1]],
    "spiral": [
        [1, 1, 1, 1, 1, 1, 1],
        [0, 0, 0, 0, 0, 0, 1],
        [1, 1, 1, 1, 1, 0, 1],
        [1, 0, 0, 0, 1, 0, 1],
        [1, 0, 1, 1, 1, 0, 1],
        [1, 0, 0, 0, 0, 0, 1],
        [1, 1, 1, 1, 1, 1, 1],
    ],
    "comb that joins below": [[1, 0, 1, 0, 1], [1, 0, 1, 0, 1], [1, 1, 1, 1, 1]],
    "bowl that joins above": [[1, 1, 1, 1, 1], [1, 0, 1, 0, 1], [1, 0, 1, 0, 1]],
}


def case(name: str) -> NDArray[np.uint8]:
    return np.asarray(CASES[name], dtype=np.uint8)


def traces(
    classes: NDArray[np.uint8],
    rows: Sequence[int],
    cols: Sequence[int],
    confidence: NDArray[np.uint8] | None = None,
) -> Iterator[BlockTrace]:
    """Cut a map after the given rows and columns and trace every block."""
    height, width = classes.shape
    row_cuts, col_cuts = sorted({0, *rows, height}), sorted({0, *cols, width})
    for top, bottom in itertools.pairwise(row_cuts):
        for left, right in itertools.pairwise(col_cuts):
            part = slice(top, bottom), slice(left, right)
            window = Window(top, left, bottom - top, right - left)
            yield trace_block(
                classes[part], None if confidence is None else confidence[part], window
            )


def joined(blocks: Iterator[BlockTrace], shape: tuple[int, int]) -> list[dict[str, Any]]:
    """Return the regions of all parts as plain values, in their order."""
    regions = []
    for part in join(blocks, height=shape[0], width=shape[1]):
        regions += [plain(part, i) for i in range(len(part))]
    return regions


def plain(part: Regions, i: int) -> dict[str, Any]:
    spans = [slice(*part.corners[k : k + 2]) for k in range(*part.rings[i : i + 2])]
    return {
        "class": int(part.class_id[i]),
        "stats": part.stats[i].tolist(),
        "rings": [part.places[span].tolist() for span in spans],
        "nodes": [part.is_node[span].tolist() for span in spans],
    }


def polygon(region: dict[str, Any]) -> shapely.Polygon:
    """Return a region with x = column, y = row."""
    shell, *holes = [[(col, row) for row, col in ring] for ring in region["rings"]]
    return shapely.Polygon(shell, holes)


def one_pass(
    classes: NDArray[np.uint8], confidence: NDArray[np.uint8] | None = None
) -> list[dict[str, Any]]:
    return joined(traces(classes, [], [], confidence), classes.shape)


def check_exact(classes: NDArray[np.uint8]) -> None:
    """Check that the regions are the map, valid, and a coverage."""
    regions = one_pass(classes)
    polygons = [polygon(region) for region in regions]
    assert all(shape.is_valid for shape in polygons)
    assert shapely.coverage_is_valid(polygons)
    assert [shape.area for shape in polygons] == [region["stats"][0] for region in regions]
    coloured = [(shape, r["class"]) for shape, r in zip(polygons, regions, strict=True)]
    back = np.full(classes.shape, NODATA, dtype=np.uint8)
    if coloured:
        rasterize(coloured, out=back)
    np.testing.assert_array_equal(back, classes)
    theirs = [shapely.geometry.shape(s) for s, _ in shapes(classes, classes != NODATA)]
    ours = shapely.set_precision(polygons, 0)
    assert _outlines(ours) == _outlines(theirs)


def _outlines(polygons: Sequence[shapely.Polygon]) -> set[bytes]:
    """Return each polygon's ground as bytes, without vertices on straight lines."""
    simple = shapely.simplify(polygons, 0)
    return {shapely.to_wkb(shapely.normalize(shapely.union_all([p]))) for p in simple}


@pytest.mark.parametrize("name", CASES)
def test_cases_are_exact(name: str) -> None:
    check_exact(case(name))


@pytest.mark.parametrize("name", CASES)
def test_cases_do_not_depend_on_blocks(name: str) -> None:
    classes = case(name)
    height, width = classes.shape
    expected = one_pass(classes)
    every_row, every_col = range(height), range(width)
    for rows, cols in ([every_row, []], [[], every_col], [every_row, every_col]):
        assert joined(traces(classes, rows, cols), classes.shape) == expected


@st.composite
def maps(draw: st.DrawFn) -> NDArray[np.uint8]:
    """Return small maps: noise of a few classes, coarse or fine, with nodata."""
    height, width = draw(st.integers(1, 14)), draw(st.integers(1, 14))
    classes = draw(st.lists(st.sampled_from([0, 1, 2, 254, NODATA]), min_size=1, max_size=4))
    grain = draw(st.integers(1, 3))
    seed = draw(st.integers(0, 2**32 - 1))
    noise = np.random.default_rng(seed).choice(classes, (height, width)).astype(np.uint8)
    return noise.repeat(grain, axis=0).repeat(grain, axis=1)[:height, :width]


cuts = st.lists(st.integers(1, 13), max_size=6)


@given(maps())
@settings(deadline=None)
def test_regions_are_the_map(classes: NDArray[np.uint8]) -> None:
    check_exact(classes)


@given(maps(), cuts, cuts)
@settings(deadline=None)
def test_any_blocks_give_one_pass(
    classes: NDArray[np.uint8], rows: list[int], cols: list[int]
) -> None:
    height, width = classes.shape
    rows, cols = [r for r in rows if r < height], [c for c in cols if c < width]
    confidence = (np.arange(classes.size) * 7 % 256).astype(np.uint8).reshape(classes.shape)
    expected = one_pass(classes, confidence)
    assert joined(traces(classes, rows, cols, confidence), classes.shape) == expected


@pytest.mark.parametrize("size", [1, 17, 64])
def test_blobs_do_not_depend_on_blocks(size: int) -> None:
    classes = blobs((90, 70), seed=4)
    cut = range(0, 100, size)
    rows, cols = [r for r in cut if r < 90], [c for c in cut if c < 70]
    assert joined(traces(classes, rows, cols), classes.shape) == one_pass(classes)
    check_exact(classes)


def test_statistics_are_those_of_the_pixels() -> None:
    classes = np.array([[1, 1, 2], [1, 255, 2]], dtype=np.uint8)
    confidence = np.array([[10, 250, 255], [40, 0, 255]], dtype=np.uint8)
    stats = {r["class"]: r["stats"] for r in one_pass(classes, confidence)}
    assert stats == {1: [3, 300, 3, 245], 2: [2, 0, 0, 0]}
    assert {r["class"]: r["stats"] for r in one_pass(classes)} == {1: [3, 0, 0, 0], 2: [2, 0, 0, 0]}


def test_nodes_are_where_boundaries_branch() -> None:
    [left, right] = one_pass(np.array([[1, 2]], dtype=np.uint8))
    assert left["rings"] == [[[0, 0], [1, 0], [1, 1], [0, 1]]]
    assert left["nodes"] == [[False, False, True, True]]
    [tall, *_] = one_pass(np.array([[1, 2], [1, 3]], dtype=np.uint8))[1:]
    assert [1, 1] in tall["rings"][0], "a branching corner stays on a straight line"
    assert right["class"] == 2


def test_only_the_open_edge_is_kept() -> None:
    """A background with holes in every row must not pile up corners in the graph."""
    from geoseg.vector.join import _Front

    classes = np.ones((400, 40), dtype=np.uint8)
    classes[1::4, 1:-1:4] = 2
    front = _Front(40)
    sizes = []
    for block in traces(classes, range(0, 400, 8), []):
        front.add([block])
        sizes.append(len(front._places))
    assert max(sizes) < 20
    assert len(front.finish(400)) == 1


def test_what_waits_costs_one_place_for_each_corner() -> None:
    """Two regions from top to bottom: of the ragged line between them the graph keeps its ends."""
    from geoseg.vector.join import _Front

    line = np.random.default_rng(0).integers(20, 40, 400)
    classes = (np.arange(60) < line[:, None]).astype(np.uint8)
    front = _Front(60)
    for block in traces(classes, range(0, 400, 3), []):
        assert not len(front.add([block]))
        # The line's start, and where it and the two sides of the map meet the open edge.
        assert len(front._places) <= 4
    turns = 2 * np.count_nonzero(np.diff(line))
    assert len(front._chains.between) == turns - 1  # the last one waits at the open edge
    both = front.finish(400)
    assert [plain(both, i) for i in range(2)] == one_pass(classes)


def test_a_saved_trace_comes_back(tmp_path: Path) -> None:
    [trace] = traces(blobs((30, 30)), [], [])
    save_traces(tmp_path / "a.npz", [trace, trace])
    save_traces(tmp_path / "b.npz", [trace, trace])
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = load_trace(tmp_path / "a.npz", 1)
    assert again.window == trace.window
    np.testing.assert_array_equal(again.places, trace.places)
    np.testing.assert_array_equal(again.sides, trace.sides)
    assert joined(iter([again]), (30, 30)) == one_pass(blobs((30, 30)))


def test_blocks_that_do_not_tile_are_refused() -> None:
    blocks = list(traces(blobs((20, 20)), [10], [10]))
    for wrong in (blocks[:3], blocks[:2], blocks[1:], [blocks[i] for i in (1, 0, 2, 3)]):
        with pytest.raises(OutputError):
            list(join(wrong, height=20, width=20))


@given(maps(), st.sampled_from([np.uint16, np.int32]), cuts)
@settings(deadline=None)
def test_wide_labels_are_traced_alike(
    classes: NDArray[np.uint8], dtype: type[np.generic], rows: list[int]
) -> None:
    """Ids beyond one byte, negative ones where the type has them; 999 is nodata."""
    height, width = classes.shape
    most = np.iinfo(dtype).max
    new = {0: np.iinfo(dtype).min, 1: 255, 2: most, 254: 4000, NODATA: 999}
    wide = np.vectorize(new.__getitem__)(classes).astype(dtype)
    cut = sorted({0, *(r for r in rows if r < height), height})
    blocks = [
        trace_block(wide[a:b], None, Window(a, 0, b - a, width), nodata_id=999)
        for a, b in itertools.pairwise(cut)
    ]
    expected = [{**r, "class": int(new[r["class"]])} for r in one_pass(classes)]
    assert joined(iter(blocks), classes.shape) == expected


def test_without_nodata_every_pixel_is_in_a_region() -> None:
    classes = case("nodata hole")
    for labels in (classes, classes.astype(np.uint16)):
        trace = trace_block(labels, None, Window(0, 0, 3, 3), nodata_id=None)
        assert sorted(trace.region_class.tolist()) == [1, 255]


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_, np.int8])
def test_other_labels_are_refused(dtype: type[np.generic]) -> None:
    with pytest.raises(ValueError, match="uint8, uint16 or int32"):
        trace_block(np.zeros((2, 2), dtype), None, Window(0, 0, 2, 2))


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="expected arrays of"):
        trace_block(np.zeros((2, 2), np.uint8), None, Window(0, 0, 2, 3))
