"""Class raster in, GeoPackage out: geoseg beside its peers, one process each.

    python benchmarks/vectorise.py --size 10980
    python benchmarks/vectorise.py --raster classes.tif --only geoseg,shapes

Each contestant runs in a process of its own and writes a GeoPackage of one polygon per
4-connected region, exact to the pixel; nodata gets none. The time is that of the whole
process, imports and file included; the memory is its peak resident set. ``valid
coverage`` asks GEOS whether neighbours share every vertex.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

NODATA = 255
STRIP_ROWS = 1024


def make_map(path: Path, size: int, *, seed: int = 7) -> None:
    """Write a map of eight classes: blobs of many sizes with smooth outlines."""
    import rasterio
    from affine import Affine

    classes = blobs(size, seed=seed)
    profile = {"driver": "GTiff", "tiled": True, "blockxsize": 512, "blockysize": 512}
    profile |= {"compress": "deflate", "predictor": 2, "nodata": NODATA, "crs": "EPSG:32633"}
    with rasterio.open(
        path, "w", **profile, dtype="uint8", count=1, height=size, width=size,
        transform=Affine(10, 0, 300_000, 0, -10, 5_500_000),
    ) as target:  # fmt: skip
        target.write(classes, 1)


def blobs(size: int, *, seed: int, grain_px: int = 16) -> np.ndarray:
    """Return (size, size) class ids 0..7 from smoothed noise."""
    rng = np.random.default_rng(seed)
    field = _smooth(rng.random((size, size), dtype=np.float32), grain_px)
    levels = np.quantile(field[::16, ::16], np.linspace(0.125, 0.875, 7))
    return np.digitize(field, levels).astype(np.uint8)


def _smooth(values: np.ndarray, width: int) -> np.ndarray:
    """Return box means along both axes, four times: close to a Gaussian."""
    for axis in (0, 1) * 4:
        total = np.cumsum(values, axis=axis, dtype=np.float64)
        shifted = np.roll(total, width, axis=axis)
        values = ((total - shifted) / width).astype(np.float32)
        edge = [slice(None), slice(None)]
        edge[axis] = slice(0, width)
        values[tuple(edge)] = values.mean()
    return values


def geoseg(source: Path, target: Path, *, tolerance_px: float = 0.0) -> None:
    """Write polygons with geoseg, reading the map in strips."""
    os.environ["GDAL_CACHEMAX"] = "64"  # MiB; strips are read once
    import rasterio

    from geoseg.grid.pixel_grid import PixelGrid
    from geoseg.grid.window import Window
    from geoseg.legend import Legend, LegendClass
    from geoseg.options import Outlines
    from geoseg.vector.polygons import Strip, write_polygons

    classes = tuple(
        LegendClass(class_id=i, name=f"class {i}", colour="#808080") for i in range(NODATA)
    )
    with rasterio.open(source) as raster:
        width, height = raster.width, raster.height
        grid = PixelGrid(
            crs_wkt=raster.crs.to_wkt(), transform=raster.transform, height=height, width=width
        )

        def strips() -> object:
            for row in range(0, height, STRIP_ROWS):
                rows = min(STRIP_ROWS, height - row)
                window = rasterio.windows.Window(0, row, width, rows)
                yield Strip(Window(row, 0, rows, width), raster.read(1, window=window), None)

        write_polygons(
            strips(),
            grid=grid,
            legend=Legend(classes=classes),
            targets=[target],
            outlines=Outlines(simplify_px=tolerance_px),
            temp_dir=target.parent,
        )


def geoseg_simplified(source: Path, target: Path) -> None:
    """Write polygons with geoseg, simplified as much as the other is: one pixel."""
    geoseg(source, target, tolerance_px=1.0)


def command(source: Path, target: Path, *, tolerance_px: float = 0.0) -> None:
    """Write polygons with the command: blocks on every core, resumable."""
    flags = ["--simplify", f"{tolerance_px}px", "--quiet"]
    arguments = ["geoseg", "vectorise", source, "--out", target, *flags]
    os.execvp(arguments[0], [str(part) for part in arguments])  # noqa: S606 - ours


def command_simplified(source: Path, target: Path) -> None:
    """Write polygons with the command, simplified by one pixel."""
    command(source, target, tolerance_px=1.0)


def shapes(source: Path, target: Path, *, tolerance: float | None = None) -> None:
    """Write polygons with rasterio's shapes, shapely and geopandas."""
    import geopandas
    import rasterio
    import rasterio.features
    import shapely

    with rasterio.open(source) as raster:
        classes, transform, crs = raster.read(1), raster.transform, raster.crs
    found = rasterio.features.shapes(classes, classes != NODATA, transform=transform)
    geometry, value = zip(*((shapely.geometry.shape(s), v) for s, v in found), strict=True)
    if tolerance is not None:
        geometry = shapely.coverage_simplify(np.array(geometry), tolerance)
    table = geopandas.GeoDataFrame({"class_id": np.int32(value)}, geometry=list(geometry), crs=crs)
    table.to_file(target, driver="GPKG", layer="polygons")


def shapes_simplified(source: Path, target: Path) -> None:
    """Write polygons with rasterio's shapes, simplified by shapely."""
    shapes(source, target, tolerance=10)


def gdal(source: Path, target: Path) -> None:
    """Write polygons with GDAL's own program."""
    subprocess.run(
        ["gdal_polygonize.py", "-q", source, "-f", "GPKG", target, "polygons", "class_id"],
        check=True,
    )


def xarray_spatial(source: Path, target: Path) -> None:
    """Write polygons with xarray-spatial and geopandas."""
    import geopandas
    import rasterio
    import xarray
    from xrspatial.experimental import polygonize

    with rasterio.open(source) as raster:
        classes, transform, crs = raster.read(1), raster.transform, raster.crs
    table = polygonize(
        xarray.DataArray(classes), transform=tuple(transform)[:6], return_type="geopandas"
    )
    geopandas.GeoDataFrame(table).set_crs(crs).to_file(target, driver="GPKG", layer="polygons")


CONTESTANTS = {
    "geoseg": geoseg,
    "geoseg_simplified": geoseg_simplified,
    "command": command,
    "command_simplified": command_simplified,
    "shapes": shapes,
    "shapes_simplified": shapes_simplified,
    "gdal": gdal,
    "xarray_spatial": xarray_spatial,
}

PEERS = ("xarray_spatial",)
"""Those that are no dependency of geoseg."""


def measure(name: str, source: Path, folder: Path, python: str) -> dict[str, object]:
    """Run one contestant in a process and return its figures."""
    target = folder / f"{name}.gpkg"
    target.unlink(missing_ok=True)
    start = time.perf_counter()
    command = [python, __file__, "--run", name, "--raster", source, "--out", target]
    child = subprocess.Popen(command, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(child.pid, 0)
    wall_s = time.perf_counter() - start
    if status != 0:
        lines = child.stderr.read().decode().strip().splitlines() if child.stderr else []
        return {"name": name, "failed": lines[-1] if lines else status}
    return {
        "name": name,
        "wall_s": round(wall_s, 2),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_gib": round(usage.ru_maxrss / 1024**2, 2),
        "file_mib": round(target.stat().st_size / 1024**2),
    }


def check(target: Path) -> dict[str, object]:
    """Return number of polygons and validity of a layer."""
    import pyogrio
    import shapely

    geometry = pyogrio.read_dataframe(target, layer="polygons", columns=[]).geometry.to_numpy()
    return {
        "polygons": len(geometry),
        "invalid": int((~shapely.is_valid(geometry)).sum()),
        "valid_coverage": bool(shapely.coverage_is_valid(geometry)),
    }


def main() -> None:
    """Run the benchmark and print one JSON line per contestant."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=4096, help="side of the made map, pixels")
    parser.add_argument("--raster", type=Path, help="a class raster instead of a made one")
    parser.add_argument("--only", default="geoseg,shapes", help=f"of {', '.join(CONTESTANTS)}")
    parser.add_argument(
        "--peers", default=sys.executable, help="Python that has xarray-spatial and geopandas"
    )
    parser.add_argument("--check", action="store_true", help="also count and validate")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        CONTESTANTS[args.run](args.raster, args.out)
        return
    folder = Path(tempfile.mkdtemp(prefix="vectorise-"))
    try:
        source = args.raster
        if source is None:
            source = folder / "classes.tif"
            make_map(source, args.size)
        for name in args.only.split(","):
            figures = measure(name, source, folder, args.peers if name in PEERS else sys.executable)
            if args.check and "failed" not in figures:
                figures |= check(folder / f"{name}.gpkg")
            print(json.dumps(figures), flush=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
