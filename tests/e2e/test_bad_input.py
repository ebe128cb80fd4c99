"""Every kind of bad input: one line, a hint line, an exit code, no results."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from geoseg.run.publish import RESULT_NAMES
from tests.fakes import card_of
from tests.scenes import texture, write_scene

Geoseg = Callable[..., subprocess.CompletedProcess[str]]


@dataclass
class Case:
    """What to run and what to be told."""

    says: str
    scene: str = "scene.tif"
    args: tuple[str, ...] = ()
    prepare: Callable[[Path], None] = lambda folder: None
    model: bool = True
    hint: bool = True
    out: str = "out"
    code: int = 1
    tags: list[str] = field(default_factory=list)


def truncated(folder: Path) -> None:
    scene = folder / "scene.tif"
    rasterio.shutil.copy(scene, folder / "cut.tif", driver="COG", BLOCKSIZE=128)
    data = (folder / "cut.tif").read_bytes()
    (folder / "cut.tif").write_bytes(data[: len(data) * 2 // 3])


def no_header(folder: Path) -> None:
    (folder / "cut.tif").write_bytes((folder / "scene.tif").read_bytes()[:500])


def two_tables(folder: Path) -> None:
    for number, name in enumerate(("one", "two")):
        more = {"APPEND_SUBDATASET": "YES"} if number else {}
        write_scene(
            folder / "box.gpkg", texture((30, 30)), driver="GPKG", RASTER_TABLE=name, **more
        )


def reflectance(folder: Path) -> None:
    write_scene(folder / "s2.tif", texture((60, 60)).astype(np.uint16) * 40)


def unit_scaled(folder: Path) -> None:
    write_scene(folder / "f.tif", texture((60, 60)).astype(np.float32) / 255)


def coarse(folder: Path) -> None:
    card_of(3, gsd_m=0.3, gsd_range_m=(0.1, 0.6)).write(made(folder / "metric"))
    write_scene(folder / "coarse.tif", texture((20, 20)),
                transform=rasterio.Affine(10, 0, 321_000, 0, -10, 4_158_000))  # fmt: skip


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def weights(change: Callable[[Path], None]) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        copy = folder / "damaged"
        shutil.copytree(folder / "tiny", copy)
        change(copy)

    return prepare


def flip_a_bit(folder: Path) -> None:
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut_card(folder: Path) -> None:
    path = folder / "card.json"
    path.write_text(path.read_text()[:300])


def no_classes(folder: Path) -> None:
    path = folder / "card.json"
    card = json.loads(path.read_text())
    card["properties"]["mlm:output"][0]["classification:classes"].pop()
    path.write_text(json.dumps(card))


DAMAGED = ("--model", "damaged")
CASES = {
    "missing file": Case("there is no file", scene="nothing here.tif"),
    "empty file": Case("0 bytes", scene="e.tif", prepare=lambda f: (f / "e.tif").touch()),
    "text": Case("cannot open", scene="t.tif", prepare=lambda f: (f / "t.tif").write_text("hello")),
    "folder": Case("cannot open", scene="d", prepare=lambda f: made(f / "d")),
    "truncated": Case("cannot read", scene="cut.tif", prepare=truncated),
    "no header left": Case("cut.tif", scene="cut.tif", prepare=no_header),
    "zero bands": Case("holds no bands", scene="box.gpkg", prepare=two_tables),
    "output is a file": Case("is a file", prepare=lambda f: (f / "out").write_text("")),
    "output below a file": Case(
        "cannot write", out="x/out", prepare=lambda f: (f / "x").write_text("")
    ),
    "read-only system": Case("cannot write", out="/proc/geoseg out"),
    "unknown model": Case("there is no model", args=("--model", "no such model"), model=False),
    "folder without card": Case(
        "no card.json", args=("--model", "m"), model=False, prepare=lambda f: made(f / "m")
    ),
    "damaged weights": Case("is damaged", args=DAMAGED, model=False, prepare=weights(flip_a_bit)),
    "no weights": Case(
        "no weights file", args=DAMAGED, model=False,
        prepare=weights(lambda f: (f / "model.safetensors").unlink()),
    ),
    "cut card": Case("card.json", args=DAMAGED, model=False, prepare=weights(cut_card), hint=False),
    "short legend": Case("legend", args=DAMAGED, model=False, prepare=weights(no_classes), hint=False),
    "too few bands": Case(
        "needs 3", scene="g.tif",
        prepare=lambda f: write_scene(f / "g.tif", texture((20, 20), bands=1)),
    ),
    "no such band": Case("has no band 'nir'", args=("--bands", "red,green,nir")),
    "wrong number of bands": Case("names 2 bands", args=("--bands", "1,2")),
    "reflectance": Case("run from", scene="s2.tif", prepare=reflectance),
    "values 0 to 1": Case("run from", scene="f.tif", prepare=unit_scaled),
    "coarse pixels": Case(
        "pixels of 10 m", scene="coarse.tif", args=("--model", "metric", "--bands", "1"),
        model=False, prepare=coarse,
    ),
    "area outside": Case("outside the scene", args=("--aoi", "0,0,1,1")),
    "area file missing": Case("cannot read the area", args=("--aoi", "nothing.gpkg")),
    "area without size": Case("left < right", args=("--aoi", "5,5,1,1"), hint=False),
    "no such device": Case("device", args=("--device", "cuda:99")),
    "window below halo": Case("leaves no pixels", args=("--window-px", "20")),
    "empty range": Case("MIN < MAX", args=("--value-range", "5,5"), hint=False),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_one_line_a_hint_and_no_results(
    tmp_path: Path, tiny_model: Path, geoseg: Geoseg, name: str
) -> None:
    case = CASES[name]
    write_scene(tmp_path / "scene.tif", texture((200, 220)))
    (tmp_path / "tiny").symlink_to(tiny_model)
    case.prepare(tmp_path)
    model = ("--model", "tiny") if case.model else ()
    before = {p for p in tmp_path.rglob("*") if p.is_file()}
    found = geoseg("run", case.scene, "--out", case.out, *model, *case.args)
    assert found.returncode == case.code, found.stderr
    assert found.stdout == ""
    lines = [line for line in found.stderr.splitlines() if line.strip()]
    progress = [line for line in lines if not line.startswith(("geoseg:", "  "))]
    assert not [line for line in progress if "Traceback" in line or "rror" in line], found.stderr
    said = [line for line in lines if line.startswith("geoseg: ")]
    assert len(said) == 1, found.stderr
    assert case.says in said[0], found.stderr
    after = lines[lines.index(said[0]) + 1 :]
    assert len(after) == int(case.hint), found.stderr
    assert all(line.startswith("  ") for line in after)
    fresh = {p for p in tmp_path.rglob("*") if p.is_file()} - before
    assert not [p for p in fresh if p.name in RESULT_NAMES]


@pytest.mark.parametrize(
    "args",
    [
        (), ("a.tif", "b.tif"), ("a.tif", "--block-px", "0"), ("a.tif", "--format", "dxf"),
        ("a.tif", "--bands", "1,,2"), ("a.tif", "--value-range", "1"), ("a.tif", "--nonsense"),
    ],
)  # fmt: skip
def test_wrong_usage_is_exit_code_2(geoseg: Geoseg, args: tuple[str, ...]) -> None:
    found = geoseg("run", *args)
    assert found.returncode == 2
    assert "Traceback" not in found.stderr
    assert found.stderr.strip().splitlines()[-1].startswith("Error: ")
