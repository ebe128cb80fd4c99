"""Maps against reference rasters, polygons and points."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine
from shapely.geometry import Point, Polygon, box

from geoseg.accuracy.evaluation import Evaluation
from geoseg.errors import GeosegError, MismatchError, OptionError, OutputError, SceneError
from geoseg.options import EvaluateOptions, SampleOptions
from geoseg.run import judged_map as room
from geoseg.run.evaluate import evaluate
from geoseg.run.sample import draw_sample
from tests.scenes import NORTH_UP, UTM, write_scene

NAMES = ("building", "land", "road")


def class_file(path: Path, classes: np.ndarray, *, names: bool = True, **profile: Any) -> Path:
    """Write class ids, 255 for nodata, with category names as geoseg keeps them."""
    chosen = {"nodata": 255, **profile}
    write_scene(path, classes[None].astype(np.uint8), **chosen)
    if names:
        categories = "".join(f"<Category>{name}</Category>" for name in NAMES)
        path.with_name(f"{path.name}.aux.xml").write_text(
            f'<PAMDataset><PAMRasterBand band="1"><CategoryNames>{categories}</CategoryNames>'
            "</PAMRasterBand></PAMDataset>"
        )
    return path


def judged(mapped: Path | str, reference: Path | str, **options: Any) -> Evaluation:
    chosen = EvaluateOptions(maps=(str(mapped),), references=(str(reference),), **options)
    return evaluate(chosen).evaluation


@pytest.fixture
def pair(tmp_path: Path) -> tuple[np.ndarray, np.ndarray, Path, Path]:
    rng = np.random.default_rng(0)
    truth = np.kron(rng.integers(0, 3, (10, 12)), np.ones((12, 12), int)).astype(np.uint8)
    mapped = np.where(rng.random(truth.shape) < 0.8, truth, rng.integers(0, 3, truth.shape))
    mapped[:5, :7] = 255
    truth[100:, 100:] = 255
    return (
        mapped,
        truth,
        class_file(tmp_path / "map.tif", mapped),
        class_file(tmp_path / "truth.tif", truth),
    )


def by_hand(mapped: np.ndarray, truth: np.ndarray) -> np.ndarray:
    both = (mapped < 255) & (truth < 255)
    return np.array(
        [[np.sum(both & (mapped == i) & (truth == j)) for j in range(3)] for i in range(3)]
    )


# Rasters --------------------------------------------------------------------------------


def test_every_pixel_with_a_reference_is_compared(
    pair: tuple[np.ndarray, np.ndarray, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped, truth, map_file, truth_file = pair
    found = judged(map_file, truth_file)
    np.testing.assert_array_equal(found.matrix, by_hand(mapped, truth))
    assert found.class_names == NAMES
    assert found.kind == "pixels"
    assert found.calibration is found.stratified is None
    # Strips of any height give the same numbers, borders included.
    monkeypatch.setattr(room, "_STRIP_PX", 1)
    monkeypatch.setattr(room, "_LEAST_ROWS", 7)
    again = judged(map_file, truth_file)
    assert again.as_json() == found.as_json()


def test_a_reference_of_the_same_lattice_is_placed_not_resampled(
    pair: tuple[np.ndarray, np.ndarray, Path, Path], tmp_path: Path
) -> None:
    mapped, truth, map_file, _ = pair
    part = truth[30:90, 20:80]
    placed = NORTH_UP @ Affine.translation(20, 30)
    file = class_file(tmp_path / "part.tif", part, transform=placed)
    only = np.full_like(truth, 255)
    only[30:90, 20:80] = part
    np.testing.assert_array_equal(judged(map_file, file).matrix, by_hand(mapped, only))
    beyond = class_file(
        tmp_path / "beyond.tif", truth, transform=NORTH_UP @ Affine.translation(-50, 100)
    )
    moved = np.full_like(truth, 255)
    moved[100:, :94] = truth[:20, 50:]
    np.testing.assert_array_equal(judged(map_file, beyond).matrix, by_hand(mapped, moved))


@pytest.mark.parametrize(
    ("transform", "crs", "why"),
    [
        (NORTH_UP @ Affine.translation(0.3, 0), UTM, "a part of a pixel off"),
        (NORTH_UP @ Affine.scale(2), UTM, "2 times as wide"),
        (NORTH_UP @ Affine(0, 1, 0, 1, 0, 0), UTM, "turned or flipped"),
        (NORTH_UP, "EPSG:32633", "another CRS"),
    ],
)
def test_other_grids_are_refused_and_aligned_on_request(
    pair: tuple[np.ndarray, np.ndarray, Path, Path],
    tmp_path: Path,
    transform: Affine,
    crs: str,
    why: str,
) -> None:
    mapped, truth, map_file, _ = pair
    file = class_file(tmp_path / "other.tif", truth, transform=transform, crs=crs)
    with pytest.raises(MismatchError, match=why) as refusal:
        judged(map_file, file)
    assert "--align nearest" in refusal.value.hint
    if crs != UTM:
        return
    found = judged(map_file, file, align="nearest")
    col, row = np.meshgrid(np.arange(144) + 0.5, np.arange(120) + 0.5)
    x, y = NORTH_UP @ (col, row)
    there = ~transform @ (x, y)
    at = [np.floor(v + 1e-9).astype(int) for v in (there[1], there[0])]
    inside = (at[0] >= 0) & (at[0] < 120) & (at[1] >= 0) & (at[1] < 144)
    seen = np.where(inside, truth[np.clip(at[0], 0, 119), np.clip(at[1], 0, 143)], 255)
    np.testing.assert_array_equal(found.matrix, by_hand(mapped, seen))


def test_numbers_of_the_reference_are_matched_as_told(
    pair: tuple[np.ndarray, np.ndarray, Path, Path], tmp_path: Path
) -> None:
    mapped, truth, map_file, _ = pair
    theirs = np.select([truth == 0, truth == 1, truth == 2], [11, 12, 13], 255)
    file = class_file(tmp_path / "theirs.tif", theirs, names=False)
    with pytest.raises(MismatchError, match="'11' in the reference is no class of the map"):
        judged(map_file, file)
    found = judged(map_file, file, match="11=building,12=1,13=")
    only = np.where(truth == 2, 255, truth)
    np.testing.assert_array_equal(found.matrix, by_hand(mapped, only))


def test_one_number_with_two_names_is_refused(
    pair: tuple[np.ndarray, np.ndarray, Path, Path],
) -> None:
    *_, map_file, truth_file = pair
    aux = truth_file.with_name(f"{truth_file.name}.aux.xml")
    aux.write_text(aux.read_text().replace("road", "water"))
    with pytest.raises(MismatchError, match="class 2 is 'road' in the map and 'water'"):
        judged(map_file, truth_file)
    assert judged(map_file, truth_file, match="water=road").compared > 0


def test_the_confidence_beside_a_map_is_judged(
    pair: tuple[np.ndarray, np.ndarray, Path, Path], tmp_path: Path
) -> None:
    mapped, truth, _, truth_file = pair
    folder = tmp_path / "scene_geoseg"
    folder.mkdir()
    class_file(folder / "classes.tif", mapped)
    sure = np.where(mapped == truth, 225, 50)
    sure[mapped == 255] = 255
    write_scene(folder / "confidence.tif", sure[None].astype(np.uint8), nodata=255)
    found = judged(folder, truth_file).calibration
    assert found is not None
    right, wrong = (b for b in sorted(found.bins, key=lambda b: -b.low))
    assert (right.confidence, right.accuracy) == (0.9, 1.0)
    assert (wrong.confidence, wrong.accuracy) == (0.2, 0.0)
    share = right.px_count / (right.px_count + wrong.px_count)
    assert found.expected_error == pytest.approx(0.1 * share + 0.2 * (1 - share))
    sure[50, 50] = 253
    write_scene(tmp_path / "photo.tif", sure[None].astype(np.uint8), nodata=255)
    with pytest.raises(SceneError, match=r"holds the confidence 1\.012, expected 0 to 1"):
        judged(folder, truth_file, confidence=str(tmp_path / "photo.tif"))


def test_a_tolerance_that_takes_hours_is_refused() -> None:
    with pytest.raises(OptionError, match="--boundary-px must be at most 32, got 33"):
        EvaluateOptions(maps=("a",), references=("b",), boundary_px=33)


def test_several_maps_are_one_evaluation(
    pair: tuple[np.ndarray, np.ndarray, Path, Path],
) -> None:
    *_, map_file, truth_file = pair
    one = judged(map_file, truth_file)
    two = evaluate(
        EvaluateOptions(maps=(str(map_file),) * 2, references=(str(truth_file),))
    ).evaluation
    np.testing.assert_array_equal(two.matrix, 2 * one.matrix)
    assert two.boundary == one.boundary
    with pytest.raises(OptionError, match="3 maps and 2 references"):
        evaluate(EvaluateOptions(maps=("a",) * 3, references=("b",) * 2))


def test_a_map_is_read_once_where_names_tell_all(
    pair: tuple[np.ndarray, np.ndarray, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a number that the map's names do not tell asks which ones it shows."""
    mapped, truth, map_file, truth_file = pair
    counted: list[str] = []
    real = room.class_counts
    monkeypatch.setattr(
        room, "class_counts", lambda raster: counted.append(raster.scene.stem) or real(raster)
    )
    bare = class_file(tmp_path / "bare.tif", mapped, names=False)
    bare_truth = class_file(tmp_path / "bare_truth.tif", truth, names=False)
    for one, other in ((map_file, truth_file), (map_file, bare_truth), (bare, bare_truth)):
        np.testing.assert_array_equal(judged(one, other).matrix, by_hand(mapped, truth))
    assert counted == []
    more = class_file(tmp_path / "more.tif", np.where(truth == 2, 7, truth), names=False)
    with pytest.raises(MismatchError, match=r"'7' in the reference is no class of the map \(0 b"):
        judged(map_file, more)
    assert counted == ["map"]
    shown = class_file(tmp_path / "shown.tif", np.where(mapped == 2, 7, mapped))
    found = judged(shown, more)
    assert found.class_ids == (0, 1, 2, 7)
    np.testing.assert_array_equal(
        np.delete(np.delete(found.matrix, 2, 0), 2, 1), by_hand(mapped, truth)
    )
    assert counted == ["map", "shown"]
    with pytest.raises(MismatchError, match=r"class [012] is '[012]' in the map and"):
        judged(bare, truth_file)


@pytest.mark.parametrize(
    ("match", "says"),
    [
        ("7=road", r"--match names '7', which is no value of the reference \(0, 1, 2, 255, build"),
        ("Road=road", "--match names 'Road'"),
        ("0=road,1", "is not of the form VALUE=CLASS"),
    ],
)
def test_a_value_that_no_reference_holds_is_one_line(
    pair: tuple[np.ndarray, np.ndarray, Path, Path], tmp_path: Path, match: str, says: str
) -> None:
    mapped, truth, map_file, truth_file = pair
    with pytest.raises(OptionError, match=says):
        judged(map_file, truth_file, match=match)
    # One that a single reference of several holds is known; so is nodata.
    other = class_file(tmp_path / "other.tif", np.where(truth == 0, 7, truth), names=False)
    maps, references = (str(map_file),) * 2, (str(truth_file), str(other))
    found = evaluate(EvaluateOptions(maps=maps, references=references, match="7=0,255=")).evaluation
    np.testing.assert_array_equal(found.matrix, 2 * by_hand(mapped, truth))


def test_a_value_that_may_lie_beyond_the_map_is_a_warning(
    pair: tuple[np.ndarray, np.ndarray, Path, Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    mapped, truth, map_file, _ = pair
    wide = np.pad(truth, 5, constant_values=7)
    placed = NORTH_UP @ Affine.translation(-5, -5)
    file = class_file(tmp_path / "wide.tif", wide, names=False, transform=placed)
    np.testing.assert_array_equal(
        judged(map_file, file, match="7=road").matrix, by_hand(mapped, truth)
    )
    (record,) = caplog.records
    assert "'7', which is no value of the reference as far as read (0, 1" in record.message


# Polygons -------------------------------------------------------------------------------


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326"])
def test_polygons_are_compared_where_they_hold_pixel_centres(
    pair: tuple[np.ndarray, np.ndarray, Path, Path], tmp_path: Path, crs: str
) -> None:
    mapped, _, map_file, _ = pair

    def area(left: float, top: float, right: float, bottom: float) -> Polygon:
        return box(*(NORTH_UP @ (left, bottom)), *(NORTH_UP @ (right, top)))

    frame = geopandas.GeoDataFrame(
        {"land_use": ["Building", "road", "not known"]},
        geometry=[area(10.2, 5.2, 40.6, 30.4), area(60, 40, 80, 200), area(0, 0, 5, 5)],
        crs=UTM,
    ).to_crs(crs)
    file = tmp_path / "참조 자료.gpkg"
    frame.to_file(file)
    truth = np.full_like(mapped, 255)
    truth[5:30, 10:41] = 0
    truth[40:, 60:80] = 2
    with pytest.raises(OptionError, match=r"'Not known', which is no value of the reference \(Bui"):
        judged(map_file, file, column="land_use", match="not known=,Not known=")
    found = judged(map_file, file, column="land_use", match="not known=")
    expected = by_hand(mapped, truth)
    if crs == UTM:
        np.testing.assert_array_equal(found.matrix, expected)
    else:  # straight lines in degrees are not quite straight in metres
        assert abs(found.matrix - expected).sum() <= 0.01 * expected.sum()


def test_outlines_and_a_background_judge_the_whole_map(
    pair: tuple[np.ndarray, np.ndarray, Path, Path], tmp_path: Path
) -> None:
    mapped, _, map_file, _ = pair
    names = ["roof", "shade", "roof"]
    shapes = [
        box(*(NORTH_UP @ (left, 30)), *(NORTH_UP @ (right, 5)))
        for left, right in ((10, 40), (30, 60), (55, 70))
    ]
    file = tmp_path / "roofs.gpkg"
    geopandas.GeoDataFrame({"class": names}, geometry=shapes, crs=UTM).to_file(file)
    truth = np.full_like(mapped, 1)
    truth[5:30, 10:30] = truth[5:30, 55:70] = 0
    truth[5:30, 30:55] = 255
    told = {"match": "roof=building,shade=", "out": tmp_path / "out"}
    found = judged(map_file, file, background="Land", **told)
    np.testing.assert_array_equal(found.matrix, by_hand(mapped, truth))
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["background"] == "Land"
    mask = np.where(truth == 1, 7, np.where(truth == 0, 3, 255))
    mask[:, 120:] = 255
    raster = class_file(tmp_path / "mask.tif", mask, names=False, nodata=7)
    found = judged(map_file, raster, background="land", match="3=building,255=")
    truth[:, 120:] = 255
    np.testing.assert_array_equal(found.matrix, by_hand(mapped, truth))


def test_a_background_that_judges_nothing_is_one_line(
    pair: tuple[np.ndarray, np.ndarray, Path, Path], tmp_path: Path
) -> None:
    *_, map_file, truth_file = pair
    points = tmp_path / "p.gpkg"
    draw_sample(SampleOptions(map=str(map_file), out=points, points=200))
    frame = geopandas.read_file(points)
    frame.assign(reference="land").to_file(points)
    with pytest.raises(OptionError, match="--background goes with polygons and class rasters"):
        judged(map_file, points, background="land")
    frame = geopandas.GeoDataFrame({"class": ["road"]}, geometry=[box(0, 0, 9, 9)], crs=UTM)
    frame.to_file(tmp_path / "away.gpkg")
    with pytest.raises(MismatchError, match="nothing to compare"):
        judged(map_file, tmp_path / "away.gpkg", background="land")
    for reference in (tmp_path / "away.gpkg", truth_file):
        with pytest.raises(MismatchError, match="--background names 'sky', which is no class of"):
            judged(map_file, reference, background="sky")


# Points ---------------------------------------------------------------------------------


def test_points_in_a_folder_that_is_not_there_are_one_line(
    pair: tuple[np.ndarray, np.ndarray, Path, Path], tmp_path: Path
) -> None:
    *_, map_file, _ = pair
    out = tmp_path / "nodir" / "p.gpkg"
    with pytest.raises(OutputError, match=r"cannot write .*p.gpkg: there is no folder .*nodir$"):
        draw_sample(SampleOptions(map=str(map_file), out=out))


def test_points_are_drawn_labelled_and_judged(
    pair: tuple[np.ndarray, np.ndarray, Path, Path], tmp_path: Path
) -> None:
    mapped, truth, map_file, _ = pair
    truth = np.where(truth == 255, 1, truth)
    file = tmp_path / "points.gpkg"
    drawn = draw_sample(SampleOptions(map=str(map_file), out=file, points=600, least=80))
    assert sum(drawn.points) == 600
    assert drawn.class_names == NAMES
    frame = geopandas.read_file(file)
    col, row = ~NORTH_UP @ (frame.geometry.x.to_numpy(), frame.geometry.y.to_numpy())
    np.testing.assert_allclose([col % 1, row % 1], 0.5, atol=1e-6)
    at = row.astype(int), col.astype(int)
    assert len(set(zip(*at, strict=True))) == 600
    np.testing.assert_array_equal(mapped[at], frame["stratum"])
    assert np.bincount(frame["stratum"]).tolist() == list(drawn.points)
    assert (np.diff(frame["stratum"]) != 0).mean() > 0.4  # in no order
    frame["reference"] = [NAMES[k] for k in truth[at]]
    frame.loc[:9, "reference"] = None
    frame.to_file(file)
    found = judged(map_file, file)
    assert (found.kind, found.compared, found.left_out) == ("points", 590, 10)
    used = np.arange(600) >= 10
    pairs = mapped[at][used], truth[at][used]
    np.testing.assert_array_equal(
        found.matrix,
        [[np.sum((pairs[0] == i) & (pairs[1] == j)) for j in range(3)] for i in range(3)],
    )
    known = mapped < 255
    assert found.strata_px == tuple(np.bincount(mapped[known]).tolist())
    assert found.stratified is not None
    # Pixel by pixel, the map agrees so often; the estimate lies within three of its errors.
    overall = found.stratified.overall
    assert abs(overall.value - (mapped == truth)[known].mean()) < 3 * overall.standard_error
    assert found.as_json()["area_adjusted"]["classes"][0]["area_m2"]["value"] == pytest.approx(
        found.stratified.area_share[0].value * known.sum() * found.pixel_m2
    )


def test_the_same_seed_draws_the_same_points_whatever_the_strips(
    pair: tuple[np.ndarray, np.ndarray, Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    *_, map_file, _ = pair

    def drawn(name: str, seed: int) -> np.ndarray:
        file = tmp_path / f"{name}.geojson"
        draw_sample(SampleOptions(map=str(map_file), out=file, points=200, seed=seed))
        return geopandas.read_file(file).geometry.to_wkb().to_numpy()

    first, other = drawn("a", 1), drawn("b", 2)
    monkeypatch.setattr(room, "_STRIP_PX", 1)
    monkeypatch.setattr(room, "_LEAST_ROWS", 11)
    assert (drawn("c", 1) == first).all()
    assert (other != first).any()


def test_points_of_another_map_are_refused(
    pair: tuple[np.ndarray, np.ndarray, Path, Path], tmp_path: Path
) -> None:
    *_, map_file, truth_file = pair
    file = tmp_path / "points.gpkg"
    draw_sample(SampleOptions(map=str(map_file), out=file, points=300))
    frame = geopandas.read_file(file)
    frame["reference"] = "land"
    frame.to_file(file)
    with pytest.raises(MismatchError, match="was drawn from class"):
        judged(truth_file, file)
    with pytest.raises(OutputError, match="is there already"):
        draw_sample(SampleOptions(map=str(map_file), out=file))


# What comes out, and what is wrong -------------------------------------------------------


def test_the_report_holds_all_numbers_and_is_not_replaced(
    pair: tuple[np.ndarray, np.ndarray, Path, Path], tmp_path: Path
) -> None:
    *_, map_file, truth_file = pair
    out = tmp_path / "report <1>"
    options = EvaluateOptions(maps=(str(map_file),), references=(str(truth_file),), out=out)
    result = evaluate(options)
    record = json.loads(result.files["json"].read_text())
    assert record["mean_iou"] == result.evaluation.scores.mean_iou
    page = result.files["report"].read_text()
    assert f"{result.evaluation.scores.mean_iou:.3f}" in page
    assert "<script" not in page
    assert "http" not in page.replace("https://doi.org", "")
    for count in result.evaluation.matrix.ravel():
        assert f">{count:,}</td>" in page
    with pytest.raises(OutputError, match="holds an evaluation already"):
        evaluate(options)


def test_names_in_the_report_are_text() -> None:
    from geoseg.accuracy.evaluation import Tally
    from geoseg.accuracy.report_page import report_page

    tally = Tally()
    tally.add_pairs(np.array([0, 1, 1]), np.array([0, 1, 0]), np.array([200, 250, 255], np.uint8))
    page = report_page(tally.evaluation({0: "<b>x", 1: "y"}, boundary_px=2), ["<i>.tif"], ["r"])
    assert "<b>x" not in page
    assert "<i>.tif" not in page
    assert "&lt;b&gt;x" in page


def test_classes_that_the_map_missed_count_as_missed(tmp_path: Path) -> None:
    """A map without names has any number as a class; one with a name for some, those it shows."""
    truth = np.array([[1, 2, 3, 3]] * 4)
    mapped = np.array([[1, 2, 2, 2]] * 4)
    bare = class_file(tmp_path / "bare.tif", mapped, names=False)
    reference = class_file(tmp_path / "truth.tif", truth, names=False)
    found = judged(bare, reference)
    assert found.class_ids == (1, 2, 3)
    assert found.scores.classes[2].recall == 0
    named = class_file(tmp_path / "named.tif", np.array([[1, 5, 5, 5]] * 4))
    theirs = class_file(tmp_path / "theirs.tif", np.array([[1, 5, 5, 2]] * 4), names=False)
    assert judged(named, theirs).class_names == ("building", "land", "road", "5")


def test_a_class_of_one_pixel_that_is_a_point_is_known(tmp_path: Path) -> None:
    classes = np.ones((20, 20), int)
    classes[3, 4] = 2
    file = class_file(tmp_path / "a.tif", classes)
    points = tmp_path / "p.gpkg"
    draw_sample(SampleOptions(map=str(file), out=points, points=60))
    with pytest.raises(OptionError, match=r"none of the 60 shapes .* has a label in 'reference'"):
        judged(file, points)
    frame = geopandas.read_file(points)
    frame["reference"] = frame["stratum"].astype(str) + ".0"
    frame.to_file(points)
    found = judged(file, points)
    assert found.stratified is not None
    assert found.stratified.overall.value == 1
    frame.loc[frame["stratum"] == 1, "reference"] = None
    frame.to_file(points)
    with pytest.raises(OptionError, match="class 'land' of the map has 0 labelled points"):
        judged(file, points)


def test_maps_of_two_legends_are_not_one(
    pair: tuple[np.ndarray, np.ndarray, Path, Path], tmp_path: Path
) -> None:
    mapped, _, map_file, truth_file = pair
    other = class_file(tmp_path / "other.tif", mapped)
    aux = other.with_name("other.tif.aux.xml")
    aux.write_text(aux.read_text().replace("road", "town"))
    maps = (str(map_file), str(other))
    with pytest.raises(MismatchError, match=r"class 2 is 'town' in .* and 'road'"):
        evaluate(EvaluateOptions(maps=maps, references=(str(truth_file),)))


def test_one_file_of_points_for_two_maps_is_used_whole(tmp_path: Path) -> None:
    left = class_file(tmp_path / "l.tif", np.ones((30, 30), int), names=False)
    right = class_file(
        tmp_path / "r.tif", np.ones((30, 30), int), names=False,
        transform=NORTH_UP @ Affine.translation(30, 0),
    )  # fmt: skip
    frames = []
    for file in (left, right):
        points = tmp_path / f"{file.stem}.gpkg"
        draw_sample(SampleOptions(map=str(file), out=points, points=50))
        frames.append(geopandas.read_file(points))
    both = tmp_path / "both.parquet"
    frame = geopandas.pd.concat(frames).rename_geometry("geom")
    frame["reference"] = frame["stratum"].astype("Int64")
    frame.iloc[:3, frame.columns.get_loc("reference")] = None
    frame.to_parquet(both)
    found = evaluate(
        EvaluateOptions(maps=(str(left), str(right)), references=(str(both),))
    ).evaluation
    assert (found.compared, found.left_out) == (97, 3)


@pytest.mark.parametrize(("step", "has_areas"), [(0.001, True), (1.0, False)])
def test_areas_only_where_pixels_have_one_size(
    tmp_path: Path, step: float, has_areas: bool
) -> None:
    file = class_file(
        tmp_path / "a.tif", np.ones((80, 80), int), names=False, crs="EPSG:4326",
        transform=Affine(step, 0, 10, 0, -step, 80),
    )  # fmt: skip
    points = tmp_path / "p.gpkg"
    draw_sample(SampleOptions(map=str(file), out=points, points=60))
    frame = geopandas.read_file(points)
    frame["reference"] = "1"
    frame.to_file(points)
    pixel_m2 = judged(file, points).pixel_m2
    assert (pixel_m2 is not None) == has_areas
    if pixel_m2 is not None:  # 111.6 m tall, 19.4 to 20.5 m wide at 79.92 to 80 degrees
        assert pixel_m2 == pytest.approx(111.65 * 111.65 * np.cos(np.radians(79.96)), rel=0.01)


def test_training_samples_of_a_gis_name_their_class(
    pair: tuple[np.ndarray, np.ndarray, Path, Path], tmp_path: Path
) -> None:
    *_, map_file, _ = pair
    corner = [NORTH_UP @ at for at in ((20, 20), (30, 30))]
    shape = box(*(f(x) for f in (min, max) for x in zip(*corner, strict=True)))
    columns = {"Classname": ["land"], "Classvalue": [7], "RED": [1], "Count": [100]}
    geopandas.GeoDataFrame(columns, geometry=[shape], crs=UTM).to_file(tmp_path / "s.shp")
    assert judged(map_file, tmp_path / "s.shp").matrix[:, 1].sum() == 100


def test_a_polygon_around_the_world_covers_the_map(
    pair: tuple[np.ndarray, np.ndarray, Path, Path], tmp_path: Path
) -> None:
    mapped, _, map_file, _ = pair
    file = tmp_path / "world.gpkg"
    frame = geopandas.GeoDataFrame(
        {"class": ["land"]}, geometry=[box(-180, -90, 180, 90)], crs="EPSG:4326"
    )
    frame.to_file(file)
    assert judged(map_file, file).compared == np.count_nonzero(mapped < 255)


def far_away(folder: Path) -> Path:
    path = folder / "far.gpkg"
    frame = geopandas.GeoDataFrame({"class": ["land"]}, geometry=[box(0, 0, 1, 1)], crs=UTM)
    frame.to_file(path)
    return path


def mixed(folder: Path) -> Path:
    path = folder / "mixed.gpkg"
    shapes = [Point(0, 0), box(0, 0, 1, 1)]
    geopandas.GeoDataFrame({"class": ["land"] * 2}, geometry=shapes, crs=UTM).to_file(path)
    return path


def unclear(folder: Path) -> Path:
    path = folder / "unclear.gpkg"
    columns = {"a": [1], "b": [2]}
    geopandas.GeoDataFrame(columns, geometry=[box(0, 0, 1, 1)], crs=UTM).to_file(path)
    return path


def no_vector(folder: Path) -> Path:
    path = folder / "broken.gpkg"
    path.write_text("nothing")
    return path


def unlabelled(folder: Path) -> Path:
    path = folder / "unlabelled.gpkg"
    columns = {"point_id": [1, 2], "reference": [None, " "]}
    shapes = [Point(*(NORTH_UP @ (k + 0.5, 0.5))) for k in range(2)]
    geopandas.GeoDataFrame(columns, geometry=shapes, crs=UTM).to_file(path)
    return path


def nowhere(folder: Path) -> Path:
    path = folder / "nowhere.tif"
    return class_file(path, np.zeros((120, 144)), names=False, crs=None)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (unlabelled, "none of the 2 shapes in the reference .* has a label in 'reference'"),
        (nowhere, "has no CRS, so they cannot be aligned"),
        (far_away, "nothing to compare: no pixel has a reference"),
        (mixed, "expected polygons, or points"),
        (unclear, "which column .* holds the class"),
        (no_vector, "cannot read the reference"),
        (lambda folder: folder / "missing.tif", "there is no file"),
    ],
)
def test_a_bad_reference_gets_one_line(
    pair: tuple[np.ndarray, np.ndarray, Path, Path], tmp_path: Path, make: Any, words: str
) -> None:
    *_, map_file, _ = pair
    out = tmp_path / "out"
    with pytest.raises(GeosegError, match=words) as refusal:
        judged(map_file, make(tmp_path), out=out)
    assert "\n" not in str(refusal.value)
    assert not out.exists()


def test_a_map_without_a_crs_has_no_areas(
    pair: tuple[np.ndarray, np.ndarray, Path, Path], tmp_path: Path
) -> None:
    mapped, *_ = pair
    bare = class_file(tmp_path / "bare.tif", mapped, crs=None)
    file = tmp_path / "p.gpkg"
    draw_sample(SampleOptions(map=str(bare), out=file, points=300))
    frame = geopandas.read_file(file)
    frame["reference"] = frame["stratum"].astype(float)  # ids, as a spreadsheet returns them
    with pytest.warns(UserWarning, match="crs"):
        frame.to_file(file)
    with rasterio.open(bare) as dataset:
        assert dataset.crs is None
    found = judged(bare, file)
    assert found.pixel_m2 is None
    assert found.scores.overall == 1


@pytest.mark.parametrize("is_map", [True, False])
def test_numbers_that_no_signed_number_holds_are_one_line(
    pair: tuple[np.ndarray, np.ndarray, Path, Path], tmp_path: Path, is_map: bool
) -> None:
    _, truth, map_file, truth_file = pair
    huge = truth.astype(np.uint64)
    huge[0, 0] = 2**63 + 5
    file = write_scene(tmp_path / "huge.tif", huge[None], nodata=255)
    with pytest.raises(GeosegError, match="holds the class number 9223372036854775813") as refusal:
        judged(*((file, truth_file) if is_map else (map_file, file)))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("names", [True, False])
def test_huge_numbers_of_a_column_are_one_line(
    pair: tuple[np.ndarray, np.ndarray, Path, Path], tmp_path: Path, names: bool
) -> None:
    mapped, *_ = pair
    file = class_file(tmp_path / "m.tif", mapped, names=names)
    labels = np.array([2**64 - 1], np.uint64)
    frame = geopandas.GeoDataFrame({"class": labels}, geometry=[box(0, 0, 1e6, 1e7)], crs=UTM)
    frame.to_parquet(tmp_path / "l.parquet")
    with pytest.raises(MismatchError, match="'18446744073709551615' in the reference is no class"):
        judged(file, tmp_path / "l.parquet")


def test_a_raster_of_other_things_than_classes_is_one_line(tmp_path: Path) -> None:
    heights = np.arange(120 * 100).reshape(1, 120, 100).astype(np.uint16)
    write_scene(tmp_path / "heights.tif", heights)
    with pytest.raises(OptionError, match="12,000 different classes, at most 1,024"):
        judged(tmp_path / "heights.tif", tmp_path / "heights.tif")
    with pytest.raises(OptionError, match="12,000 different classes"):
        draw_sample(SampleOptions(map=str(tmp_path / "heights.tif"), out=tmp_path / "p.gpkg"))
