"""Spans of time as people type them."""

from __future__ import annotations

import pytest

from geoseg.run.moments import span_s, span_text


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


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0.5 s"), (90, "90 s"), (1800, "30 m"), (5400, "90 m"), (7200, "2 h"), (172_800, "2 d")],
)
def test_a_span_is_told_as_people_type_it(seconds: float, text: str) -> None:
    assert span_text(seconds) == text
    assert span_s(text) == seconds
