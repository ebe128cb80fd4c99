"""``geoseg info``: every fact of the header, the sample, and the model's answer."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp

from tests.scenes import write_scene

PLACE = Affine(1, 0, 5e5, 0, -1, 5.5e6)


def report(geoseg, *arguments):
    answer = geoseg("info", *arguments, "--json")
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


def test_tells_header_bands_and_values(geoseg, tmp_path, model_folder):
    pixels = np.arange(3 * 60 * 80).reshape(3, 60, 80).astype(np.uint8)
    names = ("red", "green", "blue")
    scene = write_scene(
        tmp_path / "장면 1.tif", pixels, transform=PLACE, nodata=0, descriptions=names
    )
    with rasterio.open(scene, "r+") as dataset:
        dataset.update_tags(ns="IMAGERY", ACQUISITIONDATETIME="2024-05-06 07:08:09")
    found = report(geoseg, scene, "--model", model_folder)
    assert (found["event"], found["driver"]) == ("scene", "GTiff")
    assert found["address"] == str(scene)
    assert (found["height"], found["width"]) == (60, 80)
    assert found["crs"] == "EPSG:32652 (WGS 84 / UTM zone 52N)"
    assert found["transform"] == [1.0, 0.0, 5e5, 0.0, -1.0, 5.5e6]
    assert found["bounds"] == [500000.0, 5499940.0, 500080.0, 5500000.0]
    assert found["gsd_m"] == pytest.approx([1.0004, 1.0004], abs=1e-3)
    assert found["acquired"] == "2024-05-06T07:08:09+00:00"
    assert found["size_bytes"] == scene.stat().st_size
    valid = (pixels != 0).all(axis=0)
    assert found["sampled_px"] == 60 * 80
    assert found["valid_share"] == pytest.approx(valid.mean(), abs=1e-4)
    band = found["bands"][1]
    assert (band["number"], band["name"], band["dtype"], band["nodata"]) == (2, "green", "uint8", 0)
    assert band["percentiles"]["50"] == np.percentile(pixels[1][valid], 50)


def test_model_takes_a_scene_that_suits_it(geoseg, raster, model_folder):
    fit = report(geoseg, raster(), "--model", model_folder)["model"]
    assert fit == {
        "name": "tiny", "takes_it": True, "reason": None, "hint": None,
        "bands": ["red", "green", "blue"], "resampled_to_m": None, "warnings": [],
    }  # fmt: skip


def test_another_pixel_size_inside_the_range_is_resampled(geoseg, raster, model_folder):
    fit = report(geoseg, raster(gsd_m=0.5), "--model", model_folder)["model"]
    assert fit["takes_it"]
    assert fit["resampled_to_m"] == 1.0


@pytest.mark.parametrize(
    ("what", "flags", "words"),
    [
        ({"bands": 1}, (), "the model needs 3"),
        ({"bands": 6}, (), "cannot tell which bands"),
        ({"gsd_m": 10.0}, (), "works at 0.3 to 2 m"),
        ({"dtype": "uint16", "high": 9000}, (), "expects 0 to 255"),
        ({}, ("--bands", "1,2"), "--bands names 2 bands"),
        ({}, ("--gsd", "30"), "pixels of 30 m"),
    ],
)
def test_misfit_is_an_answer_with_advice(geoseg, raster, model_folder, what, flags, words):
    found = report(geoseg, raster(**what), "--model", model_folder, *flags)
    assert not found["model"]["takes_it"]
    assert words in found["model"]["reason"]
    assert found["model"]["hint"]
    assert len(found["bands"]) == what.get("bands", 3)


@pytest.mark.parametrize(
    ("what", "flags"),
    [
        ({"bands": 6}, ("--bands", "3,2,1")),
        ({"dtype": "uint16", "high": 9000}, ("--value-range", "0,9000")),
        ({"gsd_m": 10.0}, ("--gsd", "1")),
    ],
)
def test_the_advised_flag_makes_it_fit(geoseg, raster, model_folder, what, flags):
    fit = report(geoseg, raster(**what), "--model", model_folder, *flags)["model"]
    assert fit["takes_it"], fit["reason"]


def test_nan_nodata_and_no_valid_pixel_are_valid_json(geoseg, tmp_path, model_folder):
    pixels = np.full((3, 60, 80), np.nan, np.float32)
    scene = write_scene(tmp_path / "x.tif", pixels, transform=PLACE, nodata=float("nan"))
    found = report(geoseg, scene, "--model", model_folder)
    assert found["valid_share"] == 0
    assert found["bands"][0]["nodata"] == "nan"
    assert found["bands"][0]["percentiles"] is None


def test_alpha_is_no_band_of_data(geoseg, tmp_path, model_folder):
    pixels = np.full((4, 60, 80), 100, np.uint8)
    pixels[3] = 0
    pixels[3, :30] = 255
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    scene = write_scene(tmp_path / "x.tif", pixels, transform=PLACE, colours=colours)
    found = report(geoseg, scene, "--model", model_folder)
    assert found["alpha_band"] == 4
    assert [b["name"] for b in found["bands"]] == ["red", "green", "blue"]
    assert found["valid_share"] == 0.5


def test_strips_count_what_was_looked_at(geoseg, raster, model_folder):
    strip = report(geoseg, raster(shape=(3, 4000)), "--model", model_folder)
    assert (strip["sampled_px"], strip["valid_share"]) == (9 * 3 * 256, 1)


def test_text_for_people(geoseg, raster, model_folder):
    answer = geoseg("info", raster(crs=None), "--model", model_folder)
    assert answer.code == 0
    for words in ("GTiff", "80 x 60 px", "none: areas will be in pixels", "median", "takes it"):
        assert words in answer.out
    assert "has no CRS" in answer.out


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda _: None, "there is no file"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_text("no raster"), "cannot open"),
    ],
)
def test_bad_files_get_one_line(geoseg, tmp_path, model_folder, make, words):
    path = tmp_path / "x.tif"
    make(path)
    answer = geoseg("info", path, "--model", model_folder)
    assert answer.code == 1
    assert answer.out == ""
    assert words in answer.err.splitlines()[0]


def test_unknown_model_is_an_error(geoseg, raster):
    answer = geoseg("info", raster(), "--model", "nowhere")
    assert answer.code == 1
    assert "there is no model 'nowhere'" in answer.err


def test_the_estimate_of_a_strip_counts_every_window(geoseg, raster, tmp_path, model_folder):
    strip = raster(shape=(3, 4000))
    answer = geoseg(
        "run", strip, "--model", model_folder, "--out", tmp_path / "m", "--dry-run", "--json"
    )
    found = json.loads(answer.out)
    plain = geoseg("run", strip, "--model", model_folder, "--out", tmp_path / "m", "--json")
    plan = next(e for e in map(json.loads, plain.out.splitlines()) if e["event"] == "plan")
    assert found["windows"] == plan["windows"] > 1
