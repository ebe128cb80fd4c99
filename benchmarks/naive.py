"""The map that most people write, as an honest baseline: one file in, classes and polygons out.

    python benchmarks/naive.py SCENE.tif MODEL_FOLDER OUT_FOLDER

The scene is read whole. Windows of 512 px with a stride of 256 go through torch one by one, in
fp32 and in torch's own memory layout; softmax scores are added up in an array of the whole scene.
The classes are written as a tiled GeoTIFF, the polygons with rasterio's `shapes` and geopandas.
Prints the seconds of each part as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

START = time.perf_counter()

import geopandas  # noqa: E402
import numpy as np  # noqa: E402
import rasterio  # noqa: E402
import rasterio.features  # noqa: E402
import shapely.geometry  # noqa: E402
import torch  # noqa: E402

from geoseg.memory import peak_memory_bytes  # noqa: E402
from geoseg.model.card import ModelCard, read_card  # noqa: E402
from geoseg.model.network import load_network  # noqa: E402

WINDOW_PX = 512
STRIDE_PX = 256


def main(scene: Path, model: Path, out: Path) -> None:
    """Map one scene and print how long each part took."""
    out.mkdir(parents=True, exist_ok=True)
    card = read_card(model)
    network = load_network(card, model)
    times = {"start": time.perf_counter() - START}
    begin = time.perf_counter()
    with rasterio.open(scene) as dataset:
        image, valid = dataset.read([1, 2, 3]), dataset.dataset_mask() > 0
        profile = {"crs": dataset.crs, "transform": dataset.transform}
    times["read"] = time.perf_counter() - begin
    begin = time.perf_counter()
    classes = predicted(network, card, image, valid)
    times["predict"] = time.perf_counter() - begin
    begin = time.perf_counter()
    height, width = classes.shape
    profile |= {"driver": "GTiff", "height": height, "width": width, "count": 1, "dtype": "uint8"}
    profile |= {"nodata": 255, "tiled": True, "compress": "deflate"}
    with rasterio.open(out / "classes.tif", "w", **profile) as target:
        target.write(classes, 1)
    shapes = rasterio.features.shapes(classes, mask=valid, transform=profile["transform"])
    geometries, values = zip(*shapes, strict=True)
    frame = geopandas.GeoDataFrame(
        {"class": np.array(values, np.uint8)},
        geometry=[shapely.geometry.shape(g) for g in geometries],
        crs=profile["crs"],
    )
    frame.to_file(out / "polygons.gpkg")
    times["write"] = time.perf_counter() - begin
    times["wall"] = time.perf_counter() - START
    memory = (peak_memory_bytes() or 0) / 2**30
    print(json.dumps({k: round(v, 2) for k, v in times.items()} | {"peak_gib": round(memory, 2)}))


def predicted(
    network: torch.nn.Module, card: ModelCard, image: np.ndarray, valid: np.ndarray
) -> np.ndarray:
    """Return the class ids (row, col) of the mean scores of all windows."""
    height, width = valid.shape
    offset = np.array([s.offset for s in card.scaling], np.float32)[:, None, None]
    divisor = np.array([s.divisor for s in card.scaling], np.float32)[:, None, None]
    total = np.zeros((len(card.legend), height, width), np.float32)
    counts = np.zeros((height, width), np.float32)
    with torch.no_grad():
        for row in places(height):
            for col in places(width):
                window = np.s_[row : row + WINDOW_PX, col : col + WINDOW_PX]
                pixels = (image[(slice(None), *window)] - offset) / divisor
                scores = torch.softmax(network(torch.from_numpy(pixels)[None]), dim=1)[0]
                total[(slice(None), *window)] += scores.numpy()
                counts[window] += 1
    total /= counts
    classes = np.array(card.legend.ids, np.uint8)[total.argmax(axis=0)]
    classes[~valid] = 255
    return classes


def places(length_px: int) -> list[int]:
    """Return where windows start; the last one ends at the edge."""
    return sorted({*range(0, length_px - WINDOW_PX, STRIDE_PX), length_px - WINDOW_PX})


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
