"""File-to-file speed for several models and sources, beside the bare network and a naive loop.

    python benchmarks/speed.py IMAGE.tif [--mpx 16.8] [--models light resnet18 ...]
        [--sources deflate plain remote] [--precision auto] [--naive] [--json OUT.json]

A square scene with a collar of 10 % nodata is made by repeating IMAGE. Each row is `geoseg bench`
in a process of its own. `light` is the bundled model; the others are networks of their kind with
random weights, which take the same time as trained ones. `remote` is the scene as a COG behind
a server on the loopback address that waits 20 ms before each answer.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
import rasterio.shutil
import torch
from rasterio.windows import Window
from run_scene import repeated
from safetensors.torch import save_file

from geoseg.model.card import NetworkSpec
from geoseg.model.exporting import with_programs
from geoseg.model.footprint import activation_bytes_per_px
from geoseg.model.network import build_network, file_sha256, network_stride_px
from geoseg.model.registry import find_model
from geoseg.options import DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
LATENCY_S = 0.02
HALO_PX = 64
NETWORKS = {
    "resnet18": ("unet", "resnet18"),
    "resnet34": ("unet", "resnet34"),
    "mobilenet_v2": ("unet", "mobilenet_v2"),
    "segformer": ("segformer", "mit_b0"),
}
SHOWN = (
    "backend", "precision", "elapsed_s", "startup_s", "mpx_per_s", "limit_mpx_per_s", "of_limit",
    "busy_share", "redundancy",
)  # fmt: skip


def make_model(name: str, folder: Path) -> Path:
    """Write a model folder with random weights and programs."""
    _, card = find_model(DEFAULT_MODEL)
    architecture, encoder = NETWORKS[name]
    spec = NetworkSpec(architecture=architecture, encoder=encoder, n_outputs=len(card.legend))
    folder.mkdir()
    torch.manual_seed(0)
    network = build_network(spec, len(card.bands))
    path = folder / card.weights_file
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, path)
    # Random weights tell nothing of bf16; its agreement stays that of the bundled model.
    made = replace(
        card, name=name, title=name, network=spec, halo_px=HALO_PX,
        weights_sha256=file_sha256(path), weights_bytes=path.stat().st_size,
        stride_px=network_stride_px(network), programs=(),
        n_parameters=sum(p.numel() for p in network.parameters()),
        gsd_m=None, gsd_range_m=None,
    )  # fmt: skip
    made = replace(made, activation_bytes_per_px=activation_bytes_per_px(folder, made))
    with_programs(made, folder).write(folder)
    return folder


def make_sources(image: Path, mpx: float, names: list[str], folder: Path) -> dict[str, Path]:
    """Write the scene with its collar in every form that is asked for."""
    plain = folder / "deflate.tif"
    repeated(image, plain, mpx)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(plain, "r+") as scene:
        side = scene.width
        mask = scene.dataset_mask()
        rim = round(side * (1 - np.sqrt(0.9)) / 2)
        mask[:rim] = mask[-rim:] = 0
        mask[:, :rim] = mask[:, -rim:] = 0
        scene.write_mask(mask, window=Window(0, 0, side, side))
    files = {"deflate": plain}
    if "plain" in names:
        files["plain"] = folder / "plain.tif"
        rasterio.shutil.copy(
            plain, files["plain"], driver="GTiff", TILED="YES", BLOCKXSIZE=512, BLOCKYSIZE=512
        )
    if "remote" in names:
        files["remote"] = folder / "remote.tif"
        rasterio.shutil.copy(plain, files["remote"], driver="COG", COMPRESS="DEFLATE")
    return {name: files[name] for name in names}


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder's files in ranges, each answer after a wait."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            time.sleep(LATENCY_S)
            path = folder / Path(self.path).name
            if not path.is_file():
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            size = path.stat().st_size
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
            first = int(asked[1]) if asked else 0
            last = min(int(asked[2]) if asked and asked[2] else size - 1, size - 1)
            self.send_response(206 if asked else 200)
            if asked:
                self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
            self.send_header("Content-Length", str(last - first + 1))
            self.end_headers()
            if with_body:
                with path.open("rb") as file:
                    file.seek(first)
                    self.wfile.write(file.read(last - first + 1))

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def command(*arguments: object) -> dict:
    """Run a program of this environment; return the JSON of its last line."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], check=False, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    """Make, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("image", type=Path)
    parser.add_argument("--mpx", type=float, default=16.8)
    parser.add_argument("--models", nargs="+", default=["light"], choices=["light", *NETWORKS])
    parser.add_argument("--sources", nargs="+", default=["deflate"])
    parser.add_argument("--precision", nargs="+", default=["auto"])
    parser.add_argument("--naive", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="geoseg-speed-") as name:
        folder = Path(name)
        (folder / "scenes").mkdir()
        files = make_sources(given.image, given.mpx, given.sources, folder / "scenes")
        with served(folder / "scenes") as url:
            for model in given.models:
                place = find_model(DEFAULT_MODEL)[0]
                if model != "light":
                    place = make_model(model, folder / model)
                for source, path in files.items():
                    for precision in given.precision:
                        address = f"{url}/{path.name}" if source == "remote" else path
                        found = command(
                            "-m", "geoseg", "bench", address, "--model", place, "--gsd", "1",
                            "--precision", precision, "--limit-seconds", "4", "--json",
                        )  # fmt: skip
                        rows.append({"model": model, "source": source, **found})
                        show(rows[-1])
                if given.naive:
                    path = files.get("deflate") or next(iter(files.values()))
                    found = command(HERE / "naive.py", path, place, folder / "naive")
                    rows.append({"model": model, "source": "naive loop", **found})
                    print(rows[-1], flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def show(row: dict) -> None:
    """Print a row of the table."""
    cells = [row["model"], row["source"], *(row[name] for name in SHOWN)]
    cells.append(f"{row['peak_host_bytes'] / 2**30:.2f}")
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
