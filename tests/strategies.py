"""Hypothesis strategies for grids, tilings, legends and cards."""

from __future__ import annotations

import math

from affine import Affine
from hypothesis import strategies as st

from geoseg.grid.pixel_grid import PixelGrid
from geoseg.grid.tiling import Tiling
from geoseg.grid.window import Window
from geoseg.legend import Legend, LegendClass
from geoseg.model.card import BandScaling, ModelCard, NetworkSpec

sizes = st.integers(1, 400)


@st.composite
def windows(draw: st.DrawFn, reach: int = 200) -> Window:
    """Windows anywhere, empty ones included."""
    offset, size = st.integers(-reach, reach), st.integers(0, reach)
    return Window(draw(offset), draw(offset), draw(size), draw(size))


@st.composite
def tilings(draw: st.DrawFn, max_size: int = 400) -> Tiling:
    """Any valid tiling, cores larger than the grid included."""
    stride = draw(st.sampled_from([1, 2, 8, 16, 32]))
    multiples = st.integers(1, 8)
    return Tiling(
        height=draw(st.integers(1, max_size)),
        width=draw(st.integers(1, max_size)),
        core_height_px=stride * draw(multiples),
        core_width_px=stride * draw(multiples),
        halo_px=stride * draw(st.integers(0, 4)),
        stride_px=stride,
        block_rows=draw(st.integers(1, 5)),
        block_cols=draw(st.integers(1, 5)),
    )


@st.composite
def transforms(draw: st.DrawFn) -> Affine:
    """North-up, south-up, mirrored, anisotropic and rotated transforms."""
    size = st.floats(1e-4, 100)
    flip = st.sampled_from([-1, 1])
    angle = draw(st.sampled_from([0, 0, 17, 45, 90, 233]))
    origin = st.floats(-1e6, 1e6)
    return (
        Affine.translation(draw(origin), draw(origin))
        @ Affine.rotation(angle)
        @ Affine.scale(draw(size) * draw(flip), draw(size) * draw(flip))
    )


@st.composite
def pixel_grids(draw: st.DrawFn) -> PixelGrid:
    """Grids without a CRS (arithmetic only)."""
    return PixelGrid(
        crs_wkt=None, transform=draw(transforms()), height=draw(sizes), width=draw(sizes)
    )


names = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=12
)
colours = st.from_regex(r"#[0-9a-f]{6}", fullmatch=True)


@st.composite
def legends(draw: st.DrawFn, n_classes: int | None = None) -> Legend:
    """Legends with scattered ids, names of any script, any nodata id."""
    count = draw(st.integers(2, 6)) if n_classes is None else n_classes
    ids = draw(st.lists(st.integers(0, 254), min_size=count, max_size=count, unique=True))
    called = draw(st.lists(names, min_size=count, max_size=count, unique=True))
    nodata = draw(st.integers(0, 255).filter(lambda n: n not in ids))
    return Legend(
        classes=tuple(
            LegendClass(class_id=i, name=n, colour=draw(colours), description=f"all of {n}")
            for i, n in zip(ids, called, strict=True)
        ),
        nodata_id=nodata,
    )


finite = st.floats(-1e6, 1e6, allow_nan=False).map(lambda v: round(v, 6))
positive = st.floats(1e-3, 1e6).map(lambda v: max(round(v, 6), 1e-3))


@st.composite
def cards(draw: st.DrawFn) -> ModelCard:
    """Any card that is right in itself."""
    bands = draw(st.lists(names, min_size=1, max_size=6, unique=True))
    legend = draw(legends())
    low = draw(finite)
    gsd = draw(st.none() | positive)
    n_outputs = 1 if len(legend) == 2 and draw(st.booleans()) else len(legend)
    return ModelCard(
        name=draw(names),
        title=draw(names),
        description=draw(
            st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=30)
        ),
        network=NetworkSpec(
            architecture="unet",
            encoder="resnet18",
            arguments=(("decoder_channels", (16, 8)), ("encoder_depth", 2)),
            n_outputs=n_outputs,
        ),
        bands=tuple(bands),
        scaling=tuple(BandScaling(offset=draw(finite), divisor=draw(positive)) for _ in bands),
        value_range=(low, low + draw(positive)),
        gsd_m=gsd,
        gsd_range_m=None if gsd is None else (gsd / 2, gsd * 2),
        legend=legend,
        stride_px=draw(st.sampled_from([1, 8, 32])),
        halo_px=32 * draw(st.integers(0, 8)),
        stitch=draw(st.sampled_from(["crop", "blend"])),
        weights_file="model.safetensors",
        weights_sha256=draw(st.from_regex(r"[0-9a-f]{64}", fullmatch=True)),
        weights_bytes=draw(st.integers(1, 1 << 40)),
        n_parameters=draw(st.integers(0, 1 << 40)),
        activation_bytes_per_px=draw(positive),
        bf16_agreement=draw(st.none() | st.floats(0, 1)),
        temperature=draw(positive),
        license=draw(st.sampled_from(["Apache-2.0", "CC-BY-4.0", "other"])),
        facts={"accuracy": {"miou": draw(st.floats(0, 1))}, "limits": ["none", None, True]},
    )


def close(a: float, b: float, *, rel: float = 1e-9) -> bool:
    return math.isclose(a, b, rel_tol=rel, abs_tol=1e-9)
