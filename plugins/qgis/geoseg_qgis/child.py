"""One child process: started in its own group, stopped by a signal, found again later.

Nothing here knows QGIS.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .engine import EngineError
from .text import tr

__all__ = ["Child", "ProcessMark", "is_running", "mark_of", "start", "stop"]

_WINDOWS = os.name == "nt"


@dataclass(frozen=True)
class ProcessMark:
    """What tells a process apart from a later one with the same number."""

    pid: int
    """Its number."""
    started: str
    """When it started, as the system writes it."""


@dataclass
class Child:
    """A process that this one started."""

    process: subprocess.Popen[bytes]
    """The running program."""
    mark: ProcessMark
    """What a later QGIS finds it by."""

    def code(self) -> int | None:
        """Return the exit code; None while it runs."""
        code = self.process.poll()
        if code is not None and self.process.stdin is not None:
            self.process.stdin.close()
        return code


def start(
    command: Sequence[str],
    environ: Mapping[str, str],
    *,
    out: Path,
    errors: Path,
    folder: Path,
    tied: bool = False,
) -> Child:
    """Start a program whose output goes to files, so that nobody has to be there to read it.

    Args:
        command: Program and arguments.
        environ: Its whole environment.
        out: File that its output is added to.
        errors: File that its messages are added to; may be the same.
        folder: Its current folder.
        tied: Keep a pipe to its standard input, which closes when this process ends,
            however it ends.

    Raises:
        EngineError: It cannot be started.
    """
    own_group: dict[str, Any] = (
        {"creationflags": 0x00000200 | 0x08000000}  # a group of its own, no console window
        if _WINDOWS
        else {"start_new_session": True}
    )
    try:
        with out.open("ab") as output, errors.open("ab") as messages:
            process = subprocess.Popen(  # noqa: S603 - a list of words, no shell
                list(command),
                env=dict(environ),
                cwd=folder,
                stdin=subprocess.PIPE if tied else subprocess.DEVNULL,
                stdout=output,
                stderr=messages,
                **own_group,
            )
    except OSError as error:
        raise EngineError(
            tr("{program} cannot be started: {text}").format(
                program=command[0], text=error.strerror or error
            ),
            tr("Look at the disk and at the Engine page."),
        ) from error
    return Child(process, mark_of(process.pid))


def stop(mark: ProcessMark, child: Child | None = None, *, kill: bool = False) -> None:
    """Ask a process to stop, or make it; one that is gone already is left alone.

    SIGTERM and not SIGINT: a program that was started in the background of a shell, as QGIS
    may have been, hands on that Ctrl-C is ignored. geoseg takes both alike.
    """
    if not is_running(mark):
        return
    if _WINDOWS:
        _stop_windows(mark, child, kill=kill)
        return
    try:
        if kill:
            os.killpg(mark.pid, signal.SIGKILL)
        else:
            os.kill(mark.pid, signal.SIGTERM)
    except (ProcessLookupError, PermissionError):
        pass


def _stop_windows(mark: ProcessMark, child: Child | None, *, kill: bool) -> None:
    """Close the pipe that the engine listens to; without one, end the process tree."""
    if child is not None and child.process.stdin is not None and not kill:
        child.process.stdin.close()
        return
    subprocess.run(  # noqa: S603 - words of our own
        ["taskkill", "/T", "/F", "/PID", str(mark.pid)],  # noqa: S607 - a part of Windows
        check=False,
        capture_output=True,
    )


def mark_of(pid: int) -> ProcessMark:
    """Return the mark of a process that runs now."""
    return ProcessMark(pid, _start_time(pid) or "")


def is_running(mark: ProcessMark) -> bool:
    """Tell whether that very process still runs."""
    found = _start_time(mark.pid)
    return found is not None and found == mark.started


def _start_time(pid: int) -> str | None:
    """Return when a process started; None where there is none, or only its remains."""
    if sys.platform == "linux":
        return _start_time_linux(pid)
    return _start_time_windows(pid) if _WINDOWS else _start_time_ps(pid)


def _start_time_linux(pid: int) -> str | None:
    try:
        # The name, in parentheses, may hold blanks and parentheses itself.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return None
    state, ticks = fields[0], fields[19]
    return None if state in {"Z", "X"} else ticks


def _start_time_ps(pid: int) -> str | None:
    done = subprocess.run(  # noqa: S603 - words of our own
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],  # noqa: S607 - a part of the system
        check=False,
        capture_output=True,
        text=True,
        env={"LC_ALL": "C", "PATH": os.defpath},
    )
    state, _, started = done.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()


def _start_time_windows(pid: int) -> str | None:
    import ctypes

    kernel: Any = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    handle = kernel.OpenProcess(0x1000, False, pid)
    if not handle:
        return None
    created, ended, in_kernel, in_user = (ctypes.c_ulonglong() for _ in range(4))
    code = ctypes.c_ulong()
    kernel.GetProcessTimes(handle, *(ctypes.byref(x) for x in (created, ended, in_kernel, in_user)))
    kernel.GetExitCodeProcess(handle, ctypes.byref(code))
    kernel.CloseHandle(handle)
    still_active = 259
    return str(created.value) if code.value == still_active else None
