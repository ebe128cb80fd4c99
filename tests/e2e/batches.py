"""Small scenes, the batch command on them, and what it leaves."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

from tests.dask_cluster import DaskCluster
from tests.e2e.conftest import COMMAND, LIMIT_S, Started
from tests.scenes import texture, write_scene

FINE = ("--window-px", "160", "--block-px", "64")
SAME = ("classes.tif", "classes.tif.aux.xml", "confidence.tif", "polygons.gpkg", "classes.qml")


def small_scene(path: Path, seed: int, shape: tuple[int, int] = (192, 192)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = texture(shape, seed=seed, low=1)
    pixels[:, :40, :30] = 0
    return write_scene(path, pixels, nodata=0, tiled=True, blockxsize=64, blockysize=64)


def truncated(path: Path) -> Path:
    small_scene(path, 90)
    path.write_bytes(path.read_bytes()[:700])
    return path


def torn(path: Path) -> Path:
    """A scene whose last tile cannot be decoded, far from where a plan takes its sample."""
    write_scene(
        path, texture((1600, 64), seed=91), tiled=True, blockxsize=64, blockysize=64,
        compress="deflate",
    )  # fmt: skip
    data = bytearray(path.read_bytes())
    data[-3000:-10] = b"\xff" * 2990
    path.write_bytes(bytes(data))
    return path


def digests(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in SAME}


class Batch:
    """``geoseg batch`` into one root."""

    def __init__(self, folder: Path, model: Path, cluster: DaskCluster | None) -> None:
        self.folder, self.model, self.cluster = folder, model, cluster
        self.out = folder / "out"

    def words(self, *sources: object, local: bool = False) -> list[str]:
        """Return a command; options go among the sources."""
        where = [] if local or self.cluster is None else ["--scheduler", self.cluster.address]
        model = [] if "--model" in sources else ["--model", self.model]
        return [str(w) for w in ("batch", *sources, "--out", self.out, *model, *FINE, *where)]

    def __call__(self, *sources: object, local: bool = False, **how: Any) -> Done:
        return self.call(*self.words(*sources, local=local), **how)

    def call(self, *words: object, **how: Any) -> Done:
        """Run any command to its end."""
        done = subprocess.run(
            [*COMMAND, *map(str, words)], cwd=self.folder, capture_output=True, text=True,
            timeout=LIMIT_S, check=False, **how,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *sources: object, local: bool = False) -> Started:
        return Started(self.folder, *self.words(*sources, "--json", local=local))

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out / "batch.json").read_text())
        return found

    def states(self) -> dict[str, str]:
        """Return the state of each scene by the name of its file."""
        rows = self.report()["scenes"]
        found = {Path(row["scene"]).name: row["state"] for row in rows}
        assert len(rows) == len({row["scene_id"] for row in rows}), "a scene is there twice"
        return found

    def digests(self) -> dict[str, dict[str, str]]:
        """Return digests of the files of each finished scene by its address."""
        return {
            row["scene"]: digests(self.out / row["scene_id"])
            for row in self.report()["scenes"]
            if row["state"] == "done"
        }

    def is_clean(self) -> bool:
        """Tell whether nothing of the work in between is left."""
        return not [p for p in self.out.rglob("*") if p.name == ".geoseg" or "mark-" in p.name]


class Done:
    """A command that has ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == kind]

    @property
    def error(self) -> tuple[str, str]:
        """The one line, and the hint; nothing else of ours may be on stderr after it."""
        lines = self.err.splitlines()
        assert "Traceback" not in self.err, self.err
        at = next((i for i, line in enumerate(lines) if line.startswith("geoseg: ")), None)
        assert at is not None, self.err
        assert len(lines) - at <= 2, self.err
        return lines[at].removeprefix("geoseg: "), "".join(lines[at + 1 :]).strip()
