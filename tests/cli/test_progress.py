"""What people see of a run: names stand there as they are."""

from __future__ import annotations

import pytest

from geoseg.cli.progress import listener
from geoseg.run.events import BlockDone, Finished, PlanReady, StageStarted, VectoriseReady, Warned

NAMES = ["[red]x[/red].tif", "[bold]", "[/]", ":smile:", "a\\\\[b]", "지붕 {0}"]


def plan(name):
    return PlanReady(
        scene=name, out=name, model=name, device="cpu", precision="fp32", backend="torch",
        blocks=4, blocks_done=1, windows=4, window_px=(32, 64), halo_px=8, redundancy=1.0, output_px=100,
    )  # fmt: skip


def finished(name):
    row = {"class_id": 1, "class_name": name, "px_count": 1, "area_m2": None, "share": 1.0}
    return Finished(out=name, elapsed_s=1.0, files={}, classes=[row])


def vectorise(name):
    return VectoriseReady(
        raster=name, out=[name], blocks=4, blocks_done=0, block_px=(8, 8), output_px=100
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("make", [plan, finished, vectorise, lambda name: Warned(message=name)])
def test_names_are_printed_as_they_are(capsys, name, make):
    with listener(as_json=False, quiet=False) as tell:
        tell(make(name))
    assert name in capsys.readouterr().err


def test_a_whole_run_tells_what_it_does(capsys):
    with listener(as_json=False, quiet=False) as tell:
        tell(plan("scene"))
        for blocks_done in (2, 3):
            tell(
                BlockDone(
                    blocks_done=blocks_done, blocks=4, px_done=50, output_px=100, elapsed_s=1.0
                )
            )
        tell(StageStarted(stage="[bold]"))
        tell(finished("roof"))
    shown = capsys.readouterr()
    for words in ("scene", "0.0 Mpx, 4 blocks, 1 done before", "windows 64 x 32 px", "halo 8 px"):
        assert words in shown.err
    assert "roof" in shown.err
    assert shown.out == "roof\n"  # the folder, for scripts
