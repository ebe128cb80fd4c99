"""The options of the geoseg command, as the command itself tells them.

``options.json`` is made from the command by ``scripts/make_qgis_options.py`` and a test
keeps it current: names, defaults and help are written down once, in geoseg.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Argument", "Command", "Option", "command_line", "load_command"]

_FILE = Path(__file__).parent / "options.json"


@dataclass(frozen=True)
class Option:
    """One option of a command."""

    name: str
    """Name as a parameter of Processing: ``MIN_AREA`` for ``--min-area``."""
    flag: str
    """As on the command line, ``--min-area``."""
    off: str | None
    """The flag that switches it off, where there is one."""
    kind: str
    """``flag``, ``integer``, ``number``, ``choice`` or ``text``."""
    default: Any
    """Value that the command takes without the flag; None where it decides itself."""
    choices: tuple[str, ...]
    """For ``choice``."""
    multiple: bool
    """The flag may be repeated."""
    required: bool
    """The command wants it."""
    least: float | None
    """Smallest number."""
    metavar: str
    """What stands for the value in the help."""
    help: str
    """One or two sentences, in English."""


@dataclass(frozen=True)
class Argument:
    """One argument without a flag."""

    name: str
    """``SCENE``, ``MAP``, ..."""
    multiple: bool
    """There may be several."""


@dataclass(frozen=True)
class Command:
    """One command with all that may be said to it."""

    name: str
    """As on the command line, ``run`` or ``models show``."""
    help: str
    """First sentence of its help."""
    arguments: tuple[Argument, ...]
    """In their order."""
    options: tuple[Option, ...]
    """In the order of the help."""

    def option(self, name: str) -> Option:
        """Return an option by its parameter name."""
        return next(option for option in self.options if option.name == name)


@cache
def load_command(name: str) -> Command:
    """Return a command as ``options.json`` describes it."""
    found = json.loads(_FILE.read_text(encoding="utf-8"))["commands"][name]
    return Command(
        name=name,
        help=found["help"],
        arguments=tuple(Argument(**argument) for argument in found["arguments"]),
        options=tuple(
            Option(**{**option, "choices": tuple(option["choices"])}) for option in found["options"]
        ),
    )


def command_line(name: str, values: Mapping[str, Any]) -> list[str]:
    """Return the arguments of a call, ``["run", "scene.tif", "--out", ...]``.

    Args:
        name: The command.
        values: By parameter name; what is missing, None or the default is left out, so that
            the line shows what was chosen and nothing else.
    """
    command = load_command(name)
    line = name.split()
    for argument in command.arguments:
        value = values[argument.name]
        line += [str(v) for v in value] if argument.multiple and _is_list(value) else [str(value)]
    for option in command.options:
        line += _words(option, values.get(option.name))
    return line


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _words(option: Option, value: Any) -> list[str]:
    """Return what a value adds to the line."""
    if value in (None, "", option.default):
        return []
    if option.kind == "flag":
        if value:
            return [option.flag]
        return [option.off] if option.off else []
    listed = value if _is_list(value) else [value]
    return [word for item in listed for word in (option.flag, _text(item))]


def _text(value: Any) -> str:
    """Return a value as it is typed: 0.3, not 0.30000000000000004; 255, not 255.0."""
    return f"{value:.15g}" if isinstance(value, float) else str(value)
