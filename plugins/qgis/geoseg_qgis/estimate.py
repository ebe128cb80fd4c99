"""What a run will take, and whether this computer has it. Nothing here knows QGIS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .machine import free_disk_bytes, free_memory_bytes, writable
from .report import bytes_text, pixels_text, seconds_text
from .text import tr

__all__ = ["Estimate", "judged"]


class Estimate(NamedTuple):
    """An estimate in words."""

    text: str
    """Pixels, time, memory, disk."""
    problem: str
    """Why it will not fit; empty where it will."""


def judged(event: Mapping[str, Any], out: Path) -> Estimate:
    """Put the engine's estimate into words and hold it against this computer.

    Args:
        event: The ``estimate`` event of a dry run.
        out: The result folder.
    """
    memory, disk = float(event["memory_bytes"]), float(event["disk_bytes"])
    free_memory, free_disk = free_memory_bytes(), free_disk_bytes(out)
    parts = [
        pixels_text(float(event["output_px"])),
        tr("about {time}").format(time=seconds_text(float(event["seconds"]))),
        tr("{size} memory").format(size=bytes_text(memory)),
        tr("{size} disk").format(size=bytes_text(disk)),
    ]
    problems = []
    if free_memory is not None and memory > free_memory:
        problems.append(
            tr("Memory will not do: {needed} needed, {free} free.").format(
                needed=bytes_text(memory), free=bytes_text(free_memory)
            )
        )
    if free_disk is not None and disk > free_disk:
        problems.append(
            tr("The disk is too full: {needed} needed, {free} free.").format(
                needed=bytes_text(disk), free=bytes_text(free_disk)
            )
        )
    if not writable(out):
        problems.append(tr("{folder} cannot be written.").format(folder=out.parent))
    return Estimate(" · ".join(parts), " ".join(problems))
