"""How confidence is stored: whole steps of 1/250, and one number for none."""

from __future__ import annotations

from typing import Final

__all__ = ["CONFIDENCE_STEPS", "NO_CONFIDENCE"]

CONFIDENCE_STEPS: Final = 250
"""Confidence and scores 0..1 are stored as 0..250."""
NO_CONFIDENCE: Final = 255
"""Stored where there is none: nodata."""
