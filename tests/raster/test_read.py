"""Pixels and validity, window by window, against rasterio and against what was written."""

from __future__ import annotations

import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from hypothesis import given
from hypothesis import strategies as st
from rasterio.enums import ColorInterp
from rasterio.windows import Window as RioWindow

from geoseg.errors import SceneReadError
from geoseg.grid.window import Window
from geoseg.raster.read import SceneReader, rasterise_mask, sample_values
from geoseg.raster.scene import open_scene
from tests.scenes import texture, write_scene

HEIGHT, WIDTH = 150, 130
WINDOWS = [
    Window(0, 0, HEIGHT, WIDTH),
    Window(0, 0, 1, 1),
    Window(HEIGHT - 1, WIDTH - 1, 1, 1),
    Window(37, 11, 70, 101),
    Window(63, 0, 2, WIDTH),
]
DTYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
LAYOUTS: dict[str, dict[str, Any]] = {
    "striped": {},
    "tiled": {"tiled": True, "blockxsize": 32, "blockysize": 48, "compress": "lzw"},
    "bigtiff": {"BIGTIFF": "YES", "compress": "deflate", "predictor": 2},
    "pixel": {"interleave": "pixel", "compress": "deflate"},
    "band": {"interleave": "band", "tiled": True, "blockxsize": 64, "blockysize": 64},
}


def pixels_of(dtype: str, bands: int = 3) -> np.ndarray:
    base = texture((HEIGHT, WIDTH), bands=bands).astype(np.int64)
    if dtype == "int8":
        return (base - 128).clip(-128, 127).astype(dtype)
    if np.dtype(dtype).kind in "iu" and np.dtype(dtype).itemsize > 1:
        return (
            (base * 200 - (20_000 if dtype.startswith("i") else 0))
            .clip(np.iinfo(dtype).min, np.iinfo(dtype).max)
            .astype(dtype)
        )
    return (base / 7 - 10).astype(dtype) if dtype.startswith("f") else base.astype(dtype)


def check_against_rasterio(path: Path | str, bands: tuple[int, ...], rule: str = "any") -> None:
    """The oracle: rasterio's own values and masks of every chosen band."""
    scene = open_scene(path)
    combine = np.all if rule == "any" else np.any
    with SceneReader(scene, bands, rule) as reader, rasterio.open(path) as dataset:
        for window in WINDOWS:
            rio = RioWindow(window.col_off, window.row_off, window.width, window.height)
            masks = np.stack([dataset.read_masks(b, window=rio) for b in bands])
            planes = [dataset.read(b, window=rio) for b in bands]
            values = np.stack(planes)  # of the common dtype
            valid = combine(masks != 0, axis=0) & np.isfinite(values).all(axis=0)
            box = reader.read(window)
            assert box.window == window
            assert box.valid.dtype == bool
            np.testing.assert_array_equal(box.valid, valid)
            all_bytes = {plane.dtype for plane in planes} == {np.dtype(np.uint8)}
            assert box.values.dtype == (np.uint8 if all_bytes else np.float32)
            np.testing.assert_array_equal(
                box.values[:, valid], values[:, valid].astype(box.values.dtype)
            )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("nodata", [None, 0, 100])
def test_every_dtype_and_nodata(tmp_path: Path, dtype: str, nodata: float | None) -> None:
    path = write_scene(tmp_path / "a.tif", pixels_of(dtype), nodata=nodata)
    check_against_rasterio(path, (1, 2, 3))
    check_against_rasterio(path, (3, 1), "all")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout(tmp_path: Path, layout: str) -> None:
    for dtype in ("uint8", "uint16"):
        path = write_scene(tmp_path / f"{dtype}.tif", pixels_of(dtype), nodata=3, **LAYOUTS[layout])
        check_against_rasterio(path, (1, 2, 3))


@pytest.mark.parametrize("bands", [1, 2, 7, 20])
def test_any_number_and_order_of_bands(tmp_path: Path, bands: int) -> None:
    path = write_scene(tmp_path / "a.tif", pixels_of("uint16", bands), nodata=0)
    check_against_rasterio(path, tuple(range(bands, 0, -1)))
    check_against_rasterio(path, (bands, bands, 1))


def test_cog_vrt_and_png(tmp_path: Path) -> None:
    source = write_scene(tmp_path / "a.tif", pixels_of("uint8"), nodata=7)
    for name, driver in (("c.tif", "COG"), ("v.vrt", "VRT")):
        rasterio.shutil.copy(source, tmp_path / name, driver=driver)
        check_against_rasterio(tmp_path / name, (1, 2, 3))
    rasterio.shutil.copy(source, tmp_path / "p.png", driver="PNG")
    check_against_rasterio(tmp_path / "p.png", (1, 2, 3))


def test_jpeg_2000(tmp_path: Path) -> None:
    source = write_scene(tmp_path / "a.tif", pixels_of("uint16"))
    rasterio.shutil.copy(
        source, tmp_path / "a.jp2", driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES"
    )
    check_against_rasterio(tmp_path / "a.jp2", (1, 2, 3))


@pytest.mark.parametrize("nodata", [-3.4e38, -3.4028234663852886e38, float("nan"), 0.1, -9999])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_float_nodata_is_compared_in_the_rasters_own_type(
    tmp_path: Path, dtype: str, nodata: float
) -> None:
    pixels = pixels_of(dtype)
    pixels[:, 5:50, 20:40] = np.asarray(nodata).astype(dtype)
    path = write_scene(tmp_path / "a.tif", pixels, nodata=nodata)
    check_against_rasterio(path, (1, 2, 3))
    box = SceneReader(open_scene(path), (1,), "any").read(WINDOWS[0])
    assert not box.valid[5:50, 20:40].any()
    assert box.valid[60:].all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300, -1.7976931348623157e308])
def test_what_float32_cannot_hold_is_never_valid(tmp_path: Path, value: float) -> None:
    """No declared nodata; the model computes in float32 and must not meet an infinity."""
    pixels = pixels_of("float64")
    pixels[1, 10:20, 10:20] = value
    path = write_scene(tmp_path / "a.tif", pixels)
    with SceneReader(open_scene(path), (1, 2, 3), "any") as reader:
        box = reader.read(WINDOWS[0])
    assert not box.valid[10:20, 10:20].any()
    assert box.valid.sum() == box.valid.size - 100
    assert np.isfinite(box.values[:, box.valid]).all()


def vrt_of(path: Path, bands: list[tuple[Path, str, float | None]]) -> Path:
    """Write a VRT with one band per (source, VRT data type, nodata)."""
    with rasterio.open(bands[0][0]) as dataset:
        transform = dataset.transform.to_gdal()
        wkt = dataset.crs.to_wkt().replace('"', "&quot;")
    parts = [f'<VRTDataset rasterXSize="{WIDTH}" rasterYSize="{HEIGHT}"><SRS>{wkt}</SRS>']
    parts.append(f"<GeoTransform>{', '.join(map(repr, transform))}</GeoTransform>")
    for number, (source, kind, nodata) in enumerate(bands, 1):
        value = "" if nodata is None else f"<NoDataValue>{nodata!r}</NoDataValue>"
        parts.append(
            f'<VRTRasterBand dataType="{kind}" band="{number}">{value}<SimpleSource>'
            f"<SourceFilename>{source}</SourceFilename><SourceBand>1</SourceBand>"
            "</SimpleSource></VRTRasterBand>"
        )
    path.write_text("".join([*parts, "</VRTDataset>"]))
    return path


def test_per_band_nodata(tmp_path: Path) -> None:
    plane = write_scene(tmp_path / "a.tif", pixels_of("uint8")[:1])
    vrt = vrt_of(tmp_path / "v.vrt", [(plane, "Byte", v) for v in (10, 90, None)])
    for rule in ("any", "all"):
        check_against_rasterio(vrt, (1, 2, 3), rule)
        check_against_rasterio(vrt, (2,), rule)


@pytest.mark.parametrize("nodata", [-3.4e38, 0.1, float("nan"), -9999.0])
def test_bands_of_mixed_dtypes(tmp_path: Path, nodata: float) -> None:
    """Each band's nodata is compared in that band's type, not in the common one."""
    byte = write_scene(tmp_path / "b.tif", pixels_of("uint8")[:1])
    single = pixels_of("float32")[:1]
    single[:, 30:60, 30:60] = nodata
    real = write_scene(tmp_path / "f.tif", single)
    short = write_scene(tmp_path / "s.tif", pixels_of("int16")[:1])
    vrt = vrt_of(
        tmp_path / "v.vrt", [(byte, "Byte", 5), (real, "Float32", nodata), (short, "Int16", None)]
    )
    check_against_rasterio(vrt, (1, 2, 3))
    check_against_rasterio(vrt, (2, 3))
    box = SceneReader(open_scene(vrt), (1, 2, 3), "any").read(WINDOWS[0])
    assert not box.valid[30:60, 30:60].any()


@pytest.mark.parametrize("layout", ["striped", "tiled"])
def test_an_internal_mask(tmp_path: Path, layout: str) -> None:
    mask = np.ones((HEIGHT, WIDTH), bool)
    mask[20:90, :35] = False
    path = write_scene(tmp_path / "a.tif", pixels_of("uint8"), mask=mask, **LAYOUTS[layout])
    assert open_scene(path).has_dataset_mask
    check_against_rasterio(path, (1, 2, 3))
    box = SceneReader(open_scene(path), (2,), "any").read(WINDOWS[0])
    np.testing.assert_array_equal(box.valid, mask)


def test_a_sidecar_mask(tmp_path: Path) -> None:
    mask = np.ones((HEIGHT, WIDTH), bool)
    mask[:, 100:] = False
    path = write_scene(tmp_path / "a.tif", pixels_of("uint8"))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(mask)
    assert (tmp_path / "a.tif.msk").exists()
    check_against_rasterio(path, (1, 2, 3))
    assert SceneReader(open_scene(path), (1,), "any").read(WINDOWS[0]).valid.sum() == mask.sum()


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_alpha_hides_only_where_it_is_zero(tmp_path: Path, dtype: str) -> None:
    pixels = pixels_of(dtype, 4)
    pixels[3] = 255
    pixels[3, 10:40, 10:40] = 0
    pixels[3, 50:60, 50:60] = 1
    rgba = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    path = write_scene(tmp_path / "a.tif", pixels, colours=rgba)
    check_against_rasterio(path, (1, 2, 3))
    box = SceneReader(open_scene(path), (1, 2, 3), "any").read(WINDOWS[0])
    assert box.valid.sum() == HEIGHT * WIDTH - 900


def test_no_nodata_means_everything_is_valid(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "a.tif", np.zeros((3, HEIGHT, WIDTH), np.uint8))
    assert SceneReader(open_scene(path), (1, 2, 3), "any").read(WINDOWS[0]).valid.all()


@given(st.data())
def test_any_window_is_that_part_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "whole.tif"
    if not path.exists():
        write_scene(path, pixels_of("uint16"), nodata=400, **LAYOUTS["tiled"])
    row, col = data.draw(st.integers(0, HEIGHT - 1)), data.draw(st.integers(0, WIDTH - 1))
    part = Window(
        row, col, data.draw(st.integers(1, HEIGHT - row)), data.draw(st.integers(1, WIDTH - col))
    )
    with SceneReader(open_scene(path), (3, 1), "any") as reader:
        whole, box = reader.read(WINDOWS[0]), reader.read(part)
    at = part.within(WINDOWS[0])
    np.testing.assert_array_equal(box.values, whole.values[(slice(None), *at)])
    np.testing.assert_array_equal(box.valid, whole.valid[at])


@pytest.mark.parametrize(("rule", "hidden"), [("any", (True, True)), ("all", (False, False))])
def test_a_band_of_a_vrt_may_have_a_mask_of_its_own(
    tmp_path: Path, rule: Any, hidden: tuple[bool, bool]
) -> None:
    pixels = np.full((2, 4, 5), 7, np.uint8)
    write_scene(tmp_path / "a.tif", pixels)
    mask = np.full((1, 4, 5), 255, np.uint8)
    mask[0, 1, 2] = 0
    write_scene(tmp_path / "m.tif", mask)
    source = (
        '<SimpleSource><SourceFilename relativeToVRT="1">{}</SourceFilename>'
        "<SourceBand>{}</SourceBand></SimpleSource>"
    )
    masked = (
        f'<MaskBand><VRTRasterBand dataType="Byte">{source.format("m.tif", 1)}</VRTRasterBand>'
        "</MaskBand>"
    )
    bands = [source.format("a.tif", 1), source.format("a.tif", 2) + masked]
    text = "".join(
        f'<VRTRasterBand dataType="Byte" band="{i}">{band}</VRTRasterBand>'
        for i, band in enumerate(bands, 1)
    )
    path = tmp_path / "s.vrt"
    path.write_text(f'<VRTDataset rasterXSize="5" rasterYSize="4">{text}</VRTDataset>')
    scene = open_scene(path)
    assert scene.masked_bands == (2,)
    for bands_read, expected in (((1,), False), ((1, 2), hidden[0]), ((2,), True)):
        with SceneReader(scene, bands_read, rule) as reader:
            valid = reader.read(scene.grid.window).valid
        assert valid.sum() == 20 - expected
        assert valid[1, 2] == (not expected)


def test_closing_waits_for_nobody_and_takes_no_file_from_a_reading_thread(tmp_path: Path) -> None:
    """GDAL crashes where a dataset is closed while another thread reads it."""
    pixels = texture((700, 900))
    path = write_scene(tmp_path / "a.tif", pixels, compress="deflate", tiled=True)
    scene = open_scene(path)
    reader = SceneReader(scene, (1, 2, 3), "any")
    done = threading.Event()

    counts, closed = [0] * 4, 0

    def look(number: int) -> int:
        while not done.is_set():
            np.testing.assert_array_equal(reader.read(scene.grid.window).values, pixels)
            counts[number] += 1
        return counts[number]

    with ThreadPoolExecutor(4) as pool:
        looks = [pool.submit(look, number) for number in range(4)]
        # As long as it takes each thread to read a few times; 300 times at least.
        until_s = time.monotonic() + 60
        while closed < 300 or (min(counts) < 2 and time.monotonic() < until_s):
            reader.close()
            closed += 1
            time.sleep(0.002)
        done.set()
        assert all(look.result() > 1 for look in looks)
    reader.close()


def test_several_threads_read_the_same(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "a.tif", pixels_of("uint8"), nodata=9, **LAYOUTS["tiled"])
    with SceneReader(open_scene(path), (1, 2, 3), "any") as reader:
        expected = [reader.read(w) for w in WINDOWS]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(reader.read, WINDOWS * 8))
    for index, box in enumerate(found):
        same = expected[index % len(WINDOWS)]
        np.testing.assert_array_equal(box.values, same.values)
        np.testing.assert_array_equal(box.valid, same.valid)


def test_a_reader_does_not_travel_and_opens_late(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "a.tif", pixels_of("uint8"))
    scene = open_scene(path)
    path.unlink()
    reader = SceneReader(scene, (1,), "any")
    with pytest.raises(TypeError, match="send the Scene"):
        pickle.dumps(reader)
    with pytest.raises(SceneReadError, match=r"a\.tif"):
        reader.read(WINDOWS[1])


def test_a_truncated_file_names_the_place(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "a.tif", pixels_of("uint8"), **LAYOUTS["tiled"])
    cog = tmp_path / "c.tif"
    rasterio.shutil.copy(path, cog, driver="COG", BLOCKSIZE=128)
    cog.write_bytes(cog.read_bytes()[: cog.stat().st_size // 2])
    scene = open_scene(cog)
    with SceneReader(scene, (1, 2, 3), "any") as reader, pytest.raises(SceneReadError) as caught:
        reader.read(WINDOWS[0])
    assert f"rows 0-{HEIGHT - 1}, columns 0-{WIDTH - 1}" in str(caught.value)
    assert str(cog) in str(caught.value)
    assert caught.value.hint


@given(st.data())
def test_an_aoi_mask_is_the_pixels_whose_centres_are_inside(data: st.DataObject) -> None:
    """Against even-odd ray casting on a rectangle with a hole, seen through any window."""
    left, top = data.draw(st.floats(0, 20)), data.draw(st.floats(0, 20))
    right, bottom = data.draw(st.floats(21, 40)), data.draw(st.floats(21, 40))
    row, col = data.draw(st.integers(-5, 40)), data.draw(st.integers(-5, 40))
    window = Window(row, col, data.draw(st.integers(1, 30)), data.draw(st.integers(1, 30)))

    def box(inset: float) -> tuple[tuple[float, float], ...]:
        a, b, c, d = left + inset, top + inset, right - inset, bottom - inset
        return ((a, b), (c, b), (c, d), (a, d), (a, b))

    hole = min(right - left, bottom - top) / 4
    found = rasterise_mask(((box(0), box(hole)),), window)
    rows, cols = np.mgrid[row : row + window.height, col : col + window.width] + 0.5

    def inside(inset: float) -> np.ndarray:
        return (
            (cols > left + inset) & (cols < right - inset)
            & (rows > top + inset) & (rows < bottom - inset)
        )  # fmt: skip

    expected = inside(0) & ~inside(hole)
    near = np.zeros_like(expected)
    for edge in (left, right, left + hole, right - hole):
        near |= np.abs(cols - edge) < 1e-6
    for edge in (top, bottom, top + hole, bottom - hole):
        near |= np.abs(rows - edge) < 1e-6
    np.testing.assert_array_equal(found[~near], expected[~near])


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (300, 2), (600, 600)])
def test_samples_come_from_the_scene_and_skip_nodata(
    tmp_path: Path, shape: tuple[int, int]
) -> None:
    pixels = texture(shape, bands=2, low=1)
    pixels[:, :, : shape[1] // 3] = 0
    path = write_scene(tmp_path / "a.tif", pixels, nodata=0)
    sample = sample_values(open_scene(path), (1, 2), "any", side_px=64)
    assert sample.dtype == np.float32
    assert sample.shape[0] == 2
    assert 0 < sample.shape[1] <= 9 * 64 * 64
    assert (sample > 0).all()


def test_a_sample_of_nothing_is_empty(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "a.tif", np.zeros((3, 9, 9), np.uint8), nodata=0)
    assert sample_values(open_scene(path), (1, 2, 3), "any").shape == (3, 0)
