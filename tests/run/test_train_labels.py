"""Labels as people write them: numbers and words, names and matches, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine

from geoseg.errors import GeosegError, MismatchError, OptionError
from geoseg.options import TrainOptions
from geoseg.run.train_labels import label_reader
from geoseg.run.train_plan import TrainPlan, make_train_plan
from tests.scenes import NORTH_UP, UTM, write_scene

SIDE = 64
SQUARES = np.kron(np.arange(16).reshape(4, 4), np.ones((16, 16), int))


def label_file(path: Path, values: np.ndarray, names: tuple[str, ...] = (), **profile: Any) -> Path:
    """Write numbers, with category names where there are any."""
    write_scene(path, values[None], **profile)
    if names:
        categories = "".join(f"<Category>{name}</Category>" for name in names)
        path.with_name(f"{path.name}.aux.xml").write_text(
            f'<PAMDataset><PAMRasterBand band="1"><CategoryNames>{categories}</CategoryNames>'
            "</PAMRasterBand></PAMDataset>"
        )
    return path


def planned(folder: Path, *labels: Path, **options: Any) -> TrainPlan:
    """Plan a training of one scene per file of labels."""
    scene = folder / "scene.tif"
    if not scene.exists():
        pixels = np.random.default_rng(0).integers(0, 255, (3, SIDE, SIDE)).astype(np.uint8)
        write_scene(scene, pixels)
    files = tuple(map(str, labels))
    return make_train_plan(
        TrainOptions(data=(str(scene),) * len(files), labels=files, out=folder / "m", **options)
    )


def sets_of(plan: TrainPlan) -> np.ndarray:
    """Return the sets of the first scene."""
    source = plan.scenes[0].labels
    with label_reader(source, plan.legend, plan.options.match, overlap=plan.overlap) as read:
        return read(source.grid.window)


def classes(plan: TrainPlan) -> dict[int, str]:
    return {c.class_id: c.name for c in plan.legend}


def test_a_name_that_one_file_gives_holds_for_all(tmp_path: Path) -> None:
    values = (SQUARES % 3).astype(np.uint8)
    named = label_file(tmp_path / "a.tif", values, ("field", "wood", "road"))
    bare = label_file(tmp_path / "b.tif", values)
    for files in ((named, bare), (bare, named)):
        plan = planned(tmp_path, *files)
        assert classes(plan) == {0: "field", 1: "wood", 2: "road"}
        assert np.array_equal(sets_of(plan), 1 << values)


def test_two_names_of_one_number_are_refused(tmp_path: Path) -> None:
    values = (SQUARES % 2).astype(np.uint8)
    one = label_file(tmp_path / "a.tif", values, ("field", "wood"))
    two = label_file(tmp_path / "b.tif", values, ("field", "road"))
    with pytest.raises(
        MismatchError, match=r"1 is 'wood' in the legend and 'road' in the labels .*b.tif"
    ):
        planned(tmp_path, one, two)
    assert classes(planned(tmp_path, one, two, match="1=wood,road=wood"))


def test_what_a_value_may_be_is_looked_up_among_the_classes(tmp_path: Path) -> None:
    """The right side of a match is no value of the labels, even where it is called like one."""
    values = (SQUARES % 3).astype(np.uint8)
    plan = planned(
        tmp_path, label_file(tmp_path / "a.tif", values), match="0=1|2,1=2,2=1",
        classes="1:field:#111111,2:wood:#222222",
    )  # fmt: skip
    assert np.array_equal(sets_of(plan), np.array([3, 2, 1])[values])
    with pytest.raises(
        MismatchError, match=r"--match names 'sky', which is no class of the legend"
    ):
        planned(
            tmp_path, tmp_path / "a.tif", match="0=field|sky,1=field,2=wood",
            classes="1:field:#111111,2:wood:#222222",
        )  # fmt: skip


def test_numbers_below_0_are_unlabelled_and_told(tmp_path: Path) -> None:
    values = (SQUARES % 4 - 2).astype(np.int16)
    file = label_file(tmp_path / "a.tif", values)
    plan = planned(tmp_path, file)
    (warning,) = plan.warnings
    assert "a.tif: values below 0 are taken as unlabelled: -2, -1 (" in warning
    assert classes(plan) == {0: "class 0", 1: "class 1"}
    assert np.array_equal(sets_of(plan), np.array([0, 0, 1, 2])[values + 2])
    assert planned(tmp_path, file, match="-1=,-2=").warnings == ()
    plan = planned(tmp_path, file, match="-1=sea,-2=")
    assert sorted(classes(plan).values()) == ["class 0", "class 1", "sea"]
    frame = geopandas.GeoDataFrame(
        {"class": [-1, 0, 1]},
        geometry=[shapely.box(*(NORTH_UP @ (8 * k, 8)), *(NORTH_UP @ (8 * k + 8, 0)))
                  for k in range(3)],
        crs=UTM,
    )  # fmt: skip
    frame.to_file(tmp_path / "l.gpkg")
    plan = planned(tmp_path, tmp_path / "l.gpkg")
    assert "values below 0 are taken as unlabelled: -1 (" in plan.warnings[0]
    assert set(classes(plan)) == {0, 1}


@pytest.mark.parametrize(
    ("match", "says"),
    [
        ("7=x", r"--match names '7', which is no value of the labels \(0, 1, 2, 255, road\)"),
        ("0=x,Road=x", "--match names 'Road'"),
        ("02=", "--match names '02'"),
        ("road", "is not of the form VALUE=CLASS"),
    ],
)
def test_a_value_that_no_labels_hold_is_one_line(tmp_path: Path, match: str, says: str) -> None:
    file = label_file(
        tmp_path / "a.tif", (SQUARES % 3).astype(np.uint8), ("", "", "road"), nodata=255
    )
    with pytest.raises(OptionError, match=says):
        planned(tmp_path, file, match=match)


def test_a_value_of_one_scene_of_many_is_known(tmp_path: Path) -> None:
    """So are names that a file gives to what does not occur, and its nodata."""
    first = label_file(tmp_path / "a.tif", (SQUARES % 2).astype(np.uint8), nodata=255)
    second = label_file(tmp_path / "b.tif", (SQUARES % 3).astype(np.uint8), ("a", "b", "c", "d"))
    assert planned(tmp_path, first, second, match="2=a,d=a,255=")
    listing = tmp_path / "pairs.csv"
    row = "scene.tif,{},{}\n"
    listing.write_text(
        "image,labels,match\n" + row.format("a.tif", "2=a") + row.format("b.tif", "2=a")
    )
    assert make_train_plan(TrainOptions(data=(str(listing),), out=tmp_path / "m"))
    listing.write_text(
        "image,labels,match\n" + row.format("a.tif", "2=a") + row.format("b.tif", "")
    )
    with pytest.raises(OptionError, match="--match names '2'"):
        make_train_plan(TrainOptions(data=(str(listing),), out=tmp_path / "m"))


def test_a_value_that_may_lie_beyond_the_scene_is_a_warning(tmp_path: Path) -> None:
    values = np.pad((SQUARES % 3).astype(np.uint8), 5, constant_values=7)
    placed = NORTH_UP @ Affine.translation(-5, -5)
    file = label_file(tmp_path / "a.tif", values, transform=placed)
    (warning,) = planned(tmp_path, file, match="7=0").warnings
    assert "'7', which is no value of the labels as far as read (0, 1, 2)" in warning
    assert planned(tmp_path, file).warnings == ()


def test_numbers_too_large_for_a_map_are_one_line(tmp_path: Path) -> None:
    huge = (SQUARES % 2).astype(np.uint64)
    huge[0, 0] = 2**64 - 1
    with pytest.raises(GeosegError, match="holds the class number 18446744073709551615"):
        planned(tmp_path, label_file(tmp_path / "a.tif", huge))
    frame = geopandas.GeoDataFrame(
        {"class": np.array([2**64 - 1, 1], np.uint64)}, geometry=[shapely.box(0, 0, 1e6, 1e7)] * 2,
        crs=UTM,
    )  # fmt: skip
    frame.to_parquet(tmp_path / "l.parquet")
    with pytest.raises(OptionError, match="the labels hold class 18446744073709551615, a map"):
        planned(tmp_path, tmp_path / "l.parquet")


def test_what_does_not_fit_is_said_of_the_scene_and_the_labels(tmp_path: Path) -> None:
    values = (SQUARES % 2).astype(np.uint8)
    off = label_file(tmp_path / "a.tif", values, transform=NORTH_UP @ Affine.translation(0.4, 0))
    with pytest.raises(MismatchError, match=r"a.tif are not those of the scene: they lie"):
        planned(tmp_path, off)
    write_scene(tmp_path / "two.tif", np.stack([values, values]))
    with pytest.raises(OptionError, match="a class map is one") as refusal:
        planned(tmp_path, tmp_path / "two.tif")
    assert "--band" not in str(refusal.value.hint)
    (tmp_path / "broken.gpkg").write_text("nothing")
    with pytest.raises(OptionError, match=r"cannot read the labels .*broken.gpkg"):
        planned(tmp_path, tmp_path / "broken.gpkg")


@pytest.mark.parametrize("n_classes", [63, 64])
def test_as_many_classes_as_there_are_bits(tmp_path: Path, n_classes: int) -> None:
    values = np.kron(np.arange(64).reshape(8, 8), np.ones((8, 8), int)).clip(max=n_classes - 1)
    file = label_file(tmp_path / "a.tif", values.astype(np.uint8))
    if n_classes == 63:
        assert np.array_equal(sets_of(planned(tmp_path, file)), np.uint64(1) << values.astype("u8"))
        return
    with pytest.raises(OptionError, match="64 classes are too many"):
        planned(tmp_path, file)


def test_scenes_of_two_kinds_are_refused(tmp_path: Path) -> None:
    file = label_file(tmp_path / "a.tif", (SQUARES % 2).astype(np.uint8))
    paths = []
    for kind in (np.uint8, np.uint16):
        pixels = np.random.default_rng(0).integers(0, 255, (3, SIDE, SIDE)).astype(kind)
        paths.append(str(write_scene(tmp_path / f"{kind.__name__}.tif", pixels)))
    with pytest.raises(MismatchError, match="some scenes are 8-bit and some are not"):
        make_train_plan(
            TrainOptions(data=tuple(paths), labels=(str(file),) * 2, out=tmp_path / "m")
        )


# What no label covers ---------------------------------------------------------------------


def outlines(path: Path, *named: tuple[str | None, tuple[int, int, int, int]]) -> Path:
    """Write polygons: class, and first column, first row, last column, last row."""
    boxes = [
        shapely.box(*(NORTH_UP @ (left, bottom)), *(NORTH_UP @ (right, top)))
        for _, (left, top, right, bottom) in named
    ]
    frame = geopandas.GeoDataFrame({"class": [name for name, _ in named]}, geometry=boxes, crs=UTM)
    frame.to_file(path)
    return path


def test_outlines_alone_say_all_with_a_background(tmp_path: Path) -> None:
    file = outlines(tmp_path / "l.gpkg", ("roof", (8, 8, 24, 20)), ("roof", (20, 16, 40, 30)))
    with pytest.raises(OptionError, match=r"one class only \('roof'\)") as refused:
        planned(tmp_path, file)
    assert "--background" in str(refused.value.hint)
    with pytest.raises(OptionError, match="one class only") as refused:
        planned(tmp_path, file, background="Roof")
    assert "another class" in str(refused.value.hint)
    plan = planned(tmp_path, file, background="field")
    assert classes(plan) == {0: "roof", 1: "field"}
    assert len({c.colour for c in plan.legend}) == 2
    expected = np.full((SIDE, SIDE), 2)
    expected[8:20, 8:24] = expected[16:30, 20:40] = 1
    assert np.array_equal(sets_of(plan), expected)
    assert plan.warnings == ()
    # Ground far from any polygon is looked through, too.
    assert len(list(plan.scenes[0].labels.windows(16))) == 16


def test_ground_that_is_left_out_is_no_background(tmp_path: Path) -> None:
    """The last of two polygons wins; one that is left out, or bare, covers its ground too."""
    file = outlines(
        tmp_path / "l.gpkg", ("roof", (0, 0, 20, 20)), ("shade", (10, 0, 30, 20)),
        ("roof", (25, 0, 40, 20)), (None, (0, 40, 20, 60)), ("Other", (40, 40, 50, 50)),
    )  # fmt: skip
    plan = planned(tmp_path, file, background="other", match="shade=")
    assert classes(plan) == {0: "roof", 1: "other"}
    expected = np.full((SIDE, SIDE), 2)
    expected[:20, :10] = expected[:20, 25:40] = 1
    expected[:20, 10:25] = expected[40:60, :20] = 0
    assert np.array_equal(sets_of(plan), expected)


def test_where_classes_overlap_the_background_is_none_of_them(tmp_path: Path) -> None:
    file = outlines(
        tmp_path / "l.gpkg", ("roof", (0, 0, 20, 20)), ("panel", (10, 10, 20, 20)),
        ("shade", (40, 0, 60, 20)),
    )  # fmt: skip
    plan = planned(tmp_path, file, background="-", loss="bce", match="shade=")
    assert classes(plan) == {0: "panel", 1: "roof"}
    expected = np.full((SIDE, SIDE), 4)
    expected[:20, :20] = 2
    expected[10:20, 10:20] = 3
    expected[:20, 40:60] = 0
    assert np.array_equal(sets_of(plan), expected)


@pytest.mark.parametrize("gsd_m", [None, 0.15])
def test_nodata_of_a_mask_is_background_within_its_extent(
    tmp_path: Path, gsd_m: float | None
) -> None:
    """As gdal_rasterize writes outlines: 0 where there is none, and 0 is nodata."""
    mask = np.zeros((1, 32, 48), np.uint8)
    mask[0, 8:16, 8:16] = 1
    mask[0, 20:24, 8:16] = 255
    file = write_scene(tmp_path / "mask.tif", mask, nodata=0)
    with pytest.raises(OptionError, match="one class only"):
        planned(tmp_path, file, gsd_m=gsd_m)
    plan = planned(tmp_path, file, gsd_m=gsd_m, background="other", match="1=roof")
    assert classes(plan) == {0: "roof", 1: "other"}
    expected = np.zeros((SIDE, SIDE), int)
    expected[:32, :48] = 2
    expected[8:16, 8:16] = 1
    expected[20:24, 8:16] = 0
    step = 1 if gsd_m is None else 2
    assert np.array_equal(sets_of(plan), expected.repeat(step, 0).repeat(step, 1))
    plan = planned(tmp_path, file, gsd_m=gsd_m, background="other", match="0=,1=roof")
    assert np.count_nonzero(sets_of(plan)) == 64 * step**2
    # A number that the legend calls otherwise is no clash: the option says what it is.
    plan = planned(tmp_path, file, background="0", classes="0:rest:#111111,1:roof:#222222")
    assert np.array_equal(sets_of(plan) == 1, expected == 2)


def test_what_nobody_looked_at_is_no_background(tmp_path: Path) -> None:
    values = (SQUARES % 3).astype(np.int16)
    for nodata, at in ((255, 255), (-7, -7), (None, -7)):
        file = write_scene(
            tmp_path / f"{at}{nodata}.tif", np.where(values == 2, at, values)[None], nodata=nodata
        )
        plan = planned(tmp_path, file, background="other")
        assert np.array_equal(sets_of(plan), np.array([1, 2, 0])[values])
        assert any("no nodata from 0 to 254" in text for text in plan.warnings)


def test_a_background_is_one_of_the_classes_that_are_told(tmp_path: Path) -> None:
    file = outlines(tmp_path / "l.gpkg", ("roof", (8, 8, 24, 20)))
    told = "1:roof:#111111,5:field:#222222,6:road:#333333"
    plan = planned(tmp_path, file, background="field|6", classes=told)
    assert sets_of(plan)[0, 0] == 6
    with pytest.raises(MismatchError, match=r"^--background names 'sky', which is no class of the"):
        planned(tmp_path, file, background="sky", classes=told)
    with pytest.raises(MismatchError, match=r"^--background names 'sky', which is no class of the"):
        planned(tmp_path, file, background="sky", match="roof=building", start="aerial-landcover")
    with pytest.raises(OptionError, match="legend holds one class only") as refused:
        planned(tmp_path, file, background="roof", classes="1:roof:#111111")
    assert "--background" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"background": " "}, "--background ' ' names no class"),
        ({"background": "a|"}, r"--background 'a\|' names no class"),
        ({"background": "-"}, "--background - is none of the classes, which only --loss bce"),
        ({"background": "field", "loss": "bce"}, "--background names 'field', but of classes that"),
    ],
)
def test_a_background_that_cannot_be_right(
    tmp_path: Path, options: dict[str, str], says: str
) -> None:
    file = outlines(tmp_path / "l.gpkg", ("roof", (8, 8, 24, 20)))
    with pytest.raises(OptionError, match=says) as refused:
        planned(tmp_path, file, **options)
    assert "\n" not in str(refused.value)
    assert refused.value.hint


def test_a_list_names_backgrounds_and_the_digest_holds_them(tmp_path: Path) -> None:
    outlines(tmp_path / "l.gpkg", ("roof", (8, 8, 24, 20)))
    planned(tmp_path, tmp_path / "l.gpkg", background="field")  # makes the scene
    listing = tmp_path / "pairs.csv"
    digests = set()
    for own, told in (("", "field"), ("wood", "field"), ("wood", "town"), ("", "town")):
        listing.write_text(
            f"image,labels,background\nscene.tif,l.gpkg,{own}\nscene.tif,l.gpkg,water\n"
        )
        plan = make_train_plan(
            TrainOptions(data=(str(listing),), out=tmp_path / "m", background=told)
        )
        assert list(classes(plan).values()) == ["roof", own or told, "water"]
        digests.add(plan.digest)
    assert len(digests) == 4
    listing.write_text("image,labels,background\nscene.tif,l.gpkg,field\n")
    first = make_train_plan(TrainOptions(data=(str(listing),), out=tmp_path / "m"))
    listing.write_text("image,labels,background\nscene.tif,l.gpkg,wood\n")
    assert make_train_plan(TrainOptions(data=(str(listing),), out=tmp_path / "m")).digest not in {
        first.digest, *digests,
    }  # fmt: skip


def test_a_scene_without_a_polygon_is_background_beside_one_that_has_some(tmp_path: Path) -> None:
    here = outlines(tmp_path / "here.gpkg", ("roof", (8, 8, 24, 20)))
    away = outlines(tmp_path / "away.gpkg", ("roof", (800, 8, 824, 20)))
    plan = planned(tmp_path, away, here, background="other")
    (warning,) = plan.warnings
    assert "no polygon of" in warning
    assert "away.gpkg" in warning
    assert (sets_of(plan) == 2).all()
    with pytest.raises(MismatchError, match=r"no label of .*away.gpkg lies on"):
        planned(tmp_path, away, background="other")


def test_labels_ask_for_no_points(tmp_path: Path) -> None:
    shapes = [shapely.Point(*(NORTH_UP @ (3, 3))), shapely.box(0, 0, 1, 1)]
    geopandas.GeoDataFrame({"class": ["a", "b"]}, geometry=shapes, crs=UTM).to_file(
        tmp_path / "mixed.gpkg"
    )
    (tmp_path / "broken.gpkg").write_text("nothing")
    with pytest.raises(OptionError, match=r"found Point, Polygon in .*, expected polygons$"):
        planned(tmp_path, tmp_path / "mixed.gpkg")
    with pytest.raises(OptionError, match="cannot read the labels") as refused:
        planned(tmp_path, tmp_path / "broken.gpkg")
    assert refused.value.hint == "Give a class raster, or polygons."
