"""What must stay true of the project as a whole: documents, imports, exported names."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from geoseg.cli.main import cli
from geoseg.options import RunOptions
from geoseg.run import events

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "geoseg").rglob("*.py"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")])
HEAVY = {
    "torch", "segmentation_models_pytorch", "dask", "distributed", "geopandas", "pandas",
    "rasterio", "shapely", "numba", "pyogrio", "pyarrow", "pyproj", "rich",
}  # fmt: skip


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def walk(group: click.Group, names: tuple[str, ...] = ("geoseg",)):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*names, name), command
        if isinstance(command, click.Group):
            yield from walk(command, (*names, name))
        for further, child in getattr(command, "subcommands", {}).items():
            yield (*names, name, further), child


COMMANDS = dict(walk(cli))


def imported_by(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter holds after some code."""
    script = f"import sys\n{code}\nprint(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["run", "--help"], *([*n[1:], "--help"] for n in COMMANDS)],
    ids=" ".join,
)
def test_help_imports_no_heavy_library(arguments):
    code = (
        "from geoseg.cli.main import cli\n"
        f"cli.main({arguments!r}, prog_name='geoseg', standalone_mode=False)"
    )
    assert imported_by(code) & HEAVY == set()


def test_importing_geoseg_is_light():
    assert imported_by("import geoseg") & HEAVY == set()


def test_the_function_run_outlives_the_import_of_its_package():
    code = (
        "import geoseg\n"
        "for _ in range(2):\n"
        "    try: geoseg.run('no such file.tif')\n"
        "    except geoseg.errors.SceneError: pass\n"
        "assert callable(geoseg.run)"
    )
    imported_by("import geoseg.errors\n" + code)


def test_command_reference_is_current():
    script = ROOT / "scripts" / "make_cli_docs.py"
    done = subprocess.run([sys.executable, script, "--check"], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_help_teaches_with_examples(names):
    command = COMMANDS[names]
    assert command.help
    assert " ".join(names) in (command.epilog or ""), "no example shows the command"
    for parameter in command.params:
        assert isinstance(parameter, click.Argument) or parameter.help, parameter.name


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_every_option_of_an_example_exists(names):
    known = {o for c in COMMANDS.values() for p in c.params for o in (*p.opts, *p.secondary_opts)}
    used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", COMMANDS[names].epilog or ""))
    assert used <= known | {"--help"}


def test_every_field_of_the_options_is_a_flag():
    parameters = {p.name for p in COMMANDS["geoseg", "run"].params}
    fields = set(RunOptions.__dataclass_fields__)
    assert fields <= parameters, f"no flag for {fields - parameters}"


def test_every_flag_in_the_documents_exists():
    known = {o for c in COMMANDS.values() for p in c.params for o in (*p.opts, *p.secondary_opts)}
    for name in ("README.md", "docs/json_events.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - {"--help", "--version"}
        assert used <= known, f"{name} speaks of {used - known}"


def test_every_event_and_field_is_documented():
    text = (ROOT / "docs" / "json_events.md").read_text(encoding="utf-8")
    for kind, name in events._KINDS.items():
        assert f"`{name}`" in text
        for field in kind.__dataclass_fields__:
            assert f"`{field}`" in text, f"{name}.{field}"


def test_readme_opens_with_the_two_lines_that_ci_runs():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\s{4}(python3 -m venv .*)$|^(python3 -m venv .*)$", readme, re.MULTILINE)
    found = [a or b for a, b in lines]
    assert len(found) == 2
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for line in found:
        assert f"\n{line} || exit 1\n" in script
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_exported_names_are_sorted_and_there(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    listed = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)
    ]
    if not listed:
        return
    (names,) = listed
    plain = sorted(n for n in names if n.isupper())
    classes = sorted(n for n in names if n[0].isupper() and not n.isupper())
    rest = sorted(n for n in names if not n[0].isupper())
    # The order that ruff's RUF022 keeps: constants, classes, the rest.
    assert names == [*plain, *classes, *rest]
    module = importlib.import_module(module_name(path))
    assert [n for n in names if not hasattr(module, n)] == []


def test_no_module_is_called_utils():
    assert [p.name for p in MODULES if "util" in p.stem or "helper" in p.stem] == []


@pytest.mark.parametrize(
    "path",
    [*MODULES, *sorted((ROOT / "scripts").rglob("*.py")), *DOCUMENTS],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_no_task_marks_and_no_machine_paths(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text)
    assert not re.search(r"(?<![\w.])/(work|tmp|root|home)/", text)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(path):
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:|#", target):
            assert (path.parent / target.split("#")[0]).exists(), target


def test_architecture_fits_and_names_every_module():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 185
    for path in MODULES:
        if path.name != "__init__.py" and not path.stem.endswith("_kernels"):
            room = path.relative_to(ROOT / "geoseg").with_suffix("")
            assert f"`{room.name}`" in text, f"ARCHITECTURE.md does not name {room}"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda p: p.stem
)
def test_decisions_are_numbered_and_have_a_status(path):
    assert re.fullmatch(r"\d{4}-[a-z0-9-]+", path.stem)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert any(line.startswith("Status: ") for line in lines[:4])
    numbers = [p.stem[:4] for p in path.parent.glob("*.md")]
    assert len(numbers) == len(set(numbers))
