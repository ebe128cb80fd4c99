"""The command run in this process, a model with a full card, and small rasters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.enums import ColorInterp

from geoseg.model.card import ModelCard, read_card
from tests.scenes import UTM, write_scene


@dataclass(frozen=True)
class Answer:
    """Exit code, stdout and stderr of one call."""

    code: int
    out: str
    err: str


@pytest.fixture
def geoseg(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """Return a function that runs the command line with its own error handling."""
    from geoseg.cli import main as command

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr("sys.argv", ["geoseg", *map(str, arguments)])
        code = command.answer()
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """The tiny network with everything in its card that a card may tell."""
    folder = tmp_path_factory.mktemp("cards") / "tiny"
    folder.mkdir()
    card: ModelCard = read_card(tiny_model)
    (folder / card.weights_file).write_bytes((tiny_model / card.weights_file).read_bytes())
    told = replace(
        card,
        title="A model for tests",
        description="Knows nothing of the world.",
        gsd_m=1.0,
        gsd_range_m=(0.3, 2.0),
        license="CC0-1.0",
        facts={
            "halo_curve": [{"halo_px": 0, "differing_share": 0.1}],
            "halo_measured_on": "nothing",
            "accuracy": {
                "here": {"mean_iou": 0.5, "classes": {"지붕": {"iou": 0.25}}},
                "remark": "none of it is true",
            },
            "training_data": [{"name": "noise", "licence": "CC0-1.0"}],
            "limits": ["clouds", "night"],
        },
    )
    told.write(folder)
    return folder


@pytest.fixture
def raster(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes noise as a small GeoTIFF and gives its path."""

    def write(
        *,
        bands: int = 3,
        shape: tuple[int, int] = (60, 80),
        dtype: str = "uint8",
        high: float = 255,
        gsd_m: float = 1.0,
        crs: str | None = UTM,
        **further: object,
    ) -> Path:
        rng = np.random.default_rng(1)
        pixels = (rng.random((bands, *shape)) * high).astype(dtype)
        place = Affine(gsd_m, 0, 5e5, 0, -gsd_m, 5.5e6)
        colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue) if bands == 3 else ()
        return write_scene(
            tmp_path / "scene.tif", pixels, crs=crs, transform=place, colours=colours, **further
        )

    return write
