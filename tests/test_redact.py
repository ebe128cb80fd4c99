"""No password, key or signature is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.redact import shown_address, without_secrets

SHOWN = [
    ("https://host/a.tif?X-Amz-Signature=s3cret", "https://host/a.tif"),
    ("https://me:s3cret@host:8443/a b.tif", "https://host:8443/a b.tif"),
    ("https://me:s3c@ret@host/a.tif?sig=s3cret#x", "https://host/a.tif"),
    ("s3://bucket/key.tif", "s3://bucket/key.tif"),
    ("/vsicurl/https://me:s3cret@host/a.tif?sig=s3cret", "/vsicurl/https://host/a.tif"),
    ("/vsizip/vsicurl/https://host/a.zip?sig=s3cret", "/vsizip/vsicurl/https://host/a.zip"),
    (
        "/vsicurl?pc_url_signing=yes&header.Authorization=s3cret&url=https%3A%2F%2Fh%2Fa.tif%3Fs3cret",
        "https://h/a.tif",
    ),
    ("/vsis3/bucket/key.tif", "/vsis3/bucket/key.tif"),
    ("PG:host=h dbname=d password=s3cret table=t", "PG:host=h dbname=d password=*** table=t"),
    ("PG:host=h password='s3cret s3cret' user=u", "PG:host=h password=*** user=u"),
    ("postgresql://me:s3cret@host/db", "postgresql://host/db"),
    ('NETCDF:"/x/y.nc":var', 'NETCDF:"/x/y.nc":var'),
    ("/data/token=5/password=1.tif", "/data/token=5/password=1.tif"),
    ("C:/maps/a=1.tif", "C:/maps/a=1.tif"),
    ("a?b.tif", "a?b.tif"),
]


@pytest.mark.parametrize(("address", "expected"), SHOWN)
def test_an_address_as_it_is_shown(address: str, expected: str) -> None:
    assert shown_address(address) == expected
    assert shown_address(expected) == expected


@pytest.mark.parametrize("address", [a for a, _ in SHOWN if "s3cret" in a])
@pytest.mark.parametrize("form", ["{}", "HTTP 403 for {} today", "'{}' does not exist", '"{}":1'])
def test_no_message_holds_a_secret(address: str, form: str) -> None:
    if "'" in address and "'" in form:
        return
    assert "s3cret" not in without_secrets(form.format(address))


@given(st.text(st.characters(exclude_characters=":=?@"), max_size=60))
def test_plain_text_is_left_alone(text: str) -> None:
    assert without_secrets(text) == text


def test_a_parser_may_speak_of_tokens() -> None:
    assert without_secrets("unexpected token: '}' at 3") == "unexpected token: '}' at 3"
