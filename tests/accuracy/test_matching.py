"""What ``--match`` says."""

from __future__ import annotations

import pytest

from geoseg.accuracy.matching import parse_match
from geoseg.errors import OptionError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, {}),
        ("", {}),
        ("7=water, forest = vegetation,", {"7": "water", "forest": "vegetation"}),
        ("99=", {"99": ""}),
        ('"sand, bare=land",7=water', {"sand, bare": "land", "7": "water"}),
        ('7=water, "5"" pipe=road"', {"7": "water", '5" pipe': "road"}),
        ('7=water,\n8=road,\t"sand, bare=land"', {"7": "water", "8": "road", "sand, bare": "land"}),
        ('5" pipe=road', {'5" pipe': "road"}),
    ],
)
def test_pairs_are_read(text: str | None, found: dict[str, str]) -> None:
    assert parse_match(text) == found


@pytest.mark.parametrize("text", ["water", "=water", '"sand, bare"=land', '"sand=land'])
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(OptionError, match="--match") as caught:
        parse_match(text)
    assert "\n" not in str(caught.value)
