"""What a raster reads: VRTs of all kinds, and what hides behind them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.vrt import WarpedVRT

from geoseg.errors import SceneError
from geoseg.raster.sources import source_names
from geoseg.run.allowed import allowed_roots
from geoseg.run.documents import Documents
from tests.raster.servers import file_server
from tests.scenes import write_scene

VRT = """<VRTDataset rasterXSize="8" rasterYSize="8">{before}<VRTRasterBand dataType="Byte" band="1">
  <{source}>{name}<SourceBand>1</SourceBand></{source}></VRTRasterBand></VRTDataset>"""


def write_vrt(path: Path, name: str, *, source: str = "SimpleSource", before: str = "") -> Path:
    path.write_text(VRT.format(name=name, source=source, before=before))
    return path


def filename(name: str, relative: int = 1) -> str:
    return f'<SourceFilename relativeToVRT="{relative}">{name}</SourceFilename>'


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    folder = tmp_path / "scenes"
    folder.mkdir()
    return write_scene(folder / "scene.tif", np.full((1, 8, 8), 7, np.uint8))


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "secret"
    folder.mkdir()
    return write_scene(folder / "plan.tif", np.full((1, 8, 8), 9, np.uint8))


@pytest.mark.parametrize(
    ("driver", "ending"),
    [("GTiff", ".tif"), ("JP2OpenJPEG", ".jp2"), ("PNG", ".png")],
)
def test_a_raster_with_its_own_pixels_is_its_only_source(
    tmp_path: Path, driver: str, ending: str
) -> None:
    path = tmp_path / f"scene{ending}"
    pixels = np.full((1, 64, 64), 5, np.uint8)
    write_scene(path, pixels, driver=driver, **({"QUALITY": 100} if "JP2" in driver else {}))
    beside = path.with_name(f"{path.name}.aux.xml")
    assert source_names(str(path)) == tuple(str(p) for p in (path, beside) if p.exists())


def test_vrts_of_vrts_are_taken_apart_from_their_own_folders(scene: Path) -> None:
    inner = write_vrt(scene.with_name("inner.vrt"), filename("scene.tif"))
    (scene.parent / "deep").mkdir()
    outer = write_vrt(scene.parent / "deep" / "outer.vrt", filename("../inner.vrt"))
    with rasterio.open(outer) as dataset:
        assert dataset.read().sum() == 7 * 64  # GDAL sees the same
    found = source_names(str(outer))
    assert [Path(name).resolve() for name in found] == [outer, inner, scene]


def test_vrts_that_gdal_writes_are_understood(scene: Path) -> None:
    plain, warped = scene.with_name("plain.vrt"), scene.with_name("warped.vrt")
    rasterio.shutil.copy(scene, plain, driver="VRT")
    with rasterio.open(scene) as dataset, WarpedVRT(dataset, crs="EPSG:4326") as vrt:
        rasterio.shutil.copy(vrt, warped, driver="VRT")
    for path in (plain, warped):
        with rasterio.open(path) as dataset:
            assert dataset.read().max() == 7
        assert set(source_names(str(path), check=allowed_roots([str(scene.parent)]).check)) == {
            str(path), str(scene),
        }  # fmt: skip


def test_a_link_to_a_vrt_is_seen_from_where_the_vrt_lies(scene: Path, tmp_path: Path) -> None:
    write_vrt(scene.with_name("real.vrt"), filename("scene.tif"))
    link = tmp_path / "link.vrt"
    link.symlink_to(scene.with_name("real.vrt"))
    with rasterio.open(link) as dataset:
        assert dataset.read().sum() == 7 * 64
    assert source_names(str(link)) == (str(link), str(scene))


OUTSIDE = {
    "absolute": lambda out: ("x.vrt", filename(str(out), 0)),
    "relative": lambda out: ("x.vrt", filename("../secret/plan.tif")),
    "called .tif": lambda out: ("x.tif", filename(str(out), 0)),
    "lower case": lambda out: ("x.vrt", f"<sourcefilename>{out}</sourcefilename>"),
    "entities": lambda out: ("x.vrt", filename(str(out).replace("/", "&#47;"), 0)),
    "in an archive": lambda out: ("x.vrt", filename(f"/vsizip/{out}/plan.tif", 0)),
    "inline": lambda out: ("x.vrt", filename(VRT.format(name=filename(str(out), 0), source="SimpleSource", before="").replace("<", "&lt;"), 0)),
    "vrt:// name": lambda out: ("x.vrt", filename(f"vrt://{out}", 0)),
    "address": lambda out: ("x.vrt", filename("/vsicurl/http://127.0.0.1:9/plan.tif", 0)),
    "connection": lambda out: ("x.vrt", filename(f"GTIFF_DIR:1:{out}", 0)),
}  # fmt: skip


@pytest.mark.parametrize("kind", OUTSIDE)
def test_a_vrt_does_not_reach_outside_the_roots(scene: Path, outside: Path, kind: str) -> None:
    name, told = OUTSIDE[kind](outside)
    vrt = write_vrt(scene.with_name(name), told)
    roots = allowed_roots([str(scene.parent)])
    with pytest.raises(SceneError, match="allow"):
        source_names(str(vrt), check=roots.check)


@pytest.mark.parametrize(
    "told",
    [
        "<SourceFilename>scene.tif<!-- -->/../../secret/plan.tif</SourceFilename>",
        "<SourceFilename><![CDATA[scene.tif]]></SourceFilename>",
        '<SourceFilename relativeToVRT="01">scene.tif</SourceFilename>',
        "<SourceFilename>scene.tif<relativeToVRT>1</relativeToVRT></SourceFilename>",
        '<?xml version="1.0"?><SourceFilename>scene.tif</SourceFilename>',
    ],
)
def test_what_two_readers_could_understand_differently_is_refused(scene: Path, told: str) -> None:
    with pytest.raises(SceneError, match=r"unclear name|declarations|is no VRT"):
        source_names(str(write_vrt(scene.with_name("x.vrt"), told)))


def test_formats_that_may_name_files_with_more_pixels_are_refused(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "x.img", np.zeros((1, 8, 8), np.uint8), driver="HFA")
    with pytest.raises(SceneError, match="may read other files"):
        source_names(str(path))


def test_entities_are_refused_before_they_grow(scene: Path) -> None:
    vrt = scene.with_name("x.vrt")
    vrt.write_text(
        '<!DOCTYPE v [<!ENTITY a "aaaa">]>' + VRT.format(name="&a;", source="S", before="")
    )
    with pytest.raises(SceneError, match="declarations"):
        source_names(str(vrt))


def test_an_attribute_in_place_of_an_element_is_seen(scene: Path, outside: Path) -> None:
    vrt = scene.with_name("x.vrt")
    vrt.write_text(
        '<VRTDataset rasterXSize="8" rasterYSize="8"><VRTRasterBand dataType="Byte" band="1">'
        f'<SimpleSource SourceFilename="{outside}"><SourceBand>1</SourceBand></SimpleSource>'
        "</VRTRasterBand></VRTDataset>"
    )
    assert str(outside) in source_names(str(vrt))


def test_code_in_a_vrt_is_refused(scene: Path) -> None:
    code = "<PixelFunctionLanguage>Python</PixelFunctionLanguage>"
    vrt = write_vrt(scene.with_name("x.vrt"), code + filename("scene.tif"))
    with pytest.raises(SceneError, match="code of its own"):
        source_names(str(vrt))


@pytest.mark.parametrize(
    "text",
    [
        "<GDAL_WMS><Service name='TMS'><ServerUrl>http://127.0.0.1:9/</ServerUrl></Service></GDAL_WMS>",
        "<GDALTileIndexDataset><IndexDataset>/etc/x.gpkg</IndexDataset></GDALTileIndexDataset>",
        '{"type": "FeatureCollection"}',
        "",
    ],
)
def test_other_documents_that_gdal_opens_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.tif"
    path.write_text(text)
    with pytest.raises(SceneError, match="may read other files"):
        source_names(str(path))


@pytest.mark.parametrize(
    "text",
    [
        "<GDAL_WMS><!-- <VRTDataset --><Service name='TMS'/></GDAL_WMS>",
        "<GDAL_WMS><!--" + " " * 1024 + "<VRTDataset --><Service name='TMS'/></GDAL_WMS>",
    ],
)
def test_a_vrt_in_a_comment_makes_no_vrt(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.vrt"
    path.write_text(text)
    with pytest.raises(SceneError, match=r"begins with <GDAL_WMS>|may read other files"):
        source_names(str(path))


def test_an_option_that_moves_the_names_of_a_source_is_refused(scene: Path, outside: Path) -> None:
    write_scene(scene.with_name("plan.tif"), np.full((1, 8, 8), 7, np.uint8))
    write_vrt(scene.with_name("inner.vrt"), filename("plan.tif"))
    option = f'<OpenOptions><OOI key="ROOT_PATH">{outside.parent}</OOI></OpenOptions>'
    vrt = write_vrt(scene.with_name("x.vrt"), filename("inner.vrt") + option)
    with rasterio.open(vrt) as dataset:
        assert dataset.read().max() == 9  # GDAL does follow it
    with pytest.raises(SceneError, match="option 'root_path'"):
        source_names(str(vrt))


@pytest.mark.parametrize("key", ['key="OVERVIEW_FILE"', 'x="OVERVIEW_FILE" key="note"'])
def test_overviews_that_a_vrt_names_are_among_its_sources(
    scene: Path, outside: Path, key: str
) -> None:
    note = f'<Metadata domain="OVERVIEWS"><MDI {key}>{outside}</MDI></Metadata>'
    vrt = write_vrt(scene.with_name("x.vrt"), filename("scene.tif"), before=note)
    with pytest.raises(SceneError, match="outside the allowed roots"):
        source_names(str(vrt), check=allowed_roots([str(scene.parent)]).check)


@pytest.mark.parametrize("beside", ["scene.tif.msk", "scene.tif.MSK", "scene.tif.ovr", "x.vrt.ovr"])
def test_a_vrt_beside_a_raster_does_not_reach_outside(
    scene: Path, outside: Path, beside: str
) -> None:
    vrt = write_vrt(scene.with_name("x.vrt"), filename("scene.tif"))
    write_vrt(scene.with_name(beside), filename(str(outside), 0))
    with pytest.raises(SceneError, match="outside the allowed roots"):
        source_names(str(vrt), check=allowed_roots([str(scene.parent)]).check)


def test_overviews_and_mask_with_pixels_of_their_own_are_sources(scene: Path) -> None:
    beside = [f"{scene}.msk", f"{scene}.ovr"]
    for name in beside:
        write_scene(Path(name), np.full((1, 4, 4), 255, np.uint8))
    found = source_names(str(scene), check=allowed_roots([str(scene.parent)]).check)
    assert found == (str(scene), *beside)


@pytest.mark.parametrize("beside", [True, False])
def test_overviews_elsewhere_are_refused(scene: Path, beside: bool) -> None:
    if beside:
        scene.with_name(f"{scene.name}.aux.xml").write_text(
            '<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">/etc/x.ovr</MDI>'
            "</Metadata></PAMDataset>"
        )
    else:
        with rasterio.open(scene, "r+") as dataset:
            dataset.update_tags(ns="OVERVIEWS", OVERVIEW_FILE="/etc/x.ovr")
        assert not scene.with_name(f"{scene.name}.aux.xml").exists()
    with pytest.raises(SceneError, match="overviews in another file"):
        source_names(str(scene))


def test_a_linked_mask_is_among_the_sources(scene: Path, outside: Path) -> None:
    scene.with_name(f"{scene.name}.msk").symlink_to(outside)
    with pytest.raises(SceneError, match="outside the allowed roots"):
        source_names(str(scene), check=allowed_roots([str(scene.parent)]).check)


def test_vrts_in_a_circle_end(scene: Path) -> None:
    one, two = scene.with_name("1.vrt"), scene.with_name("2.vrt")
    write_vrt(one, filename("2.vrt"))
    write_vrt(two, filename("1.vrt"))
    assert len(source_names(str(one))) == 2


def test_vrts_in_vrts_in_vrts_have_an_end(scene: Path) -> None:
    for number in range(12):
        write_vrt(scene.with_name(f"{number}.vrt"), filename(f"{number + 1}.vrt"))
    with pytest.raises(SceneError, match="in more than"):
        source_names(str(scene.with_name("0.vrt")))


@pytest.mark.network
def test_vrts_on_a_server_are_taken_apart_too(tmp_path: Path) -> None:
    read = Documents(roots=allowed_roots([])).text
    with file_server(tmp_path) as server:
        write_scene(server.root / "scene.tif", np.full((1, 8, 8), 7, np.uint8))
        write_vrt(server.root / "x.vrt", filename("scene.tif"))
        write_vrt(server.root / "y.vrt", filename("/etc/passwd", 0))
        url = f"{server.url}/x.vrt"
        assert source_names(url, read_text=read) == (
            f"/vsicurl/{url}", f"/vsicurl/{server.url}/scene.tif",
        )  # fmt: skip
        with pytest.raises(SceneError, match="cannot be looked into"):
            source_names(url)
        write_scene(server.root / "masked.tif", np.full((1, 8, 8), 7, np.uint8))
        write_vrt(server.root / "masked.tif.msk", filename("/etc/passwd", 0))
        with pytest.raises(SceneError, match=r"there is no file|may read other files"):
            source_names(f"{server.url}/masked.tif", read_text=read)
        check: Callable[[str], None] = allowed_roots([server.url]).check
        with pytest.raises(SceneError, match="outside the allowed roots"):
            source_names(f"{server.url}/y.vrt", check=check, read_text=read)
