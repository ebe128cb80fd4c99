"""Write docs/cli.md, the reference of every command and option, from the commands themselves.

Examples:
    python scripts/make_cli_docs.py            write docs/cli.md
    python scripts/make_cli_docs.py --check    fail if it is not current
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from geoseg.cli.main import cli

TARGET = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
HEAD = """# Command reference

Made by `python scripts/make_cli_docs.py` from the commands themselves; do not edit it by hand.
`geoseg COMMAND --help` prints the same. Data goes to stdout, everything else to stderr; what
`--json` prints is described in [json_events.md](json_events.md).

Exit codes of every command: 0 done, 1 failed (one line on stderr says why), 2 wrong usage,
130 stopped by Ctrl-C or SIGTERM. `geoseg batch` ends with 3 where some scenes failed and with 4
where it was stopped.
"""


def commands(group: click.Group, names: tuple[str, ...] = ("geoseg",)) -> Iterator[
    tuple[tuple[str, ...], click.Command]
]:  # fmt: skip
    """Yield (names, command) of a group and of the groups in it, in their order."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None:
            continue
        path = (*names, name)
        yield path, command
        if isinstance(command, click.Group):
            yield from commands(command, path)
        for further, child in getattr(command, "subcommands", {}).items():
            yield (*path, further), child


def document() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *(page(names, command) for names, command in commands(cli))])


def page(names: tuple[str, ...], command: click.Command) -> str:
    """Return the section of one command."""
    context = click.Context(command, info_name=" ".join(names))
    usage = " ".join([" ".join(names), *command.collect_usage_pieces(context)])
    parts = [f"## {' '.join(names)}\n", f"    {usage}\n", text_of(command.help), *rows(command)]
    if command.epilog:
        parts.append("```text\n" + command.epilog.replace("\b\n", "").strip() + "\n```\n")
    return "\n".join(parts)


def rows(command: click.Command) -> Iterator[str]:
    """Yield the table of options, if there are any."""
    context = click.Context(command)
    records = [
        record
        for parameter in command.params
        if isinstance(parameter, click.Option)
        and not parameter.hidden
        and (record := parameter.get_help_record(context)) is not None
    ]
    if records:
        lines = [f"| `{cell(names)}` | {cell(text)} |" for names, text in records]
        yield "\n".join(["| option | meaning |", "|---|---|", *lines]) + "\n"


def text_of(help_text: str | None) -> str:
    """Return a command's help as paragraphs."""
    return inspect.cleandoc(help_text or "") + "\n"


def cell(text: str) -> str:
    """Return text that does not end its table cell."""
    return " ".join(text.replace("|", "\\|").split())


def main(arguments: list[str]) -> int:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(description="Write docs/cli.md from the commands.")
    parser.add_argument("--check", action="store_true", help="only tell whether it is current")
    text = document()
    if parser.parse_args(arguments).check:
        current = TARGET.is_file() and TARGET.read_text(encoding="utf-8") == text
        if not current:
            sys.stderr.write("docs/cli.md is not current; run python scripts/make_cli_docs.py\n")
        return int(not current)
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
