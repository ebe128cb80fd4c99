"""Class rasters read on the grid of another raster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from geoseg.errors import GeosegError
from geoseg.grid.pixel_grid import PixelGrid
from geoseg.raster import aligned
from geoseg.raster.class_raster import open_class_raster
from geoseg.raster.scene import open_scene
from tests.scenes import write_scene

SITE = 'LOCAL_CS["site",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]'


def test_a_raster_that_cannot_be_warped_is_one_line_and_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing leads from the plan of a building site to a place on Earth."""
    classes = np.zeros((1, 20, 20), np.uint8)
    raster = open_class_raster(str(write_scene(tmp_path / "site.tif", classes, crs=SITE)), None)
    grid: PixelGrid = open_scene(str(write_scene(tmp_path / "earth.tif", classes))).grid
    opened: list[Any] = []
    open_file = rasterio.open

    def watched(*args: Any, **more: Any) -> Any:
        opened.append(open_file(*args, **more))
        return opened[-1]

    monkeypatch.setattr(aligned.rasterio, "open", watched)
    with (
        pytest.raises(GeosegError, match=r"site\.tif"),
        aligned.aligned_reader(raster, grid, resample=True),
    ):
        pytest.fail("aligned")
    assert [dataset.closed for dataset in opened] == [True]
