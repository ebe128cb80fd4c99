"""STAC documents as catalogues, servers and adversaries write them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pystac
import pytest

from geoseg.errors import OptionError, SceneError
from geoseg.options import BatchOptions, RunOptions
from geoseg.run import documents
from geoseg.run.manifest import Manifest, read_manifest
from tests.raster.servers import file_server

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
Answer = tuple[int, dict[str, str], bytes]


def read(*sources: object, **options: Any) -> Manifest:
    batch = BatchOptions(
        sources=tuple(map(str, sources)), out="o", scene=RunOptions(scene=""), **options
    )
    return read_manifest(batch)


def scenes(manifest: Manifest) -> dict[str, str]:
    return {job.scene_id: job.address for job in manifest.jobs}


def item(name: str = "one", /, **changes: Any) -> dict[str, Any]:
    return {
        "type": "Feature", "stac_version": "1.1.0", "id": name, "geometry": None, "links": [],
        "properties": {"datetime": "2026-05-01T01:02:03Z"},
        "assets": {"image": {"href": f"./{name}.tif", "type": COG, "roles": ["data"]}},
        **changes,
    }  # fmt: skip


def write(path: Path, document: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def collection(*links: tuple[str, str], kind: str = "Collection") -> dict[str, Any]:
    return {
        "type": kind, "stac_version": "1.1.0", "id": "c",
        "links": [{"rel": rel, "href": href} for rel, href in links],
    }  # fmt: skip


def asset(*roles: str, href: str = "x.tif", kind: str | None = COG, **more: Any) -> dict[str, Any]:
    return {"href": href, "roles": list(roles), **({"type": kind} if kind else {}), **more}


@contextmanager
def web(answer: Callable[[BaseHTTPRequestHandler, str], Answer]) -> Iterator[str]:
    """Run a server that answers as a function says; yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answer(self, f"http://127.0.0.1:{self.server.server_port}")
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(ConnectionError):  # who asked has heard enough
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def as_json(document: object) -> Answer:
    return 200, {"Content-Type": "application/geo+json"}, json.dumps(document).encode()


def test_a_catalogue_that_pystac_writes_is_walked(tmp_path: Path) -> None:
    catalogue = pystac.Catalog("root", "all")
    for year in ("2025", "2026"):
        child = pystac.Catalog(year, year)
        catalogue.add_child(child)
        for month in ("04", "05"):
            made = pystac.Item(f"{year}-{month}", None, None, datetime(2026, 5, 1, tzinfo=UTC), {})
            made.add_asset("image", pystac.Asset("./x.tif", media_type=COG, roles=["data"]))
            made.add_asset("look", pystac.Asset("./x.png", media_type="image/png"))
            child.add_item(made)
    catalogue.normalize_and_save(str(tmp_path), pystac.CatalogType.SELF_CONTAINED)
    expected = {
        f"{y}-{m}": str(tmp_path / y / f"{y}-{m}" / "x.tif")
        for y in ("2025", "2026")
        for m in ("04", "05")
    }
    assert scenes(read(tmp_path / "catalog.json")) == expected
    items = pystac.ItemCollection(list(catalogue.get_items(recursive=True)))
    items.save_object(str(tmp_path / "found.json"))
    assert scenes(read(tmp_path / "found.json")).keys() == expected.keys()


def test_links_and_assets_are_seen_from_their_document(tmp_path: Path) -> None:
    hrefs = {
        "a": ("../data/a.tif", str(tmp_path / "data/a.tif")),
        "b": ("/abs/b.tif", "/abs/b.tif"),
        "c": ("file:///abs/c%20c.tif", "/abs/c c.tif"),
        "d": ("https://h.org/d.tif?sig=1", "https://h.org/d.tif?sig=1"),
        "e": ("s3://b/e.tif", "s3://b/e.tif"),
    }
    for name, (href, _) in hrefs.items():
        write(
            tmp_path / "items" / f"{name}.json", item(name, assets={"x": asset("data", href=href)})
        )
    links = [("item", f"items/{name}.json") for name in hrefs]
    write(tmp_path / "c.json", collection(("self", "./c.json"), ("root", "../no.json"), *links))
    found = read(tmp_path / "c.json")
    assert scenes(found) == {name: address for name, (_, address) in hrefs.items()}
    assert found.jobs[0].changed == datetime(2026, 5, 1, 1, 2, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("assets", "wanted", "found"),
    [
        ({"a": asset("data"), "t": asset("thumbnail", href="t.tif")}, None, "x.tif"),
        ({"a": asset("visual"), "m": asset("metadata", href="m.tif")}, None, "x.tif"),
        ({"a": asset(**{"eo:bands": [{"name": "r"}]}), "b": asset(href="b.tif")}, None, "x.tif"),
        ({"a": asset(bands=[{"name": "r"}]), "b": asset("cloud", href="b.tif")}, None, "x.tif"),
        ({"a": asset(), "t": asset("overview", href="t.tif")}, None, "x.tif"),
        ({"a": asset(kind=None), "b": asset("data", href="b.xml", kind=None)}, None, "x.tif"),
        ({"a": asset("data", kind="image/jp2"), "b": asset("data", kind="text/xml")}, None, "x.tif"),
        ({"a": asset("data"), "b": asset("data", href="b.nc", kind="application/netcdf")}, "b", "b.nc"),
        ({"a": asset("data"), "b": asset("visual", href="b.tif")}, None, "could be the scene: a, b"),
        ({"r": asset(), "g": asset()}, None, "could be the scene: r, g"),
        ({"p": asset("data", kind="image/png")}, None, "no asset looks like a scene: p"),
        ({}, None, "no asset looks like a scene: none"),
        ({"a": asset("data")}, "b", "there is no asset 'b' among a"),
        ({"a": {"type": COG, "roles": ["data"]}}, None, "its asset has no address"),
        ({"a": asset("data", href=5)}, None, "its asset has no address"),
        ({"a": asset("data", href="x\0.tif")}, None, "holds the address"),
        ({"a": asset("data", href="x\ud800.tif")}, None, "holds the address"),
        ({"a": asset("data", href=" ")}, None, "holds the address"),
        ({"a": "x.tif"}, None, "no asset looks"),
        (["x.tif"], None, "no asset looks"),
    ],
)  # fmt: skip
def test_the_asset_that_is_the_scene(
    tmp_path: Path, assets: Any, wanted: str | None, found: str
) -> None:
    path = write(tmp_path / "i.json", item(assets=assets))
    if " " not in found:
        assert scenes(read(path, asset=wanted)) == {"one": str(tmp_path / found)}
        return
    with pytest.raises(OptionError, match="item 'one'") as caught:
        read(path, asset=wanted)
    assert found in str(caught.value)


@pytest.mark.parametrize(
    ("properties", "more", "moment"),
    [
        ({"datetime": "2026-05-01T00:00:00Z"}, {}, "2026-05-01T00:00+00:00"),
        ({"datetime": "2026-05-01T00:00:00Z", "created": "2026-05-02T00:00:00Z"}, {}, "2026-05-02T00:00+00:00"),
        ({"created": "2026-05-02T00:00:00Z", "updated": "2026-05-03T09:00:00+09:00"}, {}, "2026-05-03T00:00+00:00"),
        ({"updated": "2026-05-03T00:00:00Z"}, {"updated": "2026-05-04T00:00:00Z"}, "2026-05-04T00:00+00:00"),
        ({"datetime": None, "start_datetime": "2026-04-01T00:00:00Z", "end_datetime": "2026-05-01T00:00:00"}, {}, "2026-05-01T00:00+00:00"),
        ({"datetime": "soon", "updated": 5}, {}, None),
        (None, {}, None),
    ],
)  # fmt: skip
def test_when_a_scene_changed(
    tmp_path: Path, properties: Any, more: Any, moment: str | None
) -> None:
    document = item(properties=properties, assets={"x": asset("data", **more)})
    (job,) = read(write(tmp_path / "i.json", document)).jobs
    assert job.changed == (None if moment is None else datetime.fromisoformat(moment))


def test_an_item_of_two_searches_is_mapped_once(tmp_path: Path) -> None:
    for number in (1, 2):
        found = item(assets={"x": asset("data", href=f"https://h.org/x.tif?sig={number}")})
        write(tmp_path / f"{number}.json", {"type": "FeatureCollection", "features": [found]})
    manifest = read(tmp_path / "1.json", tmp_path / "2.json")
    assert scenes(manifest) == {"one": "https://h.org/x.tif?sig=1"}
    assert manifest.warnings == ("https://h.org/x.tif is named twice and mapped once",)


def test_ids_become_folder_names(tmp_path: Path) -> None:
    path = write(tmp_path / "i.json", item("S2A/../영상:1"))
    assert list(scenes(read(path))) == ["S2A_.._영상_1"]


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ([], "holds no JSON object"),
        ("x", "holds no JSON object"),
        ({}, "its type is 'None'"),
        ({"type": "Topology"}, "its type is 'Topology'"),
        ({"type": "Feature", "geometry": None}, "no STAC document"),
        ({"type": "FeatureCollection"}, "no list of features"),
        ({"type": "FeatureCollection", "features": [{"type": "Feature"}]}, "feature 1 is no STAC item"),
        ({"type": "FeatureCollection", "features": [None]}, "feature 1 is no STAC item"),
        (item(id=None), "without an id"),
        (item(id=7), "without an id"),
        (collection(("child", "c.json"), ("item", "gone.json")), "cannot read"),
        (collection(("item", "ftp://h/x.json")), "cannot be read from ftp://h/x.json"),
        (collection(("item", "file://h/x.json")), "another machine"),
        ({**collection(), "links": [{"rel": "item"}]}, "has no address"),
        ({**item(), "type": "FeatureCollection", "features": [], "links": [{"rel": "next", "href": "x.json", "method": "POST"}]}, "goes on by POST"),
        ({"type": "FeatureCollection", "features": [], "links": [{"rel": "next", "href": "i.json"}]}, "turn in a circle"),
    ],
)  # fmt: skip
def test_what_is_no_stac_is_told_in_one_line(tmp_path: Path, document: Any, what: str) -> None:
    path = write(tmp_path / "i.json", document)
    with pytest.raises(OptionError) as caught:
        read(path)
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[" * 500_000, '{"a":' * 200_000, "{", "", "9" * 5000])
def test_deep_and_broken_json(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(OptionError, match=r"nested too deeply|is not JSON"):
        read(path)


def test_catalogues_in_a_circle_are_walked_once(tmp_path: Path) -> None:
    write(
        tmp_path / "a.json",
        collection(("child", "b.json"), ("item", "i.json"), ("item", "./i.json")),
    )
    write(
        tmp_path / "b.json",
        collection(("child", "a.json#x"), ("child", "./b.json"), ("item", "i.json")),
    )
    write(tmp_path / "i.json", item())
    assert scenes(read(tmp_path / "a.json")) == {"one": str(tmp_path / "one.tif")}


def test_catalogues_in_catalogues_have_an_end(tmp_path: Path) -> None:
    for number in range(20):
        write(
            tmp_path / f"{number}.json", collection(("child", f"{number + 1}.json"), kind="Catalog")
        )
    with pytest.raises(OptionError, match="more than 16 deep"):
        read(tmp_path / "0.json")


def test_documents_have_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geoseg.run.stac_source._MOST_DOCUMENTS", 10)
    write(tmp_path / "c.json", collection(*(("item", f"{n}.json") for n in range(10))))
    with pytest.raises(OptionError, match="more than 10 STAC documents"):
        read(tmp_path / "c.json")


def test_documents_do_not_reach_outside_the_roots(tmp_path: Path) -> None:
    home = tmp_path / "in"
    (tmp_path / "secret").mkdir()
    write(tmp_path / "secret/i.json", item())
    write(home / "i.json", item(assets={"x": asset("data", href="../secret/x.tif")}))
    write(home / "c.json", collection(("item", "../secret/i.json")))
    write(home / "d.json", collection(("child", "https://h.org/c.json")))
    (home / "link.json").symlink_to(tmp_path / "secret/i.json")
    write(home / "e.json", collection(("item", "link.json")))
    for name in ("i.json", "c.json", "d.json", "e.json"):
        with pytest.raises(OptionError, match="outside the allowed roots"):
            read(home / name, allow_roots=(str(home),))
    write(home / "f.json", item(assets={"x": asset("data", href="./deep/x.tif")}))
    assert len(read(home / "f.json", allow_roots=(str(home),)).jobs) == 1


def test_stac_of_a_bucket_comes_through_what_reads_buckets() -> None:
    texts = {
        "s3://b/k/c.json": json.dumps(collection(("item", "./i/one.json"))),
        "s3://b/k/i/one.json": json.dumps(item()),
    }
    batch = BatchOptions(sources=("s3://b/k/c.json",), out="o", scene=RunOptions(scene=""))
    found = read_manifest(batch, read_s3=texts.__getitem__)
    assert scenes(found) == {"one": "s3://b/k/i/one.tif"}
    with pytest.raises(OptionError, match="cannot be read from s3://b/k"):
        read_manifest(batch)


@pytest.mark.network
def test_a_catalogue_on_a_web_server(tmp_path: Path) -> None:
    with file_server(tmp_path) as server:
        names = [f"s{number:03}" for number in range(150)]
        for name in names:
            write(server.root / "items" / f"{name} x.json", item(name))
        links = [("item", f"./items/{name} x.json") for name in names]
        write(server.root / "c.json", collection(("child", "../sub/c.json")))
        write(server.root / "sub/c.json", collection(*((r, f"../{h}") for r, h in links)))
        found = read(f"{server.url}/c.json", allow_roots=(server.url,))
        assert scenes(found) == {n: f"{server.url}/items/{n}.tif" for n in names}
        assert [job.scene_id for job in found.jobs] == names
        (server.root / "n.csv").write_text("scene,id\nitems/a.tif,a\n/b.tif,b\n")
        assert scenes(read(f"{server.url}/n.csv")) == {
            "a": f"{server.url}/items/a.tif", "b": f"{server.url}/b.tif",
        }  # fmt: skip
        with pytest.raises(OptionError, match="the server answered 404"):
            read(f"{server.url}/gone.json")


@pytest.mark.network
@pytest.mark.parametrize(
    "href", ["file:///etc/hosts", 'NETCDF:"/etc/x"', "ftp://h/x.tif", "vrt:///etc/x"]
)
def test_a_document_of_the_web_names_nothing_on_this_machine(href: str) -> None:
    document = item(assets={"x": asset("data", href=href)})
    with (
        web(lambda *_: as_json(document)) as url,
        pytest.raises(OptionError, match="from the network"),
    ):
        read(f"{url}/i.json")
    for path in ("/etc/hosts", "/vsizip/etc/x.zip/x.tif"):
        document["assets"]["x"]["href"] = path
        with web(lambda *_: as_json(document)) as url:
            assert scenes(read(f"{url}/i.json")) == {"one": f"{url}{path}"}


@pytest.mark.network
def test_a_search_is_followed_from_page_to_page() -> None:
    def answer(request: BaseHTTPRequestHandler, url: str) -> Answer:
        page = int(request.path.partition("page=")[2] or 1)
        links = [{"rel": "self", "href": f"{url}{request.path}"}]
        if page < 4:
            links.append({"rel": "next", "href": f"/search?page={page + 1}", "method": "GET"})
        found = [item(f"p{page}-{number}") for number in range(3)]
        return as_json({"type": "FeatureCollection", "features": found, "links": links})

    with web(answer) as url:
        found = scenes(read(f"{url}/search"))
        assert list(found) == [f"p{p}-{n}" for p in (1, 2, 3, 4) for n in range(3)]
        assert found["p4-2"] == f"{url}/p4-2.tif"


@pytest.mark.network
def test_a_collection_of_an_interface_leads_to_its_items() -> None:
    def answer(request: BaseHTTPRequestHandler, url: str) -> Answer:
        if request.path.endswith("/items"):
            return as_json({"type": "FeatureCollection", "features": [item()]})
        return as_json(collection(("items", f"{url}/collections/c/items")))

    with web(answer) as url:
        assert len(read(f"{url}/collections/c").jobs) == 1


@pytest.mark.network
def test_an_address_without_an_extension_that_is_no_json_is_a_raster() -> None:
    with web(lambda *_: (200, {"Content-Type": "image/tiff"}, b"II*\0")) as url:
        assert [job.address for job in read(f"{url}/scenes/12").jobs] == [f"{url}/scenes/12"]


@pytest.mark.network
def test_a_busy_server_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_PAUSES_S", (0.01, 0.01, 0.01))
    asked: list[str] = []

    def answer(request: BaseHTTPRequestHandler, _url: str) -> Answer:
        asked.append(request.path)
        return (503, {}, b"") if len(asked) < 4 else as_json(item())

    with web(answer) as url:
        assert len(read(f"{url}/i.json").jobs) == 1
        assert len(asked) == 4
        asked.clear()
    with web(lambda *_: (503, {}, b"")) as url, pytest.raises(OptionError, match="answered 503"):
        read(f"{url}/i.json")


@pytest.mark.network
def test_a_server_does_not_send_us_elsewhere() -> None:
    with web(lambda *_: as_json(item())) as inner:
        for target, what in (
            (f"{inner}/i.json", "outside the allowed"),
            ("file:///etc/hosts", "leads on|cannot read"),
        ):
            with (
                web(lambda *_, to=target: (302, {"Location": to}, b"")) as url,
                pytest.raises(OptionError, match=what),
            ):
                read(f"{url}/i.json", allow_roots=(url,))
        with web(lambda *_: (302, {"Location": f"{inner}/i.json"}, b"")) as url:
            assert len(read(f"{url}/i.json").jobs) == 1


@pytest.mark.network
def test_a_password_goes_to_its_server_only_and_into_no_message() -> None:
    seen: dict[str, str | None] = {}

    def elsewhere(request: BaseHTTPRequestHandler, _url: str) -> Answer:
        seen["elsewhere"] = request.headers["Authorization"]
        return 404, {}, b""

    with web(elsewhere) as other:

        def answer(request: BaseHTTPRequestHandler, _url: str) -> Answer:
            seen["here"] = request.headers["Authorization"]
            return 302, {"Location": f"{other}/i.json"}, b""

        with web(answer) as url, pytest.raises(OptionError) as caught:
            read(f"http://me:pass-word@{url[7:]}/i.json?sig=hidden")
    assert seen == {"here": "Basic bWU6cGFzcy13b3Jk", "elsewhere": None}
    assert "pass-word" not in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.network
def test_an_endless_document_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_MOST_BYTES", 2**20)
    with (
        web(lambda *_: (200, {}, b" " * 2**21)) as url,
        pytest.raises(OptionError, match="larger than"),
    ):
        read(f"{url}/i.json")


@pytest.mark.network
def test_the_source_itself_lies_within_the_roots() -> None:
    asked: list[str] = []
    with web(lambda request, _: (asked.append(request.path), as_json(item()))[1]) as url:
        for path in ("search", "i.json", "x.csv"):
            with pytest.raises((OptionError, SceneError), match="outside the allowed roots"):
                read(f"{url}/{path}", allow_roots=("https://h.org/",))
    assert not asked
