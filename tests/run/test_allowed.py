"""Roots that a batch may read from: what lies below them, and what only seems to."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import OptionError, SceneError
from geoseg.run.allowed import AllowedRoots, allowed_roots

BUCKET = allowed_roots(["s3://geo/pub"])
WEB = allowed_roots(["https://host.org/pub/"])


def allows(roots: AllowedRoots, address: str) -> bool:
    refusal = None
    try:
        roots.check(address)
    except SceneError as error:
        refusal = error
    assert refusal is None or (refusal.hint and "\n" not in str(refusal))
    return refusal is None


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("data/a.tif", "data/deep/b.tif", "data2/c.tif", "secret/d.tif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "data/out").symlink_to(tmp_path / "secret")
    (tmp_path / "data/out.tif").symlink_to(tmp_path / "secret/d.tif")
    (tmp_path / "entrance").symlink_to(tmp_path / "data")
    (tmp_path / "data/round").symlink_to(tmp_path / "data/round")
    return tmp_path


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("data/a.tif", True),
        ("data/deep/b.tif", True),
        ("data/not there.tif", True),
        ("entrance/a.tif", True),
        ("data/deep/../a.tif", True),
        ("secret/../data/a.tif", True),
        ("data2/c.tif", False),
        ("data/../secret/d.tif", False),
        ("data/out/d.tif", False),
        ("data/out.tif", False),
        ("data/out/../a.tif", False),  # out leads to secret, whose parent holds no a.tif
        ("data/a.tif\0.png", False),
        ("", False),
    ],
)
def test_folders_follow_links_and_dots(home: Path, address: str, is_allowed: bool) -> None:
    roots = allowed_roots([str(home / "data")])
    assert allows(roots, str(home / address) if address else "") == is_allowed


def test_a_root_may_be_a_link_and_relative(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    roots = allowed_roots(["entrance"])
    monkeypatch.chdir("/")
    assert allows(roots, str(home / "data/a.tif"))
    assert not allows(roots, str(home / "secret/d.tif"))


@pytest.mark.parametrize(
    ("inner", "is_allowed"),
    [
        ("/vsizip/{}/data/a.zip/x.tif", True),
        ("/vsizip/{{{}/data/a.zip}}/x.tif", True),
        ("/vsitar//vsigzip/{}/data/a.tar.gz/x.tif", True),
        ("/vsizip/{}/secret/a.zip/x.tif", False),
        ("/vsizip/{}/data/a.zip/../../secret/d.tif", False),
        ("/vsizip/{{{}/secret/a.zip}}/data/x.tif", False),
        ("/vsizip/{{{}/data/a.zip/x.tif", False),
        ("/vsizip/{}/data/out/a.zip/x.tif", False),
        ("/vsisparse/{}/data/a.xml", False),
        ("/vsisubfile/0_10,{}/data/a.tif", False),
        ("/vsimem/{}/data/a.tif", False),
        ("/vsicurl/file://{}/data/a.tif", False),
        ("/vsizip/vsizip/{}/data/a.zip", False),
        ("/vsistdin/", False),
        ('NETCDF:"{}/data/a.nc":b', False),
        ("vrt://{}/data/a.tif", False),
        ("<VRTDataset>{}/data/a.tif</VRTDataset>", False),
        (' {{"type": "{}/data/a.tif"}}', False),
    ],
)
def test_names_of_gdal_are_unwrapped_or_refused(home: Path, inner: str, is_allowed: bool) -> None:
    roots = allowed_roots([str(home / "data")])
    assert allows(roots, inner.format(home)) == is_allowed


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("https://host.org/pub/a.tif", True),
        ("HTTPS://HOST.org:443/pub/a.tif?key=1", True),
        ("https://user:word@host.org/pub/a.tif", True),
        ("https://host.org./pub/a.tif", True),
        ("https://host.org/x/../pub/a.tif", True),
        ("https://host.org/p%75b/a%20b.tif", True),
        ("/vsicurl/https://host.org/pub/a.tif", True),
        ("/vsizip//vsicurl/https://host.org/pub/a.zip/x.tif", True),
        ("http://host.org/pub/a.tif", False),
        ("https://host.org:8443/pub/a.tif", False),
        ("https://host.org/public/a.tif", False),
        ("https://host.org/PUB/a.tif", False),
        ("https://host.org/pub/../a.tif", False),
        ("https://host.org/pub/%2e%2e/a.tif", False),
        ("https://host.org/pub/%252e%252e/a.tif", False),
        ("https://host.org/pub%2f..%2fa.tif", False),
        ("https://host.org/pub/..%5ca.tif", False),
        ("https://host.org/pub//../../a.tif", False),
        ("https://host.org//pub/a.tif", False),
        ("https://host.org@evil.org/pub/a.tif", False),
        ("https://evil.org#@host.org/pub/a.tif", False),
        ("https://evil.org?@host.org/pub/a.tif", False),
        ("https://evil.org\\@host.org/pub/a.tif", False),
        ("https://a@host.org@evil.org/pub/a.tif", False),
        ("https://host.org.evil.org/pub/a.tif", False),
        ("https://host.org:x/pub/a.tif", False),
        ("https:///pub/a.tif", False),
        ("https://[::1/pub/a.tif", False),
        ("https://host.org\t/pub/a.tif", False),
        ("/vsicurl?url=https://host.org/pub/a.tif", False),
        ("/pub/a.tif", False),
        ("s3://host.org/pub/a.tif", False),
    ],
)
def test_web_addresses_are_compared_as_servers_read_them(address: str, is_allowed: bool) -> None:
    assert allows(WEB, address) == is_allowed


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("s3://geo/pub/a.tif", True),
        ("S3://geo/pub/a b%.tif", True),
        ("/vsis3/geo/pub/a.tif", True),
        ("/vsis3_streaming/geo/pub/a.tif", True),
        ("/vsizip//vsis3/geo/pub/a.zip/x.tif", True),
        ("s3://geo/public/a.tif", False),
        ("s3://geo/%70ub/a.tif", False),  # a key of its own
        ("s3://geo/pub/../a.tif", False),
        ("s3://geo//pub/a.tif", False),
        ("s3://GEO/pub/a.tif", False),
        ("s3://key@geo/pub/a.tif", False),
        ("/vsigs/geo/pub/a.tif", False),
        ("/vsis3/geo/pub/../a.tif", False),
        ("/vsis3?x=1/geo/pub/a.tif", False),
    ],
)
def test_buckets(address: str, is_allowed: bool) -> None:
    assert allows(BUCKET, address) == is_allowed


def test_secrets_stay_out_of_the_refusal() -> None:
    with pytest.raises(SceneError) as caught:
        WEB.check("https://user:word@evil.org/a.tif?token=1234")
    assert "word" not in str(caught.value)
    assert "1234" not in str(caught.value)


@pytest.mark.parametrize("root", ["", "no such folder", "https://", 'NETCDF:"x"', "/vsimem/x"])
def test_a_root_that_is_none_is_refused(root: str) -> None:
    with pytest.raises(OptionError, match="--allow-root"):
        allowed_roots([root])


def test_roots_travel_and_none_allow_all(home: Path) -> None:
    roots = allowed_roots([str(home / "data"), "s3://geo/pub"])
    assert pickle.loads(pickle.dumps(roots)) == roots
    for allowed in (str(home / "data/a.tif"), "s3://geo/pub/x"):
        roots.check(allowed)
    with pytest.raises(SceneError, match="lies outside"):
        roots.check(str(home / "data2/c.tif"))
    for anything in ("/etc/passwd", "<VRTDataset/>"):
        AllowedRoots().check(anything)
    assert not AllowedRoots()


@given(st.text(max_size=40))
def test_whatever_is_below_stays_below(tail: str) -> None:
    """An address is never refused with another error, and a folder name alone opens nothing."""
    assert not allows(WEB, f"https://evil.org/{tail}")
    allows(WEB, f"https://host.org/pub/{tail}")
    allows(WEB, tail)


@given(st.lists(st.sampled_from(["..", ".", "a", "pub", "%2e%2e", "", "%252e%252e"]), max_size=8))
def test_no_way_of_dots_leads_out(parts: list[str]) -> None:
    """What is allowed is below the root by the plainest reading: undo, then walk."""
    from urllib.parse import unquote

    path = "/".join(["pub", *parts, "x.tif"])
    if not allows(WEB, f"https://host.org/{path}"):
        return
    for _ in range(3):
        path = unquote(path)
        walked: list[str] = []
        for part in path.split("/"):
            walked = (
                walked[:-1] if part == ".." else walked + ([part] if part not in {".", ""} else [])
            )
        assert walked[0] == "pub"
