"""``geoseg evaluate`` and ``geoseg sample`` on the sample scenes' labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import pytest

LABELS = Path(__file__).parents[2] / "sample_tiles" / "labels"
Geoseg = Callable[..., Any]


def test_a_map_that_is_the_reference(geoseg: Geoseg, tmp_path: Path) -> None:
    out = tmp_path / "accuracy"
    found = geoseg("evaluate", LABELS / "town.tif", "--reference", LABELS / "town.tif",
                   "--out", out)  # fmt: skip
    assert found.code == 0, found.err
    for words in (
        "boundary F",
        "mean IoU     1.000",
        "overall      1.000",
        str(out / "report.html"),
    ):
        assert words in found.out
    again = geoseg("evaluate", LABELS / "town.tif", "--reference", LABELS / "town.tif",
                   "--out", out)  # fmt: skip
    assert again.code == 1
    assert "--overwrite" in again.err


def test_a_model_is_judged_by_a_scene(geoseg: Geoseg, model_folder: Path, tmp_path: Path) -> None:
    """The same as mapping the scene and judging the folder."""
    scene = LABELS.parent / "coast.tif"
    said = ("--reference", LABELS / "coast.tif", "--match", "0=1,1=2,2=7,3=,4=", "--json")
    direct = geoseg("evaluate", scene, "--model", model_folder, *said)
    assert direct.code == 0, direct.err
    folder = tmp_path / "map"
    assert geoseg("run", scene, "--model", model_folder, "--out", folder, "-q").code == 0
    later = geoseg("evaluate", folder, *said)
    assert direct.out == later.out
    assert json.loads(direct.out)["compared"] > 1000


def test_one_event_with_all_numbers(geoseg: Geoseg) -> None:
    found = geoseg("evaluate", LABELS / "town.tif", "--reference", LABELS / "town.tif", "--json")
    event = json.loads(found.out)
    assert event["event"] == "evaluation"
    assert event["kind"] == "pixels"
    assert event["overall_accuracy"] == event["mean_iou"] == event["boundary"]["mean_f_score"] == 1


def test_from_points_to_areas(geoseg: Geoseg, tmp_path: Path) -> None:
    points = tmp_path / "points.gpkg"
    drawn = geoseg("sample", LABELS / "coast.tif", "--out", points, "--points", 300)
    assert drawn.code == 0, drawn.err
    assert f"300 points to label: {points}" in drawn.out
    nothing = geoseg("evaluate", LABELS / "coast.tif", "--reference", points)
    assert nothing.code == 1
    frame = geopandas.read_file(points)
    frame["reference"] = frame["stratum"].astype(str)
    frame.to_file(points)
    found = geoseg("evaluate", LABELS / "coast.tif", "--reference", points)
    assert found.code == 0, found.err
    assert "overall accuracy 1.000 ± 0.000" in found.out
    assert " ha" in found.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--points", 3), "3 points are not enough for 50 in each of"),
        (("--least", 1), "--least must be at least 2"),
        (("--expected-accuracy", 2), "must lie between 0 and 1"),
    ],
)
def test_a_sample_that_cannot_be(
    geoseg: Geoseg, tmp_path: Path, options: tuple[object, ...], words: str
) -> None:
    found = geoseg("sample", LABELS / "town.tif", "--out", tmp_path / "p.gpkg", *options)
    assert found.code == 1
    assert words in found.err
    assert not (tmp_path / "p.gpkg").exists()
