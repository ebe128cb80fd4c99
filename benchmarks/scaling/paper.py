"""What was measured, carried on by arithmetic to areas that nobody maps on a test machine.

A pure function of an area, a cluster and the numbers below, each with where it comes from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["AREAS", "MEASURED", "Area", "Carried", "Cluster", "Numbers", "carried_on"]

_HOUR_S = 3600
_PAGE_KEYS = 1000
"""Names in an answer of an object store to a listing."""


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Everything that is put in."""

    mpx_per_core_s: float = 1.23
    """Measured: ``part``, 120 Mpx, two cores, 2.46 Mpx/s file to file (benchmarks/README.md)."""
    mpx_per_gpu_s: float = 100.0
    """ASSUMED, not measured: no GPU was there."""
    block_mpx: float = 400 / 121
    """Measured: a scene of 400 Mpx has 121 blocks by default (run.json)."""
    scheduler_s_per_block: float = 0.0025
    """Measured: processor time of the scheduler (``scale.py blocks``)."""
    client_s_per_block: float = 0.0022
    """Measured: processor time of the client (the same)."""
    blocks_per_s: float = 118.0
    """Measured: null blocks through one client, both cores shared with others (the same)."""
    out_bytes_per_px: tuple[float, float] = (0.84, 2.19)
    """Measured on 400 Mpx: all files of ``dubai`` (large regions) and ``town`` (small ones)."""
    scheduler_bytes_per_block: float = 507.0
    """Measured: what the scheduler's memory grows by; Dask's spans keep a note of every task."""
    client_bytes_per_scene: float = 1700.0
    """Measured: 0.5 kB for what to do with a scene, 1.2 kB for what became of it."""
    ledger_bytes_per_scene: float = 400.0
    """Measured: a line of the ledger."""
    core_hour_price: float = 0.04
    """A parameter: dollars; put in your own."""
    gpu_hour_price: float = 2.0
    """A parameter, likewise."""
    get_price: float = 0.0004 / 1000
    """A parameter, likewise: a GET."""
    put_price: float = 0.005 / 1000
    """A parameter, likewise: a PUT, COPY or LIST."""
    block_gets: float = 8.0
    """From the code: five ranges of the scene (measured: 45 for nine blocks), the plan before
    the commit, pixels and outlines when files are made."""
    block_puts: float = 3.0
    """From the code: pixels, outlines, receipt."""
    block_objects: int = 3
    """From the code: the same; they are listed twice, to be fetched and to be removed."""
    scene_gets: float = 17.0
    """From the code: 14 to open (measured), two records and the plan."""
    scene_puts: float = 13.0
    """From the code: the plan, six files staged, six copied to their names."""
    scene_lists: float = 4.0
    """From the code: old pieces, staged files, pieces to remove, unfinished uploads."""
    scene_objects: int = 6
    """From the code: files of a finished scene, which a resumed batch lists."""


MEASURED = Numbers()


@dataclass(frozen=True, kw_only=True)
class Area:
    """What is to be mapped."""

    name: str
    km2: float
    gsd_m: float
    scene_mpx: float
    """Size of a scene."""


AREAS = (
    Area(name="country at 10 m", km2=357_000, gsd_m=10, scene_mpx=120.56),
    Area(name="continent at 0.5 m", km2=10_000_000, gsd_m=0.5, scene_mpx=400),
)
"""A country of Germany's size in tiles of Sentinel-2 (10,980 px square), without their overlap;
a continent of Europe's size in images of 20,000 px square."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What computes."""

    cores: int = 0
    gpus: int = 0

    def mpx_per_s(self, numbers: Numbers) -> float:
        """Return million pixels per second of all devices together."""
        return self.cores * numbers.mpx_per_core_s + self.gpus * numbers.mpx_per_gpu_s

    def hour_price(self, numbers: Numbers) -> float:
        """Return dollars per hour."""
        return self.cores * numbers.core_hour_price + self.gpus * numbers.gpu_hour_price


@dataclass(frozen=True, kw_only=True)
class Carried:
    """What comes out."""

    mpx: float
    scenes: int
    blocks: int
    hours: float
    compute_price: float
    blocks_per_s: float
    """That the devices finish, and that scheduler and client must keep up with."""
    scheduler_share: float
    """Of a core; above 1 the devices wait."""
    client_share: float
    """Of what one client was measured to hand out; above 1 the devices wait."""
    gets: float
    puts: float
    lists: float
    request_price: float
    out_gb: tuple[float, float]
    files: int
    """Pieces that are made and removed, three for each block."""
    scheduler_mb: float
    """Notes of finished blocks, in a scheduler that lives as long as all of it takes."""
    client_mb: float
    """For what is known of scenes, beside what any client takes."""
    ledger_mb: float
    resume_lists: int
    """Listings before a resumed batch knows what is finished."""


def carried_on(area: Area, cluster: Cluster, numbers: Numbers = MEASURED) -> Carried:
    """Return what an area takes on a cluster.

    Args:
        area: What is to be mapped.
        cluster: With what.
        numbers: What was measured, read or assumed.
    """
    px = area.km2 * 1e6 / area.gsd_m**2
    scenes = math.ceil(px / 1e6 / area.scene_mpx)
    blocks = scenes * math.ceil(area.scene_mpx / numbers.block_mpx)
    hours = px / 1e6 / cluster.mpx_per_s(numbers) / _HOUR_S
    pace = blocks / (hours * _HOUR_S)
    gets = blocks * numbers.block_gets + scenes * numbers.scene_gets
    puts = blocks * numbers.block_puts + scenes * numbers.scene_puts
    lists = scenes * numbers.scene_lists + 2 * blocks * numbers.block_objects / _PAGE_KEYS
    low, high = numbers.out_bytes_per_px
    return Carried(
        mpx=px / 1e6,
        scenes=scenes,
        blocks=blocks,
        hours=hours,
        compute_price=hours * cluster.hour_price(numbers),
        blocks_per_s=pace,
        scheduler_share=pace * numbers.scheduler_s_per_block,
        client_share=pace / numbers.blocks_per_s,
        gets=gets,
        puts=puts,
        lists=lists,
        request_price=gets * numbers.get_price + (puts + lists) * numbers.put_price,
        out_gb=(px * low / 1e9, px * high / 1e9),
        files=blocks * numbers.block_objects,
        scheduler_mb=blocks * numbers.scheduler_bytes_per_block / 1e6,
        client_mb=scenes * numbers.client_bytes_per_scene / 1e6,
        ledger_mb=scenes * numbers.ledger_bytes_per_scene / 1e6,
        resume_lists=math.ceil(scenes * numbers.scene_objects / _PAGE_KEYS),
    )
