"""How far ``geoseg batch`` goes: null blocks on a simulated cluster, resume, overhead, paper.

    python benchmarks/scale.py blocks [--scenes 1 --rows 400 --cols 250] [--workers 64]
        [--processes 3] [--sleep-ms 20] [--log-length 10] [--json OUT.json]
    python benchmarks/scale.py resume [--scenes 10000] [--json OUT.json]
    python benchmarks/scale.py overhead [--source IMAGE.tif] [--mpx 120] [--turns 3]
    python benchmarks/scale.py paper

- ``blocks``: the client, the scheduler and the workers are Dask's and geoseg's own, in
  processes of their own; a scene is a header without pixels, and a block a sleep that returns a
  receipt. Client and scheduler are watched from outside.
- ``resume``: the command on very many finished scenes and a new one.
- ``overhead``: ``geoseg run`` and ``geoseg batch`` on one scene in turns; their files must have
  the same bytes.
- ``paper``: what was measured, carried on to a country and a continent.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from run_scene import repeated
from scaling.blocks import Load, run_null_batch
from scaling.overhead import overhead
from scaling.paper import AREAS, Cluster, carried_on
from scaling.resume import finished_batch, resumed

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "sample_tiles" / "town.tif"
CLUSTERS = (Cluster(cores=64), Cluster(cores=1024), Cluster(gpus=8), Cluster(gpus=64))
CASES = ("list", "folder", "ledger lost")


def blocks(told: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Run a batch of null blocks."""
    load = Load(
        scenes=told.scenes,
        rows=told.rows,
        cols=told.cols,
        workers=told.workers,
        processes=told.processes,
        sleep_s=told.sleep_ms / 1e3,
        log_length=told.log_length,
    )
    seen, samples = run_null_batch(load, folder)
    if told.samples:
        told.samples.write_text(json.dumps([asdict(s) for s in samples]), encoding="utf-8")
    return [asdict(seen)]


def resume(told: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Resume a batch of finished scenes, in three ways."""
    scenes, out = finished_batch(folder, told.source, told.scenes)
    return [asdict(resumed(case, scenes, out)) for case in CASES]


def both_ways(told: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Map one scene with both commands."""
    scene = folder / "scene.tif"
    repeated(told.source, scene, told.mpx)
    return [asdict(overhead(scene, folder, told.turns))]


def paper(_told: argparse.Namespace, _folder: Path) -> list[dict[str, Any]]:
    """Carry on."""
    return [
        {"area": area.name, "cores": cluster.cores, "gpus": cluster.gpus}
        | asdict(carried_on(area, cluster))
        for area in AREAS
        for cluster in CLUSTERS
    ]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = parser.add_subparsers(required=True)
    one = _part(parts, "blocks", blocks)
    one.add_argument("--scenes", type=int, default=1)
    one.add_argument("--rows", type=int, default=400)
    one.add_argument("--cols", type=int, default=250)
    one.add_argument("--workers", type=int, default=64)
    one.add_argument("--processes", type=int, default=3)
    one.add_argument("--sleep-ms", type=float, default=20)
    one.add_argument("--log-length", type=int, default=10)
    one.add_argument("--samples", type=Path, help="JSON file for what was seen over time")
    one = _part(parts, "resume", resume)
    one.add_argument("--scenes", type=int, default=10_000)
    one.add_argument("--source", type=Path, default=SAMPLE)
    one = _part(parts, "overhead", both_ways)
    one.add_argument("--source", type=Path, default=SAMPLE)
    one.add_argument("--mpx", type=float, default=120)
    one.add_argument("--turns", type=int, default=3)
    _part(parts, "paper", paper)
    return parser.parse_args()


def _part(parts: Any, name: str, work: Callable[..., Any]) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse has no name for it
    parser: argparse.ArgumentParser = parts.add_parser(name, help=work.__doc__)
    parser.add_argument("--json", type=Path)
    parser.set_defaults(work=work)
    return parser


def table(rows: list[dict[str, Any]]) -> str:
    """Return a table with a row for each number, which are many, and a column for each run."""
    lines = [
        f"| {name} | " + " | ".join(_shown(row[name]) for row in rows) + " |" for name in rows[0]
    ]
    return "\n".join([lines[0], "|" + "---|" * (len(rows) + 1), *lines[1:]])


def _shown(value: object) -> str:
    if isinstance(value, tuple | list):
        return " to ".join(_shown(part) for part in value)
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - digits
    return f"{value:,}" if isinstance(value, int) else str(value)


def main() -> None:
    """Measure or compute, and print."""
    told = arguments()
    with tempfile.TemporaryDirectory(prefix="geoseg-scale-") as folder:
        rows = told.work(told, Path(folder))
    print(table(rows))
    if told.json:
        told.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
