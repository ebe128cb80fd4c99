"""Simplified outlines: fewer corners, the same for both neighbours, still a coverage."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import OptionError
from geoseg.options import SIMPLIFY_METHODS, Outlines, SimplifyMethod
from geoseg.vector.join import join
from geoseg.vector.lattice import CornerMap
from geoseg.vector.polygons import write_polygons
from geoseg.vector.simplify import simplify_arcs
from tests.vector.maps import LEGEND, blobs, grid_of, strips_of
from tests.vector.test_trace_join import CASES, case, cuts, maps, polygon, traces

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

both = pytest.mark.parametrize("method", SIMPLIFY_METHODS)


def simplified(
    classes: NDArray[np.uint8],
    tolerance_px: float,
    method: SimplifyMethod,
    *,
    rows: Sequence[int] = (),
    cols: Sequence[int] = (),
) -> tuple[list[shapely.Polygon], list[shapely.Polygon]]:
    """Return exact and simplified polygons, x = column, y = row."""
    height, width = classes.shape
    traced = CornerMap(width=width)
    exact, simple = [], []
    for part in join(traces(classes, rows, cols), height=height, width=width, traced=traced):
        before = traced.words.copy()
        begins, points = simplify_arcs(
            part.corners, part.places, part.is_node, traced,
            tolerance_px=tolerance_px, method=method,
        )  # fmt: skip
        np.testing.assert_array_equal(traced.words, before)
        for i in range(len(part)):
            for corners, places, out in (
                (part.corners, part.places, exact),
                (begins, points, simple),
            ):
                ids = range(part.rings[i], part.rings[i + 1])
                rings = [places[corners[k] : corners[k + 1]].tolist() for k in ids]
                out.append(polygon({"rings": rings}))
    return exact, simple


def check(
    exact: Sequence[shapely.Polygon], simple: Sequence[shapely.Polygon], distance_px: float
) -> None:
    assert all(shape.is_valid for shape in simple)
    assert shapely.coverage_is_valid(list(simple))
    assert [len(s.interiors) for s in simple] == [len(s.interiors) for s in exact]
    for before, after in zip(exact, simple, strict=True):
        kept = shapely.get_coordinates(after)
        assert {tuple(p) for p in kept} <= {tuple(p) for p in shapely.get_coordinates(before)}
        assert before.boundary.hausdorff_distance(after.boundary) <= distance_px + 1e-9
    if exact:
        ground = shapely.union_all(list(simple))
        assert sum(s.area for s in simple) == pytest.approx(ground.area)


@both
@pytest.mark.parametrize("name", CASES)
def test_cases_stay_a_coverage(name: str, method: SimplifyMethod) -> None:
    for tolerance_px in (0.75, 50):
        check(*simplified(case(name), tolerance_px, method), 50)


@both
@given(maps(), st.sampled_from([0.5, 0.75, 1.0, 1.5, 3.0, 20.0]))
@settings(deadline=None)
def test_any_map_stays_a_coverage(
    method: SimplifyMethod, classes: NDArray[np.uint8], tolerance_px: float
) -> None:
    exact, simple = simplified(classes, tolerance_px, method)
    check(exact, simple, tolerance_px if method == "douglas-peucker" else np.inf)


@both
@given(maps(), cuts, cuts)
@settings(deadline=None)
def test_any_blocks_give_one_pass(
    method: SimplifyMethod, classes: NDArray[np.uint8], rows: list[int], cols: list[int]
) -> None:
    height, width = classes.shape
    rows, cols = [r for r in rows if r < height], [c for c in cols if c < width]
    whole = simplified(classes, 1.5, method)[1]
    assert simplified(classes, 1.5, method, rows=rows, cols=cols)[1] == whole


@both
@pytest.mark.parametrize("tolerance_px", [0.75, 2, 8])
def test_blobs_stay_a_coverage_with_fewer_vertices(
    method: SimplifyMethod, tolerance_px: float
) -> None:
    exact, simple = simplified(blobs((160, 150), seed=8), tolerance_px, method)
    check(exact, simple, tolerance_px if method == "douglas-peucker" else np.inf)
    before, after = (shapely.get_num_coordinates(part).sum() for part in (exact, simple))
    assert after < 0.8 * before


def test_a_narrow_bay_is_not_crossed() -> None:
    """A corner of another outline inside the triangle keeps its corner."""
    classes = np.zeros((12, 12), dtype=np.uint8)
    classes[2:10, 2:10] = 1
    classes[8:10, 8:10] = 0
    classes[8, 8] = 2
    for method in SIMPLIFY_METHODS:
        check(*simplified(classes, 6, method), np.inf)


def test_nothing_is_taken_at_zero() -> None:
    for method in SIMPLIFY_METHODS:
        exact, simple = simplified(blobs((40, 40)), 0, method)
        assert exact == simple


def test_area_tolerance_is_the_square_of_a_length() -> None:
    """A corner of a notch of one pixel spans half a square pixel."""
    classes = np.zeros((10, 20), dtype=np.uint8)
    classes[:5] = 1
    classes[5, 9] = 1
    for tolerance_px, vertices in ((0.7, 8), (0.72, 5)):
        _, simple = simplified(classes, tolerance_px, "visvalingam")
        assert len(simple[0].exterior.coords) - 1 == vertices


def test_a_staircase_becomes_one_edge() -> None:
    classes = np.full((60, 60), 255, dtype=np.uint8)
    classes[np.tril_indices(60)] = 1
    for method in SIMPLIFY_METHODS:
        [triangle] = simplified(classes, 0.8, method)[1]
        assert len(triangle.exterior.coords) - 1 <= 6


@both
def test_files_do_not_depend_on_strips(method: SimplifyMethod, tmp_path: Path) -> None:
    classes = blobs((60, 50))
    files = [tmp_path / f"{rows}.fgb" for rows in (7, 60)]
    for target in files:
        write_polygons(
            strips_of(classes, rows=int(target.stem)),
            grid=grid_of(classes.shape),
            legend=LEGEND,
            targets=[target],
            outlines=Outlines(simplify_px=1.5, method=method),
            temp_dir=tmp_path,
        )
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"simplify_px": -1.0}, "not a length"),
        ({"simplify_px": float("nan")}, "not a length"),
        ({"simplify_px": 1.0, "method": "other"}, "unknown method"),
        ({"simplify_px": 1.0, "smooth": True}, "not both"),
    ],
)
def test_wrong_options_are_one_line(
    options: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=message):
        write_polygons(
            strips_of(blobs((9, 9))),
            grid=grid_of((9, 9)),
            legend=LEGEND,
            targets=[tmp_path / "map.gpkg"],
            temp_dir=tmp_path,
            outlines=Outlines(**options),  # type: ignore[arg-type]
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [{"simplify_px": 2.0}, {"smooth": True}])
def test_the_frame_of_a_map_stays(options: dict[str, object], tmp_path: Path) -> None:
    classes = blobs((40, 30), nodata=False)
    classes[0, 0], classes[1, 0], classes[0, 1] = 4, 3, 3
    target = tmp_path / "map.parquet"
    grid = grid_of(classes.shape)
    write_polygons(
        strips_of(classes),
        grid=grid,
        legend=LEGEND,
        targets=[target],
        temp_dir=tmp_path,
        outlines=Outlines(**options),  # type: ignore[arg-type]
    )
    ground = shapely.union_all(geopandas.read_parquet(target).geometry)
    assert ground.equals(shapely.box(*grid.bounds))


def test_the_corner_map_is_not_copied_while_bits_are_out() -> None:
    """Simplifying takes bits out and puts them back; the join copies the map in another thread."""
    traced = CornerMap(width=8)
    traced.add(np.array([[0, 0], [0, 8], [5, 0], [5, 8]], np.int32))
    shared = traced.snapshot()
    ring = np.array([[0, 0], [5, 0], [5, 8], [0, 8]], np.int32)
    whole = np.array([0, 4])

    def simplify() -> None:
        simplify_arcs(whole, ring, np.zeros(4, np.bool_), shared, tolerance_px=1.0)

    for work in (lambda: traced.forget_above(1), simplify, lambda: traced.add(ring)):
        with shared.guard:
            thread = threading.Thread(target=work)
            thread.start()
            thread.join(timeout=0.05)
            assert thread.is_alive()
        thread.join(timeout=30)
        assert not thread.is_alive()
