"""Tests that need QGIS' own Python run in a step of their own; here they are skipped by name."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

MODULES = sorted(path.stem for path in (Path(__file__).parent / "in_qgis").glob("test_*.py"))


@pytest.mark.parametrize("name", MODULES)
def test_in_qgis(name):
    if importlib.util.find_spec("qgis") is None:
        pytest.skip(f"{name}: this Python has no QGIS; run: python scripts/check qgis")
