"""What the jobs of a batch have come to: which count, how many are missing, when to give up.

Pure: listings of SLURM and names of workers in, decisions out.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from geoseg.run.slurm_control import Job

__all__ = ["Watch", "hopeless", "looked_at", "pause_s", "silent"]

_STILLBORN: Final = 3
_SILENT_S: Final = 900
_LONGEST_PAUSE_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What is remembered from one look at the queue to the next."""

    alive: frozenset[str] = frozenset()
    """Jobs that run or wait."""
    settled: frozenset[str] = frozenset()
    """Jobs in the listing whose end has been taken note of."""
    stillborn: tuple[str, ...] = ()
    """Jobs in a row that ended before a worker of theirs came up."""
    joined: int = 0
    """Jobs, from the start on, whose workers came up."""


def looked_at(watch: Watch, jobs: Mapping[str, Job], joined: AbstractSet[str]) -> Watch:
    """Return the watch after another look.

    A job that is gone from the listing has ended unseen. One that was taken away is no sign
    that something is wrong with what it was asked to do.

    Args:
        watch: What was known.
        jobs: SLURM's listing.
        joined: Jobs, from the start on, whose workers came up.
    """
    over = {job_id for job_id, job in jobs.items() if job.is_over} - watch.settled
    vanished = watch.alive - jobs.keys()
    lost = silent(jobs, joined) - watch.settled
    stillborn = {
        job_id
        for job_id in (over | vanished | lost) - joined
        if job_id not in jobs or not jobs[job_id].was_taken_away
    }
    before = watch.stillborn if len(joined) == watch.joined else ()
    return Watch(
        alive=frozenset(job_id for job_id, job in jobs.items() if job.is_alive) - lost,
        settled=frozenset(over | lost | (watch.settled & jobs.keys())),
        stillborn=(*before, *sorted(stillborn, key=int)),
        joined=len(joined),
    )


def silent(jobs: Mapping[str, Job], joined: AbstractSet[str]) -> set[str]:
    """Return the jobs that have run long without a worker."""
    return {
        job_id
        for job_id, job in jobs.items()
        if job.is_alive and job.used_s > _SILENT_S and job_id not in joined
    }


def hopeless(watch: Watch, jobs: Mapping[str, Job], connected: AbstractSet[str]) -> str | None:
    """Return why no worker will come up, or None while one may.

    Args:
        watch: After the look that gave the jobs.
        jobs: SLURM's listing.
        connected: Jobs that have a worker now.
    """
    alive = [jobs[job_id] for job_id in watch.alive]
    if connected or any(not job.is_waiting for job in alive):
        return None
    if len(watch.stillborn) >= _STILLBORN:
        return f"{len(watch.stillborn)} jobs in a row ended before a worker came up"
    if alive and all(job.never_starts for job in alive):
        return f"job {alive[0].job_id} can never start: {alive[0].reason}"
    return None


def pause_s(watch: Watch) -> float:
    """Return how long to wait before the next job, by how many have failed."""
    return min(float(2 ** len(watch.stillborn) - 1), _LONGEST_PAUSE_S)
