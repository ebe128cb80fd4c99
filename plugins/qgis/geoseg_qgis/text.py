"""Texts for people: the one place where they are translated.

Modules without QGIS call :func:`tr` too; the plugin installs Qt's translator when it starts.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["CONTEXT", "install", "tr"]

CONTEXT = "geoseg"
"""Qt's name of the group that all our texts are in."""


def _as_written(_context: str, text: str) -> str:
    return text


_translate: Callable[[str, str], str] = _as_written


def install(translate: Callable[[str, str], str]) -> None:
    """Let ``translate(context, text)`` answer from now on."""
    global _translate  # noqa: PLW0603 - Qt's translation is a state of the whole program too
    _translate = translate


def tr(text: str) -> str:
    """Return a text in the user's language.

    ``scripts/make_qgis_translation.py`` collects the literals that stand in calls of this.
    """
    return _translate(CONTEXT, text)
