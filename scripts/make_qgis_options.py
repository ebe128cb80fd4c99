"""Write the options of geoseg's commands for the QGIS plugin, from the commands themselves.

Examples:
    python scripts/make_qgis_options.py            write plugins/qgis/geoseg_qgis/options.json
    python scripts/make_qgis_options.py --check    fail if it is not current
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import click

from geoseg.cli.main import cli

TARGET = Path(__file__).resolve().parents[1] / "plugins/qgis/geoseg_qgis/options.json"
COMMANDS = ("run", "vectorise", "evaluate", "train", "models show")
# How results are told is the plugin's business, not that of its users.
LEFT_OUT = {"as_json", "quiet", "verbose", "dry_run"}


def command_of(name: str) -> click.Command:
    """Return the command that is called ``name``."""
    command: click.Command | None = cli
    for word in name.split():
        if not isinstance(command, click.Group):
            break
        command = command.get_command(click.Context(command), word)
    if command is None:
        msg = f"geoseg has no command {name!r}"
        raise SystemExit(msg)
    return command


def described(name: str) -> dict[str, Any]:
    """Return a command as JSON values."""
    command = command_of(name)
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    options = [p for p in command.params if isinstance(p, click.Option)]
    return {
        "help": (command.help or "").split("\n\n")[0].replace("\n", " "),
        "arguments": [{"name": _argument_name(a), "multiple": a.nargs == -1} for a in arguments],
        "options": [_option(o) for o in options if o.name not in LEFT_OUT],
    }


def _argument_name(argument: click.Argument) -> str:
    """Return the first word of ``SCENE...|FOLDER|LIST``; a bare NAME says too little."""
    first = (argument.metavar or "").split("|")[0].rstrip(".")
    return first if first not in {"", "NAME"} else (argument.name or "").upper()


def _option(option: click.Option) -> dict[str, Any]:
    flag = option.opts[0]
    return {
        "name": flag.lstrip("-").replace("-", "_").upper(),
        "flag": flag,
        "off": option.secondary_opts[0] if option.secondary_opts else None,
        "kind": _kind(option),
        "default": _default(option),
        "choices": list(option.type.choices) if isinstance(option.type, click.Choice) else [],
        "multiple": option.multiple,
        "required": option.required,
        "least": getattr(option.type, "min", None),
        "metavar": option.metavar or "",
        "help": option.help or "",
    }


def _kind(option: click.Option) -> str:
    if option.is_flag:
        return "flag"
    if isinstance(option.type, click.Choice):
        return "choice"
    if isinstance(option.type, click.types.IntParamType):
        return "integer"
    return "number" if isinstance(option.type, click.types.FloatParamType) else "text"


def _default(option: click.Option) -> Any:  # noqa: ANN401 - whatever the option has
    """Return the default as click shows it; None where it has none."""
    found = option.to_info_dict()["default"]
    if option.is_flag:
        return bool(found)
    if option.multiple or not isinstance(found, (str, int, float)):
        return None
    return found


def document() -> str:
    """Return the whole file."""
    commands = {name: described(name) for name in COMMANDS}
    return json.dumps({"commands": commands}, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the file, or check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    if not parser.parse_args().check:
        TARGET.write_text(document(), encoding="utf-8")
        return 0
    if TARGET.read_text(encoding="utf-8") == document():
        return 0
    sys.stderr.write(f"{TARGET.name} is not current: run python scripts/make_qgis_options.py\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
