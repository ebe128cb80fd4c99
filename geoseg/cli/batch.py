"""``geoseg batch``: many scenes on one cluster; ``status`` and ``retry`` look and go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from geoseg.cli.batch_status import status_command
from geoseg.cli.options import (
    Command,
    configure_logging,
    errors_as_events,
    json_option,
    overwrite_option,
    verbosity_options,
    with_options,
)
from geoseg.cli.scene_options import run_options, scene_options
from geoseg.errors import BatchInterruptedError
from geoseg.options import BatchOptions, ClusterOptions
from geoseg.run.moments import span_s

__all__ = ["batch_command", "retry_command"]

_EPILOG = """
\b
Further commands:
  geoseg batch status ROOT    what is done, running, waiting, failed and why
  geoseg batch retry ROOT     try again what failed, and go on with the rest

\b
Examples:
  geoseg batch scenes/*.tif --out maps
  geoseg batch list.csv --out maps --time-limit 7h --max-failures 20
  geoseg batch https://host/search.json --out s3://bucket/maps --asset visual
  geoseg batch /data/incoming --since last --out /data/maps --metrics /var/lib/node_exporter/g.prom
  geoseg batch scenes --out maps --scheduler slurm --slurm-config geoseg-slurm.toml
  geoseg batch scenes --out maps --scheduler tls://host:8786 --tls-ca ca.pem --tls-cert c.pem --tls-key k.pem

\b
A list is a text file with an address per line, or a CSV with a column "scene" and columns named as
options (bands, aoi, gsd, ...). Stopped, killed, out of time? Repeat the same command: it continues.
Exit codes: 0 all done, 1 could not begin, 2 wrong usage, 3 some scenes failed, 4 stopped (resumable).
"""  # noqa: E501 - one line each in the help

_RETRY_EPILOG = """
\b
Examples:
  geoseg batch retry maps
  geoseg batch retry s3://bucket/maps --scheduler tcp://host:8786 --time-limit 2h
"""


class _Batch(click.Command):
    """``geoseg batch SOURCES`` with ``status`` and ``retry`` as names of their own."""

    subcommands: Final[dict[str, click.Command]] = {}

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401 - click's
    ) -> click.Context:  # fmt: skip
        """Hand ``status`` and ``retry`` on; a source of that name is written ``./status``."""
        found = self.subcommands.get(args[0]) if args else None
        if found is None:
            return super().make_context(info_name, args, parent, **extra)
        return found.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)


def _seconds(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> float | None:
    """Read ``90m``, ``7h``, ``3600``; click callback."""
    if value is None:
        return None
    try:
        found = span_s(value if value[-1:].isalpha() else f"{value}s")
    except ValueError:
        found = 0.0
    if not found:
        msg = f"{value!r} is no span of time such as 90m, 7h or 3600"
        raise click.BadParameter(msg)
    return found


def _cluster_options(command: Command) -> Command:
    """Add where the work is done."""
    return with_options(command, _CLUSTER_OPTIONS)


_allow_root_option = click.option(
    "--allow-root",
    "allow_roots",
    multiple=True,
    metavar="ROOT",
    help="Refuse scenes and files outside this folder or URL prefix; may be repeated.",
)
_CLUSTER_OPTIONS = (
    click.option(
        "--scheduler",
        default="local",
        show_default=True,
        metavar="local|slurm|ADDRESS|FILE",
        help="Worker processes of this machine, jobs of SLURM, or any Dask cluster by its address "
        "(tcp://, tls://) or scheduler file.",
    ),
    click.option(
        "--slurm-config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="TOML file: partition, walltime, cores, memory, number of jobs.",
    ),
    click.option(
        "--processes",
        type=click.IntRange(1),
        metavar="N",
        help="Worker processes of this machine. [default: one per GPU, or per four cores]",
    ),
    click.option(
        "--threads",
        type=click.IntRange(1),
        metavar="N",
        help="Blocks in the network at a time in each of them. [default: its share of the cores]",
    ),
    click.option(
        "--scratch",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Folder on the workers for what is on its way to a bucket. [default: Dask's own]",
    ),
    click.option(
        "--tls-ca", type=click.Path(path_type=Path), metavar="FILE", help="Authority for TLS."
    ),
    click.option(
        "--tls-cert", type=click.Path(path_type=Path), metavar="FILE", help="Own certificate."
    ),
    click.option("--tls-key", type=click.Path(path_type=Path), metavar="FILE", help="Its key."),
)
_CLUSTER_FIELDS: Final[tuple[str, ...]] = (
    "scheduler", "slurm_config", "processes", "threads", "scratch", "tls_ca", "tls_cert", "tls_key",
)  # fmt: skip


def _limit_options(command: Command) -> Command:
    """Add when to try again and when to give up."""
    return with_options(command, _LIMIT_OPTIONS)


_LIMIT_OPTIONS = (
    click.option(
        "--retries",
        type=click.IntRange(0),
        default=2,
        show_default=True,
        help="How often a block is tried again, after growing pauses.",
    ),
    click.option(
        "--max-failures",
        type=click.IntRange(0),
        metavar="N",
        help="Stop when more than N scenes have failed. [default: go on]",
    ),
    click.option("--fail-fast", is_flag=True, help="Stop at the first scene that fails."),
    click.option(
        "--time-limit",
        "time_limit_s",
        callback=_seconds,
        metavar="SPAN",
        help="Stop, resumable, after this time, e.g. 7h or 90m.",
    ),
    click.option(
        "--task-timeout",
        "task_timeout_s",
        callback=_seconds,
        metavar="SPAN",
        help="Try a block or file elsewhere that has been worked on for so long, e.g. 1h. "
        "[default: wait]",
    ),
    click.option(
        "--metrics",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Keep counters in FILE for Prometheus' text-file collector.",
    ),
)


@click.command(cls=_Batch, epilog=_EPILOG)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCES...")
@click.option(
    "--out", required=True, metavar="ROOT", help="Folder or s3://bucket/prefix for all results."
)
@click.option(
    "--asset", metavar="NAME", help="Asset of STAC items. [default: the one with the imagery]"
)
@click.option(
    "--since",
    metavar="TIME",
    help="Only scenes made or changed since: a date (UTC), a span such as 36h, or 'last', the "
    "start of the last session that came to its end.",
)
@_allow_root_option
@_cluster_options
@_limit_options
@scene_options
@overwrite_option
@json_option
@verbosity_options
def batch_command(  # noqa: PLR0913 - one for each flag of its own
    *,
    sources: tuple[str, ...],
    out: str,
    asset: str | None,
    since: str | None,
    allow_roots: tuple[str, ...],
    retries: int,
    max_failures: int | None,
    fail_fast: bool,
    time_limit_s: float | None,
    task_timeout_s: float | None,
    metrics: Path | None,
    as_json: bool,
    verbose: int,
    quiet: bool,
    **fields: Any,  # noqa: ANN401 - fields of ClusterOptions and RunOptions by name
) -> None:
    """Map many scenes, unattended and resumable, into one folder or bucket.

    SOURCES are rasters, globs, folders, text or CSV lists, and STAC items, collections or
    search results, by path or URL. Every scene gets a folder with the same files as by 'geoseg
    run'; beside them are a STAC collection, batch.json and index.html. Scenes that fail are
    reported with their reason and do not stop the others.
    """
    configure_logging(verbose=verbose, quiet=quiet)
    with errors_as_events(as_json=as_json):
        cluster = {name: fields.pop(name) for name in _CLUSTER_FIELDS}
        options = BatchOptions(
            sources=sources,
            out=out,
            scene=run_options(scene="", **fields),
            cluster=ClusterOptions(**cluster),
            asset=asset,
            allow_roots=allow_roots,
            since=since,
            retries=retries,
            max_failures=max_failures,
            fail_fast=fail_fast,
            time_limit_s=time_limit_s,
            task_timeout_s=task_timeout_s,
            metrics=metrics,
        )
        _run(lambda: options, as_json=as_json, quiet=quiet)


@click.command(epilog=_RETRY_EPILOG)
@click.argument("root", metavar="ROOT")
@_allow_root_option
@_cluster_options
@_limit_options
@click.option("--postgis", metavar="URL", help="The database that the batch writes to, if it does.")
@json_option
@verbosity_options
def retry_command(
    *,
    root: str,
    as_json: bool,
    verbose: int,
    quiet: bool,
    postgis: str | None,
    **fields: Any,  # noqa: ANN401 - fields of ClusterOptions and BatchOptions by name
) -> None:
    """Try the scenes of a batch again that failed, and go on with those that wait.

    Scenes and their options are those of the last 'geoseg batch' command. Where to compute, limits,
    allowed roots and a database are not taken from its record, which others may have written: say
    them again.
    """
    configure_logging(verbose=verbose, quiet=quiet)
    with errors_as_events(as_json=as_json):
        cluster = ClusterOptions(**{name: fields.pop(name) for name in _CLUSTER_FIELDS})

        def options() -> BatchOptions:
            from geoseg.run.batch import retry_options  # noqa: PLC0415 - dask

            return retry_options(root, cluster, fields, postgis=postgis)

        _run(options, as_json=as_json, quiet=quiet)


def _run(options: Callable[[], BatchOptions], *, as_json: bool, quiet: bool) -> None:
    from geoseg.cli.batch_progress import batch_listener  # noqa: PLC0415 - rich

    with batch_listener(as_json=as_json, quiet=quiet) as progress:
        try:
            from geoseg.run.batch import run_batch  # noqa: PLC0415 - after the first sign of life

            run_batch(options(), progress)
        except KeyboardInterrupt as error:
            # Before the batch had begun, as while it waited for a hold; or once more at its end.
            msg = "stopped"
            hint = "Repeat the same command to continue."
            raise BatchInterruptedError(msg, hint=hint) from error


# Blocks at a time are the workers' own matter here: see --threads.
batch_command.params = [p for p in batch_command.params if p.name != "workers"]
_Batch.subcommands.update(status=status_command, retry=retry_command)
