"""``geoseg batch status``: where a batch stands."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from geoseg.cli.options import (
    configure_logging,
    echo_json,
    errors_as_events,
    json_option,
    verbosity_options,
)
from geoseg.cli.table import echo_pairs

if TYPE_CHECKING:
    from geoseg.run.batch_status import BatchStatus

__all__ = ["status_command"]

_EPILOG = """
\b
Examples:
  geoseg batch status /data/maps
  geoseg batch status s3://maps/2026 --json
  geoseg batch status /data/maps --failed

\b
Exit codes: 0 all is done, or a client is working on the rest; 3 some scenes failed;
4 scenes are left and nobody works on them: repeat the 'geoseg batch' command to continue.
Where both hold it is 4. 1 there is no batch.
"""


@click.command(epilog=_EPILOG)
@click.argument("root", metavar="DIR")
@click.option("--failed", "only_failed", is_flag=True,
              help="List only the scenes that failed, each with its reason.")  # fmt: skip
@json_option
@verbosity_options
@click.pass_context
def status_command(
    context: click.Context,
    *,
    root: str,
    only_failed: bool,
    as_json: bool,
    verbose: int,
    quiet: bool,
) -> None:
    """Tell where the batch in DIR stands, a folder or s3://bucket/prefix.

    What is done, running, waiting, and failed and why; how fast and how long still; whether a
    client works on it. Looking disturbs no client.
    """
    configure_logging(verbose=verbose, quiet=quiet)
    with errors_as_events(as_json=as_json):
        from geoseg.run.batch_status import read_status  # noqa: PLC0415 - not for --help
        from geoseg.run.roots import open_root  # noqa: PLC0415 - libraries of object stores

        status = read_status(open_root(root), datetime.now(UTC))
    if only_failed:
        _show_failed(status, as_json=as_json)
    elif as_json:
        echo_json(status.as_json())
    elif not quiet:
        echo_pairs(status.lines())
    context.exit(status.exit_code)


def _show_failed(status: BatchStatus, *, as_json: bool) -> None:
    """Print one line per scene that failed."""
    from geoseg.run.batch_status import one_line  # noqa: PLC0415 - not for --help

    for failure in status.as_json()["failed"]:
        if as_json:
            echo_json({"event": "failed", **failure})
        else:
            reason = failure["reason"] or "no reason known"
            hint = f" ({failure['hint']})" if failure["hint"] else ""
            click.echo(one_line(f"{failure['scene_id']}: {reason}{hint}"))
