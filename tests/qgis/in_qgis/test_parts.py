"""Parts of the panel: web layers, areas, models, history, batch systems, a later QGIS."""

from __future__ import annotations

import json
import shlex
import shutil
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import SAMPLES, add_raster, until
from test_failures import fake, run_and_wait, write_scene


@pytest.fixture
def town(tmp_path):
    return write_scene(tmp_path / "town.tif")


# Web layers -----------------------------------------------------------------------------------


@pytest.fixture
def tiles(qgis_app):
    """Address of an XYZ server whose tiles are coloured by their place; counts its requests."""
    from qgis.PyQt.QtCore import QBuffer, QByteArray, QIODevice
    from qgis.PyQt.QtGui import QColor, QImage

    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            z, x, y = (int(p) for p in self.path.strip("/").split(".")[0].split("/"))
            asked.append((z, x, y))
            image = QImage(256, 256, QImage.Format.Format_RGB32)
            image.fill(QColor(60 + (x * 37) % 120, 60 + (y * 53) % 120, 80))
            data = QByteArray()
            buffer = QBuffer(data)
            buffer.open(QIODevice.OpenModeFlag.WriteOnly)
            image.save(buffer, "PNG")
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.end_headers()
            self.wfile.write(bytes(data))

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/%7Bz%7D/%7Bx%7D/%7By%7D.png"
    yield f"type=xyz&url={address}&zmax=19&zmin=0", asked
    server.shutdown()


def test_a_web_layer_is_exported_and_mapped(make_dock, iface, tiles, tmp_path, monkeypatch):
    from osgeo import gdal
    from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRasterLayer, QgsRectangle

    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    address, asked = tiles
    layer = QgsRasterLayer(address, "기본 지도 XYZ", "wms")
    assert layer.isValid()
    QgsProject.instance().addMapLayer(layer)
    iface.canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    iface.canvas.setExtent(QgsRectangle(1289000, 6130000, 1289450, 6130450))
    dock = make_dock()
    page = dock.map_page
    assert page.web_row.isVisibleTo(page)
    assert page.area.mode() == "view", "a whole web layer may be the whole earth"
    page.resolution.setValue(1)
    until(lambda: "asked of the server" in page.estimate.text(), what=page.problem.text())
    page.run_button.click()
    until(lambda: dock.result_page.table.rowCount() == 5, what=str(iface.messages()))
    exported = tmp_path / "geoseg" / "기본_지도_XYZ.tif"
    dataset = gdal.Open(str(exported))
    shown = iface.canvas.extent()
    # Web Mercator stretches by 1 / cos(48 degrees): 1 m on the ground is 1.5 m of its own.
    assert dataset.RasterXSize == pytest.approx(shown.width() * 0.669, rel=0.02)
    assert max(z for z, _, _ in asked) >= 16
    assert (tmp_path / "geoseg" / "기본_지도_XYZ_geoseg" / "classes.tif").is_file()


def test_a_server_that_gives_no_picture_is_told_in_one_sentence(
    make_dock, iface, tmp_path, monkeypatch
):
    from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRasterLayer, QgsRectangle

    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    layer = QgsRasterLayer(
        "type=xyz&url=http://127.0.0.1:9/%7Bz%7D/%7Bx%7D/%7By%7D.png&zmax=19&zmin=0", "gone", "wms"
    )
    QgsProject.instance().addMapLayer(layer)
    iface.canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    iface.canvas.setExtent(QgsRectangle(1289000, 6130000, 1289100, 6130100))
    own = tmp_path / "geoseg" / "gone.tif"
    own.parent.mkdir()
    own.write_bytes(b"the user's own")
    dock = make_dock()
    page = dock.map_page
    until(page.run_button.isEnabled)
    page.run_button.click()
    until(iface.messages, 120)
    assert "The web layer cannot be exported" in iface.messages()[0]
    assert own.read_bytes() == b"the user's own"
    assert list(own.parent.iterdir()) == [own]
    assert page.run_button.isVisibleTo(page)


def test_too_much_is_not_asked_of_a_server(qgis_app):
    from geoseg_qgis.engine import EngineError
    from geoseg_qgis.export import export_size
    from qgis.core import QgsCoordinateReferenceSystem, QgsRectangle

    mercator = QgsCoordinateReferenceSystem("EPSG:3857")
    with pytest.raises(EngineError, match="too many to ask of a server"):
        export_size(QgsRectangle(0, 0, 1e6, 1e6), mercator, 0.5)
    with pytest.raises(EngineError, match="is empty"):
        export_size(QgsRectangle(), mercator, 0.5)
    columns, rows = export_size(QgsRectangle(0, 0, 1000, 1000), mercator, 1)
    assert (columns, rows) == (pytest.approx(1000, abs=2), pytest.approx(994, abs=3))


# Areas ----------------------------------------------------------------------------------------


def test_every_kind_of_area(make_dock, iface, town, tmp_path):
    from osgeo import gdal
    from qgis.core import (
        QgsCoordinateReferenceSystem,
        QgsFeature,
        QgsGeometry,
        QgsProject,
        QgsRectangle,
        QgsVectorLayer,
    )

    layer = add_raster(town)
    iface.canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:32632"))
    box = QgsRectangle(691650, 5334250, 691750, 5334350)
    iface.canvas.setExtent(box)
    polygons = QgsVectorLayer("Polygon?crs=EPSG:32632", "나의 구역", "memory")
    feature = QgsFeature()
    feature.setGeometry(QgsGeometry.fromRect(box))
    polygons.dataProvider().addFeature(feature)
    QgsProject.instance().addMapLayer(polygons)
    dock = make_dock()
    area = dock.map_page.area
    sizes = {}
    for mode in ("layer", "view", "rectangle", "polygon", "polygons"):
        area.combo.setCurrentIndex(area.combo.findData(mode))
        if mode in {"rectangle", "polygon"}:
            assert iface.canvas.mapTool() is area._tool
            area._tool.drawn.emit(QgsGeometry.fromRect(box))
        if mode == "polygons":
            area.polygons.setLayer(polygons)
        value = area.value(layer)
        if mode in {"polygon", "polygons"}:
            assert Path(value).is_file()
            assert area.value(layer) == value, "the same area is the same file"
        dock.map_page.out.setFilePath(str(tmp_path / mode))
        run_and_wait(dock)
        dataset = gdal.Open(str(tmp_path / mode / "classes.tif"))
        sizes[mode] = (dataset.RasterXSize, dataset.RasterYSize)
    assert sizes["layer"] == (256, 256)
    assert sizes["rectangle"] == (100, 100)
    assert sizes["polygons"] == (100, 100)
    assert sizes["polygon"] == pytest.approx((100, 100), abs=2), "through degrees and back"
    assert sizes["view"][1] >= 100


def test_nothing_drawn_yet_is_said(make_dock, town):
    add_raster(town)
    dock = make_dock()
    area = dock.map_page.area
    area.combo.setCurrentIndex(area.combo.findData("rectangle"))
    assert "Drag a rectangle" in area.note.text()
    until(dock.map_page.problem.text)
    assert "No area is drawn" in dock.map_page.problem.text()


def test_a_typed_folder_lies_beside_the_scene(make_dock, town):
    add_raster(town)
    page = make_dock().map_page
    page.out.setFilePath("my result")
    assert page.out_folder() == town.parent / "my result"
    page.out.setFilePath("~/my result")
    assert page.out_folder() == Path.home() / "my result"


def test_a_path_may_hold_a_bar(qgis_app, settings, tmp_path, monkeypatch):
    from geoseg_qgis.layers import raster_source
    from qgis.core import QgsRasterLayer

    path = write_scene(tmp_path / "a|b.tif")
    assert raster_source(QgsRasterLayer(str(path), "a", "gdal")) == str(path)
    options = QgsRasterLayer(f"{path}|option:NUM_THREADS=1", "a", "gdal")
    assert raster_source(options) == str(path)
    monkeypatch.chdir(tmp_path)
    assert raster_source(QgsRasterLayer("a|b.tif", "a", "gdal")) == str(path)


def test_a_layer_s_area_stays_as_it_was_for_a_run_that_goes_on(qgis_app, tmp_path):
    from geoseg_qgis.engine import EngineError
    from geoseg_qgis.layers import area_file
    from qgis.core import QgsFeature, QgsGeometry, QgsRectangle, QgsVectorLayer

    layer = QgsVectorLayer("Polygon?crs=EPSG:32632", "areas", "memory")
    with pytest.raises(EngineError, match="polygon layer is empty"):
        area_file(layer, tmp_path)
    files = []
    for edge in (10, 20):
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(0, 0, edge, edge)))
        layer.dataProvider().addFeature(feature)
        files += [area_file(layer, tmp_path)] * 2
        assert area_file(layer, tmp_path) == files[-1]
    assert len(set(files)) == 2
    assert sorted(map(str, tmp_path.iterdir())) == sorted(set(files))
    assert QgsVectorLayer(files[0], "a", "ogr").featureCount() == 1


def test_an_area_beyond_the_world_is_told_in_one_sentence(make_dock, iface, town, tmp_path):
    from geoseg_qgis.area import geojson_area
    from geoseg_qgis.engine import EngineError
    from geoseg_qgis.export import in_crs
    from qgis.core import QgsCoordinateReferenceSystem, QgsGeometry, QgsRectangle

    layer = add_raster(town)
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    area = make_dock().map_page.area
    iface.canvas.setDestinationCrs(degrees)
    iface.canvas.setExtent(QgsRectangle(-400, -300, 400, 300))
    area.choose("view")
    assert area.extent(layer) == layer.extent()
    with pytest.raises(EngineError, match="reaches beyond"):
        in_crs(QgsRectangle(1e9, 1e9, 1e10, 1e10), layer.crs(), degrees)
    far = QgsGeometry.fromRect(QgsRectangle(-1e12, -1e12, 1e12, 1e12))
    with pytest.raises(EngineError, match="reaches beyond"):
        geojson_area(far, layer.crs(), tmp_path / "areas")


# Models ---------------------------------------------------------------------------------------


def test_a_model_shows_its_card(make_dock, town):
    add_raster(town)
    box = make_dock().map_page.model
    text = box.facts.text()
    for part in ("five classes", "0.3 to 2 m per pixel", "mean IoU", "CC-BY-4.0"):
        assert part in text
    assert "#c8452d" in box.legend.text()
    assert "building" in box.legend.text()
    assert not box.picture.pixmap().isNull()


def test_a_model_folder_is_browsed_to_or_dropped_and_remembered(make_dock, town, tmp_path):
    add_raster(town)
    dock = make_dock()
    bundled = dock.map_page.model.card().folder
    own = tmp_path / "나의 모델"
    shutil.copytree(bundled, own)
    card = json.loads((own / "card.json").read_text(encoding="utf-8"))
    card["properties"]["mlm:name"] = "mine"
    (own / "card.json").write_text(json.dumps(card), encoding="utf-8")
    box = dock.map_page.model
    box.add_folder(own)
    assert (box.value(), box.combo.currentText()) == (str(own), "mine")
    box.add_folder(tmp_path)
    assert "is not a model folder" in box.problem.text()
    assert make_dock().map_page.model.combo.findData(str(own)) >= 0


# Remembering ----------------------------------------------------------------------------------


def test_the_project_remembers_the_panel(make_dock, town, tmp_path):
    from qgis.core import QgsProject

    add_raster(town)
    dock = make_dock()
    page = dock.map_page
    page.options.set_values({"MIN_AREA": "25m2", "SMOOTH": True, "CONFIDENCE": False})
    page.area.choose("view")
    page.out.setFilePath(str(tmp_path / "그곳"))
    project = tmp_path / "project.qgz"
    assert QgsProject.instance().write(str(project))
    page.options.set_values({})
    page.area.choose("layer")
    page.out.setFilePath("")
    assert QgsProject.instance().read(str(project))
    assert page.options.values() == {"MIN_AREA": "25m2", "SMOOTH": True, "CONFIDENCE": False}
    assert page.area.mode() == "view"
    assert page.out.filePath() == str(tmp_path / "그곳")
    assert page.layer().name() == "town"


def test_a_new_project_begins_with_the_defaults(make_dock, town, tmp_path):
    from qgis.core import QgsProject

    add_raster(town)
    page = make_dock().map_page
    page.options.set_values({"OVERWRITE": True})
    page.out.setFilePath(str(tmp_path / "first"))
    page.where.setCurrentIndex(2)
    QgsProject.instance().clear()
    assert page.options.values() == {}
    assert (page.out.filePath(), page.where.currentData()) == ("", "here")


def test_the_open_panel_does_not_make_a_project_unsaved(make_dock, iface, town, tmp_path):
    from qgis.core import QgsProject

    iface.setActiveLayer(add_raster(town))
    project = QgsProject.instance()
    assert project.write(str(tmp_path / "untouched.qgz"))
    page = make_dock().map_page
    assert page.layer() is not None
    assert not project.isDirty()
    page.out.setFilePath(str(tmp_path / "chosen"))
    assert project.isDirty()


def test_history_repeats_and_passes_on(make_dock, town, qgis_app):
    from qgis.PyQt.QtGui import QGuiApplication

    add_raster(town)
    dock = make_dock()
    dock.map_page.options.set_values({"MIN_AREA": "16px"})
    run_and_wait(dock)
    page = dock.history_page
    page.refresh()
    assert page.list.topLevelItemCount() == 1
    page.buttons["command"].click()
    words = shlex.split(QGuiApplication.clipboard().text())
    assert words[:3] == ["geoseg", "run", str(town)]
    assert words[-2:] == ["--min-area", "16px"]
    page.buttons["python"].click()
    assert "processing.run(" in QGuiApplication.clipboard().text()
    dock.result_page.table.setRowCount(0)
    page.buttons["again"].click()
    until(lambda: dock.runs.active)
    until(lambda: not dock.runs.active)
    page.refresh()
    assert page.list.topLevelItemCount() == 2
    assert page.job().state == "done"
    dock.result_page.table.setRowCount(0)
    page.buttons["load"].click()
    assert dock.result_page.table.rowCount() == 5


def test_a_job_that_never_began_is_not_run_again(make_dock, iface, settings):
    from geoseg_qgis.settings import job_store

    job = job_store().create("run", {}, [], program="x", title="half a job")
    dock = make_dock()
    dock._again(job)
    assert not dock.runs.active
    assert "half a job cannot be run again now" in iface.messages()[0]


# Elsewhere and later --------------------------------------------------------------------------


def test_a_batch_command_takes_the_job_and_the_map_comes_back(
    make_dock, iface, settings, engine, town, tmp_path
):
    """A batch system that puts the command into a file and runs it later."""
    queue = tmp_path / "queue"
    submit = tmp_path / "submit"
    submit.write_text(f'#!/bin/sh\necho "$2" > "{queue}"\necho "job $1 queued"\n')
    submit.chmod(0o755)
    settings.set("batch_template", f"{shlex.quote(str(submit))} {{name}} {{command}}")
    settings.set("batch_program", str(engine))
    add_raster(town)
    dock = make_dock()
    page = dock.map_page
    page.where.setCurrentIndex(page.where.findData("batch"))
    until(page.run_button.isEnabled)
    page.run_button.click()
    until(lambda: any("handed to the batch system" in m for m in iface.messages()))
    assert not page._running, "the panel is free for the next map"
    words = shlex.split(queue.read_text(encoding="utf-8"))
    assert words[:3] == [str(engine), "run", str(town)]
    import subprocess

    subprocess.run(words, check=True, capture_output=True)  # the night
    until(lambda: dock.result_page.table.rowCount() == 5, 30)
    until(lambda: any("is mapped, in" in message for message in iface.messages()))
    (told,) = [message for message in iface.messages() if "is mapped, in" in message]
    assert "in 0 s" not in told, "run.json says how long it took"


def test_a_job_that_was_handed_over_while_qgis_was_away_still_waits(settings, qgis_app):
    from geoseg_qgis.runs import Run, Runs
    from geoseg_qgis.settings import job_store

    job = job_store().create("run", {}, ["run"], program="x", title="t", where="batch")
    runs, told = Runs(), []
    runs.ended.connect(lambda run, failure: told.append((run.job.state, failure)))
    runs._end(Run(job, None))
    assert told == [("submitted", None)]
    runs.leave()


def test_an_event_that_is_not_understood_hides_no_later_one(settings, qgis_app):
    from geoseg_qgis.runs import Run, Runs
    from geoseg_qgis.settings import job_store

    job = job_store().create("run", {}, ["run"], program="x", title="t")
    events = [{"event": "progress", "done": "x"}, {"event": "plan"}, {"event": "finished", "a": 1}]
    job.events.write_text("".join(json.dumps(event) + "\n" for event in events), "utf-8")
    runs, run = Runs(), Run(job, None)
    runs.active["t"] = run
    runs._look()
    assert run.finished == events[-1]
    runs.leave()


def test_a_title_is_text(qgis_app, tmp_path):
    from geoseg_qgis.result_page import ResultPage

    page = ResultPage()
    page.show_result("a<b>&c", {}, {}, tmp_path / "report.html")
    assert page.title.text() == "<b>a&lt;b&gt;&amp;c</b>"


def test_a_scheduler_address_is_handed_over_or_refused(make_dock, iface, settings, town):
    """What happens depends on whether the engine's 'run' takes one."""
    from geoseg_qgis.options import load_command

    settings.set("scheduler", "tcp://127.0.0.1:9")
    add_raster(town)
    dock = make_dock()
    page = dock.map_page
    page.where.setCurrentIndex(page.where.findData("scheduler"))
    until(page.run_button.isEnabled)
    page.run_button.click()
    if any(option.name == "SCHEDULER" for option in load_command("run").options):
        (run,) = dock.runs.active.values()
        assert run.job.arguments[-2:] == ["--scheduler", "tcp://127.0.0.1:9"]
        return
    assert "cannot use a scheduler address" in iface.messages()[0]
    assert not dock.runs.active


@pytest.mark.parametrize("short", ["memory", "disk"])
def test_an_estimate_that_will_not_fit_is_red(make_dock, town, monkeypatch, short):
    from geoseg_qgis import estimate

    monkeypatch.setattr(estimate, f"free_{short}_bytes", lambda *_: 1000)
    add_raster(town)
    page = make_dock().map_page
    until(page.problem.text)
    assert "1000 B free" in page.problem.text()
    assert "#b3261e" in page.estimate.styleSheet()
    assert page.run_button.isEnabled(), "an estimate may err; the user decides"


@pytest.mark.parametrize("choice", ["stop", "continue"])
def test_when_qgis_closes_the_job_ends_or_goes_on_and_is_found_again(
    make_dock, settings, tmp_path, choice
):
    scene = tmp_path / "town.tif"
    shutil.copy(SAMPLES / "town.tif", scene)
    add_raster(scene)
    settings.set("on_close", choice)
    dock = make_dock()
    page = dock.map_page
    page.options.set_values({"BLOCK_PX": "256", "WINDOW_PX": "384", "WORKERS": "1"})
    page.run_button.click()
    until(lambda: "of 16 blocks" in page.status.text())
    (run,) = dock.runs.active.values()
    job = run.job
    dock.leave()  # QGIS is closed
    later = make_dock(wait=False)
    if choice == "continue":
        assert [r.job.folder for r in later.runs.active.values()] == [job.folder]
        assert later.map_page.stop_button.isVisibleTo(later.map_page)
        until(lambda: later.result_page.table.rowCount() == 5)
        return
    end = time.monotonic() + 30
    while job.is_running():
        assert time.monotonic() < end
        time.sleep(0.05)
    until(lambda: not later.runs.active)
    assert (tmp_path / "town_geoseg" / ".geoseg" / "plan.json").is_file(), "it can go on"


def test_the_first_run_page_installs_and_removes(make_dock, settings, tmp_path, monkeypatch):
    """Real pip, and a package small enough for a test."""
    import zipfile

    from geoseg_qgis import engine_page, environment
    from geoseg_qgis.settings import engine_folder

    wheel = tmp_path / "geoseg-0.1.0-py3-none-any.whl"
    info = "geoseg-0.1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("tiny_geoseg.py", "def main():\n    print('geoseg, version 0.1.0')\n")
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: geoseg\nVersion: 0.1.0\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr(f"{info}/entry_points.txt", "[console_scripts]\ngeoseg=tiny_geoseg:main\n")
        file.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(engine_page, "engine_folder", engine_folder)
    dock = make_dock("", wait=False)
    page = dock.engine_page
    until(page.state.text)
    page.package.setText(str(wheel))
    page.install_button.click()
    assert page.progress.isVisibleTo(dock)
    until(lambda: page._installer is None, 120)
    assert "geoseg is installed" in page.step.text()
    until(lambda: page.engine is not None)
    assert environment.installed_in(engine_folder())
    assert page.install_button.text() == "Repair"
    page.remove_button.click()
    assert not engine_folder().exists()
    until(lambda: page.engine is None)


def test_the_doctor_and_its_text_for_a_bug_report(make_dock, tmp_path):
    code = (
        "import json\n"
        "if 'models' in sys.argv: print(json.dumps({'event': 'models', 'models': []})); sys.exit()\n"
        "findings = [{'section': 'devices', 'name': 'cuda', 'verdict': 'info', 'text': 'not used: "
        "no NVIDIA driver'}, {'section': 'raster', 'name': 'drivers', 'verdict': 'fail', 'text': "
        "'no COG <driver>'}]\n"
        "print(json.dumps({'event': 'doctor', 'ok': False, 'findings': findings}))\nsys.exit(1)"
    )
    page = make_dock(fake(tmp_path, code)).engine_page
    until(lambda: page.engine is not None)
    page.examine_button.click()
    until(page.findings.toPlainText)
    assert "Something is broken" in page.verdict.text()
    assert "no NVIDIA driver" in page.findings.toPlainText()
    assert "no COG <driver>" in page.findings.toPlainText()
    report = page.bug_report()
    for part in ("QGIS 3.", "Qt 5.", "geoseg: 0.1.0", "fail raster", "no NVIDIA driver"):
        assert part in report


def test_proxy_and_certificates_come_from_qgis(qgis_app, settings):
    from geoseg_qgis.settings import network
    from qgis.core import QgsSettings

    keep = {}
    values = {
        "proxy/proxyEnabled": True, "proxy/proxyHost": "proxy.example", "proxy/proxyPort": "3128",
        "proxy/proxyUser": "me", "proxy/proxyPassword": "p@ss:word",
        "proxy/proxyType": "HttpProxy", "proxy/noProxyUrls": ["http://localhost/"],
    }  # fmt: skip
    for name, value in values.items():
        keep[name] = QgsSettings().value(name)
        QgsSettings().setValue(name, value)
    try:
        found = network()
    finally:
        for name in values:
            QgsSettings().remove(name)
    assert found.proxy == "http://me:p%40ss%3Aword@proxy.example:3128"
    assert found.no_proxy == "localhost"
