"""From scene to class raster with predictors whose answers are known exactly."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geoseg.errors import OutOfDeviceMemoryError
from geoseg.grid.blend import blend_weights
from geoseg.grid.window import Window
from geoseg.model.card import BandScaling
from geoseg.model.predictor import labels_from_scores
from geoseg.options import RunOptions
from geoseg.raster.read import SceneReader
from geoseg.run.block import read_block
from geoseg.run.device_limits import DeviceLimits
from geoseg.run.forward import Forward, Stopwatch
from geoseg.run.pipeline import RunResult, run
from geoseg.run.plan import make_plan
from tests.fakes import (
    BoxFilterPredictor,
    IdentityPredictor,
    Recorder,
    SmallDevicePredictor,
    WindowMeanPredictor,
    card_of,
    legend_of,
)
from tests.scenes import NORTH_UP, UTM, read_back, texture, write_scene

pytestmark = pytest.mark.usefixtures("inline")
Model = Callable[..., str]


def mapped(folder: Path, scene: Path, model: str, **options: Any) -> RunResult:
    folder.mkdir(parents=True, exist_ok=True)
    chosen = {"formats": (), "workers": 2, "out": folder / "out", "overwrite": True, **options}
    return run(RunOptions(scene=str(scene), model=model, **chosen))


def layers(result: RunResult) -> tuple[np.ndarray, np.ndarray]:
    return read_back(result.files["classes"]), read_back(result.files["confidence"])


def digests(result: RunResult) -> dict[str, str]:
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in result.files.items()
        if name not in ("item", "run")
    }


def untiled(
    predictor: BoxFilterPredictor, pixels: np.ndarray, valid: np.ndarray, fill: float = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The whole scene through the model at once, mirrored beyond its edges."""
    r = predictor.radius
    plane = np.where(valid, pixels, np.asarray(fill, pixels.dtype))
    mode = {"mode": "reflect"} if min(plane.shape) > 1 else {"mode": "symmetric"}
    padded = np.pad(plane, r, **mode) if r else plane
    if r and min(plane.shape) == 1:  # one row or column: repeat it, mirror the other axis
        from geoseg.grid.padding import reflect_index

        rows, cols = (reflect_index(-r, n + 2 * r, n) for n in plane.shape)
        padded = plane[np.ix_(rows, cols)]
    channel, confidence = predictor.labels(padded[None, None], r)
    return np.where(valid, channel[0], 255), np.where(valid, confidence[0], 255)


# Identity -------------------------------------------------------------------------------


@pytest.mark.parametrize("nodata", [None, 0, 3])
@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "int32", "float32", "float64"]
)
def test_reading_identity_and_writing_give_the_scene_back(
    tmp_path: Path, fake_model: Model, dtype: str, nodata: float | None
) -> None:
    values = np.random.default_rng(0).integers(0, 6, (1, 71, 93)).astype(dtype)
    scene = write_scene(tmp_path / "a.tif", values, nodata=nodata)
    model = fake_model(IdentityPredictor((1, 2, 3, 4, 5)), card_of(6))
    result = mapped(tmp_path, scene, model, window_px=32, block_px=40)
    classes, confidence = layers(result)
    valid = np.ones((71, 93), bool) if nodata is None else values[0] != nodata
    np.testing.assert_array_equal(classes, np.where(valid, values[0].astype(int), 255))
    np.testing.assert_array_equal(confidence, np.where(valid, 188, 255))  # round(.75 * 250)
    with rasterio.open(scene) as source, rasterio.open(result.files["classes"]) as target:
        assert target.crs == source.crs
        assert target.transform == source.transform
        assert target.shape == source.shape
        assert target.nodata == 255
    assert result.totals.valid_px == valid.sum()
    counted = {s.class_id: s.px_count for s in result.classes}
    assert counted == {i: int(((values[0] == i) & valid).sum()) for i in range(6)}


def test_nan_alpha_and_masks_are_nodata_in_the_map(tmp_path: Path, fake_model: Model) -> None:
    values = np.full((1, 40, 50), 4.0, np.float32)
    values[0, :, 10:20] = np.nan
    values[0, 5, :] = np.inf
    mask = np.ones((40, 50), bool)
    mask[30:] = False
    scene = write_scene(tmp_path / "a.tif", values, mask=mask)
    model = fake_model(IdentityPredictor((3,)), card_of(2))
    classes, _ = layers(mapped(tmp_path, scene, model))
    np.testing.assert_array_equal(classes, np.where(mask & np.isfinite(values[0]), 1, 255))


@pytest.mark.parametrize("rule", ["any", "all"])
def test_the_nodata_rule(tmp_path: Path, fake_model: Model, rule: str) -> None:
    pixels = texture((30, 40), bands=3, low=1)
    pixels[0, :10] = 0
    pixels[:, 20:] = 0
    scene = write_scene(tmp_path / "a.tif", pixels, nodata=0)
    card = card_of(
        2, bands=("red", "green", "blue"), scaling=(BandScaling(offset=0, divisor=1),) * 3
    )
    model = fake_model(IdentityPredictor((0,)), card)
    classes, _ = layers(mapped(tmp_path, scene, model, nodata_rule=rule))
    invalid = (pixels == 0).any(axis=0) if rule == "any" else (pixels == 0).all(axis=0)
    np.testing.assert_array_equal(classes == 255, invalid)


def test_ids_and_nodata_are_the_legends(tmp_path: Path, fake_model: Model) -> None:
    values = np.array([[[0, 1, 2, 9]]], np.uint8)
    scene = write_scene(tmp_path / "a.tif", values, nodata=9)
    legend = legend_of(3, nodata_id=0, first=10)
    model = fake_model(IdentityPredictor((1, 2)), card_of(3, legend=legend))
    result = mapped(tmp_path, scene, model)
    assert read_back(result.files["classes"]).tolist() == [[10, 11, 12, 0]]
    with rasterio.open(result.files["classes"]) as dataset:
        assert dataset.nodata == 0


@pytest.mark.parametrize(
    "transform",
    [
        Affine.translation(5e5, 4e6) @ Affine.rotation(25) @ Affine.scale(0.5, -0.7),
        Affine(0.5, 0, 5e5, 0, 0.5, 4e6),
        Affine(-0.5, 0, 5e5, 0, -0.5, 4e6),
    ],
    ids=["rotated", "south-up", "mirrored"],
)
def test_unusual_transforms_are_kept(tmp_path: Path, fake_model: Model, transform: Affine) -> None:
    values = texture((40, 30), bands=1)
    scene = write_scene(tmp_path / "a.tif", values, transform=transform)
    model = fake_model(IdentityPredictor((128,)), card_of(2))
    result = mapped(tmp_path, scene, model)
    with rasterio.open(result.files["classes"]) as dataset:
        assert dataset.transform.almost_equals(transform, 1e-9)
        np.testing.assert_array_equal(dataset.read(1), values[0] >= 128)


def test_value_range_stretches_the_scene_onto_the_models(tmp_path: Path, fake_model: Model) -> None:
    values = np.array([[[0, 500, 1000, 2000, 3000, 4000]]], np.uint16)
    scene = write_scene(tmp_path / "a.tif", values)
    recorder = Recorder(IdentityPredictor((128,)))
    model = fake_model(recorder, card_of(2))
    classes, _ = layers(mapped(tmp_path, scene, model, value_range=(1000.0, 3000.0)))
    assert classes.tolist() == [[0, 0, 0, 0, 1, 1]]  # 2000 -> 127.5
    seen = np.unique(np.concatenate([b.ravel() for b in recorder.batches]))
    np.testing.assert_allclose(seen, [0, 127.5, 255])


# Seams ----------------------------------------------------------------------------------


@settings(max_examples=20)
@given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    radius=st.integers(0, 5),
    more=st.integers(0, 4),
    core=st.integers(1, 50),
    block=st.integers(1, 120),
    batch=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
@example(shape=(1, 1), radius=3, more=0, core=5, block=9, batch=2, seed=0)
@example(shape=(33, 32), radius=2, more=0, core=32, block=32, batch=1, seed=0)
@example(shape=(3, 90), radius=5, more=0, core=7, block=7, batch=3, seed=0)
def test_tiled_equals_untiled_exactly(
    tmp_path_factory: pytest.TempPathFactory,
    fake_model: Model,
    inline: Callable[[int], None],
    *,
    shape: tuple[int, int],
    radius: int,
    more: int,
    core: int,
    block: int,
    batch: int,
    seed: int,
) -> None:
    folder = tmp_path_factory.mktemp("seams")
    pixels = texture(shape, bands=1, seed=seed % 1000, low=1)
    hole = np.random.default_rng(seed).random(shape) < 0.05
    pixels[0, hole] = 0
    scene = write_scene(folder / "a.tif", pixels, nodata=0)
    predictor = BoxFilterPredictor(radius)
    model = fake_model(predictor, card_of(3, halo_px=radius))
    inline(seed)
    halo = radius + more
    result = mapped(
        folder, scene, model, halo_px=halo, window_px=core + 2 * halo, block_px=block,
        batch_size=batch,
    )  # fmt: skip
    classes, confidence = layers(result)
    expected = untiled(predictor, pixels[0], ~hole)
    np.testing.assert_array_equal(classes, expected[0])
    np.testing.assert_array_equal(confidence, expected[1])


def test_windows_shrink_to_the_pixels_that_matter(tmp_path: Path, fake_model: Model) -> None:
    """At a slanted edge of nodata, quarters of a core that hold nothing are not computed."""
    radius, core = 4, 80
    pixels = texture((160, 160), bands=1, low=1)
    row, col = np.indices((160, 160))
    pixels[0, row + col >= 100] = 0
    scene = write_scene(tmp_path / "a.tif", pixels, nodata=0)
    predictor = BoxFilterPredictor(radius)
    recorder = Recorder(predictor)
    model = fake_model(recorder, card_of(3, halo_px=radius))
    whole, quarter = core + 2 * radius, core // 4 + 2 * radius
    result = mapped(tmp_path, scene, model, window_px=whole, batch_size=1)
    expected = untiled(predictor, pixels[0], pixels[0] > 0)
    np.testing.assert_array_equal(layers(result), expected)
    # The first core whole, a corner of the two beside it, nothing of the fourth.
    sides = sorted(batch.shape[2:] for batch in recorder.batches)
    assert sides == [(quarter, quarter)] * 2 + [(whole, whole)]
    forwarded_px = sum(batch[0, 0].size for batch in recorder.batches)
    assert json.loads(result.files["run"].read_text())["forwarded_px"] == forwarded_px


def test_a_halo_below_the_radius_shows(tmp_path: Path, fake_model: Model) -> None:
    """The seam test can fail: one pixel less than needed changes pixels, at seams only."""
    pixels = texture((80, 80), bands=1, low=1)
    scene = write_scene(tmp_path / "a.tif", pixels)
    predictor = BoxFilterPredictor(4)
    model = fake_model(predictor, card_of(3, halo_px=4))
    expected = untiled(predictor, pixels[0], np.ones((80, 80), bool))[1]
    wrong = {}
    for halo in (3, 4):
        result = mapped(tmp_path, scene, model, halo_px=halo, window_px=20 + 2 * halo)
        wrong[halo] = layers(result)[1] != expected
    assert wrong[3].mean() > 0.01
    assert not wrong[4].any()
    inner = np.arange(80) % 20
    far = (inner >= 4) & (inner < 16)
    assert not wrong[3][np.ix_(far, far)].any()


def test_a_halo_below_the_cards_is_announced(tmp_path: Path, fake_model: Model) -> None:
    scene = write_scene(tmp_path / "a.tif", texture((20, 20), bands=1))
    model = fake_model(BoxFilterPredictor(4), card_of(3, halo_px=4))
    options = RunOptions(scene=str(scene), model=model, out=tmp_path / "o")
    assert make_plan(options).warnings == ()
    low = make_plan(replace(options, halo_px=3)).warnings
    assert len(low) == 1
    assert "halo of 3 px" in low[0]


@pytest.mark.parametrize("stitch", ["crop", "blend"])
@pytest.mark.parametrize("gsd_m", [None, 0.75, 0.17], ids=["same", "coarser", "finer"])
def test_blocks_batches_workers_and_order_do_not_change_a_byte(
    tmp_path: Path,
    fake_model: Model,
    inline: Callable[[int], None],
    stitch: str,
    gsd_m: float | None,
) -> None:
    pixels = texture((80, 90), bands=1, low=1)
    pixels[0, :30, :50] = 0
    scene = write_scene(tmp_path / "a.tif", pixels, nodata=0)
    card = card_of(2, halo_px=6, gsd_m=gsd_m, stitch=stitch)
    model = fake_model(WindowMeanPredictor(), card)
    found = []
    for number, more in enumerate(
        (
            {"block_px": 500},
            {"block_px": 1, "batch_size": 3},
            {"block_px": 60, "workers": 5, "batch_size": 2},
            {"block_px": 90, "workers": 1},
            {},
        )
    ):
        inline(number)
        result = mapped(
            tmp_path / str(number),
            scene,
            model,
            window_px=40,
            formats=("gpkg",),
            scores=True,
            **more,
        )
        found.append(digests(result))
        assert set(found[-1]) == {"classes", "confidence", "scores", "polygons_gpkg", "style"}
    assert all(other == found[0] for other in found[1:])


def test_seam_layer_does_not_depend_on_blocks(tmp_path: Path, fake_model: Model) -> None:
    scene = write_scene(tmp_path / "a.tif", texture((100, 110), bands=1))
    model = fake_model(WindowMeanPredictor(), card_of(2, halo_px=6))
    results = [
        mapped(tmp_path / str(b), scene, model, window_px=40, seams=True, block_px=b)
        for b in (1, 60, 500)
    ]
    assert len({digests(r)["seams"] for r in results}) == 1
    shares = {r.totals.seam_disagreement for r in results}
    assert len(shares) == 1
    assert 0 < shares.pop() < 0.5
    exact = fake_model(IdentityPredictor((128,)), card_of(2, halo_px=6))
    calm = mapped(tmp_path / "calm", scene, exact, window_px=40, seams=True)
    assert calm.totals.seam_disagreement == 0


# Blending -------------------------------------------------------------------------------


@settings(max_examples=10)
@given(
    shape=st.tuples(st.integers(1, 80), st.integers(1, 80)),
    halo=st.integers(0, 9),
    core=st.integers(1, 30),
    block=st.integers(1, 100),
)
def test_blending_is_the_weighted_mean_over_the_whole_scene(
    tmp_path_factory: pytest.TempPathFactory,
    fake_model: Model,
    shape: tuple[int, int],
    halo: int,
    core: int,
    block: int,
) -> None:
    folder = tmp_path_factory.mktemp("blend")
    pixels = texture(shape, bands=1)
    scene = write_scene(folder / "a.tif", pixels)
    predictor = WindowMeanPredictor()
    model = fake_model(predictor, card_of(2, halo_px=halo, stitch="blend"))
    options = {"window_px": core + 2 * halo, "block_px": block}
    classes, confidence = layers(mapped(folder, scene, model, **options))
    plan = make_plan(RunOptions(scene=str(scene), model=model, **options))
    expected = blended(plan.tiling, predictor, pixels[0])
    np.testing.assert_array_equal(classes, expected[0])
    np.testing.assert_array_equal(confidence, expected[1])


def blended(tiling: Any, predictor: Any, plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every window of the scene, one by one, into one array of weighted scores."""
    from geoseg.grid.padding import reflect_index

    grid = Window(0, 0, *plane.shape)
    total = np.zeros((2, *plane.shape), np.float32)
    weights = np.zeros(plane.shape, np.float32)
    each = blend_weights(*tiling.window_shape, tiling.halo_px)
    for r in range(tiling.core_counts[0]):
        for c in range(tiling.core_counts[1]):
            window = Window(
                r * tiling.core_height_px - tiling.halo_px,
                c * tiling.core_width_px - tiling.halo_px,
                *tiling.window_shape,
            )
            rows = reflect_index(window.row_off, window.height, plane.shape[0])
            cols = reflect_index(window.col_off, window.width, plane.shape[1])
            scores = predictor.scores(plane[np.ix_(rows, cols)][None, None])[0]
            shared = window.intersect(grid)
            if shared.size_px:
                source, target = shared.within(window), shared.within(grid)
                total[(slice(None), *target)] += scores[(slice(None), *source)] * each[source]
                weights[target] += each[source]
    labels = labels_from_scores((total / weights)[None])
    return labels.channel[0], labels.confidence[0]


# Resampling -----------------------------------------------------------------------------


def dense(taps_of: str, n_out: int, n_in: int, step: float) -> np.ndarray:
    """Weights (output, input) from the definition, in float64."""
    weights = np.zeros((n_out, n_in))
    for k in range(n_out):
        if taps_of == "area":
            low, high = k * step, min((k + 1) * step, n_in)
            for i in range(n_in):
                weights[k, i] = max(0.0, min(i + 1, high) - max(i, low))
        else:
            centre = np.clip((k + 0.5) * step - 0.5, 0, n_in - 1)
            low = int(np.floor(centre))
            weights[k, low] += 1 - (centre - low)
            weights[k, min(low + 1, n_in - 1)] += centre - low
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("stitch", ["crop", "blend"])
@pytest.mark.parametrize(
    ("width_m", "height_m"),
    [(0.3, 0.3), (0.1, 0.1), (0.13, 0.37), (0.6, 0.2), (1.1, 0.9)],
)
def test_resampled_runs_equal_the_definition(
    tmp_path: Path, fake_model: Model, stitch: str, width_m: float, height_m: float
) -> None:
    pixels = texture((50, 70), bands=1)
    transform = Affine(width_m, 0, 321_000, 0, -height_m, 4_158_000)
    scene = write_scene(tmp_path / "a.tif", pixels, transform=transform)
    model = fake_model(
        IdentityPredictor((90, 150)), card_of(3, gsd_m=0.45, halo_px=4, stitch=stitch)
    )
    found = [mapped(tmp_path / str(b), scene, model, window_px=28, block_px=b) for b in (20, 1000)]
    assert len({digests(r)["classes"] for r in found}) == 1
    assert len({digests(r)["confidence"] for r in found}) == 1
    with rasterio.open(found[0].files["classes"]) as dataset:
        assert dataset.transform == transform
        assert dataset.shape == (50, 70)
    scale = make_plan(RunOptions(scene=str(scene), model=model)).scale
    assert scale.row_step == pytest.approx(0.45 / height_m, rel=2e-3)
    assert scale.col_step == pytest.approx(0.45 / width_m, rel=2e-3)
    sides = []
    for n, m, step in (
        (50, scale.model_height, scale.row_step),
        (70, scale.model_width, scale.col_step),
    ):
        to_model = dense("area" if step > 1 else "linear", m, n, step)
        sides.append((to_model, dense("linear", n, m, 1 / step)))
    (down, up), (across, back) = sides
    seen = down @ pixels[0].astype(float) @ across.T
    scores = IdentityPredictor((90, 150)).scores(seen[None, None])[0].astype(float)
    scores = np.stack([up @ plane @ back.T for plane in scores])
    ranked = np.sort(scores, axis=0)
    clear = ranked[-1] - ranked[-2] > 1e-3
    # A model pixel within rounding of a threshold may fall on either side.
    near = np.minimum(np.abs(seen - 90), np.abs(seen - 150)) < 1e-3
    clear &= (up @ near.astype(float) @ back.T) == 0
    assert clear.mean() > 0.95
    np.testing.assert_array_equal(layers(found[0])[0][clear], scores.argmax(axis=0)[clear])


def test_nodata_survives_resampling_pixel_for_pixel(tmp_path: Path, fake_model: Model) -> None:
    pixels = texture((90, 110), bands=1, low=1)
    hole = np.random.default_rng(2).random((90, 110)) < 0.3
    pixels[0, hole] = 0
    pixels[0, 40:60] = 0
    scene = write_scene(tmp_path / "a.tif", pixels, nodata=0)
    model = fake_model(IdentityPredictor((90,)), card_of(2, gsd_m=0.9, halo_px=4))
    classes, confidence = layers(mapped(tmp_path, scene, model, window_px=20))
    np.testing.assert_array_equal(classes == 255, pixels[0] == 0)
    np.testing.assert_array_equal(confidence == 255, pixels[0] == 0)


def test_a_collar_is_reported_and_taken_out(tmp_path: Path, fake_model: Model) -> None:
    """White around the image, and white roofs in it: all bands count, one does not."""
    pixels = texture((60, 70), bands=3, low=1, high=250)
    pixels[:, :, 50:] = 255
    pixels[1, 10:20, 10:20] = 255
    scene = write_scene(tmp_path / "a.tif", pixels)
    card = card_of(2, bands=("a", "b", "c"), scaling=(BandScaling(offset=0.0, divisor=1.0),) * 3)
    model = fake_model(IdentityPredictor((128,)), card)
    bands = ("1", "2", "3")
    plain = RunOptions(scene=str(scene), model=model, out=tmp_path / "o", bands=bands)
    (warning,) = make_plan(plain).warnings
    assert "29 % of the sampled pixels are 255 in every band" in warning
    assert "--nodata 255" in warning
    told = replace(plain, nodata=255.0)
    assert make_plan(told).warnings == ()
    assert make_plan(told).digest != make_plan(plain).digest
    result = mapped(tmp_path, scene, model, nodata=255.0, bands=bands)
    classes, confidence = layers(result)
    collar = np.arange(70) >= 50
    np.testing.assert_array_equal(classes == 255, np.broadcast_to(collar, (60, 70)))
    np.testing.assert_array_equal(confidence == 255, classes == 255)
    assert json.loads(result.files["run"].read_text())["parameters"]["nodata"] == 255


# What is forwarded, and what never is ---------------------------------------------------


@pytest.mark.parametrize("gsd_m", [None, 0.5])
def test_nodata_never_reaches_the_model(
    tmp_path: Path, fake_model: Model, gsd_m: float | None
) -> None:
    pixels = texture((60, 70), bands=2, low=100, high=140).astype(np.int16)
    pixels[:, np.random.default_rng(0).random((60, 70)) < 0.2] = -32768
    pixels[:, :20, :20] = -32768  # a model pixel is nodata where all pixels below it are
    scene = write_scene(tmp_path / "a.tif", pixels, nodata=-32768)
    recorder = Recorder(IdentityPredictor((120,)))
    scaling = (BandScaling(offset=117.0, divisor=9.0), BandScaling(offset=123.0, divisor=9.0))
    card = card_of(2, bands=("a", "b"), scaling=scaling, halo_px=3, gsd_m=gsd_m)
    model = fake_model(recorder, card)
    mapped(tmp_path, scene, model, window_px=30, bands=("1", "2"))
    for band, offset in ((0, 117.0), (1, 123.0)):
        seen = np.concatenate([b[:, band].ravel() for b in recorder.batches])
        assert seen.min() >= 100
        assert seen.max() <= 140
        assert (seen == offset).mean() > 0.05, "nodata stands as the card's offset"


def test_windows_without_valid_pixels_are_not_forwarded(tmp_path: Path, fake_model: Model) -> None:
    pixels = np.zeros((1, 100, 100), np.uint8)
    pixels[0, 45:55, 65:70] = 7  # cores of 20 px: rows 2, column 3
    scene = write_scene(tmp_path / "a.tif", pixels, nodata=0)
    recorder = Recorder(IdentityPredictor((5,)))
    model = fake_model(recorder, card_of(2, halo_px=5))
    result = mapped(tmp_path, scene, model, window_px=30, block_px=20)
    assert recorder.windows == result.totals.windows == 1
    assert result.totals.empty_blocks == 24
    assert (layers(result)[0] != 255).sum() == 50


def test_every_forward_pass_of_a_run_has_one_shape(tmp_path: Path, fake_model: Model) -> None:
    scene = write_scene(tmp_path / "a.tif", texture((60, 140), bands=1))
    recorder = Recorder(IdentityPredictor((90,)))
    model = fake_model(recorder, card_of(2, halo_px=5))
    mapped(tmp_path, scene, model, window_px=30, block_px=45, batch_size=4)
    assert len(recorder.shapes) == 1
    assert recorder.batches[0].shape[0] == 4


def test_windows_at_the_edges_are_cut_and_their_batches_filled(
    tmp_path: Path, fake_model: Model
) -> None:
    scene = write_scene(tmp_path / "a.tif", texture((67, 143), bands=1))
    recorder = Recorder(IdentityPredictor((90,)))
    model = fake_model(recorder, card_of(2, halo_px=5))
    mapped(tmp_path, scene, model, window_px=30, block_px=45, batch_size=4)
    # Cores of 17 x 18 px: the last row has 16 rows, the last column 17 columns.
    assert {shape[0] for shape in recorder.shapes} == {4}
    assert {shape[2:] for shape in recorder.shapes} <= {(r, c) for r in (26, 27) for c in (27, 28)}
    assert len(recorder.shapes) > 1


@pytest.mark.parametrize(("name", "part"), [("cpu", (6, 6)), ("cuda:0", (5, 10))])
def test_a_gpu_takes_fewer_shapes(
    tmp_path: Path, fake_model: Model, name: str, part: tuple[int, int]
) -> None:
    """Of a core of 20 px five rows and six columns are wanted: parts have two pixels, or five."""
    scene = write_scene(tmp_path / "a.tif", texture((40, 40), bands=1))
    recorder = Recorder(IdentityPredictor((90,)))
    options = RunOptions(
        scene=str(scene), model=fake_model(recorder, card_of(2, halo_px=3)), window_px=26,
        block_px=20, out=tmp_path / "out",
    )  # fmt: skip
    plan = make_plan(options)
    other = replace(plan, device=replace(plan.device, name=name))
    block = next(iter(plan.blocks()))
    with SceneReader(plan.scene, plan.bands, plan.nodata_rule) as reader:
        found = read_block(other, block, reader)
    assert found is not None
    wanted = np.zeros((20, 20), bool)
    wanted[:5, :6] = True
    limits, watch = DeviceLimits(1), Stopwatch()
    Forward(other, block, found[0], recorder, limits, watch, lambda: False).run(wanted)
    assert recorder.batches[0].shape[2:] == (part[0] + 6, part[1] + 6)
    assert other.parts_per_core == (16 if name == "cpu" else 4)
    assert (plan.digest == other.digest) == (name == "cpu")


def test_a_window_that_was_asked_for_is_not_cut_once_more(
    tmp_path: Path, fake_model: Model
) -> None:
    """Nor do workers, batches and blocks change what is cut."""
    scene = write_scene(tmp_path / "a.tif", texture((60, 60), bands=1))
    model = fake_model(IdentityPredictor((90,)), card_of(2, halo_px=2))
    base = RunOptions(scene=str(scene), model=model, out=tmp_path / "out")

    def cores(**options: Any) -> tuple[int, int]:
        tiling = make_plan(replace(base, **options)).tiling
        return tiling.core_height_px, tiling.core_width_px

    assert cores(window_px=24) == (20, 20)
    usual = cores()
    for options in ({"workers": 1}, {"workers": 7}, {"batch_size": 3}, {"block_px": 10}):
        assert cores(**options) == usual


def test_all_nodata_is_an_empty_map(tmp_path: Path, fake_model: Model) -> None:
    scene = write_scene(tmp_path / "a.tif", np.zeros((1, 50, 60), np.uint8), nodata=0)
    recorder = Recorder(IdentityPredictor((5,)))
    model = fake_model(recorder, card_of(2))
    result = mapped(tmp_path, scene, model, formats=("gpkg",))
    assert not recorder.batches
    assert (layers(result)[0] == 255).all()
    assert result.n_polygons == 0
    assert sum(s.share for s in result.classes) == 0


# Area of interest -----------------------------------------------------------------------


def full_and_aoi(
    tmp_path: Path, fake_model: Model, aoi: str, **options: Any
) -> tuple[np.ndarray, RunResult, Recorder]:
    pixels = texture((120, 150), bands=1, low=1)
    scene = write_scene(tmp_path / "a.tif", pixels, transform=options.pop("transform", NORTH_UP))
    recorder = Recorder(BoxFilterPredictor(3))
    model = fake_model(recorder, card_of(3, halo_px=3))
    settings_ = {"window_px": 26, "block_px": 40, **options}
    whole = layers(mapped(tmp_path / "whole", scene, model, **settings_))[0]
    recorder.batches.clear()
    part = mapped(tmp_path / "part", scene, model, aoi=aoi, **settings_)
    return whole, part, recorder


def box_text(row: float, col: float, row_end: float, col_end: float) -> str:
    left, top = NORTH_UP @ (col, row)
    right, bottom = NORTH_UP @ (col_end, row_end)
    return f"{left!r},{bottom!r},{right!r},{top!r}"


@pytest.mark.parametrize(
    ("box", "window"),
    [
        ((30, 40, 70, 90), Window(30, 40, 40, 50)),
        ((30.4, 40.6, 69.6, 89.4), Window(30, 40, 40, 50)),
        ((-50, -50, 10, 10), Window(0, 0, 10, 10)),
        ((119, 149, 500, 500), Window(119, 149, 1, 1)),
        ((-9, -9, 500, 500), Window(0, 0, 120, 150)),
    ],
)
def test_a_box_gives_the_full_result_there_on_whole_pixels(
    tmp_path: Path, fake_model: Model, box: tuple[float, ...], window: Window
) -> None:
    whole, part, recorder = full_and_aoi(tmp_path, fake_model, box_text(*box))
    with rasterio.open(part.files["classes"]) as dataset:
        found = dataset.read(1)
        assert dataset.transform.almost_equals(
            NORTH_UP @ Affine.translation(window.col_off, window.row_off), 1e-6
        )
    assert found.shape == window.shape
    rows, cols = np.mgrid[window.row_off : window.row_end, window.col_off : window.col_end] + 0.5
    inside = (rows > box[0]) & (rows < box[2]) & (cols > box[1]) & (cols < box[3])
    full = whole[window.within(Window(0, 0, 120, 150))]
    np.testing.assert_array_equal(found, np.where(inside, full, 255))
    cores = (window.row_end - 1) // 20 - window.row_off // 20 + 1
    cores *= (window.col_end - 1) // 19 - window.col_off // 19 + 2
    assert 0 < recorder.windows <= max(cores, 1) * 4


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326", "EPSG:3857"])
def test_polygons_with_holes_in_any_crs(tmp_path: Path, fake_model: Model, crs: str) -> None:
    import geopandas
    from shapely.geometry import Polygon, box

    def ring(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return [NORTH_UP @ (c, r) for r, c in points]

    ell = Polygon(
        ring([(10, 10), (10, 100), (60, 100), (60, 60), (100, 60), (100, 10)]),
        [ring([(20, 20), (40, 20), (40, 50), (20, 50)])],
    )
    far = box(*(NORTH_UP @ (120, 110)), *(NORTH_UP @ (140, 118)))
    frame = geopandas.GeoDataFrame(geometry=[ell, far], crs=UTM).to_crs(crs)
    path = tmp_path / "관심 지역.gpkg"
    frame.to_file(path)
    whole, part, recorder = full_and_aoi(tmp_path, fake_model, str(path))
    from rasterio.features import geometry_mask

    with rasterio.open(part.files["classes"]) as dataset:
        found, transform = dataset.read(1), dataset.transform
    col, row = (round(v) for v in ~NORTH_UP @ (transform.c, transform.f))
    inside = geometry_mask([ell, far], found.shape, transform, invert=True)
    full = whole[row : row + found.shape[0], col : col + found.shape[1]]
    wrong = found != np.where(inside, full, 255)
    assert wrong.sum() == 0 if crs == UTM else wrong.mean() < 2e-3
    assert 0.2 < (found != 255).mean() < 0.8
    assert recorder.windows < 45


def test_an_aoi_with_a_corner_of_one_block_forwards_only_its_windows(
    tmp_path: Path, fake_model: Model
) -> None:
    """One block may hold many windows: those outside the area are not forwarded."""
    _, _, recorder = full_and_aoi(tmp_path, fake_model, box_text(0, 0, 5, 5), block_px=1000)
    assert recorder.windows == 1
    # Three parts of the core, of two pixels each, and the halo.
    assert recorder.batches[0].shape[2:] == (6 + 6, 6 + 6)


@pytest.mark.parametrize("aoi", ["0,0,10,10", box_text(-50, -50, -10, -10)])
def test_an_aoi_outside_the_scene_is_refused(tmp_path: Path, fake_model: Model, aoi: str) -> None:
    from geoseg.errors import OptionError

    with pytest.raises(OptionError, match="outside the scene"):
        full_and_aoi(tmp_path, fake_model, aoi)


# Memory of the device -------------------------------------------------------------------


@pytest.mark.parametrize("stitch", ["crop", "blend"])
@pytest.mark.parametrize("room", [1, 2.5, 0.6, 0.3])
def test_out_of_memory_halves_batch_then_window_and_the_run_goes_on(
    tmp_path: Path, fake_model: Model, stitch: str, room: float
) -> None:
    pixels = texture((90, 100), bands=1, low=1)
    scene = write_scene(tmp_path / "a.tif", pixels)
    predictor = BoxFilterPredictor(3)
    window = 30 + 6
    small = SmallDevicePredictor(predictor, int(room * window * window))
    recorder = Recorder(small)
    model = fake_model(recorder, card_of(3, halo_px=3, stitch=stitch))
    result = mapped(tmp_path, scene, model, window_px=window, batch_size=4)
    classes, confidence = layers(result)
    expected = untiled(predictor, pixels[0], np.ones((90, 100), bool))
    assert small.refused
    if stitch == "crop":
        np.testing.assert_array_equal(classes, expected[0])
        np.testing.assert_array_equal(confidence, expected[1])
    else:
        inner = np.s_[8:-8, 8:-8]
        assert (classes[inner] == expected[0][inner]).mean() > 0.9
    # It learns: after the first refusals no batch is too large again.
    assert small.refused <= 5
    assert result.totals.windows <= recorder.windows - small.refused + 4


def test_a_device_too_small_for_the_smallest_window_is_an_error(
    tmp_path: Path, fake_model: Model
) -> None:
    scene = write_scene(tmp_path / "a.tif", texture((40, 40), bands=1))
    model = fake_model(SmallDevicePredictor(IdentityPredictor((9,)), 10), card_of(2, halo_px=3))
    with pytest.raises(OutOfDeviceMemoryError):
        mapped(tmp_path, scene, model)
