"""The provider: the same parameters as the command line, and every algorithm for real."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, SAMPLES, add_raster

COMMANDS = {
    "segment": "run",
    "vectorise": "vectorise",
    "evaluate": "evaluate",
    "train": "train",
    "modelinfo": "models show",
}
EXTRA = {"segment": {"EXTENT", "LOAD"}, "modelinfo": {"OUT"}}


@pytest.fixture(scope="module")
def provider(qgis_app):
    from geoseg_qgis.provider import GeosegProvider
    from processing.core.Processing import Processing
    from qgis.core import QgsApplication

    Processing.initialize()
    made = GeosegProvider()
    QgsApplication.processingRegistry().addProvider(made)
    yield made
    QgsApplication.processingRegistry().removeProvider(made)


@pytest.mark.parametrize("name", COMMANDS)
def test_names_and_defaults_are_those_of_the_command_line(provider, name):
    from geoseg_qgis.options import load_command

    algorithm = provider.algorithm(name)
    command = load_command(COMMANDS[name])
    found = {p.name(): p for p in algorithm.parameterDefinitions()}
    wanted = {o.name for o in command.options} | {a.name for a in command.arguments}
    assert set(found) == wanted | EXTRA.get(name, set())
    for option in command.options:
        definition = found[option.name]
        assert definition.defaultValue() == option.default, option.flag
        if option.kind == "choice":
            assert tuple(definition.options()) == option.choices
        assert definition.help(), option.flag


@pytest.mark.parametrize("name", COMMANDS)
def test_every_algorithm_explains_itself(provider, name):
    algorithm = provider.algorithm(name)
    assert algorithm.shortHelpString()
    assert Path(algorithm.helpUrl().removeprefix("file://")).is_file()
    assert not algorithm.icon().isNull()
    assert algorithm.create() is not None


# qgis_process: as a script calls it -----------------------------------------------------------


@pytest.fixture(scope="module")
def process(tmp_path_factory, engine):
    """Return a function that runs qgis_process with the plugin and returns its results."""
    prefix = os.environ.get("QGIS_PREFIX_PATH")
    program = str(Path(prefix) / "bin/qgis_process.bin") if prefix else _installed()
    if program is None:
        pytest.skip("no qgis_process: install qgis")
    base = tmp_path_factory.mktemp("qgis process")
    ini = base / "profiles/default/QGIS/QGIS3.ini"
    ini.parent.mkdir(parents=True)
    ini.write_text(f"[geoseg]\nengine={engine}\n[PythonPlugins]\ngeoseg_qgis=true\n")
    environ = {
        **os.environ,
        "QGIS_PLUGINPATH": str(ROOT / "plugins" / "qgis"),
        "QGIS_CUSTOM_CONFIG_PATH": str(base),
        "QT_QPA_PLATFORM": "offscreen",
    }

    def run(algorithm: str, *, expect: int = 0, **parameters: object):
        # 3.22 takes "--json" before its command as well, and lists as repeated parameters.
        words = [f"{k}={v}" for k, v in parameters.items()]
        command = [program, "--json", "run", f"geoseg:{algorithm}", "--", *words]
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=900, cwd=base, check=False
        )
        assert (done.returncode == 0) == (expect == 0), done.stderr + done.stdout
        if expect:
            return done.stderr + done.stdout
        return json.loads(done.stdout[done.stdout.index("{") :])["results"]

    return run


def _installed() -> str | None:
    # Debian's wrapper of 3.22 hands qgis_process a flag that it does not know.
    return shutil.which("qgis_process.bin") or shutil.which("qgis_process")


@pytest.fixture(scope="module")
def mapped(process, tmp_path_factory):
    """Results of mapping a sample scene."""
    out = tmp_path_factory.mktemp("지도 maps") / "town 1"
    return process("segment", SCENE=SAMPLES / "town.tif", OUT=out)


def test_segment(mapped):
    assert Path(mapped["CLASSES"]).name == "classes.tif"
    for name in ("CLASSES", "CONFIDENCE_RASTER", "POLYGONS", "RECORD"):
        assert Path(mapped[name]).is_file()


def test_segment_an_extent_and_without_polygons(process, tmp_path):
    from qgis.core import QgsRasterLayer

    extent = "691400,691600,5334300,5334500 [EPSG:32632]"
    out = tmp_path / "part"
    found = process(
        "segment", SCENE=SAMPLES / "town.tif", OUT=out, EXTENT=extent, NO_POLYGONS="true"
    )
    assert found.get("POLYGONS") is None
    assert QgsRasterLayer(found["CLASSES"]).width() == 200


def test_vectorise(process, mapped, tmp_path):
    from qgis.core import QgsVectorLayer

    found = process(
        "vectorise", CLASSES=mapped["CLASSES"], OUT=tmp_path / "폴리곤.gpkg", MIN_AREA="50px",
        SMOOTH="true",
    )  # fmt: skip
    layer = QgsVectorLayer(found["OUT"], "polygons", "ogr")
    assert 10 < layer.featureCount() < 2000
    assert layer.renderer().type() == "categorizedSymbol"


def test_evaluate(process, mapped, tmp_path):
    found = process(
        "evaluate", MAP=mapped["CLASSES"], REFERENCE=SAMPLES / "labels" / "town.tif",
        OUT=tmp_path / "ev",
    )  # fmt: skip
    assert 0.7 < found["OVERALL_ACCURACY"] <= 1
    assert Path(found["REPORT"]).is_file()


def test_train_and_use_the_model(process, tmp_path):
    found = process(
        "train", SCENE=SAMPLES / "town.tif", LABELS=SAMPLES / "labels" / "town.tif",
        OUT=tmp_path / "my model", STEPS=4, CHIP_PX=64, BATCH_SIZE=2,
    )  # fmt: skip
    assert Path(found["REPORT"]).is_file()
    info = process("modelinfo", MODEL=found["OUT"], OUT=tmp_path / "card.html")
    assert info["NAME"] == "my model"
    assert "#2f6fb5" in info["CLASSES"]
    assert "my model" in (tmp_path / "card.html").read_text(encoding="utf-8")


def test_errors_are_one_sentence_with_the_engine_s_advice(process, mapped):
    text = process("segment", SCENE=SAMPLES / "town.tif", OUT=mapped["OUT"], expect=1)
    assert "holds results already" in text
    assert "--overwrite" in text
    assert "Traceback" not in text


# Inside QGIS ----------------------------------------------------------------------------------


def test_from_python_with_styled_layers_to_load(provider, settings, engine, tmp_path, iface):
    import processing
    from qgis.core import (
        QgsProcessingContext,
        QgsProcessingFeedback,
        QgsProcessingUtils,
        QgsProject,
    )

    settings.set("engine", str(engine))
    layer = add_raster(SAMPLES / "town.tif", "층 이름 with blanks")
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    context.setProject(QgsProject.instance())
    seen = []
    feedback.progressChanged.connect(seen.append)
    found = processing.run(
        "geoseg:segment", {"SCENE": layer, "OUT": str(tmp_path / "out")},
        context=context, feedback=feedback,
    )  # fmt: skip
    assert Path(found["CLASSES"]).is_file()
    assert seen == sorted(seen)
    assert max(seen) >= 99
    names = {d.name for d in context.layersToLoadOnCompletion().values()}
    assert names == {"Classes", "Confidence", "Polygons"}
    gc.collect()
    renderers = {}
    for path, details in context.layersToLoadOnCompletion().items():
        shown = QgsProcessingUtils.mapLayerFromString(path, context)
        if details.postProcessor() is not None:
            details.postProcessor().postProcessLayer(shown, context, feedback)
        renderers[details.name] = shown.renderer().type()
    assert renderers == {
        "Classes": "paletted", "Confidence": "singlebandpseudocolor",
        "Polygons": "categorizedSymbol",
    }  # fmt: skip


def test_values_that_fail_leave_no_job(provider, settings, engine, tmp_path):
    import processing
    from geoseg_qgis.settings import job_store
    from qgis.core import NULL, QgsProcessingException

    settings.set("engine", str(engine))
    scene = str(SAMPLES / "town.tif")
    parameters = {"SCENE": scene, "EXTENT": "5,5,5,5", "OUT": str(tmp_path / "out")}
    with pytest.raises(QgsProcessingException, match="area of interest is empty"):
        processing.run("geoseg:segment", parameters)
    assert job_store().all() == []
    algorithm = provider.algorithm("segment").create()
    from geoseg_qgis.options import load_command
    from qgis.core import QgsProcessingContext

    for option in load_command("run").options:
        if option.kind in {"integer", "number", "text"} and algorithm.typed(option.name) is None:
            value = algorithm._plain_value(option, {option.name: NULL}, QgsProcessingContext())
            assert value == option.default, option.name


def _four_times_the_coast(path):
    """Sixty-four blocks: whoever cancels after a few of them has seconds in hand."""
    from osgeo import gdal

    small = gdal.Open(str(SAMPLES / "coast.tif"))
    large = gdal.Translate(str(path), small, width=2048, height=2048)
    large.SetGeoTransform(small.GetGeoTransform())
    return str(path)


def test_cancelled_in_the_middle_and_repeated(provider, settings, engine, tmp_path, qgis_app):
    import processing
    from qgis.core import QgsProcessingException, QgsProcessingFeedback

    settings.set("engine", str(engine))
    parameters = {
        "SCENE": _four_times_the_coast(tmp_path / "coast.tif"), "OUT": str(tmp_path / "out"),
        "BLOCK_PX": 256, "WINDOW_PX": 384, "WORKERS": 1,
    }  # fmt: skip
    feedback = QgsProcessingFeedback()
    feedback.progressChanged.connect(lambda share: feedback.cancel() if share > 3 else None)
    with pytest.raises(QgsProcessingException, match="stopped after"):
        processing.run("geoseg:segment", parameters, feedback=feedback)
    assert not (tmp_path / "out" / "run.json").exists()
    processing.run("geoseg:segment", parameters)
    calm = {**parameters, "OUT": str(tmp_path / "calm")}
    processing.run("geoseg:segment", calm)
    for name in ("classes.tif", "confidence.tif", "polygons.gpkg"):
        same = (tmp_path / "out" / name).read_bytes() == (tmp_path / "calm" / name).read_bytes()
        assert same, name


def test_in_a_model_of_the_modeller(provider, settings, engine, tmp_path):
    """The class raster of one step is the input of the next."""
    import processing
    from qgis.core import (
        QgsProcessingModelAlgorithm,
        QgsProcessingModelChildAlgorithm,
        QgsProcessingModelChildParameterSource,
        QgsProcessingModelParameter,
        QgsProcessingParameterRasterLayer,
    )

    settings.set("engine", str(engine))
    source = QgsProcessingModelChildParameterSource
    model = QgsProcessingModelAlgorithm("map and polygons", "test")
    model.addModelParameter(
        QgsProcessingParameterRasterLayer("SCENE", "Scene"), QgsProcessingModelParameter("SCENE")
    )
    first = QgsProcessingModelChildAlgorithm("geoseg:segment")
    first.setChildId("map")
    first.addParameterSources("SCENE", [source.fromModelParameter("SCENE")])
    first.addParameterSources("OUT", [source.fromStaticValue(str(tmp_path / "out"))])
    first.addParameterSources("NO_POLYGONS", [source.fromStaticValue(True)])
    model.addChildAlgorithm(first)
    second = QgsProcessingModelChildAlgorithm("geoseg:vectorise")
    second.setChildId("polygons")
    second.addParameterSources("CLASSES", [source.fromChildOutput("map", "CLASSES")])
    second.addParameterSources("OUT", [source.fromStaticValue(str(tmp_path / "p.gpkg"))])
    second.setDependencies(_depends_on("map"))
    model.addChildAlgorithm(second)
    model.initAlgorithm()
    processing.run(model, {"SCENE": str(SAMPLES / "town.tif")})
    assert (tmp_path / "p.gpkg").is_file()


def _depends_on(child: str):
    from qgis.core import QgsProcessingModelChildDependency

    return [QgsProcessingModelChildDependency(child)]
