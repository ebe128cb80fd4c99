"""Names of scenes: portable, unique, the same every night, whatever the order."""

from __future__ import annotations

import hashlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import OptionError
from geoseg.options import RunOptions
from geoseg.run.scene_job import SceneJob
from geoseg.run.scene_names import assign_ids, portable_name


def job(address: str, scene_id: str = "") -> SceneJob:
    return SceneJob(scene_id=scene_id, options=RunOptions(scene=address))


def names(addresses: list[str], known: dict[str, str] | None = None) -> dict[str, str]:
    found = assign_ids([job(a) for a in addresses], known or {})
    assert [j.address for j in found] == addresses
    return {j.address: j.scene_id for j in found}


def folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())


def hashed(stem: str, address: str) -> str:
    return f"{stem}_{hashlib.sha256(address.encode()).hexdigest()[:8]}"


NAMES = st.sampled_from(
    ["a", "A", "b", "a.b", "서울", "straße", "STRASSE", "é", "e\u0301", "..", "CON", "x y", "*"]
)
ADDRESSES = st.lists(
    st.builds(
        "{}/{}{}".format,
        st.sampled_from(["/d", "/e", "https://h", "s3://b"]),
        NAMES,
        st.sampled_from([".tif", ".jp2", ""]),
    ),
    unique=True,
    max_size=12,
)


@given(st.text(max_size=300))
def test_a_name_is_a_folder_everywhere(text: str) -> None:
    name = portable_name(text)
    assert 0 < len(name.encode()) <= 170
    assert name[0] not in ".-"
    assert name[-1] not in ". "
    assert all(c in "._-" or unicodedata.category(c)[0] in "LMN" for c in name)
    assert name.partition(".")[0].lower() not in {"con", "nul", "aux", "prn", "com1", "lpt9"}
    assert portable_name(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ortho", "ortho"), ("ortho 서울", "ortho_서울"), ("..", "scene"), ("", "scene"),
        (".hidden", "hidden"), ("-rf", "rf"), ("a/../b", "a_.._b"), ("a\0b", "a_b"),
        ("nul", "_nul"), ("com1.tar", "_com1.tar"), ("batch.json", "batch_json"), ("x.", "x"),
        ("ध्वनि", "ध्वनि"), ("\u202egnp", "_gnp"), ("***", "scene"), ("a:b|c", "a_b_c"),
    ],
)  # fmt: skip
def test_names_by_example(text: str, name: str) -> None:
    assert portable_name(text) == name


@given(ADDRESSES, st.randoms())
def test_names_are_unique_and_do_not_depend_on_the_order(addresses, random) -> None:
    found = names(addresses)
    assert len({folded(name) for name in found.values()}) == len(addresses)
    assert all(portable_name(name) == name for name in found.values())
    shuffled = random.sample(addresses, len(addresses))
    assert names(shuffled) == found


@given(ADDRESSES, ADDRESSES)
def test_names_stay_when_scenes_are_added(first, more) -> None:
    known = names(first)
    both = names(list(dict.fromkeys([*more, *first])), known)
    assert {a: both[a] for a in first} == known
    assert len({folded(name) for name in both.values()}) == len(both)


def test_all_of_a_colliding_group_get_their_hash() -> None:
    assert names(["/d/x.tif", "/e/X.tif", "/e/y.tif"]) == {
        "/d/x.tif": hashed("x", "/d/x.tif"),
        "/e/X.tif": hashed("X", "/e/X.tif"),
        "/e/y.tif": "y",
    }


def test_a_name_of_an_earlier_night_is_not_given_again() -> None:
    known = {"/gone/x.tif": "x", "/d/y.tif": "why"}
    assert names(["/d/x.tif", "/d/y.tif"], known) == {
        "/d/x.tif": hashed("x", "/d/x.tif"),
        "/d/y.tif": "why",
    }


def test_a_file_that_is_called_like_the_hash_of_another_steps_aside() -> None:
    taken = hashed("x", "/d/x.tif")
    found = names(["/d/x.tif", "/e/x.tif", f"/e/{taken}.tif"])
    assert found["/d/x.tif"] == taken
    assert found[f"/e/{taken}.tif"] == hashed(taken, f"/e/{taken}.tif")


def test_a_known_name_that_is_the_hash_of_another_makes_that_one_longer() -> None:
    known = {"/gone/x.tif": hashed("x", "/d/x.tif")}
    digest = hashlib.sha256(b"/d/x.tif").hexdigest()
    assert names(["/d/x.tif", "/e/x.tif"], known)["/d/x.tif"] == f"x_{digest[:16]}"


def test_a_signature_changes_no_name() -> None:
    known = names(["https://h/x.tif?sig=1", "https://g/x.tif"])
    ledger = {"https://h/x.tif": known["https://h/x.tif?sig=1"]}
    assert names(["https://h/x.tif?sig=2"], ledger) == {
        "https://h/x.tif?sig=2": hashed("x", "https://h/x.tif")
    }


def test_given_names_win_and_others_go_around_them() -> None:
    jobs = [job("/d/x.tif"), job("/d/y.tif", "x"), job("/d/z.tif", "zed")]
    found = assign_ids(jobs, {"/d/z.tif": "z"})
    assert [j.scene_id for j in found] == [hashed("x", "/d/x.tif"), "x", "zed"]


@pytest.mark.parametrize("known", [{}, {"/d/x.tif": "X"}])
def test_two_scenes_of_one_given_name_are_refused(known: dict[str, str]) -> None:
    jobs = [job("/d/x.tif", "" if known else "x"), job("/d/y.tif", "X")]
    with pytest.raises(OptionError, match=r"two scenes have the id 'X'.*x\.tif.*y\.tif"):
        assign_ids(jobs, known)


def test_scenes_that_differ_only_in_what_signs_them_need_names() -> None:
    with pytest.raises(OptionError, match="named twice"):
        names(["https://h/get?n=1", "https://h/get?n=2"])


def test_names_are_the_same_when_a_part_of_the_ledger_is_lost() -> None:
    """A client that was killed has written down some of its scenes."""
    jobs = [
        SceneJob(scene_id="", options=RunOptions(scene=f"/data/{folder}/same.tif"))
        for folder in ("one", "two", "three")
    ]
    first = assign_ids(jobs, {})
    for lost in range(3):
        known = {job.address: job.scene_id for i, job in enumerate(first) if i != lost}
        assert assign_ids(jobs, known) == first
