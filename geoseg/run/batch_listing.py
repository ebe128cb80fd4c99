"""The scenes of a batch before it begins: named, and sorted by what is to be done with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from geoseg.options import BatchOptions
from geoseg.redact import shown_address
from geoseg.run.batch_book import Book
from geoseg.run.events import BatchReady, Progress, Warned
from geoseg.run.manifest import Manifest
from geoseg.run.moments import moment_of
from geoseg.run.place import Root
from geoseg.run.scene_job import SceneJob, SceneOutcome
from geoseg.run.scene_names import assign_ids
from geoseg.run.scene_record import recorded_outcome

__all__ = ["Listed", "announce", "list_scenes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The scenes of a session, sorted by what is to be done with them."""

    jobs: tuple[SceneJob, ...]
    """All."""
    to_do: tuple[SceneJob, ...]
    """Those to map."""
    done_before: int
    """How many are done."""
    failed_before: int
    """How many failed before and were not mended since."""
    strangers: tuple[SceneJob, ...]
    """Scenes that are done under their id, but with another address."""
    stale: tuple[str, ...]
    """Scenes that changed after they were mapped."""


def list_scenes(root: Root, book: Book, options: BatchOptions, manifest: Manifest) -> Listed:
    """Name the scenes, and sort out what is done or given up."""
    known = {outcome.scene: outcome.scene_id for outcome in book.ledger}
    jobs = assign_ids(manifest.jobs, known)
    finished = root.finished(job.scene_id for job in jobs)
    to_do: list[SceneJob] = []
    strangers: list[SceneJob] = []
    counts = {"done": 0, "failed": 0}
    stale: list[str] = []
    for job in jobs:
        outcome = book.ledger.get(job.scene_id)
        if job.scene_id in finished and _is_done(outcome, options):
            counts["done"] += 1
            if outcome is None:
                outcome = recorded_outcome(root, job)
                book.ledger.put(outcome)
            elif outcome.scene != shown_address(job.address):
                strangers.append(job)
            mapped = moment_of(outcome.at)
            if job.changed is not None and mapped is not None and job.changed > mapped:
                stale.append(job.scene_id)
        elif outcome is not None and _is_given_up(outcome, job, options):
            counts["failed"] += 1
        else:
            to_do.append(job)
    return Listed(
        jobs=jobs,
        to_do=tuple(to_do),
        done_before=counts["done"],
        failed_before=counts["failed"],
        strangers=tuple(strangers),
        stale=tuple(stale),
    )


def _is_done(outcome: SceneOutcome | None, options: BatchOptions) -> bool:
    """Tell whether the files of a scene are those that this batch is to make.

    A record beside an outcome that is not ``done`` may be that of the settings before, which a
    stopped ``--overwrite`` has not come to: then its plan tells.
    """
    return not options.scene.overwrite and (outcome is None or outcome.state == "done")


def _is_given_up(outcome: SceneOutcome, job: SceneJob, options: BatchOptions) -> bool:
    """Tell whether a scene failed before, and has not been mended since."""
    failed_at = moment_of(outcome.at)
    is_mended = job.changed is not None and failed_at is not None and job.changed > failed_at
    is_left = not (options.retry_failed or options.scene.overwrite or is_mended)
    return outcome.state == "failed" and is_left


def announce(
    root: Root,
    options: BatchOptions,
    session: str,
    manifest: Manifest,
    listed: Listed,
    progress: Progress,
) -> None:
    """Tell what is to be done, and what of the listing the user should know."""
    for message in (*manifest.warnings, *_stale_text(listed.stale)):
        progress(Warned(message=message))
    if listed.strangers:
        # Perhaps the archive moved, perhaps somebody gave an id twice: only a person knows.
        job, count = listed.strangers[0], len(listed.strangers)
        message = (
            f"done before under another address, and left as they are: {count} scene(s), as "
            f"{job.scene_id}, now {shown_address(job.address)}"
        )
        progress(Warned(message=message))
    progress(
        BatchReady(
            out=root.address,
            session=session,
            scenes=len(listed.jobs),
            to_do=len(listed.to_do),
            done_before=listed.done_before,
            failed_before=listed.failed_before,
            older=manifest.skipped_old,
            scheduler=options.cluster.scheduler,
        )
    )


def _stale_text(stale: tuple[str, ...]) -> Iterator[str]:
    if stale:
        yield (
            f"changed since they were mapped: {len(stale)} scenes, {stale[0]} among them; their "
            "maps stay, --overwrite replaces them"
        )
