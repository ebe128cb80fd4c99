"""What was done before, in the forms that people pass on. Nothing here knows QGIS."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .engine import quoted
from .jobs import Job, State
from .text import tr

__all__ = ["ALGORITHMS", "as_command", "as_python", "columns", "free_folder", "is_resumable"]

_CORNERS = "LBRT"
_FILES = (".gpkg", ".geojson", ".shp", ".fgb", ".json")
_SINGLE = {"vectorise": ("OUT",), "evaluate": ("REFERENCE",)}
"""Parameters that are one value in Processing and a list for the command."""
ALGORITHMS = {
    "run": "segment",
    "vectorise": "vectorise",
    "evaluate": "evaluate",
    "train": "train",
    "models show": "modelinfo",
}
"""Command of the engine -> name of the algorithm in Processing."""


def as_command(job: Job) -> str:
    """Return the line that does the same in a terminal."""
    return quoted(["geoseg", *job.arguments])


def as_python(job: Job) -> str:
    """Return the lines that do the same in QGIS' Python console."""
    algorithm = ALGORITHMS.get(job.command)
    if algorithm is None:
        words = ", ".join(repr(word) for word in ["geoseg", *job.arguments])
        return f"import subprocess\n\nsubprocess.run([{words}], check=True)\n"
    values = {k: v for k, v in job.values.items() if v not in (None, "", [])}
    corners = str(values.get("AOI", "")).split(",")
    if len(corners) == len(_CORNERS) and not str(values["AOI"]).endswith(_FILES):
        # Processing writes an extent in another order, and has a parameter of its own for it.
        left, bottom, right, top = corners
        del values["AOI"]
        values["EXTENT"] = f"{left},{right},{bottom},{top}"
    for name in _SINGLE.get(job.command, ()):
        if isinstance(values.get(name), list) and len(values[name]) == 1:
            values[name] = values[name][0]
    lines = "".join(f"        {name!r}: {value!r},\n" for name, value in values.items())
    return (
        "import processing\n\n"
        f'result = processing.run(\n    "geoseg:{algorithm}",\n    {{\n{lines}    }},\n)\n'
    )


def columns(job: Job) -> tuple[str, str, str]:
    """Return when, what and how it ended, for a table."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.created))
    names: Mapping[str, str] = {
        State.WAITING: tr("waiting"),
        State.RUNNING: tr("running"),
        State.SUBMITTED: tr("submitted"),
        State.DONE: tr("done"),
        State.FAILED: tr("failed"),
        State.STOPPED: tr("stopped"),
    }
    return when, job.title, names.get(job.state, job.state)


def is_resumable(out: Path) -> bool:
    """Tell whether a result folder holds a run that was stopped and may go on."""
    return (out / ".geoseg" / "plan.json").is_file() and not (out / "run.json").exists()


def free_folder(folder: Path, name: str, taken: Mapping[str, Any] | None = None) -> Path:
    """Return a result folder that holds no other result: ``name``, or ``name_2``, ...

    Args:
        folder: The folder around it.
        name: What it should be called.
        taken: Paths that running jobs will write to.
    """
    number = 1
    while True:
        path = folder / (name if number == 1 else f"{name}_{number}")
        empty = not path.exists() or is_resumable(path) or _is_empty(path)
        if empty and str(path) not in (taken or {}):
            return path
        number += 1


def _is_empty(path: Path) -> bool:
    try:
        return not any(path.iterdir())
    except OSError:  # a file, or a folder of somebody else
        return False
