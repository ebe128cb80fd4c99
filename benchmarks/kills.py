#!/usr/bin/env python3
"""Kill a batch on a real SLURM again and again; what it ends with must be what it is without.

    python benchmarks/kills.py --rounds 50 --seed 1 SCENES...

A SLURM of three nodes is started on this machine (scripts/slurm_sandbox.py). One batch runs
undisturbed. Then each round makes the batch anew in an empty folder; at a random moment something
is killed with SIGKILL, and the same command is repeated until it says that all is done:

    worker      a worker process in a job
    job         all processes of a job, as when a node's power fails
    preempt     a job gets SIGTERM from SLURM and some seconds, as when it is pre-empted
    client      the process of `geoseg batch`, in which the scheduler of SLURM's jobs lives too
    scheduler   the process of a Dask scheduler that jobs of SLURM have joined (--scheduler tcp://)

A round counts only if the kill hit the batch while it ran. Every file but run.json and item.json,
which tell times, must have the same bytes; every scene must be there once, in batch.json as well.
Prints a line per round and a summary; exits with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts import slurm_sandbox  # noqa: E402

TARGETS = ("worker", "job", "preempt", "client", "scheduler")
TIMES = ("run.json", "item.json", "batch.json", "collection.json", "index.html")
MOST_TRIES = 8
LIMIT_S = 300
CONFIG = """\
queue = "main"
walltime = "00:30:00"
cores = 1
memory = "2GiB"
jobs = 3
interface = "lo"
"""


@dataclass(frozen=True)
class Setting:
    """What all rounds have in common."""

    folder: Path
    scenes: tuple[str, ...]
    environ: Mapping[str, str]
    options: tuple[str, ...] = ()

    @property
    def config(self) -> Path:
        """The file that says what jobs to ask for."""
        return self.folder / "slurm.toml"


@dataclass
class Round:
    """One batch that was disturbed."""

    target: str
    after_s: float
    tries: int = 0
    hit: bool = False
    differences: list[str] = field(default_factory=list)
    seconds: float = 0.0


def main() -> int:
    """Run the rounds; return 1 if one of them ended in other bytes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenes", nargs="+", help="rasters")
    parser.add_argument("--rounds", type=int, default=50, help="kills that hit (50)")
    parser.add_argument("--seed", type=int, default=1, help="of targets and moments (1)")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=TARGETS)
    parser.add_argument("--block-px", type=int, default=256, help="side of a block (256)")
    arguments = parser.parse_args()
    with sandbox(arguments.scenes, ("--block-px", str(arguments.block_px))) as setting:
        rounds = list(
            campaign(setting, arguments.rounds, arguments.targets, random.Random(arguments.seed))  # noqa: S311
        )
    bad = [r for r in rounds if r.differences]
    hits = Counter(r.target for r in rounds if r.hit)
    summary = {
        "kills": sum(hits.values()),
        "by_target": hits,
        "different": len(bad),
        "tries": sum(r.tries for r in rounds),
        "minutes": round(sum(r.seconds for r in rounds) / 60, 1),
    }
    print(json.dumps(summary))
    return 1 if bad else 0


@contextmanager
def sandbox(scenes: list[str], options: tuple[str, ...]) -> Iterator[Setting]:
    """Yield the setting of a campaign, with SLURM running."""
    with tempfile.TemporaryDirectory(prefix="geoseg-kills-") as text:
        folder = Path(text)
        with slurm_sandbox.started(folder / "slurm") as extra:
            environ = os.environ | extra
            setting = Setting(
                folder, tuple(str(Path(s).resolve()) for s in scenes), environ, options
            )
            setting.config.write_text(CONFIG)
            yield setting


def campaign(
    setting: Setting, n: int, targets: list[str], choice: random.Random
) -> Iterator[Round]:
    """Yield rounds until ``n`` kills have hit."""
    start = time.monotonic()
    calm = Round("nothing", 0.0)
    disturbed(setting, calm, setting.folder / "calm")
    expected, duration_s = digests(setting.folder / "calm"), time.monotonic() - start
    print(f"undisturbed: {duration_s:.1f} s, {len(expected)} files", flush=True)
    hits = number = 0
    while hits < n:
        number += 1
        done = Round(choice.choice(targets), choice.uniform(0.3, 0.9 * duration_s))
        out = setting.folder / f"round-{number}"
        disturbed(setting, done, out)
        done.differences = differences(setting, out, expected)
        hits += done.hit
        if not done.hit:  # the machine is quicker by now: later moments would all miss
            duration_s = min(duration_s, done.seconds)
        print(
            f"{number:3} {done.target:9} after {done.after_s:5.1f} s  "
            f"{'hit' if done.hit else 'missed':6} {done.tries} tries  {done.seconds:5.1f} s  "
            f"{'SAME' if not done.differences else done.differences}",
            flush=True,
        )
        yield done


def disturbed(setting: Setting, done: Round, out: Path) -> None:
    """Make the batch, kill once, and repeat the command until it says that all is done."""
    start = time.monotonic()
    while done.tries < MOST_TRIES:
        done.tries += 1
        with scheduler(setting, done) as address:
            client = begin(setting, out, address)
            if done.tries == 1 and done.target != "nothing":
                done.hit = kill_later(setting, done, client, address)
            code = client.wait(LIMIT_S)
        if code == 0:
            break
    else:
        done.differences.append(f"exit code {code} after {done.tries} tries")
    done.seconds = time.monotonic() - start


def begin(setting: Setting, out: Path, address: str | None) -> subprocess.Popen[bytes]:
    """Start the command."""
    where = ("--scheduler", "slurm", "--slurm-config", str(setting.config))
    if address is not None:
        where = ("--scheduler", address)
    command = [
        sys.executable, "-m", "geoseg", "batch", *setting.scenes, "--out", str(out), "--quiet",
        *where, *setting.options,
    ]  # fmt: skip
    log = (setting.folder / "client.log").open("ab")
    return subprocess.Popen(command, env=dict(setting.environ), stdout=log, stderr=log)


def kill_later(
    setting: Setting, done: Round, client: subprocess.Popen[bytes], address: str | None
) -> bool:
    """Kill at the round's moment; tell whether the batch was still running and something died."""
    with suppress(subprocess.TimeoutExpired):
        client.wait(done.after_s)
        return False
    if done.target == "client":
        client.kill()
        return True
    if done.target == "scheduler":
        return kill(
            pids_with(f"dask_scheduler --host 127.0.0.1 --port {str(address).rpartition(':')[2]} ")
        )
    if done.target == "preempt":
        return preempt(setting)
    workers = pids_of_workers(setting)
    if done.target == "worker":
        return kill(workers[:1])
    return kill(pids_of_a_job(workers))


def pids_of_workers(setting: Setting) -> list[int]:
    """Return worker processes of this sandbox's jobs."""
    found = [p for p in pids_with("") if b"SLURM_JOB_ID=" in file_of(p, "environ")
             and str(setting.folder).encode() in file_of(p, "environ")
             and b"spawn_main" in file_of(p, "cmdline")]  # fmt: skip
    random.Random(len(found)).shuffle(found)  # noqa: S311
    return found


def pids_of_a_job(workers: list[int]) -> list[int]:
    """Return all processes of the job that the first of these belongs to."""
    if not workers:
        return []
    wanted = next(
        v for v in file_of(workers[0], "environ").split(b"\0") if v.startswith(b"SLURM_JOB_ID=")
    )
    return [p for p in pids_with("") if wanted in file_of(p, "environ").split(b"\0")]


def preempt(setting: Setting) -> bool:
    """Have SLURM send SIGTERM to a job, and let it end by itself."""
    jobs = said(setting, "squeue", "--noheader", "--states=R", "--format=%A").split()
    if jobs:
        said(setting, "scancel", "--signal=TERM", jobs[0])
    return bool(jobs)


def said(setting: Setting, *command: str) -> str:
    """Return what a command of SLURM prints."""
    done = subprocess.run(
        command, env=dict(setting.environ), capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout


@contextmanager
def scheduler(setting: Setting, done: Round) -> Iterator[str | None]:
    """Yield the address of a scheduler with workers in jobs, for the rounds that kill it."""
    if done.target != "scheduler":
        yield None
        return
    port = slurm_sandbox._free_ports(1)[0]  # noqa: SLF001
    address = f"tcp://127.0.0.1:{port}"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1"]
    process = subprocess.Popen(
        [*dask, "--port", str(port), "--no-dashboard"], env=dict(setting.environ),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    worker = (
        f"{sys.executable} -m distributed.cli.dask_worker {address} --nthreads 2 --no-dashboard "
        f"--death-timeout 10 --local-directory {setting.folder}"
    )
    jobs = [
        said(setting, "sbatch", "--parsable", "--output=/dev/null", "--mem=2G", f"--wrap={worker}")
        for _ in range(2)
    ]
    try:
        yield address
    finally:
        for job in jobs:
            said(setting, "scancel", job.strip())
        process.kill()
        process.wait()


def kill(pids: list[int]) -> bool:
    """Send SIGKILL; tell whether anything was there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(pids)


def pids_with(text: str) -> list[int]:
    """Return processes whose command line holds a text."""
    numbers = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()]
    own = os.getpid()
    return [
        n for n in numbers
        if n != own and text in file_of(n, "cmdline").decode(errors="replace").replace("\0", " ")
    ]  # fmt: skip


def file_of(pid: int, name: str) -> bytes:
    """Return what the kernel tells of a process; nothing where it has gone."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def digests(out: Path) -> dict[str, str]:
    """Return the digest of every file that tells no times."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in TIMES and ".batch" not in path.parts
    }


def differences(setting: Setting, out: Path, expected: dict[str, str]) -> list[str]:
    """Return what is not as it should be."""
    found = digests(out)
    wrong = [name for name in {*found, *expected} if found.get(name) != expected.get(name)]
    rows = json.loads((out / "batch.json").read_text())["scenes"]
    states = Counter((row["scene_id"], row["state"]) for row in rows)
    wanted = Counter((Path(scene).stem, "done") for scene in setting.scenes)
    if states != wanted:
        wrong.append(f"batch.json: {dict(states)}")
    missing = [s for s in setting.scenes if not (out / Path(s).stem / "run.json").is_file()]
    return sorted(wrong) + [f"no run.json for {name}" for name in missing]


if __name__ == "__main__":
    sys.exit(main())
