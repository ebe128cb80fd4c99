"""Runs on scenes of a few pixels, with outlines along the pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geoseg.options import RunOptions
from geoseg.run.pipeline import RunResult, run


def mapped(folder: Path, scene: Path, model: str, **options: Any) -> RunResult:
    """Map a scene into ``folder / "out"``; options go before those given here."""
    chosen = {
        "workers": 1,
        "simplify": "0",
        "out": folder / "out",
        "overwrite": True,
        "window_px": 16,
        **options,
    }
    return run(RunOptions(scene=str(scene), model=model, **chosen))
