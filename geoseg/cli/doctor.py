"""``geoseg doctor``: versions, devices, drivers, models and a self-test."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from geoseg.cli.options import (
    configure_logging,
    echo_json,
    json_option,
    model_option,
    verbosity_options,
)

if TYPE_CHECKING:
    from geoseg.run.doctor import Finding

__all__ = ["doctor_command"]

_EPILOG = """
\b
Examples:
  geoseg doctor                     paste the output into a bug report
  geoseg doctor --no-self-test      facts only
  geoseg doctor --model my_model    try another model
  geoseg doctor --json | jq .ok

\b
Exit codes: 0 all is well, 1 something is broken (lines marked FAIL).
"""
_MARKS = {"ok": "ok", "fail": "FAIL", "warn": "warn", "info": ""}


@click.command(epilog=_EPILOG)
@model_option
@click.option(
    "--self-test/--no-self-test",
    default=True,
    show_default=True,
    help="Map a small scene in a temporary folder.",
)
@json_option
@verbosity_options
@click.pass_context
def doctor_command(
    context: click.Context,
    *,
    model: str,
    self_test: bool,
    as_json: bool,
    verbose: int,
    quiet: bool,
) -> None:
    """Check this installation: versions, devices, GDAL drivers, models, and a real small run.

    The text names no file of yours but the model folder and the values of the environment
    variables that GDAL, PROJ and CUDA listen to.
    """
    configure_logging(verbose=verbose, quiet=quiet or not verbose)
    from geoseg.run.doctor import diagnose  # noqa: PLC0415 - rasterio, torch

    show = _Report()
    listen = (lambda _: None) if as_json else show.quietly if quiet else show
    found = diagnose(model=model, environment=os.environ, self_test=self_test, listen=listen)
    if as_json:
        echo_json(found.as_json())
    elif not quiet:
        click.echo("\nSomething is broken." if found.broken else "\nAll is well.")
    if found.broken:
        context.exit(1)


class _Report:
    """Prints findings as they come, with a heading per section."""

    def __init__(self) -> None:
        self._section = ""

    def __call__(self, finding: Finding) -> None:
        if finding.section != self._section:
            click.echo(f"{'' if not self._section else chr(10)}{finding.section}")
            self._section = finding.section
        click.echo(_line(finding))

    def quietly(self, finding: Finding) -> None:
        """Print what is broken only."""
        if finding.verdict == "fail":
            click.echo(_line(finding))


def _line(finding: Finding) -> str:
    return f"  {_MARKS[finding.verdict]:<4} {finding.name:<28} {finding.text}".rstrip()
