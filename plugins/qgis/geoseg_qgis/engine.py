"""The geoseg command: where it is, whether it is new enough, and how it is called.

The plugin holds no heavy library. It calls this command, which lives in an environment of
its own, and reads the JSON lines that it prints. Nothing here knows QGIS.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .text import tr

__all__ = [
    "MINIMUM_VERSION",
    "Engine",
    "EngineError",
    "Failure",
    "batch_command",
    "checked_version",
    "clean_environment",
    "find_engine",
    "parse_event",
    "quoted",
]

MINIMUM_VERSION = (0, 1, 0)
"""The oldest engine whose options and events this plugin knows."""
_PROGRAM = "geoseg.exe" if os.name == "nt" else "geoseg"
_WINDOWS = os.name == "nt"

# What QGIS sets for itself and its own Python, GDAL, PROJ and Qt. In the engine's process it
# would load the wrong libraries, or the right ones with the wrong data files.
_FOREIGN = re.compile(
    r"PYTHON(HOME|PATH|STARTUP|EXECUTABLE|USERBASE|NOUSERSITE|IOENCODING|UTF8)"
    r"|VIRTUAL_ENV|CONDA_.*|__PYVENV_LAUNCHER__"
    r"|GDAL_(DATA|DRIVER_PATH|PAM_.*|FILENAME_IS_UTF8|HTTP_.*)|OGR_.*|CPL_.*"
    r"|PROJ_(DATA|LIB|DEBUG|NETWORK)|GEOTIFF_CSV|SSL_CERT_(FILE|DIR)"
    r"|LD_(LIBRARY_PATH|PRELOAD)|DYLD_.*"
    r"|QT_.*|QML.*|QGIS_.*|O4W_QT_.*|OSGEO4W_ROOT|GRASS_.*|GISBASE"
)
_KEPT = re.compile(r"GDAL_HTTP_(PROXY|PROXYUSERPWD|NETRC.*)")


@dataclass(frozen=True)
class Failure:
    """What went wrong, for the message bar."""

    message: str
    """One sentence."""
    hint: str = ""
    """What to do."""

    def __str__(self) -> str:
        """Return both, as one text."""
        return f"{self.message}. {self.hint}" if self.hint else self.message


class EngineError(Exception):
    """Something that the user should read and can mend."""

    def __init__(self, message: str, hint: str = "") -> None:
        """Keep the sentence and the advice apart, as the engine does."""
        super().__init__(message)
        self.failure = Failure(message, hint)


@dataclass(frozen=True)
class Engine:
    """An engine that answers."""

    program: Path
    """The executable."""
    version: str
    """As it says itself."""

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Return the whole command."""
        return [str(self.program), *arguments]


def find_engine(setting: str, own: Path | None, search_path: str) -> Path:
    """Return the executable to call: the user's choice, our own environment's, or PATH's.

    Args:
        setting: Path of the executable, or of an environment's folder; empty for none.
        own: Folder of the environment that the plugin made; None where there is none.
        search_path: Value of PATH.

    Raises:
        EngineError: There is none, or not where the setting says.
    """
    if setting:
        found = _in_folder(Path(setting).expanduser())
        if found is None:
            raise EngineError(
                tr("geoseg is not at {path}").format(path=setting),
                tr("Choose another program, or clear the setting, on the Engine page."),
            )
        return found
    for candidate in (_in_folder(own) if own else None, _on_path(search_path)):
        if candidate is not None:
            return candidate
    raise EngineError(
        tr("The geoseg engine is not installed"),
        tr("Install it, or choose where it is, on the Engine page."),
    )


def _in_folder(path: Path) -> Path | None:
    """Return the executable that is meant by a file, or by the folder of an environment."""
    names = (path, path / _PROGRAM, path / "bin" / _PROGRAM, path / "Scripts" / _PROGRAM)
    return next((p for p in names if p.is_file() and os.access(p, os.X_OK)), None)


def _on_path(search_path: str) -> Path | None:
    # An application that a desktop starts has a shorter PATH than a terminal has.
    extra = (Path.home() / ".local" / "bin", Path.home() / ".cargo" / "bin", Path("/opt/geoseg"))
    found = shutil.which(
        _PROGRAM, path=os.pathsep.join([search_path, *(str(folder) for folder in extra)])
    )
    return Path(found) if found else None


def checked_version(program: Path, code: int, output: str) -> Engine:
    """Judge what ``geoseg --version`` answered.

    Args:
        program: The executable that was asked.
        code: Its exit code.
        output: What it printed.

    Raises:
        EngineError: It is broken, something else, or too old.
    """
    found = re.search(r"geoseg, version (\d+)\.(\d+)(?:\.(\d+))?(\S*)", output)
    if code or found is None:
        last = (output.strip().splitlines() or [tr("it printed nothing")])[-1]
        raise EngineError(
            tr("{program} does not work: {text}").format(program=program, text=last),
            tr("Repair the engine, or choose another, on the Engine page."),
        )
    numbers = tuple(int(part or 0) for part in found.groups()[:3])
    version = ".".join(str(number) for number in numbers) + found.group(4)
    if numbers < MINIMUM_VERSION:
        needed = ".".join(str(number) for number in MINIMUM_VERSION)
        raise EngineError(
            tr("geoseg {version} is too old, this plugin needs {needed} or newer").format(
                version=version, needed=needed
            ),
            tr("Update it: pip install --upgrade geoseg, or Repair on the Engine page."),
        )
    return Engine(program=program, version=version)


def clean_environment(environ: Mapping[str, str], program: Path | None = None) -> dict[str, str]:
    """Return an environment without what QGIS set for its own libraries.

    Args:
        environ: That of QGIS.
        program: The engine; programs beside it come first on PATH, so that on Windows its
            own DLLs are found before those of QGIS.
    """
    kept = {k: v for k, v in environ.items() if _KEPT.fullmatch(k) or not _FOREIGN.fullmatch(k)}
    # A certificate file that the user set holds for the engine; one inside QGIS does not.
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        value = environ.get(name, "")
        if value and "qgis" not in value.lower() and "osgeo" not in value.lower():
            kept[name] = value
    if program is not None:
        kept["PATH"] = os.pathsep.join([str(program.parent), kept.get("PATH", os.defpath)])
    kept["PYTHONUTF8"] = "1"  # JSON lines are UTF-8 on every system
    kept["PYTHONUNBUFFERED"] = "1"
    return kept


def parse_event(line: str) -> dict[str, Any] | None:
    """Return the event of a line; None where it is no event (a library's print)."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def quoted(command: Sequence[str]) -> str:
    """Return a command as one line for the shell of this system."""
    return subprocess.list2cmdline(command) if _WINDOWS else shlex.join(command)


def batch_command(template: str, arguments: Sequence[str], *, name: str, out: str) -> list[str]:
    """Return the command that hands a job to a batch system.

    The template is split as a shell does. In its words ``{command}`` becomes the whole
    geoseg command as one quoted text (``sbatch --wrap {command}``, ``ssh host {command}``);
    a word ``{arguments}`` becomes its words (``nohup {arguments}``); ``{name}`` and ``{out}``
    are the job's name and result folder, quoted where the word is a line for another shell.

    Raises:
        EngineError: The template cannot be read, or does not say where the command goes.
    """
    try:
        words = shlex.split(template)
    except ValueError as error:
        raise EngineError(
            tr("The batch command cannot be read: {text}").format(text=error),
            tr("Close every quotation mark."),
        ) from error
    if not any("{command}" in word or word == "{arguments}" for word in words):
        raise EngineError(
            tr("The batch command does not say where the geoseg command goes"),
            tr("Put {command} into it, as in: sbatch --wrap {command}"),
        )
    remote = Path(words[0]).stem == "ssh"
    line: list[str] = []
    for word in words:
        if word == "{arguments}":
            line += map(shlex.quote, arguments) if remote else arguments
            continue
        if _is_inside_quotes(word):
            raise EngineError(
                tr("The batch command has a placeholder inside other quotation marks"),
                tr("Write it without them, as in: sbatch --wrap {command}"),
            )
        # A word with blanks is a line for another shell, and all that ssh gets is one.
        again = remote or any(letter.isspace() for letter in word)
        values = {
            "{command}": shlex.join(arguments),
            "{name}": shlex.quote(name) if again else name,
            "{out}": shlex.quote(out) if again else out,
        }
        line.append(_filled(word, values))
    return line


def _filled(word: str, values: Mapping[str, str]) -> str:
    # In one pass: a path may contain what looks like another placeholder.
    return re.sub(r"\{(command|name|out)\}", lambda m: values[m.group()], word)


def _is_inside_quotes(word: str) -> bool:
    """Tell whether a placeholder stands between quotation marks of a line for another shell."""
    mark, escaped = "", False
    for at, letter in enumerate(word):
        if mark and re.match(r"\{(command|name|out)\}", word[at:]):
            return True
        if escaped:
            escaped = False
        elif letter == "\\" and mark != "'":
            escaped = True
        elif letter == mark:
            mark = ""
        elif not mark and letter in "'\"":
            mark = letter
    return False
