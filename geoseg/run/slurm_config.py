"""What jobs to ask SLURM for: a TOML file into one frozen value, checked before anything starts."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from geoseg.errors import OptionError
from geoseg.run.moments import span_s

__all__ = [
    "SPARE_THREADS",
    "SlurmConfig",
    "parse_memory",
    "parse_walltime",
    "read_slurm_config",
]

_WALLTIME: Final = re.compile(
    r"(?:(?P<days>\d{1,4})-(?P<day_hours>[01]\d|2[0-3])|(?P<hours>\d{1,5}))"
    r":(?P<minutes>[0-5]\d):(?P<seconds>[0-5]\d)",
    re.ASCII,
)
_MEMORY: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s?(?P<unit>[KMGT]i?B)", re.ASCII)
_UNITS: Final = ("K", "M", "G", "T")
_LEAST_BYTES: Final = 256 * 1024**2
_MARGIN_S: Final = 300
_LARGEST_PORT: Final = 65_535
_GPU_SLOTS: Final = 3
SPARE_THREADS: Final = 1
"""Blocks that a worker process reads and writes while the others are in the network."""
# One word of a job script's header; a space or a line break would be a second option.
_WORD: Final = re.compile(r"[\w.,:+@/=-]+", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9._:-]+")
# The shell of the node puts in variables; anything that it would run is refused.
_SCRATCH: Final = re.compile(r"(?:[^\"`\\\n$]|\$\w|\$\{\w+(?::-[^\"`\\\n${}]*)?\})+")
# Without these a job can neither be found nor read again.
_OWN_OPTIONS: Final = re.compile(
    r"(?:-[aeJoW](?![a-z-])|--(?:array|error|job-name|output|wait|wrap)(?![a-z-]))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmConfig:
    """What jobs to ask for, and how workers start in them."""

    walltime_s: int
    """How long a job may run."""
    cores: int
    """Cores of a job."""
    memory_bytes: int
    """Memory of a job."""
    jobs: int
    """Most jobs at a time."""
    min_jobs: int = 0
    """Jobs that are kept while there is nothing to do."""
    queue: str | None = None
    """Partition, or several with commas; default the site's."""
    account: str | None = None
    """Whom the hours are charged to; default the user's."""
    processes: int = 1
    """Worker processes of a job; its cores are shared out among them."""
    gpus: int = 0
    """GPUs of a job, each with a process of its own."""
    interface: str | None = None
    """Network interface of scheduler and workers, as ``ib0``; default the one of the default
    route of this machine."""
    scheduler_host: str | None = None
    """Address of this machine that workers connect to; default that of the interface."""
    scheduler_port: int = 0
    """Port there; 0 takes a free one."""
    python: str = sys.executable
    """Interpreter on the nodes."""
    prologue: tuple[str, ...] = ()
    """Lines of shell before the workers start, as ``module load cuda``."""
    directives: tuple[str, ...] = ()
    """Further options of sbatch, as ``--constraint=a100``."""
    log_folder: Path | None = None
    """Folder for the jobs' logs, seen by all nodes; default one in the user's cache, which is
    removed when all went well."""
    scratch: str | None = None
    """Local folder on the nodes, may hold variables; default the nodes' temporary folder."""
    walltime_margin_s: int = _MARGIN_S
    """Jobs hand back their work and end so long before their walltime."""

    @property
    def threads(self) -> int:
        """Tasks that a worker process runs at a time: blocks in the network, and one beside."""
        slots = _GPU_SLOTS if self.gpus else max(1, self.cores // self.processes)
        return slots + SPARE_THREADS


def read_slurm_config(path: Path) -> SlurmConfig:
    """Read what jobs to ask SLURM for.

    Args:
        path: TOML file; its keys are those of ``SlurmConfig`` without units: ``walltime``
            and ``walltime_margin`` are times, ``memory`` a size. ``partition`` is another
            name of ``queue``.

    Raises:
        OptionError: The file cannot be read, a key is unknown, missing or of a wrong type,
            or a value is impossible.
    """
    table = _table(path)
    unknown = [key for key in table if key not in _FIELDS]
    if unknown:
        msg = f"{path}: unknown key {unknown[0]!r}"
        raise OptionError(msg, hint=f"Known: {', '.join(_FIELDS)}.")
    missing = [key for key in _REQUIRED if key not in table]
    if missing:
        msg = f"{path}: {missing[0]!r} is missing"
        raise OptionError(msg, hint=f"Every file needs {', '.join(_REQUIRED)}.")
    if "queue" in table and "partition" in table:
        msg = f"{path}: 'queue' and 'partition' are the same, and both are given"
        raise OptionError(msg, hint="Leave out either.")
    values: dict[str, Any] = {}
    for key, found in table.items():
        field, convert, expected = _FIELDS[key]
        try:
            values[field] = convert(found)
        except ValueError as error:
            msg = f"{path}: {key!r} is {found!r}, expected {expected}"
            raise OptionError(msg) from error
    return _checked(path, table, values)


def parse_walltime(text: object) -> int:
    """Return the seconds of ``HH:MM:SS`` or ``D-HH:MM:SS``.

    Raises:
        ValueError: It is neither, or zero.
    """
    found = _WALLTIME.fullmatch(_text(text))
    if found is None:
        raise _unexpected(text)
    days, hours = int(found["days"] or 0), int(found["day_hours"] or found["hours"])
    seconds = ((days * 24 + hours) * 60 + int(found["minutes"])) * 60 + int(found["seconds"])
    return _positive(seconds)


def _whole_span_s(text: object) -> int:
    try:
        return round(span_s(_text(text)))
    except ValueError as error:
        raise _unexpected(text) from error


def parse_memory(text: object) -> int:
    """Return the bytes of a size such as ``8GiB`` (binary) or ``8GB`` (decimal).

    Raises:
        ValueError: It is none, or less than a worker needs to start.
    """
    found = _MEMORY.fullmatch(_text(text))
    if found is None:
        raise _unexpected(text)
    unit = found["unit"]
    step = 1024 if "i" in unit else 1000
    factor: int = step ** (_UNITS.index(unit[0]) + 1)
    size = round(float(found["number"]) * factor)
    if size < _LEAST_BYTES:
        raise _unexpected(text)
    return size


def _table(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"cannot read the SLURM configuration {path}: {error.strerror or error}"
        raise OptionError(msg) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{path} is no TOML file: {str(error).splitlines()[0]}"
        raise OptionError(msg) from error


def _checked(path: Path, table: dict[str, Any], values: dict[str, Any]) -> SlurmConfig:
    """Return the configuration if its values fit each other."""
    gpus = values.get("gpus", 0)
    values.setdefault("processes", max(1, gpus))
    walltime_s = values["walltime_s"]
    # A job of an hour does not give up five minutes of it unless it is told to.
    values.setdefault("walltime_margin_s", min(_MARGIN_S, walltime_s // 10))
    config = SlurmConfig(**values)
    for wrong, key, expected in (
        (gpus and config.processes != gpus, "processes", f"{gpus}, one per GPU"),
        (config.processes > config.cores, "cores", f"{config.processes} or more, one per process"),
        (config.min_jobs > config.jobs, "min_jobs", f"at most {config.jobs}, as 'jobs'"),
        (config.walltime_margin_s >= walltime_s, "walltime_margin", "less than 'walltime'"),
    ):
        if wrong:
            msg = f"{path}: {key!r} is {table[key]!r}, expected {expected}"
            raise OptionError(msg)
    return config


def _unexpected(found: object) -> ValueError:
    return ValueError(f"{found!r} was not expected")


def _text(found: object) -> str:
    if not isinstance(found, str):
        raise _unexpected(found)
    return found


def _whole(found: object) -> int:
    if type(found) is not int or found < 0:  # not bool, which is an int too
        raise _unexpected(found)
    return found


def _positive(found: object) -> int:
    if _whole(found) == 0:
        raise _unexpected(found)
    return _whole(found)


def _port(found: object) -> int:
    if _whole(found) > _LARGEST_PORT:
        raise _unexpected(found)
    return _whole(found)


def _matching(pattern: re.Pattern[str]) -> Callable[[object], str]:
    """Return a conversion that lets texts of one form through."""

    def convert(found: object) -> str:
        if not pattern.fullmatch(_text(found)):
            raise _unexpected(found)
        return _text(found)

    return convert


def _python(found: object) -> str:
    if not _text(found) or "\n" in _text(found):
        raise _unexpected(found)
    return _text(found)


def _folder(found: object) -> Path:
    # SLURM reads the name between quotation marks, up to the end of the line.
    if not _text(found) or re.search(r"[\"\n\\]", _text(found)):
        raise _unexpected(found)
    return Path(_text(found)).expanduser()


def _lines(found: object) -> tuple[str, ...]:
    if not isinstance(found, list):
        raise _unexpected(found)
    if any("\n" in _text(line) for line in found):
        raise _unexpected(found)
    return tuple(found)


def _directives(found: object) -> tuple[str, ...]:
    lines = tuple(line.removeprefix("#SBATCH").strip() for line in _lines(found))
    if any(not line.startswith("-") or _OWN_OPTIONS.match(line) for line in lines):
        raise _unexpected(found)
    return lines


_WORD_TEXT: Final = "one word"
_COUNT_TEXT: Final = "a whole number from 1 on"
_FIELDS: Final[Mapping[str, tuple[str, Callable[[object], Any], str]]] = {
    "queue": ("queue", _matching(_WORD), _WORD_TEXT),
    "partition": ("queue", _matching(_WORD), _WORD_TEXT),
    "account": ("account", _matching(_WORD), _WORD_TEXT),
    "walltime": (
        "walltime_s", parse_walltime, "'HH:MM:SS' or 'D-HH:MM:SS', as '12:00:00'",
    ),
    "walltime_margin": ("walltime_margin_s", _whole_span_s, "a number with s, m or h, as '5m'"),
    "cores": ("cores", _positive, _COUNT_TEXT),
    "memory": (
        "memory_bytes", parse_memory, "a size from 256MiB on with its unit, as '8GiB'",
    ),
    "processes": ("processes", _positive, _COUNT_TEXT),
    "gpus": ("gpus", _whole, "a whole number from 0 on"),
    "jobs": ("jobs", _positive, _COUNT_TEXT),
    "min_jobs": ("min_jobs", _whole, "a whole number from 0 on"),
    "interface": ("interface", _matching(_WORD), "the name of a network interface, as 'ib0'"),
    "scheduler_host": ("scheduler_host", _matching(_HOST), "a host name or an IP address"),
    "scheduler_port": ("scheduler_port", _port, "a port from 0 to 65535"),
    "python": ("python", _python, "the path of an interpreter"),
    "prologue": ("prologue", _lines, "a list of lines of shell"),
    "directives": (
        "directives", _directives,
        "a list of sbatch options, none of them for the job's name, array or output",
    ),
    "log_folder": ("log_folder", _folder, "a folder that all nodes see"),
    "scratch": (
        "scratch", _matching(_SCRATCH), "a folder on the nodes, with variables at most",
    ),
}  # fmt: skip
"""Of each key of a file: the field that it fills, how, and what is expected of it."""
_REQUIRED: Final = ("walltime", "cores", "memory", "jobs")
