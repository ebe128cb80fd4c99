"""Smoothing keeps the coverage and moves nothing by half a pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import shapely
from hypothesis import given, settings

from geoseg.options import Outlines
from geoseg.vector.join import join
from geoseg.vector.polygons import write_polygons
from geoseg.vector.smooth import smoothed
from tests.vector.maps import LEGEND, blobs, grid_of, strips_of
from tests.vector.test_trace_join import CASES, case, maps, polygon, traces

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def outlines(
    classes: NDArray[np.uint8],
) -> tuple[list[shapely.Polygon], list[shapely.Polygon]]:
    """Return exact and smoothed polygons, x = column, y = row."""
    exact, smooth = [], []
    for part in join(traces(classes, [], []), height=classes.shape[0], width=classes.shape[1]):
        begins, points = smoothed(part.corners, part.places, part.is_node)
        for i in range(len(part)):
            ring_ids = range(part.rings[i], part.rings[i + 1])
            for corners, places, out in (
                (part.corners, part.places, exact),
                (begins, points, smooth),
            ):
                rings = [places[corners[k] : corners[k + 1]].tolist() for k in ring_ids]
                out.append(polygon({"rings": rings}))
    return exact, smooth


def check(classes: NDArray[np.uint8]) -> None:
    exact, smooth = outlines(classes)
    assert all(shape.is_valid for shape in smooth)
    assert shapely.coverage_is_valid(smooth)
    assert [len(s.interiors) for s in smooth] == [len(s.interiors) for s in exact]
    for before, after in zip(exact, smooth, strict=True):
        assert before.boundary.hausdorff_distance(after.boundary) < 0.5
        assert after.boundary.hausdorff_distance(before.boundary) < 0.5
    if not exact:
        return
    outside = shapely.union_all(exact), shapely.union_all(smooth)
    assert sum(s.area for s in smooth) == pytest.approx(outside[1].area)
    assert outside[0].boundary.hausdorff_distance(outside[1].boundary) < 0.5


@pytest.mark.parametrize("name", CASES)
def test_cases_stay_a_coverage(name: str) -> None:
    check(case(name))


@given(maps())
@settings(deadline=None)
def test_any_map_stays_a_coverage(classes: NDArray[np.uint8]) -> None:
    check(classes)


def test_blobs_stay_a_coverage_with_fewer_vertices() -> None:
    classes = blobs((120, 100), seed=8)
    check(classes)
    exact, smooth = outlines(classes)
    assert shapely.get_num_coordinates(smooth).sum() < shapely.get_num_coordinates(exact).sum()


def test_a_staircase_becomes_one_edge_and_a_square_stays() -> None:
    classes = np.full((20, 20), 255, dtype=np.uint8)
    classes[np.tril_indices(20)] = 1
    [triangle] = outlines(classes)[1]
    assert len(triangle.exterior.coords) - 1 <= 5
    classes = np.full((20, 20), 255, dtype=np.uint8)
    classes[5:15, 5:15] = 1
    exact, smooth = outlines(classes)
    assert smooth[0].equals(exact[0])


def test_files_do_not_depend_on_strips(tmp_path: Path) -> None:
    classes = blobs((60, 50))
    files = [tmp_path / f"{rows}.fgb" for rows in (7, 60)]
    for target in files:
        write_polygons(
            strips_of(classes, rows=int(target.stem)),
            grid=grid_of(classes.shape),
            legend=LEGEND,
            targets=[target],
            outlines=Outlines(smooth=True),
            temp_dir=tmp_path,
        )
    assert files[0].read_bytes() == files[1].read_bytes()
