"""What goes wrong, and what the user reads then: one sentence, the advice, the log one click away."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SAMPLES, add_raster, until


def write_scene(path: Path, size=(256, 256), *, crs=32632, transform=None) -> Path:
    """Write a piece of the town under a name, with another place."""
    from osgeo import gdal, osr

    source = gdal.Open(str(SAMPLES / "town.tif"))
    width, height = size
    target = gdal.GetDriverByName("GTiff").Create(str(path), width, height, 3)
    for band in (1, 2, 3):
        data = source.GetRasterBand(band).ReadRaster(400, 400, width, height)
        target.GetRasterBand(band).WriteRaster(0, 0, width, height, data)
        colour = (gdal.GCI_RedBand, gdal.GCI_GreenBand, gdal.GCI_BlueBand)[band - 1]
        target.GetRasterBand(band).SetColorInterpretation(colour)
    if crs:
        reference = osr.SpatialReference()
        reference.ImportFromEPSG(crs)
        target.SetProjection(reference.ExportToWkt())
    target.SetGeoTransform(transform or (691600, 1, 0, 5334400, 0, -1))
    target.FlushCache()
    return path


def fake(tmp_path: Path, code: str, version: str = "0.1.0") -> Path:
    """An engine that plays a part."""
    program = tmp_path / "fake engine" / "geoseg"
    program.parent.mkdir(exist_ok=True)
    python = shutil.which("python3", path="/usr/bin") or sys.executable
    program.write_text(
        f"#!{python}\nimport sys\n"
        f"if '--version' in sys.argv:\n    print('geoseg, version {version}'); sys.exit()\n{code}\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    return program


def run_and_wait(dock, seconds=120):
    page = dock.map_page
    until(page.run_button.isEnabled)
    page.run_button.click()
    until(lambda: not page._running and not dock.runs.active, seconds)


# The engine -----------------------------------------------------------------------------------


def test_engine_missing(make_dock, iface, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    add_raster(SAMPLES / "town.tif")
    dock = make_dock("", wait=False)
    page = dock.engine_page
    until(page.state.text)
    assert "not installed" in page.state.text()
    assert dock.tabs.currentWidget() is page
    assert page.install_box.isVisibleTo(dock)
    assert page.install_button.text() == "Install geoseg"
    assert not dock.map_page.run_button.isEnabled()


def test_engine_too_old(make_dock, tmp_path):
    dock = make_dock(fake(tmp_path, "", version="0.0.9"), wait=False)
    until(dock.engine_page.state.text)
    assert "0.0.9 is too old" in dock.engine_page.state.text()
    assert "0.1.0" in dock.engine_page.state.text()
    assert "0.0.9" in dock.engine_page.bug_report()


def test_engine_broken(make_dock, tmp_path):
    program = fake(tmp_path, "")
    program.write_text("#!/bin/sh\necho 'ImportError: libtorch.so: not found' >&2; exit 1\n")
    dock = make_dock(program, wait=False)
    until(dock.engine_page.state.text)
    assert "does not work: ImportError: libtorch.so: not found" in dock.engine_page.state.text()


def test_engine_killed(make_dock, iface, tmp_path):
    scene = tmp_path / "town.tif"
    shutil.copy(SAMPLES / "town.tif", scene)
    add_raster(scene)
    dock = make_dock()
    page = dock.map_page
    page.options.set_values({"BLOCK_PX": "256", "WINDOW_PX": "384", "WORKERS": "1"})
    page.run_button.click()
    until(lambda: "of 16 blocks" in page.status.text())
    (run,) = dock.runs.active.values()
    os.kill(run.job.pid, signal.SIGKILL)
    until(lambda: not page._running)
    (message,) = iface.messages()
    assert "The engine was killed (signal 9)" in message
    assert "run again to continue" in message
    assert page.run_button.isEnabled()
    assert page.out_folder() == tmp_path / "town_geoseg", "it can go on there"


@pytest.mark.needs_mount
def test_disk_full(make_dock, iface, tmp_path):
    folder = tmp_path / "small disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, check=False).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        add_raster(SAMPLES / "town.tif")
        dock = make_dock()
        page = dock.map_page
        page.out.setFilePath(str(folder / "out"))
        until(lambda: "too full" in page.problem.text())
        assert "#b3261e" in page.estimate.styleSheet(), "the estimate is red"
        run_and_wait(dock)
        (message,) = iface.messages()
        assert "No space left" in message or "disk" in message.lower()
        assert "Traceback" not in message
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_the_log_is_one_click_away(make_dock, iface, tmp_path):
    from qgis.PyQt.QtWidgets import QPushButton

    code = (
        "import json\n"
        "if 'models' in sys.argv: print(json.dumps({'event': 'models', 'models': []})); sys.exit()\n"
        "sys.stderr.write('geoseg: it broke\\n  Mend it.\\n')\nsys.exit(1)"
    )
    add_raster(SAMPLES / "town.tif")
    dock = make_dock(fake(tmp_path, code), wait=False)
    page = dock.map_page
    until(lambda: "it broke" in page.problem.text())
    assert "Mend it." in page.problem.text()
    assert not page.run_button.isEnabled(), "what the engine refuses is caught before Run"
    page._want(str(SAMPLES / "town.tif"))
    until(iface.messages)
    assert iface.messages() == ["it broke. Mend it."]
    button = next(b for b in iface.bar.findChildren(QPushButton) if b.text() == "Show log")
    button.click()
    from geoseg_qgis.widgets import TextDialog

    (dialog,) = dock.findChildren(TextDialog)
    assert "geoseg: it broke" in dialog.text.toPlainText()
    dialog.close()


def test_a_folder_that_holds_results_already(make_dock, iface, tmp_path):
    add_raster(write_scene(tmp_path / "scene.tif"))
    dock = make_dock()
    run_and_wait(dock)
    dock.map_page.out.setFilePath(str(tmp_path / "scene_geoseg"))
    run_and_wait(dock)
    (message,) = [m for m in iface.messages() if "holds results already" in m]
    assert "Add 'Overwrite' to replace them" in message, "the panel speaks of its own fields"
    dock.map_page.options.set_values({"OVERWRITE": True})
    dock.result_page.table.setRowCount(0)
    run_and_wait(dock)
    assert dock.result_page.table.rowCount() == 5


# The layer ------------------------------------------------------------------------------------


def test_layer_without_crs(make_dock, iface, tmp_path):
    layer = add_raster(write_scene(tmp_path / "plan.tif", crs=None))
    from qgis.core import QgsCoordinateReferenceSystem

    layer.setCrs(QgsCoordinateReferenceSystem())
    dock = make_dock()
    page = dock.map_page
    assert "no CRS" in page.layer_note.text()
    run_and_wait(dock)
    assert (tmp_path / "plan_geoseg" / "classes.tif").is_file()
    assert any("CRS" in message for message in iface.messages()), "the engine's warning is shown"
    assert dock.result_page.table.item(0, 1).text() == "-", "no area without a CRS"


def test_a_crs_that_the_user_gave_to_the_layer_counts(make_dock, tmp_path):
    from qgis.core import QgsCoordinateReferenceSystem, QgsRasterLayer

    layer = add_raster(write_scene(tmp_path / "plan.tif", crs=None))
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32632"))
    dock = make_dock()
    until(lambda: "memory" in dock.map_page.estimate.text(), what=dock.map_page.problem.text())
    run_and_wait(dock)
    made = QgsRasterLayer(str(tmp_path / "plan_geoseg" / "classes.tif"))
    assert made.crs().authid() == "EPSG:32632"


def test_rotated_layer(make_dock, tmp_path):
    from osgeo import gdal

    turn = math.radians(30)
    transform = (
        691600, math.cos(turn), math.sin(turn), 5334400, math.sin(turn), -math.cos(turn),
    )  # fmt: skip
    add_raster(write_scene(tmp_path / "rotated.tif", transform=transform))
    dock = make_dock()
    run_and_wait(dock)
    found = gdal.Open(str(tmp_path / "rotated_geoseg" / "classes.tif")).GetGeoTransform()
    assert found == pytest.approx(transform)


def test_layer_in_degrees(make_dock, tmp_path):
    step = 1 / 111320
    scene = write_scene(
        tmp_path / "degrees.tif", crs=4326, transform=(11.58, step * 1.49, 0, 48.14, 0, -step)
    )
    add_raster(scene)
    dock = make_dock()
    until(lambda: "memory" in dock.map_page.estimate.text(), what=dock.map_page.problem.text())
    assert "deg" in dock.map_page.layer_note.text().replace("°", "deg")
    run_and_wait(dock)
    area = dock.result_page.table.item(0, 1).text()
    assert area.endswith(("ha", "m²"))


def test_a_layer_of_100_px(make_dock, tmp_path):
    add_raster(write_scene(tmp_path / "tiny.tif", (100, 100)))
    dock = make_dock()
    run_and_wait(dock)
    assert (tmp_path / "tiny_geoseg" / "classes.tif").is_file()
    assert dock.result_page.table.rowCount() == 5


def test_a_name_with_blanks_and_korean_letters(make_dock, tmp_path):
    from qgis.core import QgsProject

    folder = tmp_path / "내 지도 자료"
    folder.mkdir()
    add_raster(write_scene(folder / "강남 항공사진 (1).tif"), "강남 '항공' \"사진\" & <b>")
    dock = make_dock()
    run_and_wait(dock)
    assert (folder / "강남 항공사진 (1)_geoseg" / "classes.tif").is_file()
    group = QgsProject.instance().layerTreeRoot().children()[0]
    assert group.name() == "강남 '항공' \"사진\" & <b> - geoseg"
    assert "&lt;b&gt;" in Path(dock.result_page._report).read_text(encoding="utf-8")


def test_a_folder_that_cannot_be_written(make_dock, iface, tmp_path, monkeypatch):
    """The scene's and the project's: the result goes to the user's own, and the panel says so."""
    from geoseg_qgis import machine, map_page
    from qgis.core import QgsProject

    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr(Path, "home", lambda: home)
    locked = tmp_path / "read only"
    locked.mkdir()
    write_scene(locked / "scene.tif")
    QgsProject.instance().write(str(locked / "project.qgz"))
    # Root may write everywhere, so the answer is played where the tests run as root.
    real = machine.writable
    monkeypatch.setattr(
        map_page, "writable", lambda place: locked not in (place, *place.parents) and real(place)
    )
    add_raster(locked / "scene.tif")
    dock = make_dock()
    page = dock.map_page
    assert page.out_folder() == home / "geoseg" / "scene_geoseg"
    assert "cannot be written" in page.out_note.text()
    run_and_wait(dock)
    assert (home / "geoseg" / "scene_geoseg" / "classes.tif").is_file()


def test_wrong_bands_are_caught_before_run(make_dock, tmp_path):
    from osgeo import gdal

    path = tmp_path / "one band.tif"
    gdal.Translate(str(path), str(write_scene(tmp_path / "rgb.tif")), bandList=[1])
    add_raster(path)
    dock = make_dock()
    page = dock.map_page
    until(page.problem.text)
    assert "band" in page.problem.text()
    assert not page.run_button.isEnabled()


def test_wrong_pixel_size_is_caught_before_run(make_dock, tmp_path):
    scene = write_scene(tmp_path / "coarse.tif", transform=(691600, 30, 0, 5334400, 0, -30))
    add_raster(scene)
    dock = make_dock()
    page = dock.map_page
    until(page.problem.text)
    assert "coarse.tif has pixels of 30 m" in page.problem.text()
    assert not page.run_button.isEnabled()
