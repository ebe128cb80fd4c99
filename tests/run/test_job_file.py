"""The job file of a batch: complete, strict, and without secrets."""

from __future__ import annotations

import json
import typing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from geoseg.errors import OptionError
from geoseg.options import BatchOptions, ClusterOptions, RunOptions
from geoseg.run.batch import retry_options
from geoseg.run.job_file import (
    changed_options,
    job_values,
    read_job,
    selection_digest,
    write_job,
)
from tests.run.plain_root import PlainRoot

JOB = ".batch/job.json"
PLAIN = BatchOptions(sources=("a.tif",), out="maps", scene=RunOptions(scene=""))
FULL = BatchOptions(
    sources=("scenes/*.tif", "https://host/search?collections=s2&bbox=1,2,3,4&limit=100"),
    out="s3://maps/2026",
    scene=RunOptions(
        scene="", model="models/mine", bands=("3", "2", "1"), aoi="1,2,3,4", gsd_m=0.5,
        value_range=(0.0, 3000.0), nodata=0.0, nodata_rule="all", device="cuda:1",
        precision="bf16", backend="torch", stitch="blend", block_px=1024, window_px=512,
        halo_px=0, batch_size=4, workers=3, confidence=False, scores=True, seams=True,
        formats=("gpkg", "geojson"), min_area="16px", keep_raw=True, simplify="0.5m",
        simplify_method="visvalingam", smooth=True, dissolve=True, connectivity=8,
        crs="EPSG:4326", postgis="postgresql://me@db:5432,db2:5433/maps?sslmode=require",
        table="public.cover", overwrite=True,
    ),
    cluster=ClusterOptions(
        scheduler="slurm", slurm_config=Path("slurm.toml"), processes=2, threads=4,
        scratch=Path("scratch"), tls_ca=Path("ca"), tls_cert=Path("cert"), tls_key=Path("key"),
        name="maps",
    ),
    asset="visual", allow_roots=("scenes", "https://host/"), since="last", retries=0,
    max_failures=5, fail_fast=True, retry_failed=True, time_limit_s=3600.0,
    task_timeout_s=1800.0, metrics=Path("geoseg.prom"),
)  # fmt: skip


@pytest.mark.parametrize("options", [PLAIN, FULL], ids=["plain", "full"])
def test_a_job_is_read_as_it_was_written(tmp_path: Path, options: BatchOptions) -> None:
    root = PlainRoot(tmp_path)
    assert read_job(root) is None
    write_job(root, options)
    assert read_job(root, complete=True) == options


def test_the_full_job_leaves_no_field_at_its_default() -> None:
    for kind, value in (
        (BatchOptions, FULL),
        (ClusterOptions, FULL.cluster),
        (RunOptions, FULL.scene),
    ):
        for field in fields(kind):
            if field.name not in {"scene", "out"} or kind is BatchOptions:
                assert getattr(value, field.name) != field.default, field.name


def edited(root: PlainRoot, change: typing.Callable[[dict[str, Any]], object]) -> None:
    write_job(root, FULL)
    data = json.loads(root.read_text(JOB) or "")
    change(data)
    root.write_text(JOB, json.dumps(data))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(run="rm"), 'unknown field "run"'),
        (lambda d: d["scene"].update(b=1, a=2), 'unknown field "a"'),
        (lambda d: d["cluster"].update(x=1), 'unknown field "x"'),
        (lambda d: d.pop("sources"), "lacks the field 'sources'"),
        (lambda d: d.pop("version"), "version None, expected 1"),
        (lambda d: d.update(version=2), "version 2, expected 1"),
        (lambda d: d.update(sources="a.tif"), 'sources is "a.tif"'),
        (lambda d: d.update(sources=[1]), "sources is 1, expected a text"),
        (lambda d: d.update(retries=True), "retries is true, expected a whole number"),
        (lambda d: d.update(retries=1.5), "retries is 1.5, expected a whole number"),
        (lambda d: d.update(retries=-1), "--retries must not be negative"),
        (lambda d: d.update(fail_fast=1), "fail_fast is 1, expected true or false"),
        (lambda d: d.update(time_limit_s="1"), 'time_limit_s is "1", expected a number'),
        (lambda d: d.update(scene=None), "scene is null, expected an object"),
        (lambda d: d.update(scene=[]), "scene is [], expected an object"),
        (lambda d: d["scene"].update(connectivity=5), "connectivity is 5"),
        (lambda d: d["scene"].update(value_range=[1]), "value_range is [1]"),
        (lambda d: d["scene"].update(stitch={"a": 1}), 'stitch is {"a": 1}'),
        (lambda d: d["scene"].update(model="m" * 9999, bands=["x" * 9999, 1]), "bands is 1"),
        (lambda d: d["cluster"].update(slurm_config=1), "slurm_config is 1, expected a path"),
    ],
)
def test_a_job_that_cannot_be_is_refused_in_one_line(
    tmp_path: Path, change: typing.Callable[[dict[str, Any]], object], message: str
) -> None:
    root = PlainRoot(tmp_path)
    edited(root, change)
    with pytest.raises(OptionError) as caught:
        read_job(root)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "[" * 100_000], ids=len)
def test_a_damaged_job_is_refused(tmp_path: Path, text: str) -> None:
    root = PlainRoot(tmp_path)
    root.write_text(JOB, text)
    with pytest.raises(OptionError, match=r"job\.json of"):
        read_job(root)


def test_a_job_of_an_older_version_takes_the_defaults_of_new_fields(tmp_path: Path) -> None:
    root = PlainRoot(tmp_path)
    edited(root, lambda d: (d.pop("metrics"), d["scene"].pop("smooth")))
    found = read_job(root)
    assert found is not None
    assert (found.metrics, found.scene.smooth) == (None, False)


SECRET = "hunter2"


@pytest.mark.parametrize(
    "source",
    [
        f"https://me:{SECRET}@host/a.tif", f"https://{SECRET}@host/a.tif",
        f"https://host/a.tif?X-Amz-Credential={SECRET}&X-Amz-Signature={SECRET}",
        f"https://host/a.tif?sv=2024&sig={SECRET}", f"https://host/a.tif?{SECRET}",
        f"https://host/search?collections=s2&api_key={SECRET}",
        f"https://host/a.tif?se=1&SharedAccessKey={SECRET}",
        f"/vsicurl?url=https://host/a.tif&header.Authorization={SECRET}",
        f"https://me:{SECRET}/x@host/a.tif", f"https://[::1/{SECRET}",
    ],
)  # fmt: skip
def test_secrets_of_addresses_are_not_kept(tmp_path: Path, source: str) -> None:
    options = replace(PLAIN, sources=("a.tif", source))
    root = PlainRoot(tmp_path)
    write_job(root, options)
    assert SECRET not in (root.read_text(JOB) or "")
    assert job_values(options)["withheld"] == ["sources"]
    assert read_job(root) is not None  # enough to compare
    with pytest.raises(OptionError, match="does not hold all of \\['sources'\\]"):
        read_job(root, complete=True)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (f"postgresql://me:{SECRET}@db/maps", "postgresql://me@db/maps"),
        (f"postgresql://:{SECRET}@db/maps", "postgresql://@db/maps"),
        (f"postgresql://me:{SECRET}@h1:1,h2:2/maps", "postgresql://me@h1:1,h2:2/maps"),
        (f"postgresql://me:{SECRET}@[::1]:5432/maps", "postgresql://me@[::1]:5432/maps"),
        (f"postgresql://db/m?user=me&password={SECRET}", "postgresql://db/m?user=me"),
        (f"postgresql://db/m?sslpassword={SECRET}&a=b", "postgresql://db/m?a=b"),
        (f"postgresql://me:{SECRET}%40x@db/maps", "postgresql://me@db/maps"),
        (f"postgresql://me:x@{SECRET}@db/maps", "postgresql://me@db/maps"),
        ("postgresql:///maps", "postgresql:///maps"),
    ],
)
def test_a_database_keeps_its_user_and_loses_its_password(
    tmp_path: Path, given: str, kept: str
) -> None:
    root = PlainRoot(tmp_path)
    options = replace(PLAIN, scene=replace(PLAIN.scene, postgis=given))
    write_job(root, options)
    assert SECRET not in (root.read_text(JOB) or "")
    found = read_job(root, complete=True)  # libpq finds the password by itself
    assert found is not None
    assert found.scene.postgis == kept
    assert changed_options(found, options) == []


@pytest.mark.parametrize("password", ["pa/ss", "pa#ss", "pa?ss/", "1/x", "1?x"])
def test_a_password_that_cannot_be_told_apart_is_refused(tmp_path: Path, password: str) -> None:
    root = PlainRoot(tmp_path)
    scene = replace(PLAIN.scene, postgis=f"postgresql://me:{password}@db/maps")
    with pytest.raises(OptionError) as caught:
        write_job(root, replace(PLAIN, scene=scene))
    assert password not in str(caught.value)
    assert "PGPASSWORD" in str(caught.value.hint)
    assert root.read_text(JOB) is None


def test_what_decides_results_is_told_and_nothing_else() -> None:
    other = replace(PLAIN, scene=replace(FULL.scene, scene="x.tif", out=Path("y")), asset="visual")
    changed = changed_options(PLAIN, other)
    assert set(changed) == (
        {f.name for f in fields(RunOptions)} | {"asset"}
    ) - {"scene", "out", "block_px", "batch_size", "workers", "overwrite"}  # fmt: skip
    assert changed_options(replace(FULL, asset=None, scene=PLAIN.scene), PLAIN) == []
    assert changed_options(PLAIN, replace(PLAIN, asset="b")) == ["asset"]


def test_a_selection_is_the_same_with_a_new_signature() -> None:
    one, other, third = (
        replace(PLAIN, sources=tuple(s))
        for s in (
            ["b.tif", "https://host/a.json?sig=1"],
            ["https://host/a.json?sig=2", "b.tif"],
            ["https://host/b.json?sig=2", "b.tif"],
        )
    )
    assert selection_digest(one) == selection_digest(replace(other, retries=9, since="last"))
    assert selection_digest(one) != selection_digest(third)
    assert selection_digest(one) != selection_digest(replace(one, asset="visual"))


def test_a_retry_takes_no_database_from_the_record(tmp_path: Path) -> None:
    scene = replace(FULL.scene, postgis="postgresql://other@elsewhere/maps")
    write_job(PlainRoot(tmp_path), replace(FULL, scene=scene))
    with pytest.raises(OptionError, match="expected --postgis"):
        retry_options(str(tmp_path), ClusterOptions(), {})
    own = "postgresql://me@db/maps"
    found = retry_options(str(tmp_path), ClusterOptions(), {}, postgis=own)
    assert (found.scene.postgis, found.out) == (own, str(tmp_path))
