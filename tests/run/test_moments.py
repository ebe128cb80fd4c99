"""Spans of time as people type them."""

from __future__ import annotations

import pytest

from geoseg.run.moments import span_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("1.5h", 5400), ("1.5 H", 5400), ("2d", 172_800), (" 1w ", 604_800)],
)
def test_a_number_with_its_unit_is_a_span(text: str, seconds: float) -> None:
    assert span_s(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "5", "m", "5 min", "-5m", "5\tm", "5  m", "1e3s", "\u0665m", "9" * 10 + "s", "nan s"],
)
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="no span of time"):
        span_s(text)
