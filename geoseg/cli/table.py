"""Plain aligned columns: readable on a terminal, in a log, and in a bug report."""

from __future__ import annotations

from collections.abc import Sequence

import click

__all__ = ["echo_pairs", "echo_table"]


def echo_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, indent: int = 0) -> None:
    """Print rows under a header, each column as wide as its widest cell.

    A cell may hold colour codes; they do not count for the width.
    """
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(click.unstyle(line[k])) for line in lines) for k in range(len(header))]
    for line in lines:
        cells = (
            cell + " " * (width - len(click.unstyle(cell)))
            for cell, width in zip(line, widths, strict=True)
        )
        click.echo((" " * indent + "  ".join(cells)).rstrip())


def echo_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Print (label, text) lines."""
    for label, text in pairs:
        click.echo(f"{label:<12} {text}".rstrip())
