#!/usr/bin/env python3
"""A SLURM of three small nodes on this one machine, to try 'geoseg batch --scheduler slurm' on.

Real daemons in a folder of their own, on free ports of the loopback address; nothing of the
system is changed. Needs their programs: on Debian 'apt install slurm-wlm munge'. The nodes have
two cores each and two GPUs that exist in name only.

Examples:
    python scripts/slurm_sandbox.py start my-slurm          says what to export
    eval "$(python scripts/slurm_sandbox.py start my-slurm)"
    sinfo                                                   three nodes, 'idle'
    python scripts/slurm_sandbox.py stop my-slurm           ends jobs, daemons and the folder
"""

from __future__ import annotations

import getpass
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

__all__ = ["NODES", "environment", "main", "missing_program", "start", "started", "stop"]

NODES: Final = ("n1", "n2", "n3")
"""Names of the nodes."""
_PROGRAMS: Final = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")
_DAEMONS: Final = ("slurmctld", *(f"slurmd-{node}" for node in NODES), "munged")
_START_S: Final = 30.0
_STOP_S: Final = 15.0
_POLL_S: Final = 0.1
# Two partitions: jobs of "urgent" push those of "main" off their nodes, with some seconds'
# notice, so that pre-emption can be tried too. A short KillWait ends stubborn jobs sooner.
_CONF: Final = """\
ClusterName=sandbox
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo="socket={folder}/munge.socket"
CryptoType=crypto/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort={ports[0]}
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=100000
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
KillWait=5
ReturnToService=2
SlurmdParameters=config_overrides
SlurmctldPidFile="{folder}/slurmctld.pid"
SlurmdPidFile="{folder}/slurmd-%n.pid"
StateSaveLocation="{folder}/state"
SlurmdSpoolDir="{folder}/spool-%n"
SlurmctldLogFile="{folder}/slurmctld.log"
SlurmdLogFile="{folder}/slurmd-%n.log"
DefMemPerCPU=512
GresTypes=gpu
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=1-00:00:00 State=UP PriorityTier=1 GraceTime=20
PartitionName=urgent Nodes=ALL MaxTime=1-00:00:00 State=UP PriorityTier=10 PreemptMode=OFF
"""
_NODE: Final = (
    "NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=4000 "
    "Gres=gpu:2 State=UNKNOWN"
)
# Files that every Linux has stand for the devices of two GPUs.
_GRES: Final = "Name=gpu File=/dev/zero\nName=gpu File=/dev/full\n"


def missing_program() -> str | None:
    """Return a program that is needed and not there, or None."""
    return next((name for name in _PROGRAMS if _program(name) is None), None)


def environment(folder: Path) -> dict[str, str]:
    """Return the variables that make SLURM's commands talk to the daemons of a folder."""
    return {"SLURM_CONF": str(folder.resolve() / "slurm.conf")}


@contextmanager
def started(folder: Path) -> Iterator[dict[str, str]]:
    """Run the daemons in a folder; yield the variables that lead to them.

    Raises:
        RuntimeError: They do not come up.
    """
    try:
        start(folder)
        yield environment(folder)
    finally:
        stop(folder)


def start(folder: Path) -> None:
    """Start the daemons in a new or empty folder; return when all nodes are idle.

    Raises:
        RuntimeError: They do not come up, or run there already.
    """
    folder = folder.resolve()
    if (folder / "slurm.conf").exists():
        msg = f"{folder} holds a sandbox already: stop it first"
        raise RuntimeError(msg)
    _write(folder)
    environ = os.environ | environment(folder)
    # munged looks at who may write to its folders; --force turns that into a warning.
    own = [f"--{name}-file={folder / f'munged.{name}'}" for name in ("key", "log", "pid", "seed")]
    _launch(["munged", "--force", f"--socket={folder}/munge.socket", *own], environ)
    _launch(["slurmctld"], environ)
    for node in NODES:
        _launch(["slurmd", "-N", node], environ)
    _await_nodes(folder, environ)


def stop(folder: Path) -> None:
    """End jobs and daemons of a folder, and remove it; one that is not there is fine."""
    folder = folder.resolve()
    if not (folder / "slurm.conf").exists():
        return
    _end_jobs(os.environ | environment(folder))
    pids = [pid for name in _DAEMONS if (pid := _pid(folder / f"{name}.pid")) is not None]
    for sig in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, sig)
        if _gone(pids):
            break
    shutil.rmtree(folder, ignore_errors=True)


def _write(folder: Path) -> None:
    """Write the configuration."""
    host, ports = socket.gethostname().split(".")[0], _free_ports(1 + len(NODES))
    for name in ("state", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir(parents=True, exist_ok=True)
    key = folder / "munged.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    nodes = "\n".join(
        _NODE.format(node=node, host=host, port=port)
        for node, port in zip(NODES, ports[1:], strict=True)
    )
    (folder / "gres.conf").write_text(_GRES, encoding="utf-8")
    # The last: it says that there is something to stop.
    conf = _CONF.format(host=host, user=getpass.getuser(), folder=folder, ports=ports, nodes=nodes)
    (folder / "slurm.conf").write_text(conf, encoding="utf-8")


def _program(name: str) -> str | None:
    """Return the path of a program; daemons lie where PATH of plain users does not lead."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def _launch(command: list[str], environ: Mapping[str, str]) -> None:
    """Run a program that goes to the background by itself."""
    program = _program(command[0])
    if program is None:
        msg = f"no {command[0]} is installed"
        raise RuntimeError(msg)
    done = subprocess.run(  # noqa: S603 - our own words
        [program, *command[1:]],
        env=dict(environ),
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=_START_S,
    )
    if done.returncode:
        msg = f"{command[0]} did not start: {done.stderr.strip()}"
        raise RuntimeError(msg)


def _await_nodes(folder: Path, environ: Mapping[str, str]) -> None:
    end = time.monotonic() + _START_S
    states: list[str] = []
    while time.monotonic() < end:
        states = _said(["sinfo", "--noheader", "--Node", "--format=%T"], environ).split()
        if states and set(states) == {"idle"}:
            return
        time.sleep(_POLL_S)
    msg = f"the nodes are {states or 'unknown'} after {_START_S:g} s; see the logs in {folder}"
    raise RuntimeError(msg)


def _end_jobs(environ: Mapping[str, str]) -> None:
    """Cancel all jobs and wait until they have ended: no daemon, no end."""
    _said(["scancel", f"--user={getpass.getuser()}"], environ)
    end = time.monotonic() + _STOP_S
    while _said(["squeue", "--noheader"], environ) and time.monotonic() < end:
        time.sleep(_POLL_S)


def _said(command: list[str], environ: Mapping[str, str]) -> str:
    """Return what a command of SLURM prints; nothing where it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            command, env=dict(environ), check=False, capture_output=True, text=True, timeout=_STOP_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _pid(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _gone(pids: list[int]) -> bool:
    """Tell whether processes have ended, within a few seconds."""
    end = time.monotonic() + _STOP_S
    while time.monotonic() < end:
        if not any(_is_alive(pid) for pid in pids):
            return True
        time.sleep(_POLL_S)
    return False


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A daemon whose new parent does not look after its children stays behind in name.
    stat = Path(f"/proc/{pid}/stat")
    with suppress(OSError):
        return stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    return True


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on; all probed at once, so that they differ."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def main(arguments: list[str]) -> int:
    """Start or stop a sandbox; return the exit code."""
    match arguments:
        case [("start" | "stop") as verb, name]:
            folder = Path(name)
        case _:
            sys.stderr.write("usage: slurm_sandbox.py start|stop FOLDER\n")
            return 2
    missing = missing_program()
    if missing is not None:
        sys.stderr.write(f"slurm_sandbox: no {missing}: apt install slurm-wlm munge\n")
        return 1
    try:
        if verb == "stop":
            stop(folder)
            return 0
        start(folder)
    except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"slurm_sandbox: {error}\n")
        return 1
    for key, value in environment(folder).items():
        sys.stdout.write(f"export {key}={shlex.quote(value)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
