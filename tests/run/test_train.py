"""Training from files to a model folder that maps."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

pytest.importorskip("torch")

from geoseg.errors import (
    GeosegError,
    MismatchError,
    ModelError,
    OptionError,
    RunInterruptedError,
)
from geoseg.model.card import read_card
from geoseg.model.network import build_network, network_stride_px
from geoseg.options import EvaluateOptions, RunOptions, TrainOptions
from geoseg.run.evaluate import evaluate
from geoseg.run.pipeline import run
from geoseg.run.train import train
from geoseg.run.train_blocks import prepare_blocks
from geoseg.run.train_labels import label_reader
from geoseg.run.train_pairs import find_pairs
from geoseg.run.train_plan import make_train_plan
from geoseg.training.chips import PreparedBlocks

SIDE = 640


@pytest.fixture(scope="module", autouse=True)
def _one_halo_image() -> Iterator[None]:
    """One image of a quarter of a megapixel tells a halo that nobody relies on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("geoseg.run.train_halo._IMAGES", 1)
        patch.setattr("geoseg.model.halo._CORE_PX", 128)
        patch.setattr("geoseg.model.halo._LARGEST_HALO_PX", 128)
        yield


QUICK = {
    "steps": 20, "batch_size": 2, "chip_px": 64, "threads": 1, "precision": "fp32",
    "device": "cpu", "strength": 0.2,
}  # fmt: skip


def blobs(seed: int, side: int = SIDE) -> np.ndarray:
    """(side, side) of 0 and 1 in patches of 40 px."""
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(0, 2, (side // 40, side // 40)), np.ones((40, 40), int))


def write_scene(
    path: Path, classes: np.ndarray, *, gsd: float = 1.0, count: int = 3, dtype: str = "uint8",
    x: float = 500_000, crs: str | None = "EPSG:32633",
) -> Path:  # fmt: skip
    rng = np.random.default_rng(9)
    bands = [classes * 80 + 70 + rng.normal(0, 12, classes.shape) for _ in range(count)]
    high = 255 if dtype == "uint8" else 10_000
    values = np.clip(np.stack(bands) * (high / 255), 0, high).astype(dtype)
    profile = {"driver": "GTiff", "height": classes.shape[0], "width": classes.shape[1]}
    with rasterio.open(
        path, "w", **profile, count=count, dtype=dtype, crs=crs,
        transform=Affine(gsd, 0, x, 0, -gsd, 5_500_000),
    ) as target:  # fmt: skip
        target.write(values)
    return path


def write_labels(
    path: Path, classes: np.ndarray, *, gsd: float = 1.0, x: float = 500_000,
    crs: str | None = "EPSG:32633",
) -> Path:  # fmt: skip
    profile = {"driver": "GTiff", "height": classes.shape[0], "width": classes.shape[1]}
    with rasterio.open(
        path, "w", **profile, count=1, dtype="uint8", crs=crs, nodata=255,
        transform=Affine(gsd, 0, x, 0, -gsd, 5_500_000),
    ) as target:  # fmt: skip
        target.write(classes.astype(np.uint8), 1)
    return path


def write_polygons(
    path: Path, classes: np.ndarray, names: tuple[str, ...], *, crs: str = "EPSG:32633"
) -> Path:
    """Squares of 40 px as polygons, every third left out."""
    rows = []
    for row in range(0, classes.shape[0], 40):
        for col in range(0, classes.shape[1], 40):
            if (row + col) // 40 % 3 == 2:
                continue
            box = shapely.box(
                500_000 + col, 5_500_000 - row - 40, 500_000 + col + 40, 5_500_000 - row
            )
            rows.append((names[int(classes[row, col])], box))
    frame = geopandas.GeoDataFrame(
        {"class": [r[0] for r in rows]}, geometry=[r[1] for r in rows], crs="EPSG:32633"
    )
    frame.to_crs(crs).to_file(path)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained for a moment on one scene and its class raster."""
    folder = tmp_path_factory.mktemp("trained")
    classes = blobs(1)
    train(
        TrainOptions(
            data=(str(write_scene(folder / "scene.tif", classes)),),
            labels=(str(write_labels(folder / "labels.tif", classes * 7 + 2)),),
            out=folder / "model",
            classes="2:field:#d9c9a3,9:wood:#4e8f3a",
            **{**QUICK, "steps": 60, "batch_size": 4},
        )
    )
    return folder / "model"


def test_the_folder_holds_card_weights_report_and_numbers(trained: Path) -> None:
    card = read_card(trained)
    assert sorted(p.name for p in trained.iterdir()) == [
        "card.json", "labels.onnx", "model.safetensors", "report.html", "scores.onnx",
        "training.json",
    ]  # fmt: skip
    assert [(c.class_id, c.name) for c in card.legend] == [(2, "field"), (9, "wood")]
    assert card.bands == ("red", "green", "blue")
    assert card.gsd_m == pytest.approx(1, abs=0.01)
    assert card.value_range == (0, 255)
    accuracy = card.facts["accuracy"]
    assert set(accuracy) == {"validation blocks", "test blocks"}
    assert accuracy["test blocks"]["mean_iou"] > 0.9
    assert card.facts["training"]["data_sha256"]
    assert card.halo_px > 0
    numbers = json.loads((trained / "training.json").read_text())
    assert len(numbers["curve"]) > 10
    page = (trained / "report.html").read_text()
    assert page.count('aria-label="Reliability diagram"') == 2  # validation and test
    assert page.count("data:image/png;base64,") >= 3


def test_the_model_maps_another_scene_at_once(trained: Path, tmp_path: Path) -> None:
    classes = blobs(2)
    scene = write_scene(tmp_path / "other.tif", classes)
    out = tmp_path / "map"
    run(RunOptions(scene=str(scene), model=str(trained), out=out, formats=()))
    labels = write_labels(tmp_path / "truth.tif", classes * 7 + 2)
    found = evaluate(EvaluateOptions(maps=(str(out),), references=(str(labels),)))
    assert found.evaluation.scores.mean_iou > 0.9


def test_rare_classes_are_found_more_often_if_asked_for(tmp_path: Path) -> None:
    """A class that shows as little as noise would: seldom the likeliest, and there."""
    rng = np.random.default_rng(4)
    classes = ((blobs(3) == 1) & (rng.uniform(size=(SIDE, SIDE)) < 0.4)).astype(np.uint8)
    scene, labels = write_scene(tmp_path / "s.tif", blobs(3)), tmp_path / "l.tif"
    write_labels(labels, classes)
    found = {}
    for decide in ("likeliest", "iou"):
        options = TrainOptions(
            data=(str(scene),), labels=(str(labels),), out=tmp_path / decide, decide=decide,
            loss="ce", block_px=128, **{**QUICK, "steps": 60, "batch_size": 4},
        )  # fmt: skip
        result = train(options)
        found[decide] = result.accuracy["validation"].scores
        told = result.card.facts["training"].get("decide_iou")
        assert (told is None) == (decide == "likeliest")
        page = (tmp_path / decide / "report.html").read_text()
        assert ("scores shifted by" in page) == (decide == "iou")
    assert told is not None
    assert max(map(abs, told["offsets"].values())) > 0
    assert told["validation_mean_iou_without"] == pytest.approx(
        found["likeliest"].mean_iou, abs=0.01
    )
    assert found["iou"].mean_iou > found["likeliest"].mean_iou
    assert found["iou"].classes[1].recall > found["likeliest"].classes[1].recall + 0.2


def test_a_stopped_training_goes_on_to_the_same_model(tmp_path: Path) -> None:
    classes = blobs(3)
    scene = write_scene(tmp_path / "scene.tif", classes)
    labels = write_labels(tmp_path / "labels.tif", classes)

    def options(name: str) -> TrainOptions:
        return TrainOptions(
            data=(str(scene),), labels=(str(labels),), out=tmp_path / name, name="x", **QUICK
        )

    def stop(event: object) -> None:
        if getattr(event, "kind", "") == "batch" and event.step == 13:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    train(options("whole"))
    with pytest.raises(RunInterruptedError):
        train(options("parts"), stop)
    assert not (tmp_path / "parts").exists()
    steps = []
    train(options("parts"), lambda e: steps.append(e.step) if e.kind == "batch" else None)
    assert steps[0] == 14
    one, other = (tmp_path / name / "model.safetensors" for name in ("whole", "parts"))
    assert one.read_bytes() == other.read_bytes()
    assert not (tmp_path / ".parts.geoseg").exists()


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".shp", ".parquet"])
def test_polygons_in_another_crs_are_burnt_where_they_lie(tmp_path: Path, suffix: str) -> None:
    classes = blobs(4)
    scene = write_scene(tmp_path / "scene.tif", classes)
    path = tmp_path / f"labels{suffix}"
    frame = geopandas.read_file(
        write_polygons(tmp_path / "l.gpkg", classes, ("field", "wood"), crs="EPSG:4326")
    )
    frame.to_parquet(path) if suffix == ".parquet" else frame.to_file(path)
    options = TrainOptions(data=(str(scene),), labels=(str(path),), out=tmp_path / "m")
    plan = make_train_plan(options)
    assert [c.name for c in plan.legend] == ["field", "wood"]
    source = plan.scenes[0].labels
    with label_reader(source, plan.legend, None, overlap=False) as read:
        found = read(source.grid.window)
    rows, cols = np.indices(classes.shape) // 40
    expected = np.where((rows + cols) % 3 == 2, 0, 1 << classes)
    assert np.array_equal(found, expected)


def test_polygons_train(tmp_path: Path) -> None:
    classes = blobs(4)
    scene = write_scene(tmp_path / "scene.tif", classes)
    path = write_polygons(tmp_path / "l.gpkg", classes, ("field", "wood"))
    made = train(TrainOptions(data=(str(scene),), labels=(str(path),), out=tmp_path / "m", **QUICK))
    assert [c.name for c in made.card.legend] == ["field", "wood"]
    px = json.loads((tmp_path / "m" / "training.json").read_text())["training"]
    assert sum(px["blocks"].values()) >= 25


def test_outlines_train_with_a_background(tmp_path: Path) -> None:
    """Nodata of the scene stays unknown; card, report and numbers tell of the background."""
    classes = blobs(4)
    scene = write_scene(tmp_path / "scene.tif", classes)
    with rasterio.open(scene, "r+") as target:
        pixels = target.read()
        pixels[:, :, :90] = 0
        target.write(pixels)
        target.nodata = 0
    path = write_polygons(tmp_path / "l.gpkg", classes, ("field", "wood"))
    frame = geopandas.read_file(path)
    frame[frame["class"] == "wood"].to_file(path)
    options = TrainOptions(data=(str(scene),), labels=(str(path),), out=tmp_path / "m",
                           background="other", **QUICK)  # fmt: skip
    made = train(options)
    assert [c.name for c in made.card.legend] == ["wood", "other"]
    assert made.card.facts["training_data"][0]["background"] == "other"
    numbers = json.loads((tmp_path / "m" / "training.json").read_text())
    assert numbers["identity"]["options"]["background"] == "other"
    assert numbers["identity"]["pairs"][0][-1] == "other"
    assert "unlabelled ground" in (tmp_path / "m" / "report.html").read_text()
    (tmp_path / "g").mkdir()
    blocks, _ = prepare_blocks(make_train_plan(options), tmp_path / "g", lambda *_: None)
    assert (blocks.labels[~blocks.valid] == 0).all()
    assert not blocks.valid.all()
    assert set(np.unique(blocks.labels)) == {0, 1, 2}


def test_a_folder_a_list_and_fine_tuning(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ground"
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    for seed, name, x in ((5, "a", 500_000), (6, "b", 510_000)):
        classes = blobs(seed)
        write_scene(folder / "images" / f"{name}.tif", classes, x=x)
        write_labels(folder / "labels" / f"{name}.tif", classes * 7 + 2, x=x)
    options = {**QUICK, "steps": 10, "start": str(trained)}
    made = train(TrainOptions(data=(str(folder),), out=tmp_path / "one", **options))
    assert len(made.card.facts["training_data"]) == 2
    assert made.card.facts["training"]["start"]["name"] == "model"
    assert made.accuracy["validation"].scores.mean_iou > 0.9  # ten batches after the other model
    with (tmp_path / "pairs.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("image", "labels", "split", "weight", "match"))
        rows.writerow(("ground/images/a.tif", "ground/labels/a.tif", "train", 2, ""))
        rows.writerow(("ground/images/b.tif", "ground/labels/b.tif", "validation", "", "2=field"))
    made = train(TrainOptions(data=(str(tmp_path / "pairs.csv"),), out=tmp_path / "two", **options))
    assert set(made.accuracy) == {"validation"}


def test_a_folder_of_photographs_is_found(tmp_path: Path) -> None:
    for name in ("images/a.jpg", "images/b.JPEG", "images/c.tif", "labels/a.png", "labels/b.gpkg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    pairs = find_pairs(TrainOptions(data=(str(tmp_path),), out=tmp_path / "m"))
    found = [(Path(pair.image).name, Path(pair.labels).name) for pair in pairs]
    assert found == [("a.jpg", "a.png"), ("b.JPEG", "b.gpkg")]


def test_many_bands_of_16_bits_and_a_coarser_model(tmp_path: Path) -> None:
    classes = blobs(7)
    scene = write_scene(tmp_path / "s.tif", classes, gsd=0.5, count=5, dtype="uint16")
    labels = write_labels(tmp_path / "l.tif", classes, gsd=0.5)
    made = train(
        TrainOptions(data=(str(scene),), labels=(str(labels),), out=tmp_path / "m", gsd_m=1.0,
                     arch="fcn", encoder="resnet18", loss="focal+dice",
                     class_weights="balanced", **QUICK)
    )  # fmt: skip
    card = made.card
    assert len(card.bands) == 5
    assert card.gsd_m == 1.0
    assert card.network.architecture == "fcn"
    assert 5000 < card.value_range[1] < 12_000
    result = run(
        RunOptions(scene=str(scene), model=str(made.folder), out=tmp_path / "o", formats=())
    )
    assert sum(share.px_count for share in result.classes) == classes.size


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"encoder_depth": 4, "decoder_channels": (96, 64, 32, 16)}),
        ({"encoder": "resnet18"}, {}),
        ({"encoder": "resnet18", "encoder_depth": 3},
         {"encoder_depth": 3, "decoder_channels": (64, 32, 16)}),
        ({"encoder_depth": 4}, {"encoder_depth": 4, "decoder_channels": (128, 64, 32, 16)}),
        ({"arch": "linknet", "encoder": "resnet18", "encoder_depth": 4}, {"encoder_depth": 4}),
        ({"encoder_depth": 4, "decoder_channels": (24, 16, 16, 8)},
         {"encoder_depth": 4, "decoder_channels": (24, 16, 16, 8)}),
    ],
)  # fmt: skip
def test_depth_and_decoder_make_the_network(
    tmp_path: Path, changes: dict[str, object], expected: dict[str, object]
) -> None:
    plan = make_train_plan(_pair(tmp_path, **changes))
    assert dict(plan.network.arguments) == expected
    network = build_network(plan.network, 3)
    assert network_stride_px(network) == 2 ** int(expected.get("encoder_depth", 5))


def test_classes_that_overlap_are_judged_one_by_one(tmp_path: Path) -> None:
    """Roofs in all of the bright patches, panels on some of the roofs: every panel is roof."""
    classes = blobs(8)
    scene = write_scene(tmp_path / "s.tif", classes)
    names, boxes = [], []
    for row in range(0, SIDE, 40):
        for col in range(0, SIDE, 40):
            left, top = 500_000 + col, 5_500_000 - row
            whole = shapely.box(left, top - 40, left + 40, top)
            names.append("roof" if classes[row, col] else "ground")
            boxes.append(whole)
            if classes[row, col]:
                names.append("panel")
                boxes.append(shapely.box(left + 8, top - 32, left + 32, top - 8))
    frame = geopandas.GeoDataFrame({"class": names}, geometry=boxes, crs="EPSG:32633")
    frame.to_file(tmp_path / "l.gpkg")
    options = {**QUICK, "steps": 60, "batch_size": 4, "loss": "bce", "match": "ground=-"}
    made = train(
        TrainOptions(data=(str(scene),), labels=(str(tmp_path / "l.gpkg"),), out=tmp_path / "b",
                     **options)
    )  # fmt: skip
    assert made.card.activation == "sigmoid"
    assert [c.name for c in made.card.legend] == ["panel", "roof"]
    assert set(made.accuracy) == {
        "validation: panel", "validation: roof", "test: panel", "test: roof"
    }  # fmt: skip
    roof = made.accuracy["test: roof"]
    assert roof.class_names == ("not roof", "roof")
    assert (roof.scores.classes[1].iou or 0) > 0.8
    # Panels lie on roofs, so three in eight of the roofs' pixels carry both.
    px = json.loads((tmp_path / "b" / "training.json").read_text())
    assert px["looks"][-1]["class_iou"][1] > 0.8


def test_a_float_scene_with_a_collar_trains(tmp_path: Path) -> None:
    classes = blobs(11)
    rng = np.random.default_rng(2)
    values = (classes * 6.0 - 24 + rng.normal(0, 1, classes.shape)).astype(np.float32)
    values[:, :90], values[:60] = np.nan, -9999
    path = tmp_path / "radar.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=SIDE, width=SIDE, count=1, dtype="float32",
        nodata=-9999, crs="EPSG:32633", transform=Affine(1, 0, 500_000, 0, -1, 5_500_000),
    ) as target:  # fmt: skip
        target.write(values, 1)
    labels = write_labels(tmp_path / "l.tif", classes)
    made = train(TrainOptions(data=(str(path),), labels=(str(labels),), out=tmp_path / "m",
                              **{**QUICK, "steps": 40}))  # fmt: skip
    low, high = made.card.value_range
    assert -32 < low < -24
    assert -18 < high < -10
    assert abs(made.card.scaling[0].offset + 21) < 1
    assert 2 < made.card.scaling[0].divisor < 4
    assert made.accuracy["validation"].scores.mean_iou > 0.85


def test_scenes_on_the_same_ground_go_to_one_part(tmp_path: Path) -> None:
    classes = blobs(12)
    paths, labels = [], []
    for name, x, part in (("a", 500_000, classes), ("b", 500_256, np.roll(classes, -256, axis=1))):
        paths.append(str(write_scene(tmp_path / f"{name}.tif", part, x=x)))
        labels.append(str(write_labels(tmp_path / f"{name}_l.tif", part, x=x)))
    options = TrainOptions(
        data=tuple(paths), labels=tuple(labels), out=tmp_path / "m", block_px=128
    )
    plan = make_train_plan(options)
    folder = tmp_path / "ground"
    folder.mkdir()
    blocks, _ = prepare_blocks(plan, folder, lambda *_: None)
    stored = json.loads((folder / "blocks.json").read_text())
    ground: dict[tuple[int, int], set[int]] = {}
    for (scene, row, col), part in zip(stored["places"], blocks.part.tolist(), strict=True):
        ground.setdefault((row, col + 2 * scene), set()).add(part)
    assert all(len(parts) == 1 for parts in ground.values())
    assert len(ground) < len(stored["places"])
    assert set(blocks.part.tolist()) == {0, 1, 2}


def _shares(folder: Path, options: TrainOptions) -> tuple[PreparedBlocks, list[list[int]]]:
    """Return the prepared ground and the places of its blocks."""
    folder.mkdir()
    blocks, _ = prepare_blocks(make_train_plan(options), folder, lambda *_: None)
    return blocks, json.loads((folder / "blocks.json").read_text())["places"]


def test_no_training_pixel_is_near_other_ground_of_the_next_sheet(tmp_path: Path) -> None:
    classes = blobs(12)
    for name, x in (("west", 500_000), ("east", 500_640)):
        write_scene(tmp_path / f"{name}.tif", classes, x=x)
        write_labels(tmp_path / f"{name}_l.tif", classes, x=x)
    listing = tmp_path / "pairs.csv"
    listing.write_text(
        "image,labels,split\nwest.tif,west_l.tif,train\neast.tif,east_l.tif,validation\n"
    )
    blocks, places = _shares(
        tmp_path / "g", TrainOptions(data=(str(listing),), out=tmp_path / "m", block_px=128)
    )
    last = [k for k, (scene, _, col) in enumerate(places) if scene == 0 and col == 4]
    assert len(last) == 5
    margin = blocks.margin_px
    core = blocks.labels[last, margin:-margin, margin:-margin]
    assert (core[:, :, 96:] == 0).all()
    assert (core[:, :, :96] != 0).all()


def test_one_scene_without_a_crs_hides_no_common_ground(tmp_path: Path) -> None:
    classes = blobs(12)
    for name, crs in (("a", "EPSG:32633"), ("b", "EPSG:32633"), ("c", None)):
        write_scene(tmp_path / f"{name}.tif", classes, crs=crs)
        write_labels(tmp_path / f"{name}_l.tif", classes, crs=crs)
    rows = [("a", "a_l", "train"), ("b", "b_l", "test"), ("c", "c_l", "validation")]
    listing = tmp_path / "pairs.csv"

    def told() -> TrainOptions:
        lines = (f"{image}.tif,{labels}.tif,{part}" for image, labels, part in rows)
        listing.write_text("image,labels,split\n" + "\n".join(lines) + "\n")
        return TrainOptions(data=(str(listing),), out=tmp_path / "m", block_px=128)

    with pytest.raises(OptionError, match="shares ground"):
        _shares(tmp_path / "g", told())
    # A scene that is listed twice is the same ground, with a CRS or without.
    rows = [("a", "a_l", "validation"), ("c", "c_l", "train"), ("c", "c_l", "test")]
    with pytest.raises(OptionError, match="shares ground"):
        _shares(tmp_path / "h", told())


def test_ground_of_a_stopped_reading_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = blobs(12)
    scene = write_scene(tmp_path / "a.tif", classes)
    labels = write_labels(tmp_path / "l.tif", classes)
    plan = make_train_plan(
        TrainOptions(data=(str(scene),), labels=(str(labels),), out=tmp_path / "m")
    )
    folder = tmp_path / "ground"
    folder.mkdir()

    def stop(done: int, _: int) -> None:
        if done > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_blocks(plan, folder, stop)

    def disk(_: Path) -> SimpleNamespace:
        used = sum(path.stat().st_size for path in folder.iterdir())
        return SimpleNamespace(free=2**29 + 10_000_000 - used)

    monkeypatch.setattr("geoseg.run.train_blocks.shutil.disk_usage", disk)
    blocks, _ = prepare_blocks(plan, folder, lambda *_: None)
    assert blocks.pixels.nbytes + blocks.valid.nbytes + blocks.labels.nbytes > 5_000_000


def _pair(folder: Path, **changes: object) -> TrainOptions:
    classes = blobs(1)
    scene = folder / "scene.tif"
    if not scene.exists():
        write_scene(scene, classes)
        write_labels(folder / "labels.tif", classes)
        write_scene(folder / "sixteen.tif", classes, dtype="uint16")
        write_labels(folder / "far.tif", classes, x=900_000)
        write_labels(folder / "off.tif", classes, x=500_000.4)
        write_labels(folder / "one.tif", np.zeros_like(classes))
        write_labels(folder / "none.tif", np.full_like(classes, 255))
        few = np.full_like(classes, 255)
        few[10:20, 10:20] = classes[10:20, 10:20]
        few[10:12, 10:12] = 1 - classes[10, 10]
        write_labels(folder / "few.tif", few)
        write_polygons(folder / "odd.gpkg", classes, ("field", "sky"))
        frame = geopandas.read_file(folder / "odd.gpkg")
        frame.assign(**{"class": None}).to_file(folder / "unsaid.gpkg")
        away = frame.to_crs("EPSG:4326").translate(5)
        frame.set_geometry(away, crs="EPSG:4326").to_file(folder / "away.gpkg")
        geopandas.GeoDataFrame(
            {"class": ["a"]}, geometry=[shapely.Point(500_010, 5_499_990)], crs="EPSG:32633"
        ).to_file(folder / "points.gpkg")
        geopandas.GeoDataFrame(
            {"class": ["a"]}, geometry=[shapely.Polygon()], crs="EPSG:32633"
        ).to_file(folder / "empty.gpkg")
    fields: dict[str, object] = {
        "data": (str(scene),), "labels": (str(folder / "labels.tif"),), "out": folder / "m", **QUICK
    }  # fmt: skip
    for name, value in changes.items():
        files = value if isinstance(value, tuple) else (value,)
        is_file = name in {"labels", "data"} and value
        fields[name] = tuple(str(folder / str(f)) for f in files) if is_file else value
    return TrainOptions(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"labels": "far.tif"}, MismatchError, "no label of .*far.tif lies on"),
        ({"labels": "off.tif"}, MismatchError, "a part of a pixel off"),
        ({"labels": "one.tif"}, OptionError, "one class only"),
        ({"labels": "none.tif"}, MismatchError, "no label of"),
        ({"labels": "few.tif"}, OptionError, "too few"),
        ({"labels": "away.gpkg"}, MismatchError, "no label of .*away.gpkg lies on"),
        ({"labels": "unsaid.gpkg"}, OptionError, "none of the 171 shapes .* in 'class'"),
        ({"gsd_m": 0.001}, MismatchError, "pixels of 1 m, the model would have 0.001 m"),
        ({"labels": "points.gpkg"}, OptionError, "found points in the labels"),
        ({"labels": "empty.gpkg"}, OptionError, "found nothing in the labels"),
        ({"chip_px": 1024}, OptionError, "--chip-px 1024 is too large for ground in blocks"),
        ({"labels": "missing.tif"}, GeosegError, "missing.tif"),
        ({"labels": ""}, OptionError, "comes without labels"),
        ({"labels": "odd.gpkg", "classes": "0:field:#111111,1:wood:#222222"}, MismatchError,
         "'sky' in the labels .*odd.gpkg is no class of the legend"),
        ({"title": "a\tb"}, ModelError, "control characters"),
        ({"start": "aerial-landcover", "labels": "labels.tif", "data": ("sixteen.tif",)},
         MismatchError, "expects 0 to 255"),
        ({"chip_px": 100}, OptionError, "no multiple of the network's stride"),
        ({"encoder": "resnet9000"}, GeosegError, "cannot build unet"),
        ({"encoder_depth": 3, "decoder_channels": (8, 8)}, GeosegError, "cannot build unet"),
        ({"start": "nothing-there"}, GeosegError, "there is no model"),
        ({"bands": ("9",)}, GeosegError, "no band '9'"),
        ({"device": "cuda:77"}, OptionError, "no device"),
        ({"match": "0=a|nowhere,1=b", "classes": "0:a:#111111,1:b:#222222"}, MismatchError,
         "nowhere"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_one_line(
    tmp_path: Path, changes: dict[str, object], error: type[GeosegError], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        train(_pair(tmp_path, **changes))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "m").exists()
    left = [p.name for p in tmp_path.glob(".m*") if any(p.rglob("*.npy"))]
    assert left == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"block_px": 200}, "no multiple of 128"),
        ({"bands": ("1", "1")}, "names a band twice"),
        ({"decide": "best"}, "--decide is 'best', expected likeliest, iou"),
        ({"loss": "bce", "decide": "iou"}, "--decide iou weighs classes"),
        ({"loss": "dice", "class_weights": "balanced"}, "--class-weights weigh"),
        ({"start": "aerial-landcover", "arch": "fpn"}, "brings its own network"),
        ({"start": "aerial-landcover", "encoder_depth": 4}, "brings its own network"),
        ({"arch": "fpn", "decoder_channels": (64, 32)}, "--decoder is for unet"),
        ({"decoder_channels": (64, 0)}, "--decoder must be numbers"),
        ({"split": (float("nan"), 0.5, 0.5)}, "--split .* got nan,50,50"),
        ({"weight_decay": float("nan")}, "--weight-decay"),
        ({"chip_px": 1_000_000}, "--chip-px must be at most"),
        ({"scale": 0.5}, "--scale"),
        ({"strength": 9.0}, "--strength"),
        ({"arch": "gpt"}, "--arch"),
        ({"learning_rate": 0.0}, "--rate"),
        ({"data": ()}, "nothing to train on"),
    ],
)
def test_options_that_cannot_be_right(changes: dict[str, object], says: str) -> None:
    fields: dict[str, object] = {"data": ("a.tif",), "out": Path("m"), **changes}
    with pytest.raises(OptionError, match=says):
        TrainOptions(**fields)  # type: ignore[arg-type]


def test_labels_are_read_as_people_write_them(tmp_path: Path) -> None:
    """Case, numbers as targets, spaces, several classes, 255 as text."""
    classes = blobs(1)
    scene = write_scene(tmp_path / "s.tif", classes)
    boxes = [
        shapely.box(500_000 + 40 * k, 5_499_900, 500_040 + 40 * k, 5_499_990) for k in range(6)
    ]
    names = ["Forest", "forest", "7", "255", "wet | wood", "odd"]
    frame = geopandas.GeoDataFrame({"class": names}, geometry=boxes, crs="EPSG:32633")
    frame.to_file(tmp_path / "l.gpkg")
    plan = make_train_plan(
        TrainOptions(data=(str(scene),), labels=(str(tmp_path / "l.gpkg"),), out=tmp_path / "m",
                     match="odd=Forest | 9")
    )  # fmt: skip
    found = {c.class_id: c.name for c in plan.legend}
    assert found == {0: "Forest", 1: "wet | wood", 7: "class 7", 9: "class 9"}
    source = plan.scenes[0].labels
    with label_reader(source, plan.legend, plan.options.match, overlap=False) as read:
        row = read(source.grid.window)[50, 20::40][:6].tolist()
    assert row == [1, 1, 4, 0, 2, 9]


def test_a_model_folder_stays_unless_told(trained: Path) -> None:
    with pytest.raises(GeosegError, match="exists already"):
        train(_pair(trained.parent, out=trained))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("image;labels\na.tif;b.tif\n", "no column|needs image"),
        ("image,labels,split\na.tif,b.tif,dev\n", "split is 'dev'"),
        ("image,labels,weight\na.tif,b.tif,-1\n", "weight is '-1'"),
        ("", "lists no pairs"),
        ("image,labels,match\na.tif,b.tif,1=x,2=y\n", "more fields than"),
    ],
)
def test_lists_that_say_nothing_are_one_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(OptionError, match=says):
        train(TrainOptions(data=(str(tmp_path / "list.csv"),), out=tmp_path / "m"))
