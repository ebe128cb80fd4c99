"""The plugin's options are the command's own, and give the command's own lines."""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest
from geoseg_qgis.history import as_command, as_python, free_folder
from geoseg_qgis.jobs import JobStore
from geoseg_qgis.options import command_line, load_command

from scripts.make_qgis_options import COMMANDS, command_of

ROOT = Path(__file__).resolve().parents[2]


def test_the_options_are_current():
    script = ROOT / "scripts" / "make_qgis_options.py"
    done = subprocess.run([sys.executable, script, "--check"], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_only_what_was_chosen_is_on_the_line():
    line = command_line(
        "run",
        {
            "SCENE": "/a b/scene.tif", "OUT": "/out", "MODEL": "aerial-landcover", "MIN_AREA": "",
            "CONFIDENCE": False, "SMOOTH": True, "SEAMS": False, "GSD": 0.3, "NODATA": -1.0,
            "FORMAT": ["geojson", "flatgeobuf"], "CONNECTIVITY": "8", "WORKERS": None,
        },
    )  # fmt: skip
    assert shlex.join(line) == (
        "run '/a b/scene.tif' --out /out --format geojson --format flatgeobuf --smooth "
        "--connectivity 8 --no-confidence --gsd 0.3 --nodata -1"
    )


def test_several_scenes_and_labels():
    line = command_line("train", {"SCENE": ["a.tif", "b.tif"], "LABELS": ["a.gpkg", "b.gpkg"]})
    assert line == ["train", "a.tif", "b.tif", "--labels", "a.gpkg", "--labels", "b.gpkg"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_value_other_than_the_default_arrives(name):
    """The engine's own parser reads back what the plugin writes."""
    command, options = command_of(name), load_command(name)
    values = {argument.name: "x" for argument in options.arguments}
    for option in options.options:
        values[option.name] = _another(option)
    words = command_line(name, values)[len(name.split()) :]
    parsed = command.make_context(name, words).params
    assert not {p for p, value in parsed.items() if value is None}
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.opts[0] in words:
            assert parsed[parameter.name] != parameter.get_default(click.Context(command))


def _another(option):
    of_its_own = {"VALUE_RANGE": "0,3000", "SPLIT": "60,20,20", "DEPTH": 4, "DECODER": "64,32,16"}
    if option.name in of_its_own:
        return of_its_own[option.name]
    if option.kind == "flag":
        return not option.default
    if option.kind == "choice":
        return next(choice for choice in option.choices if choice != option.default)
    if option.kind in {"integer", "number"}:
        return (option.default or 200) + 1
    return "a,b"


@pytest.fixture
def job(tmp_path):
    values = {"SCENE": "/data/강남 scene.tif", "OUT": "/data/out", "SMOOTH": True, "BANDS": None}
    line = command_line("run", values)
    return JobStore(tmp_path).create("run", values, line, program="/x/geoseg", title="강남")


def test_a_job_as_a_command_for_the_terminal(job):
    assert as_command(job) == "geoseg run '/data/강남 scene.tif' --out /data/out --smooth"


@pytest.mark.parametrize(("command", "name"), [("vectorise", "OUT"), ("evaluate", "REFERENCE")])
def test_one_file_is_no_list_in_python(job, command, name):
    text = as_python(replace(job, command=command, values={name: ["/a b.gpkg"]}))
    assert f"{name!r}: '/a b.gpkg'," in text


def test_a_job_as_python_for_the_console(job):
    text = as_python(job)
    compile(text, "console", "exec")
    assert '"geoseg:segment"' in text
    assert "'SCENE': '/data/강남 scene.tif'" in text
    assert "BANDS" not in text


def test_a_result_folder_is_new_unless_it_can_go_on(tmp_path):
    assert free_folder(tmp_path, "a_geoseg") == tmp_path / "a_geoseg"
    store = tmp_path / "a_geoseg" / ".geoseg"
    store.mkdir(parents=True)
    (store / "plan.json").write_text("{}")
    assert free_folder(tmp_path, "a_geoseg") == tmp_path / "a_geoseg"
    (tmp_path / "a_geoseg" / "run.json").write_text("{}")
    assert free_folder(tmp_path, "a_geoseg") == tmp_path / "a_geoseg_2"
    taken = {str(tmp_path / "a_geoseg_2"): 1}
    assert free_folder(tmp_path, "a_geoseg", taken) == tmp_path / "a_geoseg_3"
