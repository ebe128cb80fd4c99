"""Pieces into one Cloud Optimized GeoTIFF: a virtual mosaic and GDAL's COG writer.

The mosaic is a VRT that lists where each piece goes, so nothing is copied twice and the
memory needed is GDAL's block cache, whatever the size of the scene.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from xml.etree import ElementTree as ET

import rasterio
import rasterio.shutil

from geoseg.errors import OutputError
from geoseg.grid.pixel_grid import PixelGrid
from geoseg.grid.window import Window
from geoseg.legend import Legend
from geoseg.raster.env import GDAL_ERRORS, gdal_env, tidy_message
from geoseg.raster.readback import DISK_HINT, require_whole

__all__ = ["LayerBand", "MosaicPiece", "mosaic_vrt", "write_cog"]

_stderr_guard: Final = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class MosaicPiece:
    """A piece and the pixels of the output that it holds."""

    path: Path
    """GeoTIFF of the piece."""
    window: Window
    """Its place in the scene's grid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerBand:
    """One byte band of an output layer."""

    piece_band: int
    """1-based band of the pieces."""
    description: str
    """Band description."""
    nodata: int | None
    """Nodata value, also what fills places without a piece."""
    legend: Legend | None = None
    """Class names and colours to store, for a class raster."""
    scale: float | None = None
    """Factor from stored to real values."""


def mosaic_vrt(
    pieces: Sequence[MosaicPiece],
    *,
    grid: PixelGrid,
    output: Window,
    bands: Sequence[LayerBand],
    metadata: dict[str, str],
) -> str:
    """Return the VRT text that shows ``output`` of the scene's ``grid``."""
    target = grid.subgrid(output)
    root = ET.Element("VRTDataset", rasterXSize=str(output.width), rasterYSize=str(output.height))
    if grid.crs_wkt:
        ET.SubElement(root, "SRS", dataAxisToSRSAxisMapping="1,2").text = grid.crs_wkt
    if not target.transform.is_identity:
        ET.SubElement(root, "GeoTransform").text = ", ".join(
            repr(v) for v in target.transform.to_gdal()
        )
    entries = ET.SubElement(root, "Metadata")
    for key, value in metadata.items():
        ET.SubElement(entries, "MDI", key=key).text = value
    for number, band in enumerate(bands, 1):
        element = _band_element(root, number, band)
        for piece in pieces:
            _add_source(element, piece, band.piece_band, output)
    return ET.tostring(root, encoding="unicode")


def _band_element(root: ET.Element, number: int, band: LayerBand) -> ET.Element:
    element = ET.SubElement(root, "VRTRasterBand", dataType="Byte", band=str(number))
    ET.SubElement(element, "Description").text = band.description
    if band.nodata is not None:
        ET.SubElement(element, "NoDataValue").text = str(band.nodata)
    if band.scale is not None:
        ET.SubElement(element, "Scale").text = repr(band.scale)
    if band.legend is None:
        ET.SubElement(element, "ColorInterp").text = "Gray" if number == 1 else "Undefined"
        return element
    ET.SubElement(element, "ColorInterp").text = "Palette"
    table = ET.SubElement(element, "ColorTable")
    names = ET.SubElement(element, "CategoryNames")
    by_id = {c.class_id: c for c in band.legend}
    for value in range(256):
        found = by_id.get(value)
        red, green, blue = found.rgb if found else (0, 0, 0)
        alpha = "255" if found else "0"
        ET.SubElement(table, "Entry", c1=str(red), c2=str(green), c3=str(blue), c4=alpha)
    for value in range(max(by_id) + 1):
        ET.SubElement(names, "Category").text = by_id[value].name if value in by_id else ""
    return element


def _add_source(band: ET.Element, piece: MosaicPiece, number: int, output: Window) -> None:
    shown = piece.window.intersect(output)
    if shown.size_px == 0:
        return
    source = ET.SubElement(band, "SimpleSource")
    ET.SubElement(source, "SourceFilename", relativeToVRT="0").text = str(piece.path)
    ET.SubElement(source, "SourceBand").text = str(number)
    # Size and type given here spare GDAL from opening every piece at once.
    ET.SubElement(
        source,
        "SourceProperties",
        RasterXSize=str(piece.window.width),
        RasterYSize=str(piece.window.height),
        DataType="Byte",
        BlockXSize="512",
        BlockYSize="512",
    )
    for tag, outer in (("SrcRect", piece.window), ("DstRect", output)):
        ET.SubElement(
            source,
            tag,
            xOff=str(shown.col_off - outer.col_off),
            yOff=str(shown.row_off - outer.row_off),
            xSize=str(shown.width),
            ySize=str(shown.height),
        )


def write_cog(
    vrt_text: str, path: Path, *, overviews: Literal["MODE", "AVERAGE"], threads: int
) -> None:
    """Write the raster that a VRT shows as a COG at ``path``.

    DEFLATE has level 5 for classes, where the next one takes three times as long for a tenth
    of the size, and level 1 for averaged layers, which are noise to it.

    The same VRT pixels give the same bytes, whatever pieces they come from. Class names
    go to ``path`` + ``.aux.xml``, where GDAL keeps them. The finished file is read again.

    Raises:
        OutputError: The file cannot be written, or does not hold what was written.
    """
    vrt = path.with_suffix(".vrt")
    try:
        vrt.write_text(vrt_text, encoding="utf-8")
        with (
            gdal_env(
                CPL_TMPDIR=str(path.parent),
                GDAL_NUM_THREADS=threads,
                # Overviews lie beside the file for a moment; to compress them there takes a
                # quarter of the whole time.
                COG_TMP_COMPRESSION="NONE",
            ),
            _quiet_where_space_is_short(vrt),
        ):
            rasterio.shutil.copy(
                str(vrt),
                str(path),
                driver="COG",
                COMPRESS="DEFLATE",
                LEVEL="5" if overviews == "MODE" else "1",
                BLOCKSIZE="512",
                OVERVIEWS="IGNORE_EXISTING",
                OVERVIEW_RESAMPLING=overviews,
                BIGTIFF="IF_SAFER",
                NUM_THREADS=str(threads),
            )
    except GDAL_ERRORS as error:
        msg = f"cannot write {path}: {tidy_message(error)}"
        raise OutputError(msg, hint=DISK_HINT) from error
    finally:
        vrt.unlink(missing_ok=True)
    require_whole(path, threads=threads)
    if "<CategoryNames>" in vrt_text:
        _require_names(path.with_name(f"{path.name}.aux.xml"))


def _require_names(sidecar: Path) -> None:
    """Check that the file of class names is there to its end."""
    try:
        whole = sidecar.read_bytes().rstrip().endswith(b"</PAMDataset>")
    except OSError:
        whole = False
    if not whole:
        msg = f"cannot write {sidecar}: it does not hold what was written"
        raise OutputError(msg, hint=DISK_HINT)


@contextmanager
def _quiet_where_space_is_short(vrt: Path) -> Iterator[None]:
    """Silence what libtiff prints, past GDAL, for every write that a full disk refuses.

    There may be thousands of them. The process has one stderr for all of its threads, so it
    is left alone where even an uncompressed file with overviews, made twice, would fit.
    """
    with rasterio.open(vrt) as dataset:
        raw_bytes = dataset.count * dataset.height * dataset.width
    if shutil.disk_usage(vrt.parent).free > 3 * raw_bytes + 1_000_000:
        yield
        return
    with _stderr_guard:
        kept = os.dup(2)
        try:
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
