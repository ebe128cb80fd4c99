"""``geoseg doctor``: sound installations pass, broken ones are named."""

from __future__ import annotations

import json
import shutil

import pytest

from geoseg.options import DEFAULT_MODEL
from geoseg.run import doctor


@pytest.fixture
def as_bundled(monkeypatch, model_folder):
    """Let the tiny model stand for the bundled one."""
    from geoseg.model import probe, registry

    def models():
        return {DEFAULT_MODEL: model_folder}

    for module in (doctor, probe, registry):
        monkeypatch.setattr(module, "bundled_models", models)


def findings(found):
    return {(f["section"], f["name"]): f for f in found["findings"]}


@pytest.mark.usefixtures("as_bundled")
def test_a_sound_installation_passes_with_a_real_run(geoseg):
    answer = geoseg("doctor", "--json")
    found = json.loads(answer.out)
    assert found["ok"], [f for f in found["findings"] if f["verdict"] == "fail"]
    assert answer.code == 0
    by_name = findings(found)
    assert by_name["self-test", "run"]["verdict"] == "ok"
    assert by_name["devices", "cpu"]["verdict"] == "ok"
    assert "core(s)" in by_name["devices", "cpu"]["text"]
    assert by_name["raster", "drivers"]["text"].startswith("GTiff, COG, VRT")
    assert "GPKG" in by_name["vector", "drivers"]["text"]
    assert by_name["versions", "torch"]["text"]
    assert by_name["devices", "cuda" if ("devices", "cuda") in by_name else "cuda:0"]["text"]


@pytest.mark.usefixtures("as_bundled")
def test_the_text_reads_as_a_report_and_warns_of_the_environment(geoseg, monkeypatch):
    monkeypatch.setenv("PROJ_LIB", "somewhere/else")
    answer = geoseg("doctor", "--no-self-test")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert [line for line in lines if line and not line.startswith(" ")] == [
        "versions", "system", "raster", "vector", "devices", "models", "All is well.",
    ]  # fmt: skip
    assert any("PROJ_LIB" in line and "somewhere/else" in line for line in lines)


def test_damaged_weights_are_named(geoseg, tmp_path, model_folder):
    broken = shutil.copytree(model_folder, tmp_path / "broken")
    weights = broken / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    answer = geoseg("doctor", "--no-self-test", "--model", broken, "--json")
    assert answer.code == 1
    by_name = findings(json.loads(answer.out))
    assert "is damaged" in by_name["models", "tiny"]["text"]


def test_a_missing_bundled_model_is_broken(geoseg, monkeypatch, model_folder):
    monkeypatch.setattr(doctor, "bundled_models", dict)
    monkeypatch.setattr("geoseg.model.probe.bundled_models", dict)
    answer = geoseg("doctor", "--no-self-test", "--model", model_folder)
    assert answer.code == 1
    assert "FAIL aerial-landcover" in answer.out
    assert answer.out.endswith("Something is broken.\n")


@pytest.mark.usefixtures("as_bundled")
def test_a_library_that_does_not_load_is_a_finding(geoseg, monkeypatch):
    def broken(*_):
        msg = "libgdal.so: cannot open shared object file"
        raise ImportError(msg)

    monkeypatch.setattr("geoseg.raster.probe.gdal_facts", broken)
    answer = geoseg("doctor", "--no-self-test", "--quiet")
    assert answer.code == 1
    assert answer.out.splitlines() == [
        "  FAIL raster                       ImportError: libgdal.so: cannot open shared object file"
    ]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda out: (out / "polygons.gpkg").unlink(), "missing results: polygons_gpkg"),
        (lambda out: shutil.copy(out / "confidence.tif", out / "classes.tif"), "classes.tif holds"),
    ],
)
@pytest.mark.usefixtures("as_bundled")
def test_the_self_test_looks_at_what_was_written(geoseg, monkeypatch, damage, words):
    from geoseg.run import pipeline

    real = pipeline.run

    def sloppy(options):
        result = real(options)
        damage(result.out)
        return result

    monkeypatch.setattr(pipeline, "run", sloppy)
    answer = geoseg("doctor", "--json")
    assert answer.code == 1
    assert words in findings(json.loads(answer.out))["self-test", "run"]["text"]


def test_nothing_is_left_behind(geoseg, monkeypatch, tmp_path, model_folder):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    answer = geoseg("doctor", "--model", model_folder, "--json")
    assert findings(json.loads(answer.out))["self-test", "run"]["verdict"] == "ok"
    assert list(tmp_path.iterdir()) == []


def test_the_test_scene_suits_models_of_any_range_and_bands(tmp_path):
    import rasterio

    from geoseg.raster.probe import write_test_scene

    valid_px = write_test_scene(
        tmp_path / "x.tif",
        side_px=64,
        gsd_m=10,
        value_range=(0, 10000),
        bands=("red", "nir"),
    )
    with rasterio.open(tmp_path / "x.tif") as dataset:
        assert (dataset.count, dataset.dtypes[0], dataset.descriptions) == (
            2, "float32", ("red", "nir"),
        )  # fmt: skip
        assert (dataset.dataset_mask() > 0).sum() == valid_px == 64 * 64 - 16 * 16
        assert 1000 < dataset.read()[:, 16:].mean() < 9000
