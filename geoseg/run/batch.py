"""Many scenes from top to bottom: list, lock, ledger, workers, reports."""

from __future__ import annotations

import logging
import os
import platform
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from geoseg.errors import (
    BatchInterruptedError,
    ClusterError,
    GeosegError,
    OptionError,
    OutputError,
    ScenesFailedError,
    StoreError,
    TimeUpError,
)
from geoseg.options import BatchOptions, ClusterOptions
from geoseg.redact import shown_address
from geoseg.run.allowed import AllowedRoots
from geoseg.run.batch_book import Book
from geoseg.run.batch_driver import Counts, Driver, Limits
from geoseg.run.batch_listing import Listed, announce, list_scenes
from geoseg.run.batch_options import check_options, fitting_options
from geoseg.run.events import (
    BatchFinished,
    Progress,
    SceneChanged,
    ScenesSoFar,
    Warned,
)
from geoseg.run.job_file import read_job, selection_digest, write_job
from geoseg.run.manifest import Manifest, read_manifest
from geoseg.run.moments import moment_of
from geoseg.run.place import Root
from geoseg.run.roots import open_root, read_object
from geoseg.run.scene_job import SceneOutcome
from geoseg.run.scene_record import recorded_outcome
from geoseg.run.scene_work import SceneWork
from geoseg.run.sessions import ExitReason, begin_session, last_start, read_sessions
from geoseg.run.since import since_moment
from geoseg.run.worker_check import WorkerCheck
from geoseg.run.workers import connected

__all__ = ["BatchResult", "retry_options", "run_batch"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What ``geoseg.batch`` returns."""

    out: str
    """Root of the results, as it may be shown."""
    scenes: tuple[SceneOutcome, ...]
    """The scenes that were asked for, in their order."""
    elapsed_s: float
    """Wall-clock seconds."""

    @property
    def failed(self) -> tuple[SceneOutcome, ...]:
        """The scenes that failed."""
        return tuple(scene for scene in self.scenes if scene.state == "failed")


def run_batch(options: BatchOptions, progress: Progress = lambda _: None) -> BatchResult:
    """Map many scenes.

    Args:
        options: What to do.
        progress: Called with events from this thread.

    Raises:
        ScenesFailedError: Some scenes failed, now or in an earlier session; the others are
            complete.
        BatchInterruptedError: It was stopped; the same call continues.
        GeosegError: It could not begin.
    """
    check_options(options)
    root = open_root(options.out)
    with root.locked():
        options = fitting_options(root, options)
        sessions = read_sessions(root)
        selection = selection_digest(options)
        start = datetime.now(UTC)
        last = moment_of(last_start(sessions, selection))
        since = (
            None
            if options.since is None
            else since_moment(options.since, now=start, last_start=last)
        )
        session = begin_session(
            root,
            at=start,
            host=platform.node(),
            pid=os.getpid(),
            selection=selection,
            since=None if since is None else since.isoformat(timespec="seconds"),
        )
        book = Book(root, options, session)
        with _written_down(book):
            manifest = read_manifest(options, since=since, read_s3=read_object)
            _refuse_one_table(options, manifest)
            listed = list_scenes(root, book, options, manifest)
            write_job(root, options)
            announce(root, options, session.session, manifest, listed, progress)
            book.expect(listed.to_do)
            if listed.to_do:
                _map(root, book, options, manifest.roots, listed, progress)
            result = _result(root, book, listed)
            book.has_failures = bool(result.failed)
    progress(_finished(result, book))
    if result.failed:
        raise ScenesFailedError(_failures_text(result), hint=_failures_hint(root))
    return result


def retry_options(
    root: str, cluster: ClusterOptions, given: dict[str, Any], *, postgis: str | None = None
) -> BatchOptions:
    """Return what a batch was asked for the last time, with its failed scenes to be tried again.

    Its record lies where others may write. So it says which scenes and with what options, but
    not where to compute, which may run a prologue of somebody's, nor what files to write
    elsewhere, nor what is allowed, nor a database, which would be told this user's password.

    Args:
        root: Its root.
        cluster: Where to compute.
        given: Fields of ``BatchOptions`` that hold this time.
        postgis: The database that the batch writes to, if it does.

    Raises:
        OptionError: There is no batch, or its record does not hold all that it was asked for.
    """
    found = read_job(open_root(root), complete=True)
    if found is None:
        msg = f"{shown_address(root)} holds no batch"
        raise OptionError(msg, hint="Name what was --out of a 'geoseg batch' command.")
    if found.scene.postgis is not None and postgis is None:
        msg = f"the batch of {shown_address(root)} writes to a database, expected --postgis"
        raise OptionError(
            msg, hint="Give its address again: others may have written the one in the record."
        )
    return BatchOptions(
        sources=found.sources,
        out=root,
        scene=replace(found.scene, postgis=postgis),
        asset=found.asset,
        cluster=cluster,
        retry_failed=True,
        **given,
    )


def _refuse_one_table(options: BatchOptions, manifest: Manifest) -> None:
    """Keep scenes from replacing each other's polygons in a database."""
    if options.scene.table is not None and len(manifest.jobs) > 1:
        msg = (
            f"--table {options.scene.table} is one table, and there are {len(manifest.jobs)} scenes"
        )
        raise OptionError(msg, hint="Leave it out: each scene gets <its name>_polygons.")


@contextmanager
def _written_down(book: Book) -> Iterator[None]:
    """Note how the session ends, whatever happens."""
    try:
        yield
    except KeyboardInterrupt as error:
        _close_anyhow(book, "interrupted", "stopped")
        msg = "stopped"
        raise BatchInterruptedError(msg, hint="Repeat the same command to continue.") from error
    except GeosegError as error:
        _close_anyhow(book, _reason(error), str(error))
        raise
    except BaseException as error:
        _close_anyhow(book, "error", type(error).__name__)
        raise
    try:
        book.close("scenes_failed" if book.has_failures else "done", None)
    except OutputError as error:
        # The maps are there. Repeated, the command finds them done and writes the reports.
        raise BatchInterruptedError(str(error), hint=error.hint) from error


def _close_anyhow(book: Book, reason: ExitReason, message: str) -> None:
    """End the session as far as can be: on a full disk, what stops a batch stops its reports."""
    try:
        book.close(reason, message)
    except OutputError as error:
        _log.info("the reports are behind: %s", error)


def _reason(error: GeosegError) -> ExitReason:
    if isinstance(error, ScenesFailedError):
        return "failures"
    if isinstance(error, BatchInterruptedError):
        return "time_limit" if isinstance(error, TimeUpError) else "interrupted"
    return "cluster" if isinstance(error, ClusterError) else "error"


def _map(
    root: Root,
    book: Book,
    options: BatchOptions,
    roots: AllowedRoots,
    listed: Listed,
    progress: Progress,
) -> None:
    """Have the scenes mapped by the workers."""
    until_s = None
    if options.time_limit_s is not None:
        until_s = time.monotonic() + max(options.time_limit_s - book.elapsed_s, 0)
    is_local = options.cluster.scheduler == "local"
    attempt = secrets.token_hex(4)
    works = (
        SceneWork(
            number, job, root.home(job.scene_id), roots, use_measured=is_local, attempt=attempt
        )
        for number, job in enumerate(listed.to_do)
    )
    name = PurePosixPath(options.out.replace("\\", "/")).name or "batch"
    cluster = replace(options.cluster, name=name)
    with connected(cluster, task_timeout_s=options.task_timeout_s) as fleet:
        check = WorkerCheck(
            fleet,
            root,
            options.scene.model,
            (job.address for job in listed.to_do),
            warn=lambda text: progress(Warned(message=text)),
        )
        driver = Driver(
            fleet,
            works,
            Limits(
                retries=options.retries,
                max_failures=0 if options.fail_fast else options.max_failures,
                until_s=until_s,
            ),
            n_scenes=len(listed.to_do),
            tell=lambda outcome: _tell(outcome, book, progress),
            warn=lambda text: progress(Warned(message=text)),
            tick=lambda counts: _tick(counts, book, progress),
            welcome=check,
            recall=lambda job: recorded_outcome(root, job),
        )
        try:
            driver.run()
        except (ClusterError, StoreError) as error:
            if driver.has_begun:
                raise BatchInterruptedError(str(error), hint=error.hint) from error
            raise
        finally:
            book.tick(driver.counts)
            check.close()


def _tell(outcome: SceneOutcome, book: Book, progress: Progress) -> None:
    book.tell(outcome)
    progress(
        SceneChanged(
            scene_id=outcome.scene_id,
            scene=outcome.scene,
            state=outcome.state,
            reason=outcome.reason,
            hint=outcome.hint,
            blocks=outcome.blocks,
            blocks_done=outcome.blocks_done,
            output_px=outcome.output_px,
            elapsed_s=outcome.elapsed_s,
        )
    )


def _tick(counts: Counts, book: Book, progress: Progress) -> None:
    book.tick(counts)
    progress(ScenesSoFar(**asdict(counts), elapsed_s=round(book.elapsed_s, 3)))


def _result(root: Root, book: Book, listed: Listed) -> BatchResult:
    found = (book.ledger.get(job.scene_id) for job in listed.jobs)
    scenes = tuple(outcome for outcome in found if outcome is not None)
    return BatchResult(out=root.address, scenes=scenes, elapsed_s=book.elapsed_s)


def _finished(result: BatchResult, book: Book) -> BatchFinished:
    return BatchFinished(
        out=result.out,
        done=sum(scene.state == "done" for scene in result.scenes),
        failed=len(result.failed),
        elapsed_s=round(result.elapsed_s, 3),
        px_done=book.px_done,
    )


def _failures_text(result: BatchResult) -> str:
    first, count = result.failed[0], len(result.failed)
    more = f" (and {count - 1} more)" if count > 1 else ""
    return f"{count} of {len(result.scenes)} scenes failed: {first.scene_id}: {first.reason}{more}"


def _failures_hint(root: Root) -> str:
    return f"'geoseg batch status {root.address}' lists them; 'geoseg batch retry' tries again."
