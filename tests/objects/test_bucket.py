"""Every operation on real servers, and what goes wrong with them."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from geoseg.errors import GeosegError, OptionError, OutputError
from geoseg.objects import bucket as bucket_module
from geoseg.objects import client as client_module
from geoseg.objects.bucket import Bucket, bucket_at, in_parallel
from geoseg.objects.client import s3_client
from geoseg.raster.scene import open_scene
from tests.buckets import fresh_bucket, use
from tests.ceph import ObjectStore
from tests.faulty_proxy import FaultyProxy
from tests.scenes import texture, write_scene

ROOT = Path(__file__).parents[2]
MIB = 1024 * 1024
server = pytest.mark.network


@pytest.fixture(params=["ceph", "moto"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    return fresh_bucket(monkeypatch, request.getfixturevalue(request.param))


def says(caught: pytest.ExceptionInfo[GeosegError], *secrets: str) -> str:
    """Return the message and the hint, which must be a line each and hold no secret."""
    text = f"{caught.value} {caught.value.hint}"
    assert caught.value.hint
    assert "\n" not in text
    for secret in (*secrets, "X-Amz", "Signature="):
        assert secret not in text
    return text


# Addresses ------------------------------------------------------------------------------


def test_an_address_is_a_value_that_travels() -> None:
    found = bucket_at("S3://maps/a/b/")
    assert found == Bucket("maps", "a/b")
    assert pickle.loads(pickle.dumps(found)) == found
    assert (found.address, found.child("c").address) == ("s3://maps/a/b", "s3://maps/a/b/c")
    assert bucket_at("s3://maps").address == "s3://maps"


@pytest.mark.parametrize(
    "address", ["maps/a", "s3://", "s3:///a", "s3://key:secret@maps/a", "s3://maps/a//b", "s3://m/../b"]
)  # fmt: skip
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(OptionError) as caught:
        bucket_at(address)
    assert "secret" not in str(caught.value)


def test_without_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3.session", None)
    monkeypatch.setattr(client_module, "_clients", {})
    with pytest.raises(OptionError) as caught:
        Bucket("maps").read("a")
    assert caught.value.hint == "pip install 'geoseg[s3]'"


# Operations -----------------------------------------------------------------------------


@server
def test_small_objects(place: Bucket) -> None:
    assert place.read("a") is None
    assert place.read_text("a") is None
    assert place.version("a") is None
    assert not place.exists("a")
    place.write("a", b"\xff\x00")
    place.write_text("folder/이름 + 1.html", "밤\n")
    assert place.read("a") == b"\xff\x00"
    assert place.read_text("folder/이름 + 1.html") == "밤\n"
    assert place.exists("a")
    found = place.version("a")
    assert found is not None
    assert found.body == b"\xff\x00"
    assert 0 <= found.age_s < 60
    with pytest.raises(OutputError, match="not UTF-8"):
        place.read_text("a")
    head = s3_client().head_object(Bucket=place.bucket, Key=f"{place.prefix}/folder/이름 + 1.html")
    assert head["ContentType"] == "text/html; charset=utf-8"


@server
def test_lists_are_whole_and_in_order(bucket: Bucket) -> None:
    place = bucket
    names = [f"pieces/{number:04d} +%/é.json" for number in range(1203)]
    in_parallel(lambda name: place.write(name, b"x" * 3), [*names, "pieces.json", "pieces/top"])
    place.child("beside").write("pieces/other", b"")
    found = list(place.objects("pieces/"))
    assert [o.name for o in found] == sorted([*names, "pieces/top"])
    assert {o.size_bytes for o in found} == {3}
    assert [o.name for o in place.objects("pieces/", after=names[1199])] == [
        *names[1200:], "pieces/top",
    ]  # fmt: skip
    assert place.names("pieces") == ["pieces/top"]
    assert place.names() == ["pieces.json"]
    assert place.names("nothing") == []
    place.delete([*names, "not there"])
    assert [o.name for o in place.objects()] == ["beside/pieces/other", "pieces.json", "pieces/top"]


@server
def test_files_small_and_large(
    place: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_module, "_PART_BYTES", 5 * MIB)
    for size in (0, 1000, 12 * MIB):
        path, back = tmp_path / "map.tif", tmp_path / "back.tif"
        path.write_bytes(os.urandom(size))
        place.upload(path, "up/map.tif")
        place.copy("up/map.tif", "copy/map.tif")
        for known in (None, size):
            back.write_bytes(b"older")
            place.download("copy/map.tif", back, size_bytes=known)
            assert back.read_bytes() == path.read_bytes()
        head = s3_client().head_object(Bucket=place.bucket, Key=f"{place.prefix}/copy/map.tif")
        assert head["ContentType"] == "image/tiff; application=geotiff"
        # A tag with a dash is one of parts: both really were sent and copied in parts.
        assert ("-" in head["ETag"]) == (size > 5 * MIB)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back.tif", "map.tif"]
    with pytest.raises(OutputError, match=r"nothing\.tif"):
        place.upload(tmp_path / "nothing.tif", "a")
    with pytest.raises(OutputError, match="nothing"):
        place.download("nothing", tmp_path / "a")
    with pytest.raises(OutputError, match="nothing"):
        place.copy("nothing", "b")
    with pytest.raises(OutputError, match="No such file"):
        place.download("copy/map.tif", tmp_path / "no folder" / "a", size_bytes=0)


@server
def test_conditions(place: Bucket) -> None:
    first = place.put_if_absent("lock", b"1")
    assert first is not None
    assert place.put_if_absent("lock", b"2") is None
    # The same bytes are those of a try whose answer was lost.
    assert place.put_if_absent("lock", b"1") == first
    second = place.put_if_match("lock", b"3", first)
    assert second not in {None, first}
    assert place.put_if_match("lock", b"4", first) is None
    assert place.put_if_match("lock", b"3", first) == second
    assert place.read("lock") == b"3"
    place.delete(["lock"])
    assert place.put_if_match("lock", b"5", str(second)) is None
    assert not place.exists("lock")


@server
def test_of_many_writers_one_wins(bucket: Bucket) -> None:
    for round_ in range(4):
        together = threading.Barrier(8)

        def absent(
            number: int, name: str = f"a{round_}", gate: threading.Barrier = together
        ) -> bool:
            gate.wait()
            return bucket.put_if_absent(name, b"%d" % number) is not None

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(absent, range(8))) == 1
        held = bucket.version(f"a{round_}")
        assert held is not None

        def match(
            number: int,
            name: str = f"a{round_}",
            etag: str = held.etag,
            gate: threading.Barrier = together,
        ) -> bool:
            gate.wait()
            return bucket.put_if_match(name, b"new %d" % number, etag) is not None

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(match, range(8))) == 1


# Faults ---------------------------------------------------------------------------------


@server
def test_a_busy_server_is_asked_again(bucket: Bucket, proxy: FaultyProxy, tmp_path: Path) -> None:
    proxy.first(2, "busy")
    bucket.write("a", b"1")
    assert len(proxy.faults) == 2
    assert bucket.read("a") == b"1"
    (tmp_path / "a.tif").write_bytes(b"pixels")
    proxy.first(1, "busy", b"PUT ")
    bucket.upload(tmp_path / "a.tif", "b.tif")
    proxy.first(1, "busy", b"GET ")
    assert [o.name for o in bucket.objects()] == ["a", "b.tif"]
    proxy.first(1, "busy", b"POST ")
    bucket.delete(["a", "b.tif"])
    assert list(bucket.objects()) == []
    assert len(proxy.faults) == 5


@server
def test_a_server_that_stays_busy(
    bucket: Bucket, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch, ceph: ObjectStore
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    proxy.first(100, "busy")
    with pytest.raises(OutputError) as caught:
        bucket.write("a", b"1")
    text = says(caught, ceph.key, ceph.secret)
    assert text.startswith(f"cannot write {bucket.address}/a: SlowDown (HTTP 503), tried 2 times")
    assert len(proxy.faults) == 2


@server
def test_a_server_that_does_not_answer(
    bucket: Bucket, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch, ceph: ObjectStore
) -> None:
    monkeypatch.setattr(client_module, "_READ_S", 0.5)
    proxy.first(1, "silent")
    bucket.write("a", b"1")
    assert (len(proxy.faults), bucket.read("a")) == (1, b"1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    proxy.first(9, "silent")
    with pytest.raises(OutputError) as caught:
        bucket.read("a")
    assert "timeout" in says(caught, ceph.key, ceph.secret).lower()


@server
def test_an_answer_that_breaks_off_is_asked_for_again(
    bucket: Bucket, proxy: FaultyProxy, tmp_path: Path
) -> None:
    bucket.write("a", b"1" * 1000)
    proxy.first(1, "cut", b"GET ")
    assert bucket.read("a") == b"1" * 1000
    proxy.first(1, "cut", b"GET ")
    bucket.download("a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"1" * 1000
    assert len(proxy.faults) == 2


@server
def test_an_answer_to_a_condition_that_is_lost(bucket: Bucket, proxy: FaultyProxy) -> None:
    """The server has written, the client asks again, and must not take itself for another."""
    proxy.first(1, "lost", b"PUT ")
    first = bucket.put_if_absent("lock", b"mine")
    assert first is not None
    proxy.first(1, "lost", b"PUT ")
    assert bucket.put_if_match("lock", b"mine too", first) is not None
    assert len(proxy.faults) == 2


UPLOAD = """
import sys
from pathlib import Path
from geoseg.objects import bucket
bucket._PART_BYTES = 5 * 1024 * 1024
bucket.Bucket(sys.argv[1], "p").upload(Path(sys.argv[2]), "map.tif")
"""


@server
@pytest.mark.parametrize("mib", [3, 12], ids=["whole", "parts"])
def test_a_killed_upload_leaves_no_object(
    bucket: Bucket, proxy: FaultyProxy, tmp_path: Path, mib: int
) -> None:
    path, passed = tmp_path / "map.tif", [0]
    path.write_bytes(bytes(mib * MIB))

    def stall(chunk: bytes) -> str | None:
        passed[0] += len(chunk)
        return "silent" if passed[0] > (mib - 1) * MIB else None

    proxy.fault = stall  # type: ignore[assignment]
    process = subprocess.Popen([sys.executable, "-c", UPLOAD, bucket.bucket, str(path)], cwd=ROOT)
    assert proxy.at_fault.wait(60)
    process.send_signal(signal.SIGKILL)
    assert process.wait(20) == -signal.SIGKILL
    proxy.fault = lambda _: None
    place = Bucket(bucket.bucket, "p")
    time.sleep(0.2)  # for the server to see that the other end is gone
    assert list(place.objects()) == []
    assert not place.exists("map.tif")
    assert place.abandon_uploads() == (1 if mib > 5 else 0)
    assert place.abandon_uploads() == 0
    place.upload(path, "map.tif")
    assert [o.size_bytes for o in place.objects()] == [mib * MIB]


# Secrets --------------------------------------------------------------------------------


@server
def test_wrong_credentials_are_one_line_without_them(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, ceph: ObjectStore, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.INFO)
    wrong = "wrong/secret+of=mine"
    path = tmp_path / "map.tif"
    path.write_bytes(b"1")
    for name, value in (("AWS_SECRET_ACCESS_KEY", wrong), ("AWS_ACCESS_KEY_ID", "nobodyskey")):
        monkeypatch.setenv(name, value)
        for work in (
            lambda: bucket.write("a", b"1"), lambda: bucket.read("a"), lambda: bucket.exists("a"),
            lambda: list(bucket.objects()), lambda: bucket.delete(["a"]),
            lambda: bucket.copy("a", "b"), lambda: bucket.upload(path, "a"),
            lambda: bucket.put_if_absent("a", b"1"), lambda: bucket.download("a", path),
            bucket.names, bucket.abandon_uploads,
        ):  # fmt: skip
            with pytest.raises(OutputError) as caught:
                work()
            text = says(caught, wrong, ceph.key, ceph.secret, "nobodyskey")
            assert f"s3://{bucket.bucket}" in text
            assert "AWS_SECRET_ACCESS_KEY" in text
    assert wrong not in caplog.text


@server
def test_no_bucket_no_credentials_no_server(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, ceph: ObjectStore
) -> None:
    with pytest.raises(OutputError) as caught:
        Bucket("geoseg-nowhere").write("a", b"1")
    assert "NoSuchBucket" in says(caught)
    use(monkeypatch, {**ceph.environment(), "AWS_MAX_ATTEMPTS": "1"})
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://user:password@127.0.0.1:9")
    with pytest.raises(OutputError) as caught:
        bucket.write("a", b"1")
    assert "AWS_ENDPOINT_URL" in says(caught, "password", ceph.key, ceph.secret)
    use(monkeypatch, ceph.environment())
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(OutputError) as caught:
        bucket.write("a", b"1")
    assert "AWS_PROFILE" in says(caught)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(OutputError) as caught:
        bucket.write("a", b"1")
    assert "nobody" in says(caught)


# The same server for GDAL ---------------------------------------------------------------


@server
def test_gdal_and_boto3_find_the_server_by_each_others_variables(
    bucket: Bucket, ceph: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scene = write_scene(tmp_path / "scene.tif", texture((64, 80)))
    bucket.upload(scene, "scene.tif")
    assert open_scene(f"{bucket.address}/scene.tif").grid == open_scene(scene).grid
    gdal = ceph.environment()
    del gdal["AWS_ENDPOINT_URL"]
    gdal |= {
        "AWS_S3_ENDPOINT": f"127.0.0.1:{ceph.port}", "AWS_HTTPS": "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE",
    }  # fmt: skip
    use(monkeypatch, gdal)
    assert bucket.exists("scene.tif")
    assert open_scene(f"{bucket.address}/scene.tif").grid == open_scene(scene).grid
