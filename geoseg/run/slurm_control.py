"""What geoseg says to SLURM: submit, list, cancel. Commands in, frozen values out."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from geoseg.errors import ClusterError
from geoseg.redact import without_secrets

__all__ = ["BusyError", "Job", "cancel", "listed", "parse_listing", "require_slurm", "submit"]

_COMMANDS: Final = ("sbatch", "squeue", "scancel")
_PATIENCE_S: Final = 60.0
# A controller that is busy, restarts or is being replaced; and a limit on queued jobs, which
# is no longer reached when other jobs of the user are over. All of it passes.
_BUSY: Final = re.compile(
    r"unable to contact slurm controller|socket timed out|connection (?:refused|reset|timed out)"
    r"|temporarily un(?:able|available)|in standby mode|zero bytes were transmitted"
    r"|connection failure|communication (?:connection|shutdown)|message (?:send|receive) failure"
    r"|unexpected message received|MaxSubmitJob",
    re.IGNORECASE,
)
_ENDED: Final = frozenset({
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY",
    "PREEMPTED", "REVOKED", "TIMEOUT",
})  # fmt: skip
# How a job ends that somebody else ended: no fault of what it was asked to do.
_TAKEN_AWAY: Final = frozenset({"CANCELLED", "NODE_FAIL", "PREEMPTED", "REVOKED"})
# Reasons for waiting that no waiting mends; https://slurm.schedmd.com/job_reason_codes.html
_NEVER: Final = re.compile(
    r"AccountNotAllowed|BadConstraints|DependencyNeverSatisfied|Invalid(?:Account|QOS)"
    r"|Partition(?:Node|Time)Limit|QOSNotAllowed|launch failed requeued held"
    r"|(?:Assoc|QOS)Max\w+PerJob(?:Limit)?"
)


class BusyError(ClusterError):
    """SLURM does not answer, or takes no more jobs, for now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as SLURM sees it."""

    job_id: str
    """Number in the queue."""
    state: str
    """``PENDING``, ``RUNNING``, ``FAILED``, ..."""
    used_s: int
    """How long it has run."""
    reason: str
    """Why it waits or ended, in SLURM's words; ``None`` where there is nothing to say."""

    @property
    def is_over(self) -> bool:
        """Whether its end is known."""
        return self.state in _ENDED

    @property
    def is_alive(self) -> bool:
        """Whether it runs or will run; a job that is ``COMPLETING`` is neither alive nor over."""
        return not self.is_over and self.state != "COMPLETING"

    @property
    def is_waiting(self) -> bool:
        """Whether it has not started."""
        return self.state == "PENDING"

    @property
    def never_starts(self) -> bool:
        """Whether it waits for what will not happen."""
        return self.is_waiting and _NEVER.fullmatch(self.reason) is not None

    @property
    def was_taken_away(self) -> bool:
        """Whether a person, a more urgent job or a broken node ended it."""
        return self.state in _TAKEN_AWAY


def require_slurm() -> None:
    """Raise ClusterError where SLURM's commands are not in PATH."""
    for command in _COMMANDS:
        if shutil.which(command) is None:
            msg = f"no {command} in PATH, which SLURM brings"
            raise ClusterError(msg, hint="Start geoseg on a login node, or load its module.")


def submit(script: str) -> str:
    """Put a job in the queue and return its number.

    Raises:
        BusyError: SLURM does not answer, or takes no more jobs for now.
        ClusterError: It refuses the job.
    """
    said = _said(["sbatch", "--parsable"], script)
    for line in reversed(said.splitlines()):  # a site may greet before
        job_id = line.split(";")[0].strip()  # ";cluster" may follow
        if job_id.isdigit():
            return job_id
    msg = f"sbatch did not tell the number of the job: {without_secrets(' '.join(said.split()))!r}"
    raise ClusterError(msg)


def listed(name: str) -> dict[str, Job]:
    """Return the jobs of that name, also those that ended in the last minutes.

    Raises:
        BusyError: SLURM does not answer.
        ClusterError: It refuses to.
    """
    return parse_listing(
        _said(["squeue", "--noheader", "--states=all", f"--name={name}", "--format=%i|%T|%M|%r"])
    )


def parse_listing(text: str) -> dict[str, Job]:
    """Return the jobs in lines ``number|state|time used|reason``; other lines do not count."""
    jobs = {}
    for line in text.splitlines():
        match line.strip().split("|", 3):
            case [job_id, state, used, reason] if job_id.isdigit():
                jobs[job_id] = Job(
                    job_id=job_id, state=state, used_s=_used_s(used), reason=reason.strip("()")
                )
    return jobs


def cancel(name: str, job_ids: Iterable[str] | None = None, *, waiting_only: bool = False) -> None:
    """End jobs of that name: these, or all.

    Args:
        name: Of the jobs.
        job_ids: Which of them; None for all.
        waiting_only: Leave those that have started.

    Raises:
        BusyError: SLURM does not answer.
        ClusterError: It refuses to.
    """
    ids = () if job_ids is None else sorted(job_ids)
    if job_ids is None or ids:
        state = ["--state=PENDING"] if waiting_only else []
        _said(["scancel", "--quiet", f"--name={name}", *state, *ids])


def _used_s(text: str) -> int:
    """Return the seconds of ``[days-][hours:]minutes:seconds``; 0 for what is none."""
    days, _, clock = text.rpartition("-")
    try:
        seconds = 0
        for part in clock.split(":"):
            seconds = seconds * 60 + int(part)
        return seconds + 86_400 * int(days or 0)
    except ValueError:
        return 0


def _said(command: list[str], stdin: str = "") -> str:
    """Return what a command prints."""
    try:
        done = subprocess.run(  # noqa: S603 - our own words; the script goes to SLURM, not here
            command,
            input=stdin,
            env=_environment(),
            check=False,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
        )
    except subprocess.TimeoutExpired as error:
        msg = f"{command[0]} did not answer within {_PATIENCE_S:g} s"
        raise BusyError(msg) from error
    except OSError as error:
        msg = f"cannot run {command[0]}: {error.strerror or error}"
        raise ClusterError(msg) from error
    if done.returncode == 0:
        return done.stdout
    said = without_secrets("; ".join(line for line in done.stderr.splitlines() if line.strip()))
    msg = f"{command[0]} failed: {said or f'exit code {done.returncode}'}"
    if _BUSY.search(said):
        raise BusyError(msg)
    raise ClusterError(msg, hint="Mend the SLURM configuration, or ask who runs the cluster.")


def _environment() -> dict[str, str]:
    """Return the variables for SLURM's commands.

    Where geoseg runs in a job itself, what SLURM told that job must not reach another one:
    its srun would take SLURM_MEM_PER_CPU beside SLURM_MEM_PER_NODE for a contradiction.
    """
    return {k: v for k, v in os.environ.items() if k == "SLURM_CONF" or not k.startswith("SLURM_")}
