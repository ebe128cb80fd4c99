"""Wishes to stop: signals that become one KeyboardInterrupt, however often they are sent."""

from __future__ import annotations

import _thread
import logging
import math
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

__all__ = ["listen", "listen_no_more", "stop_at_eof"]

_SAME_WISH_S: Final = 5.0
"""Signals that follow each other this closely are one wish.

Programs that stop another may send theirs ten times a second, and people press Ctrl-C twice. A
second interrupt would cut off what the first one began: blocks that end, files that close, the
line that says how far the run came.
"""
_heard_s = -math.inf


def listen() -> None:
    """Treat SIGTERM (batch systems, containers) and SIGHUP (a closed terminal) like Ctrl-C."""
    global _heard_s  # noqa: PLW0603 - signals belong to the process
    _heard_s = -math.inf
    signal.signal(signal.SIGTERM, _interrupt)
    # nohup ignores a terminal that closes, and a shell's background jobs ignore Ctrl-C.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    hang_up = getattr(signal, "SIGHUP", None)  # none on Windows
    if hang_up is not None and signal.getsignal(hang_up) == signal.SIG_DFL:
        signal.signal(hang_up, _interrupt)
    sys.unraisablehook = _unraisable


def listen_no_more() -> None:
    """Take no signal any more: the command has ended, and only has to say so."""
    global _heard_s  # noqa: PLW0603 - signals belong to the process
    _heard_s = math.inf


def stop_at_eof() -> None:
    """Stop when standard input closes: whoever holds its other end is gone then."""
    threading.Thread(target=_wait_for_eof, name="geoseg-eof", daemon=True).start()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    global _heard_s
    if _heard_s == math.inf:
        return
    before, _heard_s = _heard_s, time.monotonic()
    if _heard_s - before >= _SAME_WISH_S:
        raise KeyboardInterrupt


def _unraisable(lost: UnraisableHookArgs) -> None:
    """Log what was raised where nobody can catch it, as in a ``__del__``; ``-vv`` shows it.

    An interrupt that ended there is raised again.
    """
    global _heard_s  # noqa: PLW0603 - signals belong to the process
    if issubclass(lost.exc_type, KeyboardInterrupt):
        _heard_s = -math.inf
        threading.Timer(0.05, _interrupt_main).start()
        return
    error = lost.exc_value or lost.exc_type()
    logging.getLogger("geoseg").debug("ignored in %r", lost.object, exc_info=error)


def _wait_for_eof() -> None:
    try:
        while os.read(0, 1024):
            pass
    except OSError:
        return  # there is no standard input that could close
    _interrupt_main()


def _interrupt_main() -> None:
    if os.name == "posix":
        os.kill(os.getpid(), signal.SIGTERM)  # unlike interrupt_main, this wakes a waiting thread
    else:  # pragma: no cover - Windows
        _thread.interrupt_main()
