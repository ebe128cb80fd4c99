"""Libraries that report their use to their makers are kept from doing so.

geoseg reaches no network but for the scenes that its user names. Import this module before the
libraries.
"""

from __future__ import annotations

import os
import sys
from typing import Final

__all__ = ["REPORTERS", "keep_quiet"]

REPORTERS: Final = ("openvino_telemetry",)
"""Packages that only report; who imports them goes on without."""
_SWITCHES: Final = {"ORT_DISABLE_TELEMETRY": "1"}


def keep_quiet() -> None:
    """Switch the reports off for this process and those that it starts."""
    for name in REPORTERS:
        # An import of None fails like that of a package that is not installed: OpenVINO has a
        # stand-in for it.
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    os.environ.update(_SWITCHES)
