"""Libraries that report their use to their makers are kept from doing so.

geoseg reaches no network but for the scenes that its user names. Import this module before the
libraries.
"""

from __future__ import annotations

import os
import sys
from typing import Final

__all__ = ["keep_quiet"]

_REPORTER: Final = "openvino_telemetry"
_SWITCH: Final = "ORT_DISABLE_TELEMETRY"


def keep_quiet() -> None:
    """Switch the reports off for this process and those that it starts."""
    # An import of None fails like that of a package that is not installed: OpenVINO has a
    # stand-in for it.
    sys.modules.setdefault(_REPORTER, None)  # type: ignore[arg-type]
    os.environ[_SWITCH] = "1"
